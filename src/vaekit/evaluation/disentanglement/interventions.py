"""How far a code dimension moves when factors it should not stand for are changed."""

from __future__ import annotations

import numpy as np

from vaekit.evaluation.disentanglement.histograms import checked

QUANTILE = 0.99  # of the deviations, for "the largest one", so that one datum does not decide


def irs(codes: np.ndarray, factors: np.ndarray) -> float:
    """Interventional robustness: how little a dimension moves under all other factors once its own is held.

        Σ_d w_d max_f (1 − E_v[max |z_d − E[z_d | v_f = v]|] / w_d) / Σ_d w_d,  w_d = max |z_d − E[z_d]|

    The inner maximum is over the data with v_f = v, and the expectation is weighted by how many there are. Both maxima
    are 99 % quantiles. A dimension that does not move weighs nothing.

    Args:
        codes: (N, D) real codes.
        factors: (N, F) integers.

    Returns:
        At most 1, which a dimension reaches that is a function of one factor; 0 where no dimension moves. It knows
        nothing of factors that no dimension stands for, and it depends on the codes' units.

    Source: Suter, Miladinović, Schölkopf, Bauer (2019), arXiv:1811.00007.

    Example:
        >>> v = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
        >>> irs(v * 1.0, v)
        1.0
    """
    codes, factors = checked(codes, factors)
    codes = codes[:, np.ptp(codes, axis=0) > 0]  # a constant's deviation from its mean need not be exactly 0
    if not codes.shape[1]:
        return 0.0
    reach = _deviation(codes)  # (D,)
    left = np.min([_under_others(codes, v) for v in factors.T], axis=0)  # (D,)
    return float(1 - left.sum() / reach.sum())


def _under_others(codes: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Largest deviation of each dimension from its mean at a value of one factor, averaged over the values."""
    groups = [codes[v == value] for value in range(int(v.max()) + 1)]
    return np.sum([_deviation(group) * len(group) for group in groups], axis=0) / len(codes)


def _deviation(codes: np.ndarray) -> np.ndarray:
    return np.quantile(np.abs(codes - codes.mean(0)), QUANTILE, axis=0)
