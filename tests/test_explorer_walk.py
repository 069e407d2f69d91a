"""The explorer as people use it: every interaction in a real browser, from the server and from a static page.

Runs of digits, of faces (64 × 64) and of Adult's rows, the last two where VAEKIT_DATA names the shared data. Needs
playwright and a Chromium. With VAEKIT_SHOTS=FOLDER pictures of every step and what was measured are left there, and
runs that are there are used again.
"""

from __future__ import annotations

import contextlib
import functools
import http.server
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vaekit

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
if CHROMIUM is None:
    pytest.skip("there is no Chromium here", allow_module_level=True)
browsers = pytest.importorskip("playwright.sync_api")

pytestmark = pytest.mark.long
DATA = Path(os.environ.get("VAEKIT_DATA", "no data"))
SHOTS = Path(os.environ["VAEKIT_SHOTS"]) if "VAEKIT_SHOTS" in os.environ else None
FLAGS = (
    "--no-sandbox", "--enable-unsafe-swiftshader", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run",
)  # fmt: skip
# what an element shows: pixels of its pictures, and its words
LOOK = "e => [...e.querySelectorAll('canvas')].map(c => c.toDataURL()).join() + e.innerText"
SOON = 30_000  # milliseconds: a busy machine is slow


def digits(place: Path) -> None:
    vaekit.fit("digits", steps=800, out=place, quiet=True)


def faces(place: Path) -> None:
    from scipy.io import loadmat

    stored = loadmat(DATA / "olivetti-faces" / "olivettifaces.mat")[
        "faces"
    ]  # (4096, 400), columns are pictures
    pictures = stored.T.reshape(-1, 64, 64).transpose(0, 2, 1).astype(np.uint8)
    place.parent.mkdir(parents=True, exist_ok=True)
    path = place.parent / "faces.npz"
    np.savez(path, x=pictures, y=np.repeat(np.arange(40), 10))
    vaekit.fit(path, labels="y", steps=200, latent=16, out=place, quiet=True)


def adult(place: Path) -> None:
    import pandas as pd

    place.parent.mkdir(parents=True, exist_ok=True)
    path = place.parent / "adult.csv"
    pd.read_csv(DATA / "adult" / "adult.csv.gz").sample(4_000, random_state=0).to_csv(path, index=False)
    vaekit.fit(path, steps=400, out=place, quiet=True)


def needs(name: str) -> Any:
    there = (DATA / name).is_dir()
    return pytest.mark.skipif(not there, reason="VAEKIT_DATA does not name the shared data")


RUNS = {"digits": digits, "faces": faces, "adult": adult}
CASES = [
    pytest.param((name, source), id=f"{name}-{source}", marks=[needs(folder)] if folder else [])
    for name, folder in (("digits", ""), ("faces", "olivetti-faces"), ("adult", "adult"))
    for source in ("server", "static")
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A run by its name, trained once."""
    home = SHOTS / "runs" if SHOTS else tmp_path_factory.mktemp("runs")

    @functools.cache
    def make(name: str) -> Path:
        if not (home / name / "model" / "MANIFEST.json").is_file():
            RUNS[name](home / name)
        return home / name

    return make


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *words: Any) -> None:
        pass


@contextlib.contextmanager
def hosted(folder: Path) -> Iterator[str]:
    """A folder on a plain web host."""
    host = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=host.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{host.server_address[1]}/"
    finally:
        host.shutdown()
        host.server_close()


@contextlib.contextmanager
def served(run: vaekit.run.Run) -> Iterator[str]:
    server = run.explore(browser=False, quiet=True)
    try:
        yield server.url
    finally:
        server.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with browsers.sync_playwright() as driver:
        made = driver.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield made
        made.close()


class Walk:
    """A page, what went wrong on it, and the words of a walk."""

    def __init__(self, browser: Any, url: str, name: str, **options: Any) -> None:
        self.name, self.source, self.trouble, self.foreign = name, url, [], []
        self.context = browser.new_context(
            accept_downloads=True, **{"viewport": {"width": 1280, "height": 900}, **options}
        )
        self.page = self.context.new_page()
        self.page.set_default_timeout(SOON)
        self.page.on("pageerror", lambda error: self.trouble.append(str(error)))
        self.page.on("console", lambda said: said.type == "error" and self.trouble.append(said.text))
        home = url.partition("#")[0]
        self.page.on(
            "request",
            lambda asked: asked.url.startswith((home, "data:", "blob:")) or self.foreign.append(asked.url),
        )
        self.page.goto(url)
        self.page.wait_for_selector("[data-testid=decoded-item]")

    def at(self, name: str) -> Any:
        return self.page.locator(f"[data-testid={name}]").first

    def look(self, name: str) -> str:
        return self.at(name).evaluate(LOOK)

    def changes(self, name: str, act: Callable[[], Any], into: str | None = None) -> str:
        """Do something, and wait until an element looks otherwise (or as `into`)."""
        before = self.look(name)
        act()
        for _ in range(SOON // 50):
            now = self.look(name)
            if now == into or (into is None and now != before):
                return now
            self.page.wait_for_timeout(50)
        raise TimeoutError(f"{name} did not change")

    def slide(self, name: str, value: float) -> None:
        self.at(name).evaluate(
            "(e, v) => { e.value = v; e.dispatchEvent(new Event('input', {bubbles: true})) }", value
        )

    def saved(self, name: str) -> bytes:
        with self.page.expect_download() as coming:
            self.at(name).click()
        return Path(coming.value.path()).read_bytes()

    def map(self) -> tuple[float, float, float, float]:
        self.at("map").scroll_into_view_if_needed()
        box = self.at("map").bounding_box()
        return box["x"], box["y"], box["width"], box["height"]

    def point(self, across: float, down: float) -> tuple[float, float]:
        x, y, wide, tall = self.map()
        return x + across * wide, y + down * tall

    def drag(self, places: list[tuple[float, float]]) -> None:
        for i, place in enumerate(places):
            self.page.mouse.move(*self.point(*place))
            if i == 0:
                self.page.mouse.down()
        self.page.mouse.up()

    def count(self) -> int:
        return int(self.at("selection-count").inner_text().replace(",", ""))

    def shot(self, step: str, whole: bool = False) -> None:
        if SHOTS:
            SHOTS.mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=SHOTS / f"{self.name}-{step}.png", full_page=whole)

    def fine(self) -> None:
        """Nothing went wrong, and nothing was asked of another host."""
        assert not self.trouble and not self.foreign, (self.trouble, self.foreign)
        assert not self.at("trouble").inner_text()


@pytest.fixture(scope="module", params=CASES)
def walk(request: Any, browser: Any, trained: Any, tmp_path_factory: Any) -> Iterator[Walk]:
    name, source = request.param
    run = vaekit.open(trained(name))
    with contextlib.ExitStack() as stack:
        if source == "server":
            url = stack.enter_context(served(run))
        else:
            place = tmp_path_factory.mktemp(name) / "site"
            run.export(place, "web")
            url = stack.enter_context(hosted(place))
        made = Walk(browser, url, f"{name}-{source}")
        made.about, made.run = (name, source), run
        yield made
        made.context.close()


def test_the_page_says_what_it_is_of(walk: Walk) -> None:
    assert walk.at("title").inner_text() == walk.about[0]
    assert walk.page.title()
    walk.shot("whole", whole=True)
    walk.fine()


def test_hovering_decodes_anywhere_and_says_where_no_data_are(walk: Walk) -> None:
    walk.at("tool-look").click()
    seen = set()
    for place in ((0.5, 0.5), (0.35, 0.45), (0.6, 0.6)):
        x, y = walk.point(*place)
        walk.page.mouse.move(x, y)
        walk.page.wait_for_timeout(400)
        seen.add(walk.look("decoded-item"))
    assert len(seen) > 1
    x, y = walk.point(0.5, 0.5)
    walk.page.mouse.move(x, y)
    walk.page.wait_for_timeout(300)
    assert float(walk.at("nearest-distance").inner_text().replace("−", "-")) >= 0
    walk.page.mouse.move(*walk.point(0.01, 0.01))
    walk.page.locator("[data-testid=off-data]", has_text="Off the data").wait_for()
    walk.shot("off the data")
    walk.fine()


def test_how_long_from_the_pointer_to_the_picture(walk: Walk) -> None:
    """Measured, not demanded: no test depends on the clock."""
    walk.page.evaluate("performance.clearMeasures()")
    draw = random.Random(0)
    for _ in range(120):
        walk.page.mouse.move(*walk.point(0.1 + 0.8 * draw.random(), 0.1 + 0.8 * draw.random()))
        walk.page.wait_for_timeout(25)
    walk.page.wait_for_timeout(500)
    times = walk.page.evaluate("performance.getEntriesByName('hover-to-painted').map(e => e.duration)")
    assert len(times) > 20
    measured(
        walk.name,
        {"hover": len(times), **{f"p{q}": round(float(np.percentile(times, q)), 1) for q in (50, 95)}},
    )


def measured(name: str, figures: dict[str, Any]) -> None:
    if SHOTS:
        path = SHOTS / "measured.json"
        known = json.loads(path.read_text()) if path.is_file() else {}
        path.write_text(json.dumps({**known, name: figures}, indent=1))


def test_every_map_can_be_chosen_zoomed_and_panned(walk: Walk) -> None:
    names = walk.at("map-choice").locator("option").all_inner_texts()
    assert len(names) >= 2
    for choice in walk.at("map-choice").locator("option").evaluate_all("all => all.map(o => o.value)"):
        walk.at("map-choice").select_option(choice)
        walk.page.mouse.move(*walk.point(0.5, 0.5))
        walk.page.wait_for_timeout(400)
        walk.shot(f"map {choice}")
    walk.at("map-choice").select_option(index=0)
    labels = walk.at("map").locator("svg path").first.evaluate("e => e.getBoundingClientRect().width")
    walk.at("zoom-in").click()
    walk.page.wait_for_timeout(200)
    assert walk.at("map").locator("svg path").first.evaluate("e => e.getBoundingClientRect().width") > labels
    walk.at("tool-pan").click()
    before = walk.at("map").locator("svg g").first.get_attribute("transform")
    walk.drag([(0.5, 0.5), (0.55, 0.6), (0.6, 0.65)])
    assert walk.at("map").locator("svg g").first.get_attribute("transform") != before
    walk.at("zoom-out").click()
    walk.at("zoom-home").click()
    walk.at("tool-look").click()
    walk.fine()


def test_sliders_of_the_dimensions_that_say_most(walk: Walk) -> None:
    sliders = walk.page.locator("[data-testid^=slider-]")
    assert sliders.count() >= 1
    assert walk.page.locator(".histogram rect").count() > 5
    name = sliders.first.get_attribute("data-testid")
    dim = name.removeprefix("slider-")
    walk.page.mouse.move(5, 5)
    walk.at("reset").click()
    walk.page.wait_for_timeout(400)
    high = float(sliders.first.get_attribute("max"))
    walk.changes("decoded-item", lambda: walk.slide(name, high))
    walk.at(name).focus()
    before = float(walk.at(name).input_value())
    walk.page.keyboard.press("-")
    assert float(walk.at(name).input_value()) < before
    walk.at(f"lock-{dim}").click()
    held = walk.at(name).input_value()
    walk.at("random").click()
    walk.page.wait_for_timeout(300)
    assert walk.at(name).input_value() == held and walk.at(name).is_disabled()
    walk.at(f"lock-{dim}").click()
    walk.slide("temperature", 0.5)
    walk.changes("decoded-item", walk.at("walk").click)
    walk.at("walk").click()
    walk.shot("sliders")
    walk.at("reset").click()
    kl = walk.page.locator("[data-testid^=dim-] label .muted").all_inner_texts()
    values = [float(text.removeprefix("KL ").replace("−", "-")) for text in kl]
    assert values == sorted(values, reverse=True)
    walk.fine()


def test_the_way_between_two_places(walk: Walk) -> None:
    from PIL import Image

    for end, item in (("a", 0), ("b", 7)):
        walk.at(f"end-{end}-item").fill(str(item))
        walk.at(f"end-{end}-item").press("Enter")
    walk.at("path-steps").fill("7")
    walk.at("path-steps").press("Enter")
    walk.at("path-show").click()
    walk.page.wait_for_selector("[data-testid=frame-6]")
    walk.page.wait_for_selector("[data-testid=path-curve] circle")
    assert walk.at("path-curve").locator("circle").count() == 7
    walk.at("path-way").select_option("slerp")
    walk.changes("path-strip", walk.at("path-show").click)
    walk.shot("path", whole=True)
    for suffix, form in (("gif", "GIF"), ("webp", "WEBP")):
        film = Image.open(io.BytesIO(walk.saved(f"path-{suffix}")))
        assert film.format == form and film.n_frames >= 7
    walk.at("frame-3").click()
    walk.at("tool-path").click()
    for place in ((0.4, 0.5), (0.6, 0.5)):
        walk.page.mouse.click(*walk.point(*place))
    assert walk.at("end-a").inner_text() == walk.at("end-b").inner_text() == "a place on the map"
    walk.at("tool-look").click()
    walk.fine()


AROUND = [(0.15, 0.15), (0.85, 0.15), (0.85, 0.85), (0.15, 0.85), (0.15, 0.2)]


def test_a_lasso_selects_counts_and_is_written(walk: Walk) -> None:
    walk.at("zoom-home").click()
    walk.at("tool-lasso").click()
    walk.drag(AROUND)
    selected = walk.count()
    assert selected > 10
    walk.shot("lasso")
    table = walk.saved("selection-csv").decode().strip().splitlines()
    assert len(table) == selected + 1 and table[0].split(",")[0] in ("item", "index")
    walk.at("tool-box").click()
    walk.drag([(0.4, 0.4), (0.6, 0.6)])
    assert 0 < walk.count() < selected
    walk.at("select-none").click()
    assert walk.count() == 0
    walk.at("tool-look").click()
    walk.fine()


def test_arithmetic_between_groups(walk: Walk) -> None:
    walk.at("reset").click()
    for item, name in ((0, "ones"), (3, "others")):
        walk.at("own-item").fill(str(item))
        walk.at("own-item").press("Enter")
        walk.page.wait_for_selector("[data-testid=own-go]")
        walk.page.wait_for_timeout(600)
        walk.at("own-go").click()
        walk.at("select-near").click()
        walk.at("group-name").fill(name)
        walk.at("group-keep").click()
    walk.page.wait_for_selector("[data-testid=arithmetic]")
    assert walk.at("group-0").inner_text().startswith("ones")
    walk.page.wait_for_timeout(500)
    walk.changes("arithmetic", lambda: walk.slide("strength", 3))
    walk.shot("arithmetic", whole=True)
    walk.at("arithmetic-go").click()
    walk.at("group-remove-1").click()
    assert walk.page.locator("[data-testid=group-1]").count() == 0
    walk.fine()


def test_an_item_of_ones_own(walk: Walk, tmp_path: Path) -> None:
    from PIL import Image

    name, _ = walk.about
    if name == "adult":
        walk.at("row-nearest").click()
        walk.at("own-look").click()
        walk.page.wait_for_selector("[data-testid=own-p]")
        walk.page.wait_for_timeout(500)
        names = [label.strip() for label in walk.page.locator(".cell-field > span").all_inner_texts()]
        walk.at(f"cell-{names.index('age')}").fill("88")
        walk.changes("own-result", walk.at("own-look").click)
        assert "88" in walk.at("own-shown").inner_text()
    else:
        shape = walk.run.kind.shape[1:]
        path = tmp_path / "own.png"
        stripes = np.where(np.arange(shape[1]) % 4 < 2, 255, 0).astype(np.uint8)
        Image.fromarray(np.broadcast_to(stripes, shape).copy()).save(path)
        walk.at("file").set_input_files(path)
        walk.page.wait_for_selector("[data-testid=own-p]")
        walk.page.wait_for_timeout(600)
        p = walk.at("own-p").inner_text()
        assert number(p) < 0.05, p

        def draw() -> None:
            walk.at("pad").scroll_into_view_if_needed()
            x, y, wide, tall = (walk.at("pad").bounding_box()[k] for k in ("x", "y", "width", "height"))
            walk.page.mouse.move(x + wide / 2, y + tall * 0.15)
            walk.page.mouse.down()
            walk.page.mouse.move(x + wide / 2, y + tall * 0.85, steps=8)
            walk.page.mouse.up()

        walk.changes("own-result", draw)
    assert 0 < number(walk.at("own-p").inner_text()) <= 1
    assert walk.at("own-nearest").locator("li").count() == 10
    walk.at("own-result").scroll_into_view_if_needed()
    walk.shot("own item")
    walk.fine()


def number(text: str) -> float:
    return float(text.replace("−", "-").replace(",", "").replace("<", "").strip())


def test_colours_and_a_legend_that_filters(walk: Walk) -> None:
    choices = walk.at("colour-by").locator("option").evaluate_all("all => all.map(o => o.value)")
    assert {"elbo", "kl"} <= {choice.lower() for choice in choices} and len(choices) >= 3
    for choice in choices:
        walk.at("colour-by").select_option(choice)
        assert walk.page.locator("[data-testid^=legend-]").count() >= 1
    walk.shot("colours")
    walk.at("colour-by").select_option(choices[0])
    walk.at("legend-0").click()
    assert walk.at("legend-0").get_attribute("aria-pressed") == "true"
    walk.at("select-legend").click()
    assert walk.count() > 0
    walk.shot("legend")
    walk.at("legend-all").click()
    walk.at("select-none").click()
    walk.fine()


def test_the_keyboard_alone_is_enough(walk: Walk) -> None:
    page = walk.page
    page.mouse.move(5, 5)
    page.evaluate("document.activeElement.blur(); window.scrollTo(0, 0)")
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.dataset.testid") == "map":
            break
    assert page.evaluate("document.activeElement.dataset.testid") == "map"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
    before = walk.look("decoded-item")
    for key in ["ArrowRight"] * 6 + ["ArrowUp"] * 4:
        page.keyboard.press(key)
    page.wait_for_timeout(600)
    assert walk.at("said").inner_text().startswith("at ")
    page.keyboard.press("Enter")
    page.wait_for_timeout(400)
    assert walk.look("decoded-item") != before
    page.keyboard.press("a")
    for _ in range(5):
        page.keyboard.press("ArrowLeft")
    page.keyboard.press("b")
    assert walk.at("end-a").inner_text() == walk.at("end-b").inner_text() == "a place on the map"
    page.keyboard.press("+")
    page.keyboard.press("0")
    page.keyboard.press("Escape")
    walk.fine()


# every control says what it is to a screen reader
UNNAMED = """() => [...document.querySelectorAll('button, input, select, textarea, [role], [tabindex]')].filter(e => {
  const name = e.getAttribute('aria-label') || e.getAttribute('aria-labelledby') || e.innerText?.trim() || e.title
    || e.labels?.length || e.closest('label') || e.getAttribute('aria-live') || e.getAttribute('role') == 'alert'
    || e.getAttribute('role') == 'status';
  return !name && !e.hidden && e.tabIndex >= 0;
}).map(e => e.outerHTML.slice(0, 120))"""


def test_a_screen_reader_is_told_what_everything_is(walk: Walk) -> None:
    assert walk.page.evaluate(UNNAMED) == []
    assert walk.page.evaluate("document.documentElement.lang")
    assert walk.page.locator("h1").count() == 1 and walk.page.locator("main").count() == 1


def test_dark_light_and_a_telephone(walk: Walk) -> None:
    page = walk.page
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    walk.at("theme").click()
    page.wait_for_timeout(300)
    assert page.evaluate(ground) != light
    walk.shot("other theme", whole=True)
    page.set_viewport_size({"width": 375, "height": 740})
    page.wait_for_timeout(500)
    wide = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert wide[0] <= wide[1], "the page scrolls sideways"
    walk.shot("telephone", whole=True)
    walk.at("theme").click()
    page.set_viewport_size({"width": 1280, "height": 900})
    walk.fine()


# ---------------------------------------------------------------------- what is not of one run


def test_a_hundred_thousand_points_are_drawn_and_panned(browser: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = (
        rng.normal(size=(100_000, 2)) @ rng.normal(size=(2, 6)) + 0.3 * rng.normal(size=(100_000, 6))
    ).astype("f4")
    np.save(tmp_path / "rows.npy", rows)
    run = vaekit.fit(tmp_path / "rows.npy", steps=60, latent=2, out=tmp_path / "run", quiet=True)
    with served(run) as url:
        walk = Walk(browser, url, "points")
        assert "100000 points" in walk.page.inner_text("header").replace(",", "")
        walk.at("tool-pan").click()
        walk.page.evaluate(
            "() => { window.frames_ = []; let last = performance.now();"
            "const next = () => { const now = performance.now(); frames_.push(now - last); last = now;"
            "requestAnimationFrame(next) }; next() }"
        )
        walk.drag([(0.3 + 0.006 * i, 0.4 + 0.003 * i) for i in range(60)])
        frames = walk.page.evaluate("frames_")
        measured(
            "points",
            {"frames": len(frames), "p50": float(np.median(frames)), "p95": float(np.percentile(frames, 95))},
        )
        walk.shot("panned")
        assert len(frames) > 10
        walk.fine()
        walk.context.close()


PAYLOADS = [
    "<script>window.hit=1</script>", "<img src=x onerror=window.hit=1>", "<svg onload=window.hit=1>",
    "\"><script>window.hit=1</script>", "'><img src=x onerror=window.hit=1>", "javascript:window.hit=1",
    "<iframe srcdoc='<script>parent.hit=1</script>'>", "<a href=javascript:window.hit=1>x</a>",
    "<body onload=window.hit=1>", "<math><mtext></p><img src onerror=window.hit=1>",
    "{{constructor.constructor('window.hit=1')()}}",
    "${window.hit=1}", "</title><script>window.hit=1</script>", "</textarea><script>window.hit=1</script>",
    "<details open ontoggle=window.hit=1>", "<video src onerror=window.hit=1>", "<object data=javascript:window.hit=1>",
    "<style>@import'data:,x'</style>", "<link rel=stylesheet href=data:,x>",
    "<meta http-equiv=refresh content=0;url=data:,x>",
]  # fmt: skip
PAYLOADS += [f"'\"/>{payload}" for payload in PAYLOADS]


def test_names_and_labels_are_never_run(browser: Any, tmp_path: Path) -> None:
    import pandas as pd

    rng = np.random.default_rng(0)
    frame = pd.DataFrame({PAYLOADS[i]: rng.normal(size=400) for i in range(4)})
    frame["label"] = [PAYLOADS[i % len(PAYLOADS)] for i in range(400)]
    frame.to_csv(tmp_path / "rows.csv", index=False)
    run = vaekit.fit(
        tmp_path / "rows.csv", steps=20, out=tmp_path / "<img src=x onerror=window.hit=1>", quiet=True
    )
    place = tmp_path / "site"
    run.export(place, "web")
    for where in (served(run), hosted(place)):
        with where as url:
            walk = Walk(browser, url, "payloads")
            for choice in walk.at("colour-by").locator("option").evaluate_all("all => all.map(o => o.value)"):
                walk.at("colour-by").select_option(choice)
            walk.at("select-near").click()
            walk.at("group-name").fill(PAYLOADS[1])
            walk.at("group-keep").click()
            walk.page.wait_for_timeout(500)
            assert walk.page.evaluate("window.hit") is None
            assert walk.page.locator("script:not([src])").count() == 0
            walk.fine()
            walk.context.close()


def test_a_training_is_followed(browser: Any, tmp_path: Path) -> None:
    """The training stands still while the page is looked at, so that a slow machine sees the same."""
    place = tmp_path / "digits"
    words = [sys.executable, "-m", "vaekit"]
    chosen = ["--steps", "3000", "--set", "train.patience=0", "--quiet", "--out", str(place)]
    train = subprocess.Popen([*words, "train", "digits", *chosen], cwd=tmp_path)
    follow = None

    def until(name: str) -> None:
        """Let the training go on until a file is there."""
        train.send_signal(signal.SIGCONT)
        while not (place / name).is_file():
            assert train.poll() is None
            time.sleep(0.05)
        train.send_signal(signal.SIGSTOP)

    try:
        until("metrics.jsonl")
        follow = subprocess.Popen(
            [*words, "explore", str(place), "--live", "--no-browser"],
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
        )
        said = ""
        while "http" not in said:
            said = follow.stderr.readline()
        url = next(word for word in said.split() if word.startswith("http"))
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        page = context.new_page()
        page.goto(url)
        page.wait_for_selector("[data-testid^=curve-]", timeout=60_000)
        if SHOTS:
            page.screenshot(path=SHOTS / "live.png", full_page=True)
        until("model/MANIFEST.json")
        page.wait_for_selector("[data-testid=map]", timeout=60_000)
        page.locator("[data-testid=live-status]", has_text="running").wait_for(timeout=60_000)
        if SHOTS:
            page.screenshot(path=SHOTS / "live-map.png", full_page=True)
        train.send_signal(signal.SIGCONT)
        assert train.wait() == 0
        page.locator("[data-testid=live-status]", has_text="complete").wait_for(timeout=60_000)
        if SHOTS:
            page.screenshot(path=SHOTS / "live-end.png", full_page=True)
        context.close()
    finally:
        for process in (train, follow):
            if process is not None and process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.terminate()
                process.wait()
            if process is follow and follow is not None:
                follow.stderr.close()
