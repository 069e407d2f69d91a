"""A generative adversarial network: a generator, and a critic that tells its images from real ones.

Non-saturating loss, R1 penalty on the critic's gradient at real images, moving average of the generator's weights.
Images are levels on both sides: the generator's are rounded, and gradients pass through the rounding.

Source: Goodfellow et al. (2014), arXiv:1406.2661; R1: Mescheder, Geiger, Nowozin (2018), arXiv:1801.04406; every few
steps: Karras et al. (2020), arXiv:1912.04958; rounding: Bengio, Léonard, Courville (2013), arXiv:1308.3432.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from family_rows.shared import LEVELS, SIDE, Descent, Learner, units
from vaekit.distributions import Noise

CODE = 64  # dimensions of the noise that images are made from
EVERY = 8  # steps between two penalties


class Generator(nn.Module):
    """Noise (N, 64) → values (N, 1, 14, 14), about −1 to 1."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.first = nn.Linear(CODE, 256)
        self.map = nn.Linear(256, width * 49)
        self.low = nn.Conv2d(width, width, 3, padding=1)
        self.up = nn.ConvTranspose2d(width, width // 2, 4, 2, 1)
        self.high = nn.Conv2d(width // 2, width // 2, 3, padding=1)
        self.last = nn.Conv2d(width // 2, 1, 3, padding=1)
        self.norms = nn.ModuleList([nn.BatchNorm2d(width), nn.BatchNorm2d(width), nn.BatchNorm2d(width // 2)])

    def forward(self, z: Tensor) -> Tensor:
        h = functional.leaky_relu(self.first(z), 0.2)
        h = self.norms[0](self.map(h).unflatten(1, (-1, 7, 7))).contiguous(memory_format=torch.channels_last)
        h = self.norms[1](self.low(functional.leaky_relu(h, 0.2)))
        h = self.norms[2](self.up(functional.leaky_relu(h, 0.2)))
        h = functional.leaky_relu(h, 0.2)
        h = functional.leaky_relu(h + self.high(h), 0.2)
        return 1.1 * torch.tanh(self.last(h))  # black and white are within reach


class Critic(nn.Module):
    """Values (N, 1, 14, 14) → logits (N,). It sees the spread within fours of a batch too.

    Dense: in the same time twice as many steps as with convolutions, and samples that are nearer (seed 9).
    """

    def __init__(self, width: int = 384) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(SIDE * SIDE, width), nn.Linear(width, width)
        self.third, self.last = nn.Linear(width + 1, width // 2), nn.Linear(width // 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = functional.leaky_relu(self.first(x.flatten(1)), 0.2)
        h = h + functional.leaky_relu(self.second(h), 0.2)
        groups = h.unflatten(0, (-1, 4)) if len(h) % 4 == 0 else h[None]  # (G, 4, K)
        spread = ((groups - groups.mean(1, keepdim=True)).square().mean(1) + 1e-8).sqrt().mean(1)  # (G,)
        spread = spread.repeat_interleave(len(h) // len(spread))[:, None]
        return self.last(functional.leaky_relu(self.third(torch.cat([h, spread], 1)), 0.2))[:, 0]


def rounded(x: Tensor) -> Tensor:
    """The nearest of the 16 levels' values; its gradient is that of x."""
    top = (LEVELS - 1) / 2
    near = ((x.clamp(-1, 1) + 1) * top).round() / top - 1
    return x + (near - x).detach()


def late(done: float) -> float:
    """A learning rate that falls to nearly zero in the second half."""
    return 1.0 if done < 0.5 else 2 * (1 - done) + 0.02


class Adversaries(Learner):
    """Both networks, one step each in turn.

    Args:
        seed: Of the weights.
        lr: Of both.
        penalty: Weight of R1.
    """

    batch = 64

    def __init__(self, seed: int, lr: float = 1e-3, penalty: float = 0.5) -> None:
        with Noise(seed, "weights").torch():
            self.net, self.critic = Generator(), Critic()
        self.net.to(memory_format=torch.channels_last)
        self.penalty = penalty
        self.making = Descent(self.net, lr, 0.998, betas=(0.0, 0.99), clip=1e6, cool=late)
        self.telling = Descent(self.critic, lr, betas=(0.0, 0.99), clip=1e6, cool=late)
        self.count = 0

    def step(self, images: Tensor, done: float) -> None:
        real = units(images)[:, None]
        made = self.net(torch.randn(len(real), CODE))
        penalised = self.count % EVERY == 0
        self.count += 1
        real.requires_grad_(penalised)
        true, false = self.critic(real), self.critic(rounded(made.detach()))
        loss = functional.softplus(-true).mean() + functional.softplus(false).mean()
        if penalised:
            (slope,) = torch.autograd.grad(true.sum(), real, create_graph=True)
            loss = loss + EVERY * self.penalty / 2 * slope.square().sum((1, 2, 3)).mean()
        self.telling.step(loss, done)
        self.critic.requires_grad_(False)
        self.making.step(functional.softplus(-self.critic(rounded(made))).mean(), done)
        self.critic.requires_grad_(True)
        for mean, own in zip(self.making.mean.buffers(), self.net.buffers(), strict=True):
            mean.copy_(own)

    def finish(self) -> None:
        self.making.settle()
        self.net.train()  # statistics of the averaged weights' own activations
        for norm in self.net.norms:
            norm.reset_running_stats()
            norm.momentum = None
        with torch.no_grad():
            for _ in range(20):
                self.net(torch.randn(200, CODE))

    @torch.no_grad()
    def sample(self, n: int) -> np.ndarray:
        x = torch.cat([self.net(torch.randn(min(500, n - i), CODE)) for i in range(0, n, 500)])
        levels = ((x.clamp(-1, 1) + 1) * ((LEVELS - 1) / 2)).round()
        return levels.view(n, SIDE, SIDE).byte().numpy()


def gan(seed: int) -> Adversaries:
    """A generator of convolutions and a dense critic."""
    return Adversaries(seed)
