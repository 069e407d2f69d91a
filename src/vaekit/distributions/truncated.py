"""Numbers within a part [a, b] of the line: how probable it is, and draws from a distribution that is cut to it.

    log p(part) = log (F(b) − F(a)),  x = F⁻¹(F(a) + u (F(b) − F(a))),  u ~ U(0, 1)

Where a = b the part is one value of a continuum, and its density takes the place of its probability.
"""

from __future__ import annotations

import math
from functools import singledispatch
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution, Laplace, Normal, StudentT

from vaekit.errors import UsageError


def marginal(numbers: Any, place: int) -> Any:
    """The distribution of one column, over (N,), in float64.

    Args:
        numbers: A distribution over (N, C).
        place: Which column.

    Raises:
        UsageError: E106, its distribution function is not known.
    """

    def one(parameter: Tensor) -> Tensor:
        return parameter.double().expand(numbers.loc.shape)[:, place]

    if isinstance(numbers, Normal | Laplace):
        return type(numbers)(one(numbers.loc), one(numbers.scale), validate_args=False)
    if isinstance(numbers, StudentT):
        return StudentT(one(numbers.df), one(numbers.loc), one(numbers.scale), validate_args=False)
    raise UsageError("E106", f"numbers of {type(numbers).__name__} cannot be conditioned on.")


def log_mass(d: Any, a: float, b: float) -> Tensor:
    """log p(a ≤ x ≤ b), (N,); where a = b the log density there.

    Args:
        d: A `marginal` over (N,).
        a, b: The ends; may be infinite.

    Example:
        >>> log_mass(Normal(torch.zeros(1, dtype=torch.float64), 1.0), 0.0, math.inf).exp()
        tensor([0.5000], dtype=torch.float64)
    """
    if a == b:
        return d.log_prob(torch.full_like(d.loc, a))
    first, last, _ = _shares(d, a, b)
    return (last - first).clamp(min=0).log()


def quantile_within(d: Any, a: float, b: float, u: Tensor) -> Tensor:
    """The value below which a share u of the part's probability lies, (N,): a draw where u ~ U(0, 1).

    Args:
        d: A `marginal` over (N,).
        a, b: The ends; may be infinite.
        u: (N,) in [0, 1]; 0.5 gives the median.

    Example:
        >>> standard = Normal(torch.zeros(1, dtype=torch.float64), 1.0)
        >>> quantile_within(standard, 0.0, math.inf, torch.tensor([0.5]))  # F⁻¹(3 / 4)
        tensor([0.6745], dtype=torch.float64)
    """
    first, last, flip = _shares(d, a, b)
    u = torch.where(flip, 1 - u, u)
    t = _quantile(d, first + u * (last - first))
    return (d.loc + d.scale * torch.where(flip, -t, t)).clamp(a, b)


def _shares(d: Any, a: float, b: float) -> tuple[Tensor, Tensor, Tensor]:
    """F at both ends of the standardised distribution, the smaller first, and where it was turned round for that.

    All are symmetric, and F keeps its digits in the lower tail: a part above the middle is looked at from below.
    """
    low, high = (a - d.loc) / d.scale, (b - d.loc) / d.scale
    flip = low > 0
    return _cdf(d, torch.where(flip, -high, low)), _cdf(d, torch.where(flip, -low, high)), flip


@singledispatch
def _cdf(d: Distribution, t: Tensor) -> Tensor:
    """F of the distribution with location 0 and scale 1."""
    raise TypeError(f"no distribution function of {type(d).__name__}")


@_cdf.register
def _(d: Normal, t: Tensor) -> Tensor:
    return 0.5 * torch.erfc(-t / math.sqrt(2))  # `ndtr` loses its digits from −8 on


@_cdf.register
def _(d: Laplace, t: Tensor) -> Tensor:
    return torch.where(t < 0, 0.5 * t.clamp(max=0).exp(), 1 - 0.5 * (-t.clamp(min=0)).exp())


@_cdf.register
def _(d: StudentT, t: Tensor) -> Tensor:
    from scipy.special import stdtr

    return torch.from_numpy(np.asarray(stdtr(d.df.numpy(), t.numpy())))


@singledispatch
def _quantile(d: Distribution, share: Tensor) -> Tensor:
    """The inverse of `_cdf`."""
    raise TypeError(f"no quantiles of {type(d).__name__}")


@_quantile.register
def _(d: Normal, share: Tensor) -> Tensor:
    return torch.special.ndtri(share)


@_quantile.register
def _(d: Laplace, share: Tensor) -> Tensor:
    return torch.where(share < 0.5, (2 * share).log(), -(2 * (1 - share)).log())


@_quantile.register
def _(d: StudentT, share: Tensor) -> Tensor:
    from scipy.special import stdtrit

    return torch.from_numpy(np.asarray(stdtrit(d.df.numpy(), share.numpy())))
