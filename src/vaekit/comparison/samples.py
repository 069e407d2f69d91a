"""Samples of runs side by side: the picture or the lines that each run's own report shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vaekit.comparison.table import Row
from vaekit.report.page import embedded, read_evidence
from vaekit.report.texts import tables
from vaekit.report.words import rows as sampled_rows

LINES = 8  # of text or of a table


def samples(rows: list[Row], about: list[str]) -> list[dict[str, Any]]:
    """Of each row the samples of its first run: a picture, or cells; neither where there are none.

    Args:
        rows: Of a comparison.
        about: A few words of each.

    Returns:
        For each a name, those words, a data URI or "", names of columns and cells.
    """
    pictures = {str(place): path for place, row in enumerate(rows) if (path := _picture(row.runs[0].path))}
    inside = embedded(pictures)
    shown = []
    for place, row in enumerate(rows):
        picture = inside.get(str(place), "")
        lines = {} if picture else _lines(row.runs[0].path)
        name = row.runs[0].path.resolve().name
        shown.append(
            {"name": name, "about": about[place], "picture": picture, "names": [], "cells": [], **lines}
        )
    return shown


def _picture(run: Path) -> Path | None:
    """What the report draws of the samples, if it is a picture."""
    path = run / "plots" / "samples.png"
    if not path.is_file():
        return None
    with open(path, "rb") as file:
        return path if file.read(8) == b"\x89PNG\r\n\x1a\n" else None


def _lines(run: Path) -> dict[str, Any]:
    """Samples as cells: rows of a table, or lines of text."""
    arrays = read_evidence(run)
    found = sampled_rows(arrays) or tables(arrays).get("samples")
    return {} if found is None else {"names": found["names"], "cells": found["cells"][:LINES]}
