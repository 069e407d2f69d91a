"""A prior that carries noise to latents along learned straight paths: latent diffusion in its simplest form."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vaekit.distributions import Noise
from vaekit.distributions.transported import Transported
from vaekit.networks import MLP
from vaekit.recipes import configurable

TIMES = 8  # frequencies at which a network is told the time


@configurable
class RectifiedFlow(nn.Module):
    """p(z): N(0, I) carried along v(u, t), which is trained to point from noise to data on the line between them.

        u_t = (1 − t) ε + t z,  loss = |v(u_t, t) − (z − ε)|²

    Latents should have mean 0 and variance about 1: wrap it in `Standardised`.

    Args:
        dim: Number of latent dimensions D.
        hidden: Widths of the network's hidden layers.
        condition: Width A of a condition; 0 for none.
        steps: Runge-Kutta steps of a draw.

    Source: Liu, Gong, Liu (2023), Flow straight and fast, arXiv:2209.03003; Rombach, Blattmann, Lorenz, Esser, Ommer
        (2022), arXiv:2112.10752 (diffusion over latents); Esser et al. (2024), arXiv:2403.03206 (the
        times).

    Example:
        >>> prior = RectifiedFlow(3, hidden=[16])
        >>> prior().expand([5]).draw(Noise(0))[0].shape
        torch.Size([5, 3])
    """

    def __init__(
        self, dim: int, hidden: Sequence[int] = (384, 384, 384), condition: int = 0, steps: int = 16
    ) -> None:
        super().__init__()
        self.dim, self.hidden, self.condition, self.steps = dim, list(hidden), condition, steps
        self.net = MLP(dim, dim, hidden=self.hidden, condition=2 * TIMES + 1 + condition, linear=True)

    def forward(self, c: Tensor | None = None) -> Transported:
        """Over (D,); given a condition (N, A), one row for each of its rows."""
        own = c if self.condition else None
        field = lambda u, t: self.velocity(u, u.new_full((u.shape[0], 1), t), own)  # noqa: E731
        rows, like = None if c is None else c.shape[0], self.net.last.bias
        return Transported(field, self.dim, self.steps, rows, like=like.detach())

    def velocity(self, u: Tensor, t: Tensor, c: Tensor | None = None) -> Tensor:
        """v(u, t), (N, D), at times (N, 1)."""
        if self.condition and c is None:
            raise ValueError(f"this prior needs a condition of width {self.condition}")
        angles = math.pi * t * torch.arange(1, TIMES + 1, device=u.device)  # (N, TIMES)
        told = [t, angles.sin(), angles.cos(), *([] if c is None else [c])]
        return self.net(u, torch.cat(told, 1).to(u.dtype))

    def loss(self, z: Tensor, c: Tensor | None, noise: Noise) -> Tensor:
        """|v(u_t, t) − (z − ε)|², (N,), at one time for each latent (N, D)."""
        epsilon, t = noise.normal(z.shape, z), noise.normal((len(z), 1), z).sigmoid()  # most often midway
        aim = self.velocity((1 - t) * epsilon + t * z, t, c if self.condition else None)
        return (aim - (z - epsilon)).square().sum(1)
