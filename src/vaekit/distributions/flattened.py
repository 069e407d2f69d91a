"""Items of any shape as rows of numbers, so that several kinds can stand side by side in one row."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch import distributions as D

from vaekit.distributions.families import Family
from vaekit.distributions.noise import Noise
from vaekit.distributions.reduce import center, draw
from vaekit.recipes import configurable


class Flattened(D.Distribution):
    """A distribution over (N, *shape) as one over (N, W), W the product of the shape.

    Args:
        base: Elementwise over (N, *shape).
        shape: Of one item.
    """

    arg_constraints: dict = {}
    has_rsample = False

    def __init__(self, base: D.Distribution, shape: Sequence[int]) -> None:
        self.base, self.shape = base, tuple(shape)
        super().__init__(base.batch_shape[:1] + (math.prod(self.shape),), validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        return self.base.log_prob(value.unflatten(1, self.shape)).flatten(1)

    def draw(self, noise: Noise) -> tuple[Tensor, None]:
        return draw(self.base, noise)[0].flatten(1), None

    @property
    def mean(self) -> Tensor:
        return self.base.mean.flatten(1)

    @property
    def variance(self) -> Tensor:
        return self.base.variance.flatten(1)


@center.register
def _(d: Flattened) -> Tensor:
    return center(d.base).flatten(1)


@configurable
class FlatFamily(nn.Module):
    """A family for items of a shape, as one for rows: parameters (N, size) to a `Flattened`.

    Args:
        family: For items (N, *shape), its parameters on axis 1.
        shape: Of one item, the axis of its columns or channels first.

    Example:
        >>> import torch
        >>> from vaekit.distributions import Gaussian
        >>> family = FlatFamily(Gaussian(), [3, 4, 5])
        >>> family.size(60), family(torch.zeros(2, 120)).log_prob(torch.zeros(2, 60)).shape
        (120, torch.Size([2, 60]))
    """

    def __init__(self, family: Family, shape: Sequence[int]) -> None:
        super().__init__()
        self.family, self.shape = family, tuple(shape)
        self.discrete = family.discrete

    def size(self, dim: int) -> int:
        return self.family.size(self.shape[0]) * math.prod(self.shape[1:])

    def forward(self, params: Tensor) -> Flattened:
        return Flattened(self.family(params.unflatten(1, (-1, *self.shape[1:]))), self.shape)

    def adapt(self, px: Flattened, x: Tensor, mask: Tensor | None) -> Flattened:
        """px as it should score x, where the family changes it with the batch."""
        own: Any = getattr(self.family, "adapt", None)
        if own is None:
            return px
        seen = None if mask is None else mask.unflatten(1, self.shape)
        return Flattened(own(px.base, x.unflatten(1, self.shape), seen), self.shape)

    def commit(self, px: Flattened) -> None:
        """Let the family learn from a batch."""
        own: Any = getattr(self.family, "commit", None)
        if own is not None:
            own(px.base)
