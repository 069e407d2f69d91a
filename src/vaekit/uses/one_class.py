"""One-class densities over statistics of items: how far an item's statistics lie from those of ordinary items."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

ABOVE = 0.84  # of a normal variable's values, so many lie below the mean and one standard deviation
LEAST = 1e-9  # of a scale, in shares of the values: what never changes tells nothing until it does


@dataclass(frozen=True)
class OneClass:
    """How odd a vector of statistics is, against those of ordinary items.

        one-sided: mean over statistics of log(1 + softplus(z)),  z = (s − median) / (84 % quantile − median)
        joint: zᵀ P z / 2,  z = (s − mean) / deviation,  P the inverse of the Ledoit–Wolf covariance

    On one side only larger values are odder, and since the logarithm grows slowly no single statistic's heavy tail
    outshouts the others. The joint density is a Gaussian's, in which too small is as odd as too large.

    Attributes:
        centre: (S,) of each statistic.
        scale: (S,) spread of each.
        precision: (S, S) of the standardised statistics where they are judged jointly; None where each is judged alone,
            and only for being too large.

    Example:
        >>> ordinary = np.random.default_rng(0).normal(size=(500, 2))
        >>> one = OneClass.fit(ordinary, joint=False)
        >>> bool(one.score(np.array([[0.0, 9.0]]))[0] > one.score(ordinary).max())
        True
    """

    centre: np.ndarray
    scale: np.ndarray
    precision: np.ndarray | None = None

    @classmethod
    def fit(cls, statistics: np.ndarray, joint: bool) -> OneClass:
        """The density of ordinary items' statistics.

        Args:
            statistics: (n, S), finite.
            joint: Judge all statistics together, on both sides (images); otherwise each alone, and only for being too
                large (tables, vectors and the rest).
        """
        rows = np.asarray(statistics, dtype=np.float64)
        if not joint:
            centre = np.median(rows, 0)
            return cls(centre, np.maximum(np.quantile(rows, ABOVE, axis=0) - centre, _least(rows)))
        from sklearn.covariance import LedoitWolf

        centre, scale = rows.mean(0), np.maximum(rows.std(0), _least(rows))
        fitted = LedoitWolf(assume_centered=True).fit((rows - centre) / scale)
        return cls(centre, scale, fitted.precision_)

    def score(self, statistics: np.ndarray) -> np.ndarray:
        """How odd each vector is, (N, S) → (N,); larger is odder."""
        z = (np.asarray(statistics, dtype=np.float64) - self.centre) / self.scale
        if self.precision is None:
            return np.log1p(np.logaddexp(0.0, z)).mean(1)
        return np.einsum("ns,st,nt->n", z, self.precision, z) / 2

    def facts(self) -> dict[str, Any]:
        """What `from_facts` makes it again from: numbers and lists, for a JSON file."""
        precision = None if self.precision is None else self.precision.tolist()
        return {"centre": self.centre.tolist(), "scale": self.scale.tolist(), "precision": precision}

    @classmethod
    def from_facts(cls, facts: dict[str, Any]) -> OneClass:
        """As `facts` gave it."""
        precision = facts.get("precision")
        return cls(
            np.asarray(facts["centre"], dtype=np.float64),
            np.asarray(facts["scale"], dtype=np.float64),
            None if precision is None else np.asarray(precision, dtype=np.float64),
        )


def _least(rows: np.ndarray) -> np.ndarray:
    """(S,) below this no scale falls."""
    return LEAST * np.maximum(np.abs(rows).max(0), 1.0)
