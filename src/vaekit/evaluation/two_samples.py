"""Can a classifier tell two sets apart, on data it has not seen?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from vaekit.distributions import Noise
from vaekit.evaluation.features import fit_classifier


@dataclass(frozen=True)
class TwoSampleTest:
    """What the classifier reached on held-out data.

    Attributes:
        auc: Probability that it ranks a datum of the first set below one of the second; 0.5 for the same distribution.
        accuracy: Share told right; 0.5 for the same distribution.
        p_value: Probability of an AUC at least as high if the distributions are the same (normal approximation).
    """

    auc: float
    accuracy: float
    p_value: float


def two_sample_test(a: Any, b: Any, seed: int = 0, steps: int = 300) -> TwoSampleTest:
    """Train a classifier to tell two sets apart, and measure it on the halves that it has not seen.

    Args:
        a, b: (N, …) and (M, …) data or features; of the larger set, as many as the smaller has are drawn.
        seed: Of the split and the classifier.
        steps: Of training.

    Raises:
        ValueError: A set has fewer than eight rows, or the rows' shapes differ.

    Source: Lopez-Paz, Oquab (2017), Revisiting classifier two-sample tests, arXiv:1610.06545.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> two_sample_test(rng.normal(size=(200, 2)), rng.normal(size=(200, 2)) + 5).auc
        1.0
    """
    a, b = (np.asarray(t, dtype=np.float32).reshape(len(t), -1) for t in (a, b))
    n = min(len(a), len(b))
    if n < 8 or a.shape[1] != b.shape[1]:
        raise ValueError(f"both sets need eight rows or more of one shape, not {a.shape} and {b.shape}")
    noise = Noise(seed, "two-sample test")
    a, b = (torch.from_numpy(t)[noise.permutation(len(t))[:n]] for t in (a, b))
    half = n // 2
    labels = torch.cat([torch.zeros(half), torch.ones(half)]).long()
    classifier = fit_classifier(torch.cat([a[:half], b[:half]]), labels, seed, steps=steps)
    for_b = [np.subtract(*classifier(t[half:]).T[::-1]) for t in (a, b)]  # log odds of the second set
    return _measured(*for_b)


def _measured(a: np.ndarray, b: np.ndarray) -> TwoSampleTest:
    """The test from the scores of each set's held-out data."""
    from scipy.stats import norm, rankdata

    n, m = len(a), len(b)
    ranks = rankdata(np.concatenate([a, b]))[n:].sum()
    auc = (ranks - m * (m + 1) / 2) / (n * m)  # Mann and Whitney (1947)
    deviation = np.sqrt((n + m + 1) / (12 * n * m))
    accuracy = (np.mean(a <= 0) + np.mean(b > 0)) / 2
    return TwoSampleTest(float(auc), float(accuracy), float(norm.sf((auc - 0.5) / deviation)))
