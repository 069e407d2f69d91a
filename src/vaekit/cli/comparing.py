"""Commands about several runs: compare, sweep."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from vaekit.cli.app import command


@command("compare")
def compare(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN…", help="Run folders, or folders of them.", show_default=False)
    ],
    out: Annotated[
        Path | None, typer.Option(help="A page with samples (.html), or a table (.csv, .json).")
    ] = None,
    figures: Annotated[
        str | None, typer.Option(help="What to show and judge by: elbo,nll,seconds. [all; distortion and rate]")
    ] = None,
) -> dict[str, Any]:
    """Runs beside one another: figures with intervals over seeds, which no other beats, how they differ."""
    from vaekit import comparison

    found, left_out = comparison.entries(runs)
    if not found:
        raise left_out[0][1]
    names = None if figures is None else [name.strip() for name in figures.split(",") if name.strip()]
    made = comparison.compare(found, names)
    made.notes += [f"{path} is left out: {error.message}" for path, error in left_out]
    page = [] if out is None else [f"page: {comparison.write(made, out)}"]
    told = {"out": str(out)} if out is not None else {}
    return {**comparison.as_json(made), **told, "page": "\n".join([comparison.as_text(made), *page])}
