"""A stack of latent variables, top first: each is drawn given the state that those above have left.

p(z) = Π_l p(z_l | z_<l),  q(z | x) = Π_l q(z_l | z_<l, h_l)
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Normal

from vaekit.bottlenecks.bottleneck import Bottleneck, Latent, needed
from vaekit.distributions import MEAN, Noise, center, draw, rows, spread, tempered
from vaekit.recipes import configurable


@configurable
class TopDown(Bottleneck):
    """The bottleneck of hierarchical VAEs: layers of latent variables from the most abstract to the most detailed.

    Args:
        layers: Top first; `StochasticLayer`, `LadderLayer`, or any with their call.
        levels: Which of the encoder's features each layer hears, by place; never falling.
        shape: (W, …) of the state that the top layer receives, a learned constant.
        rises: A network from the state of one level to that of the next, for each change of level; none where all
            levels have one shape.
        prior: c → p(z | c), in place of the top layer's own.

    Raises:
        ValueError: There are no layers, or the numbers of levels or rises do not fit.

    Source: Child (2021), Very deep VAEs, arXiv:2011.10650; Sønderby, Raiko, Maaløe, Sønderby, Winther (2016),
        arXiv:1602.02282.

    Example:
        >>> from vaekit.bottlenecks.stochastic import LadderLayer
        >>> from vaekit.networks.blocks import DenseBlock
        >>> layers = [
        ...     LadderLayer(2, None, DenseBlock(6, 8, 4), nn.Linear(2, 8), DenseBlock(8, 8, 8)),
        ...     LadderLayer(3, DenseBlock(8, 8, 6), DenseBlock(6, 8, 6), nn.Linear(3, 8), DenseBlock(8, 8, 8)),
        ... ]
        >>> stack = TopDown(layers, [0, 1], [1])
        >>> state, latents = stack([torch.zeros(5, 6), torch.zeros(5, 6)])
        >>> state.shape, [latent.z.shape[1] for latent in latents]
        (torch.Size([5, 8]), [2, 3])
    """

    def __init__(
        self,
        layers: Sequence[nn.Module],
        levels: Sequence[int],
        shape: Sequence[int],
        rises: Sequence[nn.Module] = (),
        prior: nn.Module | None = None,
    ) -> None:
        super().__init__()
        if not len(layers) or len(levels) != len(layers):
            raise ValueError(f"{len(layers)} layers need as many levels, and there are {len(levels)}")
        changes = sum(a != b for a, b in pairwise(levels))
        if len(rises) not in (0, changes):
            raise ValueError(f"the level changes {changes} times, and there are {len(rises)} rises")
        self.layers, self.levels, self.shape = nn.ModuleList(layers), list(levels), tuple(shape)
        self.rises, self.prior = nn.ModuleList(rises), prior
        heard = getattr(layers[0], "hears_state", True)
        self.root = nn.Parameter(torch.zeros(self.shape), requires_grad=heard)

    def forward(
        self,
        h: Any = None,
        c: Tensor | None = None,
        z: Any = None,
        n: int | None = None,
        noise: Noise = MEAN,
        temperature: float = 1.0,
    ) -> tuple[Tensor, list[Latent]]:
        values = self._values(z)
        state = self.root.expand(_rows(h, values, c, n), *self.shape)
        rises, latents = iter(self.rises), list[Latent]()
        for i, (layer, level) in enumerate(zip(self.layers, self.levels, strict=True)):
            if i and level != self.levels[i - 1] and len(self.rises):
                state = next(rises)(state)
            replaced = self._replaced(layer, state, c) if i == 0 and self.prior is not None else None
            feature = None if h is None else h[level]
            state, latent = layer(state, noise, feature, c, values[i], temperature, replaced)
            latents.append(latent)
        return state, latents

    def _values(self, z: Any) -> list[Tensor | None]:
        if z is None:
            return [None] * len(self.layers)
        values = list(z) if isinstance(z, list | tuple) else [z]
        if len(values) != len(self.layers):
            raise ValueError(f"{len(self.layers)} layers need as many values or Nones, not {len(values)}")
        return values

    def _replaced(self, layer: Any, state: Tensor, c: Tensor | None) -> Distribution:
        """The prior that stands in for the top layer's own, over (N, *latent)."""
        p = self.prior(c)  # type: ignore[misc]
        p = rows(p, state.shape[0]) if c is None else p
        return unflattened(p, (layer.latent, *self.shape[1:]))

    def with_prior(self, prior: nn.Module) -> TopDown:
        """The same stack with p(z_1) replaced: that of its top variable; those below go on as they were learned."""
        stack = TopDown(list(self.layers), self.levels, self.shape, list(self.rises), prior)
        stack.root = self.root
        return stack

    def see_first(self, features: Any, x: Tensor) -> None:
        own = getattr(self.prior, "see_first", None)
        if own is not None:
            own(x)


def _rows(h: Any, values: list[Tensor | None], c: Tensor | None, n: int | None) -> int:
    """The number of rows of a pass, from whatever tells it."""
    told = [*([] if h is None else h), *values, c]
    found = next((t.shape[0] for t in told if t is not None), n)
    return needed(found)


class Unflattened(Distribution):
    """A distribution over vectors, (N, D), as one over (N, *shape).

    Args:
        base: Over (N, D).
        shape: Shape of one value, of D numbers.
    """

    arg_constraints = {}  # noqa: RUF012

    def __init__(self, base: Distribution, shape: Sequence[int]) -> None:
        self.base, self.shape = base, tuple(shape)
        super().__init__(base.batch_shape[:1], torch.Size(self.shape), validate_args=False)

    def draw(self, noise: Noise) -> tuple[Tensor, Tensor | None]:
        """A value and, where drawing yields it, its log density."""
        z, log_q = draw(self.base, noise)
        return z.unflatten(1, self.shape), log_q

    def log_prob(self, value: Tensor) -> Tensor:
        """(N, *shape) → what the base says of (N, D)."""
        return self.base.log_prob(value.flatten(1))

    @property
    def mean(self) -> Tensor:
        return center(self.base).unflatten(1, self.shape)

    @property
    def variance(self) -> Tensor:
        return spread(self.base).square().unflatten(1, self.shape)


@tempered.register
def _(p: Unflattened, temperature: float) -> Distribution:
    return Unflattened(tempered(p.base, temperature), p.shape)


def unflattened(p: Distribution, shape: Sequence[int]) -> Distribution:
    """p over (N, D) as one over (N, *shape); a plain Gaussian stays one, so that its KL has a closed form."""
    if (*p.batch_shape, *p.event_shape)[1:] == tuple(shape):
        return p
    if type(p) is Normal:
        loc, scale = p.loc.unflatten(1, tuple(shape)), p.scale.unflatten(1, tuple(shape))
        return Normal(loc, scale, validate_args=False)
    return Unflattened(p, shape)
