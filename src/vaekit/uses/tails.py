"""How far out the cells of a row lie, each among the values of its own column."""

from __future__ import annotations

import numpy as np

# of a column's spread, and of its size: values that near are the same, for the sums that they come from are rounded
SAME, ROUNDED = 1e-5, 1e-9


def tails(rows: np.ndarray, reference: np.ndarray, own: bool = False) -> np.ndarray:
    """How rare it is to lie as far out as each row, column by column.

        t = −Σ_d log min(P(r_d ≤ x_d), P(r_d ≥ x_d)),  P = (1 + count) / (1 + M) over the reference r

    Args:
        rows: (N, D).
        reference: (M, D).
        own: The rows are the reference, and none counts for itself.

    Returns:
        (N,) at most D log(1 + M).

    Source: after Li, Zhao, Hu, Botta, Ionescu, Chen (2022), ECOD: unsupervised outlier detection using empirical
        cumulative distribution functions, arXiv:2201.00382.

    Example:
        >>> tails(np.array([[0.0], [9.0]]), np.array([[1.0], [0.0], [2.0]])).round(2)
        array([0.69, 1.39])
    """
    count, found = len(reference) - own, np.zeros(len(rows))
    gaps = SAME * reference.std(0) + ROUNDED * np.abs(reference).max(0)
    for column, values, gap in zip(rows.T, np.sort(reference, 0).T, gaps, strict=True):
        below = np.searchsorted(values, column + gap, side="right")
        above = len(values) - np.searchsorted(values, column - gap, side="left")
        found -= np.log((1 - own + np.minimum(below, above)) / (1 + count))
    return found
