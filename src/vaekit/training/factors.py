"""Factor analysis of rows with holes: the linear model that explains the cells that are there, by EM.

    x_d = mean_d + W_d z + noise_d,  z ~ N(0, I),  noise_d ~ N(0, ψ_d),  W_d ~ N(0, ψ_d / ρ)

E: q(z | x_obs) of each row in closed form.  M: for each column a ridge regression of its observed cells on z, in the
mean under q.

Source: Rubin, Thayer (1982), EM algorithms for ML factor analysis; Ghahramani, Hinton (1996), The EM algorithm for
mixtures of factor analyzers.
"""

from __future__ import annotations

import torch
from torch import Tensor

ROUNDS = 30  # of E and M
RIDGE = 1.0  # ρ: how many rows of pure noise a column's weights are held against
SMALLEST = 1e-2  # of a column's noise, as a share of its standard deviation


def factor_analysis(x: Tensor, seen: Tensor, weights: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, weights and noise of the columns.

    Args:
        x: (N, F) rows in float64; what stands in the holes is of no account.
        seen: (N, F) 1 where observed, else 0.
        weights: W, (F, L) to begin with.
        noise: √ψ, (F,) to begin with.

    Returns:
        Mean (F,), W (F, L) and √ψ (F,).

    Example:
        >>> z = torch.linspace(-2, 2, 101, dtype=torch.float64).unsqueeze(1)
        >>> x, seen = z @ torch.ones(1, 3, dtype=torch.float64), torch.ones(101, 3, dtype=torch.float64)
        >>> mean, weights, noise = factor_analysis(x, seen, torch.ones(3, 1).double(), torch.ones(3).double())
        >>> bool(mean.abs().max() < 1e-6), bool((noise < 0.2).all())
        (True, True)
    """
    x, count = torch.where(seen > 0, x, 0.0), seen.sum(0)  # NaN × 0 is NaN
    mean = x.sum(0) / count.clamp(min=1)
    spread = (((x - mean) * seen).square().sum(0) / count.clamp(min=1)).clamp(min=1e-12)
    variance = torch.maximum(noise.square(), SMALLEST**2 * spread)
    ridge = RIDGE * torch.ones(weights.shape[1] + 1, dtype=x.dtype)
    ridge[-1] = 1e-9  # the mean is held against nothing; a column that is never there still has one
    for _ in range(ROUNDS):
        first, second = _moments(x, seen, mean, weights, variance)
        squares = (seen.T @ second.flatten(1)).unflatten(1, second.shape[1:])  # (F, L + 1, L + 1)
        cross = x.T @ first  # (F, L + 1)
        found = torch.linalg.solve(squares + torch.diag(ridge), cross)
        left = x.square().sum(0) - (found * cross).sum(1)  # Σ (x − W z − mean)² + ρ W², in the mean under q
        variance = torch.maximum(left / count.clamp(min=1), SMALLEST**2 * spread)
        weights, mean = found[:, :-1], found[:, -1]
    return mean, weights, variance.sqrt()


def _moments(
    x: Tensor, seen: Tensor, mean: Tensor, weights: Tensor, variance: Tensor
) -> tuple[Tensor, Tensor]:
    """E[z, 1] and E[(z, 1) (z, 1)ᵀ] of each row under q(z | x_obs), (N, L + 1) and (N, L + 1, L + 1)."""
    scaled = weights / variance.unsqueeze(1)  # ψ⁻¹ W
    pairs = (scaled.unsqueeze(2) * weights.unsqueeze(1)).flatten(1)  # (F, L · L)
    size = weights.shape[1]
    precision = (seen @ pairs).unflatten(1, (size, size)) + torch.eye(size, dtype=x.dtype)
    covariance = torch.cholesky_inverse(torch.linalg.cholesky(precision))  # (N, L, L)
    z = (covariance @ ((x - mean * seen) @ scaled).unsqueeze(2)).squeeze(2)
    first = torch.cat([z, torch.ones_like(z[:, :1])], 1)
    second = first.unsqueeze(2) * first.unsqueeze(1)
    second[:, :size, :size] += covariance
    return first, second
