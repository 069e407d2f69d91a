"""The explorer as files that any static host can serve: the page, what it is told, and the model as ONNX."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from vaekit import files
from vaekit.data import Items
from vaekit.errors import FileError, ResourceError, UsageError
from vaekit.explorer.facts import SAMPLES, explored, nll_facts, with_map
from vaekit.explorer.subject import Subject
from vaekit.export.folder import FACTS, write, write_likelihood

PAGE = Path(__file__).parent / "page"  # as `npm run build` in web/ leaves it
MOST = 20_000  # points
ROOM = 4_000_000  # bytes of their items: a page is fetched before it is seen


def site(
    subject: Subject,
    path: str | Path,
    said: Callable[[str], None] = lambda line: None,
    page: Path | None = None,
    heldout: Items | None = None,
) -> dict[str, Any]:
    """Write the explorer of a run as a static page.

    Args:
        subject: The run.
        path: The folder; an older one of this name is replaced once the new one is whole.
        said: Told of each file in a line.
        page: Where the built front end is; by default as it was shipped.
        heldout: Items to hold the graphs against; by default the run's own where they are there still.

    Returns:
        What export.json says: `format`, `latent`, `files` with inputs, outputs and the largest difference, `bytes` of
        the whole folder, `points`.

    Raises:
        ResourceError: E404, this installation has no built page, or the packages for ONNX are missing.
        UsageError: E110, the model computes something that no graph can hold.
        FileError: E306, a graph differs from the model by more than 1e-4; nothing is left behind.
    """
    page = PAGE if page is None else page
    if not (page / "index.html").is_file():
        hint = "npm run build in web/, or pip install --force-reinstall vaekit"
        raise ResourceError("E404", "the explorer's page was not built in this installation.", page, hint)
    told = explored(subject, source="static", most=MOST, room=ROOM)
    for one in told.facts["later"]:  # without a server there is nobody to make it later
        said(f"{one['name']}: up to minutes the first time")
        told = with_map(told, subject, one["id"])
    items = told.points.items if heldout is None else heldout
    with files.folder(path) as place:
        shutil.copytree(page, place, dirs_exist_ok=True)
        files.write(place / "arrays.bin", told.content)
        model = place / "model"
        model.mkdir()
        found = write(subject.model, subject.kind, model, "onnx", items, said=said)
        drawn = _likelihood(subject, model, items, said)
        found["files"] |= drawn
        facts = {**told.facts, "nll": nll_facts(subject, drawn=bool(drawn))}
        files.write(place / "facts.json", replace(told, facts=facts).json)
        found = {**found, "format": "web", "points": len(told.points), "bytes": weight(place)}
        files.write_json(place / FACTS, found)
    said(f"{found['bytes'] / 1e6:.1f} MB in all, {found['points']} points")
    return found


def _likelihood(
    subject: Subject, place: Path, items: Items | None, said: Callable[[str], None]
) -> dict[str, Any]:
    """Write the likelihood where a graph can hold it; without one the page shows the −ELBO in its place."""
    if not subject.stochastic:
        return {}
    try:
        return write_likelihood(subject.model, subject.kind, place, SAMPLES, items, said)
    except (UsageError, FileError) as error:
        said(f"without −log p along a path, where −ELBO stands for it: {error.message}")
        return {}


def weight(place: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(file.stat().st_size for file in place.rglob("*") if file.is_file())
