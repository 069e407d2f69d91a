"""Walks through the latent space: codes of data, lines between two of them, one dimension at a time."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from vaekit.distributions import center, right, spread
from vaekit.model import VAE


@torch.no_grad()
def embed(
    model: VAE, x: Tensor, c: Tensor | None = None, mask: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and standard deviation of q(z | x), and the KL of each dimension.

    Args:
        model: A model with one latent variable.
        x: (B, *shape) data in the model's space.
        c: (B, A) condition.
        mask: (B, *shape) true where observed.

    Returns:
        Mean (B, D), standard deviation (B, D), KL (B, D) in nats; where the KL of single dimensions is not known, it
        is spread evenly over them, and it is zero for a deterministic code.
    """
    latent = model.posterior(x, c, mask)[-1]
    mean, std = center(latent.q).flatten(1), spread(latent.q).flatten(1)
    if not model.bottleneck.stochastic:
        return mean, std, torch.zeros_like(mean)
    kl = latent.kl
    each = kl.flatten(1) if kl.dim() > 1 else (right(kl) / mean.shape[1]).unsqueeze(1).expand_as(mean)
    return mean, std, each


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
    first = start[0] if isinstance(start, list) else start
    weight = torch.linspace(0, 1, steps, device=first.device)
    return center(model.decode(_line(start, end, weight), _rows(c, steps)))


@torch.no_grad()
def traverse(
    model: VAE, z: Tensor, dims: list[int], steps: int = 9, reach: float = 3.0, c: Tensor | None = None
) -> Tensor:
    """One latent dimension at a time from −reach to +reach, the others as in z.

    Args:
        model: A model with one latent variable.
        z: (1, D) where the walk begins.
        dims: Which dimensions.
        steps: Points of each walk.
        reach: In standard deviations of the prior.
        c: (1, A) condition.

    Returns:
        (len(dims), steps, *shape) centres of p(x | z).
    """
    walk = z.expand(len(dims) * steps, -1).clone()  # (dims · steps, D)
    values = torch.linspace(-reach, reach, steps, device=z.device, dtype=z.dtype)
    for i, dim in enumerate(dims):
        walk[i * steps : (i + 1) * steps, dim] = values
    return center(model.decode(walk, _rows(c, len(walk)))).unflatten(0, (len(dims), steps))


def _line(start: Any, end: Any, weight: Tensor) -> Any:
    if isinstance(start, list):
        return [_line(s, e, weight) for s, e in zip(start, end, strict=True)]
    return start + (end - start) * weight.to(start.dtype).view(-1, *(1,) * (start.dim() - 1))


def _rows(c: Tensor | None, n: int) -> Tensor | None:
    return None if c is None else c.expand(n, -1)
