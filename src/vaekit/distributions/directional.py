"""Distributions over unit vectors: what a latent on a sphere is drawn from and charged against.

    p(z) = exp(κ s(μᵀz) − G(κ)) / |S|,   |S| = 2 π^{D/2} / Γ(D/2) the area of the sphere of unit vectors in D dimensions

s(w) = w is the von Mises-Fisher distribution, s(w) = log(1 + w) the power spherical one, κ = 0 the uniform one. E[s] =
G′(κ), so KL(p ‖ uniform) = κ G′(κ) − G(κ). The cosine w = tanh y is drawn by inverting its distribution function; in y,
a sphere's density has nearly the same width whatever κ is.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.distributions import Distribution
from torch.nn import functional

from vaekit.distributions.noise import Noise
from vaekit.distributions.quantile import Shape, quantile


def unit(t: Tensor) -> Tensor:
    """Vectors (…, D) at length one; the zero vector becomes the first axis.

    Example:
        >>> unit(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
        tensor([[0.6000, 0.8000],
                [1.0000, 0.0000]])
    """
    length = torch.linalg.vector_norm(t, dim=-1, keepdim=True)
    some = length > 0
    axis = torch.zeros_like(t)
    axis[..., 0] = 1
    return torch.where(some, t / torch.where(some, length, torch.ones_like(length)), axis)


def log_area(dim: int) -> float:
    """log 2 π^{D/2} / Γ(D/2): of the unit vectors in D dimensions."""
    return math.log(2) + dim / 2 * math.log(math.pi) - math.lgamma(dim / 2)


class Directional(Distribution, ABC):
    """What distributions around a direction share.

    Args:
        loc: μ, (N, D) unit vectors.
        concentration: κ ≥ 0, (N,).
    """

    arg_constraints: dict = {}
    has_rsample = False

    def __init__(self, loc: Tensor, concentration: Tensor) -> None:
        self.loc, self.concentration = loc, concentration
        super().__init__(loc.shape[:-1], loc.shape[-1:], validate_args=False)

    @abstractmethod
    def statistic(self, cosine: Tensor) -> Tensor:
        """s(w)."""

    @abstractmethod
    def log_partition(self) -> Tensor:
        """G(κ), (N,) in float64."""

    @abstractmethod
    def mean_statistic(self) -> Tensor:
        """E[s] = G′(κ), (N,) in float64."""

    @abstractmethod
    def moments(self) -> tuple[Tensor, Tensor]:
        """E[w] and E[1 − w²] / (D − 1), the variance of each direction at right angles to μ; (N,) in float64."""

    @abstractmethod
    def shape_of(self) -> Shape:
        """The density of y = artanh w."""

    @property
    def dim(self) -> int:
        """D, coordinates of a unit vector."""
        return self.loc.shape[-1]

    @property
    def kappa(self) -> Tensor:
        """κ in float64, (N,)."""
        return self.concentration.double()

    def log_prob(self, value: Tensor) -> Tensor:
        """log p(z) of unit vectors (N, D), (N,) nats with respect to the sphere's area."""
        # from the distance: in float32 a cosine near 1 would lose the digits that a large κ multiplies
        cosine = 1 - (value.double() - self.loc.double()).square().sum(-1) / 2
        terms = self.kappa * self.statistic(cosine) - self.log_partition() - log_area(self.dim)
        return terms.to(self.loc.dtype)

    def draw(self, noise: Noise) -> tuple[Tensor, None]:
        """z = w μ + √(1 − w²) v with v at right angles to μ, (N, D): a uniform number and a normal vector for each."""
        loc = self.loc.double()
        u = noise.uniform((len(loc), 1), self.loc).double()[:, 0]
        y = quantile(u, self.kappa, self.shape_of()).unsqueeze(-1)
        across = noise.normal(self.loc.shape, self.loc).double()
        across = unit(across - (across * loc).sum(-1, keepdim=True) * loc)
        return (y.tanh() * loc + across / y.cosh()).to(self.loc.dtype), None

    def entropy(self) -> Tensor:
        """−E[log p(z)], (N,) nats."""
        return (log_area(self.dim) - self.divergence()).to(self.loc.dtype)

    def divergence(self) -> Tensor:
        """KL(p ‖ uniform) = κ G′(κ) − G(κ), (N,) nats in float64."""
        return self.kappa * self.mean_statistic() - self.log_partition()

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def mean(self) -> Tensor:
        """E[z] = E[w] μ, (N, D), inside the sphere."""
        return self.moments()[0].to(self.loc.dtype).unsqueeze(-1) * self.loc

    @property
    def variance(self) -> Tensor:
        """Of each coordinate, (N, D)."""
        length, across = (t.unsqueeze(-1) for t in self.moments())
        along = 1 - (self.dim - 1) * across - length.square()
        return (across + (along - across) * self.loc.double().square()).clamp(min=0).to(self.loc.dtype)


def shape_along(statistic: Callable[[Tensor], Tensor], mode: Callable[[Tensor], Tensor], dim: int) -> Shape:
    """The density of y = artanh w: exp(κ s(y)) cosh(y)^{−(D − 1)}.

    Its curvature at the mode is between D − 1 and 2 (D − 1) for any κ, so one reach serves all: 24 nats lower.

    Args:
        statistic: y → s(tanh y).
        mode: κ → the most probable y.
        dim: D.
    """
    right = dim - 1
    return Shape(statistic, partial(_log_base, right=right), mode, 20 / right + 6 / right**0.5)


def _log_base(y: Tensor, right: int) -> Tensor:
    """−(D − 1) log cosh y: the sphere's own share of the density."""
    size = y.abs()
    return -right * (size + functional.softplus(-2 * size) - math.log(2))
