"""Commands about runs and presets: report, inspect, presets."""

from __future__ import annotations

import json as json_
from pathlib import Path
from typing import Annotated, Any

import typer

from vaekit import files
from vaekit.cli.app import RunPath, command, open_run
from vaekit.errors import UsageError, nearest


@command("report")
def report(
    run: RunPath,
    real: Annotated[
        str | None, typer.Option(help="Rows of a table that were not trained on, to judge synthetic ones by.")
    ] = None,
    synthetic: Annotated[str | None, typer.Option(help="Rows that `vaekit sample` wrote.")] = None,
    training: Annotated[
        str | None, typer.Option(help="What was trained on. [where the run found it]")
    ] = None,
    target: Annotated[str | None, typer.Option(help="A column to predict from the others.")] = None,
) -> dict[str, Any]:
    """Write report.html again; with --real and --synthetic, with a section about these rows of a table."""
    from vaekit.report import write_report
    from vaekit.report.synthetic import rows

    if (real is None) != (synthetic is None) or (real is None and (training or target)):
        hint = "vaekit report RUN --real TEST --synthetic ROWS"
        raise UsageError("E103", "--real and --synthetic belong together.", hint=hint)
    if real is None:
        return {"report": str(write_report(run))}
    found = open_run(run).judge(real, synthetic, training, target)
    page = run / "report.html"
    notes = [f"note: {note}" for note in found["notes"]]
    return {
        "report": str(page),
        **found,
        "text": "\n".join([*_columns(rows(found)), *notes, f"page: {page}"]),
    }


def _columns(figures: list[tuple[str, str, str, str]]) -> list[str]:
    """Figures in columns: name, of synthetic rows, of real ones."""
    shown = [("", "synthetic", "real"), *((name, value, beside) for name, value, beside, _ in figures)]
    wide = max(len(name) for name, _, _ in shown)
    return [f"{name:{wide}}  {value:>9}  {beside:>9}".rstrip() for name, value, beside in shown]


@command("inspect")
def inspect_(path: Annotated[Path, typer.Argument(metavar="RUN|FILE", show_default=False)]) -> dict[str, Any]:
    """What a run, model folder or weights file holds, without loading or running any of it."""
    from vaekit.inspection import inspected

    found = inspected(path)
    return {**found, "page": json_.dumps(files.finite(found), indent=1, ensure_ascii=False)}


@command("presets")
def presets(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="One of them, in full.")] = None,
) -> dict[str, Any]:
    """The named variants: authors, year, what each is for, its objective."""
    from vaekit.presets import about

    found = about()
    if name is not None:
        known = {entry["name"]: entry for entry in found}
        if name not in known:
            raise UsageError("E101", f"there is no preset {name!r}; {nearest(name, known)}")
        found = [known[name]]
    page = (
        _chapters(found) if name is None else [f"{key}: {value}" for key, value in found[0].items() if value]
    )
    return {"list": found, "page": "\n".join(page)}


def _chapters(found: list[dict[str, Any]]) -> list[str]:
    """The presets by chapter: name, what differs, when to use it, and what is minimised."""
    from vaekit.presets import CHAPTERS

    lines = []
    for chapter, title in CHAPTERS.items():
        lines += ["", title]
        for entry in (entry for entry in found if entry["chapter"] == chapter):
            note = " [experimental]" if entry["experimental"] else ""
            lines += [
                f"  {entry['name']:24} {entry['summary']} ({_first(entry['authors'])} {entry['year']}){note}"
            ]
            lines += [f"  {'':24} {entry['advice']}", f"  {'':24} {entry['objective']}"]
    return [*lines[1:], "", "vaekit presets NAME says one's source, options and kinds of data."]


def _first(authors: str) -> str:
    """The first author, and that there are others."""
    first, *others = authors.split(", ")
    return f"{first} et al." if len(others) > 1 else " and ".join([first, *others])
