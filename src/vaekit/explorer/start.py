"""From a run to a page in the browser."""

from __future__ import annotations

import contextlib
import threading
import webbrowser
from pathlib import Path

from vaekit.explorer.facts import Explored, explored
from vaekit.explorer.live import Live
from vaekit.explorer.server import Explorer, check_installed, listening, warn_open
from vaekit.explorer.stage import Scene, Stage
from vaekit.explorer.subject import Subject
from vaekit.progress import Line, say

WITHIN = 60.0  # seconds in which points are made before the page opens


def explore(subject: Subject, host: str, port: int, quiet: bool = False) -> Explorer:
    """Serve the explorer of a trained model.

    Args:
        subject: The run.
        host, port, quiet: As of `Run.explore`.
    """
    check_installed()
    listening(host, port).close()  # what is missing or taken is said before anything is computed
    return Explorer(Stage(Scene.of(subject, _gathered(subject, quiet))), host, port)


def follow(path: str | Path, host: str, port: int) -> Explorer:
    """Serve the explorer of a run that is trained meanwhile.

    Args:
        path: The run folder; it may have no model yet.
        host, port: As of `Run.explore`.
    """
    check_installed()
    return Explorer(Live(Path(path)).start(), host, port)


def announce(server: Explorer, browser: bool = True, quiet: bool = False) -> None:
    """Say where the page is, and open it.

    Args:
        server: The server, which listens.
        browser, quiet: As of `Run.explore`.
    """
    warn_open(server.host)
    if not quiet:
        say(f"explorer: {server.url}  (Ctrl-C ends it)")
    if browser:  # beside us, for some browsers are waited for until they are closed
        threading.Thread(
            target=_opened, args=(server.url,), name="vaekit explorer: browser", daemon=True
        ).start()


def _opened(url: str) -> None:
    with contextlib.suppress(webbrowser.Error):
        webbrowser.open(url)


def _gathered(subject: Subject, quiet: bool) -> Explored:
    """What the page is told, with a progress line."""
    with Line(quiet) as line:

        def show(share: float, count: int) -> None:
            if line.due:
                line.show(share, {"points": count})

        return explored(subject, within=WITHIN, say=show)
