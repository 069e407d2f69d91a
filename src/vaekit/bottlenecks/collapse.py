"""Posterior families that cannot collapse onto N(0, I): by their means over a batch, or by their spread."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch import distributions as D

from vaekit.distributions.scales import positive
from vaekit.recipes import configurable

MOMENTUM = 0.02  # weight of a batch in the running statistics; more at first, where they are plain means
TINY = 1e-8  # variance below which a batch tells nothing of a scale


@configurable
class NormalizedGaussian(nn.Module):
    """N(z; μ, σ²) whose means are normalised over the batch to mean 0 and standard deviation γ in every dimension.

        μ = γ (m − mean(m)) / std(m),  so that  E_x[KL(q ‖ N(0, 1))] ≥ γ² / 2 in every dimension

    While training the statistics are the batch's own; they are also kept as running ones, which evaluation uses, so
    that a datum's code does not depend on its neighbours.

    Args:
        dim: Number of latent dimensions D.
        gamma: γ.

    Raises:
        ValueError: γ is not above 0.

    Source: Zhu, Bi, Liu, Ma, Li, Wu (2020), A batch normalized inference network keeps the KL vanishing away,
    arXiv:2004.12752 (without its learned shift).

    Example:
        >>> q = NormalizedGaussian(3, gamma=0.5)(torch.randn(8, 6))
        >>> bool(torch.allclose(q.mean.std(0, correction=0), torch.tensor(0.5), atol=1e-4))
        True
    """

    discrete = False
    location: Tensor
    variance: Tensor
    batches: Tensor

    def __init__(self, dim: int, gamma: float = 0.7) -> None:
        super().__init__()
        if not gamma > 0:
            raise ValueError(f"gamma is above 0, not {gamma}")
        self.dim, self.gamma = dim, gamma
        self.register_buffer("location", torch.zeros(dim))
        self.register_buffer("variance", torch.ones(dim))
        self.register_buffer("batches", torch.zeros(()))

    def size(self, dim: int) -> int:
        return 2 * dim

    def forward(self, params: Tensor) -> D.Distribution:
        """(N, 2 D) → N(μ, σ²) over (N, D)."""
        raw, spread = params.chunk(2, 1)
        location, variance = self.location, self.variance
        if self.training:
            location, variance = raw.mean(0), raw.var(0, correction=0)
        mean = self.gamma * (raw - location) * (variance + TINY).rsqrt()
        q = D.Normal(mean, positive(spread, 1.0, 1e-4), validate_args=False)
        q.seen = (location.detach(), variance.detach())  # type: ignore[attr-defined]  # for `commit`
        return q

    def commit(self, q: Any) -> None:
        """After the finite check, the running statistics learn from the batch's own."""
        if not self.training:
            return
        self.batches += 1
        weight = torch.clamp(1 / self.batches, min=MOMENTUM)
        self.location.lerp_(q.seen[0], weight)
        self.variance.lerp_(q.seen[1], weight)


@configurable
class CommittedGaussian(nn.Module):
    """N(z; μ, σ²) whose KL against N(0, 1) is at least δ in every dimension, wherever its mean lies.

        0 < σ ≤ σ_δ,  (σ_δ² − 1 − log σ_δ²) / 2 = δ,  σ_δ < 1

    Since the rate is paid in any case, it is cheaper to let the mean tell something about x than to leave it at zero.

    Args:
        floor: δ, nats for each dimension.

    Raises:
        ValueError: δ is not above 0.

    Source: Razavi, van den Oord, Poole, Vinyals (2019), Preventing posterior collapse with δ-VAEs, arXiv:1901.03416
    (the version of independent Gaussians).

    Example:
        >>> q = CommittedGaussian(0.25)(torch.zeros(1, 4))
        >>> float(0.5 * (q.mean**2 + q.scale**2 - 1 - 2 * q.scale.log()).min()) >= 0.25
        True
    """

    discrete = False

    def __init__(self, floor: float) -> None:
        super().__init__()
        if not 0 < floor < math.inf:
            raise ValueError(f"the floor of the rate is a number above 0, not {floor}")
        self.floor = floor
        self.widest = widest(floor)

    def size(self, dim: int) -> int:
        return 2 * dim

    def forward(self, params: Tensor) -> D.Distribution:
        """(N, 2 D) → N(μ, σ²) over (N, D)."""
        mean, raw = params.chunk(2, 1)
        return D.Normal(mean, self.widest * torch.sigmoid(raw + 2).clamp(min=1e-4), validate_args=False)


def widest(floor: float) -> float:
    """The σ below 1 at which KL(N(0, σ²) ‖ N(0, 1)) is `floor` nats.

    Example:
        >>> sigma = widest(0.25)
        >>> round((sigma**2 - 1) / 2 - math.log(sigma), 9)
        0.25
    """
    low, high = -floor - 0.5, 0.0  # of log σ: KL ≥ −1/2 − log σ
    for _ in range(200):
        middle = (low + high) / 2
        over = (math.expm1(2 * middle)) / 2 - middle >= floor
        low, high = (middle, high) if over else (low, middle)
    return math.exp(low)
