"""The command that writes a model for other programs: export."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from vaekit import files
from vaekit.cli.app import RunPath, command, open_run
from vaekit.errors import UsageError


class Format(StrEnum):
    onnx = "onnx"
    torch = "torch"
    web = "web"


@command("export")
def export(
    run: RunPath,
    out: Annotated[Path, typer.Option("--out", help="The folder to write.", show_default=False)],
    format: Annotated[
        Format, typer.Option(help="ONNX files, torch programs, or the explorer as a page without a server.")
    ] = Format.onnx,
    source: Annotated[
        str | None, typer.Option(help="Held-out items to hold the files against. [draws from the model]")
    ] = None,
) -> dict[str, Any]:
    """Encoder, decoder and score for other programs, each held against the model; or the explorer as a page."""
    spare(run, out)
    lines: list[str] = []
    found = open_run(run).export(out, format.value, source, lines.append)
    return {**found, "out": str(out), "text": "\n".join([*lines, f"folder: {out}"])}


def spare(run: Path, out: Path) -> None:
    """See to it that an export replaces nothing but an older export.

    Raises:
        UsageError: E107, the folder holds the run, or something that no export wrote.
    """
    if not out.exists():
        return
    inside = [path for path in (run.resolve(), *run.resolve().parents) if os.path.samefile(path, out)]
    if inside:
        raise UsageError(
            "E107", f"--out {out} holds the run; nothing was written.", hint=f"--out {out}-export"
        )
    empty = out.is_dir() and not any(out.iterdir())
    if not empty and not ((out / files.MANIFEST).is_file() and (out / "export.json").is_file()):
        raise UsageError(
            "E107",
            f"--out {out} is there already, and no export; nothing was written.",
            hint=f"--out {out}-export",
        )
