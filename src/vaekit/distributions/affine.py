"""A distribution moved and stretched, dimension by dimension."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch import distributions as D

from vaekit.distributions.noise import Noise
from vaekit.distributions.reduce import center, draw, tempered


class Affine(D.Distribution):
    """z = m + s u, u ~ base: log p(z) = log base((z − m) / s) − Σ_d log s_d.

    Args:
        base: Over vectors of width D, elementwise or with coupled dimensions.
        loc, scale: (D,) m and s > 0.

    Example:
        >>> import torch
        >>> from torch.distributions import Normal
        >>> p = Affine(Normal(torch.zeros(2), torch.ones(2)), torch.ones(2), torch.full((2,), 3.0))
        >>> p.mean, p.variance
        (tensor([1., 1.]), tensor([9., 9.]))
    """

    arg_constraints: dict = {}
    has_rsample = False

    def __init__(self, base: D.Distribution, loc: Tensor, scale: Tensor) -> None:
        self.base, self.loc, self.scale = base, loc, scale
        super().__init__(base.batch_shape, base.event_shape, validate_args=False)

    def expand(self, batch_shape: Sequence[int], _instance: object = None) -> Affine:
        """The same distribution for every row of another batch shape."""
        return Affine(self.base.expand(torch.Size(batch_shape)), self.loc, self.scale)

    def log_prob(self, value: Tensor) -> Tensor:
        """log p(z), (N, D) → (N, D) or, where the base couples its dimensions, (N,)."""
        inner = self.base.log_prob((value - self.loc) / self.scale)
        change = self.scale.log()
        return inner - (change if inner.dim() == value.dim() else change.sum())

    def draw(self, noise: Noise) -> tuple[Tensor, None]:
        """One value for each row."""
        return self.loc + self.scale * draw(self.base, noise)[0], None

    @property
    def mean(self) -> Tensor:
        return self.loc + self.scale * self.base.mean

    @property
    def variance(self) -> Tensor:
        return self.scale.square() * self.base.variance


@center.register
def _(d: Affine) -> Tensor:
    return d.loc + d.scale * center(d.base)


@tempered.register
def _(p: Affine, temperature: float) -> D.Distribution:
    """The base tempered; place and stretch stay."""
    return p if temperature == 1 else Affine(tempered(p.base, temperature), p.loc, p.scale)
