"""The application behind the guard: the page's files, the facts and arrays, and the questions that the page asks.

No path of a client ever reaches the file system: the page's files are read once, at the start, and looked up by name.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Coroutine, Mapping
from importlib import resources
from typing import Any

from vaekit.errors import DataError, VaekitError
from vaekit.explorer.guard import OPEN, App
from vaekit.explorer.questions import NOTHING, Missing, Questions
from vaekit.explorer.stage import Stage
from vaekit.files import finite

TYPES = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "mjs": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "json": "application/json",
    "svg": "image/svg+xml",
    "png": "image/png",
    "ico": "image/x-icon",
    "wasm": "application/wasm",
    "woff2": "font/woff2",
    "txt": "text/plain; charset=utf-8",
}
UNBUILT = b"<!doctype html><title>vaekit</title><p>The page was not built: npm run build in web/.</p>\n"

Answer = Callable[[dict[str, Any]], Coroutine[Any, Any, dict[str, Any]]]


def page_files() -> dict[str, tuple[bytes, str]]:
    """The files of the page as they were shipped: path below the address → content and type."""
    found: dict[str, tuple[bytes, str]] = {}
    _collect(resources.files("vaekit.explorer") / "page", "/", found)
    found.setdefault("/index.html", (UNBUILT, TYPES["html"]))
    return {"/": found["/index.html"], **found}


def _collect(place: Any, above: str, found: dict[str, tuple[bytes, str]]) -> None:
    for entry in place.iterdir() if place.is_dir() else ():
        if entry.is_dir():
            _collect(entry, f"{above}{entry.name}/", found)
        elif entry.name.rpartition(".")[2] in TYPES:
            found[above + entry.name] = (entry.read_bytes(), TYPES[entry.name.rpartition(".")[2]])


def application(stage: Stage, files: Mapping[str, tuple[bytes, str]]) -> App:
    """What stands behind the guard.

    Args:
        stage: What is shown.
        files: The page's files: path → content and type.
    """
    from starlette.applications import Starlette
    from starlette.responses import Response
    from starlette.routing import Route

    async def page(request: Any, error: Any = None) -> Response:
        entry = files.get(request.scope["path"]) if request.method in ("GET", "HEAD") else None
        return _failed(404, NOTHING) if entry is None else Response(entry[0], media_type=entry[1])

    async def facts(request: Any) -> Response:
        return Response(stage.scene.explored.json, media_type=TYPES["json"])

    async def arrays(request: Any) -> Response:
        return Response(stage.scene.explored.content, media_type="application/octet-stream")

    def question(answer: Answer) -> Route:
        async def answered(request: Any) -> Response:
            return await _answered(request, answer)

        return Route(f"{OPEN}{answer.__name__}", answered, methods=["POST"])

    ask = Questions(stage)
    asked = map(question, (ask.decode, ask.encode, ask.path, ask.live, ask.draw))
    routes = [Route("/facts.json", facts), Route("/arrays.bin", arrays), *asked]
    app = Starlette(routes=routes, exception_handlers={404: page})
    app.router.redirect_slashes = False
    return app


async def _answered(request: Any, answer: Answer) -> Any:
    """The answer to a question, or why there is none."""
    try:
        return _json(200, finite(await answer(parsed(await request.body()))))
    except Missing as error:
        return _failed(404, str(error))
    except VaekitError as error:
        return _failed(422, error.message, error.code, error.hint)
    except Exception as error:  # ours; the page and the others go on
        print(f"explorer: {type(error).__name__}: {error}", file=sys.stderr)
        return _failed(500, "this could not be computed.")


def _failed(status: int, message: str, code: str = "", hint: str = "") -> Any:
    return _json(status, {"error": {"code": code or f"H{status}", "message": message, "hint": hint}})


def _json(status: int, value: Any) -> Any:
    from starlette.responses import Response

    body = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return Response(body, status_code=status, media_type=TYPES["json"])


def parsed(body: bytes) -> dict[str, Any]:
    """The JSON object that was sent.

    Raises:
        DataError: E212, it is none.
    """
    try:
        sent = json.loads(body)
    except (ValueError, RecursionError):
        raise DataError("E212", "the body is not JSON.") from None
    if not isinstance(sent, dict):
        raise DataError("E212", "a JSON object is expected.")
    return sent
