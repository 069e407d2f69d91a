"""The cells of a table's row as numbers that a network can take: numbers as they are, categories as one-hot vectors."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import torch
from torch import Tensor, nn

from vaekit.recipes import configurable


@configurable
class Cells(nn.Module):
    """A network on the cells of a row; a category enters as a one-hot vector, a hole as zeros.

    The first layer of the network gives each category a vector of its own: its embedding.

    Args:
        numbers: How many columns of a row, the first ones, are numbers or bits.
        levels: Number of categories of each further column, whose values are 0, 1, ….
        net: (N, numbers + Σ levels) → (N, outputs); it may take a condition too.

    Example:
        >>> cells = Cells(1, [2, 3], nn.Identity())
        >>> cells.features(torch.tensor([[0.5, 1.0, 2.0]]))
        tensor([[0.5000, 0.0000, 1.0000, 0.0000, 0.0000, 1.0000]])
    """

    masked = True
    offsets: Tensor

    def __init__(self, numbers: int, levels: Sequence[int], net: nn.Module) -> None:
        super().__init__()
        self.numbers, self.levels, self.net = numbers, [int(count) for count in levels], net
        starts = list(accumulate(self.levels, initial=0))[:-1]
        self.register_buffer("offsets", torch.tensor(starts, dtype=torch.long), persistent=False)

    def features(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """(N, P) cells, zero where masked → (N, numbers + Σ levels)."""
        if not self.levels:
            return x
        places = x[:, self.numbers :].long() + self.offsets  # (N, C)
        seen = x.new_ones(places.shape) if mask is None else mask[:, self.numbers :].to(x.dtype)
        hot = x.new_zeros(x.shape[0], sum(self.levels)).scatter_(1, places, seen)
        return torch.cat([x[:, : self.numbers], hot], 1)

    def forward(self, x: Tensor, c: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """(N, P) → (N, outputs)."""
        h = self.features(x, mask)
        return self.net(h) if c is None else self.net(h, c)
