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
    if live:  # which needs no model yet
        if hasattr(os, "nice"):
            os.nice(10)  # the training goes first
        from vaekit.explorer.start import follow

        server = follow(run, host, port, not no_browser, quiet)
    else:
        server = open_run(run).explore(host, port, browser=not no_browser, quiet=quiet)
    server.wait()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever presses it again need not see how the program ends
    return {"url": server.url.partition("#")[0], "text": "explorer: ended"}
