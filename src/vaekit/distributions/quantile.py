"""Draws of one-dimensional variables by inverting their distribution function, with the gradient that belongs to it.

    u = F(y; κ)   ⟹   dy/dκ = −(∂F/∂κ) / f(y)

Densities here are f(y; κ) ∝ exp(κ s(y)) b(y), so that ∂F/∂κ = ∫_{−∞}^y (s − E[s]) f. Both integrals are sums over the
same Gauss-Legendre nodes. A draw needs one uniform number and no rejection: equal noise gives a draw that moves
smoothly with κ.

Source: Figurnov, Mohamed, Mnih (2018), Implicit reparameterization gradients, arXiv:1805.08498.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

PANELS, NODES = 32, 8
NEWTON = 6  # steps inside a panel, over which the density changes by a small factor
CHUNK = 4_096  # rows whose nodes are held at once


class Shape(NamedTuple):
    """A family of densities f(y; κ) ∝ exp(κ s(y) + log b(y)) on the real line.

    Attributes:
        statistic: s.
        log_base: log b.
        mode: κ → the most probable y.
        reach: Distance from the mode beyond which there is nothing to speak of.
    """

    statistic: Callable[[Tensor], Tensor]
    log_base: Callable[[Tensor], Tensor]
    mode: Callable[[Tensor], Tensor]
    reach: float


def quantile(u: Tensor, concentration: Tensor, shape: Shape) -> Tensor:
    """y with F(y; κ) = u, differentiable in κ.

    Args:
        u: (N,) in (0, 1), float64.
        concentration: κ, (N,), float64.
        shape: The densities.
    """
    return _Quantile.apply(u, concentration, shape)


class _Quantile(torch.autograd.Function):
    """The inverse, whose derivative is computed along with it."""

    @staticmethod
    def forward(ctx: Any, u: Tensor, concentration: Tensor, shape: Shape) -> Tensor:
        parts = zip(u.split(CHUNK), concentration.split(CHUNK), strict=True)
        values, slopes = zip(*(_invert(*part, shape) for part in parts), strict=True)
        ctx.save_for_backward(torch.cat(slopes))
        return torch.cat(values)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor, None]:
        return None, gradients[0] * ctx.saved_tensors[0], None


def _invert(u: Tensor, concentration: Tensor, shape: Shape) -> tuple[Tensor, Tensor]:
    """y and dy/dκ, (N,) each."""
    kappa, mode = concentration[:, None, None], shape.mode(concentration)[:, None, None]
    top = kappa * shape.statistic(mode) + shape.log_base(mode)

    def density(y: Tensor) -> Tensor:
        return (kappa * shape.statistic(y) + shape.log_base(y) - top).exp()

    width = 2 * shape.reach / PANELS
    edges = mode + width * (torch.arange(PANELS, dtype=u.dtype, device=u.device)[:, None] - PANELS / 2)
    mass, moment = _integrals(edges, torch.full_like(edges, width), density, shape)  # (N, P)
    cumulative = mass.cumsum(1)
    total = cumulative[:, -1:]
    target = u[:, None] * total
    panel = (cumulative < target).sum(1, keepdim=True).clamp(max=PANELS - 1)
    start = edges[..., 0].gather(1, panel)
    missing = target - (cumulative - mass).gather(1, panel)
    y = _newton(start, width, missing, mass.gather(1, panel), density, shape)
    within = _integrals(start[..., None], (y - start)[..., None], density, shape)
    below = (moment.cumsum(1) - moment).gather(1, panel) + within[1]
    mean = moment.sum(1, keepdim=True) / total
    slope = (mean * target - below) / density(y[..., None])[..., 0]
    return y[:, 0], slope[:, 0]


def _newton(
    start: Tensor,
    width: float,
    missing: Tensor,
    mass: Tensor,
    density: Callable[[Tensor], Tensor],
    shape: Shape,
) -> Tensor:
    """y in a panel with ∫_start^y density = missing, (N, 1)."""
    y = start + width * (missing / mass.clamp(min=torch.finfo(mass.dtype).tiny)).clamp(0, 1)
    for _ in range(NEWTON):
        found = _integrals(start[..., None], (y - start)[..., None], density, shape)[0]
        step = (missing - found) / density(y[..., None])[..., 0]
        y = (y + step).clamp(start, start + width)
    return y


def _integrals(
    start: Tensor, width: Tensor, density: Callable[[Tensor], Tensor], shape: Shape
) -> tuple[Tensor, Tensor]:
    """∫ density and ∫ s · density from each start over each width: (N, P, 1) → (N, P) each."""
    nodes, weights = (torch.as_tensor(t, device=start.device) for t in _rule())
    y = start + width * nodes  # (N, P, nodes)
    f = density(y) * weights * width
    return f.sum(-1), (shape.statistic(y) * f).sum(-1)


@lru_cache(maxsize=1)
def _rule() -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre nodes and weights on [0, 1]."""
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    return (nodes + 1) / 2, weights / 2
