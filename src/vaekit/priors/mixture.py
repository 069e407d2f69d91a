"""Priors with many places: a mixture of Gaussians, and the posteriors of learned pseudo-inputs."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.distributions import Normal

from vaekit.distributions.mixture import GaussianMixture
from vaekit.distributions.noise import ambient
from vaekit.distributions.scales import positive
from vaekit.recipes import configurable

FLOOR = 1e-2  # no component becomes narrower
APART = 0.5**0.5  # half of the variance at the start is between components, half within them
JITTER = 1e-2  # between pseudo-inputs that begin at the same datum, which would otherwise never part


@configurable
class Mixture(nn.Module):
    """p(z) = Σ_k w_k N(z; μ_k, diag σ_k²), everything learned; it begins spread out, with variance 1 in all.

    Args:
        components: K.
        dim: Number of latent dimensions D.

    Source: Dilokthanakul, Mediano, Garnelo, Lee, Salimbeni, Arulkumaran, Shanahan (2016), arXiv:1611.02648.

    Example:
        >>> p = Mixture(10, 3)()
        >>> p.log_prob(torch.zeros(5, 3)).shape
        torch.Size([5])
    """

    def __init__(self, components: int, dim: int) -> None:
        super().__init__()
        self.components, self.dim = _counted(components), dim
        self.logits = nn.Parameter(torch.zeros(components))
        self.loc = nn.Parameter(APART * torch.randn(components, dim))
        self.raw = nn.Parameter(torch.zeros(components, dim))

    def forward(self, c: Tensor | None = None) -> GaussianMixture:
        """The mixture; given a condition (N, A), one row for each of its rows, whatever it is."""
        p = GaussianMixture(self.logits, self.loc, positive(self.raw, APART, FLOOR))
        return p if c is None else p.expand(c.shape[:1])


@configurable
class Vamp(nn.Module):
    """p(z) = Σ_k w_k q(z | u_k): the posteriors of pseudo-inputs u, which are learned, are the prior's components.

    The encoder and the posterior are the model's own, the same objects. In the paper all weights are 1/K, where they
    begin here. Every pass encodes the K pseudo-inputs, at the cost of K more data in the batch.

    Args:
        encoder: (K, *shape) → features.
        posterior: Features → q(z | u), Gaussian in each dimension.
        inputs: Number of pseudo-inputs K.
        shape: Shape of one item as the model sees it.
        low, high: Range of its values, in which pseudo-inputs are held; None where there is no end.

    Source: Tomczak, Welling (2018), VAE with a VampPrior, arXiv:1705.07120.

    Example:
        >>> from vaekit.conditional import Conditional
        >>> from vaekit.distributions import Gaussian
        >>> prior = Vamp(nn.Linear(5, 8), Conditional(nn.Linear(8, 6), Gaussian()), inputs=4, shape=[5])
        >>> prior().log_prob(torch.zeros(2, 3)).shape
        torch.Size([2])
    """

    def __init__(
        self,
        encoder: nn.Module,
        posterior: nn.Module,
        inputs: int,
        shape: Sequence[int],
        low: float | None = None,
        high: float | None = None,
    ) -> None:
        super().__init__()
        self.encoder, self.posterior = encoder, posterior
        self.inputs, self.shape, self.low, self.high = _counted(inputs), tuple(shape), low, high
        self.logits = nn.Parameter(torch.zeros(inputs))
        self.pseudo = nn.Parameter(0.5 + JITTER * torch.randn(inputs, *self.shape))

    def forward(self, c: Tensor | None = None) -> GaussianMixture:
        """The mixture; given a condition (N, A), one row for each of its rows, whatever it is.

        Raises:
            TypeError: The posterior is not Gaussian in each dimension.
        """
        q = self.posterior(self.encoder(self.items()))
        if not isinstance(q, Normal):
            raise TypeError(
                f"Vamp mixes posteriors that are Gaussian in each dimension, not {type(q).__name__}; "
                "give the model Conditional(…, Gaussian()), or take Mixture as the prior"
            )
        p = GaussianMixture(self.logits, q.loc, q.scale)
        return p if c is None else p.expand(c.shape[:1])

    def items(self) -> Tensor:
        """The pseudo-inputs as the encoder sees them, within the range, (K, *shape)."""
        if self.low is None and self.high is None:
            return self.pseudo
        # the gradient passes by the ends: a value that was pushed beyond one would otherwise never come back
        return self.pseudo + (self.pseudo.clamp(self.low, self.high) - self.pseudo).detach()

    @torch.no_grad()
    def see_first(self, x: Tensor) -> None:
        """Begin at data (N, *shape); at the same ones again, a little moved, where there are fewer than K."""
        n, again = len(x), max(0, self.inputs - len(x))
        chosen = x[torch.arange(self.inputs, device=x.device) % n].nan_to_num().to(self.pseudo)
        chosen[self.inputs - again :] += JITTER * ambient().normal((again, *self.shape), self.pseudo)
        self.pseudo.copy_(chosen)


def _counted(n: int) -> int:
    if n < 1:
        raise ValueError(f"a mixture has one component or more, not {n}")
    return n
