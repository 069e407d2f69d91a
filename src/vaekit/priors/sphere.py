"""The prior of a latent on a sphere, and what is done with values on it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vaekit.distributions.directional import unit
from vaekit.distributions.sphere import UniformSphereDistribution
from vaekit.recipes import configurable


@configurable
class UniformSphere(nn.Module):
    """p(z) = 1 / |S| over unit vectors in D dimensions.

    Args:
        dim: Coordinates D of a unit vector; its sphere has D − 1 dimensions.

    Source: Davidson, Falorsi, De Cao, Kipf, Tomczak (2018), Hyperspherical VAEs, arXiv:1804.00891.

    Example:
        >>> UniformSphere(3).settle(torch.tensor([[0.0, 2.0, 0.0]]))
        tensor([[0., 1., 0.]])
        >>> UniformSphere(3)(torch.zeros(2, 5)).log_prob(torch.eye(3)[:2])  # −log 4π
        tensor([-2.5310, -2.5310])
    """

    axis: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        if dim < 2:
            raise ValueError(f"a unit vector has two coordinates or more, not {dim}")
        self.dim = dim
        self.register_buffer("axis", torch.eye(dim)[0], persistent=False)

    def forward(self, c: Tensor | None = None) -> UniformSphereDistribution:
        """One row for all; given a condition (N, A), one row for each of its rows, whatever it is."""
        return UniformSphereDistribution(self.axis if c is None else self.axis.expand(c.shape[0], self.dim))

    def settle(self, z: Tensor) -> Tensor:
        """Any values (N, D) at length one; the zero vector becomes the first axis."""
        return unit(z)

    def between(self, start: Tensor, end: Tensor, weight: Tensor) -> Tensor:
        """Along the shorter great circle; between opposite points, along one of them.

        Args:
            start, end: (1, D).
            weight: (S,) how far along.

        Returns:
            (S, D)
        """
        dtype, start, end = start.dtype, unit(start.double()), unit(end.double())
        cosine = (start * end).sum(-1, keepdim=True)
        across = end - cosine * start
        sine = torch.linalg.vector_norm(across, dim=-1, keepdim=True)
        across = unit(torch.where(sine > 1e-9, across, _aside(start)))
        angle = weight.double()[:, None] * torch.atan2(sine, cosine)  # (S, 1)
        return (angle.cos() * start + angle.sin() * across).to(dtype)


def _aside(start: Tensor) -> Tensor:
    """A vector at right angles to each, (1, D): the axis it has least of, less its share."""
    axis = torch.zeros_like(start).scatter_(-1, start.abs().argmin(-1, keepdim=True), 1.0)
    return axis - (axis * start).sum(-1, keepdim=True) * start
