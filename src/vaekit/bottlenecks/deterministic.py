"""The code is the encoder's output itself: plain and regularised autoencoders."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from vaekit.bottlenecks.bottleneck import Bottleneck, Latent, needed
from vaekit.distributions import MEAN, Noise, PointMass, draw, rows, tempered
from vaekit.recipes import configurable


@configurable
class Deterministic(Bottleneck):
    """z = h. It can be sampled once it has a prior; it never has a rate.

    Args:
        prior: () → p(z), or None.

    Example:
        >>> import torch
        >>> z, [latent] = Deterministic()(torch.ones(2, 3))
        >>> z.shape, latent.p
        (torch.Size([2, 3]), None)
    """

    stochastic = False

    def __init__(self, prior: nn.Module | None = None) -> None:
        super().__init__()
        self.prior = prior

    def forward(
        self,
        h: Any = None,
        c: Tensor | None = None,
        z: Any = None,
        n: int | None = None,
        noise: Noise = MEAN,
        temperature: float = 1.0,
    ) -> tuple[Tensor, list[Latent]]:
        p = None if self.prior is None else self.prior(c)
        z = h if z is None else z
        if z is None:
            p = tempered(Latent(z, None, p).prior, temperature)  # type: ignore[arg-type]
            z, _ = draw(rows(p, needed(n)) if c is None else p, noise)
        return z, [Latent(z, PointMass(z), p)]

    def with_prior(self, prior: nn.Module) -> Deterministic:
        return Deterministic(prior)
