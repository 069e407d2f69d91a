"""One-class densities over statistics of items: how far an item's statistics lie from those of ordinary items."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

ABOVE = 0.84  # of a normal variable's values, so many lie below the mean and one standard deviation
MOST, EACH, FLOOR = 3, 100, 0.05  # Gaussians of a mixture; rows for each; variance that each has at least
LEAST = 1e-9  # of a scale, in shares of the values: what never changes tells nothing until it does


@dataclass(frozen=True)
class OneClass:
    """How odd a vector of statistics is, against those of ordinary items.

        one-sided: mean over statistics of log(1 + softplus(z)),  z = (s − median) / (84 % quantile − median)
        joint: −log Σ_k π_k N(z; m_k, P_k⁻¹),  z = (s − mean) / deviation

    On one side only larger values are odder, and since the logarithm grows slowly no single statistic's heavy tail
    outshouts the others. The joint density is a mixture of up to three Gaussians, in which too small is as odd as too
    large; one Gaussian has the Ledoit–Wolf covariance, and each of several has 0.05 added to its variances.

    Attributes:
        centre: (S,) of each statistic.
        scale: (S,) spread of each.
        parts: The Gaussians of the standardised statistics where they are judged jointly; None where each is judged
            alone, and only for being too large.

    Source: Morningstar et al. (2021), arXiv:2006.09273; Ledoit, Wolf (2004), A well-conditioned estimator for
    large-dimensional covariance matrices.

    Example:
        >>> ordinary = np.random.default_rng(0).normal(size=(500, 2))
        >>> one = OneClass.fit(ordinary, joint=False)
        >>> bool(one.score(np.array([[0.0, 9.0]]))[0] > one.score(ordinary).max())
        True
    """

    centre: np.ndarray
    scale: np.ndarray
    parts: tuple[Part, ...] | None = None

    @classmethod
    def fit(cls, statistics: np.ndarray, joint: bool, count: int | None = None) -> OneClass:
        """The density of ordinary items' statistics.

        Args:
            statistics: (n, S), finite.
            joint: Judge all statistics together, on both sides (images); otherwise each alone, and only for being too
                large (tables, vectors and the rest).
            count: Gaussians of the joint density; by default as `gaussians` says of so many items.
        """
        rows = np.asarray(statistics, dtype=np.float64)
        if not joint:
            centre = np.median(rows, 0)
            return cls(centre, np.maximum(np.quantile(rows, ABOVE, axis=0) - centre, _least(rows)))
        centre, scale = rows.mean(0), np.maximum(rows.std(0), _least(rows))
        return cls(centre, scale, mixture((rows - centre) / scale, count or gaussians(len(rows))))

    def score(self, statistics: np.ndarray) -> np.ndarray:
        """How odd each vector is, (N, S) → (N,); larger is odder."""
        z = (np.asarray(statistics, dtype=np.float64) - self.centre) / self.scale
        if self.parts is None:
            return np.log1p(np.logaddexp(0.0, z)).mean(1)
        return -np.logaddexp.reduce([part.log_density(z) for part in self.parts], axis=0)

    def facts(self) -> dict[str, Any]:
        """What `from_facts` makes it again from: numbers and lists, for a JSON file."""
        parts = None if self.parts is None else [part.facts() for part in self.parts]
        return {"centre": self.centre.tolist(), "scale": self.scale.tolist(), "parts": parts}

    @classmethod
    def from_facts(cls, facts: dict[str, Any]) -> OneClass:
        """As `facts` gave it."""
        parts = facts.get("parts")
        return cls(
            np.asarray(facts["centre"], dtype=np.float64),
            np.asarray(facts["scale"], dtype=np.float64),
            None if parts is None else tuple(Part.from_facts(part) for part in parts),
        )


@dataclass(frozen=True)
class Part:
    """One Gaussian of a mixture: its log weight, mean (S,) and precision (S, S)."""

    log_weight: float
    mean: np.ndarray
    precision: np.ndarray

    def log_density(self, z: np.ndarray) -> np.ndarray:
        """log π + log N(z; m, P⁻¹), (N, S) → (N,)."""
        gap, size = z - self.mean, len(self.mean)
        volume = np.linalg.slogdet(self.precision)[1] - size * np.log(2 * np.pi)
        return self.log_weight + (volume - np.einsum("ns,st,nt->n", gap, self.precision, gap)) / 2

    def facts(self) -> dict[str, Any]:
        """As numbers and lists."""
        return {
            "log_weight": self.log_weight,
            "mean": self.mean.tolist(),
            "precision": self.precision.tolist(),
        }

    @classmethod
    def from_facts(cls, facts: dict[str, Any]) -> Part:
        """As `facts` gave it."""
        mean, precision = (np.asarray(facts[name], dtype=np.float64) for name in ("mean", "precision"))
        return cls(float(facts["log_weight"]), mean, precision)


def gaussians(items: int) -> int:
    """How many Gaussians a joint density has: one for every 100 items, at most three."""
    return max(1, min(MOST, items // EACH))


def mixture(z: np.ndarray, count: int) -> tuple[Part, ...]:
    """A mixture of so many Gaussians of the standardised rows (n, S)."""
    from sklearn.covariance import LedoitWolf
    from sklearn.mixture import GaussianMixture

    if len(z) < 2:  # nothing can be said of what goes with what
        return (Part(0.0, np.zeros(z.shape[1]), np.eye(z.shape[1])),)
    if count < 2:
        return (Part(0.0, np.zeros(z.shape[1]), LedoitWolf(assume_centered=True).fit(z).precision_),)
    found = GaussianMixture(count, reg_covar=FLOOR, random_state=0).fit(z)
    triples = zip(np.log(found.weights_).tolist(), found.means_, found.precisions_, strict=True)
    return tuple(Part(*triple) for triple in triples)


def _least(rows: np.ndarray) -> np.ndarray:
    """(S,) below this no scale falls."""
    return LEAST * np.maximum(np.abs(rows).max(0), 1.0)
