"""Priors without parameters."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.distributions import Normal

from vaekit.recipes import configurable


@configurable
class StandardNormal(nn.Module):
    """p(z) = N(0, I).

    Args:
        dim: Number of latent dimensions D.

    Example:
        >>> StandardNormal(3)().mean
        tensor([0., 0., 0.])
        >>> StandardNormal(3)(torch.zeros(2, 5)).mean.shape
        torch.Size([2, 3])
    """

    loc: Tensor
    scale: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.register_buffer("loc", torch.zeros(dim), persistent=False)
        self.register_buffer("scale", torch.ones(dim), persistent=False)

    def forward(self, c: Tensor | None = None) -> Normal:
        """N(0, I) over (D,); given a condition (N, A), one row for each of its rows, whatever it is."""
        if c is None:
            return Normal(self.loc, self.scale, validate_args=False)
        shape = (c.shape[0], self.dim)
        return Normal(self.loc.expand(shape), self.scale.expand(shape), validate_args=False)
