"""Modified Bessel functions of the first kind as the von Mises-Fisher distribution needs them, for any κ and D.

    G(κ) = log 0F1(D/2; κ²/4) = log[Γ(ν + 1) (2/κ)^ν I_ν(κ)],   ν = D/2 − 1,   G(0) = 0
    A(κ) = G′(κ) = I_{ν+1}(κ) / I_ν(κ)

I_ν itself leaves the range of a float64 at once (I₁₂₇(0.01) is 10⁻⁵⁰⁵); G and A never do. At a high order the uniform
expansion gives both; the recurrence I_{ν−1} = I_{ν+1} + 2ν/κ I_ν leads down from there, and forgets errors on its way.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import torch
from numpy.polynomial import Polynomial
from torch import Tensor

ORDER = 24.0  # from this order on, the expansion has every digit of a float64
TERMS = 10


def log_partition(concentration: Tensor, dim: int) -> Tensor:
    """G(κ) = log E[exp(κ μᵀz)] over uniform unit vectors z, with gradient A(κ).

    Args:
        concentration: κ ≥ 0 of any shape, float64.
        dim: D, coordinates of a unit vector.

    Source: Olver, Lozier, Boisvert, Clark (2010), NIST Handbook of Mathematical Functions, §10.41 (the expansion).

    Example:
        >>> kappa = torch.tensor([0.0, 2.0], dtype=torch.float64)
        >>> log_partition(kappa, 3)  # log(sinh κ / κ) in three dimensions
        tensor([0.0000, 0.5952], dtype=torch.float64)
    """
    return _LogPartition.apply(concentration, dim)


def mean_length(concentration: Tensor, dim: int) -> Tensor:
    """A(κ) = |E[z]|, between 0 and 1, with gradient 1 − A² − (D − 1) A / κ."""
    return _MeanLength.apply(concentration, dim)


class _LogPartition(torch.autograd.Function):
    """G, whose derivative is A."""

    @staticmethod
    def forward(ctx: Any, concentration: Tensor, dim: int) -> Tensor:
        ctx.save_for_backward(concentration)
        ctx.dim = dim
        return _descend(concentration, dim)[0]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0] * mean_length(ctx.saved_tensors[0], ctx.dim), None


class _MeanLength(torch.autograd.Function):
    """A, whose derivative it gives itself."""

    @staticmethod
    def forward(ctx: Any, concentration: Tensor, dim: int) -> Tensor:
        length = _descend(concentration, dim)[1]
        ctx.save_for_backward(concentration, length)
        ctx.dim = dim
        return length

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        concentration, length = ctx.saved_tensors
        ratio = over_concentration(length, concentration, ctx.dim)
        return gradients[0] * (1 - length.square() - (ctx.dim - 1) * ratio), None


def over_concentration(length: Tensor, concentration: Tensor, dim: int) -> Tensor:
    """A(κ) / κ, which is 1/D at κ = 0."""
    some = concentration > 0
    ratio = length / torch.where(some, concentration, torch.ones_like(concentration))
    return torch.where(some, ratio, torch.full_like(ratio, 1 / dim))


def _descend(concentration: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """G and A, from a high order down to ν."""
    order = dim / 2 - 1
    steps = max(0, math.ceil(ORDER - order))
    first, above = (_expansion(concentration, order + steps + i) for i in (0, 1))
    ratio = (above - first).exp() * concentration / (2 * (order + steps + 1))  # I_{n+1} / I_n
    for n in range(steps - 1, -1, -1):
        half = concentration / (2 * (order + n + 1))
        first = first + (half * ratio).log1p()
        ratio = half / (1 + half * ratio)
    return first, ratio


def _expansion(concentration: Tensor, order: float) -> Tensor:
    """G at a high order n, with s = √(1 + κ²/n²).

    n (s − 1 − log((1 + s)/2)) − ½ log s + log Σ u_k(1/s)/nᵏ − log Σ u_k(1)/nᵏ
    """
    ratio = (concentration / order).square()
    s = (1 + ratio).sqrt()
    beyond = ratio / (1 + s)  # s − 1
    leading = order * (beyond - (beyond / 2).log1p()) - 0.25 * ratio.log1p()
    coefficients = torch.tensor(_coefficients(order), dtype=s.dtype, device=s.device)
    powers = (1 / s).unsqueeze(-1) ** torch.arange(len(coefficients), device=s.device)  # of t = 1/s
    return leading + ((coefficients * (powers - 1)).sum(-1) / coefficients.sum()).log1p()


@lru_cache(maxsize=64)
def _coefficients(order: float) -> tuple[float, ...]:
    """Coefficients in t of Σ_k u_k(t) / nᵏ, where u_{k+1} = ½ t² (1 − t²) u_k′ + ⅛ ∫₀ᵗ (1 − 5 s²) u_k(s) ds."""
    u, total = Polynomial([1.0]), Polynomial([0.0])
    for k in range(TERMS):
        total = total + u / order**k
        u = Polynomial([0, 0, 0.5, 0, -0.5]) * u.deriv() + 0.125 * (Polynomial([1, 0, -5]) * u).integ()
    return tuple(float(c) for c in total.coef)
