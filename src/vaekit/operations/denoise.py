"""The signal under the noise: the mean and the spread of p(s | y), by draws from the posterior of the latents.

    p(y) = ∫ p(z) p(y | s(z)) dz,   E[s | y] ≈ 1/K Σ_k s(z_k),  z_k ~ q(z | y)

The likelihood p(y | s) is the noise model and its centre s is the signal. A decoder can draw what is in all the data, a
decoder of a few latents cannot draw noise, which is new in each: so noisy data alone are enough to learn from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution

from vaekit.distributions import RowNoise, center, log_prob, right
from vaekit.model import VAE, each, leaves, repeat

CHUNK = 64  # draws decoded at once
MOMENTS = (0.9, 0.99)  # of Adam's two averages
NoiseOf = Callable[[Tensor], Distribution]


@torch.no_grad()
def denoise(
    model: VAE,
    y: Tensor,
    c: Tensor | None = None,
    mask: Tensor | None = None,
    *,
    noise: NoiseOf | None = None,
    samples: int = 100,
    steps: int = 0,
    lr: float = 0.02,
    seed: int = 0,
    rows: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of the signal given noisy data, over K draws of q(z | y).

    With `steps`, q is made better for each datum first: its features h go up the ELBO under the noise, from where the
    encoder puts them. A model of clean data then takes away noise that it never saw.

        h ← argmax_h E_q[log p(y | s(z))] − KL(q(z; h) ‖ p(z))

    Args:
        model: A model with a stochastic bottleneck.
        y: (B, *shape) noisy data in the model's space.
        c: (B, A) condition.
        mask: (B, *shape) true where observed.
        noise: Signal (N, *shape) → p(y | s); None is the model's own likelihood.
        samples: K.
        steps: Of Adam, for each datum.
        lr: Of these steps.
        seed: Of the draws.
        rows: (B,) a key for each datum, so that its draws do not depend on its neighbours; its place by default.

    Returns:
        Mean and standard deviation, (B, *shape) each.

    Raises:
        ValueError: The codes are deterministic, there are fewer than two draws or than no steps, or steps cannot change
            the codes.

    Source: Prakash, Krull, Jug (2021), Fully unsupervised diversity denoising, arXiv:2006.06072 (the mean of draws);
        Kim, Wiseman, Miller, Sontag, Rush (2018), Semi-amortized variational autoencoders, arXiv:1802.02550 (steps).
    """
    if not model.bottleneck.stochastic:
        raise ValueError("this model's codes are deterministic: there is no posterior to draw signals from")
    if samples < 2:
        raise ValueError(f"a spread needs two draws or more, not {samples}")
    if steps < 0:
        raise ValueError(f"steps is 0 or more, not {steps}")
    rows = torch.arange(len(y)) if rows is None else rows
    h = model.features(y, c, mask)
    if steps:
        h = refined(model, h, y, c, mask, noise, steps, lr, seed, rows)
    total = torch.zeros(y.shape, dtype=torch.float64, device=y.device)
    square = torch.zeros_like(total)
    for s in _signals(model, h, c, samples, seed, rows):  # (B, k, *shape)
        total += s.sum(1)
        square += s.square().sum(1)
    mean = total / samples
    variance = ((square - samples * mean.square()) / (samples - 1)).clamp(min=0)
    return mean.to(y.dtype), variance.sqrt().to(y.dtype)


def _signals(model: VAE, h: Any, c: Tensor | None, samples: int, seed: int, rows: Tensor) -> Iterator[Tensor]:
    """K signals of each datum, some at once, (B, k, *shape) float64."""
    size = max(1, CHUNK // len(rows))
    for first in range(0, samples, size):
        k = min(size, samples - first)
        draws = RowNoise(seed, "denoise", rows, first)
        own = None if c is None else repeat(c, k)
        state, _ = model.bottleneck(repeat(h, k), own, noise=draws)
        yield center(model.likelihood(state, own)).unflatten(0, (-1, k)).double()


@torch.enable_grad()
def refined(
    model: VAE,
    h: Any,
    y: Tensor,
    c: Tensor | None,
    mask: Tensor | None,
    noise: NoiseOf | None,
    steps: int,
    lr: float,
    seed: int,
    rows: Tensor,
) -> Any:
    """Features h from which q(z | y) has a higher ELBO under the noise, each datum's for itself.

    Args:
        model, y, c, mask, noise, steps, lr, seed, rows: As in `denoise`.
        h: The encoder's features: a tensor, or a list or dict of them.

    Returns:
        As h.
    """
    own = each(h, lambda t: t.detach().clone().requires_grad_())
    moved = leaves(own)
    averages = [(torch.zeros_like(t), torch.zeros_like(t)) for t in moved]
    for step in range(1, steps + 1):
        state, latents = model.bottleneck(own, c, noise=RowNoise(seed, f"refine {step}", rows))
        px = model.likelihood(state, c)
        px = px if noise is None else noise(center(px))
        rate = torch.stack([right(latent.kl) for latent in latents]).sum(0)
        loss = (rate - right(log_prob(px, y, mask))).sum()
        if not loss.requires_grad:
            raise ValueError("no gradient reaches this model's codes")
        gradients = torch.autograd.grad(loss, moved, allow_unused=True)
        for leaf, gradient, average in zip(moved, gradients, averages, strict=True):
            if gradient is not None:
                _adam(leaf, gradient, average, lr * (1 - (step - 1) / steps), step)
    return each(own, Tensor.detach)


@torch.no_grad()
def _adam(leaf: Tensor, gradient: Tensor, average: tuple[Tensor, Tensor], lr: float, step: int) -> None:
    """A step of Adam, elementwise: so no datum feels another's gradient."""
    first, second = average
    first.lerp_(gradient, 1 - MOMENTS[0])
    second.lerp_(gradient.square(), 1 - MOMENTS[1])
    scale = (second / (1 - MOMENTS[1] ** step)).sqrt() + 1e-8
    leaf -= lr * first / (1 - MOMENTS[0] ** step) / scale
