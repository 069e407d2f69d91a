"""Every kind of data and every form of code in a real browser, from the server and as a static page."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright.sync_api")
from test_explorer_facts import CASES, made  # noqa: E402
from test_explorer_walk import Walk, browser, hosted  # noqa: E402, F401

from vaekit.explorer import site as sites  # noqa: E402
from vaekit.explorer.facts import explored  # noqa: E402
from vaekit.explorer.server import Explorer  # noqa: E402
from vaekit.explorer.stage import Scene, Stage  # noqa: E402

pytestmark = pytest.mark.long
FOLLOWED = 7  # frames of a path


@contextlib.contextmanager
def shown(name: str, source: str, place: Path, patch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a model that was never trained, by the name of its case."""
    data, preset, options = CASES[name]
    subject, divided = made(data, preset, **options)
    if source == "server":
        with Explorer(Stage(Scene.of(subject, explored(subject, divided=divided)))) as server:
            yield server.url
        return
    patch.setattr(sites, "explored", lambda *given, **more: explored(*given, **more, divided=divided))
    sites.site(subject, place / "site")
    with hosted(place / "site") as url:
        yield url


@pytest.mark.parametrize("source", ["server", "static"])
@pytest.mark.parametrize("name", CASES)
def test_every_kind_is_explored(
    name: str,
    source: str,
    browser: Any,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with shown(name, source, tmp_path, monkeypatch) as url:
        walk = Walk(browser, url, f"{name}-{source}")
        for place in ((0.3, 0.4), (0.5, 0.5), (0.6, 0.6)):
            walk.page.mouse.move(*walk.point(*place))
            walk.page.wait_for_timeout(250)
        walk.page.wait_for_function("document.documentElement.dataset.hoverMs")
        for end, item in (("a", 1), ("b", 7)):
            walk.at(f"end-{end}-item").fill(str(item))
            walk.at(f"end-{end}-item").press("Enter")
        walk.at("path-steps").fill(str(FOLLOWED))
        walk.at("path-steps").press("Enter")
        walk.at("path-show").click()
        walk.page.wait_for_selector(f"[data-testid=frame-{FOLLOWED - 1}]")
        walk.at("own-item").fill("3")
        walk.at("own-item").press("Enter")
        walk.page.wait_for_selector("[data-testid=own-go]")
        assert walk.at("own-nearest").locator("li").count() == 10
        assert "item " in walk.at("own-nearest").locator("li").first.inner_text()
        walk.at("own-go").click()
        walk.shot("all", whole=True)
        walk.fine()
        walk.context.close()
