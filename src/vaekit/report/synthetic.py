"""Synthetic rows of a table in the report: how good they are, and what they give away, each beside real rows."""

from __future__ import annotations

import math
from datetime import date
from pathlib import Path
from typing import Any

from vaekit import files
from vaekit.errors import FileError

FILE = "synthetic.json"
ROWS = (
    ("shape_error", "columns", "mean error of single columns; 0 is best"),
    ("trend_error", "pairs", "mean error of pairs of columns; 0 is best"),
    ("told_apart", "told apart", "AUC of a classifier that tells them from real rows; 0.5: it cannot"),
    ("learnt", "target ({learnt_is})", "what is reached on real rows in predicting {target} after learning from them"),
    ("copies", "copies", "share that is a training row, cell by cell; beside it, of unseen real rows"),
    ("distance", "distance", "median distance to the nearest training row; 1 is a number's range, or another category"),
    ("nearer", "nearer to training", "share nearer to a training row than to an unseen one; 0.5 gives nothing away"),
    ("membership", "membership", "AUC of telling training rows from unseen ones by them; 0.5: it cannot be told"),
)  # fmt: skip


def remember(run: Path, found: dict[str, Any]) -> None:
    """Keep the figures in the run folder, with the day, for its report."""
    files.write_json(run / FILE, {**found, "day": date.today().isoformat()})


def section(run: Path) -> dict[str, Any] | None:
    """What the report says of synthetic rows: a sentence, notes, and the figures in rows."""
    try:
        found = files.read_json(run / FILE)
    except FileError:
        return None
    if not isinstance(found, dict) or not isinstance(found.get("shape_error"), float):
        return None
    notes = found.get("notes")
    return {"says": _says(found), "rows": rows(found), "notes": notes if isinstance(notes, list) else []}


def rows(found: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """Each figure that was asked for: name, value, value of real rows and meaning; a dash for what has no value."""
    beside: dict[str, Any] = found.get("real_rows") or {}
    told = {name: found.get(name) or "" for name in ("target", "learnt_is")}
    asked = [row for row in ROWS if row[0] in found and (row[0] != "learnt" or found.get("target"))]
    return [
        (title.format(**told), _number(found[name]), _number(beside.get(name), ""), meaning.format(**told))
        for name, title, meaning in asked
    ]


def _says(found: dict[str, Any]) -> str:
    """How many rows of which files were held against each other, and when."""
    names: dict[str, Any] = found.get("files") or {}
    of = {side: f" ({Path(str(name)).name})" for side, name in names.items() if name}
    counts = f"{found.get('synthetic')} synthetic rows{of.get('synthetic', '')} "
    counts += f"beside {found.get('real')} real ones{of.get('real', '')}"
    more = f", and {found['train']} that were trained on" if "train" in found else ""
    without = "" if "train" in found else " Without the rows that were trained on nothing is said of privacy."
    day = f" Judged on {found['day']}." if found.get("day") else ""
    return f"{counts}{more}.{without}{day}"


def _number(value: Any, nothing: str = "–") -> str:
    known = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return f"{value:.3f}" if known else nothing
