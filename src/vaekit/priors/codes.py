"""Uniform priors over discrete latents: every code, and every category, equally probable."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vaekit.distributions.gumbel import OneHot, hard
from vaekit.distributions.uniform import UniformLevels
from vaekit.recipes import configurable


@configurable
class UniformCodes(nn.Module):
    """p(z) = Π 1/K over maps of codes 0 … K−1: its code length is log K nats for each of them.

    Args:
        shape: Shape of the map, (*grid), (*grid, stages) or (*grid, dims).
        levels: K of every code, or a K for each place on the last axis.

    Raises:
        ValueError: There is no K for some place, or a K below 1.

    Example:
        >>> p = UniformCodes((4, 2), [8, 5])()
        >>> round(float(-p.log_prob(torch.zeros(1, 4, 2, dtype=torch.long)).sum()), 3)  # 4 (log 8 + log 5)
        14.756
    """

    sizes: Tensor

    def __init__(self, shape: Sequence[int], levels: int | Sequence[int]) -> None:
        super().__init__()
        self.shape, self.levels = tuple(shape), levels if isinstance(levels, int) else list(levels)
        each = [self.levels] if isinstance(self.levels, int) else self.levels
        if min(each) < 1 or (not isinstance(self.levels, int) and len(each) != self.shape[-1]):
            raise ValueError(f"codes of shape {self.shape} need one positive number of levels, or one for each place "
                             f"on the last axis; not {levels}")  # fmt: skip
        sizes = torch.as_tensor(self.levels).expand(self.shape)
        self.register_buffer("sizes", sizes, persistent=False)

    def forward(self, c: Tensor | None = None) -> UniformLevels:
        """Over (*shape); given a condition (N, A), one map for each of its rows, whatever it is."""
        return UniformLevels(self.sizes if c is None else self.sizes.expand(c.shape[0], *self.shape))


@configurable
class UniformOneHot(nn.Module):
    """p(z) = Π 1/K over groups of categories, each a one-hot vector of K levels.

    Args:
        groups: Number of categories G.
        levels: K of each.

    Example:
        >>> UniformOneHot(2, 3)().mean
        tensor([0.3333, 0.3333, 0.3333, 0.3333, 0.3333, 0.3333])
    """

    logits: Tensor

    def __init__(self, groups: int, levels: int) -> None:
        super().__init__()
        self.groups, self.levels = groups, levels
        self.register_buffer("logits", torch.zeros(groups, levels), persistent=False)

    def forward(self, c: Tensor | None = None) -> OneHot:
        """Over (G·K,); given a condition (N, A), one row for each of its rows, whatever it is."""
        return OneHot(self.logits if c is None else self.logits.expand(c.shape[0], self.groups, self.levels))

    def settle(self, z: Tensor) -> Tensor:
        """Any numbers (N, G·K) as the one-hot vectors of their largest, group by group."""
        return hard(z.unflatten(-1, (-1, self.levels))).flatten(-2)

    def between(self, start: Tensor, end: Tensor, weight: Tensor) -> Tensor:
        """From one value (1, G·K) to another, the groups that differ changing one after the other, (S, G·K)."""
        a, b = (t.unflatten(-1, (-1, self.levels)) for t in (start, end))
        differs = (a != b).any(-1)  # (1, G)
        place = differs.cumsum(-1) - 0.5  # of each change in the order of changes
        turned = weight.to(start.dtype).unsqueeze(-1) * differs.sum(-1, keepdim=True) > place  # (S, G)
        return torch.where(turned.unsqueeze(-1), b, a).flatten(-2)
