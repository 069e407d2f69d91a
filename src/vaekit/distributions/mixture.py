"""A mixture of diagonal Gaussians: several places where a vector may be, each with a weight."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch import distributions as D

from vaekit.distributions.noise import Noise
from vaekit.distributions.reduce import tempered


def chosen(weights: Tensor, rows: Sequence[int], noise: Noise) -> Tensor:
    """A component for each row, drawn by weight; no gradient follows the choice.

    Args:
        weights: (K,) for all rows alike, or (N, K).
        rows: Their shape; (N,) where each has weights of its own.
        noise: Of the draw.

    Returns:
        (*rows,) places 0 … K−1.
    """
    shares = weights.detach().double().cumsum(-1)
    u = noise.uniform(rows, shares)
    if shares.dim() == 1:
        return torch.searchsorted(shares, u * shares[-1]).clamp(max=len(shares) - 1)
    below = shares < u.unsqueeze(-1) * shares[..., -1:]  # (N, K)
    return below.sum(-1).clamp(max=shares.shape[-1] - 1)


class GaussianMixture(D.Distribution):
    """p(z) = Σ_k w_k N(z; μ_k, diag σ_k²) over vectors; it couples their dimensions.

    Draws follow μ and σ of the component that was chosen; the choice itself carries no gradient to the weights.

    Args:
        logits: (K,) logarithms of the weights w, up to a constant.
        loc, scale: (K, D) means and standard deviations of the components.
        batch_shape: Shape of the rows, each distributed alike; () for one.

    Example:
        >>> p = GaussianMixture(torch.zeros(2), torch.tensor([[-1.0], [1.0]]), torch.ones(2, 1))
        >>> p.mean, p.variance
        (tensor([0.]), tensor([2.]))
    """

    arg_constraints: dict = {}
    has_rsample = False

    def __init__(self, logits: Tensor, loc: Tensor, scale: Tensor, batch_shape: Sequence[int] = ()) -> None:
        self.logits, self.loc, self.scale = logits.log_softmax(0), loc, scale
        super().__init__(torch.Size(batch_shape), loc.shape[-1:], validate_args=False)

    def expand(self, batch_shape: Sequence[int], _instance: object = None) -> GaussianMixture:
        """The same mixture for every row of another batch shape."""
        return GaussianMixture(self.logits, self.loc, self.scale, batch_shape)

    def log_prob(self, value: Tensor) -> Tensor:
        """log p(z), (*rows, D) → (*rows,).

        All distances at once, as Σ_d (z² − 2 z μ + μ²) / σ²: a product of two matrices, in float64, since the three
        summands are larger than the distance by (μ / σ)².
        """
        wide = value.dtype if value.device.type == "mps" else torch.float64  # which has no float64
        z, loc, scale = (t.to(wide) for t in (value, self.loc, self.scale))
        precision = scale.square().reciprocal()  # (K, D)
        parts = torch.cat([z.square(), z], -1).view(-1, 2 * z.shape[-1])  # (N, 2 D)
        factors = torch.cat([-0.5 * precision, loc * precision], -1)  # (K, 2 D)
        constant = -0.5 * (loc.square() * precision + math.log(2 * math.pi)).sum(-1) - scale.log().sum(-1)
        each = torch.addmm(constant + self.logits.to(wide), parts, factors.T)  # (N, K)
        return each.logsumexp(-1).view(value.shape[:-1]).to(value.dtype)

    def draw(self, noise: Noise) -> tuple[Tensor, None]:
        """One value for each row: a component by its weight, then a draw from it."""
        place = chosen(self.logits.double().exp(), self.batch_shape, noise)
        loc, scale = self.loc[place], self.scale[place]  # (*rows, D)
        return loc + scale * noise.normal(loc.shape, loc), None

    @property
    def mean(self) -> Tensor:
        return (self.logits.exp() @ self.loc).expand(self._extended_shape())

    @property
    def variance(self) -> Tensor:
        """Within components and between them."""
        weights = self.logits.exp()
        within, between = self.scale.square(), (self.loc - weights @ self.loc).square()
        return (weights @ (within + between)).expand(self._extended_shape())


@tempered.register
def _(p: GaussianMixture, temperature: float) -> D.Distribution:
    """Each component narrower or wider; weights and places stay."""
    return p if temperature == 1 else GaussianMixture(p.logits, p.loc, p.scale * temperature, p.batch_shape)
