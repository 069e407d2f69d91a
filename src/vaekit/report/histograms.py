"""Shares of two tables' rows in common bins or categories, column by column."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from vaekit.data.columns import Category, Column, Number
from vaekit.data.quantiles import on_grid
from vaekit.report.style import number

BINS, LEVELS = 24, 8  # of numbers; of categories, with all others as the last one
OUTER = 0.005  # share of the real values that may lie beyond the bins on either side
LABEL = 40  # characters kept of a category

Arrays = dict[str, np.ndarray]


def histogram(columns: Sequence[Column], real: Any, drawn: Any) -> Arrays:
    """Shares of the cells that are not empty.

    Args:
        columns: Which columns of the two tables.
        real: A DataFrame; it decides on bins and categories.
        drawn: Another one.

    Returns:
        column_number (k,), column_real and column_sampled (k, 24) with NaN beyond the last bin or category,
        column_edges (k, 25) of numbers, column_labels (k, 24) of categories, column_tick_at and column_tick (k, 3).
    """
    count = len(columns)
    arrays: Arrays = {
        "column_number": np.array([isinstance(column, Number) for column in columns]),
        "column_real": np.full((count, BINS), np.nan), "column_sampled": np.full((count, BINS), np.nan),
        "column_edges": np.full((count, BINS + 1), np.nan), "column_labels": np.full((count, BINS), "", "U40"),
        "column_tick_at": np.full((count, 3), np.nan), "column_tick": np.full((count, 3), "", "U20"),
    }  # fmt: skip
    for i, column in enumerate(columns):
        codes = [column.codes(frame[column.name]) for frame in (real, drawn)]
        both = [part[~np.isnan(part)] for part in codes]
        if isinstance(column, Number) and len(both[0]):
            _numbers(arrays, i, column, *both)
        elif isinstance(column, Category) and len(both[0]):
            _categories(arrays, i, column, *both)
    return arrays


def _numbers(arrays: Arrays, i: int, column: Number, real: np.ndarray, drawn: np.ndarray) -> None:
    edges = bins(real, column.grid)
    arrays["column_edges"][i, : len(edges)] = edges
    for name, part in (("real", real), ("sampled", drawn)):
        shares = np.histogram(part.clip(edges[0], edges[-1]), edges)[0] / max(1, len(part))
        arrays[f"column_{name}"][i, : len(shares)] = shares
    first, last = edges[0] + column.grid / 2, edges[-1] - column.grid / 2
    middle = (first + last) / 2
    at = np.array([first, on_grid(np.array([middle]), column.grid)[0], last])
    arrays["column_tick_at"][i] = at
    arrays["column_tick"][i] = [tick[:20] for tick in ticks(column, at)]


def bins(real: np.ndarray, grid: float) -> np.ndarray:
    """Edges of at most 24 bins of equal width over nearly all values; on a grid each holds as many of its points.

    Example:
        >>> bins(np.array([1.0, 2.0, 4.0]), 1.0)
        array([0.5, 1.5, 2.5, 3.5, 4.5])
    """
    low, high = np.quantile(real, [OUTER, 1 - OUTER], method="nearest")
    if low == high:
        low, high = real.min(), real.max()
    if grid > 0:
        width = grid * max(1, math.ceil(round((high - low) / grid + 1) / BINS))
        count = min(BINS, math.ceil(round((high - low) / grid + 1) * grid / width))
        return low - grid / 2 + width * np.arange(count + 1)
    room = 0.0 if high > low else max(1.0, abs(low)) / 2
    return np.linspace(low - room, high + room, BINS + 1)


def ticks(column: Number, at: np.ndarray) -> list[str]:
    """Values of a column as short text; dates without what does not matter over their range."""
    cells = column.cells(at)
    if column.word == "date":
        days = (cells.iloc[-1] - cells.iloc[0]).days
        return cells.dt.strftime("%Y-%m-%d" if days > 2 else "%m-%d %H:%M").tolist()
    if column.word == "time span":
        return [str(cell).removesuffix(" 00:00:00").removeprefix("0 days ") for cell in cells]
    return [number(float(cell), 3) for cell in cells]


def _categories(arrays: Arrays, i: int, column: Category, real: np.ndarray, drawn: np.ndarray) -> None:
    names = [str(value) for value in (*column.values, *column.rare)]
    shares = [np.bincount(part.astype(np.int64), minlength=len(names)) / max(1, len(part))
              for part in (real, drawn)]  # fmt: skip
    order = np.argsort(-shares[0], kind="stable")
    kept, rest = (order, order[:0]) if len(order) <= LEVELS else (order[: LEVELS - 1], order[LEVELS - 1 :])
    labels = [names[level][:LABEL] for level in kept] + [f"{len(rest)} others"] * bool(len(rest))
    arrays["column_labels"][i, : len(labels)] = labels
    for name, part in zip(("real", "sampled"), shares, strict=True):
        found = np.r_[part[kept], [part[rest].sum()] * bool(len(rest))]
        arrays[f"column_{name}"][i, : len(found)] = found
