"""A mixture of Gaussians fitted to a trained model's latents by expectation maximisation."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor, nn

from vaekit.distributions.full_mixture import FullMixture
from vaekit.recipes import configurable


@configurable
class FittedMixture(nn.Module):
    """p(z) = Σ_k w_k N(z; μ_k, Σ_k), Σ_k full; fitted at once and not by gradient.

    Args:
        components: K.
        dim: Number of latent dimensions D.

    Source: Ghosh, Sajjadi, Vergari, Black, Schölkopf (2020), From variational to deterministic autoencoders,
        arXiv:1903.12436 (a density fitted after training).

    Example:
        >>> prior = FittedMixture(2, 3)
        >>> prior.fit(torch.randn(100, 3), seed=0)
        >>> prior().log_prob(torch.zeros(4, 3)).shape
        torch.Size([4])
    """

    logits: Tensor
    loc: Tensor
    tril: Tensor

    def __init__(self, components: int, dim: int) -> None:
        super().__init__()
        self.components, self.dim = components, dim
        self.register_buffer("logits", torch.zeros(components))
        self.register_buffer("loc", torch.zeros(components, dim))
        self.register_buffer("tril", torch.eye(dim).repeat(components, 1, 1))

    def forward(self, c: Tensor | None = None) -> FullMixture:
        """The mixture; given a condition (N, A), one row for each of its rows, whatever it is."""
        p = FullMixture(self.logits, self.loc, self.tril)
        return p if c is None else p.expand(c.shape[:1])

    @torch.no_grad()
    def fit(self, z: Tensor, seed: int) -> None:
        """Fit to latents (N, D).

        Raises:
            ValueError: There are fewer latents than components.
        """
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.mixture import GaussianMixture
        from threadpoolctl import threadpool_limits

        if len(z) < self.components:
            raise ValueError(f"{self.components} components need at least as many latents, not {len(z)}")
        found = GaussianMixture(self.components, reg_covar=1e-4, random_state=seed % 2**32)
        z = z.double().cpu()
        middle, scale = z.mean(0), z.std(0, correction=0)
        scale = torch.where(scale > 0, scale, 1.0)  # the floor of a variance is a share of its dimension's
        # one thread: the sums of several come in any order, and the same seed would not give the same mixture
        with threadpool_limits(1), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a hundred rounds are near enough
            found.fit(((z - middle) / scale).numpy())
        self.logits.copy_(torch.from_numpy(found.weights_).log())
        self.loc.copy_(middle + scale * torch.from_numpy(found.means_))
        self.tril.copy_(scale.unsqueeze(1) * torch.linalg.cholesky(torch.from_numpy(found.covariances_)))
