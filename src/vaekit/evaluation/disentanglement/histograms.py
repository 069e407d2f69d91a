"""Codes and factors as counts: what every score that rests on mutual information reads."""

from __future__ import annotations

from typing import Any

import numpy as np

BINS = 20  # of a code dimension, of equal width: as in Locatello et al. (2019), arXiv:1811.12359
ROUNDING = 1e-12  # nats; less is a difference of equal entropies


def checked(codes: Any, factors: Any) -> tuple[np.ndarray, np.ndarray]:
    """Codes as (N, D) float64, and the factors that vary as (N, F) with values 0 … V − 1.

    Raises:
        ValueError: They are no matrices with the same number of rows, a code is not finite, or no factor varies.
    """
    codes, factors = np.asarray(codes, dtype=np.float64), np.asarray(factors)
    if codes.ndim != 2 or factors.ndim != 2 or len(codes) != len(factors) or len(codes) < 2:
        raise ValueError(
            f"codes must be (N, D) and factors (N, F), two rows or more, not {codes.shape} and {factors.shape}"
        )
    if not np.isfinite(codes).all():
        raise ValueError("a code is not finite")
    columns = [np.unique(column, return_inverse=True)[1] for column in factors.T]
    columns = [column for column in columns if column.max() > 0]
    if not columns:
        raise ValueError("every factor is constant; there is nothing for the codes to stand for")
    return codes, np.stack(columns, 1)


def mutual_information(codes: np.ndarray, factors: np.ndarray, bins: int = BINS) -> np.ndarray:
    """I(z_d; v_f) = H(z_d) + H(v_f) − H(z_d, v_f) of binned code dimensions and factors.

    The plug-in estimate: between independent ones it is about (bins − 1)(V − 1) / 2N, not 0.

    Args:
        codes: (N, D) float64.
        factors: (N, F) integers 0 … V − 1.
        bins: Of equal width between a dimension's least and largest value.

    Returns:
        (D, F) nats; 0 for a constant dimension.

    Example:
        >>> v = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
        >>> mutual_information(np.array([[5.0], [5.0], [-1.0], [-1.0]]), v).round(3)
        array([[0.693, 0.   ]])
    """
    binned = np.stack([_binned(z, bins) for z in codes.T])  # (D, N)
    alone, known = [_entropy(z) for z in binned], entropies(factors)
    both = [[_entropy(z * (v.max() + 1) + v) for v in factors.T] for z in binned]
    information = np.array(alone)[:, None] + known - np.array(both)
    return np.where(information > ROUNDING, information, 0.0)


def entropies(factors: np.ndarray) -> np.ndarray:
    """H(v_f) of each factor, (F,) nats."""
    return np.array([_entropy(v) for v in factors.T])


def _binned(z: np.ndarray, bins: int) -> np.ndarray:
    """The bin of each value, 0 … bins − 1."""
    low, width = z.min(), np.ptp(z)
    if width == 0:
        return np.zeros(len(z), dtype=np.int64)
    return np.minimum(((z - low) / width * bins).astype(np.int64), bins - 1)


def _entropy(values: np.ndarray) -> float:
    shares = np.bincount(values) / len(values)
    shares = shares[shares > 0]
    return float(-(shares * np.log(shares)).sum())
