"""What several experts say together: their product, or a mixture of them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch import distributions as D

from vaekit.distributions.mixture import chosen
from vaekit.distributions.noise import Noise


class Product(D.Normal):
    """The normalised product of Gaussians over (N, D), which is one; each expert counts where it is present.

        1/σ² = τ + Σ_m present_m / σ_m²,  μ = σ² Σ_m present_m μ_m / σ_m²

    Where nothing is present and τ is 0, it is N(0, I).

    Args:
        experts: M Gaussians over (N, D).
        present: (N, M) 1 where an expert has something to say, else 0.
        precision: τ, of a further expert N(0, I/τ).

    Source: Hinton (2002), Training products of experts; Wu, Goodman (2018), arXiv:1802.05335.
    """

    def __init__(self, experts: list[D.Normal], present: Tensor, precision: float = 1.0) -> None:
        self.experts, self.present = experts, present
        weights = torch.stack([e.scale.square().reciprocal() for e in experts], 1) * present.unsqueeze(2)
        nothing = (present.sum(1, keepdim=True) == 0).to(weights.dtype)  # (N, 1)
        total = weights.sum(1) + precision + (nothing if precision == 0 else 0)  # (N, D)
        loc = (weights * torch.stack([e.loc for e in experts], 1)).sum(1) / total
        super().__init__(loc, total.rsqrt(), validate_args=False)


class Mixed(D.Distribution):
    """Σ_k w_k N(z; μ_k, diag σ_k²), each row with its own components; it couples the dimensions.

    Draws follow the component that was chosen; the weights are given and carry no gradient.

    Args:
        weights: (N, K), at least 0, with a sum of 1.
        loc, scale: (N, K, D).
    """

    arg_constraints: dict = {}
    support = D.constraints.real_vector
    has_rsample = False

    def __init__(self, weights: Tensor, loc: Tensor, scale: Tensor) -> None:
        self.weights, self.loc, self.scale = weights, loc, scale
        super().__init__(loc.shape[:1], loc.shape[2:], validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        """log q(z), (N, D) → (N,)."""
        each = D.Normal(self.loc, self.scale, validate_args=False).log_prob(value.unsqueeze(1)).sum(2)
        return (each + self.weights.log()).logsumexp(1)

    def draw(self, noise: Noise) -> tuple[Tensor, None]:
        """One value for each row: a component by its weight, then a draw from it."""
        place = chosen(self.weights, self.batch_shape, noise).view(-1, 1, 1).expand(-1, 1, self.loc.shape[2])
        loc, scale = (t.gather(1, place).squeeze(1) for t in (self.loc, self.scale))
        return loc + scale * noise.normal(loc.shape, loc), None

    @property
    def mean(self) -> Tensor:
        return (self.weights.unsqueeze(2) * self.loc).sum(1)

    @property
    def variance(self) -> Tensor:
        """Within components and between them."""
        spread = self.scale.square() + (self.loc - self.mean.unsqueeze(1)).square()
        return (self.weights.unsqueeze(2) * spread).sum(1)
