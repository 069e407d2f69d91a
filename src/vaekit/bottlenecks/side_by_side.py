"""Several latent variables that know nothing of each other, beside one another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from vaekit.bottlenecks.bottleneck import Bottleneck, Latent
from vaekit.bottlenecks.variational import Variational
from vaekit.distributions import MEAN, Noise
from vaekit.recipes import configurable


@configurable
class SideBySide(Bottleneck):
    """q(z_1, …, z_M | h) = Π q(z_m | h): parts that each see all of h, and whose values the decoder gets in one row.

    Args:
        parts: Two bottlenecks of one latent variable or more; the state is their states side by side.

    Raises:
        ValueError: There are fewer than two parts.

    Source: Dupont (2018), Learning disentangled joint continuous and discrete representations, arXiv:1804.00104, puts a
        Gaussian beside a relaxed category.

    Example:
        >>> from vaekit.conditional import Conditional
        >>> from vaekit.distributions import Gaussian
        >>> from vaekit.priors import StandardNormal
        >>> parts = [Variational(Conditional(nn.Linear(8, 2 * d), Gaussian()), StandardNormal(d)) for d in (3, 2)]
        >>> state, latents = SideBySide(parts)(torch.zeros(5, 8))
        >>> state.shape, [latent.z.shape[1] for latent in latents]
        (torch.Size([5, 5]), [3, 2])
    """

    def __init__(self, parts: Sequence[Variational]) -> None:
        super().__init__()
        if len(parts) < 2:
            raise ValueError(f"{len(parts)} part: parts stand side by side from two on; use the part itself")
        self.parts = nn.ModuleList(parts)

    def forward(
        self,
        h: Any = None,
        c: Tensor | None = None,
        z: Any = None,
        n: int | None = None,
        noise: Noise = MEAN,
        temperature: float = 1.0,
    ) -> tuple[Tensor, list[Latent]]:
        given = [None] * len(self.parts) if z is None else list(z)
        if len(given) != len(self.parts):
            raise ValueError(f"{len(given)} latent values were given to {len(self.parts)} parts")
        n = next((value.shape[0] for value in given if value is not None), n)
        found = [
            part(h, c, value, n, noise, temperature) for part, value in zip(self.parts, given, strict=True)
        ]
        state = torch.cat([own.flatten(1) for own, _ in found], 1)
        return state, [latent for _, latents in found for latent in latents]

    def with_prior(self, prior: nn.Module) -> SideBySide:
        """The same parts, the first of them with another prior."""
        first, *others = self.parts
        return SideBySide([first.with_prior(prior), *others])  # type: ignore[operator,list-item]

    def see_first(self, features: Callable[[], Any], x: Tensor) -> None:
        for part in self.parts:
            part.see_first(features, x)  # type: ignore[operator]

    def between(self, start: Any, end: Any, weight: Tensor) -> Any:
        values = zip(self.parts, start, end, strict=True)
        return [part.between(a, b, weight) for part, a, b in values]  # type: ignore[operator]
