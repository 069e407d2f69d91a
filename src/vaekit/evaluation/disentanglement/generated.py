"""Scores that need a generator: data drawn anew with one true factor held."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import numpy as np

CodesOf = Callable[[np.ndarray], np.ndarray]  # factors (N, F) → codes (N, D) of data drawn from them


def beta_vae_score(
    codes_of: CodesOf,
    factor_sizes: Sequence[int],
    seed: int = 0,
    pairs: int = 64,
    points: int = 500,
) -> float:
    """How well a linear classifier tells which factor two data have in common, from how far apart their codes are.

        one point: the mean of |z(a) − z(b)| over pairs (a, b) with v_f(a) = v_f(b);  its label: f

    Differences are divided by their standard deviation in training, so that the scale of a dimension does not matter.

    Args:
        codes_of: Factors (N, F) → codes (N, D) of data drawn from them.
        factor_sizes: How many values each factor has; those with one value are never held.
        seed: Of the draws.
        pairs: For each point.
        points: To train on, and as many to measure on.

    Returns:
        Held-out accuracy; chance is one over the number of factors that vary.

    Source: Higgins et al. (2017), β-VAE: learning basic visual concepts with a constrained variational framework.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    rng, held = np.random.default_rng(seed), _held(factor_sizes)
    labels = rng.choice(held, 2 * points)
    first = _drawn(rng, factor_sizes, len(labels), pairs)
    second = _holding(_drawn(rng, factor_sizes, len(labels), pairs), labels, first)
    rows = [_mean_difference(codes_of, a, b) for a, b in zip(first, second, strict=True)]
    differences = np.stack(rows)  # (2 · points, D)
    varies = np.ptp(differences[:points], axis=0) > 0
    differences = differences / np.where(varies, differences[:points].std(0), 1.0)
    with warnings.catch_warnings():  # separable data have no optimum to converge to
        warnings.simplefilter("ignore", ConvergenceWarning)
        rule = LogisticRegression(C=100.0, max_iter=200).fit(differences[:points], labels[:points])
    return float(rule.score(differences[points:], labels[points:]))


def factor_vae_score(
    codes_of: CodesOf,
    factor_sizes: Sequence[int],
    seed: int = 0,
    rows: int = 64,
    points: int = 500,
    scale_rows: int = 5_000,
) -> float:
    """How well a majority vote tells which factor is held, from the code dimension that then varies least.

        one point: argmin over d of Var(z_d) / Var over all data of z_d, over rows with v_f held;  its label: f

    Dimensions that never vary take no part.

    Args:
        codes_of: Factors (N, F) → codes (N, D) of data drawn from them.
        factor_sizes: How many values each factor has; those with one value are never held.
        seed: Of the draws.
        rows: For each point.
        points: To vote, and as many to measure on.
        scale_rows: From which each dimension's own variance is measured.

    Returns:
        Held-out accuracy; chance is one over the number of factors that vary.

    Source: Kim, Mnih (2018), arXiv:1802.05983.
    """
    rng, held = np.random.default_rng(seed), _held(factor_sizes)
    everywhere = _codes(codes_of, rng.integers(0, factor_sizes, (scale_rows, len(factor_sizes))))
    variance = everywhere.var(0)
    used = np.ptp(everywhere, axis=0) > 0
    labels = rng.choice(held, 2 * points)
    free = _drawn(rng, factor_sizes, len(labels), rows)
    drawn = _holding(free, labels, free[:, :1])
    spreads = np.stack([_codes(codes_of, point).var(0) for point in drawn])  # (2 · points, D)
    least = np.where(used, spreads / np.where(used, variance, 1.0), np.inf).argmin(1)
    votes = np.zeros((everywhere.shape[1], len(factor_sizes)))  # (D, F)
    np.add.at(votes, (least[:points], labels[:points]), 1)
    return float(np.mean(votes.argmax(1)[least[points:]] == labels[points:]))


def _held(factor_sizes: Sequence[int]) -> np.ndarray:
    """The factors that can be held: those with more than one value."""
    varies = np.flatnonzero(np.asarray(factor_sizes) > 1)
    if len(varies) < 2:
        raise ValueError(f"two factors or more must vary; their sizes are {tuple(factor_sizes)}")
    return varies


def _drawn(rng: np.random.Generator, factor_sizes: Sequence[int], points: int, rows: int) -> np.ndarray:
    """Factors (points, rows, F), uniform and independent."""
    return rng.integers(0, factor_sizes, (points, rows, len(factor_sizes)))


def _holding(drawn: np.ndarray, labels: np.ndarray, source: np.ndarray) -> np.ndarray:
    """`drawn` with each point's labelled factor from `source`, (points, rows or 1, F)."""
    return np.where(np.arange(drawn.shape[2]) == labels[:, None, None], source, drawn)


def _mean_difference(codes_of: CodesOf, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return np.abs(_codes(codes_of, first) - _codes(codes_of, second)).mean(0)


def _codes(codes_of: CodesOf, factors: np.ndarray) -> np.ndarray:
    codes = np.asarray(codes_of(factors), dtype=np.float64)
    if codes.ndim != 2 or len(codes) != len(factors) or not np.isfinite(codes).all():
        raise ValueError(f"codes_of must give finite codes ({len(factors)}, D), not {codes.shape}")
    return codes
