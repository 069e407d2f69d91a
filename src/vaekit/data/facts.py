"""What the values of an array look like, in two passes over its rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vaekit.data.checks import chunks, observed
from vaekit.data.levels import near_levels
from vaekit.errors import DataError


@dataclass
class Facts:
    """Statistics of all observed values of a source.

    Attributes:
        low, high: Smallest and largest value.
        whole: Whether all are whole numbers.
        eight_bit: Whether all are multiples of 1/255 in [0, 1]: 8-bit values divided by 255.
        two_valued: Whether all are `low` or `high`.
        dark, bright: Share of the values in the lowest and in the highest tenth of the range.
        zeros: Share of zeros.
        mean: Their mean.
    """

    low: float
    high: float
    whole: bool
    eight_bit: bool
    two_valued: bool
    dark: float
    bright: float
    zeros: float
    mean: float

    @property
    def bits(self) -> bool:
        """Whether every value is 0 or 1."""
        return self.whole and self.low >= 0 and self.high <= 1


def measure(values: np.ndarray) -> Facts:
    """The facts about an array.

    Args:
        values: (N, …) finite numbers; NaN where nothing was observed.

    Raises:
        DataError: E202, nothing was observed at all.

    Example:
        >>> facts = measure(np.array([[0, 255], [255, 0]]))
        >>> facts.two_valued, facts.bits, facts.dark, facts.mean
        (True, False, 0.5, 127.5)
    """
    ends = [(part.min(), part.max(), part.size) for part in map(observed, chunks(values)) if part.size]
    if not ends:
        raise DataError("E202", "there is nothing in this array: every value is NaN.")
    low, high = float(min(end[0] for end in ends)), float(max(end[1] for end in ends))
    unit = values.dtype.kind == "f" and low >= 0 and high <= 1
    parts = [_part(observed(part), low, high, unit) for part in chunks(values)]
    sums = np.array([part[3:] for part in parts]).sum(0) / sum(end[2] for end in ends)
    whole, eight_bit, two_valued = (all(part[i] for part in parts) for i in range(3))
    return Facts(low, high, whole, eight_bit, two_valued, *sums.tolist())


def _part(
    part: np.ndarray, low: float, high: float, unit: bool
) -> tuple[bool, bool, bool, int, int, int, float]:
    """Three truths and four sums over some rows."""
    if part.dtype.itemsize == 1:
        return _part_from_counts(part, low, high)
    tenth = (high - low) / 10
    whole = part.dtype.kind != "f" or bool((np.rint(part) == part).all())
    eight_bit = unit and bool(near_levels(part, 255).all())
    two_valued = bool(((part == low) | (part == high)).all())
    dark, bright = (part < low + tenth).sum(), (part > high - tenth).sum()
    return whole, eight_bit, two_valued, dark, bright, (part == 0).sum(), part.sum(dtype=np.float64)


def _part_from_counts(
    part: np.ndarray, low: float, high: float
) -> tuple[bool, bool, bool, int, int, int, float]:
    """The same from how often each of 256 values comes: bytes are counted many times faster than compared."""
    counts = np.bincount(part.reshape(-1).view(np.uint8), minlength=256)
    values = (
        np.arange(256)
        .astype(np.uint8)
        .view(np.int8 if part.dtype.kind == "i" else np.uint8)
        .astype(np.float64)
    )
    tenth = (high - low) / 10
    two_valued = not counts[(values != low) & (values != high)].any()
    dark, bright = counts[values < low + tenth].sum(), counts[values > high - tenth].sum()
    return True, False, two_valued, dark, bright, counts[values == 0].sum(), float(counts @ values)


def constant_features(values: np.ndarray) -> np.ndarray:
    """Places of the features that are the same in every row that has them, of (N, …) values flattened to (N, D).

    Example:
        >>> constant_features(np.array([[1, 7], [2, 7]])).tolist()
        [1]
    """
    first = values[:1].reshape(-1)
    same = np.ones(first.size, dtype=bool)
    for part in chunks(values):
        rows = part.reshape(len(part), -1)
        if values.dtype.kind == "f" and np.isnan(rows).any():
            low, high = np.fmin.reduce(rows), np.fmax.reduce(rows)  # NaN only where nothing was observed
            first = np.where(np.isnan(first), low, first)
            same &= np.isnan(low) | ((low == first) & (high == first))
        else:
            first = np.where(first == first, first, rows[0])
            same &= (rows == first).all(0)
    return np.flatnonzero(same)
