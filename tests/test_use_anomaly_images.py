"""Odd pictures: complexity, maps and the review page."""

import csv
import json
import re
import zlib
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from vaekit.data import Images, Items, Vectors
from vaekit.errors import UsageError
from vaekit.outputs import sheet, sheet_names
from vaekit.report.review import Cell, Entry, oddest, shown, write_review
from vaekit.uses.coded import coded
from vaekit.uses.complexity import complexity, compressed_size, gradient_energy, paeth
from vaekit.uses.maps import heat, maps
from vaekit.uses.misfit import misfit, misfits
from vaekit.uses.one_class import OneClass
from vaekit.uses.why import Cell as Odd

# ---------------------------------------------------------------------- complexity


def stored(pictures: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pictures[:, None])


def test_a_constant_picture_is_the_simplest_and_noise_the_most_complex(rng: np.random.Generator) -> None:
    ramp = np.tile(np.arange(0, 224, 8, dtype=np.uint8), (28, 1))
    noise = rng.integers(0, 256, (28, 28)).astype(np.uint8)
    pictures = np.stack([np.full((28, 28), 77, np.uint8), ramp, ramp // 2 + noise // 16, noise])
    found = complexity(Images(1, 28, 28), stored(pictures))
    for name in ("compressed size", "gradient energy"):
        assert (np.diff(found[name]) > 0).all(), name


def test_gradient_energy_is_the_mean_of_the_steps() -> None:
    unit = np.array([[[[0.0, 1.0], [0.5, 0.5]]]])  # steps across 1 and 0, down 0.5 and 0.5
    assert gradient_energy(unit) == pytest.approx([0.5])
    assert gradient_energy(np.ones((2, 3, 1, 1))).tolist() == [0.0, 0.0]  # no neighbours at all


def test_size_is_of_the_best_of_four_predictions(rng: np.random.Generator) -> None:
    down, across = np.mgrid[:20, :20]
    plane = (3 * down + 5 * across).astype(np.uint8)[None]  # every difference is the same
    assert compressed_size(plane) < 40 < len(zlib.compress(plane.tobytes(), 9))
    noise = rng.integers(0, 2, (1, 20, 20)).astype(np.uint8) * 255
    assert compressed_size(noise) <= len(zlib.compress(noise.tobytes(), 9))


def test_paeth_is_png_s(rng: np.random.Generator) -> None:
    def oracle(a: int, b: int, c: int) -> int:  # as in RFC 2083, 6.6
        p = a + b - c
        pa, pb, pc = abs(p - a), abs(p - b), abs(p - c)
        return a if pa <= pb and pa <= pc else b if pb <= pc else c

    a, b, c = rng.integers(0, 256, (3, 500)).astype(np.uint8)
    a[:50] = b[:50]
    wanted = [oracle(*map(int, three)) for three in zip(a, b, c, strict=True)]
    assert paeth(a, b, c).tolist() == wanted


def test_complexity_is_in_the_units_of_the_pictures(rng: np.random.Generator) -> None:
    eight = rng.integers(0, 256, (3, 1, 9, 7)).astype(np.uint8)
    sixteen, floats = eight.astype(np.uint16) * 257, eight.astype(np.float32) / 255
    first = complexity(Images(1, 9, 7), torch.from_numpy(eight))
    for kind, raw in ((Images(1, 9, 7, levels=65536), sixteen), (Images(1, 9, 7, levels=0), floats)):
        other = complexity(kind, torch.from_numpy(raw))
        assert other["compressed size"].tolist() == first["compressed size"].tolist()
        assert other["gradient energy"] == pytest.approx(first["gradient energy"], abs=1e-6)
    bits = complexity(
        Images(1, 9, 7, binarize="dynamic"), torch.from_numpy(eight)
    )  # the picture, not a draw of bits
    assert bits["compressed size"].tolist() == first["compressed size"].tolist()
    alone = complexity(Images(1, 9, 7), torch.from_numpy(eight[1:2]))
    assert alone["compressed size"][0] == first["compressed size"][1]


def test_only_pictures_are_complex() -> None:
    assert complexity(Vectors(3), torch.zeros(2, 3)) == {}


# ---------------------------------------------------------------------- the joint density


def test_a_joint_density_of_many_is_a_mixture_that_integrates_to_one(rng: np.random.Generator) -> None:
    rows = np.concatenate([rng.normal(-4, 1, (300, 2)), rng.normal(4, 0.5, (300, 2))])
    one = OneClass.fit(rows, joint=True)
    side = np.linspace(-6, 6, 301)  # of the standardised statistics
    grid = np.stack(np.meshgrid(side, side), -1).reshape(-1, 2)
    mass = np.exp(-one.score(grid * one.scale + one.centre)).sum() * (side[1] - side[0]) ** 2
    assert mass == pytest.approx(1.0, abs=1e-3)
    assert one.score(np.zeros((1, 2)))[0] > one.score(rows).max()  # between the two sorts there is nothing
    again = OneClass.from_facts(json.loads(json.dumps(one.facts())))
    assert np.array_equal(again.score(rows), one.score(rows))


def test_a_joint_density_of_few_is_one_gaussian_of_ledoit_and_wolf(rng: np.random.Generator) -> None:
    from scipy.stats import multivariate_normal
    from sklearn.covariance import LedoitWolf

    rows = rng.normal(size=(60, 3)) @ rng.normal(size=(3, 3)) + 5
    z = (rows - rows.mean(0)) / rows.std(0)
    oracle = multivariate_normal(np.zeros(3), LedoitWolf(assume_centered=True).fit(z).covariance_)
    assert OneClass.fit(rows, joint=True).score(rows) == pytest.approx(-oracle.logpdf(z))


def test_too_little_is_as_odd_as_too_much_only_jointly(rng: np.random.Generator) -> None:
    rows = rng.normal(size=(400, 2))
    little, much = np.full((1, 2), -6.0), np.full((1, 2), 6.0)
    joint, alone = (OneClass.fit(rows, joint=both) for both in (True, False))
    assert min(joint.score(little)[0], joint.score(much)[0]) > joint.score(rows).max()
    assert alone.score(little)[0] < np.median(alone.score(rows)) < alone.score(much)[0]


# ---------------------------------------------------------------------- maps


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A model of smooth blobs, ordinary blobs that it has not seen, and their deviances."""
    import vaekit

    pictures = blobs(600, seed=0)
    place = tmp_path_factory.mktemp("blobs") / "run"
    run = vaekit.fit(pictures, steps=250, latent=4, seed=0, out=place, quiet=True, threads=1)
    ordinary = coded(run.model, run.items(blobs(200, seed=1))).residuals
    return run, ordinary


def blobs(n: int, seed: int) -> np.ndarray:
    """(n, 16, 16) grey pictures of one soft blob each, with a little noise."""
    rng = np.random.default_rng(seed)
    down, across = np.mgrid[:16, :16]
    y, x = rng.uniform(5, 10, (2, n, 1, 1))
    bright = 200 * np.exp(-((down - y) ** 2 + (across - x) ** 2) / 18) + 20
    return (bright + rng.normal(0, 2, bright.shape)).clip(0, 255).round().astype(np.uint8)


def test_a_map_is_large_where_a_patch_was_altered_and_only_there(trained: Any) -> None:
    run, ordinary = trained
    clean, altered = blobs(20, seed=2), blobs(20, seed=2)
    places = np.random.default_rng(3).integers(0, 12, (20, 2))
    inside = np.zeros(clean.shape, dtype=bool)
    for i, (y, x) in enumerate(places):
        inside[i, y : y + 4, x : x + 4] = True
    altered[inside] = np.where(altered[inside] < 128, altered[inside] + 90, altered[inside] - 90)
    before, after = (maps(run.model, run.items(x), ordinary) for x in (clean, altered))
    change = after.odd - before.odd
    assert np.median(after.odd[inside]) > 6 > 2.5 > np.median(np.abs(after.odd[~inside]))
    highest = after.odd.reshape(20, -1).argmax(1)
    assert inside.reshape(20, -1)[np.arange(20), highest].sum() >= 18
    assert change[inside].mean() > 5 * change[~inside].mean()


def test_ordinary_pictures_have_usual_maps(trained: Any) -> None:
    run, ordinary = trained
    odd = maps(run.model, run.items(blobs(100, seed=4)), ordinary).odd
    assert (
        abs(odd.mean()) < 0.2 and 0.6 < odd.std() < 1.2
    )  # standard scores, but for the floor of their spread


def test_a_map_does_not_depend_on_its_neighbours(trained: Any) -> None:
    run, ordinary = trained
    pictures = blobs(5, seed=5)
    together, alone = (maps(run.model, run.items(x), ordinary) for x in (pictures, pictures[3:4]))
    # one picture is multiplied by another kernel than five: the last digits of float32 differ with the processor
    assert np.allclose(together.odd[3], alone.odd[0], atol=1e-3)
    assert (together.original == pictures).all()


def test_misfit_keeps_its_mass_and_its_place() -> None:
    kind = Images(3, 28, 28)
    point = torch.zeros(1, 3, 28, 28)
    point[0, 1, 10, 20] = -6.0
    found = misfit(kind, point.flatten(1).numpy())
    assert found.shape == (1, 28, 28) and found[0].argmax() == 10 * 28 + 20
    assert found.sum() == pytest.approx(2.0)  # |−6| in the mean over three colours


def test_a_spot_raises_the_greatest_misfit_and_noise_the_rough_one() -> None:
    kind = Images(1, 28, 28)
    ramp = np.tile(np.linspace(0, 1, 28), (28, 1))
    spot, noise = ramp.copy(), ramp + np.where(np.indices((28, 28)).sum(0) % 2, 0.5, -0.5)
    spot[9:12, 9:12] += 5.0
    found = misfits(kind, np.stack([ramp, spot, noise]).reshape(3, -1))
    assert found["greatest misfit"].argmax() == 1 and found["rough misfit"].argmax() == 2
    steps = np.abs(np.diff(ramp, axis=1)).sum() / (2 * 28 * 27)
    assert found["rough misfit"][0] == pytest.approx(steps)
    assert misfits(Vectors(3), np.ones((2, 3))) == {} == misfits(kind, np.ones((2, 0)))


def test_what_cannot_be_mapped_is_said(trained: Any) -> None:
    run, ordinary = trained
    with pytest.raises(UsageError, match="vectors"):
        maps(run.model, Items(torch.zeros(2, 3), Vectors(3)), ordinary)
    with pytest.raises(UsageError, match="no misfit"):
        maps(run.model, run.items(blobs(2, seed=0)), ordinary[:, :0])
    with pytest.raises(UsageError, match="no misfit"):
        maps(run.model, run.items(blobs(2, seed=0)), ordinary[:, :7])


def test_heat_is_grey_where_nothing_is_odd_and_warm_where_something_is() -> None:
    picture, odd = np.full((4, 4), 200, np.uint8), np.zeros((4, 4))
    odd[1, 2] = 50.0
    drawn = heat(picture, odd)
    assert (drawn[0] == drawn[0, 0, 0]).all() and drawn[0, 0, 0] < 200
    faint = heat(np.zeros((1, 2), np.uint8), np.array([[0.0, 2.1]]))[
        0
    ]  # on black colour is seen where it begins
    assert faint[1, 0] > 160 > faint[0, 0] > 20 and faint[1, 1] < 40
    red, green, blue = drawn[1, 2]
    assert red == 255 and red > blue and int(red) - int(blue) > 150
    colour = np.repeat(picture[..., None], 3, -1)
    assert (heat(colour, odd) == drawn).all()


# ---------------------------------------------------------------------- the page


class Tags(HTMLParser):
    """Every tag with its attributes, and the text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


HOSTILE = "<script>alert('x')</script>\"><img src=http://evil/ onerror=run>.png"


def test_the_page_runs_nothing_fetches_nothing_and_escapes_every_word(tmp_path: Path, trained: Any) -> None:
    run, ordinary = trained
    pictures = shown(run.model, run.items(blobs(2, seed=6)), np.array([0, 1]), ordinary, [(), ()])
    entries = [
        Entry(0, HOSTILE, "9.1", "0.01", True, (HOSTILE,), **pictures[0]),
        Entry(
            1,
            "8",
            "8",
            "0.02",
            False,
            cells=(Cell(HOSTILE, HOSTILE, HOSTILE, odd=True),),
            text=HOSTILE,
            rest=HOSTILE,
        ),
    ]
    path = write_review(tmp_path / "page.html", HOSTILE, entries, HOSTILE, HOSTILE, HOSTILE)
    page = path.read_text(encoding="utf-8")
    found = Tags(page)
    assert not {"script", "iframe", "object", "embed", "base", "form"} & {tag for tag, _ in found.tags}
    for tag, attributes in found.tags:
        assert not any(name.startswith("on") for name in attributes), tag
        for name in ("src", "href"):
            assert (attributes.get(name) or "data:").startswith("data:"), (tag, attributes[name])
    assert not re.search(r"url\(|@import", page)
    assert found.text.count("alert('x')") >= 10  # it is there to be read
    assert (
        sum(tag == "img" for tag, _ in found.tags) == 4
    )  # original, expected, map, and the key to its colours


def test_pictures_without_maps_are_shown_beside_what_was_expected(trained: Any) -> None:
    run, ordinary = trained
    found = shown(run.model, run.items(blobs(2, seed=6)), np.array([1]), ordinary[:, :0], [()])
    assert [name for name, _ in found[0]["pictures"]] == ["original", "expected"]


def test_the_page_shows_the_odd_cells_of_rows_and_the_rest_in_a_line(tmp_path: Path) -> None:
    import vaekit

    rows = np.random.default_rng(0).normal(size=(200, 3)) * [1, 10, 100]
    run = vaekit.fit(rows, steps=20, seed=0, out=tmp_path / "run", quiet=True, threads=1)
    odd = Odd("column 1", float(rows[2, 1]), 0.5, 9.0)
    found = shown(run.model, run.items(rows[:4]), np.array([2, 0]), np.zeros((1, 0)), [[odd], []])
    first, second = (entry["cells"] for entry in found)
    assert [cell.name for cell in first] == ["column 1"] and first[0].odd and second == ()
    assert [entry["rest"].count("column") for entry in found] == [2, 3]
    assert found[0]["rest"].startswith("column 0 ") and ", column 2 " in found[0]["rest"]
    assert float(first[0].value.replace("−", "-")) == pytest.approx(rows[2, 1], rel=1e-2)


def test_the_page_shows_text_as_text(tmp_path: Path) -> None:
    import vaekit

    lines = tmp_path / "names.txt"
    lines.write_text("".join(f"{name}\n" for name in ["anna", "hannah", "otto", "bob", "eve", "ada"] * 20))
    run = vaekit.fit(lines, steps=5, seed=0, out=tmp_path / "run", quiet=True, threads=1)
    found = shown(run.model, run.items(lines), np.array([1]), np.zeros((1, 0)), [()])
    assert found[0]["text"].startswith("hannah\n") and "expected" in found[0]["text"]


def test_the_oddest_come_first_and_equals_in_their_order() -> None:
    assert oddest(np.array([1.0, 3.0, 2.0, 3.0]), 3).tolist() == [1, 3, 2]


# ---------------------------------------------------------------------- from the command line


def vaekit_says(*words: object) -> int:
    from vaekit.cli import main

    with pytest.raises(SystemExit) as end:
        main([str(one) for one in words])
    return int(end.value.code or 0)


def test_score_writes_a_map_of_each_flagged_picture_and_a_page(trained: Any, tmp_path: Path) -> None:
    from PIL import Image

    run, _ = trained
    new = blobs(12, seed=7)
    new[5, 3:7, 3:7] = 255 - new[5, 3:7, 3:7]
    np.save(tmp_path / "new.npy", new)
    out = ("--out", tmp_path / "scores.csv")
    words = ("--budget", 2, "--maps", tmp_path / "maps", "--review", tmp_path / "page.html")
    assert vaekit_says("score", run.path, tmp_path / "new.npy", *out, *words) == 0
    drawn = sorted(path.name for path in (tmp_path / "maps").glob("*.png"))
    assert len(drawn) == 2 and "00005.png" in drawn
    with Image.open(tmp_path / "maps" / "00005.png") as picture:
        width, height = picture.size
    assert width > 2.5 * height and height > 200  # original, expected and map, side by side
    page = Tags((tmp_path / "page.html").read_text(encoding="utf-8"))
    articles = [attributes["id"] for tag, attributes in page.tags if tag == "article"]
    assert (
        articles[0] == "row-5"
        and len(articles) == 12
        and "Picture 5" in page.text
        and "usual spreads" in page.text
    )
    again = (tmp_path / "maps" / "00005.png").read_bytes()
    assert vaekit_says("score", run.path, tmp_path / "new.npy", *out, *words) == 0
    assert (tmp_path / "maps" / "00005.png").read_bytes() == again


def test_pictures_keep_the_names_of_their_files(
    trained: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from PIL import Image

    run, _ = trained
    for i, picture in enumerate(blobs(5, seed=7)):
        place = tmp_path / "new" / "ab"[i % 2] / f"p{i // 2}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(place)
    out, page = tmp_path / "s.csv", tmp_path / "page.html"
    words = ("--out", out, "--budget", 3, "--maps", tmp_path / "maps", "--review", page, "--most", 2)
    for _ in range(2):  # what was drawn before is replaced
        assert vaekit_says("score", run.path, tmp_path / "new", *words) == 0
    said = capsys.readouterr().err
    assert f"budget 3  maps {tmp_path / 'maps'}  review {page}" in said and "alpha" not in said
    with open(out, newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == ["a/p0.png", "a/p1.png", "a/p2.png", "b/p0.png", "b/p1.png"]
    flagged = {row["file"].replace("/", "-") for row in rows if row["flag"] == "True"}
    assert {path.name for path in (tmp_path / "maps").glob("*.png")} == flagged and len(flagged) == 3
    found = Tags(page.read_text(encoding="utf-8"))
    oddest = max(rows, key=lambda row: float(row["score"]))["file"]
    assert oddest in found.text and "2 oddest are shown (--most 3 shows all that are flagged)" in found.text
    assert run.score(tmp_path / "new").names == [row["file"] for row in rows]
    (tmp_path / "maps" / "mine.png").write_bytes(b"mine")
    assert vaekit_says("score", run.path, tmp_path / "new", *words) == 2
    assert "mine.png" in capsys.readouterr().err


def test_files_of_one_name_get_drawings_of_their_own() -> None:
    assert sheet_names([0, 1], ["a/7.jpg", "a/7.png"]) == ["a-7.png", "a-7-00001.png"]
    assert sheet(np.zeros((3, 28, 28), np.uint8), ("a", "b", "c")).shape[1] > 600


def test_pictures_that_were_trained_on_are_told_of(trained: Any, tmp_path: Path, capsys: Any) -> None:
    run, _ = trained
    mixed = np.concatenate([blobs(5, seed=99), blobs(600, seed=0)[:20]])
    found = run.score(mixed)
    assert not found.trained[:5].any() and found.trained[5:].mean() > 0.7 and found.again
    np.save(tmp_path / "new.npy", mixed)
    assert vaekit_says("score", run.path, tmp_path / "new.npy", "--out", tmp_path / "s.csv") == 0
    said = capsys.readouterr().err
    assert f"{found.trained.sum()} of these 25 were trained on: their p-values do not hold" in said
    with open(tmp_path / "s.csv", newline="") as file:
        assert [row["trained_on"] == "True" for row in csv.DictReader(file)] == found.trained.tolist()
    assert not run.score(blobs(20, seed=98)).again


def test_what_cannot_be_drawn_is_said_with_what_to_do(
    trained: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, _ = trained
    np.save(tmp_path / "small.npy", blobs(3, seed=8)[:, :12])
    np.save(tmp_path / "right.npy", blobs(3, seed=8))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    out = ("--out", tmp_path / "scores.csv")
    assert vaekit_says("score", run.path, tmp_path / "small.npy", *out) == 3
    assert "16, 16" in (said := capsys.readouterr().err) and "(3, 12, 16)" in said and "16x16" in said
    right = ("score", run.path, tmp_path / "right.npy", *out)
    assert vaekit_says(*right, "--review", tmp_path / "page.csv") == 2
    assert ".html" in capsys.readouterr().err
    assert vaekit_says(*right, "--budget", 1, "--maps", tmp_path / "full") == 2
    assert "mine.txt" in capsys.readouterr().err
    assert vaekit_says(*right, "--budget", 0, "--maps", tmp_path / "none") == 0
    assert "nothing is flagged" in capsys.readouterr().err


def test_maps_of_rows_are_refused_by_name(tmp_path: Path) -> None:
    import vaekit

    rows = np.random.default_rng(0).normal(size=(60, 3))
    run = vaekit.fit(rows, steps=5, seed=0, out=tmp_path / "run", quiet=True, threads=1)
    with pytest.raises(UsageError, match="vectors"):
        run.maps(rows)
    page = run.review(rows, tmp_path / "page.html", most=3)
    assert len([tag for tag, _ in Tags(page.read_text(encoding="utf-8")).tags if tag == "article"]) == 3
