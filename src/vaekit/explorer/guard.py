"""The guard of the explorer's server: what every request must pass before anything else sees it.

    Host → Origin → token → method, JSON, custom header → size of the body → time-outs → requests at once

A page elsewhere in the same browser can send requests to this machine, also under a name of its own that it lets point
here (DNS rebinding). So only requests to exactly the address that was printed are answered, none from another origin,
and what changes or computes something needs a header that no plain form can send. No answer allows another origin to
read it.
"""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

CSP = "default-src 'self'; img-src 'self' data: blob:; script-src 'self' 'wasm-unsafe-eval'"
HEADERS = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
CUSTOM = (b"x-vaekit", b"1")
OPEN = "/api/"  # what lies below is asked by POST, all else by GET


@dataclass(frozen=True)
class Limits:
    """What a client may take.

    Attributes:
        body: Bytes of a request's body.
        seconds: In which a body must have come.
        head_seconds: In which a request's line and headers must have come.
        at_once: Requests that are answered at the same time.
        connections: That are open at the same time.
    """

    body: int = 4_000_000
    seconds: float = 10.0
    head_seconds: float = 10.0
    at_once: int = 16
    connections: int = 64


@dataclass(frozen=True)
class Rules:
    """Whom the guard lets in.

    Attributes:
        hosts: What a request's Host header may be, exactly.
        token: What a request for data must bear; empty on the loopback address, where none is needed.
        public: Paths of the page itself, which hold no data and which a browser asks for before it can bear a token.
        limits: What a client may take.
    """

    hosts: frozenset[str]
    token: str = ""
    public: frozenset[str] = frozenset()
    limits: Limits = field(default_factory=Limits)


class Refused(Exception):
    """A request that is not answered.

    Args:
        status: Of HTTP.
        why: One sentence.
    """

    def __init__(self, status: int, why: str, **headers: str) -> None:
        self.status, self.why, self.headers = status, why, headers
        super().__init__(why)


class Guard:
    """An application behind the rules.

    Args:
        app: What is guarded.
        rules: Whom to let in.
    """

    def __init__(self, app: App, rules: Rules) -> None:
        self.app, self.rules, self.running = app, rules, 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":  # no web sockets
            await receive()
            await send({"type": "websocket.close", "code": 1008})
            return
        guarded = hardened(send)
        try:
            check_head(scope, self.rules)
            body = await whole_body(scope, receive, self.rules.limits)
            if self.running >= self.rules.limits.at_once:
                raise Refused(503, "too many requests at once.", **{"retry-after": "1"})
        except Refused as refusal:
            await refuse(guarded, refusal)
            return
        self.running += 1
        try:
            await self.app(scope, replayed(body, receive), guarded)
        finally:
            self.running -= 1


def check_head(scope: Scope, rules: Rules) -> None:
    """Hold a request's line and headers against the rules.

    Raises:
        Refused: The first rule that is broken, in the order Host, Origin, token, form.
    """
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    host = check_host(valued(headers, b"host"), allowed(rules.hosts, scope))
    check_origin(valued(headers, b"origin"), host)
    check_token(valued(headers, b"authorization"), rules, scope["path"])
    check_form(scope, headers)


def valued(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> list[bytes]:
    """All values of a header."""
    return [value for key, value in headers if key.lower() == name]


def allowed(hosts: frozenset[str], scope: Scope) -> frozenset[str]:
    """The hosts, and the address that the connection came in at where the server listens on all of them."""
    server = scope.get("server")
    if "*" not in hosts or not server:
        return hosts
    name = f"[{server[0]}]" if ":" in str(server[0]) else str(server[0])
    return hosts | {f"{name}:{server[1]}"}


def check_host(found: list[bytes], hosts: frozenset[str]) -> str:
    """The one Host, if it is exactly one of those that are known."""
    if len(found) != 1 or found[0] == b"*":
        raise Refused(403, "one Host header is expected.")
    host = found[0].decode("latin-1")
    if host not in hosts:
        raise Refused(403, "this address is not known here.")
    return host


def check_origin(found: list[bytes], host: str) -> None:
    """An Origin, where there is one, is that of the page itself."""
    if len(found) > 1 or any(one != b"http://" + host.encode("latin-1") for one in found):
        raise Refused(403, "requests of other pages are not answered.")


def check_token(found: list[bytes], rules: Rules, path: str) -> None:
    """Whoever asks for data bears the token, where one is needed; compared in constant time."""
    if not rules.token or path in rules.public:
        return
    wanted = b"Bearer " + rules.token.encode()
    if len(found) != 1 or not hmac.compare_digest(found[0], wanted):
        raise Refused(
            401, "the token that was printed with the address is needed.", **{"www-authenticate": "Bearer"}
        )


def check_form(scope: Scope, headers: list[tuple[bytes, bytes]]) -> None:
    """GET without a body for what is read; POST of JSON with the custom header for what is computed."""
    asked = scope["path"].startswith(OPEN)
    wanted = ("POST",) if asked else ("GET", "HEAD")
    if scope["method"] not in wanted:
        raise Refused(405, f"{wanted[0]} is expected.", allow=", ".join(wanted))
    if valued(headers, b"upgrade"):
        raise Refused(400, "no other protocol is spoken here.")
    if not asked:
        return
    kinds = [one.split(b";")[0].strip().lower() for one in valued(headers, b"content-type")]
    if kinds != [b"application/json"]:
        raise Refused(415, "Content-Type: application/json is expected.")
    if valued(headers, CUSTOM[0]) != [CUSTOM[1]]:
        raise Refused(403, "the header X-Vaekit: 1 is expected.")


async def whole_body(scope: Scope, receive: Receive, limits: Limits) -> bytes:
    """A request's body, once it is there.

    Raises:
        Refused: 413, it is too long; 408, it does not come; 400, its length is no number.
    """
    most = limits.body if scope["path"].startswith(OPEN) else 0
    told = valued(scope["headers"], b"content-length")
    if len(told) > 1 or any(not one.isdigit() for one in told):
        raise Refused(400, "one length of the body is expected.")
    if told and int(told[0][:20]) > most:
        raise Refused(413, f"a body of at most {most} bytes is expected.")
    try:
        return await asyncio.wait_for(_read(receive, most), limits.seconds)
    except TimeoutError:
        raise Refused(408, "the body did not come in time.") from None


async def _read(receive: Receive, most: int) -> bytes:
    parts, length = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refused(400, "the body broke off.")
        parts.append(message.get("body", b""))
        length += len(parts[-1])
        if length > most:
            raise Refused(413, f"a body of at most {most} bytes is expected.")
        if not message.get("more_body", False):
            return b"".join(parts)


def replayed(body: bytes, receive: Receive) -> Receive:
    """The body once more, for the application."""
    given = False

    async def again() -> MutableMapping[str, Any]:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def hardened(send: Send) -> Send:
    """Every answer with the headers of safety, and none that lets another origin in."""

    async def guarded(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            own = [
                (name, value)
                for name, value in message.get("headers", [])
                if name.lower().decode() not in HEADERS and not name.lower().startswith(b"access-control-")
            ]
            message["headers"] = own + [(name.encode(), value.encode()) for name, value in HEADERS.items()]
        await send(message)

    return guarded


async def refuse(send: Send, refusal: Refused) -> None:
    """Answer with the reason as JSON."""
    error = {"code": f"H{refusal.status}", "message": refusal.why, "hint": ""}
    body = json.dumps({"error": error}).encode()
    headers = {"content-type": "application/json", "content-length": str(len(body)), "connection": "close"}
    headers |= refusal.headers
    start = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": refusal.status, "headers": start})
    await send({"type": "http.response.body", "body": body})
