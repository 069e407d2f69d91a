"""Whole numbers that are all equally probable."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch import distributions as D

from vaekit.distributions.noise import Noise
from vaekit.distributions.reduce import center, tempered


class UniformLevels(D.Distribution):
    """P(x) = 1/K for x in 0 … K−1, elementwise.

    Args:
        sizes: K of each value, (*shape), whole numbers.
    """

    arg_constraints: dict = {}
    has_rsample = False

    def __init__(self, sizes: Tensor) -> None:
        self.sizes = sizes
        super().__init__(sizes.shape, validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        inside = (value >= 0) & (value < self.sizes)
        return torch.where(inside, -self.sizes.to(torch.get_default_dtype()).log(), -torch.inf)

    def draw(self, noise: Noise) -> tuple[Tensor, None]:
        u = noise.uniform(
            self.sizes.shape, self.sizes.double()
        )  # in double, so that a large K is reached evenly
        return (u * self.sizes).long().minimum(self.sizes - 1), None

    def expand(self, batch_shape: Sequence[int], _instance: object = None) -> UniformLevels:
        return UniformLevels(self.sizes.expand(batch_shape))

    def entropy(self) -> Tensor:
        return self.sizes.to(torch.get_default_dtype()).log()

    @property
    def mean(self) -> Tensor:
        return (self.sizes - 1) / 2

    @property
    def variance(self) -> Tensor:
        return (self.sizes**2 - 1) / 12


@center.register
def _(d: UniformLevels) -> Tensor:
    """The first of the levels, which are all as probable."""
    return torch.zeros_like(d.sizes)


@tempered.register
def _(p: UniformLevels, temperature: float) -> D.Distribution:
    """Itself: a power of a constant is a constant."""
    return p
