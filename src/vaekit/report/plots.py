"""The pictures of a run, drawn anew from what it left: no model and no data are needed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from vaekit import files
from vaekit.report import charts, grids, rows, tables
from vaekit.report.style import styled

Arrays = dict[str, np.ndarray]
Records = list[dict[str, Any]]
NAMES = (
    "loss", "columns", "pairs", "reconstructions", "missing", "samples", "traversals", "latent", "kl",
)  # fmt: skip
NEEDS = {"reconstructions": "items_x", "samples": "sample_x", "traversals": "walk_x"}
TABLE_NEEDS = {
    "columns": "column_index", "pairs": "pair_worst", "reconstructions": "rebuilt_index", "missing": "hole_real",
    "traversals": "change_size",
}  # fmt: skip


def draw(
    place: Path, evidence: Arrays, records: Records, run: dict[str, Any], names: list[str]
) -> dict[str, Path]:
    """Write the pictures that can be drawn, and take away those that cannot any more.

    Args:
        place: The folder `plots`.
        evidence: What `gather` found; may be empty.
        records: Lines of metrics.jsonl.
        run: run.json.
        names: Names of the columns, where items are rows that have them.

    Returns:
        The files by name, in the order of the report.
    """
    drawn: dict[str, Path] = {}
    with styled():
        for name in NAMES:
            try:
                content = _content(name, evidence, records, run, names)
            except KeyError:  # evidence that another version left: an array has another name there
                content = None
            if content is None:
                (place / f"{name}.png").unlink(missing_ok=True)
            else:
                drawn[name] = files.write(place / f"{name}.png", content)
    return drawn


def _content(
    name: str, evidence: Arrays, records: Records, run: dict[str, Any], names: list[str]
) -> bytes | None:
    if name == "loss":
        return charts.loss(records, run)
    if name in ("latent", "kl"):
        return charts.latent(evidence) if name == "latent" else charts.kl(evidence)
    form = str(evidence.get("form", ""))
    needed = (TABLE_NEEDS if form == "table" else NEEDS).get(name)
    if needed not in evidence or form == "text":  # lines are in tables of the page
        return None
    if form == "rows" or form == "points":
        return getattr(rows, name)(evidence, names)
    sheet: Callable[[Arrays], bytes] = getattr(tables if form == "table" else grids, name)
    return sheet(evidence)
