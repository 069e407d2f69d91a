"""The columns of a table: how each one's cells become parts of a row that the model sees, and cells again.

A number may have point masses: values so frequent that no density would do (a column that is 92 % zero, an integer with
few levels). It then has two parts: a category, which of those values or another one, and a score, which counts only
where the value is another one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from vaekit.data.checks import listed
from vaekit.data.conversions import as_numbers, from_numbers
from vaekit.data.quantiles import backward, forward, on_grid, slope
from vaekit.errors import DataError, nearest
from vaekit.recipes import configurable

ROUNDED = 2.0**-22  # of a float32, what a sum of two may be off by, and as much again
LARGEST = 1e100  # beyond it squares are no longer finite


class Column(ABC):
    """One column of a table.

    Attributes:
        name: Its name.
        dtype: Its type in pandas, as text.
        holes: Share of its cells that were empty in training.
        why: The reason for its type, for the data card.
        word: What users call the type.
        levels: Categories of its head; fewer than 2 need none.
        scored: Whether it has a score as well.
    """

    name: str
    dtype: str
    holes: float
    why: str
    word: str
    levels: int
    scored: bool

    @abstractmethod
    def codes(self, series: Any, where: object = "") -> np.ndarray:
        """Cells of a pandas Series as numbers, (N,) float64 with NaN in the holes.

        Raises:
            DataError: E216 cells of another type, E217 a category that training had not, E203 a number too large.
        """

    @abstractmethod
    def cells(self, codes: np.ndarray) -> Any:
        """Numbers (N,) with NaN in the holes as a pandas Series of the training column's type."""

    @abstractmethod
    def level(self, codes: np.ndarray) -> np.ndarray:
        """Which category each code is, (N,); 0 in the holes."""

    @abstractmethod
    def restored(self, level: np.ndarray, score: np.ndarray) -> np.ndarray:
        """Codes from drawn categories and scores, (N,)."""

    @abstractmethod
    def frequencies(self) -> np.ndarray:
        """How often each level came in training, (levels,)."""

    def _series(self, values: Any) -> Any:
        import pandas as pd

        return pd.Series(values, name=self.name)


@configurable
class Number(Column):
    """Numbers, dates and time spans.

    Args:
        name, dtype, holes, why: As in `Column`.
        knots, scores: Of the map from values to normal scores (`quantiles`).
        grid: Step of the values, 0 for a continuum; new values are rounded to it.
        special: Values with a point mass of their own, in ascending order.
        shares: Share of each of them, and of all other values, among the cells that are not empty.
        low, high: Range of the training values; new values are kept within it.
        unit: Nanoseconds of a step where the cells are dates or time spans, else 0.
        form: How dates are written, as `strftime` says it; empty for ISO 8601.

    Attributes:
        nodes: The map as it is computed with: how far each knot is above `low`, and the scores.

    Example:
        >>> column = Number("x", "int64", 0.0, "", [0.5, 9.5], [-2.0, 2.0], 1.0, [0.0], [0.9, 0.1], 0.0, 9.0)
        >>> column.level(np.array([0.0, 4.0])), column.restored(np.array([0, 1]), np.array([0.0, 0.0]))
        (array([0, 1]), array([0., 5.]))
    """

    def __init__(
        self,
        name: str,
        dtype: str,
        holes: float,
        why: str,
        knots: Sequence[float],
        scores: Sequence[float],
        grid: float,
        special: Sequence[float],
        shares: Sequence[float],
        low: float,
        high: float,
        unit: int = 0,
        form: str = "",
    ) -> None:
        if len(knots) != len(scores) or len(knots) < 2 or len(shares) != len(special) + 1:
            raise ValueError(
                f"column {name}: the map needs two knots or more, and each special value a share"
            )
        if not (np.all(np.diff(knots) > 0) and np.all(np.diff(scores) > 0)):
            raise ValueError(f"column {name}: knots and scores must rise")
        self.name, self.dtype, self.holes, self.why = name, dtype, holes, why
        self.knots, self.scores, self.grid = list(knots), list(scores), grid
        self.special, self.shares = list(special), list(shares)
        self.low, self.high, self.unit, self.form = low, high, unit, form
        # from `low` on: microseconds since 1970 leave float64 no digits to divide a step with
        self.nodes = np.asarray(knots, dtype=np.float64) - low, np.asarray(scores, dtype=np.float64)
        self._special = np.asarray(special, dtype=np.float64)

    @property
    def word(self) -> str:  # type: ignore[override]
        if self.unit:
            return "time span" if self.dtype.startswith(("timedelta", "duration")) else "date"
        return "integer" if self.grid >= 1 else "number"

    @property
    def levels(self) -> int:  # type: ignore[override]
        return len(self.special) + 1

    @property
    def scored(self) -> bool:  # type: ignore[override]
        return self.low < self.high

    def codes(self, series: Any, where: object = "") -> np.ndarray:
        values = as_numbers(series, self.unit, where, spans=self.word == "time span")
        too_large = np.flatnonzero(np.abs(values) > LARGEST)
        if len(too_large):
            row = int(too_large[0])
            message = (
                f"column {self.name!r}, row {row}: {values[row]:.3g}; values up to {LARGEST:.0e} can be used."
            )
            raise DataError("E203", message, where=where, hint="mend the cell, or empty it")
        return values

    def cells(self, codes: np.ndarray) -> Any:
        return from_numbers(codes, self.dtype, self.unit, self.name)

    def level(self, codes: np.ndarray) -> np.ndarray:
        if not len(self._special):
            return np.zeros(len(codes), dtype=np.int64)
        place = np.searchsorted(self._special, codes).clip(0, len(self._special) - 1)
        found = np.where(self._special[place] == codes, place, len(self._special))
        return np.where(np.isnan(codes), 0, found)

    def score(self, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where each value's cell begins and how wide it is, as scores; a continuum's cells have no width.

        A cell is drawn in by what float32 may round, so that no place in it becomes one of its neighbour's.
        """
        known = np.where(np.isnan(codes), self.low, codes)
        start = self.middle(known - self.grid / 2)
        end = self.middle(known + self.grid / 2)
        inset = np.minimum(ROUNDED * np.maximum(np.abs(start), np.abs(end)), (end - start) / 2)
        return start + inset, end - start - 2 * inset

    def middle(self, codes: np.ndarray) -> np.ndarray:
        """The score of each value itself, (N,)."""
        return forward(codes - self.low, *self.nodes)

    def slope(self, score: np.ndarray) -> np.ndarray:
        """d score / d value, (N,)."""
        return slope(score, *self.nodes)

    def restored(self, level: np.ndarray, score: np.ndarray) -> np.ndarray:
        steps = on_grid(backward(score, *self.nodes), self.grid)
        values = on_grid(steps + self.low, self.grid).clip(self.low, self.high)
        if not len(self._special):
            return values
        return np.where(
            level < len(self._special), self._special[level.clip(0, len(self._special) - 1)], values
        )

    def frequencies(self) -> np.ndarray:
        return np.asarray(self.shares)


@configurable
class Category(Column):
    """One of some values without distances: words, truths, classes.

    Args:
        name, dtype, holes, why: As in `Column`.
        values: The categories.
        shares: How often each came, among the cells that are not empty.
        ordered: Whether pandas knew an order of them.
        rare: Categories too many to be told apart; they share the last level, and one is drawn by its frequency.
        rare_shares: How often each of those came.

    Example:
        >>> import pandas as pd
        >>> column = Category("sex", "str", 0.0, "", ["F", "M"], [0.4, 0.6])
        >>> column.codes(pd.Series(["M", None]))
        array([ 1., nan])
    """

    scored = False

    def __init__(
        self,
        name: str,
        dtype: str,
        holes: float,
        why: str,
        values: Sequence[Any],
        shares: Sequence[float],
        ordered: bool = False,
        rare: Sequence[Any] = (),
        rare_shares: Sequence[float] = (),
    ) -> None:
        if len(values) != len(shares) or len(rare) != len(rare_shares):
            raise ValueError(f"column {name}: each category needs a share")
        self.name, self.dtype, self.holes, self.why = name, dtype, holes, why
        self.values, self.shares, self.ordered = list(values), list(shares), ordered
        self.rare, self.rare_shares = list(rare), list(rare_shares)
        self._place = {value: i for i, value in enumerate([*self.values, *self.rare])}
        self._spoken = {spoken(value): i for value, i in self._place.items()}

    @property
    def word(self) -> str:  # type: ignore[override]
        if len(self._place) <= 1:
            return "constant"
        if all(isinstance(value, bool) for value in self.values):
            return "boolean"
        return "ordinal" if self.ordered else "category"

    @property
    def levels(self) -> int:  # type: ignore[override]
        return len(self.values) + (len(self.rare) > 0)

    def codes(self, series: Any, where: object = "") -> np.ndarray:
        import pandas as pd

        index, found = pd.factorize(series, use_na_sentinel=True)
        table = np.array([self._code(value) for value in found] + [np.nan])
        codes = table[index]
        if (table == -1).any():
            self._refuse_unknown(codes, series, where)
        return codes

    def _code(self, value: Any) -> int:
        if isinstance(value, np.generic):
            value = value.item()
        try:
            return self._place[value] if value in self._place else self._spoken.get(spoken(value), -1)
        except TypeError:  # a list, or another thing that cannot be looked up
            return -1

    def _refuse_unknown(self, codes: np.ndarray, series: Any, where: object) -> None:
        rows = np.flatnonzero(codes == -1)
        value = str(series.iloc[int(rows[0])])[:40]
        known = listed([str(v) for v in self.values], 5)
        message = f"column {self.name!r}, row {rows[0]}: {value!r} is none of its categories ({known})."
        message += f" {len(rows)} rows have such a value." if len(rows) > 1 else ""
        close = nearest(value, [str(v) for v in self.values])
        hint = close if close.startswith("did") else "mend the cell, empty it, or train again with it"
        raise DataError("E217", message, where=where, hint=hint)

    def cells(self, codes: np.ndarray) -> Any:
        import pandas as pd

        holes = np.isnan(codes)
        index = np.where(holes, -1, codes).astype(np.int64)
        everything = [*self.values, *self.rare]
        if self.dtype == "category":
            made = pd.Categorical.from_codes(index, categories=everything, ordered=self.ordered)
            return self._series(made)
        objects = np.empty(len(everything) + 1, dtype=object)  # the last answers to −1
        objects[: len(everything)] = everything
        picked = objects[index]
        if self.dtype == "bool" and not holes.any():
            return self._series(picked.astype(bool))
        series = self._series(pd.Series(picked, dtype=object))
        return series if self.dtype in ("object", "bool") else series.astype(self.dtype)

    def level(self, codes: np.ndarray) -> np.ndarray:
        return np.where(np.isnan(codes), 0, np.minimum(codes, self.levels - 1)).astype(np.int64)

    def restored(self, level: np.ndarray, score: np.ndarray) -> np.ndarray:
        """A rare category is chosen by `score`, here a number in [0, 1) for each row."""
        codes = level.astype(np.float64)
        if self.rare:
            edges = np.cumsum(self.rare_shares) / sum(self.rare_shares)
            chosen = np.searchsorted(edges, score, side="right").clip(0, len(self.rare) - 1)
            codes = np.where(level == len(self.values), len(self.values) + chosen, codes)
        return codes

    def frequencies(self) -> np.ndarray:
        return np.asarray([*self.shares, *([sum(self.rare_shares)] if self.rare else [])])


@configurable
class Dropped(Column):
    """A column that is not modelled: identifiers, free text.

    Args:
        name, dtype, holes, why: As in `Column`.
        word: What it is.
    """

    levels, scored = 0, False

    def __init__(self, name: str, dtype: str, holes: float, why: str, word: str) -> None:
        self.name, self.dtype, self.holes, self.why, self.word = name, dtype, holes, why, word

    def codes(self, series: Any, where: object = "") -> np.ndarray:
        return np.full(len(series), np.nan)

    def cells(self, codes: np.ndarray) -> Any:
        return self._series(np.full(len(codes), None, dtype=object)).astype(self.dtype)

    def level(self, codes: np.ndarray) -> np.ndarray:
        return np.zeros(len(codes), dtype=np.int64)

    def restored(self, level: np.ndarray, score: np.ndarray) -> np.ndarray:
        return np.full(len(level), np.nan)

    def frequencies(self) -> np.ndarray:
        return np.zeros(0)


def spoken(value: Any) -> str:
    """A category as text: 3.0 and 3 are the same."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
