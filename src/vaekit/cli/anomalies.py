"""The command that finds what is odd: score."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from vaekit.cli.app import Out, RunPath, SourcePath, command, open_run, tabular
from vaekit.errors import UsageError
from vaekit.progress import described

TOP, TOLD = 3, 10_000  # cells of each item that are told of; of more items only the flagged ones' are
DRAWN = 200  # maps that are drawn at most


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
    maps: Annotated[
        Path | None,
        typer.Option(help="A folder for a picture of each flagged one: itself, expected, where it is odd."),
    ] = None,
    review: Annotated[
        Path | None, typer.Option(help="An HTML page with the oddest, to look through.")
    ] = None,
) -> dict[str, Any]:
    """How odd each item is, a p-value against the held-out data, and what made it odd."""
    from vaekit import outputs
    from vaekit.report.review import review as page
    from vaekit.uses.scoring import doubts

    if review is not None and review.suffix.lower() not in (".html", ".htm"):
        raise UsageError("E107", f"--review {review}: this is a page.", hint="--review review.html")
    opened = open_run(run)
    items = opened.items(source)
    found = opened.score(items, alpha, budget, contamination)
    drawn = [] if maps is None else _mapped(opened, items, found, maps)
    if review is not None:
        page(review, opened.model, items, found, title=source, run=opened.path.name)
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
    said = doubts(opened.kind, found)
    notes = opened.seen(source, len(found.score)) + [f"note: {sentence}" for sentence in drawn + said]
    return {**result, "text": "\n".join([described(result), *notes])}


def _reasons(found: Any) -> dict[str, list[str]]:
    """What made each item odd in words, a column for each place; of very many items only those that are flagged."""
    told = [place for place, flag in enumerate(found.flag) if flag or len(found.flag) <= TOLD]
    by_place = dict(zip(told, found.why.of(told), strict=True))
    cells = [by_place.get(place, []) for place in range(len(found.flag))]
    return {
        f"top{place + 1}": [str(each[place]) if place < len(each) else "" for each in cells]
        for place in range(TOP)
    }


def _mapped(run: Any, items: Any, found: Any, path: Path) -> list[str]:
    """Write a picture for each flagged item, the oddest first if there are too many; what to say of it."""
    import numpy as np
    import torch

    from vaekit import outputs
    from vaekit.uses.maps import maps
    from vaekit.uses.scoring import oddest

    flagged = np.flatnonzero(found.flag)
    chosen = flagged[oddest(found.score[flagged], DRAWN)]
    if not len(chosen):
        return [
            f"nothing is flagged, so that there is nothing to draw in {path}: --budget 10 takes the ten oddest"
        ]
    made = maps(run.model, items.subset(torch.as_tensor(chosen)), found.yardstick.heldout.residuals)
    outputs.write_sheets(path, {int(row): made.strip(i) for i, row in enumerate(chosen)})
    return [f"the {DRAWN} oddest of {len(flagged)} are drawn"] if len(flagged) > DRAWN else []


def _array(column: Any) -> Any:
    import numpy as np

    return np.asarray(column)
