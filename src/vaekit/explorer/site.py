"""The explorer as files that any static host can serve: the page, what it is told, and the model as ONNX."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vaekit import files
from vaekit.data import Items
from vaekit.errors import ResourceError
from vaekit.explorer.facts import explored, with_map
from vaekit.explorer.subject import Subject
from vaekit.export.folder import FACTS, write

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
        files.write(place / "facts.json", told.json)
        files.write(place / "arrays.bin", told.content)
        model = place / "model"
        model.mkdir()
        found = write(subject.model, subject.kind, model, "onnx", items, said=said)
        found = {**found, "format": "web", "points": len(told.points), "bytes": weight(place)}
        files.write_json(place / FACTS, found)
    said(f"{found['bytes'] / 1e6:.1f} MB in all, {found['points']} points")
    return found


def weight(place: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(file.stat().st_size for file in place.rglob("*") if file.is_file())
