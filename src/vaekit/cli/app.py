"""The command line's frame: the application, and what its commands share. Nothing heavy is imported before they run."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
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


READ, WRITTEN = ("source", "a", "b", "item", "file"), ("out", "maps", "review")  # arguments that are paths


def command(name: str, **settings: Any) -> Callable[[Callable[..., dict[str, Any]]], Callable[..., Any]]:
    """A function as a command of the application, which never writes over what it reads; as `border.command`."""

    def register(function: Callable[..., dict[str, Any]]) -> Callable[..., Any]:
        @functools.wraps(function)
        def sparing(*args: Any, **options: Any) -> dict[str, Any]:
            spare_sources(name, options)
            return function(*args, **options)

        border.command(app, name, **settings)(sparing)
        return function

    return register


def spare_sources(name: str, options: Mapping[str, Any]) -> None:
    """See to it, before anything is computed, that a command does not write over its source.

    Args:
        name: The command.
        options: Its arguments by name.

    Raises:
        UsageError: E107, a path to write to is the source, or a folder that holds it.
    """
    targets = {word: options[word] for word in WRITTEN if options.get(word) and os.path.exists(options[word])}
    sources = [path for word in READ if targets and (path := _path(options.get(word))) is not None]
    for option, target in targets.items():
        for source in sources:
            if not any(os.path.samefile(place, target) for place in (source, *source.resolve().parents)):
                continue
            what = "is the source" if os.path.samefile(source, target) else "holds the source"
            whole = Path(target).resolve()
            hint = f"--{option} {whole.stem}-{name}{whole.suffix}"
            raise UsageError("E107", f"--{option} {target} {what}; nothing was written.", hint=hint)


def _path(source: Any) -> Path | None:
    """Where a source lies, without its #row; None where there is nothing, or it is the built-in digits."""
    if not source or source == "digits":
        return None
    from vaekit.data.sources import split_row

    path = Path(split_row(str(source))[0])
    return path if path.exists() else None


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
