"""How well two sets can be told apart, with the interval that so few rows leave open."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from vaekit.distributions import Noise

FOLDS, FEWEST, MOST = 5, 10, 2_000  # rows of each set: fewest that are judged, most that are looked at
DIRECTIONS, HINGES = 64, 256  # principal directions that are kept, and random hinges of them
LEAST = 1e-4  # standard deviation of a direction, in those of the first, below which it is rounding
PENALTY = 0.1  # of the ridge, per row
WIDER = 1.3  # the folds share rows, so that their mean varies more than that of one set would


@dataclass(frozen=True)
class Separation:
    """What a classifier reached on rows that it was not fitted to.

    Attributes:
        auc: Probability that it ranks a row of the second set above one of the first; 0.5 if it cannot tell.
        low, high: The 95 % interval of the AUC over rows.
        rows: Of each set.
    """

    auc: float
    low: float
    high: float
    rows: int


def separation(a: Any, b: Any, seed: int = 0, directions: int = DIRECTIONS) -> Separation | None:
    """Ridge regression on whitened principal directions, their squares and random hinges, in five folds.

        features = (w, w², max(0, R w + r)),  w = the standardised principal directions of both sets together

    It sees shifts, spreads, correlations and bends, takes milliseconds, and is the same at every call.

    Args:
        a, b: (N, D) and (M, D) rows; of the larger set, as many as the smaller has, and of many 2 000.
        seed: Of the choice of rows, the folds and the hinges.
        directions: Principal directions that are looked at.

    Returns:
        None where a set has fewer than ten rows, or nothing varies.

    Source: Lopez-Paz, Oquab (2017), arXiv:1610.06545 (classifier two-sample tests); Hanley, McNeil (1982), The meaning
        and use of the area under a receiver operating characteristic curve (the interval).

    Example:
        >>> rng = np.random.default_rng(0)
        >>> found = separation(rng.normal(size=(200, 2)), rng.normal(size=(200, 2)) + 5)
        >>> round(found.auc, 2), found.rows
        (1.0, 200)
    """
    noise = Noise(seed, "separation")
    sets = [np.asarray(rows, dtype=np.float64).reshape(len(rows), -1) for rows in (a, b)]
    n = min(MOST, *(len(rows) for rows in sets))
    if n < FEWEST:
        return None
    first, second = (rows[noise.permutation(len(rows))[:n].numpy()] for rows in sets)
    white = _whitened(np.concatenate([first, second]), directions)
    if white is None:
        return None
    features = _features(white, noise)
    target = np.repeat([-1.0, 1.0], n)
    # both sets are dealt alike, so that every fold has as many of either
    fold = np.tile(np.arange(n) % FOLDS, 2)
    reached = [_auc(features, target, fold == one) for one in range(FOLDS)]
    weights = [int((fold == one).sum()) for one in range(FOLDS)]
    auc = float(np.average(reached, weights=weights))
    half = 1.96 * WIDER * auc_error(auc, n, n)
    return Separation(auc, max(0.0, auc - half), min(1.0, auc + half), n)


def auc_error(auc: float, n: int, m: int) -> float:
    """The standard error of an AUC from n and m rows (Hanley, McNeil 1982, with exponential scores).

    Example:
        >>> round(auc_error(0.5, 100, 100), 4), round(auc_error(0.9, 50, 50), 4)
        (0.0409, 0.0321)
    """
    area = min(max(auc, 0.5 / n), 1 - 0.5 / n)  # not sure of itself where every row was ranked right
    area = max(area, 1 - area)
    one, two = area / (2 - area), 2 * area**2 / (1 + area)
    variance = (area * (1 - area) + (m - 1) * (one - area**2) + (n - 1) * (two - area**2)) / (n * m)
    return math.sqrt(max(0.0, variance))


def _whitened(rows: np.ndarray, most: int) -> np.ndarray | None:
    """The first principal directions of the rows, each of variance one, (N, K); None where nothing varies."""
    scale = rows.std(0)
    rows = ((rows - rows.mean(0)) / np.where(scale > 0, scale, 1.0))[:, scale > 0]
    if not rows.shape[1] or not np.isfinite(rows).all():
        return None
    if rows.shape[1] > 4 * most:  # of wide rows only their variation together counts
        rows = rows * scale[scale > 0]
    left, size, _ = np.linalg.svd(rows, full_matrices=False)
    keep = min(most, len(rows) // 8, int((size > LEAST * size[0]).sum()))
    return left[:, : max(1, keep)] * math.sqrt(len(rows))


def _features(white: np.ndarray, noise: Noise) -> np.ndarray:
    """What the ridge regression sees, (N, F), standardised, with a constant."""
    width = white.shape[1]
    maps = noise.normal((width, HINGES)).double().numpy() / math.sqrt(width)
    shift = noise.normal((HINGES,)).double().numpy()
    hinges = np.maximum(0.0, white.clip(-5, 5) @ maps + shift)
    found = np.concatenate([white, white.clip(-5, 5) ** 2, hinges], axis=1)
    scale = found.std(0)
    found = (found - found.mean(0)) / np.where(scale > 1e-12, scale, np.inf)
    return np.concatenate([found, np.ones((len(found), 1))], axis=1)


def _auc(features: np.ndarray, target: np.ndarray, held: np.ndarray) -> float:
    """AUC on the held rows after a fit to the others."""
    from scipy.stats import rankdata

    x, y = features[~held], target[~held]
    gram = x.T @ x
    gram[np.diag_indices_from(gram)] += PENALTY * len(x)
    score = features[held] @ np.linalg.solve(gram, x.T @ y)
    positive = target[held] > 0
    n, m = int(positive.sum()), int((~positive).sum())
    return float((rankdata(score)[positive].sum() - n * (n + 1) / 2) / (n * m))
