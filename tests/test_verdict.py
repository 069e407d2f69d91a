"""The verdict: its estimators against closed forms, its three lights at their limits, and commands that parse."""

import json
import math
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import norm
from torch import nn

import vaekit
from vaekit import VAE, pages, presets
from vaekit.bottlenecks import Variational
from vaekit.conditional import Conditional
from vaekit.data import Items, Vectors
from vaekit.data.card import Card
from vaekit.distributions import Gaussian
from vaekit.evaluation import evaluate
from vaekit.evaluation.separation import auc_error, separation
from vaekit.priors import StandardNormal
from vaekit.report import gather, words
from vaekit.report.evidence_verdict import _constant, apart, correlation, judged
from vaekit.report.next_steps import next_steps, still_falling
from vaekit.report.page import rendered
from vaekit.report.verdict import NO, PARTLY, UNSAID, YES, Light, as_facts, from_facts, lights
from vaekit.report.view import View


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def normal(n: int, width: int = 4, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, width))


def correlated(n: int, r: float, seed: int) -> np.ndarray:
    rows = normal(n, 4, seed)
    rows[:, 1] = r * rows[:, 0] + math.sqrt(1 - r * r) * rows[:, 1]
    return rows


# ---------------------------------------------------------------------- telling two sets apart


def test_the_auc_of_a_shift_is_the_known_one() -> None:
    shift = 1.2
    found = separation(normal(1500, 1, 0), normal(1500, 1, 1) + shift)
    best = norm.cdf(shift / math.sqrt(2))  # of two normal distributions of variance one
    assert found is not None and abs(found.auc - best) < 0.02 and found.low < best < found.high


def test_two_sets_of_one_distribution_are_not_told_apart() -> None:
    found = [separation(normal(120, 3, 2 * i), normal(120, 3, 2 * i + 1), seed=i) for i in range(20)]
    assert abs(np.mean([one.auc for one in found]) - 0.5) < 0.035
    assert sum(one.low <= 0.5 <= one.high for one in found) >= 18  # a 95 % interval
    assert found[0] == separation(normal(120, 3, 0), normal(120, 3, 1), seed=0)


def test_a_correlation_alone_is_seen() -> None:
    found = separation(correlated(400, 0.98, 0), correlated(400, 0.68, 1))
    assert found is not None and found.low > 0.6


def test_the_standard_error_is_that_of_many_draws() -> None:
    shift, n = 1.0, 40
    rng = np.random.default_rng(0)
    aucs = []
    for _ in range(400):
        a, b = rng.normal(size=n), rng.normal(size=n) + shift
        aucs.append((a[:, None] < b[None]).mean())
    assert auc_error(float(np.mean(aucs)), n, n) == pytest.approx(np.std(aucs), rel=0.15)
    assert auc_error(1.0, n, n) > 0  # never quite sure
    assert auc_error(0.2, n, n) == auc_error(0.8, n, n)


@pytest.mark.parametrize("rows", [normal(9), np.ones((30, 3)), np.full((30, 2), np.nan)])
def test_too_few_rows_or_nothing_that_varies_says_nothing(rows) -> None:
    assert separation(rows, rows.copy()) is None
    assert apart(torch.from_numpy(rows), torch.from_numpy(rows)) is None


# ---------------------------------------------------------------------- baselines


def gaussian_model(weight: float = 1.0) -> VAE:
    """z is about x's two values; the decoder gives weight · z."""
    encoder, decoder = nn.Linear(2, 4), nn.Linear(2, 4)
    with torch.no_grad():
        encoder.weight.zero_(), encoder.bias.zero_(), decoder.weight.zero_(), decoder.bias.zero_()
        encoder.weight[:2] = torch.eye(2)
        encoder.bias[2:] = -4.0  # nearly certain
        decoder.weight[:2] = weight * torch.eye(2)
    bottleneck = Variational(Conditional(nn.Identity(), Gaussian()), StandardNormal(2))
    return VAE(encoder, bottleneck, Conditional(decoder, Gaussian())).eval()


def vector_items(n: int, seed: int = 0) -> Items:
    kind = Vectors(2)
    rows = normal(n, 2, seed) * [1.0, 3.0] + [2.0, -1.0]
    return Items(kind.store(rows), kind)


def test_the_best_model_without_a_latent_is_the_normal_distribution_of_the_data() -> None:
    train, held = vector_items(256), vector_items(2000, 1)
    batch = held.batch(torch.arange(2000))
    found = _constant(gaussian_model(), train, batch, 0)
    entropy = sum(0.5 * math.log(2 * math.pi * math.e * sd**2) for sd in (1.0, 3.0))
    assert found is not None and float(found.mean()) == pytest.approx(entropy, abs=0.08)


def test_a_decoder_that_ignores_its_code_loses_nothing_by_another_ones() -> None:
    train, held = vector_items(64), vector_items(200, 1)
    ignored = judged(gaussian_model(0.0), View(held.kind), train, held)
    used = judged(gaussian_model(1.0), View(held.kind), train, held)
    assert abs(ignored["verdict_swapped"][0]) < 1e-6 and used["verdict_swapped"][0] > 1
    assert ignored["verdict_explained"][0] <= 0 and used["verdict_explained"][0] > 0.9
    found = {light.what: light.answer for light in lights({}, ignored | {"samples": np.array(True)})}
    assert found["latent used"] == NO and found["reconstructs"] == NO


def test_the_used_dimensions_are_counted_once_for_the_whole_report(monkeypatch) -> None:
    monkeypatch.setattr("vaekit.report.evidence.SEEN", 128)
    kind = Vectors(3)
    raw = normal(600, 3)
    raw[:, 2] *= 0.01  # hardly moves
    raw[501, 2] = 40.0  # but for one item, which the report does not look at
    items = Items(kind.store(raw), kind)
    model, _ = presets.vae(kind, latent=3)
    found = gather(model.eval(), kind, items, items)
    assert int(found["seen_count"]) == 128
    assert int(found["active"].sum()) == evaluate(model, items)["active_units"]


# ---------------------------------------------------------------------- correlations


def test_the_pair_that_is_most_off_is_found_unless_chance_explains_it() -> None:
    real, drawn = correlated(300, 0.98, 0), correlated(300, 0.68, 1)
    found = correlation(list("abcd"), real, drawn)
    assert found["verdict_pair"].tolist() == ["a", "b"]
    np.testing.assert_allclose(found["verdict_correlation"][:2], [0.98, 0.68], atol=0.06)
    assert found["verdict_correlation"][2] < 1e-6
    same = correlation(list("abcd"), real[:150], real[150:])
    assert same["verdict_correlation"][2] > 0.01
    assert correlation(["a"], real[:, :1], drawn[:, :1]) == {}


# ---------------------------------------------------------------------- the three lights


def evidence(**more) -> dict[str, np.ndarray]:
    found = {
        "form": "table", "samples": True, "seen_count": 400, "order": np.arange(8), "active": np.arange(8) < 5,
        "verdict_explained": [0.8], "verdict_gain": [20.0, 1.0], "verdict_apart": [0.55, 0.5, 0.6, 400],
        "verdict_swapped": [30.0, 1.0], "verdict_information": [3.0, 5.5],
    } | more  # fmt: skip
    return {name: np.asarray(value) for name, value in found.items() if value is not None}


def answers(**more) -> dict[str, str]:
    return {light.what: light.answer for light in lights({"distortion": 50.0}, evidence(**more))}


def test_a_good_model_has_three_green_lights() -> None:
    found = lights({"distortion": 50.0, "active_units": 7}, evidence())
    assert [light.answer for light in found] == [YES, YES, YES]
    says = {light.what: light.says for light in found}
    assert "50 nats per item, 70 for the best model without a latent" in says["reconstructs"]
    assert "5 of 8 latent dimensions" in says["latent used"]  # the count of the evidence, as in the tables
    assert "0.50 to 0.60" in says["samples"] and "guesses" in says["samples"]
    assert from_facts(json.loads(json.dumps(as_facts(found)))) == found


@pytest.mark.parametrize(
    ("what", "more", "answer"),
    [
        ("reconstructs", {"verdict_explained": [0.4]}, PARTLY),
        ("reconstructs", {"verdict_explained": [0.1]}, NO),
        ("reconstructs", {"verdict_gain": [1.0, 1.0]}, NO),
        ("samples", {"verdict_apart": [0.5, 0.35, 0.65, 50]}, UNSAID),
        ("samples", {"verdict_apart": [0.7, 0.62, 0.78, 400]}, PARTLY),
        ("samples", {"verdict_apart": [0.95, 0.9, 1.0, 50]}, NO),
        ("samples", {"verdict_apart": None}, UNSAID),
        ("samples", {"samples": False}, NO),
        ("samples", {"copy_rate": [0.5, 0.01]}, PARTLY),
        ("samples", {"verdict_correlation": [0.98, 0.68, 1e-6], "verdict_pair": ["a", "b"]}, PARTLY),
        ("samples", {"verdict_correlation": [0.98, 0.2, 1e-6], "verdict_pair": ["a", "b"]}, NO),
        ("samples", {"verdict_correlation": [0.98, 0.9, 1e-6], "verdict_pair": ["a", "b"]}, YES),
        ("samples", {"verdict_correlation": [0.5, 0.2, 0.3], "verdict_pair": ["a", "b"]}, YES),
        ("latent used", {"active": np.zeros(8, bool)}, NO),
        ("latent used", {"verdict_swapped": [0.5, 0.4]}, NO),
        ("latent used", {"verdict_information": [0.5, 5.5]}, PARTLY),
        ("latent used", {"verdict_information": None, "codebook": [0.05, 10.0, 512]}, PARTLY),
    ],
)
def test_the_lights_change_where_they_should(what, more, answer) -> None:
    assert answers(**more)[what] == answer


def test_what_is_not_known_is_left_out_and_what_comes_from_a_file_is_only_text() -> None:
    assert lights({}, {}) == [] and lights({"distortion": "x", "active_units": "y"}, {}) == []
    odd = from_facts([3, {"what": "samples", "answer": "<b>", "says": "|[x](y)"}])
    assert odd[0].symbol == "?" and from_facts("no") == []
    text = pages.verdict(as_facts(odd))
    assert r"\|\[x\](y)" in text and r"\<b\>" in text and pages.verdict(None) == ""


# ---------------------------------------------------------------------- what to do next


def curve(values, split="heldout") -> list[dict]:
    return [
        {"step": 10 * (i + 1), "split": split, "elbo": -float(v), "distortion": float(v)}
        for i, v in enumerate(values)
    ]


def steps(lit=(), records=(), run=None, **more) -> dict[str, str]:
    facts = {"preset": "vae", "steps": 500, "data": {"path": "my table.csv"}} | (run or {})
    found = next_steps(Path("runs/x y"), facts, list(records), evidence(**more), list(lit))
    assert len(found) <= 5
    return dict(found)


def test_a_curve_that_still_falls_is_told_from_one_that_is_flat() -> None:
    assert still_falling(curve(100 - np.arange(20)))
    assert not still_falling(curve(100 - np.arange(20).clip(max=12)))
    assert not still_falling(curve([*range(100, 80, -1), 81, 82, 83]))  # it rises again
    assert not still_falling(curve([3, 2])) and not still_falling([])
    assert "--steps 1000" in " ".join(steps(records=curve(100 - np.arange(20))).values())


def test_an_alarm_of_the_diagnosis_is_mended_first_and_by_its_own_cure_alone() -> None:
    poor = [Light("latent used", NO, "")]
    facts = {"preset": "beta_vae", "metrics": {"active_units": 0}, "data": {"path": "a.csv"}}
    found = next_steps(Path("runs/x"), facts, [], {}, poor, "z is used")
    assert found[0] == ("mend the first alarm: z is used?", "vaekit doctor runs/x a.csv --fix")
    assert "free_bits" not in str(found) and [what for what, _ in found].count("find what is wrong") == 0
    assert "--preset free_bits_vae" in str(next_steps(Path("runs/x"), facts, [], {}, poor))
    assert "free_bits" not in str(words.advice(facts, [], {}, "a.csv", "z is used"))
    assert "z is used?" in str(words.advice(facts, [], {}, "a.csv", "z is used"))
    assert "--preset free_bits_vae" in str(words.advice(facts, [], {}, "a.csv"))


def test_a_prior_is_fitted_only_where_the_prior_is_at_fault() -> None:
    poor = [Light("samples", PARTLY, "")]
    bad, good = {"verdict_prior": [0.9, 0.8, 0.95, 400]}, {"verdict_prior": [0.5, 0.45, 0.55, 400]}
    told = {"prior_to_fit": "diffusion", **bad}
    assert steps(poor, **told)["better samples"].endswith("--prior diffusion")
    assert "better samples" not in steps(poor, **told | good)
    assert "better samples" not in steps([Light("samples", YES, "")], **told)
    assert "better samples" not in steps(poor, run={"prior": "mixture"}, **told)
    assert "better samples" not in steps(poor, **told | {"prior_to_fit": ""})


@pytest.mark.parametrize("form", ["table", "pictures", "text", "rows", "points"])
def test_every_command_is_one_that_the_command_line_takes(form) -> None:
    import typer

    from vaekit.cli import app

    group = typer.main.get_command(app)
    known, seen = set(group.commands), set()
    worst = [Light("latent used", NO, ""), Light("samples", PARTLY, "")]
    asked = [
        steps(worst, curve(100 - np.arange(20)), form=form, prior_to_fit="diffusion"),
        steps(worst[1:], form=form, prior_to_fit="autoregressive", verdict_prior=[0.9, 0.8, 1, 99]),
        steps(form=form, hole_train=np.ones(3)),
        steps(form=form, samples=False, prior_to_fit="diffusion"),
    ]
    for command in [command for one in asked for command in one.values()]:
        program, name, *words = shlex.split(command)
        assert program == "vaekit"
        seen.add(name)
        if name in known:
            context = group.commands[name].make_context(name, list(words))
            assert not context.args, command
    assert {"train", "fit-prior", "doctor", "explore", "score", "sample"} <= seen
    assert seen - known <= {"doctor", "explore"}


# ---------------------------------------------------------------------- a run from end to end


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    import pandas as pd

    rows = correlated(220, 0.9, 3)
    frame = pd.DataFrame({"a": rows[:, 0], "b<i>": rows[:, 1], "c": np.where(rows[:, 2] > 0, "x|y", "z")})
    place = tmp_path_factory.mktemp("verdict") / "runs" / "small"
    quick = dict(steps=30, batch_size=32, latent=2, threads=1, evaluate_every=10, quiet=True)
    return vaekit.fit(frame, out=place, **quick)


def test_a_run_has_the_same_verdict_everywhere(run) -> None:
    lit = from_facts(run.facts["verdict"])
    assert [light.what for light in lit] == ["reconstructs", "samples", "latent used"]
    page = (run.path / "report.html").read_text()
    readme, card = ((run.path / part / "README.md").read_text() for part in ("", "model"))
    for light in lit:
        assert f"{light.what.capitalize()}: {light.answer}</strong>" in page and light.symbol in page
        assert f"| {light.what} | **{light.answer}** |" in readme and f"**{light.answer}**" in card
    used = f"{run.metrics['active_units']} of "
    assert used in page and used in readme and f"{used}2 dimensions in use" not in card
    assert page.index("Reconstructs:") < page.index("<nav")
    assert "about the least to expect" not in page


def test_what_a_notebook_shows_is_small_static_and_escaped(run, tmp_path) -> None:
    for shown in (run, run.model, run.card, Card(a="<script>alert(1)</script>", types=[{"name": "<b>"}])):
        html = shown._repr_html_()
        assert len(html) < 200_000 and "<table" in html and "<script" not in html and "http" not in html
        assert "word-break" not in html and "anywhere" not in html
    assert "&lt;i&gt;" in run.card._repr_html_() and "latent used" in run._repr_html_()
    assert json.loads(json.dumps(run.card)) == run.card
    many = Card({f"name {i}": "x" * 5_000 for i in range(5_000)})
    assert len(many._repr_html_()) < 200_000
    assert str(run.path.parent) not in run._repr_html_()
    assert "Variational" in gaussian_model()._repr_html_()


def test_the_box_says_it_in_word_symbol_and_colour() -> None:
    page = rendered("page.html", _bare([Light("samples", UNSAID, "<x>"), Light("latent used", NO, "n")]))
    assert "light unsaid" in page and "light no" in page and "✗" in page and "&lt;x&gt;" in page
    assert "cannot be said" in page


def _bare(lit) -> dict:
    from vaekit.report.page import _context

    context = _context(Path("x"), {}, {}, [], {}, {})
    return context | {"lights": lit}
