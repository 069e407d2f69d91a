"""The command line: each command is a function, its signature its options. A file for each sort of command."""

from __future__ import annotations

import importlib
import sys
from typing import Annotated, NoReturn

import typer

from vaekit import border
from vaekit.cli.app import app

# in the order of the help
for _sort in (
    "training",
    "figures",
    "exploring",
    "anomalies",
    "items",
    "imputation",
    "variation",
    "denoising",
    "comparing",
    "exporting",
    "runs",
    "diagnosis",
    "sharing",
):
    importlib.import_module(f"vaekit.cli.{_sort}")


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and stop.", is_eager=True)
    ] = False,
) -> None:
    if version:
        from vaekit import __version__

        print(__version__)
        raise typer.Exit


def main(words: list[str] | None = None) -> NoReturn:
    """Run the command in `words`, or the one that was typed."""
    border.run(app, sys.argv[1:] if words is None else words)
