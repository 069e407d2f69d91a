"""From a run folder to a page in the browser."""

from __future__ import annotations

import contextlib
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vaekit import files, persistence
from vaekit.errors import FileError
from vaekit.explorer.facts import Explored, explored
from vaekit.explorer.guard import Guard, Rules
from vaekit.explorer.server import Explorer, application, needed, warn_open
from vaekit.explorer.subject import Subject
from vaekit.progress import Line, say

WITHIN = 60.0  # seconds in which points are made before the page opens


def explore(
    path: str | Path, host: str = "127.0.0.1", port: int = 0, live: bool = False, browser: bool = True,
    quiet: bool = False,
) -> Explorer:  # fmt: skip
    """Serve the explorer of a run.

    Args:
        path: The run folder, or the model folder in one.
        host, port, live, browser, quiet: As of `Run.explore`.
    """
    needed()  # said before anything is computed
    warn_open(host)
    subject = opened(Path(path))
    found = gathered(subject, quiet, live)

    def make(rules: Callable[[frozenset[str]], Rules]) -> Guard:
        return application(subject, found, rules)

    server = Explorer(make, host, port)
    if not quiet:
        say(f"explorer: {server.url}  (Ctrl-C ends it)")
    if browser:
        with contextlib.suppress(webbrowser.Error):
            webbrowser.open(server.url)
    return server


def opened(path: Path) -> Subject:
    """A run folder as what is explored.

    Raises:
        FileError: It is none, is damaged, or has no model yet.
    """
    place = path / "model" if (path / "model").is_dir() else path
    model, kind, about = persistence.load(place)
    if kind is None:
        raise FileError("E301", "this model was saved without the kind of its data.", where=place)
    told: Any = files.read_json(path / "run.json") if (path / "run.json").is_file() else {}
    return Subject(model, kind, path, about, told if isinstance(told, dict) else {})


def gathered(subject: Subject, quiet: bool = False, live: bool = False) -> Explored:
    """What the page is told, with a progress line."""
    with Line(quiet) as line:

        def show(share: float, count: int) -> None:
            if line.due:
                line.show(share, {"points": count})

        return explored(subject, live=live, within=WITHIN, say=show)
