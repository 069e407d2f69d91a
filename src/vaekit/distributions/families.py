"""Families: from a network's parameters to an elementwise distribution.

Parameters stand on axis 1: `family.size(dim)` numbers describe `dim` values, whether they are D columns of a vector
(N, D) or C channels of an image (N, C, H, W).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch import distributions as D

from vaekit.distributions import discrete
from vaekit.distributions.scales import Optimal, Predicted, Scale, positive, unpositive
from vaekit.recipes import configurable


class Family(Protocol):
    """Parameters (N, size(dim), …) to a distribution over (N, dim, …).

    Attributes:
        discrete: Whether `log_prob` is of a mass (never above 0) and not of a density.

    A family may also have `begin(mean (F,), weights (F, L), scale (F,)) -> (bias (size,), weight (size, L))`: the
    parameters with which a linear network of z begins at E[x | z] ≈ mean + weights z with this scale, and
    `features(dim)`, the F numbers that dim columns are to it. Training can then begin at the linear solution.
    """

    discrete: bool

    def __call__(self, params: Tensor) -> D.Distribution: ...

    def size(self, dim: int) -> int: ...


@configurable
class Bernoulli(nn.Module):
    """Values in {0, 1}, from logits; a value in between counts as the expectation over its two ends.

    Example:
        >>> Bernoulli()(torch.zeros(1, 3)).mean
        tensor([[0.5000, 0.5000, 0.5000]])
    """

    discrete = True

    def size(self, dim: int) -> int:
        return dim

    def features(self, dim: int) -> int:
        return dim

    def begin(self, mean: Tensor, weights: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
        """logit(p + w z) to first order."""
        share = mean.clamp(1e-5, 1 - 1e-5)
        return share.logit(), (weights / (share * (1 - share)).unsqueeze(1)).clamp(-2, 2)

    def forward(self, params: Tensor) -> D.Distribution:
        return discrete.Bernoulli(params)


@configurable
class ContinuousBernoulli(nn.Module):
    """Values in [0, 1] with density proportional to λˣ (1 − λ)¹⁻ˣ.

    Source: Loaiza-Ganem, Cunningham (2019), The continuous Bernoulli, arXiv:1907.06845.
    """

    discrete = False

    def size(self, dim: int) -> int:
        return dim

    def forward(self, params: Tensor) -> D.Distribution:
        return discrete.ContinuousBernoulli(params)


class _LocationScale(nn.Module, ABC):
    """What Gaussian, Laplace and Student-t share: a location from the network and a `Scale`."""

    discrete = False
    power = 2  # of the error whose mean is the most likely scale's own power
    spread = 1.0  # standard deviation of the member whose scale is 1

    def __init__(self, scale: Scale | None = None) -> None:
        super().__init__()
        self.scale = Predicted() if scale is None else scale

    def size(self, dim: int) -> int:
        return dim + self.scale.size(dim)

    def features(self, dim: int) -> int:
        return dim

    def begin(self, mean: Tensor, weights: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
        """Location mean + weights z, exactly; the scale as its kind allows."""
        extra = self.scale.begin(scale / self.spread)
        return torch.cat([mean, extra]), torch.cat([weights, weights.new_zeros(len(extra), weights.shape[1])])

    def forward(self, params: Tensor) -> D.Distribution:
        extra = self.scale.size(1)  # 1 where the network predicts scales, else 0
        loc, rest = params.tensor_split((params.shape[1] // (1 + extra),), dim=1)
        return self.distribution(loc, self.scale(rest, loc))

    @abstractmethod
    def distribution(self, loc: Tensor, scale: Tensor) -> D.Distribution:
        """The member of the family with this location and scale."""

    def adapt(self, px: Any, x: Tensor, mask: Tensor | None) -> D.Distribution:
        """While training, px with the scale that the values themselves ask for, if the scale is such a one."""
        best = self.scale.best(x, px.loc, mask, self.power) if self.training else None
        return px if best is None else self.distribution(px.loc, best.expand_as(px.loc))

    def commit(self, px: Any) -> None:
        """After the finite check, the scale learns from the batch's own, if it is such a one."""
        self.scale.commit(px.scale)


@configurable
class Gaussian(_LocationScale):
    """N(x; μ, σ²) for each value.

    Args:
        scale: Where σ comes from: `Predicted()` (the default), `Fixed`, `Shared`, `PerDimension` or `Optimal`.

    Example:
        >>> from vaekit.distributions import Optimal
        >>> Gaussian().size(32), Gaussian(Optimal()).size(32)
        (64, 32)
    """

    def distribution(self, loc: Tensor, scale: Tensor) -> D.Distribution:
        return D.Normal(loc, scale, validate_args=False)


@configurable
class Laplace(_LocationScale):
    """Laplace(x; μ, b) for each value: an absolute error.

    Args:
        scale: Where b comes from.
    """

    power = 1
    spread = 2**0.5

    def distribution(self, loc: Tensor, scale: Tensor) -> D.Distribution:
        return D.Laplace(loc, scale, validate_args=False)


@configurable
class StudentT(_LocationScale):
    """Student's t for each value: a Gaussian that forgives outliers.

    Args:
        df: Degrees of freedom; above 2 the variance is finite.
        scale: Where the scale comes from.
    """

    def __init__(self, df: float = 5.0, scale: Scale | None = None) -> None:
        super().__init__(scale)
        if isinstance(scale, Optimal):
            raise ValueError("the most likely scale of a Student-t has no closed form; use Shared()")
        self.df = df

    @property
    def spread(self) -> float:  # type: ignore[override]
        return (self.df / (self.df - 2)) ** 0.5 if self.df > 2 else 1.0

    def distribution(self, loc: Tensor, scale: Tensor) -> D.Distribution:
        return D.StudentT(torch.full_like(loc, self.df), loc, scale, validate_args=False)


@configurable
class Categorical(nn.Module):
    """One of `levels` unordered categories for each value.

    Args:
        levels: Number of categories K; params (N, dim·K, …) hold dim groups of K logits.
    """

    discrete = True

    def __init__(self, levels: int) -> None:
        super().__init__()
        self.levels = levels

    def size(self, dim: int) -> int:
        return dim * self.levels

    def forward(self, params: Tensor) -> D.Distribution:
        groups = params.unflatten(1, (-1, self.levels))  # (N, dim, K, …)
        return discrete.Categorical(groups.movedim(2, -1))  # logits (N, dim, …, K)


@configurable
class DiscretizedLogistic(nn.Module):
    """Levels 0, 1/(L−1), …, 1, each with the mass a logistic puts on its bin; the end bins are open.

    Args:
        levels: Number of levels L; 256 for 8-bit images.
        initial: Scale of the logistic where the network's output is zero.

    Source: Salimans, Karpathy, Chen, Kingma (2017), PixelCNN++, arXiv:1701.05517.
    """

    discrete = True

    def __init__(self, levels: int = 256, initial: float = 0.1) -> None:
        super().__init__()
        self.levels, self.initial = levels, initial

    def size(self, dim: int) -> int:
        return 2 * dim

    def forward(self, params: Tensor) -> D.Distribution:
        loc, raw = params.chunk(2, 1)
        # a network that begins at zero begins in the middle of the range
        return discrete.DiscretizedLogistic(loc + 0.5, positive(raw, self.initial, 1e-4), self.levels)


@configurable
class DiscretizedLogisticMixture(nn.Module):
    """As `DiscretizedLogistic`, with K logistics for each value.

    Args:
        levels: Number of levels.
        components: Number of logistics K; params (N, 3·K·dim, …) hold weights, locations and scales.
        initial: Scale of each where the network's output is zero.

    Source: Salimans, Karpathy, Chen, Kingma (2017), arXiv:1701.05517.
    """

    discrete = True

    def __init__(self, levels: int = 256, components: int = 5, initial: float = 0.1) -> None:
        super().__init__()
        self.levels, self.components, self.initial = levels, components, initial

    def size(self, dim: int) -> int:
        return 3 * self.components * dim

    def forward(self, params: Tensor) -> D.Distribution:
        groups = params.unflatten(1, (3, -1, self.components)).movedim(3, -1)  # (N, 3, dim, …, K)
        logits, loc, raw = groups.unbind(1)
        start = torch.linspace(0.1, 0.9, self.components, device=loc.device, dtype=loc.dtype)
        return discrete.DiscretizedLogisticMixture(
            logits, loc + start, positive(raw, self.initial, 1e-4), self.levels
        )


@configurable
class FullGaussian(nn.Module):
    """N(z; μ, L Lᵀ) over a vector, with every covariance between its dimensions.

    Params (N, D + D(D+1)/2) hold μ and the lower triangle of L; the diagonal is positive.
    """

    discrete = False

    def size(self, dim: int) -> int:
        return dim + dim * (dim + 1) // 2

    def features(self, dim: int) -> int:
        return dim

    def begin(self, mean: Tensor, weights: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
        """μ = mean + weights z, and a diagonal L."""
        lower = torch.diag_embed(unpositive(scale, 1.0, 1e-4))[
            tuple(torch.tril_indices(len(mean), len(mean)))
        ]
        return torch.cat([mean, lower]), torch.cat([weights, weights.new_zeros(len(lower), weights.shape[1])])

    def forward(self, params: Tensor) -> D.Distribution:
        dim = int((math.isqrt(9 + 8 * params.shape[1]) - 3) // 2)  # solves D + D(D+1)/2 = size
        loc, lower = params[:, :dim], params[:, dim:]
        row, column = torch.tril_indices(dim, dim, device=params.device)
        tril = params.new_zeros(params.shape[0], dim, dim)
        tril[:, row, column] = lower  # (N, D, D)
        diagonal = positive(tril.diagonal(dim1=1, dim2=2), 1.0, 1e-4)
        tril = tril.tril(-1) + torch.diag_embed(diagonal)
        return D.MultivariateNormal(loc, scale_tril=tril, validate_args=False)
