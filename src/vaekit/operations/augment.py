"""New data near old ones: codes moved a little, or towards another datum's, and decoded with the datum's own detail.

    jitter        z' = z + s σ(x) ε,       ε ~ N(0, I),  q(z | x) = N(z, σ(x)²)
    mix           z' = z + s u (z₂ − z),   u ~ U(0, 1),  z₂ the code of another datum
    transfer      z' = z + s (z₂ − z₃),    z₂ and z₃ the codes of two data
    with detail   x' = x + f(z') − f(z),   f(z) = E[x | z]

The last line moves the datum by what the decoder says about the two codes: what the model cannot draw of it stays.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from vaekit.distributions import Noise, center
from vaekit.model import VAE
from vaekit.operations.codes import packed, unpacked


def jitter(mean: Tensor, std: Tensor, noise: Noise, copies: int = 1, spread: float = 1.0) -> Tensor:
    """Codes drawn around q(z | x), its standard deviation multiplied by a factor.

    Args:
        mean, std: (B, D) of q(z | x), as `embed` gives.
        noise: Of the draws.
        copies: K for each datum.
        spread: s; 1 is the posterior itself.

    Returns:
        (B·K, D), the copies of a datum side by side.

    Example:
        >>> jitter(torch.zeros(2, 3), torch.ones(2, 3), Noise(0), copies=4).shape
        torch.Size([8, 3])
    """
    mean, std = (t.repeat_interleave(copies, 0) for t in (mean, std))
    return mean + spread * std * noise.normal(mean.shape, mean)


def mix(mean: Tensor, partners: Tensor, noise: Noise, spread: float = 1.0) -> Tensor:
    """Codes drawn uniformly from the lines between the codes of data and those of their partners.

    Args:
        mean: (B, D) codes.
        partners: (B·K, D) codes of K partners of each, side by side.
        noise: Of the places on the lines.
        spread: s, the share of a line that is drawn from, beginning at the datum's own code.

    Returns:
        (B·K, D).

    Source: Chawla, Bowyer, Hall, Kegelmeyer (2002), SMOTE, arXiv:1106.1813; here in the latent space.
    """
    mean = mean.repeat_interleave(len(partners) // max(1, len(mean)), 0)
    return mean + spread * noise.uniform((len(mean), 1), mean) * (partners - mean)


def transfer(mean: Tensor, ends: Tensor, starts: Tensor, spread: float = 1.0) -> Tensor:
    """Codes moved by the difference between those of two other data: codes vary as those of the others do.

    Their mean is the datum's own code, and for independent pairs their covariance is 2 s² that of the others.

    Args:
        mean: (B, D) codes.
        ends, starts: (B·K, D) codes of K pairs for each, side by side.
        spread: s.

    Returns:
        (B·K, D).

    Source: DeVries, Taylor (2017), Dataset augmentation in feature space, arXiv:1702.05538 (extrapolation); Schwartz,
        Karlinsky, Shtok, Harary, Marder, Kumar, Feris, Giryes, Bronstein (2018), Delta-encoder, arXiv:1806.04734.
    """
    return mean.repeat_interleave(len(ends) // max(1, len(mean)), 0) + spread * (ends - starts)


@torch.no_grad()
def prior_codes(model: VAE, n: int, c: Tensor | None, noise: Noise) -> Tensor:
    """n codes from p(z | c), (n, D) packed.

    Args:
        model: A model with a prior.
        n: How many.
        c: (n, A) condition.
        noise: Of the draws.
    """
    return packed(model.bottleneck.codes(model.bottleneck(c=c, n=n, noise=noise)[1]))


@torch.no_grad()
def carried(
    model: VAE,
    x: Tensor,
    start: Tensor,
    end: Tensor,
    like: Any,
    c: Tensor | None = None,
    mask: Tensor | None = None,
    c_end: Tensor | None = None,
) -> Tensor:
    """Data moved as the decoder moves between two codes, their own detail kept: x + E[x | end] − E[x | start].

    Args:
        model: The model.
        x: (N, *shape) data in the model's space.
        start, end: (N, D) packed codes: the data's own, and where to go.
        like: A code in the form `encode` gives.
        c: (N, A) condition.
        mask: (N, *shape) true where observed; what is not has no detail, so that the decoder alone fills it.
        c_end: (N, A) condition at the end, where it is another.

    Returns:
        (N, *shape).
    """
    there = center(model.decode(unpacked(end, like), c if c_end is None else c_end))
    detail = x - center(model.decode(unpacked(start, like), c))
    return there + (detail if mask is None else torch.where(mask.bool(), detail, 0.0))
