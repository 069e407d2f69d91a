"""Synthetic rows of a table in the report: how good they are, and what they give away, each beside real rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vaekit import files
from vaekit.errors import FileError

FILE = "synthetic.json"
ROWS = (
    ("shape_error", "columns", "mean error of single columns; 0 is best"),
    ("trend_error", "pairs", "mean error of pairs of columns; 0 is best"),
    ("told_apart", "told apart", "AUC of a classifier that tells them from real rows; 0.5: it cannot"),
    ("learnt", "target", "what is reached on real rows in predicting {target} after learning from them"),
    ("copies", "copies", "share that is a training row, cell by cell; beside it, of unseen real rows"),
    ("distance", "distance", "median distance to the nearest training row; beside it, of unseen real rows"),
    ("nearer", "nearer to training", "share nearer to a training row than to an unseen one; 0.5 gives nothing away"),
    ("membership", "membership", "AUC of telling training rows from unseen ones by them; 0.5: it cannot be told"),
)  # fmt: skip


def remember(run: Path, found: dict[str, Any]) -> None:
    """Keep the figures in the run folder, for its report."""
    files.write_json(run / FILE, found)


def section(run: Path) -> dict[str, Any] | None:
    """What the report says of synthetic rows: a sentence, and rows of name, value, value of real rows and meaning."""
    try:
        found = files.read_json(run / FILE)
    except FileError:
        return None
    if not isinstance(found, dict) or not isinstance(found.get("shape_error"), float):
        return None
    beside: dict[str, Any] = found.get("real_rows") or {}
    rows = [
        (title, _number(found[name]), _number(beside.get(name)), meaning.format(target=found.get("target")))
        for name, title, meaning in ROWS if isinstance(found.get(name), int | float)
    ]  # fmt: skip
    counts = f"{found.get('synthetic')} synthetic rows beside {found.get('real')} real ones that were not trained on"
    more = (
        f" and {found['train']} that were"
        if "train" in found
        else "; without these nothing is said of privacy"
    )
    return {"says": f"{counts}{more}.", "rows": rows}


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, int | float) and not isinstance(value, bool) else ""
