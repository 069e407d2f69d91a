"""A flow: layers that can be undone, each moving half of the pixels by splines that the other half chooses.

    log p(y) = Σ log |det ∂f/∂y| + log p(f(y)),   y = (x + u) / 16, u uniform:   −log₂ p(x) ≤ E_u [−log₂ p(y) + 4 · 196]

Values live in the unit cube from end to end and the base is uniform there. A spline is a piecewise linear distribution
function: within one of its bins the density is even.

Source: Müller, McWilliams, Rousselle, Gross, Novák (2019), Neural importance sampling, arXiv:1808.03856;
uniform noise: Theis, van den Oord, Bethge (2016), arXiv:1511.01844.
"""

from __future__ import annotations

import math
from itertools import cycle, islice

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from family_rows.shared import LEVELS, PIXELS, SIDE, Descent, Learner, bits_per_pixel, in_parts
from vaekit.distributions import Noise
from vaekit.networks.blocks import DenseBlock

FLOOR = 1e-4  # least density of a spline


def linear_spline(y: Tensor, logits: Tensor, inverse: bool = False) -> tuple[Tensor, Tensor]:
    """A piecewise linear distribution function of the unit interval, or its inverse, and the logarithm of its slope.

    Args:
        y: (...,) in [0, 1].
        logits: (..., K) of the mass in K bins of equal width.
    """
    bins = logits.shape[-1]
    mass = logits.softmax(-1) * (1 - FLOOR) + FLOOR / bins
    edges = functional.pad(mass.cumsum(-1), (1, 0))  # (..., K + 1)
    if inverse:
        at = (torch.searchsorted(edges, y[..., None], right=True) - 1).clamp(0, bins - 1)
    else:
        at = (y[..., None] * bins).floor().clamp(0, bins - 1).long()
    own, before = mass.gather(-1, at)[..., 0], edges.gather(-1, at)[..., 0]
    slope = (own * bins).log()
    if inverse:
        return ((y - before) / own + at[..., 0]) / bins, -slope
    return before + own * (y * bins - at[..., 0]), slope


def masks(side: int, layers: int) -> list[Tensor]:
    """Which pixels (side · side,) stay in each layer: chessboards of squares of 1, 2 and 4 pixels in turn."""
    i, j = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    boards = [(((i // w) + (j // w)) % 2 == parity).flatten() for w in (1, 2, 4) for parity in (0, 1)]
    return list(islice(cycle(boards), layers))


class Coupling(nn.Module):
    """Pixels outside a mask move by splines that a network of those inside chooses."""

    def __init__(self, stays: Tensor, width: int, depth: int, bins: int) -> None:
        super().__init__()
        self.bins = bins
        self.register_buffer("stay", stays.nonzero()[:, 0], persistent=False)
        self.register_buffer("move", (~stays).nonzero()[:, 0], persistent=False)
        self.first = nn.Linear(2 * len(self.stay), width)
        self.blocks = nn.ModuleList(DenseBlock(width, width, width, gain=0.3) for _ in range(depth))
        self.last = nn.Linear(width, len(self.move) * bins)
        nn.init.normal_(self.last.weight, std=1e-3)
        nn.init.zeros_(self.last.bias)

    def forward(self, y: Tensor, inverse: bool = False) -> tuple[Tensor, Tensor]:
        """(B, P) → (B, P) and log |det|, (B,)."""
        seen = y[:, self.stay]
        h = self.first(torch.cat([2 * seen - 1, (seen * LEVELS).clamp(max=1)], 1))  # the second: is it black?
        for block in self.blocks:
            h = h + block(h)
        logits = self.last(functional.silu(h)).unflatten(1, (-1, self.bins))
        moved, slope = linear_spline(y[:, self.move], logits, inverse)
        out = y.clone()
        out[:, self.move] = moved
        return out, slope.sum(1)


class Couplings(nn.Module):
    """Images in the unit cube (B, P) → uniform numbers.

    Args:
        side: Of images.
        layers: Couplings.
        width, depth: Of each one's network.
        bins: Of each spline.
    """

    def __init__(
        self, side: int = SIDE, layers: int = 6, width: int = 192, depth: int = 1, bins: int = 16
    ) -> None:
        super().__init__()
        self.pixels = side * side
        self.layers = nn.ModuleList(Coupling(stays, width, depth, bins) for stays in masks(side, layers))

    def forward(self, y: Tensor) -> tuple[Tensor, Tensor]:
        total = torch.zeros(len(y))
        for layer in self.layers:
            y, slope = layer(y)
            total = total + slope
        return y, total

    def inverse(self, u: Tensor) -> Tensor:
        for layer in reversed(self.layers):
            u = layer(u, inverse=True)[0]
        return u


class Flow(Learner):
    """Trained by the likelihood of images with uniform noise within their levels.

    Args:
        seed: Of the weights.
        lr: Largest learning rate.
        options: Of the network.
    """

    batch = 64

    def __init__(self, seed: int, lr: float = 2e-3, **options: int) -> None:
        with Noise(seed, "weights").torch():
            self.net = Couplings(**options)
        self.descent = Descent(self.net, lr, decay=1e-2)

    def step(self, images: Tensor, done: float) -> None:
        self.descent.step(self.bound(images).mean() / PIXELS, done)

    def bound(self, images: Tensor) -> Tensor:
        """−log p(x) ≤ (B,) nats, at one draw of the noise within levels."""
        y = (images.flatten(1) + torch.rand(len(images), self.net.pixels)) / LEVELS
        return self.net.pixels * math.log(LEVELS) - self.net(y)[1]

    @torch.no_grad()
    def sample(self, n: int) -> np.ndarray:
        y = torch.cat([self.net.inverse(torch.rand(min(500, n - i), PIXELS)) for i in range(0, n, 500)])
        return (y * LEVELS).floor().clamp(0, LEVELS - 1).view(n, SIDE, SIDE).byte().numpy()

    def bits(self, images: np.ndarray) -> np.ndarray:
        return in_parts(lambda rows: bits_per_pixel(self.bound(rows)), images)


def flow(seed: int) -> Flow:
    """Six couplings."""
    return Flow(seed)
