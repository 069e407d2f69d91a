"""Importance-weighted bounds: K draws together explain a datum better than one.

w_k = p(x, z_k) / q(z_k | x),  z_k ~ q(z | x)
log p(x) ≥ E[log 1/K Σ_k w_k] ≥ E[1/K Σ_k log w_k] = ELBO
"""

from __future__ import annotations

import math

from torch import Tensor

from vaekit.model import Pass
from vaekit.objectives.term import Term


class ImportanceWeighted(Term):
    """−log 1/K Σ_k p(x, z_k) / q(z_k | x), nats per datum; with K = 1 a sample of −ELBO.

    Where values are missing, the bound is on the likelihood of the observed ones.

    Args:
        samples: K, draws for each datum.

    Source: Burda, Grosse, Salakhutdinov (2016), arXiv:1509.00519; with missing values Mattei, Frellsen (2019), MIWAE,
        arXiv:1812.02633.

    Example:
        >>> ImportanceWeighted(samples=5)
        ImportanceWeighted(samples=5)
    """

    def __init__(self, samples: int = 5) -> None:
        super().__init__()
        self.samples = counted(samples, "samples")

    def forward(self, out: Pass, step: int) -> Tensor:
        return -log_mean(out.log_weight.view(-1, out.samples))  # (B,)

    def __repr__(self) -> str:
        return f"ImportanceWeighted(samples={self.samples})"


class MultiplyImportanceWeighted(Term):
    """−1/M Σ_m log 1/K Σ_k w_mk, nats per datum: the mean of M bounds of K draws each.

    K sets how tight the bound is, M how little noise its gradient has; K = 1 is the ELBO, M = 1 the IWAE. (Not the
    MIWAE of Mattei and Frellsen, which is `ImportanceWeighted` where values are missing.)

    Args:
        groups: M, bounds for each datum.
        inner: K, draws for each bound.

    Source: Rainforth, Kosiorek, Le, Maddison, Igl, Wood, Teh (2018), arXiv:1802.04537 (MIWAE).

    Example:
        >>> MultiplyImportanceWeighted(groups=4, inner=2).samples
        8
    """

    def __init__(self, groups: int = 4, inner: int = 4) -> None:
        super().__init__()
        self.groups, self.inner = counted(groups, "groups"), counted(inner, "inner")
        self.samples = groups * inner

    def forward(self, out: Pass, step: int) -> Tensor:
        return -log_mean(out.log_weight.view(-1, self.groups, self.inner)).mean(1)  # (B,)

    def __repr__(self) -> str:
        return f"MultiplyImportanceWeighted(groups={self.groups}, inner={self.inner})"


class CombinedImportanceWeighted(Term):
    """−(β ELBO + (1 − β) log 1/K Σ_k w_k), nats per datum, with one sample of the ELBO for each of the K draws.

    Args:
        samples: K, draws for each datum.
        beta: β in [0, 1]; 0 is the IWAE, 1 the ELBO.

    Source: Rainforth, Kosiorek, Le, Maddison, Igl, Wood, Teh (2018), arXiv:1802.04537 (CIWAE).

    Example:
        >>> CombinedImportanceWeighted(samples=8, beta=0.5)
        CombinedImportanceWeighted(samples=8, beta=0.5)
    """

    def __init__(self, samples: int = 8, beta: float = 0.5) -> None:
        super().__init__()
        if not 0 <= beta <= 1:
            raise ValueError(f"beta = {beta:g}: the share of the ELBO lies between 0 and 1")
        self.samples, self.beta = counted(samples, "samples"), beta

    def forward(self, out: Pass, step: int) -> Tensor:
        weights = out.log_weight.view(-1, out.samples)  # (B, K)
        return -(self.beta * weights.mean(1) + (1 - self.beta) * log_mean(weights))

    def __repr__(self) -> str:
        return f"CombinedImportanceWeighted(samples={self.samples}, beta={self.beta:g})"


def log_mean(log_weights: Tensor) -> Tensor:
    """log 1/K Σ_k exp(log w_k) over the last axis: (…, K) → (…).

    Example:
        >>> import torch
        >>> log_mean(torch.tensor([[0.0, 0.0, 0.0]]))
        tensor([0.])
    """
    return log_weights.logsumexp(-1) - math.log(log_weights.shape[-1])


def counted(number: int, name: str) -> int:
    """A number of draws, checked."""
    if number < 1:
        raise ValueError(f"{name} = {number}: a datum needs one draw or more")
    return number
