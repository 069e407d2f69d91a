"""The command that finds what is odd: score."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from vaekit.cli.app import Out, RunPath, SourcePath, command, open_run, tabular
from vaekit.progress import described

TOP = 3  # cells of each item that are told of


@command("score")
def score(
    run: RunPath,
    source: SourcePath,
    out: Out,
    alpha: Annotated[float, typer.Option(min=0, max=1, help="Flag items with a p-value up to this.")] = 0.01,
    budget: Annotated[int | None, typer.Option(min=0, help="Flag so many of the oddest instead.")] = None,
    contamination: Annotated[
        float, typer.Option(min=0, max=0.49, help="The share of the training data that is odd itself.")
    ] = 0.0,
) -> dict[str, Any]:
    """How odd each item is, a p-value against the held-out data, and what made it odd."""
    from vaekit import outputs
    from vaekit.uses.scoring import doubts

    opened = open_run(run)
    found = opened.score(source, alpha, budget, contamination)
    table = {
        "row": range(len(found.score)),
        "score": found.score,
        "p_value": found.p_value,
        "flag": found.flag,
    }
    if out.suffix.lower() == ".npz":
        more = dict(zip(found.statistics.names, found.statistics.values.T, strict=True))
        outputs.write_arrays(out, {name: _array(column) for name, column in (table | more).items()})
    else:
        outputs.write_table(tabular(out), table | _reasons(found))
    result = {"n": len(found.score), "flagged": int(found.flag.sum()), "alpha": alpha, "out": str(out)}
    said = doubts(opened.kind, found, len(opened.yardstick.scores), None if budget is not None else alpha)
    notes = opened.seen(source, len(found.score)) + [f"note: {sentence}" for sentence in said]
    return {**result, "text": "\n".join([described(result), *notes])}


def _reasons(found: Any) -> dict[str, list[str]]:
    """What made each item odd in words, a column for each place."""
    cells = found.why[:]
    return {
        f"top{place + 1}": [str(each[place]) if place < len(each) else "" for each in cells]
        for place in range(TOP)
    }


def _array(column: Any) -> Any:
    import numpy as np

    return np.asarray(column)
