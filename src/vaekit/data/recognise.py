"""What each column of a table is, found out from its cells, with the reason in a sentence."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from vaekit.data.columns import LARGEST, Category, Column, Dropped, Number
from vaekit.data.conversions import as_numbers, ticks
from vaekit.data.loaded import TableSource
from vaekit.data.quantiles import fit_knots, grid_of
from vaekit.errors import DataError, UsageError, nearest

WORDS = ("number", "category", "drop")  # what a column can be told to be
MOST_LEVELS = 128  # a number with more different values is a continuum with, perhaps, a few point masses
POINT_MASS, MOST_SPECIAL = 0.05, 8  # share from which a value counts as one, and the most of them
FEWEST = 10  # cells that a point mass needs
MOST_CATEGORIES = 256  # the rarer ones share a level
IDENTIFIER = 0.5  # share of different values above which words tell rows apart instead of grouping them
LONG = 5  # words in a cell of free text
UNITS = (86_400_000_000_000, 3_600_000_000_000, 60_000_000_000, 1_000_000_000, 1_000_000, 1_000, 1)
SPOKEN = ("days", "hours", "minutes", "seconds", "milliseconds", "microseconds", "nanoseconds")


def recognise(source: TableSource, told: Mapping[str, str] | None = None) -> list[Column]:
    """The columns of a table.

    Args:
        source: The table.
        told: Column → one of `WORDS`, where the user knows better.

    Returns:
        A column for each of the frame's, in order.

    Raises:
        UsageError: E104 there is no such column, E103 no such type.
        DataError: E203 a number too large, E216 a column that was told to be numbers and is not.

    Example:
        >>> import pandas as pd
        >>> frame = pd.DataFrame({"n": [1.5, 2.5, 4.0], "s": ["a", "b", "a"]})
        >>> [column.word for column in recognise(TableSource(frame))]
        ['number', 'category']
    """
    told = dict(told or {})
    names = [str(name) for name in source.frame.columns]
    for name, word in told.items():
        if name not in names:
            raise UsageError("E104", f"there is no column {name!r}; {nearest(name, names)}")
        if word not in WORDS:
            raise UsageError("E103", f"column {name!r} cannot be {word!r}; {nearest(str(word), WORDS)}")
    columns = [_column(source.frame[name], told.get(name), source.path) for name in names]
    for column in columns:
        if isinstance(column, Number):
            column.form = source.formats.get(column.name, "")
    return columns


def _column(series: Any, told: str | None, where: str) -> Column:
    from pandas.api import types

    holes = float(series.isna().mean())
    name, dtype = str(series.name), str(series.dtype)
    if told == "drop":
        return Dropped(name, dtype, holes, "that was asked for", "dropped")
    if holes == 1:
        return Dropped(name, dtype, holes, "every cell is empty", "empty")
    dates = types.is_datetime64_any_dtype(series) or types.is_timedelta64_dtype(series)
    numeric = types.is_numeric_dtype(series) and not types.is_bool_dtype(series)
    numeric = numeric and not isinstance(series.dtype, types.CategoricalDtype)
    if told == "number" or (told is None and (dates or numeric)):
        return _number(series, holes, told, where)
    return _category(series, holes, told, where)


# ---------------------------------------------------------------------- numbers


def _number(series: Any, holes: float, told: str | None, where: str) -> Column:
    from pandas.api import types

    name, dtype = str(series.name), str(series.dtype)
    dates = types.is_datetime64_any_dtype(series) or types.is_timedelta64_dtype(series)
    unit = _unit(series) if dates else 0
    spans = dates and not types.is_datetime64_any_dtype(series)
    cells = as_numbers(series, unit, where, spans)
    values = cells[~np.isnan(cells)]
    if told == "number" and not dates and not types.is_numeric_dtype(series):
        dtype = "float64"
    if not np.isfinite(values).all() or np.abs(values).max() > LARGEST:
        row = int(np.flatnonzero(np.abs(cells) > LARGEST)[0])
        message = f"column {name!r}, row {row}: {series.iloc[row]}; values up to {LARGEST:.0e} can be used."
        raise DataError("E203", message, where=where, hint="mend the cell, or empty it")
    levels, counts = np.unique(values, return_counts=True)
    if told is None and _is_identifier(name, series, levels, len(values), dates):
        return Dropped(name, dtype, holes, "every row has another whole number: it names rows", "identifier")
    bits = np.finfo(dtype).nmant + 1 if dtype in ("float16", "float32") else 53
    grid = 1.0 if unit else grid_of(levels, bits=bits)
    special = _special(levels, counts)
    share = counts[np.isin(levels, special)] / len(values)
    rest = values[~np.isin(values, special)]
    knots, scores = fit_knots(rest if len(np.unique(rest)) > 1 else levels, grid)
    shares = [*share.tolist(), max(0.0, 1 - float(share.sum()))]
    why = _said(told, unit, grid, len(levels), special, share)
    return Number(
        name, dtype, holes, why, knots.tolist(), scores.tolist(), grid, special.tolist(), shares,
        float(levels[0]), float(levels[-1]), unit,
    )  # fmt: skip


def _special(levels: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Values with a point mass: all of few levels that come often, else those that are a large share."""
    total, different = int(counts.sum()), len(levels)
    if different == 1:
        return levels[:0]
    if different <= MOST_LEVELS and total >= max(FEWEST * different, different**2):
        return levels
    frequent = np.flatnonzero((counts >= POINT_MASS * total) & (counts >= FEWEST))
    frequent = frequent[np.argsort(-counts[frequent], kind="stable")[:MOST_SPECIAL]]
    return np.sort(levels[frequent])


def _is_identifier(name: str, series: Any, levels: np.ndarray, count: int, dates: bool) -> bool:
    if dates or count < 20 or len(levels) < count or not bool((np.rint(levels) == levels).all()):
        return False
    named = re.search(r"(^|[^a-z])(id|ids|uuid|guid|key|index|row|rowid)([^a-z]|$)", name.lower())
    running = bool((np.diff(levels) == 1).all()) and bool(np.array_equal(np.sort(levels), levels))
    in_order = series.is_monotonic_increasing or series.is_monotonic_decreasing
    return bool(named) or (running and bool(in_order) and not str(series.dtype).startswith("float"))


def _unit(series: Any) -> int:
    """The coarsest unit of time of which all cells are multiples, in nanoseconds."""
    steps, size = ticks(series.dropna())
    return next(unit for unit in UNITS if unit <= size or not (steps % (unit // size)).any())


def _said(
    told: str | None, unit: int, grid: float, different: int, special: np.ndarray, share: np.ndarray
) -> str:
    form = f"in whole {SPOKEN[UNITS.index(unit)]}" if unit else "whole numbers" if grid >= 1 else "numbers"
    form += f" in steps of {grid:g}" if grid not in (0, 1) else ""
    said = f"{form}, because that was asked for" if told else form
    if not len(special):
        return f"{said}, {different} different ones" if different > 1 else f"{said}, the same in every row"
    if len(special) == different:
        return f"{said}, {different} levels, each with a probability of its own"
    top = int(share.argmax())
    value = (
        f"{share[top]:.0%} are {special[top]:g}" if not unit else f"{len(special)} of them are very frequent"
    )
    return f"{said}, {different} different ones; {value}: such values have a probability of their own"


# ---------------------------------------------------------------------- categories


def _category(series: Any, holes: float, told: str | None, where: str) -> Column:
    from pandas.api import types

    name, dtype = str(series.name), str(series.dtype)
    known = isinstance(series.dtype, types.CategoricalDtype)
    counts = series.value_counts(sort=False, dropna=True)
    pairs = [
        (_plain(value, name, where), int(count)) for value, count in counts.items() if count > 0 or known
    ]
    if not known:
        pairs.sort(key=lambda pair: (str(type(pair[0])), pair[0]))
    total, different = sum(count for _, count in pairs), len(pairs)
    if told is None and not known and total >= 20 and different > IDENTIFIER * total:
        words = float(series.dropna().astype(str).str.split().str.len().mean())
        if words >= LONG:
            return Dropped(name, dtype, holes, f"free text, {words:.0f} words in a cell", "free text")
        why = f"{different} different values in {total} cells: it names rows"
        return Dropped(name, dtype, holes, why, "identifier")
    common, rare = _told_apart(pairs)
    ordered = bool(known and series.cat.ordered)
    why = (
        "that was asked for"
        if told
        else f"{different} different {'truth values' if dtype == 'bool' else 'values'}"
    )
    why += f"; the {len(rare)} rarest share one level" if rare else ""
    return Category(
        name, dtype, holes, why, [v for v, _ in common], [c / total for _, c in common], ordered,
        [v for v, _ in rare], [c / total for _, c in rare],
    )  # fmt: skip


def _told_apart(pairs: list[tuple[Any, int]]) -> tuple[list[tuple[Any, int]], list[tuple[Any, int]]]:
    """Categories that have a level each, in their order, and those that share one because there are too many."""
    if len(pairs) <= MOST_CATEGORIES:
        return pairs, []
    frequent = sorted(range(len(pairs)), key=lambda i: -pairs[i][1])[: MOST_CATEGORIES - 1]
    kept = set(frequent)
    common = [pair for i, pair in enumerate(pairs) if i in kept]
    return common, [pair for i, pair in enumerate(pairs) if i not in kept and pair[1] > 0]


def _plain(value: Any, name: str, where: str) -> Any:
    """A category as JSON can hold it."""
    value = value.item() if isinstance(value, np.generic) else value
    if not isinstance(value, str | bool | int | float):
        message = f"column {name!r} holds values of type {type(value).__name__}; words, truths or numbers are expected."
        raise DataError("E215", message, where=where, hint="turn them into text first")
    return value
