"""The parts of a rate, with the aggregated posterior q(z) = E_x[q(z | x)] estimated from a batch."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributions import Distribution

from vaekit.bottlenecks import Latent


class Decomposition(NamedTuple):
    """The three parts of a sampled rate, (N,) nats each; their sum is log q(z | x) − log p(z).

    Attributes:
        mutual_information: log q(z | x) − log q(z), of data and latent.
        total_correlation: log q(z) − Σ_d log q(z_d), of the dimensions.
        dimension: Σ_d log q(z_d) − log p(z), of each dimension against the prior.
    """

    mutual_information: Tensor
    total_correlation: Tensor
    dimension: Tensor


def decompose(
    latent: Latent, size: int | None = None, samples: int = 1, weight: Tensor | None = None
) -> Decomposition:
    """The parts of the sampled rate of each row, with q(z) estimated from the rows.

    Args:
        latent: One random variable over N = B × K rows.
        size: Number of all data; None where the rows are all of them.
        samples: K.
        weight: (N,) weight of each row, or None.
    """
    log_each = _pairwise(latent)  # (N, N, D)
    each = log_each.new_ones(len(log_each)) if weight is None else weight.to(log_each)
    log_share = stratified(len(each), size, samples, each).log()  # (N, N)
    log_joint = (log_each.sum(2) + log_share).logsumexp(1)  # (N,)
    log_single = (log_each + log_share.unsqueeze(2)).logsumexp(1).sum(1)
    return Decomposition(latent.log_q - log_joint, log_joint - log_single, log_single - latent.log_p)


def stratified(n: int, size: int | None = None, samples: int = 1, weight: Tensor | None = None) -> Tensor:
    """How much each row's posterior counts in the estimate of q(z) at each row's z, (N, N); rows sum to 1.

    A row's own datum counts as it does among all data, 1/size, and the others share the rest.

    Args:
        n: Rows N = B × K of the batch.
        size: Number of all data; None where the batch is all of them.
        samples: K, rows of each datum, side by side.
        weight: (N,) weight of each row, or None.

    Example:
        >>> stratified(3, size=10)
        tensor([[0.1000, 0.4500, 0.4500],
                [0.4500, 0.1000, 0.4500],
                [0.4500, 0.4500, 0.1000]])
    """
    each = torch.ones(n) if weight is None else weight
    same = siblings(n, samples).to(each.device)
    own = (same * each).sum(1)  # (N,)
    others = each.sum() - own
    data = n // samples if size is None else size
    share = torch.where(others > 0, (own / (each.mean() * samples * data)).clamp(max=1), torch.ones_like(own))
    inside = each / own.clamp(min=1e-30).unsqueeze(1)
    outside = each / others.clamp(min=1e-30).unsqueeze(1)
    return torch.where(same, share.unsqueeze(1) * inside, (1 - share).unsqueeze(1) * outside)


def siblings(n: int, samples: int) -> Tensor:
    """Which rows are draws for the same datum, (N, N) of bool."""
    datum = torch.arange(n) // samples
    return datum.unsqueeze(1) == datum.unsqueeze(0)


def _pairwise(latent: Latent) -> Tensor:
    """log q(z_i,d | x_j) for each pair of rows and each dimension, (N, N, D)."""
    n, shape = len(latent.z), latent.z.shape[1:]
    found = None if coupled(latent.q, latent.z) else latent.q.log_prob(latent.z.unsqueeze(1))
    if found is None or found.shape != (n, n, *shape):
        raise ValueError(
            f"{type(latent.q).__name__} couples its dimensions, and total correlation needs the density of each; "
            "use a posterior whose dimensions are independent (Gaussian, Laplace)"
        )
    return found.flatten(2)


def coupled(q: Distribution, z: Tensor) -> bool:
    """Whether q is one density over all of a row's dimensions."""
    return q.batch_shape != z.shape
