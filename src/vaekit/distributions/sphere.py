"""Distributions over unit vectors and their families: von Mises-Fisher, power spherical, uniform."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, register_kl
from torch.nn import functional

from vaekit.distributions.bessel import log_partition, mean_length, over_concentration
from vaekit.distributions.directional import Directional, log_area, shape_along, unit
from vaekit.distributions.noise import Noise
from vaekit.distributions.quantile import Shape
from vaekit.distributions.reduce import center
from vaekit.distributions.scales import positive
from vaekit.recipes import configurable


class VonMisesFisherDistribution(Directional):
    """p(z) ∝ exp(κ μᵀz): the Gaussian of the sphere.

    Example:
        >>> d = VonMisesFisherDistribution(torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([2.0]))
        >>> d.log_prob(torch.tensor([[1.0, 0.0, 0.0]]))
        tensor([-1.1262])
    """

    def statistic(self, cosine: Tensor) -> Tensor:
        return cosine

    def log_partition(self) -> Tensor:
        return log_partition(self.kappa, self.dim)

    def mean_statistic(self) -> Tensor:
        return mean_length(self.kappa, self.dim)

    def moments(self) -> tuple[Tensor, Tensor]:
        length = self.mean_statistic()
        return length, over_concentration(length, self.kappa, self.dim)

    def shape_of(self) -> Shape:
        right = self.dim - 1
        return shape_along(torch.tanh, lambda kappa: (2 * kappa / right).asinh() / 2, self.dim)


class PowerSphericalDistribution(Directional):
    """p(z) ∝ (1 + μᵀz)^κ: a cosine from a beta distribution.

    Example:
        >>> d = PowerSphericalDistribution(torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([0.0]))
        >>> d.log_prob(torch.tensor([[0.0, 1.0, 0.0]]))  # −log 4π
        tensor([-2.5310])
    """

    def statistic(self, cosine: Tensor) -> Tensor:
        return cosine.clamp(min=-1 + 1e-15).log1p()  # the opposite point has density 0

    def log_partition(self) -> Tensor:
        half = (self.dim - 1) / 2
        constant = math.lgamma(2 * half) - math.lgamma(half)
        return (
            self.kappa * math.log(2)
            + (self.kappa + half).lgamma()
            - (self.kappa + 2 * half).lgamma()
            + constant
        )

    def mean_statistic(self) -> Tensor:
        half = (self.dim - 1) / 2
        return math.log(2) + (self.kappa + half).digamma() - (self.kappa + 2 * half).digamma()

    def moments(self) -> tuple[Tensor, Tensor]:
        # (1 + w) / 2 is Beta(κ + (D − 1)/2, (D − 1)/2)
        whole = self.kappa + self.dim - 1
        length = self.kappa / whole
        variance = (1 - length.square()) / (whole + 1)
        return length, (1 - length.square() - variance) / (self.dim - 1)

    def shape_of(self) -> Shape:
        right = self.dim - 1
        return shape_along(_log_one_plus_tanh, lambda kappa: (2 * kappa / right).log1p() / 2, self.dim)


class UniformSphereDistribution(Distribution):
    """Every unit vector alike.

    Args:
        axis: (…, D); gives the shape, the dtype and the device.
    """

    arg_constraints: dict = {}
    has_rsample = False

    def __init__(self, axis: Tensor) -> None:
        self.axis = axis
        super().__init__(axis.shape[:-1], axis.shape[-1:], validate_args=False)

    def expand(
        self, batch_shape: torch.Size | list[int] | tuple[int, ...], _instance: object = None
    ) -> UniformSphereDistribution:
        return UniformSphereDistribution(self.axis.expand(*batch_shape, -1))

    def log_prob(self, value: Tensor) -> Tensor:
        """−log |S|, (N,) nats with respect to the sphere's area."""
        return value.new_full(value.shape[:-1], -log_area(self.axis.shape[-1]))

    def draw(self, noise: Noise) -> tuple[Tensor, None]:
        """A normal vector at length one, (N, D)."""
        return unit(noise.normal(self.axis.shape, self.axis)), None

    def entropy(self) -> Tensor:
        """log |S|, (N,) nats."""
        return -self.log_prob(self.axis)

    @property
    def mean(self) -> Tensor:
        return torch.zeros_like(self.axis)

    @property
    def variance(self) -> Tensor:
        return torch.full_like(self.axis, 1 / self.axis.shape[-1])


@register_kl(Directional, UniformSphereDistribution)
def _(q: Directional, p: UniformSphereDistribution) -> Tensor:
    """κ G′(κ) − G(κ), (N,)."""
    return q.divergence().to(q.loc.dtype)


@register_kl(UniformSphereDistribution, UniformSphereDistribution)
def _(q: UniformSphereDistribution, p: UniformSphereDistribution) -> Tensor:
    return q.axis.new_zeros(torch.broadcast_shapes(q.batch_shape, p.batch_shape))


@center.register
def _(d: Directional) -> Tensor:
    return d.loc  # the mean is no unit vector


@center.register
def _(d: UniformSphereDistribution) -> Tensor:
    return unit(torch.zeros_like(d.axis))


def _log_one_plus_tanh(y: Tensor) -> Tensor:
    return math.log(2) - functional.softplus(-2 * y)


class _Direction(nn.Module, ABC):
    """What the two families share: μ and κ from D + 1 numbers."""

    discrete = False
    floor = 1e-3  # of κ

    def __init__(self, initial: float = 10.0) -> None:
        super().__init__()
        if initial <= self.floor:
            raise ValueError(f"initial = {initial:g}: a concentration begins above {self.floor:g}")
        self.initial = initial

    def size(self, dim: int) -> int:
        if dim < 2:
            raise ValueError(f"a unit vector has two coordinates or more, not {dim}")
        return dim + 1

    def forward(self, params: Tensor) -> Directional:
        """(N, D + 1) → a distribution over unit vectors (N, D)."""
        # κ is an inverse variance, and useful ones lie orders of magnitude apart: its root grows linearly
        root = positive(params[:, -1], self.initial**0.5, self.floor**0.5)
        return self.distribution(unit(params[:, :-1]), root.square())

    @abstractmethod
    def distribution(self, loc: Tensor, concentration: Tensor) -> Directional:
        """The member of the family around this direction."""


@configurable
class VonMisesFisher(_Direction):
    """p(z) ∝ exp(κ μᵀz) over unit vectors, from D + 1 numbers.

    Args:
        initial: κ where the network's output is zero.

    Source: Davidson, Falorsi, De Cao, Kipf, Tomczak (2018), Hyperspherical VAEs, arXiv:1804.00891.

    Example:
        >>> VonMisesFisher()(torch.zeros(1, 4)).log_prob(torch.tensor([[0.0, 0.0, 1.0]])).shape
        torch.Size([1])
    """

    def distribution(self, loc: Tensor, concentration: Tensor) -> Directional:
        return VonMisesFisherDistribution(loc, concentration)


@configurable
class PowerSpherical(_Direction):
    """p(z) ∝ (1 + μᵀz)^κ over unit vectors, from D + 1 numbers.

    Args:
        initial: κ where the network's output is zero.

    Source: De Cao, Aziz (2020), The power spherical distribution, arXiv:2006.04437.

    Example:
        >>> PowerSpherical().size(16)
        17
    """

    def distribution(self, loc: Tensor, concentration: Tensor) -> Directional:
        return PowerSphericalDistribution(loc, concentration)
