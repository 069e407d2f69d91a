"""Missing values: importance sampling against the closed form, and what each kind gives back."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from commands import call
from scipy.sparse import csr_array
from torch.distributions import Categorical, Normal

import vaekit
from vaekit import files, presets
from vaekit.data import Images, Items, Parts, Vectors, detect, read
from vaekit.data.classes import Classes
from vaekit.distributions import Joint, Noise, RowNoise
from vaekit.errors import CODES, VaekitError
from vaekit.model import VAE
from vaekit.operations.impute import Conditional, conditionals, effective
from vaekit.operations.laplace import WIDENED, laplace
from vaekit.training import pca_start
from vaekit.training.factors import factor_analysis
from vaekit.uses.cells import filled
from vaekit.uses.holes import holes_of
from vaekit.uses.imputation import expected, impute, weighted_quantiles, widening

D, L = 5, 2
FAST = {"quiet": True, "threads": 1, "evaluate_every": 50}


@pytest.fixture(scope="module", autouse=True)
def _no_pictures() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for place in ("vaekit.fitting", "vaekit.launch"):
            patch.setattr(f"{place}.write_report", lambda path: files.write(Path(path) / "report.html", ""))
        yield


# ------------------------------------------------------------------ a linear model, whose answers are known


def linear(broken: bool = False) -> tuple[VAE, Vectors, np.ndarray]:
    """A model at the solution of probabilistic PCA, its kind, and rows of it; its encoder may answer nonsense."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(600, L)) @ rng.normal(size=(L, D)) + 0.4 * rng.normal(size=(600, D))
    kind = Vectors(D)
    with Noise(0, "weights").torch():
        model, _ = presets.vae(kind, L)
    pca_start(model, Items(kind.store(rows), kind))
    if broken:
        with torch.no_grad():
            model.encoder.across.weight.normal_(generator=torch.Generator().manual_seed(1))
            model.encoder.last.bias.add_(3.0)
    return model.eval(), kind, rows


def covariance(model: VAE) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean and covariance of the columns under a linear model, and W."""
    with torch.no_grad():
        px: Any = model.decode(torch.zeros(1, L))
        w = model.decoder.net.across.weight[:D].double().numpy()
    return px.mean[0].numpy(), w @ w.T + np.diag(px.stddev[0].numpy() ** 2), w


def closed_form(model: VAE, row: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of the missing cells of a row given the others."""
    mean, cov, _ = covariance(model)
    hole = np.isnan(row)
    slope = cov[np.ix_(hole, ~hole)] @ np.linalg.inv(cov[np.ix_(~hole, ~hole)])
    left = cov[np.ix_(hole, hole)] - slope @ cov[np.ix_(~hole, hole)]
    return mean[hole] + slope @ (row[~hole] - mean[~hole]), np.diag(left)


def with_holes(rows: np.ndarray, share: float = 0.4, seed: int = 1) -> np.ndarray:
    return np.where(np.random.default_rng(seed).random(rows.shape) < share, np.nan, rows)


@pytest.mark.parametrize("broken", [False, True])
def test_the_mixture_has_the_closed_forms_mean_and_variance(broken: bool) -> None:
    """An encoder that answers nonsense makes no difference: most draws know of the posterior's own mode."""
    model, kind, rows = linear(broken)
    holes = with_holes(rows[:40])
    batch = Items(kind.store(holes), kind).batch(torch.arange(40))
    seen = set()
    for found in conditionals(model, batch.x, mask=batch.mask, samples=4_000):
        px: Any = found.px
        square = found.expectation(px.mean.double().square() + px.stddev.double().square())
        variance = square - found.expectation(px.mean.double()).square()
        for i, row in enumerate(found.rows.tolist()):
            seen.add(row)
            hole = np.isnan(holes[row])
            if hole.any():
                mean, exact = closed_form(model, holes[row])
                np.testing.assert_allclose(found.mean[i].numpy()[hole], mean, atol=0.12)
                np.testing.assert_allclose(variance[i].numpy()[hole], exact, rtol=0.12)
        torch.testing.assert_close(found.weight.sum(1), torch.ones(len(found.rows), dtype=torch.float64))
        if broken:
            assert float(found.effective.min()) > 0.3 * 4_000
    assert seen == set(range(40))


def test_the_gaussian_at_the_mode_is_a_linear_models_posterior() -> None:
    model, kind, rows = linear(broken=True)
    holes = with_holes(rows[:8])
    batch = Items(kind.store(holes), kind).batch(torch.arange(8))
    q = laplace(model, batch.x, None, batch.mask)
    mean, cov, w = covariance(model)
    noise = np.diag(cov - w @ w.T)
    for i, row in enumerate(holes):
        there = ~np.isnan(row)
        exact = np.linalg.inv(np.eye(L) + (w[there] / noise[there, None]).T @ w[there])
        center = exact @ w[there].T @ ((row[there] - mean[there]) / noise[there])
        np.testing.assert_allclose(q.loc[i].numpy(), center, atol=1e-3)
        np.testing.assert_allclose(q.covariance_matrix[i].numpy() / WIDENED**2, exact, atol=1e-3)


def test_imputations_spread_as_the_closed_form_says_and_intervals_hold_what_they_promise() -> None:
    model, kind, rows = linear()
    holes = with_holes(rows[:200])
    hole = np.isnan(holes)
    found = impute(model, kind, holes, n=100, samples=500)
    drawn = np.stack(found.draws)  # (100, 200, D)
    exact = np.concatenate([closed_form(model, row)[1] for row in holes if np.isnan(row).any()])
    assert drawn.var(0, ddof=1)[hole].mean() == pytest.approx(exact.mean(), rel=0.04)
    np.testing.assert_allclose(drawn.mean(0)[hole], found.best[hole], atol=0.5)
    ends = impute(model, kind, holes, interval=0.9, samples=200)
    rng = np.random.default_rng(5)
    mean, cov, _ = covariance(model)
    others = rng.multivariate_normal(mean, cov, 400)
    tried = impute(model, kind, with_holes(others, seed=6), interval=0.9, samples=500)
    hidden = np.isnan(with_holes(others, seed=6))
    assert 0.87 < ((tried.low <= others) & (others <= tried.high))[hidden].mean() < 0.93
    assert (ends.low <= ends.best).all() and (ends.best <= ends.high).all()
    assert found.count == hole.sum() and len(found.effective) == hole.any(1).sum()


def test_a_row_does_not_depend_on_its_neighbours() -> None:
    model, kind, rows = linear()
    holes = with_holes(rows[:30])
    alone = np.concatenate([impute(model, kind, holes[i : i + 1], samples=50).best for i in range(30)])
    np.testing.assert_allclose(alone, impute(model, kind, holes, samples=50).best, atol=1e-5)


def test_a_fit_to_few_rows_is_less_certain_by_what_it_fitted() -> None:
    """Akaike's (n + p) / (n − p), p = L + 1 and n = 30 · 0.5: only the width of draws changes, and not the mean."""
    model, kind, rows = linear()
    holes = with_holes(rows[:30])
    hole = np.isnan(holes)
    plain, few = (
        impute(model, kind, holes, interval=0.8, samples=300, **told)
        for told in ({}, {"trained": 30, "observed": 0.5})
    )
    wider = (few.high - few.low)[hole] / (plain.high - plain.low)[hole]
    np.testing.assert_allclose(wider, np.sqrt((15 + L + 1) / (15 - L - 1)), rtol=1e-4)
    np.testing.assert_array_equal(few.best, plain.best)
    assert widening(1.0, 5) == pytest.approx(np.sqrt(3))


def test_identical_rows_get_different_imputations() -> None:
    model, kind, _ = linear()
    twice = np.full((2, D), np.nan)
    found = impute(model, kind, twice, n=2, samples=50)
    assert not np.allclose(found.draws[0][0], found.draws[0][1])
    assert not np.allclose(found.draws[0][0], found.draws[1][0])
    np.testing.assert_array_equal(found.best[0], found.best[1])


def test_the_imputations_of_a_row_are_exchangeable() -> None:
    """Many rows alike: no imputation is of one proposal only, which its mean over rows would show."""
    model, kind, _ = linear(broken=True)
    alike = np.tile([2.0, np.nan, np.nan, np.nan, np.nan], (800, 1))
    drawn = np.stack(impute(model, kind, alike, n=6, samples=60).draws)[:, :, 1:]  # (6, 800, D − 1)
    means, error = drawn.mean(1), drawn.std((0, 1)) / np.sqrt(800)
    assert (np.abs(means - means.mean(0)) < 4 * error).all()


@pytest.mark.parametrize("samples", [1, 2, 3])
def test_very_few_draws_are_draws(samples: int) -> None:
    model, kind, rows = linear()
    holes = with_holes(rows[:5])
    found = impute(model, kind, holes, n=samples, samples=samples)
    assert len(found.draws) == samples and np.isfinite(found.draws).all() and np.isfinite(found.best).all()
    with pytest.raises(ValueError, match="one draw or more"):
        next(conditionals(model, torch.zeros(1, D), samples=0))


# ------------------------------------------------------------------ the parts of it


def mixture(weight: list[list[float]], px: Any) -> Conditional:
    weights = torch.tensor(weight, dtype=torch.float64)
    return Conditional(torch.arange(len(weights)), weights, px)


def test_effective_draws() -> None:
    weights = torch.tensor([[0.5, 0.25, 0.25]], dtype=torch.float64).log()
    assert float(effective(weights)) == pytest.approx(1 / (0.25 + 2 * 0.0625))
    assert float(effective(weights + 1000)) == pytest.approx(float(effective(weights)))


def test_members_come_as_often_as_they_weigh() -> None:
    found = mixture([[0.5, 0.125, 0.375], [0.0, 1.0, 0.0]], None)
    members = found.members(8, Noise(0, "members"))
    assert torch.bincount(members[0], minlength=3).tolist() == [4, 1, 3]
    assert members[1].tolist() == [1] * 8


def test_members_come_in_an_order_of_their_own() -> None:
    found = mixture([[0.25] * 4] * 500, None)
    members = found.members(4, RowNoise(0, "members", torch.arange(500)))
    assert (members.sort(1).values == torch.arange(4)).all()
    torch.testing.assert_close(members.double().mean(0), torch.full((4,), 1.5).double(), atol=0.2, rtol=0)
    alone = mixture([[0.25] * 4], None).members(4, RowNoise(0, "members", torch.tensor([7])))
    assert alone[0].tolist() == members[7].tolist()


def test_the_most_probable_category_is_that_of_the_mixture() -> None:
    """The likeliest member says 0, the others together 1; a number beside it is averaged."""
    shares = torch.tensor([[[0.6, 0.4]], [[0.1, 0.9]], [[0.1, 0.9]]])
    px = Joint({"x": Normal(torch.tensor([[1.0], [2.0], [3.0]]), 1.0), "c": Categorical(probs=shares)})
    best = expected(mixture([[0.4, 0.3, 0.3]], px), px, bits=True)
    torch.testing.assert_close(best, torch.tensor([[1.9, 1.0]]))


def test_weighted_quantiles_are_those_of_repeated_values() -> None:
    rng = np.random.default_rng(0)
    values, times = rng.normal(size=200), rng.integers(1, 5, 200)
    weight = torch.from_numpy(times / times.sum()).unsqueeze(0)
    found = weighted_quantiles(torch.from_numpy(values).view(1, -1, 1), weight, [0.05, 0.5, 0.95])
    expected_ = np.quantile(np.repeat(values, times), [0.05, 0.5, 0.95], method="hazen")
    np.testing.assert_allclose([float(one) for one in found], expected_, atol=0.08)


def test_factor_analysis_finds_what_made_the_cells_that_are_there() -> None:
    rng = np.random.default_rng(0)
    w, noise = rng.normal(size=(6, 2)), np.array([0.2, 0.4, 0.6, 0.8, 1.0, 1.2])
    x = rng.normal(size=(20_000, 2)) @ w.T + noise * rng.normal(size=(20_000, 6)) + np.arange(6)
    seen = rng.random(x.shape) < 0.6
    x[~seen] = np.nan  # of no account
    begin = (torch.from_numpy(rng.normal(size=(6, 2))), torch.ones(6, dtype=torch.float64))
    mean, weights, found = factor_analysis(torch.from_numpy(x), torch.from_numpy(seen).double(), *begin)
    np.testing.assert_allclose(mean.numpy(), np.arange(6), atol=0.08)
    np.testing.assert_allclose((weights @ weights.T).numpy(), w @ w.T, rtol=0.05, atol=0.06)
    np.testing.assert_allclose(found.numpy(), noise, atol=0.12)


# ------------------------------------------------------------------ arrays, frames, pictures, parts


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_was_observed_comes_back_bit_for_bit(dtype: type) -> None:
    model, kind, rows = linear()
    holes = with_holes(rows[:20] + 1 / 3).astype(dtype)
    there = ~np.isnan(holes)
    best = impute(model, kind, holes, samples=20).best
    assert best.dtype == dtype and best.shape == holes.shape and np.isfinite(best).all()
    assert (best[there].view(f"u{best.itemsize}") == holes[there].view(f"u{best.itemsize}")).all()
    row = impute(model, kind, holes[3], samples=20).best
    np.testing.assert_allclose(row, best[3], atol=1e-5)
    tensor = impute(model, kind, torch.from_numpy(holes), samples=20).best
    assert isinstance(tensor, torch.Tensor) and tensor.dtype == torch.from_numpy(holes).dtype
    frame = pd.DataFrame(holes, columns=list("abcde"), index=range(5, 25))
    filled = impute(model, kind, frame, samples=20).best
    pd.testing.assert_frame_equal(filled, pd.DataFrame(best, columns=list("abcde"), index=range(5, 25)))
    masked = np.ma.MaskedArray(np.nan_to_num(holes), mask=~there)
    np.testing.assert_array_equal(impute(model, kind, masked, samples=20).best, best)


@pytest.mark.parametrize(
    ("dtype", "low", "high"),
    [("uint8", 0, 255), ("int64", -(2.0**63), 2.0**63), ("bool", 0, 1), ("float16", -65504, 65504)],
)
def test_numbers_that_a_type_cannot_hold_go_to_the_end_of_its_range_and_not_around_it(
    dtype: str, low: float, high: float
) -> None:
    model, _, _ = linear()
    far = Vectors(D, mean=[0.0] * D, scale=[1.0, 1e30, 1.0, 1.0, 1.0])
    given = np.ma.MaskedArray(np.ones((8, D), dtype), mask=np.tile(np.arange(D) == 1, (8, 1)))
    found = impute(model, far, given, n=2, samples=20)
    for made in (found.best, *found.draws):
        assert made.dtype == dtype
        ends = made[:, 1].astype(np.float64)
        assert (np.isclose(ends, low) | np.isclose(ends, high)).all()
        assert (np.delete(made, 1, 1) == 1).all()
    [note] = [note for note in found.notes if "cannot hold" in note]
    assert dtype in note


@pytest.mark.parametrize(
    ("series", "cells", "dtype", "made"),
    [
        (pd.Series([1, None], dtype="float32"), [0.0, 0.1], None, np.float32(0.1)),
        (pd.Series([1, None], dtype="float32"), [0.0, 1e39], "float64", 1e39),
        (pd.Series([1, None], dtype="float32"), pd.Series([None, 3], dtype="Int64"), None, 3),
        (pd.Series([1, None], dtype="Int64"), [0.0, 2.0], None, 2),
        (pd.Series([1, None], dtype="Int64"), [0.0, 2.5], "Float64", 2.5),
        (pd.Series([1, None], dtype="UInt8"), [0.0, 200.0], None, 200),
        (pd.Series([1, None], dtype="UInt8"), [0.0, -200.0], "Int64", -200),
        (pd.Series([1.0, None]), pd.Series(["10", "20"]), None, 20.0),
        (pd.Series([1.0, None]), pd.Series(["10", "up"]), pd.Series(["up"]).dtype, "up"),
        (pd.Series([True, None], dtype="boolean"), pd.Series([None, False]), None, False),
        (pd.Series([True, None], dtype="boolean"), [0.0, 3.0], "Int64", 3),
        (pd.Series(["1", None]), [0.0, 2.5], None, "2.5"),
        (pd.Series(["1", None]), [0.0, 2.0], None, "2"),
        (pd.Series(["2020-01-05", None]), pd.to_datetime(["2020-01-01", "2020-02-01"]), None, "2020-02-01"),
        (
            pd.Series(["a", None], dtype="category"), pd.Series([None, "b"]),
            pd.CategoricalDtype(pd.Series(["a", "b"])), "b",
        ),
        (
            pd.to_datetime(pd.Series(["2020-01-05T00:00Z", None])),
            pd.to_datetime(["2020-01-01", "2020-02-01"]), None, pd.Timestamp("2020-02-01", tz="UTC"),
        ),
    ],
)  # fmt: skip
def test_cells_go_into_a_columns_own_type_where_it_holds_them(
    series: pd.Series, cells: Any, dtype: Any, made: Any
) -> None:
    series.index = pd.Index([7, 7])
    found = filled(series, cells, np.array([False, True]))
    assert found.iloc[1] == made and found.dtype == (series.dtype if dtype is None else dtype)
    assert found.index.equals(series.index) and series.isna().iloc[1]


def test_columns_of_arrow_become_real_numbers_of_arrow() -> None:
    pytest.importorskip("pyarrow")
    series = pd.Series([1, None], dtype="int32[pyarrow]")
    found = filled(series, [0.0, 2.5], np.array([False, True]))
    assert found.dtype == "double[pyarrow]" and found.tolist() == [1.0, 2.5]


def test_dates_among_words_are_written_as_those_are() -> None:
    days = pd.to_datetime(["2020-01-01", "2020-02-01"])
    found = filled(pd.Series(["05/01/2020", None]), days, np.array([False, True]), "%d/%m/%Y")
    assert found.tolist() == ["05/01/2020", "01/02/2020"]


def test_frames_of_numbers_keep_their_types_where_these_hold_what_is_filled_in() -> None:
    model, kind, rows = linear()
    frame = pd.DataFrame(with_holes(rows[:20]).round(), columns=list("abcde"))
    frame = frame.astype({"a": "Int64", "b": "float32", "c": "Float64", "d": object})
    best = impute(model, kind, frame, samples=20).best
    assert best.dtypes.astype(str).tolist() == ["Float64", "float32", "Float64", "object", "float64"]
    assert best.notna().all().all() and (best[frame.notna()].fillna(0) == frame.fillna(0)).all().all()


def mixed(rows: int = 300) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    x = rng.normal(size=rows)
    return pd.DataFrame(
        {
            "x": x, "twice": 2 * x + 0.1 * rng.normal(size=rows), "count": rng.poisson(3, rows) + (x > 0) * 10,
            "sign": np.where(x > 0, "up", "down"), "yes": x > 0.5,
            "zeros": np.where(rng.random(rows) < 0.5, 0.0, rng.gamma(2, 10, rows)),
            "day": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 500, rows), unit="D"),
            "size": pd.Categorical(rng.choice(["s", "m", "l"], rows), categories=["s", "m", "l"], ordered=True),
            "name": [f"row {i}" for i in range(rows)],
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> tuple[vaekit.Run, pd.DataFrame, pd.DataFrame]:
    """A run of a mixed table, the table, and the same with holes."""
    frame, rng = mixed(), np.random.default_rng(1)
    run = vaekit.fit(frame, steps=120, latent=4, out=tmp_path_factory.mktemp("runs") / "t", **FAST)
    holes = frame.copy()
    for name in frame:
        holes[name] = holes[name].mask(rng.random(len(frame)) < 0.25)
    return run, frame, holes.set_index(pd.Index(range(7, 307)))


def test_a_table_keeps_its_types_its_cells_and_its_index(table: Any) -> None:
    run, frame, holes = table
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        best = run.impute(holes, samples=100)
    assert any("column name is not modelled: its holes stay" in str(one.message) for one in said)
    assert (best.dtypes == holes.dtypes).all() and best.index.equals(holes.index)
    for name in holes:
        there = holes[name].notna()
        assert (best[name][there] == holes[name][there]).all()
        assert best[name].notna().all() == (name != "name")
    assert (best["count"] % 1 == 0).all() and set(best["size"]) <= {"s", "m", "l"}
    hole = holes["sign"].isna() & (holes["x"].abs() > 0.3)
    assert (best["sign"][hole] == np.where(holes["x"][hole] > 0, "up", "down")).mean() > 0.9
    hole = holes["twice"].isna() & holes["x"].notna()
    assert np.abs(best["twice"] - 2 * holes["x"])[hole].mean() < 0.6


def test_a_table_of_other_types_than_trainings_is_filled_in_its_own(table: Any) -> None:
    run, _, holes = table
    other = holes.drop(columns="name").head(60).astype({"x": "float32", "day": str, "count": "float16"})
    other["day"] = other["day"].where(holes["day"].notna(), None)
    other["twice"] = other["twice"].round().astype("Int64")
    best = impute(run.model, run.kind, other, samples=20).best
    assert best.notna().all().all()
    assert best[["x", "count", "twice"]].dtypes.astype(str).tolist() == ["float32", "float16", "Float64"]
    assert best["day"].str.fullmatch(r"\d{4}-\d\d-\d\d").all()


def test_a_tables_imputations_and_intervals(table: Any) -> None:
    run, frame, holes = table
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        draws = run.impute(holes, n=3, samples=100)
        best, low, high = run.impute(holes, interval=0.8, samples=100)
    hole = holes["zeros"].isna().to_numpy()
    assert len(draws) == 3 and (draws[0].dtypes == holes.dtypes).all()
    assert any((draws[0]["zeros"] != draws[1]["zeros"])[hole])
    shares = np.mean([(one["zeros"][hole] == 0).mean() for one in draws])
    assert 0.3 < shares < 0.7  # point masses are drawn as such, and not averaged
    numbers = ["x", "twice", "count", "zeros", "day"]
    assert (low[numbers] <= high[numbers]).all().all()
    assert low["sign"].isna().equals(holes["sign"].isna())  # categories have no order
    inside = (low["x"] <= frame["x"].to_numpy()) & (frame["x"].to_numpy() <= high["x"])
    assert inside[holes["x"].isna()].mean() > 0.6


def test_pictures_with_holes(tmp_path: Path) -> None:
    kind = Images(1, 4, 4, levels=256)
    with Noise(0, "weights").torch():
        model, _ = presets.vae(kind, 2)
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (3, 4, 4))
    hole = rng.random(pixels.shape) < 0.4
    floats = np.where(hole, np.nan, pixels / 255)
    best = impute(model.eval(), kind, floats, samples=50).best
    assert best.shape == (3, 4, 4) and (best[~hole] == floats[~hole]).all()
    assert ((best[hole] >= 0) & (best[hole] <= 1)).all()
    np.save(tmp_path / "holes.npy", floats)
    np.testing.assert_array_equal(impute(model, kind, tmp_path / "holes.npy", samples=50).best, best)
    masked = impute(model, kind, np.ma.MaskedArray(pixels.astype(np.uint8), mask=hole), samples=50).best
    assert masked.dtype == np.uint8 and (masked[~hole] == pixels[~hole]).all()
    np.testing.assert_array_equal(masked[hole], np.rint(best[hole] * 255))


def test_a_part_that_is_not_there_is_made_from_the_others() -> None:
    kind = Parts({"point": Vectors(2), "class": Classes(3)})
    with Noise(0, "weights").torch():
        model, _ = presets.mopoe(kind, 2)
    points = np.random.default_rng(0).normal(size=(4, 2)).astype(np.float32)
    found = impute(model.eval(), kind, {"point": points}, n=2, samples=20)
    np.testing.assert_array_equal(found.best["point"], points)
    assert found.count == 4 and len(found.best["class"]) == 4
    assert set(np.unique(found.best["class"])) <= {0, 1, 2}
    some = points.copy()
    some[1] = np.nan
    both = impute(model, kind, {"point": some, "class": np.array([0, 1, 2, 0])}, samples=20).best
    np.testing.assert_array_equal(both["point"][[0, 2, 3]], points[[0, 2, 3]])
    assert np.isfinite(both["point"]).all() and both["class"].tolist() == [0, 1, 2, 0]


# ------------------------------------------------------------------ what is said


def test_what_is_to_know_is_said() -> None:
    model, kind, rows = linear()
    whole = impute(model, kind, rows[:5], n=2, trained=12)
    assert whole.best is not rows and (whole.best == rows[:5]).all() and len(whole.draws) == 2
    assert "nothing is missing" in whole.notes[0] and "trained on 12 items" in whole.notes[1]
    empty = impute(model, kind, np.full((1, D), np.nan), samples=4_000)
    assert "1 rows hold nothing at all" in empty.notes[0]
    np.testing.assert_allclose(empty.best[0], covariance(model)[0], atol=0.15)


def of(source: Any, preset: str = "vae", **options: Any) -> tuple[VAE, Any]:
    kind, _ = detect(read(source))
    return getattr(presets, preset)(kind, 2, **options)[0].eval(), kind


MISTAKES = {
    "counts": (lambda: of(csr_array(np.eye(30))), np.zeros((2, 30)), {}, "E108", "counts"),
    "codes without a distribution": (
        lambda: of(np.eye(4), "autoencoder"), np.eye(4), {}, "E106", "no distribution",
    ),
    "both": (lambda: linear()[:2], np.zeros((2, D)), {"n": 2, "interval": 0.9}, "E103", "exclude"),
    "no probability": (lambda: linear()[:2], np.zeros((2, D)), {"interval": 90.0}, "E103", "between 0 and 1"),
    "no draws": (lambda: linear()[:2], np.zeros((2, D)), {"samples": 0}, "E103", "one draw or more"),
    "far off": (
        lambda: linear()[:2], np.array([[0.0, np.nan, 0, 0, 0], [0, 0, 0, 0, 0], [0, np.nan, 1e30, 0, 0]]),
        {"n": 2}, "E206", "rows 2",
    ),
    "no imputations": (lambda: linear()[:2], np.zeros((2, D)), {"n": 0}, "E103", "n = 0"),
    "another width": (lambda: linear()[:2], np.zeros((2, D + 1)), {}, "E212", "rows of 5 numbers"),
    "infinite": (lambda: linear()[:2], np.full((2, D), np.inf), {}, "E206", "infinity"),
    "words": (lambda: linear()[:2], np.full((2, D), "a"), {}, "E211", "not real numbers"),
    "a table with words": (lambda: linear()[:2], pd.DataFrame({c: ["a"] for c in "abcde"}), {}, "E215", "numbers"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_named(name: str) -> None:
    make, data, options, code, said = MISTAKES[name]
    with pytest.raises(VaekitError) as error:
        impute(*make(), data, **options)
    assert error.value.code == code and said in str(error.value)


def test_columns_that_the_model_does_not_know_are_given_back(table: Any) -> None:
    run, _, holes = table
    more = holes.head(3).assign(extra=["a", None, "b"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = run.imputed(more, samples=20)
    assert "columns the model does not know are given back as they are: extra; 1 holes stay." in found.notes
    pd.testing.assert_series_equal(found.best["extra"], more["extra"])


def test_a_table_for_a_model_of_pictures_is_named(tmp_path: Path) -> None:
    kind, _ = detect(read(np.random.default_rng(0).integers(0, 256, (20, 8, 8)).astype(np.uint8)))
    (tmp_path / "people.csv").write_text("age,city\n3,x\n4,y\n")
    with pytest.raises(
        VaekitError, match="this run is of 8x8 images, and people.csv is a table of age, city"
    ):
        holes_of(kind, tmp_path / "people.csv")


def test_a_table_of_other_columns_is_refused(table: Any) -> None:
    with pytest.raises(VaekitError, match="columns are missing: x") as error:
        table[0].impute(pd.DataFrame({"y": [1.0, np.nan]}))
    assert error.value.code == "E216"


# ------------------------------------------------------------------ the command line


def test_the_command_writes_what_was_asked_for(table: Any, tmp_path: Path) -> None:
    run, _, holes = table
    holes.to_csv(tmp_path / "holes.csv", index=False)
    words = ("impute", run.path, tmp_path / "holes.csv", "--samples", "50", "--out", tmp_path / "full.csv")
    code, out, err = call(*words, "--json")
    assert code == 0 and err == ""
    answer = json.loads(out)
    modelled = holes.drop(columns="name")
    assert answer["filled"] == int(modelled.isna().sum().sum()) and 1 <= answer["effective_draws"] <= 50
    full, came = pd.read_csv(tmp_path / "full.csv", dtype=str), pd.read_csv(tmp_path / "holes.csv", dtype=str)
    assert full["count"].str.fullmatch(r"-?\d+").all()  # 12, not 12.0
    for name in ("x", "sign", "day", "size", "yes", "zeros"):
        there = came[name].notna()
        assert (full[name][there] == came[name][there]).all() and full[name].notna().all()
    code, _, err = call(*words, "--n", "2")
    assert code == 0 and (tmp_path / "full-1.csv").is_file() and (tmp_path / "full-2.csv").is_file()
    assert "note: column name is not modelled" in err and "effective draws" in err
    code, *_ = call(*words, "--intervals", "0.9")
    low, high = (pd.read_csv(tmp_path / f"full-{end}.csv") for end in ("low", "high"))
    assert code == 0 and (low["x"] <= high["x"]).all()
    code, _, err = call(*words, "--intervals", "0.9", "--n", "2")
    assert code == 2 and err.startswith(f"E103 {CODES['E103']}: ")


def test_digits_that_are_words_to_the_model_are_written_as_they_came(tmp_path: Path) -> None:
    codes = np.random.default_rng(0).choice(["10", "20", "30"], 80).astype(object)
    frame = pd.DataFrame({"x": np.arange(80.0) + 0.5, "code": codes})
    run = vaekit.fit(frame, steps=5, latent=1, out=tmp_path / "t", **FAST)
    frame.loc[::7, "code"] = None
    frame.to_csv(tmp_path / "holes.csv", index=False)
    code, *_ = call(
        "impute", run.path, tmp_path / "holes.csv", "--out", tmp_path / "full.csv", "--samples", 20
    )
    full = pd.read_csv(tmp_path / "full.csv", dtype=str)["code"]
    assert (
        code == 0 and set(full) <= {"10", "20", "30"} and (full == frame["code"])[frame["code"].notna()].all()
    )


def test_arrays_keep_their_form_on_the_command_line(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(60, 1)) + 0.1 * np.random.default_rng(1).normal(size=(60, 3))
    run = vaekit.fit(rows, steps=20, latent=1, out=tmp_path / "v", **FAST)
    np.save(tmp_path / "holes.npy", with_holes(rows))
    code, *_ = call(
        "impute", run.path, tmp_path / "holes.npy", "--out", tmp_path / "full.npy", "--samples", 50
    )
    full = np.load(tmp_path / "full.npy")
    there = ~np.isnan(with_holes(rows))
    assert code == 0 and (full[there] == rows[there]).all() and np.isfinite(full).all()
    assert np.abs(full - rows)[~there].mean() < 0.6
