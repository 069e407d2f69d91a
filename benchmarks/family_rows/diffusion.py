"""A diffusion model: noise is taken off in many small steps by a network that guesses the image behind it.

    z = α x + σ ε,  λ = log α² / σ²,  α² + σ² = 1
    −log p(x) ≤ KL(q(z at least λ | x) ‖ N(0, I)) − E log p(x | z at most λ) + ½ ∫ e^λ E ‖x − x̂(z, λ)‖² dλ

What a pixel's own noisy value says of its level is known in closed form; the network adds what the others say:
p(level l | z) ∝ exp(f_l(z, λ)) N(z; α v_l, σ²), and x̂ is the mean of v_l under it. So no network has to learn to round.

Source: Kingma, Salimans, Poole, Ho (2021), Variational diffusion models, arXiv:2107.00630 (the bound in log-SNR);
Ho, Jain, Abbeel (2020), arXiv:2006.11239; steps: Lu et al. (2022), arXiv:2211.01095; guesses over levels: Dieleman et
al. (2022), arXiv:2211.15089.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from family_rows.shared import LEVELS, PIXELS, SIDE, Descent, Learner, bits_per_pixel, in_parts, units
from vaekit.distributions import Noise
from vaekit.networks.blocks import DenseBlock

LOW, HIGH = -6.0, 8.0  # log-SNR: from nothing but noise to levels that are certain


class Denoiser(nn.Module):
    """Noisy images (B, 14, 14) and log-SNR (B,) → logits of the levels' posterior, (B, 16, 14, 14).

    Args:
        width: Of the residual blocks.
        depth: Blocks, each modulated by the noise level.
    """

    def __init__(self, width: int = 384, depth: int = 3, told: int = 64) -> None:
        super().__init__()
        self.register_buffer("values", units(torch.arange(LEVELS)), persistent=False)
        self.time = nn.Sequential(nn.Linear(16, told), nn.SiLU(), nn.Linear(told, told), nn.SiLU())
        self.first = nn.Linear(2 * PIXELS, width)
        self.blocks = nn.ModuleList(DenseBlock(width, width, width, told, gain=0.3) for _ in range(depth))
        self.last = nn.Linear(width, PIXELS * LEVELS)
        nn.init.zeros_(self.last.weight)

    def forward(self, z: Tensor, snr: Tensor) -> Tensor:
        alpha, sigma = (t[:, None, None, None] for t in spread(snr))
        own = -((z[..., None] - alpha * self.values) ** 2) / (2 * sigma**2)  # (B, 14, 14, 16)
        alone = (own.softmax(-1) * self.values).sum(-1)  # (B, 14, 14), as if levels were even
        t = self.time(waves(snr))
        h = self.first(torch.cat([z.flatten(1), alone.flatten(1)], 1))
        for block in self.blocks:
            h = h + block(h, t)
        return (own + self.last(functional.silu(h)).view_as(own)).movedim(-1, 1)

    def guess(self, z: Tensor, snr: Tensor) -> Tensor:
        """x̂, the posterior mean of the values, (B, 14, 14)."""
        return self.mean(self(z, snr))

    def mean(self, logits: Tensor) -> Tensor:
        """Logits (B, 16, 14, 14) as the mean of the values."""
        return (logits.movedim(1, -1).softmax(-1) * self.values).sum(-1)


def spread(snr: Tensor) -> tuple[Tensor, Tensor]:
    """α and σ at a log-SNR."""
    return snr.sigmoid().sqrt(), (-snr).sigmoid().sqrt()


def waves(snr: Tensor) -> Tensor:
    """The noise level as sines and cosines, (B, 16)."""
    phase = (snr[:, None] - LOW) / (HIGH - LOW) * math.pi * 2.0 ** (torch.arange(8) / 1.5 - 1)
    return torch.cat([phase.sin(), phase.cos()], 1)


def noisy(x: Tensor, snr: Tensor) -> Tensor:
    """z at a log-SNR (B,) for values x (B, 14, 14)."""
    alpha, sigma = (t[:, None, None] for t in spread(snr))
    return alpha * x + sigma * torch.randn_like(x)


class Diffusion(Learner):
    """Trained by the bound and by the cross-entropy of the guessed levels; sampled by steps of second order.

    Args:
        seed: Of the weights.
        lr: Largest learning rate.
        steps: Of sampling.
        share: Of the bound in the loss; the rest is cross-entropy.
        options: Of the network.
    """

    batch = 64
    passes = 2  # noise levels at which the bound of an image is looked at

    def __init__(
        self, seed: int, lr: float = 2e-3, steps: int = 20, share: float = 0.5, **options: int
    ) -> None:
        with Noise(seed, "weights").torch():
            self.net = Denoiser(**options)
        self.steps, self.share = steps, share
        self.descent = Descent(self.net, lr, average=0.99)

    def step(self, images: Tensor, done: float) -> None:
        x, snr = units(images), levels_of_noise(len(images))
        logits = self.net(noisy(x, snr), snr)
        guess = self.net.mean(logits)
        bound = (0.5 * (HIGH - LOW) * snr.exp() * (x - guess).square().sum((1, 2))).mean() / PIXELS
        entropy = -logits.movedim(1, -1).log_softmax(-1).gather(-1, images.long()[..., None]).mean()
        self.descent.step(self.share * bound + (1 - self.share) * entropy, done)

    def finish(self) -> None:
        self.descent.settle()

    @torch.no_grad()
    def sample(self, n: int) -> np.ndarray:
        return torch.cat([self._drawn(min(500, n - i)) for i in range(0, n, 500)]).numpy()

    def _drawn(self, n: int) -> Tensor:
        """Ancestral steps of DPM-Solver++'s stochastic kind: x̂ is extrapolated from its last two values."""
        z, grid = torch.randn(n, SIDE, SIDE), torch.linspace(LOW, HIGH, self.steps + 1)
        last = None
        for now, then in zip(grid[:-1], grid[1:], strict=True):
            (_, s), (b, r) = spread(now), spread(then)
            h = (then - now) / 2  # of log α / σ
            guess = self.net.guess(z, now.expand(n))
            ahead = guess if last is None else guess + 0.5 * (guess - last)
            shrunk = torch.exp(-2 * h)
            z = r / s * torch.exp(-h) * z + b * (1 - shrunk) * ahead
            z, last = z + r * (1 - shrunk).sqrt() * torch.randn_like(z), guess
        return self.net(z, grid[-1].expand(n)).argmax(1).byte()

    def bits(self, images: np.ndarray) -> np.ndarray:
        return in_parts(lambda rows: bits_per_pixel(self.bound(rows)), images)

    def bound(self, images: Tensor) -> Tensor:
        """The variational bound of −log p(x), (B,) nats, at two draws of the noise level."""
        x, n = units(images), len(images)
        a, s = spread(torch.tensor(LOW))
        total = 0.5 * ((a * x) ** 2 + s**2 - 1 - 2 * s.log()).sum((1, 2))  # KL(q(z at LOW) ‖ N(0, I))
        high = torch.full((n,), HIGH)
        total += functional.cross_entropy(
            self.net(noisy(x, high), high), images.long(), reduction="none"
        ).sum((1, 2))
        for _ in range(self.passes):
            snr = levels_of_noise(n)
            error = (x - self.net.guess(noisy(x, snr), snr)).square().sum((1, 2))
            total += 0.5 * (HIGH - LOW) * snr.exp() * error / self.passes
        return total


def levels_of_noise(n: int) -> Tensor:
    """Log-SNRs (n,) that are spread evenly, each of them uniform."""
    return LOW + (HIGH - LOW) * ((torch.rand(()) + torch.randperm(n) / n) % 1)


def diffusion(seed: int) -> Diffusion:
    """Three dense blocks; 20 steps of sampling."""
    return Diffusion(seed)
