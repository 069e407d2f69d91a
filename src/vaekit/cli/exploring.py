"""The command that opens a page: explore."""

from __future__ import annotations

import os
import signal
from typing import Annotated, Any

import typer

from vaekit.cli.app import RunPath, command, open_run


@command("explore")
def explore(
    run: RunPath,
    host: Annotated[
        str, typer.Option(help="Where to listen; any other address needs the token that is printed.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0 takes a port that is free.")] = 0,
    live: Annotated[bool, typer.Option("--live", help="Follow a training that goes on.")] = False,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Only print the address.")] = False,
    quiet: bool = False,
) -> dict[str, Any]:
    """Look at the latent space and walk through it, on a page in the browser (extra `web`)."""
    from vaekit.explorer import start
    from vaekit.explorer.subject import Subject
    from vaekit.signals import noted

    if live:  # which needs no model yet
        if hasattr(os, "nice"):
            os.nice(10)  # the training goes first
        server = start.follow(run, host, port)
    else:
        server = start.explore(Subject.of(open_run(run)), host, port, quiet)
    # ignored first, so that leaving `noted` puts that back: a second Ctrl-C does not show how the program ends
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with noted() as stop:  # before people read that Ctrl-C ends it
        start.announce(server, not no_browser, quiet)
        server.wait(stop)
    return {"url": server.url.partition("#")[0], "text": "explorer: ended"}
