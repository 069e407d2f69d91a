"""The doctor: every check against what is known by hand, and a run that is named, shown and mended."""

from __future__ import annotations

import json
import math
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands import call
from scipy import stats
from torch import Tensor, nn
from torch.distributions import Laplace, Normal, StudentT

import vaekit
from vaekit import as_trained
from vaekit.bottlenecks import Deterministic, Variational
from vaekit.conditional import Conditional
from vaekit.data import Images, Items, Vectors
from vaekit.diagnosis import CHECKS, Cure, Effort, Subject, examine, first
from vaekit.diagnosis.codebook import codebook, share_in_use
from vaekit.diagnosis.finding import left_out
from vaekit.diagnosis.inference import gap
from vaekit.diagnosis.information import information
from vaekit.diagnosis.latent import latent, shuffle_loss
from vaekit.diagnosis.numbers import numbers
from vaekit.diagnosis.overfitting import overfitting
from vaekit.diagnosis.prior import prior
from vaekit.diagnosis.record import kept, known, spoken
from vaekit.diagnosis.scale import best_factor, scale
from vaekit.diagnosis.score import rank_correlation, score
from vaekit.diagnosis.units import units
from vaekit.distributions import Fixed, Gaussian, Shared
from vaekit.errors import DataError, FileError, UsageError
from vaekit.mending import mend, told
from vaekit.model import VAE
from vaekit.presets.discrete import vq_vae
from vaekit.priors import StandardNormal
from vaekit.report.diagnosis import section

FAST = Effort(items=256, refined=64, steps=20, classifier=200)
N = 256


def raw_of(scale: float) -> float:
    """What the network says for this posterior scale, where 0 stands for 1."""
    return math.log(math.expm1((scale - 1e-4) * math.log(2) / (1 - 1e-4)))


def linear(gain: Any, scales: Any, w: Any, sigma: float, shift: float = 0.0, bias: Any = 0.0) -> VAE:
    """q(z | x) = N(gain x + shift, scales²), p(x | z) = N(w z + bias, σ²), p(z) = N(0, I)."""
    gain, w = np.atleast_2d(gain), np.atleast_2d(w)
    latent_width, width = gain.shape
    head, decoder = nn.Linear(width, 2 * latent_width), nn.Linear(latent_width, width)
    raw = [raw_of(s) for s in np.broadcast_to(scales, latent_width)]
    with torch.no_grad():
        head.weight.copy_(torch.tensor(np.concatenate([gain, np.zeros_like(gain)])))
        head.bias.copy_(torch.tensor([shift] * latent_width + raw))
        decoder.weight.copy_(torch.tensor(w))
        decoder.bias.copy_(torch.tensor(np.broadcast_to(bias, width).copy()))
    bottleneck = Variational(Conditional(head, Gaussian()), StandardNormal(latent_width))
    return VAE(nn.Identity(), bottleneck, Conditional(decoder, Gaussian(Fixed(sigma)))).eval()


def normal(shape: tuple[int, ...], seed: int = 0, scale: float = 1.0, shift: float = 0.0) -> Tensor:
    rng = np.random.default_rng(seed)
    return torch.tensor(shift + scale * rng.normal(size=shape), dtype=torch.float32)


def subject(model: VAE, x: Tensor, held: Tensor | None = None, **options: Any) -> Subject:
    kind = Vectors(x.shape[1])
    seen, heldout = Items(x, kind), Items(x if held is None else held, kind)
    return Subject(model, kind, seen, heldout, effort=FAST, **options)


# ---------------------------------------------------------------------- each check by hand


@pytest.mark.parametrize(("widened", "expected"), [(1.0, 0.0), (2.0, 2 * 0.5 * (4 - 1 - math.log(4)))])
def test_the_gap_of_an_exact_posterior_is_nothing_and_of_one_twice_as_wide_its_kl(
    widened: float, expected: float
) -> None:
    sigma, sizes = 0.6, np.array([1.7, 0.8])
    w = np.linalg.qr(np.random.default_rng(1).normal(size=(5, 2)))[0] * sizes
    spread = sigma**2 / (sizes**2 + sigma**2)  # of z given x; W's columns are orthogonal
    model = linear((w / (sizes**2 + sigma**2)).T, widened * np.sqrt(spread), w, sigma)
    x = normal((N, 2)) @ torch.tensor(w.T, dtype=torch.float32) + sigma * normal((N, 5), seed=1)
    gained, rate = gap(model, Items(x, Vectors(5)).batch(torch.arange(N)), steps=60)
    assert float(gained.mean()) == pytest.approx(expected, abs=0.13)  # ± 0.05 is its standard error
    closed = model(x).rate.detach()
    assert float(rate.mean()) == pytest.approx(float(closed.mean()), rel=1e-4)


@pytest.mark.parametrize(
    ("sigma", "factor", "alarm"), [(1.0, 1.0, False), (0.1, 10.0, True), (4.0, 0.25, True)]
)
def test_the_scale_is_held_against_the_errors(sigma: float, factor: float, alarm: bool) -> None:
    x = normal((N, 8))
    found = scale(
        subject(
            linear(np.zeros((1, 8)), 1.0, np.zeros((8, 1)), sigma), x, config={"likelihood": "gaussian:9"}
        )
    )
    assert found.value == pytest.approx(factor * float(x.square().mean().sqrt()), rel=1e-5)
    assert found.alarm == alarm and (found.cure == Cure({"likelihood": "gaussian"})) == alarm


def test_the_best_factor_is_the_most_probable_one() -> None:
    rng = np.random.default_rng(0)
    far = torch.tensor(3 * stats.t(4).rvs(size=4_000, random_state=rng))
    found = best_factor(StudentT(torch.tensor(4.0)), far)
    costs = {
        a: -stats.t(4).logpdf(far.numpy() / a).sum() + len(far) * math.log(a)
        for a in (found, 0.98 * found, 1.02 * found)
    }
    assert min(costs, key=costs.get) == found  # type: ignore[arg-type]
    assert best_factor(Laplace(0.0, 1.0), torch.tensor([-2.0, 4.0])) == 3.0
    assert best_factor(Normal(0.0, 1.0), torch.tensor([3.0, -4.0])) == pytest.approx(math.sqrt(12.5))


def test_what_is_lost_when_codes_are_swapped() -> None:
    one = subject(linear(np.eye(3), 0.1, np.eye(3), 0.5), normal((100, 3)))
    (out,) = one.passes
    other = out.z.roll(1, 0)
    by_hand = ((out.x - other).square() - (out.x - out.z).square()).sum(1) / (2 * 0.5**2)
    assert shuffle_loss(one) == pytest.approx(float(by_hand.mean()), rel=1e-4)
    assert not latent(one).alarm


def test_a_decoder_without_z_is_named_with_its_reason() -> None:
    model = linear(np.eye(3), 0.1, np.zeros((3, 3)), 0.5)
    found = latent(
        subject(model, normal((100, 3)), config={"preset": "beta_vae", "arguments": {"beta": 100.0}})
    )
    assert found.alarm and found.value == 0.0 and "100 times" in found.evidence
    assert found.cure == Cure({"beta": 1.0})


@pytest.mark.parametrize(("shift", "alarm"), [(0.0, False), (2.0, True)])
def test_a_shifted_posterior_is_told_from_the_prior(shift: float, alarm: bool) -> None:
    # z ~ N(shift, 1) together, so that the AUC is Φ(shift / √2)
    model = linear([[0.8]], 0.6, [[1.0]], 1.0, shift)
    found = prior(subject(model, normal((600, 1)), config={}))
    assert found.value == pytest.approx(stats.norm.cdf(shift / math.sqrt(2)), abs=0.08)
    assert found.alarm == alarm and (found.cure is not None) == alarm


@pytest.mark.parametrize(("apart", "alarm"), [(1.0, False), (2.0, True)])
def test_the_gap_to_held_out_items_is_held_against_the_rate(apart: float, alarm: bool) -> None:
    # the code is the same for all: rate m² / 2 = 2 nats; the distortion is x² / 2 of each of four values
    model = linear(np.zeros((1, 4)), 1.0, np.zeros((4, 1)), 1.0, shift=2.0)
    seen, held = torch.full((200, 4), 0.5), torch.full((50, 4), math.sqrt(0.25 + apart / 2))
    found = overfitting(subject(model, seen, held))
    assert found.value == pytest.approx(apart, abs=1e-4)
    assert found.alarm == alarm


def test_a_gap_within_its_error_raises_no_alarm() -> None:
    model = linear(np.zeros((1, 4)), 1.0, np.zeros((4, 1)), 1.0, shift=0.1)
    held = torch.cat([torch.zeros(9, 4), torch.full((1, 4), 4.0)])  # 3.2 nats in the mean, ± 3.2
    found = overfitting(subject(model, torch.zeros(200, 4), held))
    assert found.value == pytest.approx(3.2, abs=1e-4) and not found.alarm


@pytest.mark.parametrize(("used", "alarm"), [(4, False), (2, False), (1, True)])
def test_dimensions_in_use_are_counted(used: int, alarm: bool) -> None:
    gain = np.diag([1.0] * used + [0.0] * (8 - used))
    found = units(subject(linear(gain, 0.5, np.eye(8), 1.0), normal((N, 8))))
    assert found.value == used / 8 and found.alarm == alarm
    assert (found.cure == Cure({"latent": 2})) == alarm


def test_a_rate_without_information_is_named() -> None:
    none = information(subject(linear([[0.0]], 1.0, [[1.0]], 1.0, shift=2.0), normal((N, 1))))
    assert none.alarm and none.value == pytest.approx(0.0, abs=0.05)
    some = information(subject(linear([[1.0]], 0.3, [[1.0]], 1.0), normal((N, 1))))
    # z ~ N(0, 1.09) together: I = ½ log(1.09 / 0.09)
    assert not some.alarm and float(some.evidence.split()[0]) == pytest.approx(
        0.5 * math.log(1.09 / 0.09), abs=0.15
    )


def test_the_share_of_a_codebook_that_occurs() -> None:
    assert share_in_use(torch.tensor([0, 1, 2, 3] * 100), 4) == pytest.approx(1.0)
    assert share_in_use(torch.zeros(6, dtype=torch.long), 4) == pytest.approx(1 / (4 * (1 - 0.75**6)))


def test_dead_codes_are_named_and_numbers_have_none() -> None:
    model, _ = vq_vae(Vectors(6), latent=4, codes=32)
    sick = subject(model.eval(), normal((N, 6)), config={"preset": "vq_vae"})
    model.bottleneck.quantizer.codebook.fill_(100.0)  # type: ignore[union-attr, operator]
    found = codebook(sick)
    assert found.alarm and found.value == pytest.approx(1 / 32) and found.cure is not None
    assert found.cure.options == {"preset": "vq_vae", "codes": 128, "moving_average": True}
    plain = codebook(subject(linear(np.eye(2), 1.0, np.eye(2), 1.0), normal((N, 2))))
    assert plain.value is None and not plain.alarm


def line(step: int, **figures: Any) -> dict[str, Any]:
    return {"step": step, "split": "train", "rate": 5.0, "distortion": 60.0, "gradient_norm": 10.0, **figures}


@pytest.mark.parametrize(
    ("records", "events", "signs"),
    [
        ([line(s) for s in (10, 20, 30, 40)], [], 0),
        (
            [line(10, gradient_norm=1e5), *(line(s) for s in (20, 30, 40))],
            [],
            0,
        ),  # before anything was learned
        ([line(s, gradient_norm=n) for s, n in enumerate([1e6, 1e5, 1e4, 1.0, 1.0, 1.0, 1.0, 1.0])], [], 0),
        ([*(line(s) for s in (10, 20, 40)), line(30, gradient_norm=1_001.0)], [], 1),
        ([*(line(s) for s in (10, 20, 40)), line(30, gradient_norm=999.0)], [], 0),
        ([line(10), line(20, distortion=None)], [], 1),
        ([line(10, rate=1.1e4)], [], 1),
        ([line(10)], [{"step": 3, "what": "2 steps were not finite and were skipped"}], 1),
    ],
)
def test_signs_of_bad_numbers_are_counted(records: list[Any], events: list[Any], signs: int) -> None:
    model = linear(np.eye(2), 1.0, np.eye(2), 1.0)
    found = numbers(subject(model, normal((N, 2)), records=records, events=events, config={"lr": 0.004}))
    assert found.value == signs and found.alarm == (signs > 0)
    assert found.cure == (Cure({"lr": 0.001}) if signs else None)


def test_weights_that_are_not_finite_are_a_sign() -> None:
    model = linear(np.eye(2), 1.0, np.eye(2), 1.0)
    with torch.no_grad():
        next(model.decoder.parameters()).fill_(math.nan)
    assert numbers(subject(model, normal((N, 2)))).alarm


def test_what_is_no_number_or_fails_is_left_out_and_raises_no_alarm(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = linear([[1.0, 0.0]], 1.0, [[1.0], [0.0]], 1.0), normal((32, 2))
    with torch.no_grad():
        model.decoder.net.weight.fill_(math.nan)
    items = Items(x, Vectors(2))
    found = examine(model, Vectors(2), items, items, effort=FAST)
    assert [finding.name for finding in found if finding.alarm] == ["numbers"]
    assert all(finding.value is None or math.isfinite(finding.value) for finding in found)

    def broken(subject: Subject) -> Any:
        raise DataError("E206", "rows have no likelihood.")

    broken.__module__ = "vaekit.diagnosis.units"
    monkeypatch.setattr("vaekit.diagnosis.examination.CHECKS", (broken,))
    (left,) = examine(model, Vectors(2), items, items, effort=FAST)
    assert left.value is None and "could not be measured (DataError" in left.evidence


@pytest.mark.parametrize("count", [1, 2, 7])
def test_a_few_items_raise_no_alarm(count: int) -> None:
    items = Items(normal((8, 2), seed=5)[:count], Vectors(2))
    found = examine(linear([[1.0, 0.0]], 1.0, [[1.0], [0.0]], 1.0), Vectors(2), items, items, effort=FAST)
    assert not [finding.name for finding in found if finding.alarm]


def test_scores_are_held_against_complexity(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(5, size=40).astype(float), rng.normal(size=40)
    assert rank_correlation(a, b) == pytest.approx(stats.spearmanr(a, b).statistic)
    assert rank_correlation(a, np.ones(40)) == 0.0
    pictures = torch.zeros(60, 1, 8, 8, dtype=torch.uint8)
    for i in range(60):  # more noisy pixels, more bytes
        pictures[i].view(-1)[:i] = torch.tensor(rng.integers(256, size=i), dtype=torch.uint8)
    kind = Images(1, 8, 8)
    items = Items(pictures, kind)
    model = linear(np.eye(2), 1.0, np.eye(2), 1.0)
    place = sys.modules["vaekit.diagnosis.score"]  # its name in the package is the check's
    for sign, alarm in ((1.0, True), (0.0, False)):
        monkeypatch.setattr(place, "negative_elbo", lambda subject, items, s=sign: s * torch.arange(60.0))
        chosen = Subject(model, kind, items, items, effort=FAST)
        monkeypatch.setattr(chosen, "some", lambda items, most: items)
        assert score(chosen).alarm == alarm
    assert score(subject(model, normal((N, 2)))).value is None


def test_a_code_without_noise_leaves_checks_out_with_a_reason() -> None:
    model = VAE(nn.Linear(3, 2), Deterministic(), Conditional(nn.Linear(2, 3), Gaussian(Fixed(1.0)))).eval()
    kind, x = Vectors(3), normal((64, 3))
    found = {f.name: f for f in examine(model, kind, Items(x, kind), Items(x, kind), effort=FAST)}
    assert len(found) == len(CHECKS) == 10
    assert {name for name, f in found.items() if f.value is None} == {
        "codebook", "prior", "inference", "overfitting", "units", "information", "score",
    }  # fmt: skip
    assert all(f.evidence and f.state for f in found.values())


# ---------------------------------------------------------------------- cures


def test_a_cure_changes_what_it_names_and_keeps_the_rest() -> None:
    config = {
        "source": "a b.csv", "preset": "beta_vae", "arguments": {"beta": 9.0}, "latent": 4, "steps": 70, "lr": 0.002,
        "clip": 5.0, "columns": {"age": "category"}, "at_most": 7, "labels": None, "seed": 3,
    }  # fmt: skip
    assert Cure({"preset": "vae"}).over(config) == {
        "preset": "vae", "latent": 4, "steps": 70, "clip": 5.0, "columns": {"age": "category"}, "seed": 3,
    }  # fmt: skip
    assert Cure({"beta": 1.0}).over(config)["beta"] == 1.0
    assert "steps" not in Cure({"epochs": 2.0}).over(config)
    command = Cure({"beta": 1.0}).command(config, "runs/x", "runs/x-mended")
    assert command.startswith("vaekit train 'a b.csv' --preset beta_vae")
    for part in ("--set train.clip=5", "--set column.age=category", "--beta 1", "--out runs/x-mended"):
        assert part in command
    assert Cure(prior="flow").command(config, "runs/x") == "vaekit fit-prior runs/x 'a b.csv' --prior flow"


# ---------------------------------------------------------------------- a run, examined and mended


@pytest.fixture(scope="module")
def sick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose KL weighs 1000 times, long enough for training to examine it, on bits that two numbers decide."""
    out = tmp_path_factory.mktemp("doctor")
    np.save(out / "rows.npy", (normal((200, 2)) @ normal((2, 12), seed=1) > 0).numpy())
    options: dict[str, Any] = {
        "preset": "beta_vae",
        "beta": 1_000,
        "steps": 200,
        "patience": 0,  # how often it is evaluated, and so when it could stop early, is the clock's
        "latent": 2,
        "reference": False,
    }
    vaekit.fit(out / "rows.npy", out=out / "sick", quiet=True, **options)
    return out / "sick"


def test_training_leaves_a_diagnosis_that_the_report_shows(sick: Path) -> None:
    facts = known(sick)
    assert facts["quick"] and facts["disease"] == "latent" and len(facts["findings"]) == 10
    page = (sick / "report.html").read_text()
    assert 'id="diagnosis"' in page and "1000 times" in page and "vaekit train " in page


def test_the_command_names_the_disease_and_what_mends_it(sick: Path) -> None:
    answer = call("doctor", sick, "--json")
    found = json.loads(answer.out)
    assert answer.code == 0 and found["disease"] == "latent" and not found["quick"]
    cure = next(each["cure"] for each in found["findings"] if each["name"] == "latent")
    assert "--preset beta_vae" in cure and "--beta 1 " in cure and "--latent 2" in cure
    assert not known(sick)["quick"]
    said = call("doctor", sick).err
    assert "ALARM  z is used" in said and "try: vaekit train " in said and "--fix" in said


def test_a_name_that_is_no_run_brings_those_like_it(sick: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(sick.parent)
    wrong = call("doctor", "sikc")
    assert wrong.code == 4 and "E301" in wrong.err and "did you mean sick" in wrong.err
    every = call("doctor")
    assert (
        every.code == 0 and "sick" in every.out and "alarm: z is used?" in every.out and "torch" in every.out
    )
    assert call("doctor", "--fix").code == 2


def test_mending_trains_beside_the_run_and_compares(sick: Path) -> None:
    place = sick.with_name("sick-mended")
    place.mkdir()
    (place / "precious").write_text("mine")
    with pytest.raises(UsageError, match="left alone"):
        mend(vaekit.open(sick), quiet=True)
    assert (place / "precious").read_text() == "mine"
    (place / "precious").unlink()
    place.rmdir()

    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("vaekit.fitting.Fitting.run", stopped)
        mend(vaekit.open(sick), quiet=True)
    assert place.is_dir()  # what is left of it is no reason to refuse
    before = (sick / "model" / "weights.safetensors").read_bytes()
    answer = call("doctor", sick, "--fix", "--json")
    found = json.loads(answer.out)["mended"]
    assert answer.code == 0 and found["mended"] and found["value"][0] < 1 < found["value"][1]
    assert found["negative_elbo"][1] < found["negative_elbo"][0]
    assert (sick / "model" / "weights.safetensors").read_bytes() == before
    assert vaekit.open(place).facts["status"] == "finished" and not known(place)["quick"]
    text = told({**found, "comparable": False})
    assert "the alarm is gone" in text and "not to be compared" in text
    assert found["best_step"][0] > 0 and "linear start" not in text
    text = told({**found, "best_step": [0, 0], "mended": False})
    assert "before and after: no step of training beat the linear start" in text and "still there" in text
    assert first([]) is None and "nothing to mend" in told({"disease": None})


def test_a_check_that_is_not_made_again_mends_nothing(sick: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = vaekit.open(sick)
    before = run.examined()
    after = [left_out(each.name, each.title, "", "not for this model.") for each in before]
    monkeypatch.setattr(
        "vaekit.run.Run.examined", lambda self, *_: before if self.path == run.path else after
    )
    monkeypatch.setattr("vaekit.mending._applied", lambda *_: copied(sick, sick.with_name("other")))
    found = mend(run, out=sick.with_name("other"), quiet=True)
    assert found["disease"] == "latent" and found["value"][1] is None and not found["mended"]
    assert "cannot be said" in told(found)


def copied(run: Path, place: Path) -> vaekit.Run:
    shutil.copytree(run, place, dirs_exist_ok=True)  # a note that it is being mended is there already
    return vaekit.open(place)


# ---------------------------------------------------------------------- what is kept and shown


def test_what_stands_in_the_file_is_escaped_and_may_be_damaged(tmp_path: Path) -> None:
    assert section(tmp_path) is None and known(tmp_path) == {}
    (tmp_path / "diagnosis.json").write_text('{"version": 1, "findings": "none"}')
    assert section(tmp_path) is None
    (tmp_path / "diagnosis.json").write_text("{")
    assert section(tmp_path) is None and known(tmp_path) == {}


def test_a_diagnosis_reads_aloud(tmp_path: Path) -> None:
    model = linear(np.eye(3), 0.1, np.zeros((3, 3)), 0.5)
    facts = kept(
        tmp_path,
        [latent(subject(model, normal((100, 3)))), score(subject(model, normal((50, 3))))],
        {"source": "a.npy"},
    )
    text = spoken(facts)
    assert "ALARM  z is used" in text and "1 alarm in 1 check" in text and "free_bits_vae" in text
    assert known(tmp_path)["disease"] == "latent"
    assert str(tmp_path.parent) not in (tmp_path / "diagnosis.json").read_text(), (
        "a run can be moved and shared"
    )
    shown = section(tmp_path)
    assert shown is not None and shown["says"].startswith("1 of 1") and shown["rows"][1][1] == "–"


# ---------------------------------------------------------------------- data as they were for training


def test_a_run_reads_its_data_with_the_key_and_labels_of_training(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows, names = rng.normal(size=(60, 4)).astype(np.float32), rng.integers(3, size=60)
    path = tmp_path / "several.npz"
    np.savez(path, rows=rows, other=np.zeros((5, 7)), names=names)
    run = vaekit.fit(
        str(path), key="rows", labels="names", preset="conditional_vae", latent=2, steps=3, seed=5,
        out=tmp_path / "run", quiet=True, reference=False,
    )  # fmt: skip
    items = run.items(str(path))  # without the key, several arrays are refused
    assert items.labels is not None and items.labels.tolist() == [
        run.kind.labels.index(str(n)) for n in names
    ]
    whole = as_trained.divided(run.path, run.kind)
    assert (
        len(whole.seen) == run.facts["data"]["count"] and len(whole.heldout) == run.facts["data"]["heldout"]
    )
    again = sorted(map(tuple, torch.cat([whole.seen.raw, whole.heldout.raw]).tolist()))  # type: ignore[list-item]
    assert again == sorted(map(tuple, items.raw.tolist()))  # type: ignore[union-attr]
    np.savez(path, rows=rows[:59], other=np.zeros((5, 7)), names=names[:59])
    with pytest.raises(DataError, match="have changed: 59 items now, 60 then"):
        as_trained.divided(run.path, run.kind)
    np.savez(path, rows=rows, other=np.zeros((5, 7)), names=names)
    plain = tmp_path / "plain.npy"
    np.save(plain, rows)
    assert run.items(str(plain)).labels.tolist() == [-1] * 60  # type: ignore[union-attr]
    assert len(run.items(f"{path}#7")) == 1


def test_data_that_are_gone_are_asked_for(tmp_path: Path) -> None:
    run = vaekit.fit(
        normal((40, 3)).numpy(), latent=2, steps=3, out=tmp_path / "run", quiet=True, reference=False
    )
    with pytest.raises(vaekit.errors.DataError, match="were an array"):
        run.examined()
    assert len(run.examined(normal((40, 3)).numpy())) == 10
    with pytest.raises(FileError):
        vaekit.open(tmp_path / "nothing")


@pytest.mark.parametrize(("spread", "alarm"), [(1.8, False), (2.2, True)])
def test_a_learned_scale_may_lag(spread: float, alarm: bool) -> None:
    model = linear(np.zeros((1, 8)), 1.0, np.zeros((8, 1)), 1.0)
    model.decoder.family.scale = Shared()  # type: ignore[union-attr]
    x = normal((N, 8))
    found = scale(subject(model, spread * x / x.square().mean().sqrt(), config={"steps": 40}))
    assert found.value == pytest.approx(spread, rel=1e-5) and found.alarm == alarm
    assert found.cure == (Cure({"steps": 80}) if alarm else None)
