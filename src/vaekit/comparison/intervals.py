"""A mean over few seeds and how far it may be off: Student's interval, without SciPy, which takes long to load."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple


class Interval(NamedTuple):
    """A mean and its interval.

    Attributes:
        mean: Of the values.
        half: Half the interval's width; None for one value.
        seeds: How many values.
    """

    mean: float
    half: float | None
    seeds: int


def interval(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """Student's interval of a mean: x̄ ± t s / √n, s² = Σ (x − x̄)² / (n − 1), t of n − 1 degrees of freedom.

    Args:
        values: (n,) independent values, at least one.
        confidence: How often such an interval holds the true mean.

    Raises:
        ValueError: There are no values.

    Source: Student (1908), The probable error of a mean.

    Example:
        >>> [round(value, 3) for value in interval([1.0, 2.0, 3.0])]
        [2.0, 2.484, 3]
    """
    count = len(values)
    if not count:
        raise ValueError("an interval needs at least one value")
    mean = math.fsum(values) / count
    if count == 1:
        return Interval(mean, None, 1)
    spread = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (count - 1))
    return Interval(mean, student(count - 1, confidence) * spread / math.sqrt(count), count)


def student(freedom: int, confidence: float = 0.95) -> float:
    """t with P(|T| ≤ t) = confidence, by bisection of the closed form.

    Args:
        freedom: Degrees of freedom ν, a whole number from 1 on.
        confidence: Between 0 and 1.

    Raises:
        ValueError: An argument is out of its range.

    Example:
        >>> round(student(1), 4), round(student(10), 4)
        (12.7062, 2.2281)
    """
    if freedom < 1 or not 0 < confidence < 1:
        raise ValueError(f"student({freedom}, {confidence}): freedom from 1 on, confidence between 0 and 1")
    low, high = 0.0, math.pi / 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, freedom) < confidence else (low, middle)
    return math.sqrt(freedom) * math.tan(low)


def _within(angle: float, freedom: int) -> float:
    """P(|T| ≤ √ν tan θ) of Student's T, a finite sum for whole ν (Abramowitz, Stegun 1964, 26.7.3 and 26.7.4)."""
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = freedom % 2
    term, total = (cosine if odd else 1.0), 0.0
    for k in range(1 + odd, freedom, 2):  # k = 1, 3, … of an even ν, 2, 4, … of an odd one
        total += term
        term *= k / (k + 1) * cosine**2
    return 2 / math.pi * (angle + sine * total) if odd else sine * total
