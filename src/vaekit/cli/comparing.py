"""Commands about several runs: compare, sweep."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from vaekit.cli.app import SourcePath, command
from vaekit.words import assigned, joined, named_options, varied


@command("compare")
def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN…", help="Run folders, or folders of them.", show_default=False),
    ],
    out: Annotated[
        Path | None, typer.Option(help="A page with samples (.html), or a table (.csv, .json).")
    ] = None,
    figures: Annotated[
        str | None,
        typer.Option(help="What to show and judge by: elbo,nll,seconds. [all; distortion and rate]"),
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


@command("sweep", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def sweep(
    context: typer.Context,
    source: SourcePath,
    over: Annotated[list[str] | None, typer.Option(help="An option and its values: beta=1,2,4.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each combination, for intervals.")] = 1,
    out: Annotated[Path | None, typer.Option(help="The folder of the runs. [runs/<source>-sweep]")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="beta=4, the same for all runs.")] = None,
    track: Annotated[list[str] | None, typer.Option(help="tensorboard, mlflow or wandb.")] = None,
    fresh: Annotated[bool, typer.Option(help="Train again what is there already.")] = False,
    quiet: bool = False,
) -> dict[str, Any]:
    """Train every combination of some options' values, then compare the runs. Takes the options of vaekit train too.

    The same command goes on where it was stopped; what is finished is not trained again.
    """
    from vaekit import comparison
    from vaekit.config import texts
    from vaekit.errors import VaekitError
    from vaekit.launch import run_name
    from vaekit.sweep import sweep as swept

    options = named_options(context.args, texts()) | joined(assigned(text) for text in set_ or [])
    out = out or Path("runs") / f"{run_name(source)}-sweep"
    options |= {"fresh": fresh, "track": track, "minimum": 20}
    made = swept(source, varied(over or [], texts()), out, seeds=seeds, quiet=quiet, **options)
    failed = [{"run": str(path), "error": str(error)} for path, error in made.failed.items()]
    if not made.runs:
        raise next(iter(made.failed.values()))
    found = comparison.compare(comparison.entries(made.runs)[0])
    found.notes += [f"{one['run']} failed: {one['error'].splitlines()[0]}" for one in failed]
    page = comparison.write(found, out / "comparison.html")
    codes = [error.exit_code if isinstance(error, VaekitError) else 1 for error in made.failed.values()]
    return {
        "path": str(out), **comparison.as_json(found), "failed": failed, "exit_code": codes[0] if codes else 0,
        "page": "\n".join([comparison.as_text(found), f"page: {page}"]),
    }  # fmt: skip
