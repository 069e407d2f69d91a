"""Given columns of a table: what a conditional model is told in place of modelling it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vaekit.data.checks import listed
from vaekit.data.columns import Category, Column, Number
from vaekit.distributions import Noise
from vaekit.errors import DataError, UsageError, nearest

MOST = 1_000  # combinations that are remembered
TRUTHS = {
    "true": True,
    "yes": True,
    "1": True,
    "1.0": True,
    "false": False,
    "no": False,
    "0": False,
    "0.0": False,
}


class Given:
    """The given columns, their cells as a condition, and which of them came together.

    Args:
        columns: The columns; may be none.
        combinations: Codes of each combination, None for a hole; where they are too many, none is kept and columns are
            drawn independently.
        shares: How often each came.
    """

    def __init__(
        self,
        columns: Sequence[Column],
        combinations: Sequence[Sequence[float | None]],
        shares: Sequence[float],
    ) -> None:
        self.columns = list(columns)
        filled = [[np.nan if code is None else code for code in row] for row in combinations]
        self.combinations = np.array(filled, dtype=np.float64).reshape(len(filled), len(self.columns))
        self.shares = np.asarray(shares, dtype=np.float64)

    @property
    def width(self) -> int:
        """Numbers of the condition: a one-hot vector for levels, one more for a score."""
        return sum(_width(column) for column in self.columns)

    def features(self, codes: Mapping[str, np.ndarray], count: int) -> np.ndarray:
        """Codes by column as the condition, (N, A) float32; zeros where a cell is missing."""
        parts = [_features(column, codes[column.name]) for column in self.columns]
        return np.concatenate(parts, 1) if parts else np.zeros((count, 0), dtype=np.float32)

    def codes(self, c: Tensor | None, count: int) -> dict[str, np.ndarray]:
        """The condition (N, A) as codes by column: the inverse of `features`."""
        if not self.columns:
            return {}
        if c is None:
            return {
                col.name: np.full(count, code) for col, code in zip(self.columns, self._usual(), strict=True)
            }
        parts = c.double().split([_width(column) for column in self.columns], 1)
        return {col.name: _codes(col, part.numpy()) for col, part in zip(self.columns, parts, strict=True)}

    def _usual(self) -> list[float]:
        """The combination that came most often."""
        if len(self.combinations):
            return self.combinations[int(self.shares.argmax())].tolist()
        return [
            float(col.restored(np.array([col.frequencies().argmax()]), np.zeros(1))[0])
            for col in self.columns
        ]

    def drawn(self, n: int, where: Mapping[str, Any], noise: Noise) -> Tensor:
        """n conditions: what `where` says, the rest as it came with that in training.

        Raises:
            UsageError: E103, a value is impossible in its column.
        """
        told = {col.name: told_code(col, where[col.name]) for col in self.columns if col.name in where}
        fitting = np.ones(len(self.combinations), dtype=bool)
        for i, column in enumerate(self.columns):
            if column.name in told:
                fitting &= _same(self.combinations[:, i], told[column.name])
        if fitting.any():
            rows = self.combinations[fitting]
            chosen = noise.choice(self.shares[fitting].tolist(), n).numpy()
            codes = {column.name: rows[chosen, i] for i, column in enumerate(self.columns)}
        else:  # never seen together, or too many combinations to remember: independently
            codes = {column.name: _alone(column, n, noise) for column in self.columns}
        codes |= {name: np.full(n, code) for name, code in told.items()}
        return torch.from_numpy(self.features(codes, n))


def _same(codes: np.ndarray, code: float) -> np.ndarray:
    return np.isnan(codes) if np.isnan(code) else codes == code


def combinations(codes: Sequence[np.ndarray]) -> tuple[list[list[float | None]], list[float]]:
    """The combinations of codes (N,) of some columns and how often each came; none where there are too many.

    Example:
        >>> combinations([np.array([0.0, 1.0, 1.0, np.nan])])
        ([[0.0], [1.0], [None]], [0.25, 0.5, 0.25])
    """
    if not codes:
        return [], []
    rows, counts = np.unique(np.stack(codes, 1), axis=0, return_counts=True, equal_nan=True)
    rows, counts = _merged(rows, counts)
    if len(rows) > MOST:
        return [], []
    listed = [[None if np.isnan(code) else float(code) for code in row] for row in rows]
    return listed, (counts / counts.sum()).tolist()


def _merged(rows: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows that are the same but for NaN, which numpy takes for different in several columns."""
    seen: dict[tuple[Any, ...], int] = {}
    for row, count in zip(rows, counts, strict=True):
        key = tuple(None if np.isnan(code) else float(code) for code in row)
        seen[key] = seen.get(key, 0) + int(count)
        if len(seen) > MOST:
            break
    filled = [[np.nan if code is None else code for code in key] for key in seen]
    return np.array(filled, dtype=np.float64), np.array(list(seen.values()))


def _heads(column: Column) -> int:
    """Width of the one-hot vector of levels; a single level has one only where holes must be told from it."""
    return column.levels if column.levels > 1 or column.holes > 0 else 0


def _width(column: Column) -> int:
    return _heads(column) + _placed(column)


def _placed(column: Column) -> bool:
    """Whether a number stands beside the levels: a score, or which of the rare categories it is."""
    return column.scored or (isinstance(column, Category) and bool(column.rare))


def _features(column: Column, codes: np.ndarray) -> np.ndarray:
    known = ~np.isnan(codes)
    parts = [np.zeros((len(codes), 0))]
    if _heads(column):
        parts.append(np.eye(column.levels)[column.level(codes)] * known[:, None])
    if _placed(column):
        parts.append(np.where(known, _place(column, codes), 0.0)[:, None])
    return np.concatenate(parts, 1).astype(np.float32)


def _place(column: Column, codes: np.ndarray) -> np.ndarray:
    """A number's score, or the middle of a rare category's part of [0, 1]: by it `restored` knows the code again."""
    if isinstance(column, Number):
        return column.middle(codes).clip(-10, 10)
    if not isinstance(column, Category):
        return np.zeros(len(codes))
    shares = np.asarray(column.rare_shares) / sum(column.rare_shares)
    middles = np.concatenate([[0.0], np.cumsum(shares) - shares / 2])
    return middles[np.nan_to_num(codes - len(column.values) + 1).clip(0).astype(np.int64)]


def _codes(column: Column, part: np.ndarray) -> np.ndarray:
    heads = part[:, : _heads(column)] if _heads(column) else np.ones((len(part), 1))
    place = part[:, -1] if _placed(column) else np.zeros(len(part))
    codes = column.restored(heads.argmax(1), place)
    return np.where(heads.sum(1) < 0.5, np.nan, codes)


def told_code(column: Column, value: Any, within: bool = True, said: str = "") -> float:
    """A value that a user wrote as the column's code, NaN for an empty cell.

    Args:
        column: The column.
        value: As in a cell, or as text; truth values also as yes and no, 1 and 0.
        within: Whether a number must be in the range of training.
        said: What the user wrote, for the error.

    Raises:
        UsageError: E103, the value is impossible in its column.
    """
    import pandas as pd

    said = said or f"{column.name} = {value}"
    value = TRUTHS.get(str(value).strip().lower(), value) if column.word == "boolean" else value
    try:
        code = float(column.codes(pd.Series([value], name=column.name, dtype=object))[0])
    except DataError:
        raise _impossible(column, value, said) from None
    if np.isnan(code) and not column.holes:
        raise UsageError("E103", f"{said}: {column.name} was never empty in training.")
    if within and isinstance(column, Number) and (code < column.low or code > column.high):
        raise UsageError("E103", f"{said}: training had {span(column)}.", hint=f"a value from {span(column)}")
    return code


def span(column: Number) -> str:
    """The least and the largest value of training, in words.

    Example:
        >>> span(Number("age", "int64", 0.0, "", [0, 9], [-1, 1], 1.0, [], [1.0], low=0, high=9))
        '0 to 9'
    """
    low, high = column.cells(np.array([column.low, column.high])).tolist()
    return f"{low} to {high}"


def _impossible(column: Column, value: Any, said: str) -> UsageError:
    """E103: what the column may hold in place of a value that it cannot."""
    if isinstance(column, Number):
        kind = "numbers" if column.word in ("integer", "number") else f"{column.word}s"
        message = f"{said}: {kind} are expected, not {value!r}."
        return UsageError("E103", message, hint=f"a value from {span(column)}")
    known = [str(one) for one in getattr(column, "values", ())]
    message = f"{said}: {value!r} is none of its categories ({listed(known, 8)})."
    near = nearest(str(value), known)
    return UsageError("E103", message, hint=near if near.startswith("did") else f"one of {listed(known, 8)}")


def _alone(column: Column, n: int, noise: Noise) -> np.ndarray:
    """Codes of one column as frequent as in training."""
    shares = column.frequencies()
    level = noise.choice(shares.tolist(), n).numpy() if len(shares) > 1 else np.zeros(n, dtype=np.int64)
    place = noise.uniform((n, 1)) if isinstance(column, Category) else noise.normal((n, 1))
    return column.restored(level, place.squeeze(1).double().numpy())
