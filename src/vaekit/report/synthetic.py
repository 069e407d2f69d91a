"""Synthetic rows of a table in the report: how good they are, and what they give away, each beside real rows."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vaekit import files
from vaekit.errors import FileError
from vaekit.evaluation.privacy import privacy
from vaekit.evaluation.synthetic import quality

if TYPE_CHECKING:
    import pandas as pd

FILE = "synthetic.json"
FEWEST = 20  # rows of each table
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


def judged(
    real: pd.DataFrame,
    synthetic: pd.DataFrame,
    train: pd.DataFrame | None = None,
    target: str | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Quality and privacy of synthetic rows.

    Args:
        real: Rows that the model has not seen.
        synthetic: Rows that it gave.
        train: Rows that it was trained on; without them nothing is said of privacy.
        target: A column to predict.
        seed: Of what is drawn.

    Returns:
        The figures of `Quality` and `Privacy` by name, those of the training rows in the place of synthetic ones under
        `real_rows`, and the counts of rows.
    """
    figures: dict[str, Any] = asdict(quality(real, synthetic, target, seed))
    found = {"target": target, "real": len(real), "synthetic": len(synthetic), **figures}
    if train is None:
        return found
    given = privacy(train, real, synthetic, seed)
    beside = asdict(quality(real, train.sample(min(len(train), len(real)), random_state=seed), target, seed))
    beside |= {"copies": given.copies_floor, "distance": given.distance_floor}
    own = {name: getattr(given, name) for name in ("copies", "distance", "nearer", "membership")}
    return {**found, **own, "train": len(train), "real_rows": beside}


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
