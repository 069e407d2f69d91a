"""The guard of the explorer's server: hosts, origins, tokens, forms, sizes, times, paths and names of strangers."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from vaekit.explorer.application import application, page_files
from vaekit.explorer.arrays import Arrays
from vaekit.explorer.facts import Explored
from vaekit.explorer.guard import CSP, HEADERS, Guard, Limits, Rules
from vaekit.explorer.points import Points
from vaekit.explorer.server import Explorer, known_hosts
from vaekit.explorer.stage import Scene, Stage

HOST, TOKEN = "127.0.0.1:8000", "0123456789abcdef0123456789abcdef"
FORM = {"content-type": "application/json", "x-vaekit": "1"}


class Answered(SimpleNamespace):
    """Answers that need no model."""

    def decode(self, asked: dict[str, Any]) -> dict[str, Any]:
        return {"items": [asked]}

    encode = decode


def stage(title: str = "a run", labels: tuple[str, ...] = ()) -> Stage:
    arrays = Arrays()
    arrays.add([1, 2, 3], "u1")
    return Stage(
        Scene(Explored({"title": title, "labels": list(labels)}, arrays.bytes, Points.none(2)), Answered())
    )


def guarded(limits: Limits | None = None, token: str = "", hosts: frozenset[str] | None = None) -> Guard:
    files = page_files()
    hosts = known_hosts("127.0.0.1", 8000) if hosts is None else hosts
    return Guard(application(stage(), files), Rules(hosts, token, frozenset(files), limits or Limits()))


@pytest.fixture(scope="module")
def guard() -> Guard:
    return guarded()


@pytest.fixture(scope="module")
def with_token() -> Guard:
    return guarded(token=TOKEN)


class Reply(SimpleNamespace):
    """Status, headers and body of an answer."""

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def ask(
    app: Guard,
    method: str = "GET",
    path: str = "/facts.json",
    headers: Any = (),
    body: bytes = b"",
    host: str | None = HOST,
    parts: list[bytes] | None = None,
    kind: str = "http",
) -> Reply:
    """One request, as the server would hand it over."""
    given = list(headers.items() if isinstance(headers, dict) else headers)
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in given]
    raw = ([] if host is None else [(b"host", host.encode())]) + raw
    scope = {
        "type": kind, "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "path": path,
        "root_path": "", "raw_path": path.encode(), "query_string": b"", "headers": raw, "server": ("127.0.0.1", 8000),
        "client": ("127.0.0.1", 5), "scheme": "http",
    }  # fmt: skip
    sent: list[dict[str, Any]] = []
    chunks = [body] if parts is None else parts
    messages = [
        {"type": "http.request", "body": chunk, "more_body": i + 1 < len(chunks)}
        for i, chunk in enumerate(chunks)
    ]

    async def receive() -> Any:
        if messages:
            return messages.pop(0)
        await asyncio.sleep(3600)

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    content = b"".join(message.get("body", b"") for message in sent[1:])
    told = {name.decode().lower(): value.decode() for name, value in sent[0].get("headers", [])}
    return Reply(status=sent[0].get("status", 0), headers=told, body=content, sent=sent)


def post(
    app: Guard, path: str = "/api/decode", body: bytes = b"{}", headers: Any = None, **more: Any
) -> Reply:
    return ask(app, "POST", path, FORM if headers is None else headers, body, **more)


# ---------------------------------------------------------------------- Host and Origin

EVIL = "http://evil.com"
VARIANTS = {
    # name: (hosts, origins, whether it is let in)
    "exact": ([HOST], [], True),
    "its name": (["localhost:8000"], [], True),
    "same origin": ([HOST], [f"http://{HOST}"], True),
    "same origin by name": (["localhost:8000"], ["http://localhost:8000"], True),
    "evil.com": (["evil.com"], [], False),
    "evil.com with the port": (["evil.com:8000"], [], False),
    "localhost.evil.com": (["localhost.evil.com:8000"], [], False),
    "nip.io": (["127.0.0.1.nip.io:8000"], [], False),
    "no port": (["127.0.0.1"], [], False),
    "other port": (["127.0.0.1:8001"], [], False),
    "longer port": (["127.0.0.1:80000"], [], False),
    "IPv6": (["[::1]:8000"], [], False),
    "mapped IPv6": (["[::ffff:127.0.0.1]:8000"], [], False),
    "all addresses": (["0.0.0.0:8000"], [], False),
    "another loopback": (["127.0.0.2:8000"], [], False),
    "a whole number": (["2130706433:8000"], [], False),
    "empty": ([""], [], False),
    "missing": ([], [], False),
    "twice": ([HOST, HOST], [], False),
    "twice, one evil": ([HOST, "evil.com"], [], False),
    "userinfo": (["127.0.0.1:8000@evil.com"], [], False),
    "userinfo before": (["evil.com@127.0.0.1:8000"], [], False),
    "trailing dot": (["localhost.:8000"], [], False),
    "upper case": (["LOCALHOST:8000"], [], False),
    "a list": (["127.0.0.1:8000, evil.com"], [], False),
    "a star": (["*"], [], False),
    "blank": ([" 127.0.0.1:8000"], [], False),
    "with a path": (["127.0.0.1:8000/"], [], False),
    "origin evil": ([HOST], [EVIL], False),
    "origin null": ([HOST], ["null"], False),
    "origin empty": ([HOST], [""], False),
    "origin of another port": ([HOST], ["http://127.0.0.1:8001"], False),
    "origin https": ([HOST], ["https://127.0.0.1:8000"], False),
    "origin of the other name": ([HOST], ["http://localhost:8000"], False),
    "origin with a path": ([HOST], ["http://127.0.0.1:8000/"], False),
    "origin in upper case": ([HOST], ["HTTP://127.0.0.1:8000"], False),
    "origin twice": ([HOST], [f"http://{HOST}", EVIL], False),
    "origin of a longer name": ([HOST], ["http://127.0.0.1:8000.evil.com"], False),
}  # fmt: skip


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_only_the_exact_host_and_origin_are_let_in(guard: Guard, name: str, method: str) -> None:
    hosts, origins, inside = VARIANTS[name]
    headers = [("host", host) for host in hosts] + [("origin", origin) for origin in origins]
    if method == "POST":
        found = post(guard, headers=[*headers, *FORM.items()], host=None)
    else:
        found = ask(guard, headers=headers, host=None)
    assert (found.status == 200) == inside and (inside or found.status == 403)
    assert inside or b"a run" not in found.body


def test_a_web_socket_is_not_opened(guard: Guard) -> None:
    assert ask(guard, kind="websocket").sent == [{"type": "websocket.close", "code": 1008}]
    upgrade = {"upgrade": "websocket", "connection": "upgrade"}
    assert ask(guard, headers=upgrade).status == 400
    assert ask(guard, headers=upgrade, host="evil.com").status == 403


def test_on_all_addresses_the_one_that_was_reached_is_known() -> None:
    open_to_all = guarded(token=TOKEN, hosts=known_hosts("0.0.0.0", 8000))
    bearing = {"authorization": f"Bearer {TOKEN}"}
    assert ask(open_to_all, headers=bearing).status == 200  # the connection came in at 127.0.0.1
    for host in ("192.0.2.1:8000", "evil.com:8000", "*"):
        assert ask(open_to_all, headers=bearing, host=host).status == 403


def test_hosts_of_addresses() -> None:
    assert known_hosts("::1", 9) == {"[::1]:9", "localhost:9"}
    assert known_hosts("192.0.2.1", 9) == {"192.0.2.1:9"}
    assert known_hosts("127.0.0.1", 80) >= {"127.0.0.1", "127.0.0.1:80", "localhost"}
    assert "*" not in known_hosts("127.0.0.1", 9)


def test_a_machine_that_writes_its_name_in_capitals_is_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "Ada-Laptop.local")
    open_to_all = guarded(token=TOKEN, hosts=known_hosts("0.0.0.0", 8000))
    headers = {
        "authorization": f"Bearer {TOKEN}",
        "origin": "http://ada-laptop.local:8000",
    }  # as browsers send it
    assert ask(open_to_all, headers=headers, host="ada-laptop.local:8000").status == 200


# ---------------------------------------------------------------------- what every answer bears


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/", 200), ("GET", "/facts.json", 200), ("GET", "/arrays.bin", 200), ("GET", "/none", 404),
     ("DELETE", "/", 405), ("POST", "/", 405), ("GET", "/api/decode", 405), ("OPTIONS", "/api/decode", 405)],
)  # fmt: skip
def test_every_answer_is_hardened(guard: Guard, method: str, path: str, status: int) -> None:
    found = ask(guard, method, path)
    assert found.status == status
    for name, value in HEADERS.items():
        assert found.headers[name] == value
    assert (
        found.headers["content-security-policy"]
        == CSP
        == ("default-src 'self'; img-src 'self' data: blob:; script-src 'self' 'wasm-unsafe-eval'")
    )
    assert found.headers["x-content-type-options"] == "nosniff"
    assert not [name for name in found.headers if name.startswith("access-control")]


def test_headers_of_the_application_do_not_weaken_those_of_the_guard() -> None:
    async def lax(scope: Any, receive: Any, send: Any) -> None:
        headers = [
            (b"access-control-allow-origin", b"*"),
            (b"Content-Security-Policy", b"none"),
            (b"x-own", b"1"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    found = ask(Guard(lax, Rules(frozenset({HOST}))))
    assert found.headers["content-security-policy"] == CSP and found.headers["x-own"] == "1"
    assert "access-control-allow-origin" not in found.headers


# ---------------------------------------------------------------------- the form of a question

FORMS = {
    "as it should be": (FORM, 200),
    "with a charset": ({**FORM, "content-type": "application/json; charset=utf-8"}, 200),
    "a plain form": ({"content-type": "application/x-www-form-urlencoded"}, 415),
    "text": ({**FORM, "content-type": "text/plain"}, 415),
    "files": ({**FORM, "content-type": "multipart/form-data"}, 415),
    "no type": ({"x-vaekit": "1"}, 415),
    "like JSON": ({**FORM, "content-type": "application/jsonp"}, 415),
    "no custom header": ({"content-type": "application/json"}, 403),
    "another value": ({**FORM, "x-vaekit": "0"}, 403),
    "two values": ([*FORM.items(), ("x-vaekit", "1")], 403),
    "two types": ([*FORM.items(), ("content-type", "text/plain")], 415),
}


@pytest.mark.parametrize("name", FORMS)
def test_questions_are_json_with_the_custom_header(guard: Guard, name: str) -> None:
    headers, status = FORMS[name]
    assert post(guard, headers=headers).status == status


@pytest.mark.parametrize(
    "method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE", "CONNECT", "post"]
)
def test_questions_are_posted(guard: Guard, method: str) -> None:
    assert ask(guard, method, "/api/decode", FORM, b"{}").status == 405


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"3", b"null", b"\xff", b"NaN" * 3, b"[" * 100_000])
def test_bodies_that_are_no_json_object_are_refused_in_our_words(guard: Guard, body: bytes) -> None:
    found = post(guard, body=body)
    assert found.status == 422 and found.json["error"]["code"] == "E212"


# ---------------------------------------------------------------------- tokens


@pytest.mark.parametrize(
    "value",
    [None, "", "Bearer", "Bearer ", TOKEN, f"bearer {TOKEN}", f"Bearer  {TOKEN}", f"Bearer {TOKEN[:-1]}",
     f"Bearer {TOKEN}0", f"Bearer {TOKEN.upper()}", f"Basic {TOKEN}", f"Bearer {TOKEN}, Bearer x", "Bearer \xff"],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/facts.json", "/arrays.bin", "/api/decode", "/none"])
def test_data_need_the_token(with_token: Guard, path: str, value: str | None) -> None:
    headers = {**FORM, **({} if value is None else {"authorization": value})}
    found = ask(with_token, "POST" if path.startswith("/api") else "GET", path, headers)
    assert found.status == 401 and found.headers["www-authenticate"] == "Bearer"
    assert TOKEN.encode() not in found.body


def test_who_bears_the_token_is_let_in(with_token: Guard) -> None:
    bearing = {"authorization": f"Bearer {TOKEN}"}
    assert ask(with_token, headers=bearing).status == 200
    assert post(with_token, headers={**FORM, **bearing}).status == 200
    twice = [("authorization", f"Bearer {TOKEN}")] * 2
    assert ask(with_token, headers=twice).status == 401


def test_the_page_itself_holds_no_data_and_needs_no_token(with_token: Guard) -> None:
    assert ask(with_token, path="/").status == 200


def test_tokens_are_compared_in_constant_time(with_token: Guard, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr("hmac.compare_digest", lambda a, b: seen.append((a, b)) or False)
    assert ask(with_token, headers={"authorization": "Bearer x"}).status == 401
    assert seen == [(b"Bearer x", f"Bearer {TOKEN}".encode())]


# ---------------------------------------------------------------------- the order, sizes, numbers


def test_the_order_is_host_origin_token_form_size() -> None:
    app = guarded(Limits(body=4, at_once=0), TOKEN)
    bearing = {"authorization": f"Bearer {TOKEN}"}
    steps = [
        ({"origin": EVIL}, b"too long", "evil.com", 403),
        ({"origin": EVIL}, b"too long", HOST, 403),
        ({}, b"too long", HOST, 401),
        (bearing, b"too long", HOST, 415),
        ({**bearing, "content-type": "application/json"}, b"too long", HOST, 403),
        ({**bearing, **FORM}, b"too long", HOST, 413),
        ({**bearing, **FORM}, b"{}", HOST, 503),
    ]
    for headers, body, host, status in steps:
        assert post(app, headers=headers, body=body, host=host).status == status


@pytest.mark.parametrize(
    ("parts", "told", "status"),
    [
        ([b"{}"], "2", 200), ([b"{", b"}"], None, 200), ([b"{}" + b" " * 30], None, 200), ([b" " * 33], "33", 413),
        ([b" " * 33], "2", 413), ([b" " * 20] * 2, None, 413), ([b"{}"], "99999999999999999999999", 413),
        ([b"{}"], "-1", 400), ([b"{}"], "1e3", 400), ([b"{}"], "", 400), ([b"{}"], "²", 400),
    ],
)  # fmt: skip
def test_bodies_are_limited_whatever_length_is_told(
    parts: list[bytes], told: str | None, status: int
) -> None:
    app = guarded(Limits(body=32))
    headers = {**FORM, **({} if told is None else {"content-length": told})}
    assert post(app, headers=headers, parts=parts).status == status


def test_what_is_read_takes_no_body(guard: Guard) -> None:
    assert ask(guard, body=b"x").status == 413
    assert ask(guard, headers={"content-length": "1"}).status == 413
    assert ask(guard, headers={"content-length": "0"}).status == 200


def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    found = post(guarded(Limits(seconds=0.05)), parts=[])
    assert found.status == 408 and found.headers["connection"] == "close"


def test_a_body_that_breaks_off_is_refused() -> None:
    async def told(app: Guard) -> list[Any]:
        sent = []
        headers = [(name.encode(), value.encode()) for name, value in {"host": HOST, **FORM}.items()]
        scope = {"type": "http", "method": "POST", "path": "/api/decode", "headers": headers, "server": None}

        async def receive() -> Any:
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        await app(scope, receive, send)
        return sent

    assert asyncio.run(told(guarded()))[0]["status"] == 400


def test_so_many_requests_are_answered_at_once_and_no_more() -> None:
    async def run() -> tuple[list[int], int]:
        go, statuses = asyncio.Event(), []

        async def slow(scope: Any, receive: Any, send: Any) -> None:
            await go.wait()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        app = Guard(slow, Rules(frozenset({HOST}), limits=Limits(at_once=2)))

        async def one() -> None:
            async def receive() -> Any:
                return {"type": "http.request", "body": b"", "more_body": False}

            async def send(message: Any) -> None:
                if message["type"] == "http.response.start":
                    statuses.append(message["status"])

            scope = {
                "type": "http",
                "method": "GET",
                "path": "/",
                "headers": [(b"host", HOST.encode())],
                "server": None,
            }
            await app(scope, receive, send)

        tasks = [asyncio.create_task(one()) for _ in range(5)]
        for _ in range(20):
            await asyncio.sleep(0)
        early = list(statuses)
        go.set()
        await asyncio.gather(*tasks)
        await one()
        return early, statuses.count(200)

    early, answered = asyncio.run(run())
    assert early == [503, 503, 503] and answered == 3


# ---------------------------------------------------------------------- paths

CLIMBS = ["../", "..\\", "%2e%2e/", "%2e%2e%2f", "..%2f", "..%5c", "%252e%252e%252f", "....//", "..;/", "..%00/",
          "..%c0%af", "%c0%ae%c0%ae/", "..%ef%bc%8f", "./../", "/../", "..//"]  # fmt: skip
TARGETS = ["etc/passwd", "run.json", "model/weights.safetensors", "__init__.py", "server.py"]
TRAVERSALS = [f"/{climb * 4}{target}" for climb in CLIMBS for target in TARGETS]


def test_there_are_eighty_traversals() -> None:
    assert len(set(TRAVERSALS)) == 80


@pytest.mark.parametrize("path", TRAVERSALS)
def test_no_path_of_a_client_reaches_a_file(guard: Guard, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from urllib.parse import unquote

    for form in (path, unquote(path), "/assets" + path, "/api" + path):
        method, headers = ("POST", FORM) if form.startswith("/api/") else ("GET", {})
        found = ask(guard, method, form.encode("utf-8", "replace").decode("utf-8"), headers)
        assert found.status in (404, 405) and b"root:" not in found.body and b"import" not in found.body


@pytest.mark.parametrize(
    "path", ["//", "/index.html/", "/INDEX.HTML", "/facts.json/", "/facts.json%00", "//facts.json", "/api/",
             "/api/decode/", "/api/__init__", "/api/heldout", "facts.json", "http://evil.com/", "*", ""],
)  # fmt: skip
def test_only_the_names_that_are_known_are_there(guard: Guard, path: str) -> None:
    asked = path.startswith("/api/")
    found = ask(guard, "POST" if asked else "GET", path, FORM if asked else {})
    assert found.status == 404 and found.json["error"]["message"]


# ---------------------------------------------------------------------- names of strangers

EVENTS = ("onload", "onerror", "onfocus", "onmouseover", "ontoggle")
TAGS = (
    "img src=x",
    "svg",
    "body",
    "input autofocus",
    "details open",
    "video src=x",
    "iframe src=javascript:",
)
XSS = [f"<{tag} {event}=alert(1)>" for tag in TAGS for event in EVENTS]
XSS += [
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    '"><img src=x>',
    "javascript:alert(1)",
    "{{7*7}}",
]


@pytest.mark.parametrize("name", XSS)
def test_names_are_sent_as_data(name: str) -> None:
    app = Guard(application(stage(name, (name,)), page_files()), Rules(frozenset({HOST})))
    found = ask(app)
    assert found.json == {"title": name, "labels": [name]}
    assert (
        found.headers["content-type"] == "application/json"
        and found.headers["x-content-type-options"] == "nosniff"
    )
    assert name.encode() not in ask(app, path="/").body
    asked = post(app, body=json.dumps({"codes": name}).encode())
    assert asked.json == {"items": [{"codes": name}]} and asked.headers["content-type"] == "application/json"


def test_there_are_forty_names() -> None:
    assert len(set(XSS)) == 40


def test_the_page_has_no_inline_script_or_style() -> None:
    page = page_files()["/index.html"][0].decode()
    assert "<style" not in page and " style=" not in page and "onload=" not in page
    assert all("src=" in tag for tag in page.split("<script")[1:])


# ---------------------------------------------------------------------- a real connection


@pytest.fixture(scope="module")
def server() -> Iterator[Explorer]:
    limits = Limits(seconds=0.3, head_seconds=0.3, connections=8)
    with Explorer(stage(), limits=limits) as found:
        yield found


def talk(server: Explorer, *sent: bytes, pause: float = 0.0) -> bytes:
    """Send bytes on a connection of its own; what comes back until the server closes it."""
    with socket.create_connection((server.host, server.port), timeout=20) as line:
        for part in sent:
            line.sendall(part)
            time.sleep(pause)
        found = b""
        while chunk := line.recv(65_536):
            found += chunk
        return found


def request(server: Explorer, head: bytes = b"", body: bytes = b"", path: bytes = b"/facts.json") -> bytes:
    method = b"POST" if path.startswith(b"/api") else b"GET"
    start = method + b" " + path + b" HTTP/1.1\r\nhost: 127.0.0.1:%d\r\nconnection: close\r\n" % server.port
    return start + head + b"\r\n" + body


def test_the_server_listens_on_the_loopback_address_alone(server: Explorer) -> None:
    assert server.socket.getsockname()[0] == "127.0.0.1"
    assert server.url == f"http://127.0.0.1:{server.port}/" and not server.token
    found = talk(server, request(server))
    assert found.startswith(b"HTTP/1.1 200") and b'"title":"a run"' in found
    assert b"server:" not in found.lower().split(b"\r\n\r\n")[0]


def test_headers_that_do_not_come_end_the_connection(server: Explorer) -> None:
    assert talk(server, b"GET / HTTP/1.1\r\nhost: 127").startswith(b"HTTP/1.1 408")
    assert talk(server).startswith(b"HTTP/1.1 408")


def test_a_body_that_does_not_come_ends_the_connection(server: Explorer) -> None:
    head = b"content-type: application/json\r\nx-vaekit: 1\r\ncontent-length: 100\r\n"
    found = talk(server, request(server, head, b"{", b"/api/decode"))
    assert found.startswith(b"HTTP/1.1 408") and b"in time" in found


def test_a_second_request_on_a_connection_has_its_own_time(server: Explorer) -> None:
    first = request(server).replace(b"connection: close", b"connection: keep-alive")
    found = talk(server, first, b"GET / HT", pause=0.15)
    assert found.count(b"HTTP/1.1 200") == 1 and found.count(b"HTTP/1.1 408") == 1


@pytest.mark.parametrize(
    "sent",
    [b"\x16\x03\x01\x00", b"GET /\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
     b"GET / HTTP/1.1\r\nhost: " + b"a" * 100_000 + b"\r\n\r\n"],
    ids=["no HTTP", "no version", "no host", "two hosts", "a long host"],
)  # fmt: skip
def test_what_is_no_request_is_refused(server: Explorer, sent: bytes) -> None:
    assert talk(server, sent).startswith((b"HTTP/1.1 400", b"HTTP/1.1 403", b"HTTP/1.1 408"))


def test_another_address_needs_a_token(recwarn: pytest.WarningsRecorder) -> None:
    from vaekit.explorer.server import warn_open

    with Explorer(stage(), host="0.0.0.0") as open_to_all:
        assert len(open_to_all.token) == 32 and int(open_to_all.token, 16) >= 0  # 128 bits
        assert open_to_all.url.endswith(f"/#token={open_to_all.token}")
        local = SimpleNamespace(host="127.0.0.1", port=open_to_all.port)
        assert talk(local, request(local)).startswith(b"HTTP/1.1 401")
        bearing = f"authorization: Bearer {open_to_all.token}\r\n".encode()
        assert talk(local, request(local, bearing)).startswith(b"HTTP/1.1 200")
    warn_open("0.0.0.0")
    assert "can look at the run" in str(recwarn.pop(UserWarning).message)
    warn_open("127.0.0.1")
    assert not recwarn.list
