"""The explorer's server: a thread that listens on a socket, with the application behind the guard."""

from __future__ import annotations

import contextlib
import errno
import secrets
import socket
import threading
import warnings
from typing import Any

from vaekit.errors import ResourceError
from vaekit.explorer.application import application, page_files
from vaekit.explorer.guard import Guard, Limits, Rules
from vaekit.explorer.stage import Stage
from vaekit.signals import Stop, noted

LOOPBACK = ("127.0.0.1", "::1", "localhost")


def check_installed() -> None:
    """See to it that what the server is built on is there.

    Raises:
        ResourceError: E404, Starlette or uvicorn is not installed.
    """
    try:
        import starlette.applications  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError:
        hint = "pip install 'vaekit[web]'"
        raise ResourceError("E404", "the explorer needs starlette and uvicorn.", hint=hint) from None


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
        check_installed()
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
        """The address of the page; a token stands behind the #, which browsers do not send, so that no log holds it."""
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

    def wait(self, stop: Stop | None = None) -> None:
        """Serve until SIGINT or SIGTERM comes, and then finish what is being answered, which takes seconds at most.

        Args:
            stop: Where a signal is noted, by whoever handles them already.
        """
        with contextlib.nullcontext(stop) if stop else noted() as asked:
            while self._thread.is_alive() and not asked.signum:
                self._thread.join(0.1)
            self.stop()

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
