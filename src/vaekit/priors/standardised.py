"""A prior over latents of any scale, from one over latents of mean 0 and variance 1."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vaekit.distributions import Noise, right
from vaekit.distributions.affine import Affine
from vaekit.recipes import configurable

FLOOR = 1e-3  # no dimension is stretched by more than this undoes


@configurable
class Standardised(nn.Module):
    """p(z) = prior((z − m) / s) / Π s: m and s are the mean and deviation of the latents it was fitted to.

    Args:
        prior: c → p(u | c) over (D,), for latents of mean 0 and variance 1.
        dim: Number of latent dimensions D.

    Example:
        >>> from vaekit.priors import StandardNormal
        >>> prior = Standardised(StandardNormal(2), 2)
        >>> prior.begin(torch.tensor([[1.0, 0.0], [3.0, 0.0], [5.0, 3.0]]))
        >>> prior().mean
        tensor([3., 1.])
    """

    loc: Tensor
    scale: Tensor

    def __init__(self, prior: nn.Module, dim: int) -> None:
        super().__init__()
        self.prior, self.dim = prior, dim
        self.register_buffer("loc", torch.zeros(dim))
        self.register_buffer("scale", torch.ones(dim))

    def forward(self, c: Tensor | None = None) -> Affine:
        """Over (D,); given a condition (N, A), one row for each of its rows."""
        return Affine(self.prior(c), self.loc, self.scale)

    @torch.no_grad()
    def begin(self, z: Tensor) -> None:
        """Take m and s from latents (N, D), and let the inner prior begin from them if it does."""
        self.loc.copy_(z.mean(0))
        self.scale.copy_(z.std(0).clamp(min=FLOOR))
        own = getattr(self.prior, "begin", None)
        if own is not None:
            own(self._standard(z))

    def loss(self, z: Tensor, c: Tensor | None, noise: Noise) -> Tensor:
        """What the inner prior is trained by, (N,), of latents (N, D)."""
        own = getattr(self.prior, "loss", None)
        return -right(self(c).log_prob(z)) if own is None else own(self._standard(z), c, noise)

    def _standard(self, z: Tensor) -> Tensor:
        return (z - self.loc) / self.scale
