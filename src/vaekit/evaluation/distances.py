"""Distances of two samples of one column, and correlations of the columns of one."""

from __future__ import annotations

import numpy as np


def correlations(values: np.ndarray) -> np.ndarray:
    """Pearson correlations of columns, each pair over the rows where both are finite.

    Args:
        values: (N, D) float64.

    Returns:
        (D, D); 0 where a column of a pair is constant.

    Example:
        >>> correlations(np.array([[1.0, 2.0, 5.0], [2.0, 4.0, 5.0], [3.0, np.nan, 5.0]]))
        array([[1., 1., 0.],
               [1., 1., 0.],
               [0., 0., 0.]])
    """
    finite = np.isfinite(values)
    if finite.all():
        return _complete_correlations(values)
    import pandas as pd

    return pd.DataFrame(np.where(finite, values, np.nan)).corr(min_periods=2).fillna(0.0).to_numpy()


def _complete_correlations(values: np.ndarray) -> np.ndarray:
    """The same by one product of matrices, where no cell is left out."""
    largest = np.abs(values).max(0)
    # no square is beyond float64, and a constant column is exactly 1 or −1
    scaled = values / np.where(largest > 0, largest, 1.0)
    centred = scaled - scaled.mean(0)
    norms = np.linalg.norm(centred, axis=0)
    norms[norms == 0] = np.inf
    unit = centred / norms
    return np.clip(unit.T @ unit, -1.0, 1.0)


def kolmogorov_smirnov(real: np.ndarray, sampled: np.ndarray) -> float:
    """The largest distance between two empirical distribution functions.

    Args:
        real, sampled: (N,) and (M,) numbers, none missing.

    Source: Smirnov (1939), On the estimation of the discrepancy between empirical curves of distribution.

    Example:
        >>> kolmogorov_smirnov(np.array([1.0, 2.0]), np.array([2.0, 3.0]))
        0.5
    """
    steps = np.concatenate([real, sampled])
    below = [np.searchsorted(np.sort(part), steps, side="right") / len(part) for part in (real, sampled)]
    return float(np.abs(below[0] - below[1]).max())


def total_variation(real: np.ndarray, sampled: np.ndarray) -> float:
    """Half the summed difference of the shares of each code.

    Args:
        real, sampled: (N,) and (M,) whole numbers from 0.

    Example:
        >>> total_variation(np.array([0, 0, 1, 1]), np.array([0, 2]))
        0.5
    """
    codes = np.concatenate([real, sampled])
    if codes.max() >= len(codes):  # only the codes that occur, so that memory keeps to the rows
        codes = np.unique(codes, return_inverse=True)[1]
    count = int(codes.max()) + 1
    shares = [
        np.bincount(part, minlength=count) / len(part) for part in (codes[: len(real)], codes[len(real) :])
    ]
    return float(np.abs(shares[0] - shares[1]).sum() / 2)
