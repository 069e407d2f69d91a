"""A Gaussian pushed through an invertible map."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch import distributions as D

from vaekit.distributions.noise import Noise
from vaekit.distributions.reduce import center, tempered

POINTS = 64  # of the base, at which moments are taken


class Flowed(D.Distribution):
    """z = g(ε), ε ~ N(μ, diag σ²): log p(z) = log N(g⁻¹(z)) + log |det ∂g⁻¹/∂z|; it couples the dimensions.

    Args:
        push: g, from (*rows, D) to (*rows, D), one of zuko's transforms or a composition of them.
        base: The Gaussian, over (*rows, D).

    Example:
        >>> from torch.distributions import AffineTransform, Normal
        >>> import zuko  # whose transforms give value and determinant together
        >>> p = Flowed(AffineTransform(1.0, 2.0, event_dim=1), Normal(torch.zeros(2), torch.ones(2)))
        >>> p.log_prob(torch.ones(2))
        tensor(-3.2242)
    """

    arg_constraints: dict = {}
    has_rsample = False

    def __init__(self, push: D.Transform, base: D.Normal) -> None:
        self.push, self.base = push, base
        super().__init__(base.batch_shape[:-1], base.batch_shape[-1:], validate_args=False)

    def expand(self, batch_shape: Sequence[int], _instance: object = None) -> Flowed:
        """The same distribution for every row of another batch shape."""
        return Flowed(self.push, self.base.expand(torch.Size((*batch_shape, *self.event_shape))))

    def log_prob(self, value: Tensor) -> Tensor:
        """log p(z), (*rows, D) → (*rows,)."""
        epsilon, change = self.push.inv.call_and_ladj(value)  # type: ignore[attr-defined]
        return self.base.log_prob(epsilon).sum(-1) + change

    def draw(self, noise: Noise) -> tuple[Tensor, Tensor]:
        """One value for each row, and its log density, which the way there yields."""
        epsilon = self.base.loc + self.base.scale * noise.normal(self.base.loc.shape, self.base.loc)
        z, change = self.push.call_and_ladj(epsilon)  # type: ignore[attr-defined]
        return z, self.base.log_prob(epsilon).sum(-1) - change

    @property
    def mean(self) -> Tensor:
        """E[z] over the 64 fixed points that `variance` uses."""
        return self._pushed().mean(0)

    @property
    def variance(self) -> Tensor:
        """Var[z] over 64 fixed points ±ε of the base, whose own mean and variance are exact.

        It is exact where g scales and shifts each dimension, and otherwise as good as 64 draws; always the same.
        """
        return self._pushed().var(0, unbiased=False)

    def _pushed(self) -> Tensor:
        """The points, each for every row, (64, *rows, D); one after another, since a row may be a batch."""
        loc, scale = self.base.loc, self.base.scale
        half = Noise(0, "moments").normal((POINTS // 2, *self.event_shape), loc)
        half = half / half.square().mean(0).sqrt()
        return torch.stack([self.push(loc + scale * point) for point in (*half, *-half)])


@center.register
def _(d: Flowed) -> Tensor:
    """The base's centre, pushed through: the mean itself is known for few flows."""
    return d.push(d.base.loc)


@tempered.register
def _(p: Flowed, temperature: float) -> D.Distribution:
    """The same map of a narrower or wider base."""
    return p if temperature == 1 else Flowed(p.push, tempered(p.base, temperature))  # type: ignore[arg-type]
