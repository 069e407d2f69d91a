"""The command that opens a page: explore."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from vaekit.cli.app import RunPath, command


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
    from vaekit.explorer.start import explore as start

    with start(run, host, port, live, not no_browser, quiet) as server:
        server.wait()
    return {"url": server.url, "text": "explorer: ended"}
