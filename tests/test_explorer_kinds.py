"""Every kind of data and every form of code in a real browser, from the server and as a static page."""

from __future__ import annotations

import contextlib
import re
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
CENTRED = ("sphere",)  # draws of von Mises and Fisher's distribution cannot stand in a graph of any batch
FOLLOWED, ENDS = 7, (1, 7)  # frames of a path, and the items at its ends


@contextlib.contextmanager
def shown(name: str, source: str, place: Path, patch: pytest.MonkeyPatch) -> Iterator[tuple[str, Scene]]:
    """The address of a model that was never trained, by the name of its case, and what the server knows of it."""
    data, preset, options = CASES[name]
    subject, divided = made(data, preset, **options)
    scene = Scene.of(subject, explored(subject, divided=divided))
    if source == "server":
        with Explorer(Stage(scene)) as server:
            yield server.url, scene
        return
    patch.setattr(sites, "explored", lambda *given, **more: explored(*given, **more, divided=divided))
    sites.site(subject, place / "site")
    with hosted(place / "site") as url:
        yield url, scene


def of_item(scene: Scene, index: int) -> dict[str, Any]:
    """What the page asks about the code of an item."""
    return {"codes": [scene.explored.points.codes[index].tolist()], "condition": None}


@pytest.mark.parametrize("source", ["server", "static"])
@pytest.mark.parametrize("name", CASES)
def test_every_kind_is_explored(
    name: str,
    source: str,
    browser: Any,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with shown(name, source, tmp_path, monkeypatch) as (url, scene):
        walk = Walk(browser, url, f"{name}-{source}")
        for place in ((0.3, 0.4), (0.5, 0.5), (0.6, 0.6)):
            walk.page.mouse.move(*walk.point(*place))
            walk.page.wait_for_timeout(250)
        walk.page.wait_for_function("document.documentElement.dataset.hoverMs")
        for end, item in zip("ab", ENDS, strict=True):
            walk.at(f"end-{end}-item").fill(str(item))
            walk.at(f"end-{end}-item").press("Enter")
        walk.at("path-steps").fill(str(FOLLOWED))
        walk.at("path-steps").press("Enter")
        walk.at("path-show").click()
        walk.page.wait_for_selector(f"[data-testid=frame-{FOLLOWED - 1}]")
        if scene.explored.facts["nll"]:
            told = walk.at("path-curve").locator("svg").get_attribute("aria-label").replace("−", "-")
            found = [float(number) for number in re.findall(r"(?:from|to) (-?[\d.e+-]+)", told)]
            wanted = [scene.answers.path(of_item(scene, i)).nll(0) for i in ENDS]
            drawn = source == "server" or name not in CENTRED
            assert told.startswith("-log p" if drawn else "-ELBO")
            assert not drawn or found == pytest.approx(wanted, rel=2e-3, abs=2e-3)
        walk.at("own-item").fill("3")
        walk.at("own-item").press("Enter")
        walk.page.wait_for_selector("[data-testid=own-go]")
        assert walk.at("own-nearest").locator("li").count() == 10
        assert "item " in walk.at("own-nearest").locator("li").first.inner_text()
        walk.at("own-go").click()
        walk.shot("all", whole=True)
        walk.fine()
        walk.context.close()
