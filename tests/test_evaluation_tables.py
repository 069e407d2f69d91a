"""Figures for sampled tables, against SciPy, values worked out by hand, and a real table where there is one."""

from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ks_2samp

from vaekit.errors import DataError
from vaekit.evaluation.distances import correlations, kolmogorov_smirnov, total_variation
from vaekit.evaluation.tables import compare


def frame(rng, rows: int = 300) -> pd.DataFrame:
    """Every form of column, each with missing cells where its dtype has them, and dependent on the first."""
    x = rng.normal(size=rows)
    table = pd.DataFrame(
        {
            "x": x,
            "y": x + rng.normal(size=rows),
            "count": rng.poisson(np.exp(x)),
            "whole": pd.array(np.round(x), dtype="Int64"),
            "day": pd.Timestamp("2020-01-01") + pd.to_timedelta(np.round(10 * x), unit="D"),
            "flag": x > 0,
            "town": np.where(x > 0.5, "Bonn", "Rome"),
            "grade": pd.Categorical(np.where(x > 1, "a", "b"), categories=["b", "a", "never"]),
        }
    )
    for name in ("y", "whole", "day", "town", "grade"):
        table.loc[rng.random(rows) < 0.1, name] = None
    return table


def code(error) -> str:
    return error.value.code


# columns


@pytest.mark.parametrize("digits", [0, 1, 9])  # with many ties, some, none
def test_numbers_are_compared_as_scipy_does(rng, digits):
    a, b = rng.normal(size=150).round(digits), rng.gamma(2, size=91).round(digits)
    expected = ks_2samp(a, b).statistic
    assert kolmogorov_smirnov(a, b) == pytest.approx(expected, abs=1e-12)
    found = compare(pd.DataFrame({"a": a}), pd.DataFrame({"a": b}))
    assert found.columns == {"a": pytest.approx(expected, abs=1e-12)}


def test_dates_are_compared_by_time_and_by_instant_across_zones():
    days = pd.Series(pd.to_datetime(["2020-01-01", "2020-01-02", "2020-01-05", "9999-01-01"]).as_unit("s"))
    later = days + pd.Timedelta(days=1)
    found = compare(pd.DataFrame({"day": days}), pd.DataFrame({"day": later}))
    # in days 1 2 5 ∞ beside 2 3 6 ∞: the functions are a quarter apart until ∞ − 1
    assert found.columns["day"] == 0.25
    far = pd.DataFrame({"day": days[[0, 3]], "n": [0, 1]})  # no 64 bits of nanoseconds reach the year 9999
    near = far.assign(day=days[[0, 1]].to_numpy())
    assert compare(far, near).pairs["day", "n"] == pytest.approx(0, abs=1e-12)
    zoned = later[:3].dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo")
    assert compare(pd.DataFrame({"day": later[:3]}), pd.DataFrame({"day": zoned})).shape_error == 0
    written = ["2020-01-02", "2020-01-03T09:00:00+09:00", "2020-01-05T18:00:00-06:00"]
    assert compare(pd.DataFrame({"day": later[:3]}), pd.DataFrame({"day": written})).shape_error == 0


@pytest.mark.parametrize(
    ("real", "sampled", "error"),
    [
        (list("aab"), list("abc"), 1 / 3),  # ½ (|2/3 − 1/3| + 0 + |0 − 1/3|)
        (list("ab"), list("cd"), 1.0),
        ([True, True, False, False], [True, False, False, False], 0.25),
        (pd.Categorical(["1", "2"]), ["1", "1", "1", "2"], 0.25),
        (["a", None, "b"], ["a", "b", "b", None, None, "b"], 0.25),  # ½ 1, ½ 1 beside ¼, ¾
        (pd.array([True, None, False], dtype="boolean"), [True, False, True, False], 0.0),
    ],
)
def test_categories_are_compared_by_total_variation(real, sampled, error):
    assert compare(pd.DataFrame({"a": real}), pd.DataFrame({"a": sampled})).columns["a"] == pytest.approx(
        error
    )


def test_numeric_is_decided_by_the_dtype_of_the_real_column():
    text, numbers = pd.DataFrame({"a": ["1", "2", "3", "4"]}), pd.DataFrame({"a": [1, 2, 3, 4]})
    moved = pd.DataFrame({"a": [2, 3, 4, 5]})
    assert compare(numbers, moved).shape_error == 0.25
    assert (
        compare(numbers, moved.astype(str)).shape_error == 0.25
    )  # digits are read where numbers are expected
    assert compare(text, moved).shape_error == 1.0  # "2" is not the number 2
    assert compare(numbers.astype(object), pd.DataFrame({"a": [2, 3, 4, 4]})).shape_error == 0.25
    assert compare(pd.DataFrame({"a": [0.0, 1.0]}), pd.DataFrame({"a": [True, False]})).shape_error == 0


def test_missing_cells_are_left_out_and_reported_by_themselves():
    real = pd.DataFrame({"a": [1.0, 2.0, np.nan, np.nan], "b": ["x", None, "y", "y"]})
    sampled = pd.DataFrame({"a": [1.0, 2.0, 1.0, 2.0], "b": ["x", None, None, "x"]})
    found = compare(real, sampled)
    assert found.columns == {"a": 0.0, "b": pytest.approx(2 / 3)}
    assert found.nulls == {"a": 0.5, "b": 0.25}


def test_a_column_without_cells_matches_only_another():
    some, none = pd.DataFrame({"a": [1.0, 2.0]}), pd.DataFrame({"a": [np.nan, np.nan]})
    assert compare(some, none).columns == {"a": 1.0} == compare(none, some).columns
    assert compare(none, none).columns == {"a": 0.0}
    assert compare(some.astype(str), none.astype(object)).columns == {"a": 1.0}


# pairs


def test_numbers_are_paired_by_pearson_over_the_rows_where_both_are(rng):
    values = rng.normal(size=(200, 3)) @ rng.normal(size=(3, 3))
    values[rng.random((200, 3)) < 0.2] = np.nan
    expected = np.eye(3)
    for i, j in [(0, 1), (0, 2), (1, 2)]:
        both = np.isfinite(values[:, [i, j]]).all(1)
        expected[i, j] = expected[j, i] = np.corrcoef(values[both, i], values[both, j])[0, 1]
    np.testing.assert_allclose(correlations(values), expected, atol=1e-12)


def test_correlations_of_whole_columns_are_those_of_numpy(rng):
    values = rng.normal(size=(50, 4)) @ rng.normal(size=(4, 4)) * [1.0, 1e-9, 1e200, 3.0] + [
        0.0,
        0.0,
        0.0,
        1e6,
    ]
    expected = np.corrcoef(values * [1.0, 1.0, 1e-200, 1.0], rowvar=False)
    np.testing.assert_allclose(correlations(values), expected, atol=1e-9)
    constant = np.column_stack([values[:, 0], np.full(50, 0.1), np.zeros(50)])
    assert (correlations(constant) == np.diag([correlations(constant)[0, 0], 0.0, 0.0])).all()


def test_values_that_are_not_finite_are_left_out_of_a_correlation(rng):
    values = rng.normal(size=(20, 2)) + rng.normal(size=(20, 1))
    odd = np.vstack([values, [[np.inf, 1.0], [2.0, np.nan], [-np.inf, np.inf]]])
    np.testing.assert_allclose(correlations(odd), correlations(values), atol=1e-12)


def test_known_correlations_give_half_their_difference():
    line = np.arange(10.0)
    real = pd.DataFrame({"a": line, "b": 2 * line, "c": -line})
    sampled = pd.DataFrame({"a": line, "b": -line, "c": [0.0, 1.0, 2.0, 3.0, 4.0, 4.0, 3.0, 2.0, 1.0, 0.0]})
    found = compare(real, sampled)
    assert found.pairs == {
        ("a", "b"): pytest.approx(1.0),
        ("a", "c"): pytest.approx(0.5),
        ("b", "c"): pytest.approx(0.5),
    }


def test_dates_correlate_as_numbers():
    days = pd.Timestamp("2024-02-01") + pd.to_timedelta(np.arange(30), unit="D")
    real = pd.DataFrame({"day": days, "n": np.arange(30)})
    found = compare(real, pd.DataFrame({"day": days[::-1], "n": np.arange(30)}))
    assert found.pairs["day", "n"] == pytest.approx(1.0) and found.columns["day"] == 0


def test_categories_are_paired_by_the_joint_table_with_missing_as_one():
    real = pd.DataFrame({"a": list("xxyy"), "b": list("mnmn")})
    sampled = pd.DataFrame({"a": list("xxyy"), "b": ["m", "m", "n", None]})
    # xm xn ym yn, a quarter each, beside xm ½, yn ¼, y? ¼
    assert compare(real, sampled).pairs == {("a", "b"): 0.5}


def test_a_number_beside_a_category_is_in_ten_bins_of_the_real_range():
    real = pd.DataFrame({"a": np.arange(0.0, 101.0, 10.0), "b": "x"})  # bins [0, 10) … [80, 90), [90, ∞)
    same_bins = real.assign(a=real["a"] + 9.9)
    assert compare(real, same_bins).pairs["a", "b"] == 0  # the last, 109.9, is in the open bin
    assert compare(real, real.assign(a=[-500.0, *real["a"][1:]])).pairs["a", "b"] == 0
    below = compare(real, real.assign(a=real["a"] - 0.1)).pairs["a", "b"]
    assert below == pytest.approx(
        1 / 11
    )  # each row a bin lower: the lowest bin gains one and the highest loses one


def test_no_category_is_lost_among_more_than_rows(rng):
    names = np.array([f"name {i}" for i in range(400)])
    real, sampled = (
        pd.DataFrame({"a": rng.choice(names, 500), "b": rng.choice(names, 500)}) for _ in range(2)
    )
    shares = [table.value_counts(normalize=True) for table in (real, sampled)]
    expected = shares[0].sub(shares[1], fill_value=0).abs().sum() / 2
    assert compare(real, sampled).pairs["a", "b"] == pytest.approx(expected, abs=1e-12)


def test_memory_keeps_to_the_rows_where_categories_are_many():
    rows = np.arange(20_000)
    tracemalloc.start()
    assert total_variation(rows * 20_000, rows * 20_000 + rows % 2) == pytest.approx(0.5)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10_000_000  # the whole table has 4e8 cells


# both


def test_a_table_beside_itself_has_no_error(rng):
    table = frame(rng)
    found = compare(table, table.copy())
    assert set(found.columns.values()) | set(found.pairs.values()) | set(found.nulls.values()) == {0.0}
    assert (found.shape_error, found.trend_error) == (0.0, 0.0)
    assert list(found.columns) == list(table) and len(found.pairs) == 8 * 7 / 2


def test_the_order_of_rows_and_columns_changes_nothing(rng):
    real, sampled = frame(rng), frame(rng, 200)
    found = compare(real, sampled)
    other = compare(
        real.sample(frac=1, random_state=1), sampled.sample(frac=1, random_state=2)[real.columns[::-1]]
    )
    assert other.columns == found.columns and other.nulls == found.nulls
    assert other.pairs == pytest.approx(found.pairs, abs=1e-12)
    assert 0 < found.shape_error < 0.2


def test_which_table_is_real_matters_to_bins_only(rng):
    real, sampled = frame(rng), frame(rng, 200)
    there, back = compare(real, sampled), compare(sampled, real)
    assert there.columns == pytest.approx(back.columns) and there.nulls == pytest.approx(back.nulls)
    numbers, names = {"x", "y", "count", "whole", "day"}, {"flag", "town", "grade"}
    unbinned = [pair for pair in there.pairs if set(pair) <= numbers or set(pair) <= names]
    assert len(unbinned) == 10 + 3
    assert all(there.pairs[pair] == pytest.approx(back.pairs[pair]) for pair in unbinned)


@pytest.mark.parametrize("name", ["x", "day", "town", "flag"])
def test_a_shuffled_column_keeps_its_shape_and_loses_its_trends(rng, name):
    table = frame(rng)
    shuffled = table.assign(**{name: rng.permutation(table[name].to_numpy())})
    found = compare(table, shuffled)
    assert found.shape_error == 0 and found.trend_error > 0.03
    assert all((error > 0.05) == (name in pair) for pair, error in found.pairs.items())


def test_constant_columns_have_figures():
    table = pd.DataFrame({"a": [0.1] * 7, "b": [3] * 7, "c": ["x"] * 7, "d": np.arange(7.0)})
    assert compare(table, table).trend_error == 0
    found = compare(table, table.assign(a=np.arange(7.0), c="y"))
    assert found.pairs["a", "d"] == pytest.approx(0.5)  # the correlation 0 became 1
    assert found.pairs["a", "b"] == 0 and found.columns["c"] == 1
    assert np.isfinite(list(found.pairs.values())).all()


def test_values_beyond_reach_have_figures():
    table = pd.DataFrame(
        {"a": [-1.7e308, 1.7e308, np.inf, 0.0], "b": list("xyxy"), "c": [1.0, 2.0, 3.0, 4.0]}
    )
    found = compare(table, table)
    assert found.shape_error == found.trend_error == 0
    moved = compare(table, table.assign(a=[1.7e308, -1.7e308, np.inf, 0.0]))
    assert moved.columns["a"] == 0 and moved.pairs["a", "b"] == 0.5
    assert np.isfinite(moved.trend_error)


def test_means_and_the_worst():
    real = pd.DataFrame({"a": [1, 2, 3, 4], "b": list("xyxy"), "c": list("mmnn")})
    found = compare(real, real.assign(a=[2, 3, 4, 5], b="z"))
    assert found.columns == {"a": 0.25, "b": 1.0, "c": 0.0}
    assert found.shape_error == pytest.approx(1.25 / 3)
    assert found.worst_columns(2) == [("b", 1.0), ("a", 0.25)]
    assert found.trend_error == pytest.approx(sum(found.pairs.values()) / 3)
    assert [pair for pair, _ in found.worst_pairs()] == [("a", "b"), ("b", "c"), ("a", "c")]
    assert found.worst_pairs(1) == [(("a", "b"), 1.0)]
    assert compare(real[["a"]], real[["a"]]).trend_error is None


@pytest.mark.parametrize(
    ("real", "sampled", "expected", "said"),
    [
        ({"a": []}, {"a": [1]}, "E202", "real table"),
        ({"a": [1]}, {"a": []}, "E202", "sampled table"),
        ({"a": [1], "b": [1]}, {"a": [1], "c": [1]}, "E216", "lacks b and also has c"),
        ({"a": [1], "b": [1]}, {"a": [1]}, "E216", "lacks b;"),
        ({"a": [1, 2]}, {"a": ["1", "two"]}, "E215", "'two'"),
        ({"a": pd.to_datetime(["2020-01-01"])}, {"a": ["never"]}, "E215", "'never'"),
        ({"a": pd.to_datetime(["2020-01-01"])}, {"a": [True]}, "E215", "True"),
        ({"a": pd.to_datetime(["2020-01-01"])}, {"a": [3]}, "E216", "holds dates"),
        ({"a": [3]}, {"a": pd.to_datetime(["2020-01-01"])}, "E216", "dates in the sampled"),
    ],
)
def test_tables_that_do_not_go_together_are_refused(real, sampled, expected, said):
    with pytest.raises(DataError) as error:
        compare(pd.DataFrame(real), pd.DataFrame(sampled))
    assert code(error) == expected and said in str(error.value)


def test_a_bad_cell_is_named():
    with pytest.raises(DataError) as error:
        compare(pd.DataFrame({"a": [1.0]}), pd.DataFrame({"a": ["1", None, "x"]}))
    assert error.value.where == "sampled table, row 2, column a"


def test_a_name_that_comes_twice_is_refused():
    table = pd.DataFrame([[1, 2]], columns=["a", "a"])
    with pytest.raises(DataError) as error:
        compare(pd.DataFrame({"a": [1]}), table)
    assert code(error) == "E219" and "'a'" in str(error.value)


def test_importing_loads_no_pandas():
    line = "import sys; from vaekit.evaluation import tables; sys.exit('pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", line]).returncode == 0


@pytest.mark.skipif("VAEKIT_DATA" not in os.environ, reason="VAEKIT_DATA does not name a folder of data sets")
def test_adult_has_the_figures_that_sdmetrics_gives(rng):
    path = Path(os.environ["VAEKIT_DATA"], "adult", "adult.csv.gz")
    rows = pd.read_csv(path, skipinitialspace=True, keep_default_na=False).sample(frac=1, random_state=0)
    first, second = rows[:16_280], rows[16_280:32_560]
    alike = compare(second, first)
    assert 100 * alike.shape_error == pytest.approx(0.82, abs=0.1)
    assert 100 * alike.trend_error == pytest.approx(1.73, abs=0.1)
    apart = compare(first, first.apply(lambda column: rng.choice(column.to_numpy(), len(first))))
    assert 100 * apart.shape_error == pytest.approx(0.57, abs=0.1)
    assert 100 * apart.trend_error == pytest.approx(7.62, abs=0.3)
