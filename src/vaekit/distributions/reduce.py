"""What every other file does with a distribution: score, compare, draw, temper, summarise.

Distributions are elementwise (torch's, without `Independent`); `right` sums what stands right of the batch. There, and
only there, live masks, free bits and bits per dimension.
"""

from __future__ import annotations

import math
from functools import singledispatch

import torch
from torch import Tensor
from torch.distributions import (
    Categorical,
    Distribution,
    Laplace,
    MultivariateNormal,
    Normal,
    StudentT,
    kl_divergence,
)

from vaekit.distributions.noise import MEAN, Noise


def right(t: Tensor) -> Tensor:
    """Sum everything right of the batch: (N, …) → (N,).

    Example:
        >>> right(torch.ones(2, 3, 4))
        tensor([12., 12.])
    """
    return t.flatten(1).sum(1) if t.dim() > 1 else t


def log_prob(d: Distribution, x: Tensor, mask: Tensor | None = None) -> Tensor:
    """log d(x), with values that were not observed counting as nothing.

    A masked value is replaced before the density sees it and its term is selected away after, so that neither a NaN
    there nor its gradient can reach anything.

    Args:
        d: Distribution over (N, *shape).
        x: (N, *shape) values.
        mask: (N, *shape) true where observed, or None.

    Returns:
        (N, *shape), or (N,) where the dimensions are coupled.
    """
    if mask is None:
        return d.log_prob(x)
    mask = mask.bool()
    terms = d.log_prob(torch.where(mask, x, torch.zeros_like(x)))
    if terms.shape != mask.shape:
        raise ValueError(f"{type(d).__name__} couples its dimensions, so single values cannot be masked")
    return torch.where(mask, terms, torch.zeros_like(terms))


def kl(q: Distribution, p: Distribution) -> Tensor | None:
    """KL(q‖p) in closed form, as fine-grained as it is known: (N, *latent) or (N,); None where there is none."""
    if (
        type(q) is Normal and type(p) is Normal
    ):  # the common case, without the search through torch's register
        variance, error = (q.scale / p.scale).square(), ((q.loc - p.loc) / p.scale).square()
        return 0.5 * (variance + error - 1 - variance.log())
    try:
        return kl_divergence(q, p)
    except NotImplementedError:
        return None


def draw(q: Distribution, noise: Noise) -> tuple[Tensor, Tensor | None]:
    """One value of q, reparameterised where q can be, from explicit noise.

    Returns:
        z and, where drawing yields it anyway (flows), log q(z); else None.
    """
    if noise is MEAN:
        return center(q), None
    own = getattr(q, "draw", None)
    return own(noise) if own is not None else (_draw(q, noise), None)


@singledispatch
def _draw(q: Distribution, noise: Noise) -> Tensor:
    """Any distribution: with torch's own sampler, seeded from the noise."""
    with noise.torch():
        return q.rsample() if q.has_rsample else q.sample()


@_draw.register
def _(q: Normal, noise: Noise) -> Tensor:
    return q.loc + q.scale * noise.normal(q.loc.shape, q.loc)


@_draw.register
def _(q: MultivariateNormal, noise: Noise) -> Tensor:
    return q.loc + (q.scale_tril @ noise.normal(q.loc.shape, q.loc).unsqueeze(-1)).squeeze(-1)


@_draw.register
def _(q: Laplace, noise: Noise) -> Tensor:
    return q.icdf(noise.uniform(q.loc.shape, q.loc))


@_draw.register
def _(q: StudentT, noise: Noise) -> Tensor:
    u, angle = noise.uniform(q.loc.shape, q.loc), noise.uniform(q.loc.shape, q.loc)
    radius = (q.df * (u.pow(-2 / q.df) - 1)).sqrt()  # Bailey (1994), Polar generation of Student's t
    return q.loc + q.scale * radius * (2 * math.pi * angle).cos()


@_draw.register
def _(q: Categorical, noise: Noise) -> Tensor:
    gumbel = -(-noise.uniform(q.logits.shape, q.logits).log()).log()
    return (q.logits + gumbel).argmax(-1)


@singledispatch
def tempered(p: Distribution, temperature: float) -> Distribution:
    """p with its spread multiplied by `temperature`; 1 leaves it alone.

    Raises:
        ValueError: p has no such notion and the temperature is not 1.
    """
    if temperature != 1:
        raise ValueError(f"{type(p).__name__} cannot be tempered; use temperature 1")
    return p


@tempered.register
def _(p: Normal, temperature: float) -> Distribution:
    return p if temperature == 1 else Normal(p.loc, p.scale * temperature, validate_args=False)


@tempered.register
def _(p: MultivariateNormal, temperature: float) -> Distribution:
    if temperature == 1:
        return p
    return MultivariateNormal(p.loc, scale_tril=p.scale_tril * temperature, validate_args=False)


@singledispatch
def center(d: Distribution) -> Tensor:
    """The one value that stands for d: its mean; the most probable one for categories."""
    return d.mean


@center.register
def _(d: Categorical) -> Tensor:
    return d.probs.argmax(-1)


def spread(d: Distribution) -> Tensor:
    """Standard deviation of each dimension, (N, *shape); zero for a point mass."""
    return d.variance.sqrt()


def rows(p: Distribution, n: int) -> Distribution:
    """n independent rows of an unconditional distribution: batch shape () → (n,) in front."""
    return p.expand(torch.Size((n, *p.batch_shape)))
