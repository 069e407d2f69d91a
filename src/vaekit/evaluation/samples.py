"""How like real data samples are, in features: Fréchet distance, precision and recall, density and coverage.

The features (N, K) are the caller's: raw values for a table, `classifier_features` or `random_features` for images.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

CHUNK = 1_024  # rows whose distances to all others are held at once


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """The squared Fréchet distance of the Gaussians with the moments of two sets.

        ‖μ_a − μ_b‖² + tr(Σ_a + Σ_b − 2 (Σ_a^½ Σ_b Σ_a^½)^½)

    Finite sets add to it: between two sets of the same distribution it is about 1/N + 1/M times a figure of that
    distribution, so that only distances at the same N and M compare.

    Args:
        a, b: (N, K) and (M, K) features, two rows or more each.

    Returns:
        0 for sets with the same mean and covariance.

    Source: Dowson, Landau (1982), The Fréchet distance between multivariate normal distributions; for samples of
    generative models Heusel et al. (2017), arXiv:1706.08500.

    Example:
        >>> a = np.array([[0.0], [2.0]])
        >>> round(frechet_distance(a, 2 * a + 1), 6)  # means 1 and 3, standard deviations √2 and 2√2
        6.0
    """
    a, b = _features(a, b, least=2)
    # the singular values of the data themselves: no square of them is taken and then its root
    (sa, va), (sb, vb) = _spectrum(a), _spectrum(b)
    common = np.linalg.svd((sa[:, None] * va) @ (vb.T * sb), compute_uv=False).sum()
    distance = ((a.mean(0) - b.mean(0)) ** 2).sum() + (sa**2).sum() + (sb**2).sum() - 2 * common
    return max(0.0, float(distance))


def _spectrum(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Square roots of the covariance's eigenvalues, (R,), and its eigenvectors, (R, K)."""
    _, s, v = np.linalg.svd((a - a.mean(0)) / np.sqrt(len(a) - 1), full_matrices=False)
    return s, v


@dataclass(frozen=True)
class Fidelity:
    """How two sets lie in each other's neighbourhoods.

    Attributes:
        precision: Share of samples within the reach of some real datum: are they realistic?
        recall: Share of real data within the reach of some sample: is everything there?
        density: Mean number of real data within whose reach a sample lies, over k: about 1 for the same distribution.
        coverage: Share of real data with a sample in reach; about 1 − 2⁻ᵏ for the same distribution and size.
    """

    precision: float
    recall: float
    density: float
    coverage: float


def fidelity(real: np.ndarray, samples: np.ndarray, k: int = 5) -> Fidelity:
    """Precision, recall, density and coverage; a datum's reach is the distance to its k-th neighbour in its own set.

    Args:
        real, samples: (N, K) and (M, K) features, more than k rows each.
        k: Which neighbour; both papers' sets are of the same size, N = M, and so should these be.

    Raises:
        ValueError: A set has k rows or fewer.

    Source: Kynkäänniemi et al. (2019), arXiv:1904.06991 (k = 3 there); Naeem et al. (2020), arXiv:2002.09797 (k = 5).

    Example:
        >>> real = np.arange(20.0)[:, None]
        >>> found = fidelity(real, real[:10] + 0.1)
        >>> found.precision, found.recall
        (1.0, 0.75)
    """
    real, samples = _features(real, samples, least=k + 1)
    real_reach, sample_reach = _reach(real, k), _reach(samples, k)
    containing = np.zeros(len(samples))
    covered, recalled = np.zeros((2, len(real)), dtype=bool)
    for at, d in _distances(samples, real):  # (m, N)
        inside = d <= real_reach
        containing[at] = inside.sum(1)
        covered |= inside.any(0)
        recalled |= (d <= sample_reach[at, None]).any(0)
    return Fidelity(
        precision=float((containing > 0).mean()),
        recall=float(recalled.mean()),
        density=float(containing.mean() / k),
        coverage=float(covered.mean()),
    )


def _reach(rows: np.ndarray, k: int) -> np.ndarray:
    """Distance of each row to its k-th nearest other row, (N,)."""
    reach = np.empty(len(rows))
    for at, d in _distances(rows, rows):
        reach[at] = np.partition(d, k, axis=1)[:, k]  # the nearest is the row itself
    return reach


def nearest(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Distance of each row to the nearest of the others, (N,)."""
    found = np.empty(len(rows))
    for at, d in _distances(rows, others):
        found[at] = d.min(1)
    return found


def _distances(rows: np.ndarray, others: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Euclidean distances of some rows to all others at a time."""
    from scipy.spatial.distance import cdist

    for start in range(0, len(rows), CHUNK):
        at = slice(start, start + CHUNK)
        yield at, cdist(rows[at], others)


def _features(a: Any, b: Any, least: int) -> tuple[np.ndarray, np.ndarray]:
    """Both as finite float64 matrices of the same width."""
    a, b = (np.asarray(t, dtype=np.float64) for t in (a, b))
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1]:
        raise ValueError(f"features must be (N, K) and (M, K), not {a.shape} and {b.shape}")
    if min(len(a), len(b)) < least:
        raise ValueError(f"{least} rows or more are needed on each side, not {len(a)} and {len(b)}")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError("a feature is not finite")
    return a, b
