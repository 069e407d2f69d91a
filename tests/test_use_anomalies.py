"""Odd items: statistics against oracles, the promise of false positives, and why an item is odd."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from commands import call
from scipy import stats
from scipy.spatial.distance import cdist
from sklearn.covariance import LedoitWolf
from sklearn.metrics import roc_auc_score
from torch.distributions import Normal

import vaekit
from vaekit import files, persistence
from vaekit.data import Images, Items, Table, TableSource, Vectors, detect
from vaekit.distributions import MEAN, Bernoulli, Categorical
from vaekit.errors import DataError, FileError, UsageError
from vaekit.model import VAE
from vaekit.presets import vae
from vaekit.sklearn import VAEOutlierDetector
from vaekit.uses.coded import Coded, coded, reference
from vaekit.uses.features import deviance, expectations
from vaekit.uses.neighbours import nearest
from vaekit.uses.one_class import OneClass
from vaekit.uses.scoring import _upwards, flags
from vaekit.uses.statistics import statistics
from vaekit.uses.tails import tails
from vaekit.uses.why import Cell, cells
from vaekit.uses.yardstick import Yardstick, crossed, ordinary

QUICK: dict[str, Any] = dict(
    steps=6, batch_size=16, latent=2, threads=1, evaluate_every=3, patience=0, quiet=True
)


@pytest.fixture(scope="module", autouse=True)
def _no_pictures() -> Iterator[None]:
    """Drawing the report takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        for place in ("vaekit.fitting", "vaekit.launch", "vaekit.second_stage"):
            patch.setattr(f"{place}.write_report", lambda path: files.write(Path(path) / "report.html", ""))
        yield


WEIGHTS = np.random.default_rng(1).normal(size=(2, 5))


def rows(count: int, seed: int, noise: float = 0.3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, 2)) @ WEIGHTS + noise * rng.normal(size=(count, 5))


def linear_model(noise: float = 0.3) -> tuple[VAE, Vectors]:
    """The exact model of `rows`: its posterior means and its scales are those of probabilistic PCA."""
    kind = Vectors(5)
    precision = torch.linalg.inv(torch.tensor(WEIGHTS @ WEIGHTS.T + noise**2 * np.eye(2)))

    class Encoder(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.double() @ torch.tensor(WEIGHTS.T) @ precision

    class Bottleneck(torch.nn.Module):
        stochastic, discrete = True, False

        def forward(self, h: Any = None, c: Any = None, noise: Any = None, **given: Any) -> Any:
            from vaekit.bottlenecks import Latent

            q = Normal(h, torch.ones_like(h) * 0.1)
            z = h if noise is MEAN else h + 0.1 * noise.normal(h.shape, h)
            return z, [Latent(z, q, Normal(torch.zeros_like(h), 1.0))]

    class Decoder(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = torch.nn.Parameter(torch.tensor(noise, dtype=torch.float64))

        def forward(self, z: torch.Tensor) -> Normal:
            return Normal(z @ torch.tensor(WEIGHTS), self.scale.detach())

    return VAE(Encoder(), Bottleneck(), Decoder()), kind  # type: ignore[arg-type]


def items(values: np.ndarray, kind: Any) -> Items:
    return Items(kind.store(values), kind)


# ---------------------------------------------------------------------- the density


def test_one_side_counts_what_is_larger_only() -> None:
    x = np.random.default_rng(0).normal(size=(2_000, 3)) * [1.0, 10.0, 0.1] + [0.0, 5.0, 9.0]
    one = OneClass.fit(x, joint=False)
    z = (x - np.median(x, 0)) / (np.quantile(x, 0.84, axis=0) - np.median(x, 0))
    np.testing.assert_allclose(one.score(x), np.log1p(np.log1p(np.exp(z))).mean(1), rtol=1e-12)
    middle, up, down = one.score(np.median(x, 0) + np.array([[0.0] * 3, [0, 80, 0], [0, -80, 0]]))
    assert up > middle + 0.3 and 0 < middle - down < 0.3, "too small is not odd"


def test_no_single_statistic_outshouts_the_others() -> None:
    one = OneClass.fit(np.random.default_rng(0).standard_t(2, size=(500, 4)), joint=False)
    wild, some = one.score(np.array([[1e6, 0, 0, 0], [200, 200, 200, 200]]))
    assert some > wild


def test_the_joint_density_is_a_gaussian_with_the_shrunk_covariance() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 3)) @ rng.normal(size=(3, 3)) + [5.0, 0.0, 100.0]
    one = OneClass.fit(x, joint=True)
    standard = (x - x.mean(0)) / x.std(0)
    expected = LedoitWolf(assume_centered=True).fit(standard).mahalanobis(standard) / 2
    gap = one.score(x) - expected  # the logarithm of what makes a density of it
    np.testing.assert_allclose(gap, gap[0], rtol=1e-9, atol=1e-9)
    assert one.score(x.mean(0)[None] - 10 * x.std(0))[0] > one.score(x).max(), "too small is odd too"


@pytest.mark.parametrize("joint", [False, True])
def test_a_density_is_what_its_facts_say(joint) -> None:
    x = np.random.default_rng(0).gamma(2.0, size=(100, 4))
    x[:, 2] = 7.0  # never changes
    one = OneClass.fit(x, joint)
    again = OneClass.from_facts(json.loads(json.dumps(one.facts())))
    np.testing.assert_array_equal(again.score(x), one.score(x))
    assert np.isfinite(one.score(x * 1e30)).all()
    assert one.score(x + [0, 0, 1, 0]).min() > one.score(x).max(), "but now it does"


def test_every_item_is_scored_by_a_density_fitted_without_it() -> None:
    x = np.random.default_rng(0).normal(size=(23, 2))
    found = crossed(x, joint=True)
    for place in range(23):
        others = x[np.arange(23) % 5 != place % 5]
        alone = OneClass.fit(others, joint=True).score(x[place : place + 1])[0]
        assert found[place] == pytest.approx(alone, rel=1e-9)


# ---------------------------------------------------------------------- the statistics


def test_distances_are_those_of_scipy() -> None:
    rng = np.random.default_rng(0)
    x, there = rng.normal(size=(1_500, 4)) + 1e4, rng.normal(size=(40, 4)) + 1e4
    ordered = np.sort(cdist(x, there), axis=1)
    expected = np.stack([ordered[:, :5].mean(1), ordered[:, :13].mean(1)], 1)
    np.testing.assert_allclose(nearest(x, there, 5, 13), expected, rtol=1e-6)
    own = np.sort(cdist(there, there) + np.diag(np.full(40, np.inf)), axis=1)[:, :5].mean(1)
    np.testing.assert_allclose(nearest(there, there, 5, own=True).ravel(), own, rtol=1e-6)
    assert nearest(there, there, 1).max() == 0.0
    np.testing.assert_allclose(nearest(x, there, 99).ravel(), ordered.mean(1), rtol=1e-6)


def test_deviances_of_a_gaussian_are_standardised_residuals() -> None:
    x, mask = torch.randn(4, 3), torch.tensor([[True, False, True]]).expand(4, 3)
    mean, scale = torch.randn(4, 3), torch.rand(4, 3) + 0.5
    middle, found = deviance(Normal(mean, scale), x, mask)
    torch.testing.assert_close(middle, mean)
    torch.testing.assert_close(found, torch.where(mask, (x - mean) / scale, 0.0), atol=1e-4, rtol=1e-4)


def test_deviances_of_categories_are_their_surprise() -> None:
    px = Categorical(3)(torch.tensor([[2.0, 0.0, 1.0]]))
    found = deviance(px, torch.tensor([[1.0]]))[1]
    assert float(found.square() / 2) == pytest.approx(2.0, abs=1e-5)  # log p(0) − log p(1)
    bits = Bernoulli()(torch.tensor([[3.0]]))
    assert deviance(bits, torch.tensor([[0.0]]))[1] < 0 == deviance(bits, torch.tensor([[1.0]]))[1]


def test_two_categories_are_as_far_apart_as_two_numbers() -> None:
    frame = pd.DataFrame({"size": [1.5, 2.5, 4.0, 3.3] * 9, "sex": ["f", "m", "x", None] * 9})
    kind, _ = detect(TableSource(frame))
    model, _ = vae(kind, latent=2)
    batch = items(frame, kind).batch(torch.arange(4))
    pair = expectations(kind, model(batch.x, batch.c, batch.mask, noise=MEAN))
    assert pair is not None
    seen, expected = (part.detach() for part in pair)
    assert isinstance(kind, Table) and seen.shape == expected.shape
    heads = seen[:3, -3:]  # one corner for each category
    torch.testing.assert_close(torch.cdist(heads, heads), 1.0 - torch.eye(3, dtype=torch.float64))
    torch.testing.assert_close(seen[3, -3:], expected[3, -3:])  # a hole is as expected


def test_the_statistics_are_what_they_are_called() -> None:
    model, kind = linear_model()
    train, new = items(rows(300, 0), kind), items(rows(40, 1), kind)
    here, there = coded(model, new), reference(model, train)
    found = statistics(model, coded(model, new), there, {})
    np.testing.assert_allclose(found["−ELBO"], found["distortion"] + found["rate"], rtol=1e-9)
    np.testing.assert_allclose(here.codes + here.residuals, new.raw.numpy(), atol=1e-5)
    for name, parts in (("latent distance", "codes"), ("residual distance", "residuals")):
        expected = np.sort(cdist(getattr(here, parts), getattr(there, parts)), 1)[:, :5].mean(1)
        np.testing.assert_allclose(found[name], expected, rtol=1e-4)
    both = [np.concatenate([part.codes, part.residuals], 1) for part in (here, there)]
    expected = np.sort(cdist(*both), 1)[:, :5].mean(1)
    np.testing.assert_allclose(found["neighbour distance"], expected, rtol=1e-6)
    new_rows, old_rows = (part.codes + part.residuals for part in (here, there))
    shares = (
        [(1 + (old_rows <= row).sum(0)) / 301 for row in new_rows],
        [(1 + (old_rows >= row).sum(0)) / 301 for row in new_rows],
    )
    np.testing.assert_allclose(found["column tails"], -np.log(np.minimum(*shares)).sum(1), rtol=1e-9)
    own = statistics(model, there, there, {})["column tails"]
    others = np.delete(old_rows, 7, 0)
    np.testing.assert_allclose(own[7], tails(old_rows[7:8], others)[0], rtol=1e-9)
    whole = np.array([[1.0], [2.0], [2.0], [3.0]])
    assert tails(whole[1:2] + 1e-7, whole) == tails(whole[1:2] - 1e-7, whole) == -np.log(4 / 5), (
        "ties by rounding"
    )


def test_training_items_are_spread_and_pictures_take_bounded_room(monkeypatch) -> None:
    model, kind = linear_model()
    assert len(reference(model, items(rows(300, 0), kind), most=7)) == 7
    many = Items(torch.zeros(500, 1, 100, 100, dtype=torch.uint8), Images(1, 100, 100))
    monkeypatch.setattr("vaekit.uses.coded.coded", lambda model, items, draws: items)
    assert len(reference(model, many)) == 400  # 4 000 000 numbers


# ---------------------------------------------------------------------- the promise


@pytest.mark.parametrize("joint", [False, True])
def test_as_many_ordinary_items_are_flagged_as_was_said(joint, monkeypatch) -> None:
    """Within the 99.9 % beta-binomial band of each size of calibration."""
    model, kind = linear_model()
    if joint:
        monkeypatch.setattr(
            "vaekit.uses.yardstick.pictured", lambda x, seen: {"size": x.raw[:, 0].double().numpy()}
        )
    from vaekit.operations import p_values

    for held, seed in ((60, 3), (1_000, 4)):
        yard = Yardstick.fit(model, items(rows(400, 0), kind), items(rows(held, seed), kind))
        p = p_values(yard.score(model, items(rows(4_000, 9), kind))[1], yard.scores)
        for alpha in (0.05, 0.1, 0.3):
            rank = int(alpha * (held + 1))
            low, high = stats.betabinom.ppf([5e-4, 1 - 5e-4], 4_000, rank, held + 1 - rank)
            assert low <= (p <= alpha).sum() <= high, (held, alpha, (p <= alpha).mean())
    assert len(np.unique(p)) > 500, "not only a few values"


def test_folds_are_judged_by_as_many_gaussians_as_new_items() -> None:
    """Of 240 items all have two Gaussians and a fold's 192 would have one, whose scores are another scale."""
    rng = np.random.default_rng(8)
    mix = rng.normal(size=(8, 8))
    ordinary_ones, new = rng.normal(size=(240, 8)) @ mix, rng.normal(size=(20_000, 8)) @ mix
    held = np.sort(crossed(ordinary_ones, joint=True))
    score = OneClass.fit(ordinary_ones, joint=True).score(new)
    share = (1 + len(held) - np.searchsorted(held, score)) / (len(held) + 1)
    assert (share <= 0.05).mean() < 0.09 and (share <= 0.1).mean() < 0.16


def test_a_yardstick_without_held_out_items_is_the_same_from_a_folder() -> None:
    """None of its items is its own neighbour afterwards either, and each is kept once."""
    model, kind = linear_model()
    train = items(rows(60, 0), kind)
    own = Yardstick.fit(model, train, train.subset(torch.arange(0)))
    again = Yardstick.from_parts(own.facts(), own.tensors())
    assert again.heldout is again.reference and not any("heldout" in name for name in own.tensors())
    for share in (0.0, 0.1):
        here, there = (yard.trimmed(model, share).scores for yard in (own, again))
        np.testing.assert_allclose(here, there, rtol=1e-4)


def test_items_are_coded_some_at_a_time_and_rows_keep_their_numbers(monkeypatch) -> None:
    model, kind = linear_model()
    yard = Yardstick.fit(model, items(rows(200, 0), kind), items(rows(60, 1), kind))
    new = items(rows(50, 2), kind)
    whole = yard.score(model, new)[1]
    monkeypatch.setattr("vaekit.uses.yardstick.CHUNK", 7)
    np.testing.assert_allclose(yard.score(model, new)[1], whole, rtol=1e-9)
    new.raw[30] = 1e9
    wild = torch.tensor(torch.inf)
    monkeypatch.setattr(
        "vaekit.uses.coded.bound",
        lambda model, x, *_, **__: (torch.where(x[:, 0] > 1e6, wild, x[:, 0]), None),
    )
    with pytest.raises(DataError, match="E206") as found:
        yard.score(model, new)
    assert found.value.where == "rows 30"


def test_odd_rows_are_found_of_every_sort() -> None:
    """Far out along the plane of the data, off the plane, and between two clusters."""
    model, kind = linear_model()
    yard = Yardstick.fit(model, items(rows(600, 0), kind), items(rows(200, 1), kind))
    far = np.random.default_rng(2).normal(size=(50, 2)) * 4 @ WEIGHTS
    off = rows(50, 3) + 1.5 * np.linalg.svd(WEIGHTS)[2][4]
    for odd in (far, off):
        score = yard.score(model, items(np.concatenate([rows(200, 5), odd]), kind))[1]
        assert roc_auc_score(np.repeat([0, 1], [200, 50]), score) > 0.9


def test_odd_ones_that_lie_together_in_the_training_data_are_no_company_to_each_other() -> None:
    """A tight cluster, 4 % of all rows: to 5 neighbours it looks ordinary, not to a tenth of all."""
    model, kind = linear_model()

    def dirty(count: int, seed: int) -> np.ndarray:
        cluster = 4 * WEIGHTS[0] + 0.1 * rows(round(0.04 * count), seed + 1)
        return np.concatenate([rows(count - len(cluster), seed), cluster])

    train, held, new = (items(dirty(n, seed), kind) for n, seed in ((600, 0), (200, 10), (500, 20)))
    odd = np.repeat([0, 1], [480, 20])
    clean = Yardstick.fit(model, train, held)
    trimmed = clean.trimmed(model, 0.1)
    assert len(trimmed.reference) == 540 and len(trimmed.scores) == 180
    before, after = (roc_auc_score(odd, yard.score(model, new)[1]) for yard in (clean, trimmed))
    assert after > before + 0.1 and after > 0.9, (before, after)
    assert clean.trimmed(model, 0.0) is clean


def test_the_oddest_are_left_out() -> None:
    assert ordinary(np.array([3.0, 1.0, 9.0, 2.0]), 0.25).tolist() == [0, 1, 3]
    assert ordinary(np.array([3.0, 1.0]), 0.0).tolist() == [0, 1]


def test_a_budget_flags_so_many_of_the_oddest() -> None:
    score, p = np.array([1.0, 5.0, 5.0, 0.0]), np.array([0.5, 0.01, 0.02, 1.0])
    assert flags(score, p, 0.01, None).tolist() == [False, True, False, False]
    assert flags(score, p, 0.01, 1).tolist() == [False, True, False, False]
    assert flags(score, p, 0.01, 9).all() and not flags(score, p, 1.0, 0).any()


# ---------------------------------------------------------------------- why


def test_what_is_expected_of_a_cell_is_its_conditional_mean() -> None:
    """Of the exact linear model: E[x_j | the others], whatever stands in the cell."""
    model, kind = linear_model()
    x = rows(6, 0)
    x[:, 3] = [50.0, -50.0, 30.0, 9.0, -9.0, 20.0]
    covariance = WEIGHTS.T @ WEIGHTS + 0.09 * np.eye(5)
    rest = [0, 1, 2, 4]
    expected = x[:, rest] @ np.linalg.solve(covariance[np.ix_(rest, rest)], covariance[rest, 3])
    for row, found in enumerate(cells(model, items(x, kind))):
        assert found[0].column == "column 3" and found[0].value == pytest.approx(x[row, 3])
        assert found[0].expected == pytest.approx(expected[row], abs=0.35)
        centre = found[0].expected  # of a Gaussian whose scale is 0.3
        assert found[0].surprise == pytest.approx(((x[row, 3] - centre) / 0.3) ** 2 / 2, rel=0.1)
        assert [cell.surprise for cell in found] == sorted((c.surprise for c in found), reverse=True)


@pytest.fixture(scope="module")
def people(tmp_path_factory) -> vaekit.Run:
    """A trained table: adults are about as heavy as they are tall, and mornings come before evenings."""
    return vaekit.fit(
        frame(600, 0),
        out=tmp_path_factory.mktemp("people") / "run",
        **(QUICK | {"steps": 200, "batch_size": 64}),
    )


def frame(count: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    tall = rng.normal(170, 10, count)
    made = pd.DataFrame(
        {
            "height": tall.round(1),
            "weight": (tall - 100 + rng.normal(0, 4, count)).round(1),
            "age": rng.integers(18, 60, count),
            "size": np.where(tall > 170, "large", "small"),
        }
    )
    made.loc[rng.random(count) < 0.05, "age"] = None
    return made


def test_the_cell_that_is_wrong_is_named_with_what_was_expected(people) -> None:
    new = frame(40, 7)
    new.loc[0, "age"], new.loc[1, "height"], new.loc[2, "weight"] = 214, 300.0, 20.0
    new.loc[3, ["height", "weight", "age", "size"]] = 190.0, 90.0, 30, "small"
    found = people.score(new)
    assert found.p_value[:3].max() <= 2 / 61 and len(found.why) == 40
    worst = [reasons[0] for reasons in found.why[:3]]
    assert [cell.column for cell in worst] == ["age", "height", "weight"]
    assert worst[0].value == 214 and 18 <= worst[0].expected <= 60
    assert worst[1].value == 300.0
    assert "size = small, expected large" in [str(cell) for cell in found.why[3]]
    assert str(worst[0]) == f"age = 214, expected {worst[0].expected:.4g}"
    assert [str(cell) for cell in found.why[-1]] == [str(cell) for cell in found.why[39]]
    with pytest.raises(IndexError, match="40 items"):
        found.why[40]


def test_a_cell_in_words() -> None:
    assert str(Cell("age", float("nan"), 3.14159, 1.0)) == "age = nothing, expected 3.142"
    assert str(Cell("sex", None, "f", 1.0)) == "sex = nothing, expected f"


# ---------------------------------------------------------------------- runs of every kind


def _pictures(count: int = 60) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 6, 6)).astype(np.uint8)


KINDS: dict[str, tuple[Callable[[], Any], dict[str, Any]]] = {
    "images": (_pictures, {}),
    "vectors": (lambda: rows(60, 0), {}),
    "holes": (lambda: np.where(np.random.default_rng(0).random((60, 5)) < 0.1, np.nan, rows(60, 0)), {}),
    "table": (lambda: frame(60, 0), {}),
    "given": (lambda: frame(60, 0), {"preset": "conditional_vae", "labels": "size"}),
    "counts": (lambda: np.random.default_rng(0).poisson(3.0, (60, 5)), {"kind": "counts"}),
    "codebook": (_pictures, {"preset": "vq_vae", "latent": None}),
    "autoencoder": (lambda: rows(60, 0), {"preset": "autoencoder"}),
    "text": (lambda: Path("lines.txt"), {}),
}


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_is_scored(name, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("lines.txt").write_text("\n".join("ab" * (1 + i % 5) for i in range(60)) + "\n")
    make, options = KINDS[name]
    source = make()
    source = str(source) if isinstance(source, Path) else source
    run = vaekit.fit(
        source, out=tmp_path / "run", **{k: v for k, v in (QUICK | options).items() if v is not None}
    )
    found = run.score(source)
    assert np.isfinite(found.score).all() and np.isfinite(found.statistics.values).all()
    assert ((found.p_value > 0) & (found.p_value <= 1)).all()
    assert found.statistics.values.shape == (60, len(found.statistics.names))
    again = vaekit.open(tmp_path / "run").score(source)
    assert np.array_equal(again.score, found.score) and np.array_equal(again.p_value, found.p_value)
    assert all(isinstance(str(cell), str) for reasons in found.why[:5] for cell in reasons)
    dirty = run.score(source, contamination=0.2)
    assert np.isfinite(dirty.score).all() and len(dirty.why[:]) == 60


@pytest.mark.parametrize("wild", [1e20, -3e38])
def test_a_sentinel_is_odd_and_keeps_nobody_from_being_scored(wild, tmp_path) -> None:
    run = vaekit.fit(rows(200, 0), out=tmp_path / "run", **QUICK)
    new = rows(20, 1)
    before = run.score(new).score
    new[3, 2] = wild
    found = run.score(new)
    others = np.arange(20) != 3
    np.testing.assert_allclose(found.score[others], before[others], rtol=1e-5)
    assert found.score[3] > found.score[others].max() and found.why[3][0].column == "column 2"


def test_an_older_model_is_judged_by_its_elbo_alone(people, tmp_path) -> None:
    old = {"scores": people.about["calibration"]["scores"], "kl": [1.0], "active": [True]}
    about = {k: v for k, v in people.about.items() if k != "calibration"}
    persistence.save(tmp_path / "old", people.model, people.kind, old, about)
    new = frame(40, 7)
    found, elbo = vaekit.open(tmp_path / "old").score(new), people.score(new).statistics["−ELBO"]
    assert found.statistics.names == ("−ELBO", "distortion", "rate")
    assert np.array_equal(np.argsort(found.score, kind="stable"), np.argsort(elbo, kind="stable"))
    held = np.array(old["scores"])
    np.testing.assert_allclose(
        found.p_value, [(1 + (held >= e).sum()) / (1 + len(held)) for e in elbo], atol=0.02
    )
    assert np.isfinite(vaekit.open(tmp_path / "old").score(new, contamination=0.1).score).all()
    tensors = persistence.load_reference(people.path / "model")
    facts = people.about["calibration"]["anomalies"]
    other = old | {"anomalies": facts | {"names": ["−ELBO", "wide distance"]}}
    assert Yardstick.from_folder(people.model, other, tensors).names == ("−ELBO",)


def test_training_items_can_be_left_out_of_the_folder(people, tmp_path) -> None:
    run = vaekit.fit(rows(60, 0), out=tmp_path / "run", reference=False, **QUICK)
    place = run.path / "model"
    assert not (place / "reference.safetensors").exists() and "no rows" in (place / "README.md").read_text()
    assert run.score(rows(5, 1)).statistics.names == ("−ELBO", "distortion", "rate")
    card = (people.path / "model" / "README.md").read_text()
    assert "600 of them in coded form" in card and "train.reference=false" in card


def test_a_fitted_prior_moves_what_scores_are_held_against(tmp_path) -> None:
    x, new = rows(300, 0), rows(20, 1)
    run = vaekit.fit(x, out=tmp_path / "run", **QUICK)
    before = run.yardstick.scores
    run.fit_prior(x, "mixture", components=2, steps=5, quiet=True)
    assert not np.array_equal(run.yardstick.scores, before)
    again = vaekit.open(run.path)
    assert np.array_equal(again.score(new).p_value, run.score(new).p_value)
    assert "in coded form" in (run.path / "model" / "README.md").read_text()


def test_coded_items_are_what_their_tensors_say() -> None:
    model, kind = linear_model()
    here = coded(model, items(rows(9, 0), kind))
    again = Coded.from_tensors(here.tensors("train"), "train")
    for name in ("codes", "residuals", "distortion", "rate"):
        np.testing.assert_allclose(getattr(again, name), getattr(here, name), rtol=1e-6, atol=1e-7)


# ---------------------------------------------------------------------- what cannot be, and what is said of it


@pytest.mark.parametrize("share", [-0.1, 0.5, 2.0, float("nan")])
def test_a_contamination_that_cannot_be(share, people) -> None:
    with pytest.raises(UsageError, match="contamination") as caught:
        people.score(frame(3, 1), contamination=share)
    assert caught.value.code == "E103"


def test_a_model_of_another_kind_and_an_unfinished_one(people, tmp_path) -> None:
    with pytest.raises(vaekit.errors.DataError, match=r"columns are missing|columns are expected"):
        people.score(rows(5, 0))
    persistence.save(tmp_path / "bare", people.model, people.kind, None, {})
    with pytest.raises(FileError) as caught:
        vaekit.open(tmp_path / "bare").score(frame(3, 1))
    assert caught.value.code == "E305"


def test_the_command_says_why_and_what_to_doubt(people, tmp_path) -> None:
    new, wrong = frame(40, 7), frame(40, 8)
    new.loc[0, "age"] = 214
    wrong["height"] = wrong["height"] / 2.54  # inches
    new.to_csv(tmp_path / "new.csv", index=False)
    wrong.to_csv(tmp_path / "wrong.csv", index=False)
    code, out, err = call(
        "score", people.path, tmp_path / "new.csv", "--budget", 3, "--out", tmp_path / "s.csv"
    )
    assert code == 0 and "flagged 3" in out + err and "unlike" not in out + err
    with open(tmp_path / "s.csv", newline="") as file:
        written = list(csv.DictReader(file))
    assert written[0]["flag"] == "True" and written[0]["top1"].startswith("age = 214, expected ")
    assert set(written[0]) == {"row", "score", "p_value", "flag", "top1", "top2", "top3"}
    code, out, err = call(
        "score",
        people.path,
        tmp_path / "wrong.csv",
        "--alpha",
        0.05,
        "--contamination",
        0.05,
        "--out",
        tmp_path / "s.csv",
    )
    assert code == 0 and "nearly all of these 40 items are unlike" in out + err
    code, out, err = call(
        "score", people.path, tmp_path / "new.csv", "--contamination", 0.7, "--out", tmp_path / "s.csv"
    )
    assert code == 2 and "contamination" in err


def test_a_category_never_seen_makes_its_row_the_oddest_and_the_others_keep_their_scores(
    people, tmp_path
) -> None:
    new = frame(40, 7)
    plain = people.score(new)
    new.loc[3, "size"], new.loc[9, "size"] = "huge", "tiny"
    found, others = people.score(new), np.setdiff1d(np.arange(40), [3, 9])
    assert set(np.argsort(-found.score)[:2]) == {3, 9} and found.flag[[3, 9]].all()
    assert (found.p_value[[3, 9]] == 1 / (len(found.yardstick.scores) + 1)).all()
    np.testing.assert_allclose(found.score[others], plain.score[others], rtol=1e-9)
    assert str(found.why[3][0]) == "size = huge, never seen in training" and set(found.unseen) == {3, 9}
    assert set(np.flatnonzero(people.score(new, budget=2).flag)) == {3, 9}
    new.to_csv(tmp_path / "new.csv", index=False)
    out = ("--out", tmp_path / "s.csv", "--review", tmp_path / "page.html")
    code, _, err = call("score", people.path, tmp_path / "new.csv", *out)
    assert code == 0 and "2 rows have categories never seen in training (size = huge)" in err
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "huge" in page and "mainly size = huge, never seen in training" in page
    new.loc[5, "size"] = None  # an empty cell is no category
    assert set(people.score(new).unseen) == {3, 9}


def test_a_category_of_a_column_that_is_given_is_refused(tmp_path) -> None:
    run = vaekit.fit(frame(60, 0), out=tmp_path / "run", preset="conditional_vae", labels="size", **QUICK)
    with pytest.raises(DataError) as caught:
        run.score(frame(9, 1).assign(size="huge"))
    assert caught.value.code == "E217"


def test_reasons_are_told_where_something_is_surprising(people, tmp_path) -> None:
    new = frame(60, 7)
    new.loc[0, "age"] = 214
    new.to_csv(tmp_path / "new.csv", index=False)
    page = tmp_path / "page.html"
    out = ("--out", tmp_path / "s.csv", "--review", page, "--most", 60)
    assert call("score", people.path, tmp_path / "new.csv", "--budget", 5, *out).code == 0
    with open(tmp_path / "s.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    why = people.score(new, budget=5).why[:]
    for row, each in zip(rows, why, strict=True):
        told = [
            str(cell)
            for i, cell in enumerate(each)
            if cell.surprise > 3 or (i == 0 and row["flag"] == "True")
        ]
        assert [row[f"top{i}"] for i in (1, 2, 3)] == told + [""] * (3 - len(told))
    assert sum(row["top1"] == "" for row in rows) > 30
    text = page.read_text(encoding="utf-8")
    assert text.count('class="odd"') == sum(cell.surprise > 3 for each in why for cell in each)
    assert "mainly age = 214, expected" in text and "the rest as expected: " in text


def test_what_was_trained_on_is_told_of_unless_rows_come_again_of_themselves(people, tmp_path) -> None:
    found = people.score(pd.concat([frame(600, 0).head(30), frame(10, 5)], ignore_index=True))
    assert found.trained[:30].mean() > 0.7 and not found.trained[30:].any() and found.again
    assert not people.score(frame(200, 6)).again
    few = pd.DataFrame({f"c{i}": np.random.default_rng(i).choice(["x", "y"], 300) for i in range(3)})
    run = vaekit.fit(few, out=tmp_path / "run", **QUICK)  # every row is among eight
    new = run.score(few.sample(50, random_state=1))
    assert new.trained.all() and run.yardstick.alike == 1 and not new.again


def test_scores_in_a_line_and_advice_that_works(people) -> None:
    found = people.score(frame(40, 7), alpha=0.02)
    assert repr(found) == f"Scores(40 items, {found.flag.sum()} flagged at α = 0.02)"
    assert repr(people.score(frame(40, 7), budget=3)) == "Scores(40 items, 3 flagged, the oddest)"
    for held in (59, 60, 150, 999, 1001):
        least = 1 / (held + 1)
        assert least <= float(_upwards(least)) < 1.1 * least


def test_a_budget_and_alpha_are_one_or_the_other(people, tmp_path) -> None:
    frame(9, 1).to_csv(tmp_path / "x.csv", index=False)
    words = (
        "score",
        people.path,
        tmp_path / "x.csv",
        "--budget",
        2,
        "--alpha",
        0.1,
        "--out",
        tmp_path / "s.csv",
    )
    code, _, err = call(*words)
    assert code == 2 and "E103" in err and "--alpha" in err and not (tmp_path / "s.csv").exists()


def test_labels_left_in_the_table_are_spoken_of(tmp_path) -> None:
    labelled = frame(60, 0).assign(anomaly=np.arange(60) % 9 == 0)
    run = vaekit.fit(labelled, out=tmp_path / "run", **QUICK)
    labelled.to_csv(tmp_path / "x.csv", index=False)
    _, out, err = call("score", run.path, tmp_path / "x.csv", "--out", tmp_path / "s.csv")
    assert "learned the column 'anomaly'" in out + err and "without it" in out + err


# ---------------------------------------------------------------------- the detector


def test_the_detector_keeps_its_promise_and_says_p_values() -> None:
    found = VAEOutlierDetector(n_components=2, steps=150).fit(rows(1_500, 0))
    p = found.p_values(rows(3_000, 1))
    held = len(found.yardstick_.scores)
    for alpha in (0.05, 0.1):
        rank = int(alpha * (held + 1))
        low, high = stats.betabinom.ppf([5e-4, 1 - 5e-4], 3_000, rank, held + 1 - rank)
        assert low <= (p <= alpha).sum() <= high


def test_the_detector_does_not_learn_the_share_that_is_odd() -> None:
    odd = 4.0 * WEIGHTS[1] + 0.1 * rows(30, 5)
    x, new = np.concatenate([rows(570, 0), odd]), np.concatenate([rows(400, 1), odd])
    truth = np.repeat([0, 1], [400, 30])
    told, untold = (VAEOutlierDetector(2, contamination=share, steps=60).fit(x) for share in (0.1, "auto"))
    assert len(told.yardstick_.reference) < len(untold.yardstick_.reference)
    told, untold = (roc_auc_score(truth, -one.score_samples(new)) for one in (told, untold))
    assert told > 0.95 and told > untold
