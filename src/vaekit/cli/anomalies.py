"""The command that finds what is odd: score."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from vaekit.cli.app import Out, RunPath, SourcePath, command, open_run, tabular
from vaekit.errors import UsageError
from vaekit.progress import described

ALPHA = 0.01
TOP, TOLD = 3, 10_000  # cells of each item that are told of; of more items only the flagged ones' are
DRAWN = 200  # maps that are drawn at most


@command("score")
def score(
    run: RunPath,
    source: SourcePath,
    out: Out,
    alpha: Annotated[
        float | None, typer.Option(min=0, max=1, help="Flag items with a p-value up to this. [0.01]")
    ] = None,
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
    most: Annotated[int, typer.Option(min=1, help="So many of the oddest are on that page.")] = 24,
) -> dict[str, Any]:
    """How odd each item is, a p-value against the held-out data, and what made it odd."""
    from vaekit.report.review import review as page
    from vaekit.uses.scoring import doubts

    if review is not None and review.suffix.lower() not in (".html", ".htm"):
        raise UsageError("E107", f"--review {review}: this is a page.", hint="--review review.html")
    if alpha is not None and budget is not None:
        message = "--budget flags so many, whatever their p-values, and --alpha has no say then."
        raise UsageError("E103", message, hint="one of the two")
    opened = open_run(run)
    found = opened.score(source, ALPHA if alpha is None else alpha, budget, contamination)
    known = opened.trained_on(source, len(found.score))
    result: dict[str, Any] = {"n": len(found.score), "flagged": int(found.flag.sum())}
    result |= {"alpha": found.alpha} if budget is None else {"budget": budget}
    said: list[str] = []
    if maps is not None:
        drawn, said = _mapped(opened, found, maps)
        result |= {"maps": str(maps)} if drawn else {}
    if review is not None:
        page(review, opened.model, found, most, title=source, run=opened.path.name)
        result["review"] = str(review)
    _write(out, found, whole=known <= found.trained.sum())
    result["out"] = str(out)
    notes = [f"note: {sentence}" for sentence in said + doubts(opened.kind, found, known)]
    return {**result, "text": "\n".join([described(result), *notes])}


def _write(out: Path, found: Any, whole: bool) -> None:
    """A line for each item; which were trained on where some were, if all of these are known."""
    from vaekit import outputs

    table = {
        "row": range(len(found.score)),
        **({} if found.names is None else {"file": found.names}),
        "score": found.score,
        "p_value": found.p_value,
        "flag": found.flag,
        **({"trained_on": found.trained} if found.again and whole else {}),
    }
    if out.suffix.lower() == ".npz":
        more = dict(zip(found.statistics.names, found.statistics.values.T, strict=True))
        outputs.write_arrays(out, {name: _array(column) for name, column in (table | more).items()})
    else:
        outputs.write_table(tabular(out), table | _reasons(found))


def _reasons(found: Any) -> dict[str, list[str]]:
    """What made each item odd in words, a column for each place; of very many items only those that are flagged."""
    from vaekit.uses.why import notable

    told = [place for place, flag in enumerate(found.flag) if flag or len(found.flag) <= TOLD]
    why = zip(told, found.why.of(told), strict=True)
    by_place = {place: notable(each, bool(found.flag[place])) for place, each in why}
    cells = [by_place.get(place, []) for place in range(len(found.flag))]
    return {
        f"top{place + 1}": [str(each[place]) if place < len(each) else "" for each in cells]
        for place in range(TOP)
    }


def _mapped(run: Any, found: Any, path: Path) -> tuple[bool, list[str]]:
    """Draw each flagged item, the oddest if there are too many: whether there is anything, and what to say of it."""
    import numpy as np
    import torch

    from vaekit import outputs
    from vaekit.uses.maps import SHOWN, maps
    from vaekit.uses.scoring import oddest

    flagged = np.flatnonzero(found.flag)
    chosen = flagged[oddest(found.score[flagged], DRAWN)]
    if not len(chosen):
        few = f"nothing is flagged, so that there is nothing to draw in {path}: --budget 10 takes the ten oddest"
        return False, [few]
    made = maps(run.model, found.items.subset(torch.as_tensor(chosen)), found.yardstick.heldout.residuals)
    outputs.write_sheets(path, {int(row): made.strip(i) for i, row in enumerate(chosen)}, SHOWN, found.names)
    return True, [f"the {DRAWN} oddest of {len(flagged)} are drawn"] if len(flagged) > DRAWN else []


def _array(column: Any) -> Any:
    import numpy as np

    return np.asarray(column)
