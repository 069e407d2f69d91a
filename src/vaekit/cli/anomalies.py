"""The command that finds what is odd: score."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from vaekit.cli.app import Out, RunPath, SourcePath, command, open_run, tabular
from vaekit.progress import described


@command("score")
def score(
    run: RunPath,
    source: SourcePath,
    out: Out,
    alpha: Annotated[float, typer.Option(min=0, max=1, help="Flag items with a p-value up to this.")] = 0.01,
    budget: Annotated[int | None, typer.Option(min=0, help="Flag so many of the oddest instead.")] = None,
) -> dict[str, Any]:
    """How odd each item is: −ELBO, and a p-value against the held-out data."""
    from vaekit import outputs

    opened = open_run(run)
    found = opened.score(source, alpha, budget)
    table = {
        "row": range(len(found.score)),
        "score": found.score,
        "p_value": found.p_value,
        "flag": found.flag,
    }
    if out.suffix.lower() == ".npz":
        outputs.write_arrays(out, {name: _array(column) for name, column in table.items()})
    else:
        outputs.write_table(tabular(out), table)
    result = {"n": len(found.score), "flagged": int(found.flag.sum()), "alpha": alpha, "out": str(out)}
    least = 1 / (1 + len((opened.about.get("calibration") or {}).get("scores") or []))
    notes = opened.seen(source, len(found.score))
    if budget is None and least > alpha:
        notes.append(
            f"note: so few were held out that no p-value is below {least:.2g}: --alpha {least:.2g} or --budget N"
        )
    return {**result, "text": "\n".join([described(result), *notes])}


def _array(column: Any) -> Any:
    import numpy as np

    return np.asarray(column)
