"""Walks through the latent space: codes of data, lines between two of them, one dimension at a time."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from vaekit.bottlenecks import Latent
from vaekit.distributions import MEAN, RowNoise, center, kl, right, spread
from vaekit.model import VAE
from vaekit.operations.codes import packed, unpacked


@torch.no_grad()
def embed(
    model: VAE, x: Tensor, c: Tensor | None = None, mask: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and standard deviation of q(z | x), and the KL of each dimension.

    Args:
        model: The model.
        x: (B, *shape) data in the model's space.
        c: (B, A) condition.
        mask: (B, *shape) true where observed.

    Returns:
        Mean (B, D), standard deviation (B, D), KL (B, D) in nats, of all latent variables side by side, the top one
        first; where the KL of single dimensions is not known, it is spread evenly over them, and it is zero for a
        deterministic code. Where it has no closed form, or depends on variables above, it is that of one draw.
    """
    h = model.features(x, c, mask)
    latents = model.bottleneck(h, c, noise=MEAN)[1]
    mean = packed([latent.z for latent in latents])
    std = packed([spread(latent.q).expand(latent.z.shape) for latent in latents])
    if not model.bottleneck.stochastic:
        return mean, std, torch.zeros_like(mean)
    if len(latents) > 1 or kl(latents[0].q, latents[0].prior) is None:
        keys = torch.zeros(len(x), dtype=torch.long)  # the same draw for every datum and at every call
        latents = model.bottleneck(h, c, noise=RowNoise(0, "embed", keys))[1]
    return mean, std, torch.cat([_each(latent) for latent in latents], 1)


def _each(latent: Latent) -> Tensor:
    """KL of each dimension of one variable, (B, D)."""
    width = latent.z[0].numel()
    known = latent.kl.flatten(1) if latent.kl.dim() > 1 else latent.kl.unsqueeze(1)
    return known if known.shape[1] == width else (right(known) / width).unsqueeze(1).expand(-1, width)


@torch.no_grad()
def interpolate(model: VAE, a: Tensor, b: Tensor, steps: int = 9, c: Tensor | None = None) -> Tensor:
    """The straight line between the codes of two data, decoded.

    Args:
        model: The model.
        a, b: (1, *shape) data in the model's space.
        steps: Points on the line, both ends included.
        c: (1, A) condition for all of them.

    Returns:
        (steps, *shape) centres of p(x | z).
    """
    return line(model, model.encode(a, c), model.encode(b, c), steps, c)


@torch.no_grad()
def line(model: VAE, start: Any, end: Any, steps: int = 9, c: Tensor | None = None) -> Tensor:
    """The straight line between two codes (1, *latent), decoded, (steps, *shape)."""
    weight = torch.linspace(0, 1, steps, device=packed(start).device)
    return center(model.decode(model.bottleneck.between(start, end, weight), _rows(c, steps)))


@torch.no_grad()
def traverse(
    model: VAE, z: Any, dims: list[int], steps: int = 9, reach: float = 3.0, c: Tensor | None = None
) -> Tensor:
    """One latent dimension at a time from −reach to +reach, the others as in z.

    Args:
        model: The model.
        z: Where the walk begins, one row in the form `encode` gives, (1, *latent).
        dims: Which dimensions of its packed form.
        steps: Points of each walk.
        reach: In the latent's own units, which are standard deviations under N(0, I).
        c: (1, A) condition.

    Returns:
        (len(dims), steps, *shape) centres of p(x | z).
    """
    walk = packed(z).expand(len(dims) * steps, -1).clone()  # (dims · steps, D)
    for i, dim in enumerate(dims):
        walk[i * steps : (i + 1) * steps, dim] = model.bottleneck.scan(steps, reach).to(walk)
    return center(model.decode(unpacked(walk, z), _rows(c, len(walk)))).unflatten(0, (len(dims), steps))


def _rows(c: Tensor | None, n: int) -> Tensor | None:
    return None if c is None else c.expand(n, -1)
