"""The report: what it gathers, what it draws, and that nothing in a run folder can break or abuse the page."""

import ast
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch

from vaekit import presets, report
from vaekit.data import Images, Items, Vectors
from vaekit.datasets import digits
from vaekit.distributions import Fixed, Gaussian, Noise
from vaekit.errors import FileError
from vaekit.evaluation import evaluate, scores
from vaekit.operations import sample
from vaekit.report import gather, write_report
from vaekit.report.charts import events, limits, series
from vaekit.report.neighbors import copy_rate, nearest
from vaekit.report.next_steps import next_steps
from vaekit.report.page import embedded, smaller
from vaekit.report.view import PICTURE_VALUES, View
from vaekit.report.words import advice, overfitted
from vaekit.training import fit

ALL = {"loss", "reconstructions", "samples", "traversals", "latent", "kl"}
PAYLOADS = (
    "<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "'-alert(1)-'", "{{ 7 * 7 }}", "$x_1$ \\frac{",
    "_hidden", "http://evil.example/x.png", "a\nb\x00c", "类别", "</style><svg onload=alert(1)>",
)  # fmt: skip


def digit_items(names=(), **options) -> tuple[Images, Items, Items]:
    images, labels = digits()
    names = names or [str(i) for i in range(10)]
    kind = Images(1, 8, 8, levels=17, labels=names, frequencies=[0.1] * len(names), **options)
    items = Items(kind.store(images), kind, torch.from_numpy(labels))
    return kind, items.subset(torch.arange(1400)), items.subset(torch.arange(1400, 1797))


def vector_items(dim: int, n: int = 400) -> tuple[Vectors, Items, Items]:
    values = np.random.default_rng(0).normal(size=(n, 2)) @ np.random.default_rng(1).normal(size=(2, dim))
    values = values * 3 + 10
    kind = Vectors(dim, mean=values.mean(0).tolist(), scale=values.std(0).tolist())
    items = Items(kind.store(values), kind)
    return kind, items.subset(torch.arange(n - 80)), items.subset(torch.arange(n - 80, n))


def records(elbo: bool = True, steps: int = 300) -> list[dict]:
    found = []
    for step in range(10, steps + 1, 10):
        for split, worse in (("train", 0), ("heldout", 3)):
            rate = 10 - 50 / step if elbo else None
            distortion = 80 + 2000 / step + worse
            value = -distortion - rate if elbo else None
            beta = min(1.0, step / 100) if elbo else None
            found.append({
                "step": step, "split": split, "elbo": value, "rate": rate, "distortion": distortion, "beta": beta,
                "active_units": 4, "gradient_norm": 3.0, "items_per_second": None, "lr": 1e-3, "seconds": step / 100,
            })  # fmt: skip
    return found


def write_run(path: Path, evidence: dict | None = None, lines: list | None = None, **facts) -> Path:
    (path / "plots").mkdir(parents=True, exist_ok=True)
    run = {
        "name": path.name, "status": "finished", "preset": "vae", "objective": "Distortion() + Rate()", "seed": 0,
        "versions": {"vaekit": "0.1.0"}, "seconds": 75.2, "steps": 300, "best_step": 290,
        "data": {"count": 1400, "heldout": 397, "fingerprint": "ab" * 32, "path": "digits"}, "metrics": None,
        "events": [],
    } | facts  # fmt: skip
    (path / "run.json").write_text(json.dumps(run))
    if evidence is not None:
        np.savez_compressed(path / "plots" / "evidence.npz", **evidence)
    if lines is not None:
        (path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """With several, the last bits depend on how busy the machine is."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def trained():
    torch.manual_seed(0)
    kind, train, heldout = digit_items()
    model, objective = presets.vae(kind, latent=6)
    return fit(model, objective, train, steps=200), kind, train, heldout


@pytest.fixture(scope="module")
def evidence(trained):
    return gather(*trained)


@pytest.fixture(scope="module")
def run(trained, evidence, tmp_path_factory):
    model, kind, _, heldout = trained
    path = write_run(
        tmp_path_factory.mktemp("a") / "runs" / "digits",
        evidence,
        records(),
        metrics=evaluate(model, heldout, samples=5),
        events=[{"step": 120, "what": "learning rate halved"}],
    )
    (path / "config.yaml").write_text("source: digits  # given\nlatent: 6  # default\n")
    card = {
        "kind": "images", "count": 1797, "shape": [1, 8, 8], "dtype": "uint8", "range": [0, 16],
        "labels": {"0": 178, "1": 182}, "reasons": ["17 grey levels"], "notes": ["nothing was skipped"],
    }  # fmt: skip
    (path / "data_card.json").write_text(json.dumps(card))
    write_report(path)
    return path


class Page(HTMLParser):
    """Tags, their attributes and the text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data) -> None:
        self.text += data


def page_of(path: Path) -> Page:
    return Page((path / "report.html").read_text())


def check_harmless(page: Page) -> None:
    allowed = "html head meta title style link body main header section nav h1 h2 p dl dt dd ul li a span strong code"
    allowed += " pre figure figcaption div img table thead tbody tr th td footer"
    for tag, attributes in page.tags:
        assert tag in allowed.split()
        assert not [name for name in attributes if name.startswith("on")]
        assert not any(name in attributes for name in ("srcset", "action", "background"))
        if tag == "img":
            assert attributes["src"].startswith("data:image/png;base64,")
        if "href" in attributes:
            assert attributes["href"].startswith(("#", "data:"))


# ---------------------------------------------------------------------- evidence


def test_evidence_is_plain_small_and_the_same_each_time(trained, evidence):
    again = gather(*trained)
    assert evidence.keys() == again.keys()
    for name, array in evidence.items():
        assert isinstance(array, np.ndarray) and array.dtype.kind in "biufU", name
        np.testing.assert_array_equal(array, again[name], err_msg=name)
    assert sum(array.nbytes for array in evidence.values()) < 3e6
    assert not trained[0].training


def test_another_seed_gives_other_samples(trained, evidence):
    assert not np.array_equal(gather(*trained, seed=1)["sample_x"], evidence["sample_x"])


def test_best_median_and_worst_are_those(trained, evidence):
    model, _, _, heldout = trained
    score = scores(model, heldout).numpy()
    np.testing.assert_allclose(evidence["items_score"][0], np.sort(score)[:8])
    np.testing.assert_allclose(evidence["items_score"][2], np.sort(score)[::-1][:8])
    assert evidence["items_score"][1].min() <= np.median(score) <= evidence["items_score"][1].max()
    place = evidence["items_index"][2, 0]
    raw = heldout.raw[int(place), 0].numpy()
    np.testing.assert_array_equal(evidence["items_x"][2, 0], np.round(raw / 16 * 255).astype(np.uint8))
    wrong = np.abs(evidence["items_x"].astype(int) - evidence["items_rebuilt"].astype(int))
    assert np.abs(wrong - evidence["items_error"].astype(int)).max() <= 1


def test_samples_are_the_models_own_and_their_neighbors_the_nearest(trained, evidence):
    model, kind, train, _ = trained
    drawn = sample(model, 64, seed=0, mean=True)
    np.testing.assert_array_equal(evidence["sample_x"], kind.picture(drawn))
    x = train.batch(torch.arange(len(train))).x.flatten(1).double()
    apart = (drawn.flatten(1).double()[:, None] - x[None]).norm(dim=2)
    np.testing.assert_allclose(evidence["sample_distance"], apart.min(1).values.numpy(), rtol=1e-6)
    expected = kind.picture(train.batch(apart.argmin(1)).x)
    np.testing.assert_array_equal(evidence["sample_nearest"], expected)


def test_dimensions_come_in_the_order_of_their_kl(evidence):
    assert (np.diff(evidence["kl"]) <= 0).all()
    assert sorted(evidence["order"]) == list(range(6))
    assert evidence["walk_x"].shape == (int(evidence["active"].sum()), 9, 8, 8)
    assert list(evidence["walk_dims"]) == [
        d for d, a in zip(evidence["order"], evidence["active"], strict=True) if a
    ]


def test_a_traversal_passes_through_the_items_own_picture(trained, evidence):
    """Where the walk's value is the item's own, the picture is its reconstruction: between two steps, near both."""
    start, steps = evidence["walk_start"][0], evidence["walk_steps"]
    rebuilt = evidence["items_rebuilt"][1].astype(float)
    walk = evidence["walk_x"][0].astype(float)
    inner = int(np.abs(steps - start).argmin())
    near = np.abs(rebuilt - walk[inner]).mean((1, 2)).min()
    assert near < 12 and near < np.abs(walk[0] - walk[-1]).mean()


def test_principal_components_are_those_of_the_codes(trained, evidence):
    model, _, _, heldout = trained
    mean = model.encode(heldout.batch(torch.arange(len(heldout))).x).detach().double()
    used = mean[:, [int(d) for d in evidence["walk_dims"]]]
    expected = np.linalg.eigvalsh(np.cov(used.numpy().T))[::-1][:2]
    np.testing.assert_allclose(evidence["latent_pca"].var(0, ddof=1), expected, rtol=1e-4)


# ---------------------------------------------------------------------- copies


def test_copies_are_found_and_new_items_are_not():
    rng = np.random.default_rng(0)
    values = torch.from_numpy(rng.normal(size=(3000, 5)).astype(np.float32))
    train, held, fresh = Items(values[:2000]), values[2000:2500], values[2500:]
    view = View(Vectors(5))
    distance, place = nearest(values[:300], train, view)
    assert distance.max() == 0 and (place == np.arange(300)).all()
    unseen = nearest(held, train, view)[0]
    assert copy_rate(distance, unseen)[0] == 1
    rate, held_rate = copy_rate(nearest(fresh, train, view)[0], unseen)
    assert abs(rate - 0.01) < 0.015 and 0.005 <= held_rate <= 0.015


def test_exact_copies_count_where_held_out_items_repeat_training_items_too():
    assert copy_rate(np.zeros(10), np.r_[np.zeros(5), np.ones(95)]) == (1.0, 0.05)


def test_a_large_training_set_is_searched_in_part_and_in_chunks(monkeypatch):
    monkeypatch.setattr("vaekit.report.neighbors.TRAINING", 500)
    monkeypatch.setattr("vaekit.report.neighbors.NUMBERS", 64)
    values = torch.randn(2000, 4, generator=torch.Generator().manual_seed(0))
    distance, place = nearest(values[:50], Items(values), View(Vectors(4)), seed=3)
    chosen = Noise(3, "report neighbors").permutation(2000)[:500]
    expected = (values[:50, None].double() - values[chosen][None].double()).norm(dim=2)
    np.testing.assert_allclose(distance, expected.min(1).values.numpy())
    assert set(place) <= set(chosen.tolist())


class ByHeart(torch.nn.Module):
    """A decoder that answers with training items: the angle of z says which."""

    def __init__(self, x: torch.Tensor) -> None:
        super().__init__()
        self.x = x

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        turn = torch.atan2(z[:, 1], z[:, 0]) / (2 * torch.pi) + 0.5
        return self.x[(turn * len(self.x)).long().clamp(max=len(self.x) - 1)]


@pytest.mark.parametrize(("scale", "least", "most"), [(1e-3, 1.0, 1.0), (3.0, 0.0, 0.01)])
def test_a_model_that_knows_its_training_data_by_heart_is_found_out(scale, least, most):
    rows = torch.randn(600, 6, generator=torch.Generator().manual_seed(0))
    kind = Vectors(6, family=Gaussian(Fixed(scale)))
    train, heldout = Items(rows[:300], kind), Items(rows[300:], kind)
    model, _ = presets.vae(kind, latent=2)
    model.decoder.net = ByHeart(rows[:300])
    found = gather(model.eval(), kind, train, heldout)
    samples, held = found["copy_rate"]
    assert least <= samples <= most and 0.005 < held < 0.02
    assert bool(advice({}, [], found, "x")) == (samples == 1)


# ---------------------------------------------------------------------- other kinds and models


def test_an_autoencoder_has_no_samples_and_no_kl(tmp_path):
    kind, train, heldout = digit_items()
    model, objective = presets.autoencoder(kind, latent=3)
    fit(model, objective, train, steps=30)
    found = gather(model, kind, train, heldout)
    assert not found.keys() & {"sample_x", "copy_rate", "kl"}
    path = write_run(tmp_path / "ae", found, records(elbo=False), metrics=evaluate(model, heldout))
    write_report(path)
    text = page_of(path).text
    assert "no prior to draw from" in text and "There is no KL" in text and "vaekit sample" not in text
    assert "Held-out distortion" in text and "ELBO" not in text
    assert {p.stem for p in (path / "plots").glob("*.png")} == ALL - {"samples", "kl"}


@pytest.mark.parametrize("dim", [1, 2, 900])
def test_vectors_are_drawn_too(dim, tmp_path):
    kind, train, heldout = vector_items(dim)
    model, objective = presets.vae(kind, latent=1 if dim == 1 else 3)
    fit(model, objective, train, steps=20)
    found = gather(model, kind, train, heldout)
    assert found["form"] == ("points" if dim == 2 else "rows")
    real = kind.decode(heldout.batch(torch.arange(80)).x)
    quantiles = np.quantile(real, [0.05, 0.25, 0.5, 0.75, 0.95], axis=0)[:, found["quantile_columns"]]
    np.testing.assert_allclose(found["quantile_real"], quantiles)
    path = write_run(tmp_path / "v", found, records())
    (path / "data_card.json").write_text(json.dumps({"columns": [PAYLOADS[i % 10] for i in range(dim)]}))
    write_report(path)
    assert {p.stem for p in (path / "plots").glob("*.png")} == ALL
    check_harmless(page_of(path))


def test_a_conditional_model_is_sampled_with_its_labels():
    kind, train, heldout = digit_items(conditional=True, binarize="dynamic")
    model, objective = presets.conditional_vae(kind, latent=3)
    found = gather(fit(model, objective, train, steps=20), kind, train, heldout)
    assert found["sample_x"].shape == (64, 8, 8) and not found["prior_circle"]


def test_few_items_without_labels_are_enough(tmp_path):
    kind = Images(4, 12, 9)
    raw = kind.store(np.random.default_rng(0).integers(0, 256, (5, 4, 12, 9), dtype=np.uint8))
    items = Items(raw, kind)
    model, _ = presets.vae(kind, latent=2)
    for count in (5, 2, 1):
        found = gather(model.eval(), kind, items, items.subset(torch.arange(count)))
        assert found["items_x"].shape[2:] == (12, 9, 3)  # of four channels the first three
    write_report(write_run(tmp_path / "few", found))


def test_large_pictures_are_kept_small():
    kind = Images(3, 200, 300)
    shown = View(kind).shown(torch.full((2, 3, 200, 300), 0.5))
    assert shown.dtype == np.uint8 and 0.7 * PICTURE_VALUES < shown[0].nbytes <= PICTURE_VALUES
    assert abs(shown.shape[2] / shown.shape[1] - 1.5) < 0.05 and (shown == 128).all()
    assert View(kind).compared(torch.zeros(1, 3, 200, 300)).shape[1] <= 3 * 64 * 64


# ---------------------------------------------------------------------- the page


def test_the_page_is_whole_small_and_stands_alone(run):
    text = (run / "report.html").read_text()
    assert {p.stem for p in (run / "plots").glob("*.png")} == ALL
    assert len(text) < 5e6 and text.count("data:image/png;base64,") == len(ALL)
    assert not re.search(r"https?:|//[a-z]|<script|@import|url\(", re.sub(r"base64,[^\"]+", "", text))
    page = page_of(run)
    check_harmless(page)
    anchors = {attributes["href"][1:] for tag, attributes in page.tags if tag == "a"}
    assert anchors == {attributes["id"] for tag, attributes in page.tags if tag == "section"}
    assert all(attributes.get("alt") for tag, attributes in page.tags if tag == "img")
    for words in (
        "Held-out ELBO", "bits per dimension", "6 latent dimensions", "Copy rate", "17 grey levels", "latent: 6",
        "Distortion() + Rate()", "vaekit sample runs/digits --n 16 --out samples.png",
    ):  # fmt: skip
        assert words in page.text, words
    order = [
        page.text.index(title)
        for title in ("Why it is", "−ELBO is", "Held-out items", "Each sample", "Each row")
    ]
    assert order == sorted(order)


def test_every_pixel_of_an_item_is_a_square(evidence, run):
    from PIL import Image

    with Image.open(run / "plots" / "reconstructions.png") as image:
        sheet = np.asarray(image.convert("L"))
    item = evidence["items_x"][0, 0]
    factor = round(((1120 - 150) / 8 - 8) / 8)
    top, left, side = 8 + 34, 150, 8 * factor  # below the gap and a line of words, right of the names
    np.testing.assert_array_equal(
        sheet[top : top + side, left : left + side], item.repeat(factor, 0).repeat(factor, 1)
    )


def test_drawing_again_needs_no_data_and_changes_nothing(run):
    before = {p.name: p.read_bytes() for p in [*(run / "plots").iterdir(), run / "report.html"]}
    write_report(run)
    assert before == {p.name: p.read_bytes() for p in [*(run / "plots").iterdir(), run / "report.html"]}


def test_hostile_names_stay_text(trained, evidence, tmp_path):
    hostile = evidence | {"label_names": np.array(PAYLOADS)}
    path = write_run(
        tmp_path / "x'; echo <b>&", hostile, records(), name=PAYLOADS[1], preset=PAYLOADS[0], status=PAYLOADS[5],
        objective=PAYLOADS[3], versions={PAYLOADS[0]: PAYLOADS[1]}, metrics={PAYLOADS[0]: PAYLOADS[1], "elbo": -1.5},
        events=[{"step": 30 * i, "what": payload} for i, payload in enumerate(PAYLOADS)],
        data={"count": 1, "heldout": 2, "path": "/home/somebody/secret;rm -rf ~", "fingerprint": PAYLOADS[0]},
    )  # fmt: skip
    card = {"kind": PAYLOADS[0], "labels": dict.fromkeys(PAYLOADS, 3), "reasons": PAYLOADS, "notes": PAYLOADS}
    (path / "data_card.json").write_text(json.dumps(card))
    (path / "config.yaml").write_text("\n".join(PAYLOADS))
    write_report(path)
    page = page_of(path)
    check_harmless(page)
    assert page.text.count(PAYLOADS[0]) >= 6 and "{{ 7 * 7 }}" in page.text
    assert "somebody" not in page.text
    assert "'secret;rm -rf ~'" in page.text  # quoted where it is part of a command
    assert """'x'"'"'; echo <b>&'""" in page.text


@pytest.mark.parametrize(
    "facts",
    [
        {"metrics": [1], "data": "x", "versions": 3, "events": {"a": 1}, "seconds": "long", "best_step": "x"},
        {"metrics": {"elbo": "high", "rate": None, "new": {"a": [1, None]}}, "data": {"path": None, "count": "many"}},
        {"name": None, "objective": None, "preset": None, "events": [3, {"step": "x"}, {}]},
    ],
)  # fmt: skip
def test_missing_and_odd_pieces_leave_their_section_out(facts, tmp_path):
    path = write_run(tmp_path / "r", **facts)
    (path / "metrics.jsonl").write_text(
        '{"step": 1}\n[1, 2]\n{"step": 2, "split": "train", "elbo": NaN}\n{"st'
    )
    (path / "data_card.json").write_text("not json")
    (path / "plots" / "evidence.npz").write_bytes(b"PK\x03\x04 cut off")
    write_report(path)
    page = page_of(path)
    check_harmless(page)
    assert not [tag for tag, _ in page.tags if tag == "img"] and "What to do next" in page.text


def test_a_run_without_anything_but_its_facts(tmp_path):
    path = tmp_path / "bare"
    path.mkdir()
    (path / "run.json").write_text("{}")
    assert write_report(path) == path / "report.html"


def test_evidence_of_another_version_leaves_pictures_out(evidence, tmp_path):
    missing = ("items_error", "order", "walk_steps", "sample_distance", "train_count")
    path = write_run(tmp_path / "old", {key: array for key, array in evidence.items() if key not in missing})
    write_report(path)
    assert not list((path / "plots").glob("*.png"))
    assert "Copy rate" in page_of(path).text


def test_a_picture_that_is_no_longer_there_is_taken_away(tmp_path):
    path = write_run(tmp_path / "r", lines=records()[:4])
    write_report(path)
    assert (path / "plots" / "loss.png").exists()
    (path / "metrics.jsonl").unlink()
    write_report(path)
    assert not (path / "plots" / "loss.png").exists()


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(FileError, match="run.json") as refused:
        write_report(tmp_path)
    assert refused.value.code == "E301"
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(FileError):
        write_report(tmp_path)


def test_pictures_are_made_to_fit(tmp_path):
    from PIL import Image

    noise = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png")
    plain = (tmp_path / "a.png").read_bytes()
    assert smaller(plain, len(plain)) == plain
    small = smaller(plain, 20_000)
    assert len(small) <= 20_000 and small.startswith(b"\x89PNG")
    both = embedded({"a": tmp_path / "a.png", "b": tmp_path / "a.png"}, most=40_000)
    assert sum(map(len, both.values())) < 40_000 * 4 / 3 + 100


# ---------------------------------------------------------------------- curves and words


def test_the_first_steps_do_not_squash_the_curve():
    steps = np.arange(1, 1001.0)
    values = 80 + 1e6 * np.exp(-steps / 5)
    low, high = limits({"train": (steps, values), "heldout": (np.array([]), np.array([]))})
    assert low < 80 < high < 90


def test_a_burst_does_not_squash_the_curve_but_a_slow_rise_is_shown():
    steps, values = np.arange(1.0, 201), np.linspace(90, 80, 200)
    values[120] = 1e5
    assert limits({"train": (steps, values)})[1] < 200
    rising = np.r_[np.linspace(90, 80, 100), np.linspace(80, 120, 100)]
    assert limits({"train": (steps, rising)})[1] > 120


def test_the_end_of_a_warm_up_and_the_best_step_are_marked():
    beta = series(records(), "beta")
    assert events({"best_step": 290}, beta) == [(100, "warm-up ends: β = 1"), (290, "best held-out figure")]
    assert events({}, (beta[0], np.ones_like(beta[0]))) == []


def test_overfitting_is_told_from_a_plateau():
    assert overfitted(records()) == 0
    worse = records()
    for record in worse:
        if record["split"] == "heldout" and record["step"] > 150:
            record["elbo"] -= 0.1 * (record["step"] - 150)
    values = [-record["elbo"] for record in worse if record["split"] == "heldout"]
    assert overfitted(worse) == pytest.approx(values[-1] - min(values))


def test_commands_can_be_pasted(tmp_path):
    lines = dict(next_steps(tmp_path / "runs" / "-x y", {"data": {"path": "-d"}}, [], {"form": "rows"}, []))
    assert lines["new items"] == "vaekit sample 'runs/-x y' --n 1000 --out samples.csv"
    assert " ./-d " in lines["codes of items"]
    assert next_steps(tmp_path / "a\nb", {}, [], {}, [])[0][1] == "vaekit explore RUN"


@pytest.mark.parametrize(
    "file", sorted(Path(report.__file__).parent.glob("*.py")), ids=lambda file: file.name
)
def test_drawing_libraries_are_imported_where_they_are_used(file):
    tops = [
        node for node in ast.parse(file.read_text()).body if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    names = {name.name for node in tops for name in node.names} | {
        getattr(node, "module", "") for node in tops
    }
    assert not {str(name).partition(".")[0] for name in names} & {"matplotlib", "jinja2", "PIL"}
