"""The explorer's page as it is shipped: nothing from elsewhere, nothing inline, and built from the present source."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
WEB, PAGE = ROOT / "web", ROOT / "src" / "vaekit" / "explorer" / "page"
WASM = "assets/onnxruntime.wasm.gz"

# names that the bundled libraries hold and never ask anything of
HARMLESS = (
    "http://www.w3.org/",  # of SVG, MathML, XHTML
    "https://rolldown.rs/",  # in the text of an error of the bundler
    "https://web.dev/cross-origin-isolation-guide/",  # in a warning of onnxruntime
)


class Tags(HTMLParser):
    """Tags with their attributes, and the text inside scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inline = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data) -> None:
        if self.tags and self.tags[-1][0] in ("script", "style"):
            self.inline += data.strip()


@pytest.fixture(scope="module")
def index() -> Tags:
    return Tags((PAGE / "index.html").read_text(encoding="utf-8"))


def texts() -> dict[str, str]:
    return {
        path.relative_to(PAGE).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(PAGE.rglob("*"))
        if path.suffix in (".html", ".js", ".css", ".svg", ".json")
    }


def test_nothing_is_inline(index) -> None:
    assert index.inline == ""
    for tag, attributes in index.tags:
        assert tag != "style" and "style" not in attributes
        assert not [name for name in attributes if name.startswith("on")]
        assert tag != "script" or attributes.get("src")


def test_what_the_page_names_is_there_and_relative(index) -> None:
    named = [a.get("src") or a.get("href") for tag, a in index.tags if tag in ("script", "link")]
    assert len(named) >= 3
    for name in named:
        assert name.startswith("./") and (PAGE / name).is_file()
    script = texts()["assets/index.js"]
    for name in re.findall(r'import\("(\./[^"]+)"\)', script):
        assert (PAGE / "assets" / name).is_file()
    assert WASM in texts()["assets/static.js"] and (PAGE / WASM).is_file()


def test_no_address_elsewhere_is_named() -> None:
    for name, text in texts().items():
        found = set(re.findall(r"(?:https?|wss?):/{2}[^\s\"'`<>)\\]+", text))
        odd = {url for url in found if not url.startswith(HARMLESS)}
        assert not odd, f"{name}: {odd}"
        assert not re.search(r"url\(\s*[\"']?//|@import", text), name


def test_no_text_is_run_as_code() -> None:
    for name, text in texts().items():
        if name.endswith(".js"):
            assert not re.search(r"new Function\b|(?<![\w.$])eval\(|\bFunction\.apply\b", text), name


def test_it_is_small() -> None:
    sizes = {path.name: path.stat().st_size for path in PAGE.rglob("*") if path.is_file()}
    assert sum(sizes.values()) < 6_000_000
    assert sum(size for name, size in sizes.items() if name.endswith((".js", ".css", ".html"))) < 500_000
    assert gzip.decompress((PAGE / WASM).read_bytes())[:4] == b"\0asm"


def test_it_is_built_from_the_present_source() -> None:
    if not WEB.is_dir():
        pytest.skip("the front end's source is not here")
    names = ["index.html", "package.json", "vite.config.ts"]
    for folder in ("public", "src"):
        names += [path.relative_to(WEB).as_posix() for path in (WEB / folder).rglob("*") if path.is_file()]
    digest = hashlib.sha256()
    for name in sorted(names):
        content = (WEB / name).read_text(encoding="utf-8")  # line ends as \n
        digest.update(f"{name}\n{content}\n".encode())
    built = json.loads((PAGE / "build.json").read_text(encoding="utf-8"))
    assert built["source"] == digest.hexdigest(), "npm run build in web/"


def test_no_host_of_a_registry_is_locked() -> None:
    if not WEB.is_dir():
        pytest.skip("the front end's source is not here")
    lock = json.loads((WEB / "package-lock.json").read_text(encoding="utf-8"))
    wanted = json.loads((WEB / "package.json").read_text(encoding="utf-8"))
    for name, entry in lock["packages"].items():
        assert "resolved" not in entry, name
        assert not name or "integrity" in entry, name
    for each in ("dependencies", "devDependencies"):
        for name, version in wanted[each].items():
            assert re.fullmatch(r"\d+\.\d+\.\d+", version)
            assert lock["packages"][f"node_modules/{name}"]["version"] == version
