"""How like a real table a sampled one is: each column on its own, and each pair of columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from vaekit.errors import DataError
from vaekit.evaluation.distances import correlations, kolmogorov_smirnov, total_variation

if TYPE_CHECKING:
    import pandas as pd

BINS = 10  # of a number beside a category, as sdmetrics has them
NUMBER, DATE, CATEGORY = "numbers", "dates", "categories"

Key = TypeVar("Key")


@dataclass(frozen=True)
class Comparison:
    """Errors of a sampled table, each in [0, 1] and 0 for the real table itself.

    Attributes:
        columns: Of the distribution of each column.
        pairs: Of how the two columns of each pair go together; the keys are in the order of the real table.
        nulls: The difference of the shares of missing cells.
    """

    columns: dict[str, float]
    pairs: dict[tuple[str, str], float]
    nulls: dict[str, float]

    @property
    def shape_error(self) -> float:
        """The mean over columns."""
        return float(np.mean(list(self.columns.values())))

    @property
    def trend_error(self) -> float | None:
        """The mean over pairs; None where there is one column."""
        return float(np.mean(list(self.pairs.values()))) if self.pairs else None

    def worst_columns(self, n: int = 10) -> list[tuple[str, float]]:
        """The n columns with the largest errors, the worst first."""
        return _worst(self.columns, n)

    def worst_pairs(self, n: int = 10) -> list[tuple[tuple[str, str], float]]:
        """The n pairs with the largest errors, the worst first."""
        return _worst(self.pairs, n)


def _worst(errors: Mapping[Key, float], n: int) -> list[tuple[Key, float]]:
    return sorted(errors.items(), key=lambda item: -item[1])[:n]


def compare(real: pd.DataFrame, sampled: pd.DataFrame) -> Comparison:
    """Compare two tables of the same columns.

    The real table decides what a column holds: a numeric dtype that is neither bool nor complex is numbers, a datetime
    dtype is dates, and all else (bool, text, category, objects) is categories.

    * A column of numbers or dates: the Kolmogorov–Smirnov distance. Of categories: the total variation distance.
      Missing cells are left out.
    * A pair of numbers or dates: half the difference of the Pearson correlations, over the rows where both are finite;
      a constant column has the correlation 0. A pair with a category: the total variation distance of the joint table,
      with numbers in 10 bins of equal width over the real range (the outer ones open) and missing cells as one more
      category.

    A column with cells in one table only has the error 1.

    Args:
        real: Any number of rows.
        sampled: Any number of rows; the columns may stand in another order.

    Returns:
        The errors, 1 − the scores of the source. They do not depend on the order of the rows.

    Raises:
        DataError: E202 a table is empty, E219 a column's name comes twice, E216 the columns differ, E215 a cell is no
            number or date where the real column holds them.

    Source: Column Shapes and Column Pair Trends of the SDMetrics quality report (KSComplement, TVComplement,
        CorrelationSimilarity, ContingencySimilarity), docs.sdv.dev/sdmetrics.

    Example:
        >>> import pandas as pd
        >>> real = pd.DataFrame({"age": [20, 30, 40, 50], "sex": ["f", "m", "f", "m"]})
        >>> found = compare(real, pd.DataFrame({"age": [20, 30, 40, 40], "sex": ["m", "m", "f", "m"]}))
        >>> found.columns, found.shape_error
        ({'age': 0.25, 'sex': 0.25}, 0.25)
        >>> found.worst_pairs(1)
        [(('age', 'sex'), 0.5)]
    """
    _check_tables(real, sampled)
    columns = [_column(real[name], sampled[name]) for name in real.columns]
    return Comparison(
        {column.name: column.error() for column in columns},
        _pairs(columns),
        {column.name: abs(_missing(column.real) - _missing(column.sampled)) for column in columns},
    )


def cells(first: pd.DataFrame, *others: pd.DataFrame) -> list[tuple[list[np.ndarray], bool]]:
    """The columns of several tables as numbers, and whether each holds numbers or dates; else they are places of
    categories that the tables share. The first table decides, as the real one in `compare`; NaN is an empty cell.

    Raises:
        DataError: As in `compare`.
    """
    import pandas as pd

    for other in others:
        _check_tables(first, other)
    rest = pd.concat([other[list(first.columns)].astype(object) for other in others], ignore_index=True)
    ends = np.cumsum([len(other) for other in others])[:-1]
    found = []
    for name in first.columns:
        same = all(other[name].dtype == first[name].dtype for other in others)
        column = _column(first[name], rest[name].astype(first[name].dtype) if same else rest[name])
        found.append(([column.real, *np.split(column.sampled, ends)], column.numeric))
    return found


def _check_tables(real: pd.DataFrame, sampled: pd.DataFrame) -> None:
    for name, table in (("real", real), ("sampled", sampled)):
        if 0 in table.shape:
            raise DataError("E202", f"there is nothing in the {name} table: its shape is {table.shape}.")
        if not table.columns.is_unique:
            twice = table.columns[table.columns.duplicated()][0]
            raise DataError("E219", f"the {name} table has several columns named {twice!r}.")
    lacks = [str(name) for name in real.columns if name not in sampled.columns]
    extra = [str(name) for name in sampled.columns if name not in real.columns]
    if lacks or extra:
        found = [f"lacks {', '.join(lacks)}"] * bool(lacks) + [f"also has {', '.join(extra)}"] * bool(extra)
        message = f"the sampled table {' and '.join(found)}; both tables need the same columns."
        raise DataError("E216", message)


@dataclass(frozen=True)
class _Column:
    """One column of both tables, as numbers with NaN for the missing.

    Attributes:
        numeric: Whether they are numbers or dates; else the places of categories that both tables share.
        real, sampled: (N,) and (M,) float64.
    """

    name: str
    numeric: bool
    real: np.ndarray
    sampled: np.ndarray

    def error(self) -> float:
        """The distance of the two distributions, missing cells left out."""
        real, sampled = self.real[~np.isnan(self.real)], self.sampled[~np.isnan(self.sampled)]
        if not len(real) or not len(sampled):
            return float(len(real) != len(sampled))
        if self.numeric:
            return kolmogorov_smirnov(real, sampled)
        return total_variation(real.astype(np.int64), sampled.astype(np.int64))

    def codes(self) -> tuple[np.ndarray, np.ndarray, int]:
        """The bin or category of each cell, missing cells last, and how many there are."""
        if self.numeric:
            edges = _edges(self.real)
            codes = [np.searchsorted(edges, values, side="right") for values in (self.real, self.sampled)]
            count = BINS
        else:
            codes = [np.nan_to_num(values).astype(np.int64) for values in (self.real, self.sampled)]
            count = int(max(part.max() for part in codes)) + 1
        real, sampled = (
            np.where(np.isnan(values), count, part).astype(np.int32)
            for values, part in zip((self.real, self.sampled), codes, strict=True)
        )
        return real, sampled, count + 1


def _column(real: pd.Series, sampled: pd.Series) -> _Column:
    form = _form(real)
    if form == CATEGORY:
        return _Column(real.name, False, *_categories(real, sampled))
    return _Column(real.name, True, _values(real, form, "real"), _values(sampled, form, "sampled"))


def _form(column: pd.Series) -> str:
    """What a column holds, by its dtype alone."""
    from pandas.api import types

    if types.is_datetime64_any_dtype(column.dtype):
        return DATE
    other = types.is_bool_dtype(column.dtype) or types.is_complex_dtype(column.dtype)
    return NUMBER if types.is_numeric_dtype(column.dtype) and not other else CATEGORY


def _values(column: pd.Series, form: str, table: str) -> np.ndarray:
    """Numbers, or microseconds of dates, (N,) float64 with NaN for the missing."""
    import pandas as pd

    found = _form(column)
    if {form, found} == {NUMBER, DATE}:
        message = f"column {column.name!r} holds {form} in the real table and {found} in the {table} one."
        raise DataError("E216", message)
    if form == NUMBER:
        read = pd.to_numeric(column, errors="coerce")
    else:
        read = pd.to_datetime(column, errors="coerce", utc=True, format="ISO8601")
    bad = np.flatnonzero(read.isna() & column.notna())
    if len(bad):
        cell, where = column.iloc[bad[0]], f"{table} table, row {bad[0]}, column {column.name}"
        raise DataError("E215", f"the real column holds {form}, and this cell is {cell!r}.", where=where)
    if form == NUMBER:
        return read.to_numpy(dtype=np.float64, na_value=np.nan)
    ticks = read.to_numpy(dtype="datetime64[us]")  # reaches further than the nanoseconds of pandas
    return np.where(np.isnat(ticks), np.nan, ticks.astype(np.int64).astype(np.float64))


def _categories(real: pd.Series, sampled: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """The place of each cell among the categories of both tables, NaN for the missing."""
    import pandas as pd

    cells = np.concatenate([column.astype(object).to_numpy() for column in (real, sampled)])
    places = pd.factorize(cells)[0].astype(np.float64)
    places[places < 0] = np.nan
    return places[: len(real)], places[len(real) :]


def _missing(values: np.ndarray) -> float:
    return float(np.isnan(values).mean())


def _edges(real: np.ndarray) -> np.ndarray:
    """The 9 inner edges of ten bins of equal width over the finite real values."""
    finite = real[np.isfinite(real)]
    low, high = (finite.min(), finite.max()) if len(finite) else (0.0, 0.0)
    return 2 * np.linspace(low / 2, high / 2, BINS + 1)[1:-1]  # halves: high − low may be beyond float64


def _pairs(columns: list[_Column]) -> dict[tuple[str, str], float]:
    numeric = [column for column in columns if column.numeric]
    correlated = _correlation_errors(numeric) if len(numeric) > 1 else {}
    mixed = len(numeric) < len(columns)
    codes = {column.name: column.codes() for column in columns} if mixed else {}
    found = {}
    for a, b in combinations(columns, 2):
        key = (a.name, b.name)
        found[key] = correlated[key] if key in correlated else _joint(codes[a.name], codes[b.name])
    return found


def _joint(a: tuple[np.ndarray, np.ndarray, int], b: tuple[np.ndarray, np.ndarray, int]) -> float:
    """The total variation distance of the joint tables of two columns' codes."""
    return total_variation(a[0].astype(np.int64) * b[2] + b[0], a[1].astype(np.int64) * b[2] + b[1])


def _correlation_errors(columns: list[_Column]) -> dict[tuple[str, str], float]:
    real, sampled = (
        correlations(np.column_stack([getattr(column, part) for column in columns]))
        for part in ("real", "sampled")
    )
    errors = np.abs(real - sampled) / 2
    return {
        (columns[i].name, columns[j].name): float(errors[i, j])
        for i, j in combinations(range(len(columns)), 2)
    }
