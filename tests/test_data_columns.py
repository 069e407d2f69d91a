"""The columns of a table: the map to scores and its density, what each column is found to be, dates and holes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from vaekit.data.columns import Category, Number
from vaekit.data.conversions import as_numbers, from_numbers, read_again
from vaekit.data.given import Given, combinations
from vaekit.data.loaded import TableSource
from vaekit.data.quantiles import backward, fit_knots, forward, grid_of, on_grid, slope
from vaekit.data.recognise import recognise
from vaekit.distributions import Noise
from vaekit.errors import DataError, UsageError

DAY = 86_400_000_000_000


def only(values, told=None, name="x"):
    """The column that these cells are."""
    return recognise(TableSource(pd.DataFrame({name: values})), {name: told} if told else None)[0]


SHAPES = {
    "normal": lambda rng: rng.normal(5, 2, 5000),
    "heavy": lambda rng: rng.standard_cauchy(3000),
    "integers": lambda rng: rng.poisson(300, 4000).astype(float),
    "decimals": lambda rng: np.round(rng.gamma(2, 3, 2000), 2),
    "two": lambda rng: np.array([-1e6, 3.25]),
    "far apart": lambda rng: np.concatenate([rng.random(500), 1e9 + rng.random(500)]),
}


@pytest.fixture(params=SHAPES)
def fitted(request, rng):
    values = SHAPES[request.param](rng)
    grid = grid_of(values)
    return values, grid, *fit_knots(values, grid)


def test_the_map_rises_and_inverts(fitted, rng):
    values, _, knots, scores = fitted
    assert (np.diff(knots) > 0).all() and (np.diff(scores) > 0).all() and np.isfinite(scores).all()
    span = knots[-1] - knots[0]
    at = np.concatenate([knots[0] - 0.1 * span + 1.2 * span * rng.random(2000), values])
    np.testing.assert_allclose(
        backward(forward(at, knots, scores), knots, scores), at, rtol=0, atol=1e-9 * span
    )
    at.sort()
    assert (np.diff(forward(np.unique(at), knots, scores)) > 0).all()


def test_the_slope_is_the_derivative(fitted, rng):
    _, _, knots, scores = fitted
    wide = np.flatnonzero(np.diff(knots) > 1e-6 * np.abs(knots[1:]))  # else the quotient has no digits
    piece = rng.choice(wide, 300)
    at = knots[piece] + (0.2 + 0.6 * rng.random(300)) * np.diff(knots)[piece]
    step = 0.1 * np.diff(knots)[piece]
    numeric = (forward(at + step, knots, scores) - forward(at - step, knots, scores)) / (2 * step)
    np.testing.assert_allclose(slope(forward(at, knots, scores), knots, scores), numeric, rtol=1e-6)


def test_knots_of_gridded_values_lie_on_edges_of_cells(rng):
    knots, _ = fit_knots(rng.poisson(40, 2000).astype(float), 1.0)
    np.testing.assert_array_equal(knots - 0.5, np.rint(knots - 0.5))
    knots, _ = fit_knots(np.round(rng.normal(size=900), 1), 0.1)
    np.testing.assert_allclose(10 * knots - 0.5, np.rint(10 * knots - 0.5), atol=1e-9)


def test_normal_values_get_scores_near_themselves(rng):
    values = rng.normal(size=20_000)
    inner = np.sort(values)[200:-200]
    assert np.abs(forward(inner, *fit_knots(values)) - inner).max() < 0.12
    assert abs(forward(values, *fit_knots(values)).std() - 1) < 0.02


def test_the_density_of_a_number_integrates_to_one_and_is_its_own(rng):
    column = only(rng.gamma(3, 2, 20_000))
    at = np.linspace(column.low - 3, column.high + 3, 400_001)
    score, _ = column.score(at)
    density = stats.norm.pdf(score) * column.slope(score)
    assert np.trapezoid(density, at) == pytest.approx(1, abs=2e-3)
    inner = (at > 1) & (at < 15)
    assert np.abs(density - stats.gamma.pdf(at, 3, scale=2))[inner].mean() < 0.007


def test_the_cells_of_a_gridded_column_cover_its_range_once(rng):
    column = only(rng.poisson(400, 3000))
    assert column.grid == 1 and not column.special
    start, width = column.score(np.arange(column.low, column.high + 1))
    mass = stats.norm.cdf(start + width) - stats.norm.cdf(start)
    whole = stats.norm.cdf(column.scores[-1]) - stats.norm.cdf(column.scores[0])
    assert mass.sum() == pytest.approx(whole, abs=1e-3) and whole > 0.999
    # −log density at places spread evenly over a cell of width 1 is on average no less than −log of its mass
    place = (np.arange(200) + 0.5) / 200
    scores = start[:, None] + width[:, None] * place
    log_density = stats.norm.logpdf(scores) + np.log(column.slope(scores.ravel()).reshape(scores.shape))
    assert (-log_density.mean(1) >= -np.log(mass) - 2e-3).all()


@pytest.mark.parametrize(
    ("values", "grid"),
    [
        ([1.0, 7.0, -3.0], 1.0), ([1.5, 2.25], 0.01), ([0.1 + 0.2, 0.7], 0.1), ([1e-12, 4e-13], 0.0),
        ([1e9 + 1 / 3, 2e9 + 1 / 7], 0.0), ([1234.567891234, 999.123456789], 0.0), ([0.0], 1.0), ([2.0**52], 0.0),
    ],
)  # fmt: skip
def test_the_step_of_written_numbers(values, grid):
    assert grid_of(np.array(values)) == grid
    np.testing.assert_array_equal(on_grid(np.array(values), grid).round(9), np.array(values).round(9))


def test_decimals_are_found_in_float32_too(rng):
    values = np.round(rng.normal(size=300), 2).astype(np.float32)
    assert only(values).grid == 0.01
    assert only(rng.normal(100, 30, 300).astype(np.float32)).grid == 0.0


@pytest.mark.parametrize(
    ("values", "word", "why"),
    [
        (np.arange(50) * 1.1 + np.pi, "number", "numbers, 50 different"),
        ([3, 5, 8] * 30, "integer", "3 levels, each with a probability of its own"),
        ([0.0] * 920 + list(np.arange(80) * 1.1 + 0.123), "number", "92% are 0"),
        (list(range(100)), "identifier", "names rows"),
        ([f"u{i}" for i in range(50)], "identifier", "50 different values in 50 cells"),
        ([f"the quick brown fox {i} jumps" for i in range(30)], "free text", "6 words"),
        (["a", "b", None] * 9, "category", "2 different values"),
        ([True, False] * 9, "boolean", "2 different truth values"),
        ([None] * 9, "empty", "every cell is empty"),
        (["a"] * 9, "constant", "1 different values"),
        (pd.date_range("2020-01-01", periods=30), "date", "whole days"),
        (pd.to_timedelta([1, 5, 90] * 5, unit="min"), "time span", "whole minutes"),
        (pd.Categorical(["lo", "hi"] * 9, ["lo", "mid", "hi"], ordered=True), "ordinal", "3 different"),
    ],
)  # fmt: skip
def test_what_a_column_is_and_why(values, word, why):
    column = only(values)
    assert column.word == word and why in column.why


def test_a_user_knows_better():
    frame = TableSource(
        pd.DataFrame({"code": [10, 20, 30] * 9, "text": ["1", "2.5", None] * 9, "row": range(27)})
    )
    told = {"code": "category", "text": "number", "row": "drop"}
    code, text, row = recognise(frame, told)
    assert (code.word, text.word, row.word) == ("category", "number", "dropped")
    assert code.values == [10, 20, 30] and (text.low, text.high, text.dtype) == (1.0, 2.5, "float64")
    for wrong, number, said in (
        ({"cod": "drop"}, "E104", "did you mean code"),
        ({"code": "numbr"}, "E103", "number"),
    ):
        with pytest.raises(UsageError, match=said) as error:
            recognise(frame, wrong)
        assert error.value.code == number
    with pytest.raises(DataError, match="column 'x', row 1: numbers are expected, not 'b'") as error:
        only(["1", "b"] * 9, "number")
    assert error.value.code == "E216"


@pytest.mark.parametrize("value", [1e308, -1e101, np.inf])
def test_numbers_too_large_are_named(value):
    with pytest.raises(DataError, match="column 'x', row 2") as error:
        only([1.0, np.nan, value, 3.5])
    assert error.value.code == "E203"


def test_rare_categories_share_a_level_and_come_back_by_frequency(rng):
    words = np.array([f"w{i:05}" for i in range(10_000)])
    cells = np.concatenate(
        [np.repeat(words[:300], 100), np.repeat(words, 3), np.repeat(words[9000:9001], 60)]
    )
    column = only(cells)
    assert (
        column.levels == 256 and len(column.values) == 255 and len(column.values) + len(column.rare) == 10_000
    )
    assert column.frequencies().sum() == pytest.approx(1)
    codes = column.codes(pd.Series(cells))
    assert (column.level(codes) == 255).mean() == pytest.approx(sum(column.rare_shares))
    drawn = column.restored(np.full(200_000, 255), (np.arange(200_000) + 0.5) / 200_000)
    assert drawn.min() >= 255
    seen = np.bincount(drawn.astype(int), minlength=10_000)[255:] / 200_000
    np.testing.assert_allclose(seen, np.array(column.rare_shares) / sum(column.rare_shares), atol=2e-5)


def test_categories_are_found_by_what_they_say():
    column = only([1.0, 2.0, 3.0] * 9, "category")
    np.testing.assert_array_equal(column.codes(pd.Series(["2", 3, None], dtype=object)), [1, 2, np.nan])
    with pytest.raises(DataError, match="column 'x', row 1: 'blau' is none") as error:
        only(["blue", "red"] * 9).codes(pd.Series(["red", "blau", "x"]))
    assert error.value.code == "E217" and "2 rows" in error.value.message


@pytest.mark.parametrize(
    "dtype", ["datetime64[us]", "datetime64[s]", "datetime64[ns]", "datetime64[us, Europe/Berlin]"]
)
def test_dates_keep_every_microsecond(dtype, rng):
    series = pd.Series(pd.to_datetime(rng.integers(0, 2 * 10**9, 200), unit="s"))
    if dtype.startswith("datetime64[us"):
        series = series.astype("datetime64[us]") + pd.to_timedelta(rng.integers(0, 10**6, 200), unit="us")
    series = (
        series.dt.tz_localize("UTC").dt.tz_convert("Europe/Berlin") if "," in dtype else series.astype(dtype)
    )
    series[3] = pd.NaT
    unit = 1_000 if "us" in dtype else 1_000_000_000
    back = from_numbers(as_numbers(series, unit), str(series.dtype), unit, "x")
    pd.testing.assert_series_equal(back, series, check_names=False)


def test_dates_beyond_the_year_2262_are_dates():
    column = only([pd.Timestamp("9999-12-31"), pd.Timestamp("1200-01-05"), None] * 5)
    back = column.cells(
        column.codes(pd.Series([pd.Timestamp("9999-12-31"), pd.Timestamp("1200-01-05"), None]))
    )
    assert back.dt.year.tolist()[:2] == [9999, 1200] and back.isna().tolist() == [False, False, True]


def test_a_date_that_could_be_read_twice_is_read_as_in_training():
    series = pd.Series(pd.to_datetime(["2020-04-03", "2020-12-01"]))  # 03/04/2020 and 01/12/2020
    again = read_again(series, "%d/%m/%Y", "%m/%d/%Y")
    assert again.dt.strftime("%Y-%m-%d").tolist() == ["2020-03-04", "2020-01-12"]
    assert read_again(series, "%Y-%m-%d", "%d/%m/%Y") is series


@pytest.mark.parametrize(
    "dtype", ["int8", "uint8", "int64", "Int16", "UInt32", "float32", "Float64", "int64[pyarrow]"]
)
def test_holes_in_numbers(dtype):
    if "pyarrow" in dtype:
        pytest.importorskip("pyarrow")
    whole = from_numbers(np.array([1.0, 100.0]), dtype, 0, "x")
    assert str(whole.dtype) == dtype and whole.tolist() == [1, 100]
    holed = from_numbers(np.array([1.0, np.nan]), dtype, 0, "x")
    assert holed.isna().tolist() == [False, True] and holed[0] == 1
    assert {"int8": "Int8", "uint8": "UInt8", "int64": "Int64"}.get(dtype, dtype) == str(holed.dtype)


def test_the_largest_integers_do_not_change_their_sign():
    for dtype in ("int64", "uint64"):
        top = np.iinfo(dtype).max
        back = from_numbers(np.array([float(top)]), dtype, 0, "x")
        assert 0 <= top - int(back[0]) <= 2**11


# ---------------------------------------------------------------------- given columns


def given_of(frame, **told):
    columns = recognise(TableSource(frame), told)
    codes = [column.codes(frame[column.name]) for column in columns]
    return Given(columns, *combinations(codes)), dict(zip(frame, codes, strict=True))


def test_conditions_invert_with_holes_and_rare_categories(rng):
    words = np.array([f"w{i}" for i in range(400)], dtype=object)
    frame = pd.DataFrame(
        {
            "word": np.where(rng.random(900) < 0.1, None, words[rng.integers(0, 400, 900)]),
            "size": np.where(rng.random(900) < 0.3, np.nan, rng.normal(size=900)),
            "age": rng.integers(0, 1000, 900),
            "fixed": np.where(rng.random(900) < 0.2, np.nan, 7.0),
            "day": pd.to_datetime("2020-01-01") + pd.to_timedelta(rng.integers(0, 900, 900), unit="D"),
        }
    )  # fmt: skip
    given, codes = given_of(frame, word="category")
    features = given.features(codes, 900)
    assert features.shape == (900, given.width) and np.isfinite(features).all()
    back = given.codes(torch.from_numpy(features), 900)
    for name in frame:
        np.testing.assert_allclose(back[name], codes[name], atol=1e-5 if name == "size" else 0)


def test_unspecified_conditions_come_as_they_came_together():
    frame = pd.DataFrame({"a": ["x", "x", "y", "y"] * 25, "b": [1, 1, 2, 3] * 25})
    given, _ = given_of(frame)
    drawn = given.codes(given.drawn(20_000, {}, Noise(0, "test")), 20_000)
    pairs, counts = np.unique(np.stack([drawn["a"], drawn["b"]], 1), axis=0, return_counts=True)
    np.testing.assert_array_equal(pairs, [[0, 1], [1, 2], [1, 3]])
    np.testing.assert_allclose(counts / 20_000, [0.5, 0.25, 0.25], atol=0.015)
    told = given.codes(given.drawn(4_000, {"a": "y"}, Noise(0, "test")), 4_000)
    assert set(told["a"]) == {1.0} and set(told["b"]) == {2.0, 3.0}


def test_too_many_combinations_are_drawn_column_by_column(rng):
    words = np.array([f"w{i}" for i in range(400)])
    frame = pd.DataFrame({"w": words[rng.integers(0, 400, 4000)], "n": rng.normal(size=4000)})
    given, codes = given_of(frame)
    assert len(given.combinations) == 0
    drawn = given.codes(given.drawn(20_000, {}, Noise(0, "test")), 20_000)
    column = given.columns[0]
    rare = (drawn["w"] >= len(column.values)).mean()
    assert rare == pytest.approx(sum(column.rare_shares), abs=0.02)
    assert len(np.unique(drawn["w"])) > 390  # the rare ones are told apart
    assert abs(drawn["n"].mean()) < 0.05 and drawn["n"].std() == pytest.approx(1, abs=0.05)


def test_columns_refuse_what_cannot_be():
    with pytest.raises(ValueError, match="must rise"):
        Number("x", "float64", 0, "", [0, 0], [0, 1], 0, [], [1.0], 0, 1)
    with pytest.raises(ValueError, match="two knots"):
        Number("x", "float64", 0, "", [0], [0], 0, [], [1.0], 0, 1)
    with pytest.raises(ValueError, match="needs a share"):
        Category("x", "str", 0, "", ["a"], [])
