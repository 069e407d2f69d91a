"""Scores from the mutual information of each code dimension with each factor: MIG, modularity, InfoM, InfoC."""

from __future__ import annotations

import numpy as np

from vaekit.evaluation.disentanglement.histograms import BINS, checked, entropies, mutual_information

ACTIVE_RANGE = 1 / 20  # of the widest range: dimensions below count as unused in InfoM and InfoC


def mig(codes: np.ndarray, factors: np.ndarray, bins: int = BINS) -> float:
    """Mutual information gap: how much more the best code dimension knows of a factor than the second best.

        mean over f of (I(z_1; v_f) − I(z_2; v_f)) / H(v_f),  z_1, z_2 the two best for f

    Args:
        codes: (N, D) real codes.
        factors: (N, F) integers; a factor that does not vary does not count.
        bins: Of equal width, for each dimension; a factor with more values than that cannot reach 1.

    Returns:
        In [0, 1]; 1 where each factor stands in one dimension.

    Source: Chen, Li, Grosse, Duvenaud (2018), arXiv:1802.04942.

    Example:
        >>> v = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
        >>> round(mig(-2.0 * v, v), 3)
        1.0
    """
    codes, factors = checked(codes, factors)
    information = np.sort(mutual_information(codes, factors, bins), axis=0)  # (D, F)
    second = information[-2] if len(information) > 1 else 0.0
    return float(np.mean((information[-1] - second) / entropies(factors)))


def modularity(codes: np.ndarray, factors: np.ndarray, bins: int = BINS) -> float:
    """How nearly each code dimension knows of one factor only.

        mean over d of 1 − Σ_{f ≠ f*} I(z_d; v_f)² / (I(z_d; v_f*)² (F − 1)),  f* the best for d

    Dimensions that know of nothing do not count; one of noise counts with what its estimates happen to be.

    Args:
        codes, factors, bins: As in `mig`.

    Returns:
        In [0, 1]; 0 where no dimension knows of anything.

    Source: Ridgeway, Mozer (2018), arXiv:1802.05312.
    """
    codes, factors = checked(codes, factors)
    squares = mutual_information(codes, factors, bins) ** 2  # (D, F)
    best = squares.max(1)
    squares, best = squares[best > 0], best[best > 0]
    if not len(best):
        return 0.0
    return float(np.mean(1 - (squares.sum(1) / best - 1) / max(1, factors.shape[1] - 1)))


def infom(codes: np.ndarray, factors: np.ndarray, bins: int = BINS) -> float:
    """InfoM: which share of what a code dimension knows of all factors is about its best one.

        (mean over d of max_f R_df / Σ_f R_df − 1/F) / (1 − 1/F),  R_df = I(z_d; v_f) / H(v_f)

    Over the dimensions in use: those whose range is at least a twentieth of the widest one's, as in the authors' code.
    The information is binned here; they estimate it from nearest neighbours where the codes are continuous.

    Args:
        codes, factors, bins: As in `mig`.

    Returns:
        In [0, 1].

    Source: Hsu, Dorrell, Whittington, Wu, Finn (2023), arXiv:2305.18378.
    """
    return _concentration(_normalised(codes, factors, bins))


def infoc(codes: np.ndarray, factors: np.ndarray, bins: int = BINS) -> float:
    """InfoC: which share of what all code dimensions know of a factor is in its best one.

        (mean over f of max_d R_df / Σ_d R_df − 1/D) / (1 − 1/D),  R and dimensions as in `infom`

    Args:
        codes, factors, bins: As in `mig`.

    Returns:
        In [0, 1].

    Source: Hsu, Dorrell, Whittington, Wu, Finn (2023), arXiv:2305.18378.
    """
    return _concentration(_normalised(codes, factors, bins).T)


def _normalised(codes: np.ndarray, factors: np.ndarray, bins: int) -> np.ndarray:
    """R of the dimensions in use, (D, F)."""
    codes, factors = checked(codes, factors)
    reach = np.ptp(codes, axis=0)
    codes = codes[:, (reach > 0) & (reach >= ACTIVE_RANGE * reach.max())]
    if not codes.shape[1]:
        return np.zeros((1, factors.shape[1]))
    return mutual_information(codes, factors, bins) / entropies(factors)


def _concentration(table: np.ndarray) -> float:
    """Mean share of the largest entry of each row, from 0 where all are equal to 1 where it is alone."""
    table, columns = table[table.sum(1) > 0], table.shape[1]
    if not len(table):
        return 0.0
    share = float(np.mean(table.max(1) / table.sum(1)))
    return share if columns == 1 else (share - 1 / columns) / (1 - 1 / columns)
