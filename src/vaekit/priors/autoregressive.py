"""A prior over maps of codes: each given those before it, in raster order."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vaekit.distributions.autoregressive import Autoregressive, Place, Walker
from vaekit.networks.sequence import CausalTransformer
from vaekit.recipes import configurable


@configurable
class AutoregressiveCodes(nn.Module):
    """p(codes) = Π_t p(code_t | code_<t) by a causal transformer.

    Args:
        shape: Shape of the map of codes, (*grid) or with stages or dimensions on the last axis.
        levels: K of every code, or a K for each place on the last axis.
        condition: Width A of a condition; 0 for none.
        width: Features of a place in the transformer.
        depth: Its blocks.

    Source: van den Oord, Vinyals, Kavukcuoglu (2017), arXiv:1711.00937; Razavi, van den Oord, Vinyals (2019),
        arXiv:1906.00446.

    Example:
        >>> prior = AutoregressiveCodes([2, 2], 8, width=16, depth=1)
        >>> prior().log_prob(torch.zeros(5, 2, 2, dtype=torch.long)).shape
        torch.Size([5, 2, 2])
    """

    def __init__(
        self,
        shape: Sequence[int],
        levels: int | Sequence[int],
        condition: int = 0,
        width: int = 128,
        depth: int = 3,
    ) -> None:
        super().__init__()
        self.shape, self.levels = tuple(shape), levels if isinstance(levels, int) else list(levels)
        self.condition, self.width, self.depth = condition, width, depth
        self.net = _Flattened(self.shape, self.levels, condition, width, depth)

    def forward(self, c: Tensor | None = None) -> Autoregressive:
        """Over (*shape); given a condition (N, A), one map for each of its rows."""
        context = c if self.condition else None
        rows = None if c is None else c.shape[0]
        return Autoregressive(self.net, context, self.shape, rows=rows)


class _Flattened(nn.Module):
    """The transformer on maps in raster order; levels that a place does not have are impossible."""

    possible: Tensor

    def __init__(
        self, shape: Sequence[int], levels: int | Sequence[int], condition: int, width: int, depth: int
    ) -> None:
        super().__init__()
        sizes = torch.as_tensor(levels).expand(tuple(shape)).flatten()  # (T,)
        most = levels if isinstance(levels, int) else max(levels)
        self.register_buffer("possible", torch.arange(most) < sizes.unsqueeze(1), persistent=False)  # (T, K)
        self.net = CausalTransformer(most, math.prod(shape), condition, width, depth)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """(N, *shape) → logits (N, *shape, K)."""
        logits = self.net(x.flatten(1), context)
        return logits.masked_fill(~self.possible, -torch.inf).unflatten(1, x.shape[1:])

    def walker(self, context: Tensor | None) -> Walker:
        """(x, place) → logits (N, 1, …, K) of one place, from a pass over no more than what came before."""
        own = self.net.walker(context)

        def logits(x: Tensor, place: Place) -> Tensor:
            t = sum(i * math.prod(x.shape[axis + 2 :]) for axis, i in enumerate(place))  # in raster order
            found = own(x.flatten(1), (t,)).masked_fill(~self.possible[t], -torch.inf)  # (N, 1, K)
            return found.view(x.shape[0], *(1,) * len(place), -1)

        return logits
