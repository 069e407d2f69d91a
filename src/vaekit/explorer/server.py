"""The explorer's server: the page, the facts, and what the page asks of the model, behind the guard.

No path of a client ever reaches the file system: the page's files are read once, at the start, and looked up by name.
"""

from __future__ import annotations

import errno
import json
import secrets
import socket
import sys
import threading
import warnings
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from importlib import resources
from typing import Any

from vaekit.errors import DataError, ResourceError, VaekitError
from vaekit.explorer.answers import Answers
from vaekit.explorer.guard import App, Guard, Limits, Rules
from vaekit.explorer.stage import Stage
from vaekit.explorer.worker import Worker
from vaekit.files import finite

LOOPBACK = ("127.0.0.1", "::1", "localhost")
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
JSON = "application/json"
Answer = Callable[[dict[str, Any]], Coroutine[Any, Any, dict[str, Any]]]
MISSING = "there is nothing of this name."
UNBUILT = b"<!doctype html><title>vaekit</title><p>The page was not built: npm run build in web/.</p>\n"


class Missing(Exception):
    """There is nothing that could answer."""


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
        files: The page's files, by path.
    """
    web = needed()
    model, disk, slow = Worker(_alone), Worker(), Worker()

    async def page(request: Any, error: Any = None) -> Any:
        entry = files.get(request.scope["path"]) if request.method in ("GET", "HEAD") else None
        return _failed(404, MISSING) if entry is None else web.Response(entry[0], media_type=entry[1])

    async def facts(request: Any) -> Any:
        return web.Response(stage.scene.explored.json, media_type=JSON)

    async def arrays(request: Any) -> Any:
        return web.Response(stage.scene.explored.content, media_type="application/octet-stream")

    async def live(told: dict[str, Any]) -> dict[str, Any]:
        if not stage.live:
            raise Missing(MISSING)
        return await disk.done(lambda: stage.news(told.get("after", 0)))

    def answers() -> Answers:
        if stage.scene.answers is None:
            raise Missing("there is no model yet.")
        return stage.scene.answers

    async def decode(told: dict[str, Any]) -> dict[str, Any]:
        about = answers()
        return await model.done(lambda: about.decode(told))

    async def encode(told: dict[str, Any]) -> dict[str, Any]:
        about = answers()
        return await model.done(lambda: about.encode(told))

    async def path(told: dict[str, Any]) -> dict[str, Any]:
        about = answers()
        way = await model.done(lambda: about.path(told))
        # one by one, so that other questions come in between
        return way.told([await model.done(partial(way.nll, i)) for i in range(len(way))])

    async def draw(told: dict[str, Any]) -> dict[str, Any]:
        await slow.done(lambda: stage.draw(str(told.get("id"))))
        return {}  # the facts have it now

    def question(answer: Answer) -> Any:
        async def answered(request: Any) -> Any:
            return await _answered(request, answer)

        return web.Route(f"/api/{answer.__name__}", answered, methods=["POST"])

    routes = [
        web.Route("/facts.json", facts),
        web.Route("/arrays.bin", arrays),
        *map(question, (decode, encode, path, live, draw)),
    ]
    app = web.Starlette(routes=routes, exception_handlers={404: page})
    app.router.redirect_slashes = False
    return app


def _alone() -> None:
    """One core for this thread: on few rows, threads that wait for each other take longer than one that does it all."""
    import torch

    torch.set_num_threads(1)


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
    body = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return needed().Response(body, status_code=status, media_type=JSON)


def parsed(body: bytes) -> dict[str, Any]:
    """The JSON object that was sent.

    Raises:
        DataError: E212, it is none.
    """
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        raise DataError("E212", "the body is not JSON.") from None
    if not isinstance(told, dict):
        raise DataError("E212", "a JSON object is expected.")
    return told


def needed() -> Any:
    """The parts of Starlette, if it and uvicorn are installed.

    Raises:
        ResourceError: E404, one is not.
    """
    try:
        import uvicorn  # noqa: F401
        from starlette import applications, responses, routing
    except ImportError:
        hint = "pip install 'vaekit[web]'"
        raise ResourceError("E404", "the explorer needs starlette and uvicorn.", hint=hint) from None

    class Parts:
        Starlette, Response, Route = applications.Starlette, responses.Response, routing.Route

    return Parts


# ---------------------------------------------------------------------- listening


class Explorer:
    """A server in a thread of its own.

    Args:
        stage: What is shown.
        host: The address to listen on; any but the loopback one needs a token, which is made.
        port: 0 takes any that is free.
        limits: What a client may take.
    """

    def __init__(
        self,
        stage: Stage,
        host: str = "127.0.0.1",
        port: int = 0,
        limits: Limits | None = None,
    ) -> None:
        needed()
        self.host, self.limits = host, limits or Limits()
        self.socket = listening(host, port)
        self.port = int(self.socket.getsockname()[1])
        self.token = "" if host in LOOPBACK else secrets.token_hex(16)
        self.stage, files = stage, page_files()
        rules = Rules(known_hosts(host, self.port), self.token, frozenset(files), self.limits)
        self.app = Guard(application(stage, files), rules)
        self._server, self._thread = self._start()

    @property
    def url(self) -> str:
        """Where the page is; with the token, if there is one, where no server writes it into a log."""
        name = {"0.0.0.0": socket.gethostname(), "::": socket.gethostname()}.get(self.host, self.host)
        place = f"http://{f'[{name}]' if ':' in name else name}:{self.port}/"
        return f"{place}#token={self.token}" if self.token else place

    def _start(self) -> tuple[Any, threading.Thread]:
        import uvicorn

        from vaekit.explorer.protocol import Protocol

        config = uvicorn.Config(
            self.app, http=Protocol.within(self.limits.head_seconds), ws="none", loop="asyncio", lifespan="off",
            log_level="critical", access_log=False, server_header=False, proxy_headers=False,
            limit_concurrency=self.limits.connections, timeout_keep_alive=15, timeout_graceful_shutdown=1,
        )  # fmt: skip
        server = uvicorn.Server(config)
        thread = threading.Thread(
            target=server.run, kwargs={"sockets": [self.socket]}, name="vaekit explorer", daemon=True
        )
        thread.start()
        return server, thread

    def wait(self) -> None:
        """Go on until SIGINT or SIGTERM comes; a second one does not wait for what is being answered."""
        from vaekit.signals import stops

        with stops() as stop:
            while self._thread.is_alive() and not stop.signum:
                self._thread.join(0.1)
            try:
                self.stop()
            except KeyboardInterrupt:
                self._server.force_exit = True

    def stop(self) -> None:
        """End the server."""
        self.stage.close()
        self._server.should_exit = True
        self._thread.join(3)

    def __enter__(self) -> Explorer:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        ResourceError: E406 the port is in use; E402 the address is not one of this machine.
    """
    found: socket.socket | None = None
    try:
        family, kind, number, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        found = socket.socket(family, kind, number)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
        found.listen(128)
    except OSError as error:
        if found is not None:
            found.close()
        if error.errno == errno.EADDRINUSE:
            raise ResourceError("E406", f"port {port} is in use.", hint="--port 0 takes a free one") from None
        reason = error.strerror or error
        raise ResourceError(
            "E402", f"{host}:{port} cannot be listened on ({reason}).", hint="--host 127.0.0.1 --port 0"
        ) from None
    found.set_inheritable(False)
    return found


def known_hosts(host: str, port: int) -> frozenset[str]:
    """What the Host header may be: the address that was asked for; on the loopback address its name too.

    In small letters, as browsers send names, however the machine writes its own.

    Example:
        >>> sorted(known_hosts("127.0.0.1", 8000))
        ['127.0.0.1:8000', 'localhost:8000']
    """
    names = {host, "localhost"} if host in LOOPBACK else {host}
    if host in ("0.0.0.0", "::"):
        names = {socket.gethostname()}
    ends = {(f"[{name}]:{port}" if ":" in name else f"{name}:{port}").lower() for name in names}
    ends |= {end.removesuffix(":80") for end in ends}
    return frozenset(ends | ({"*"} if host in ("0.0.0.0", "::") else set()))


def warn_open(host: str) -> None:
    """Say what it means to listen on another address than the loopback one."""
    if host not in LOOPBACK:
        warnings.warn(
            f"on {host} everyone who can reach this machine and has the token in the address can look at the run; what "
            "is sent is not encrypted",
            stacklevel=2,
        )
