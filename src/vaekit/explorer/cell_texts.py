"""The cells of a row as texts, and what another program must know to make them of the model's values and back.

A number is straight between knots, and goes on beyond the first and the last as the piece beside them does:

    value = on grid (values(x[at]) + from), kept within low and high;  one of `special` where x[head] says so
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from vaekit.data import Counts, Kind, Table, Vectors
from vaekit.data.classes import Classes
from vaekit.data.columns import Category, Column, Dropped, Number, spoken

DIGITS = 6  # of numbers of a continuum
DAY, SECOND = 86_400_000_000_000, 1_000_000_000  # nanoseconds
SPANS = {
    DAY: "days", 3_600 * SECOND: "hours", 60 * SECOND: "minutes", SECOND: "seconds", 1_000_000: "milliseconds",
    1_000: "microseconds", 1: "nanoseconds",
}  # fmt: skip


def columns(kind: Kind) -> list[str]:
    """Names of the cells of an item."""
    return (
        [column.name for column in kind.shown]
        if isinstance(kind, Table)
        else [f"x{i}" for i in range(kind.shape[0])]
    )


def described(kind: Kind, given: Sequence[Sequence[str]] = ()) -> list[dict[str, Any]]:
    """The cells of an item, for another program: where each stands in x, and how it becomes a text.

    Args:
        kind: A table, vectors, counts or classes.
        given: Texts of the given columns of a table, a row for each label and one for none, in the order of `columns`.
    """
    if isinstance(kind, Table):
        return [_column(kind, column, i, given) for i, column in enumerate(kind.shown)]
    if isinstance(kind, Classes):
        return [{"name": "x0", "kind": "category", "at": 0, "names": [str(i) for i in range(kind.levels)]}]
    names = columns(kind)
    if isinstance(kind, Counts):
        return [_number(name, i, [0.0, 1.0], [0.0, 1.0], grid=1.0, low=0.0) for i, name in enumerate(names)]
    mean = (isinstance(kind, Vectors) and kind.mean) or [0.0] * len(names)
    scale = (isinstance(kind, Vectors) and kind.scale) or [1.0] * len(names)
    return [_number(name, i, [0.0, 1.0], [0.0, scale[i]], begin=mean[i]) for i, name in enumerate(names)]


def _number(
    name: str, at: int | None, knots: Sequence[float], values: Sequence[float], begin: float = 0.0, grid: float = 0.0,
    low: float | None = None, high: float | None = None,
) -> dict[str, Any]:  # fmt: skip
    return {
        "name": name, "kind": "number", "at": at, "knots": list(knots), "values": list(values), "from": begin,
        "grid": grid, "decimals": decimals(grid), "low": low, "high": high,
    }  # fmt: skip


def _column(kind: Table, column: Column, index: int, given: Sequence[Sequence[str]]) -> dict[str, Any]:
    if column.name in kind.given:
        *each, none = [row[index] for row in given]
        return {"name": column.name, "kind": "given", "texts": each, "none": none}
    if isinstance(column, Dropped):
        return {"name": column.name, "kind": "empty"}
    place = kind.places(column)
    holes = {} if place.bit is None else {"bit": place.bit}
    if isinstance(column, Number):
        return {**_of_number(column, place.score, place.head), **holes}
    if not isinstance(column, Category):
        raise TypeError(f"a column is a number, a category or left out, not {type(column).__name__}")
    names = [spoken(value) for value in column.values]
    rare = [spoken(column.rare[i]) for i in np.argsort(-np.asarray(column.rare_shares), kind="stable")]
    found = {"name": column.name, "kind": "category", "at": place.head, "names": names + rare[:1], **holes}
    return {**found, "rare": rare} if rare else found


def _of_number(column: Number, at: int | None, head: int | None) -> dict[str, Any]:
    knots, scores = column.nodes
    found = _number(
        column.name, at, scores.tolist(), knots.tolist(), column.low, column.grid, column.low, column.high
    )
    if head is not None:
        found |= {"head": head, "special": list(column.special)}
    if column.unit and column.word == "date":
        found["date"] = {"unit": column.unit, "form": date_form(column)}
    elif column.unit:
        found["span"] = {"unit": column.unit, "word": SPANS.get(column.unit, "nanoseconds")}
    return found


def decimals(grid: float) -> int | None:
    """Digits after the point of numbers on a grid; None for a continuum.

    Example:
        >>> decimals(0.01), decimals(10.0), decimals(0.0)
        (2, 0, None)
    """
    return max(0, round(-math.log10(grid))) if grid else None


def date_form(column: Number) -> str:
    """How dates of a column are written, as `strftime` says it."""
    if column.form:
        return column.form
    if column.unit % DAY == 0:
        return "%Y-%m-%d"
    return "%Y-%m-%d %H:%M:%S" if column.unit % SECOND == 0 else "%Y-%m-%d %H:%M:%S.%f"


def texts(column: Column, codes: np.ndarray) -> list[str]:
    """A column's codes (N,) as texts of cells, empty where there is none."""
    if isinstance(column, Category):
        everything = [spoken(value) for value in (*column.values, *column.rare)]
        return ["" if np.isnan(code) else everything[int(code)] for code in codes]
    if not isinstance(column, Number):
        return [""] * len(codes)
    if column.unit and column.word == "date":
        return _dates(column, codes)
    digits = decimals(column.grid)
    after = f" {SPANS.get(column.unit, 'nanoseconds')}" if column.unit else ""
    return [text and text + after for text in (number(float(code), digits) for code in codes)]


def _dates(column: Number, codes: np.ndarray) -> list[str]:
    import pandas as pd

    series = column.cells(codes)
    plain = series.dt.tz_convert("UTC").dt.tz_localize(None) if getattr(series.dt, "tz", None) else series
    plain = plain.astype(getattr(plain.dtype, "numpy_dtype", plain.dtype))
    return ["" if pd.isna(one) else str(one) for one in plain.dt.strftime(date_form(column))]


def number(value: float, digits: int | None = None) -> str:
    """A number as a text: so many digits after the point, or six in all.

    Example:
        >>> number(0.1 + 0.2), number(3.0, 0), number(2.5, 2), number(float("nan"))
        ('0.3', '3', '2.50', '')
    """
    if not math.isfinite(value):
        return ""
    text = f"{value:.{DIGITS}g}" if digits is None else f"{value:.{digits}f}"
    return text.removeprefix("-") if not text.strip("-0.") else text
