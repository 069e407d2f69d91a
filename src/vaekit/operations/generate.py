"""New data from a model, and data as the model sees them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from vaekit.distributions import Noise, center, draw
from vaekit.model import VAE
from vaekit.operations.codes import unpacked


@torch.no_grad()
def sample(
    model: VAE, n: int, c: Tensor | None = None, temperature: float = 1.0, seed: int = 0, mean: bool = False
) -> Tensor:
    """n draws from a model: z ~ p(z), x ~ p(x | z).

    Args:
        model: A model with a prior.
        n: How many.
        c: (n, A) condition.
        temperature: Spread of the prior; 1 is the model itself.
        seed: The same seed gives the same draws.
        mean: Give the centre of each p(x | z) in place of a draw from it.

    Returns:
        (n, *shape) in the model's space.
    """
    return model.sample(n, c, temperature, Noise(seed, "sample"), mean)


@torch.no_grad()
def reconstruct(model: VAE, x: Tensor, c: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
    """Each datum as the model sees it: the centre of p(x | z) at the centre of q(z | x), (B, *shape)."""
    return center(model.decode(model.encode(x, c, mask), c))


@torch.no_grad()
def decode(
    model: VAE,
    z: Tensor,
    c: Tensor | None = None,
    noise: Noise | None = None,
    size: int = 1024,
    like: Any = None,
) -> Tensor:
    """Codes decoded: the centre of each p(x | z), or with noise a draw from it.

    Args:
        model: The model.
        z: (N, D) packed codes.
        c: (N, A) condition.
        noise: Of the draws.
        size: Rows at once.
        like: A value in the form `encode` gives, where that is not (B, D) floats.

    Returns:
        (N, *shape)
    """
    parts = []
    for start in range(0, len(z), size):
        rows = z[start : start + size] if like is None else unpacked(z[start : start + size], like)
        px = model.decode(rows, None if c is None else c[start : start + size])
        parts.append(center(px) if noise is None else draw(px, noise)[0])
    return torch.cat(parts)
