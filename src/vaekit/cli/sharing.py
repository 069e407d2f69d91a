"""Commands that share models: push, pull."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from vaekit.cli.app import Out, RunPath, command

Name = Annotated[str, typer.Argument(metavar="NAME", help="owner/name on the hub.", show_default=False)]


@command("push")
def push(
    run: RunPath,
    name: Name,
    license: Annotated[
        str, typer.Option(help="Of the model: apache-2.0, mit, cc-by-4.0, other.", show_default=False)
    ],
    private: Annotated[bool, typer.Option("--private", help="For you and your organisation only.")] = False,
    with_reference: Annotated[
        bool, typer.Option("--with-reference", help="Training items in coded form, too, which `score` uses.")
    ] = False,
) -> dict[str, Any]:
    """Share a run's model folder on the Hugging Face hub, and nothing else of the run."""
    from vaekit import hub

    keep = ("reference",) if with_reference else ()
    found = hub.push(run, name, hub.Sharing(license, "private" if private else "public", keep))
    told = [f"shared {len(found.files)} files as {name}", f"revision: {found.revision}"]
    if found.left_out:
        told.append("note: training items in coded form were left out; --with-reference sends them, too")
    told.append(f"take it: vaekit pull {name} --revision {found.revision} --out PATH")
    return {**_facts(found), "text": "\n".join(told)}


@command("pull")
def pull(
    name: Name,
    out: Out,
    revision: Annotated[str | None, typer.Option(help="A commit, branch or tag. [the newest]")] = None,
) -> dict[str, Any]:
    """Take a model from the Hugging Face hub; every file is held against its manifest."""
    from vaekit import hub

    found = hub.pull(name, out, revision)
    told = [f"{out}: {len(found.files)} files, all as the manifest says", f"revision: {found.revision}"]
    return {**_facts(found), "out": str(Path(out)), "text": "\n".join(told)}


def _facts(found: Any) -> dict[str, Any]:
    return {
        "name": found.name,
        "revision": found.revision,
        "files": list(found.files),
        "left_out": list(found.left_out),
    }
