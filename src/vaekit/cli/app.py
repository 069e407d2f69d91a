"""The command line's frame: the application, and what its commands share. Nothing heavy is imported before they run."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Annotated, Any

import typer

from vaekit import border
from vaekit.errors import UsageError

app = typer.Typer(
    name="vaekit",
    help="Variational autoencoders: point it at data, get a trained model, its report, and everything it is good for.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: drawing boxes would double the time to the first word
    context_settings={"help_option_names": ["-h", "--help"]},
)

RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.", show_default=False)]
Sources = (
    "A folder of images, a table (.csv, .parquet, .xlsx), lines (.txt), .npy, .npz, .mtx, IDX, or digits."
)
SourcePath = Annotated[str, typer.Argument(metavar="SOURCE", help=Sources, show_default=False)]
Out = Annotated[Path, typer.Option("--out", help="Where to write; the suffix says what.", show_default=False)]
Seed = Annotated[int, typer.Option(help="The same seed gives the same result.")]


command = functools.partial(border.command, app)


def open_run(path: Path) -> Any:
    from vaekit.run import Run

    return Run(path)


def written(run: Any, made: Any, out: Path, columns: int | None = None) -> dict[str, Any]:
    from vaekit import outputs

    outputs.write_items(out, run.kind.decode(made.x, made.c), run.kind, made.x, columns)
    return {"n": len(made), "out": str(out)}


def tabular(out: Path) -> Path:
    from vaekit.outputs import TABLES

    if out.suffix.lower() not in TABLES:
        raise UsageError(
            "E107", f"--out {out}: this is written as a table.", hint="one of .csv, .parquet, .npz"
        )
    return out
