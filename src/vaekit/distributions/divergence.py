"""Closed-form divergences that torch does not register."""

from __future__ import annotations

from torch import Tensor
from torch.distributions import Distribution, MultivariateNormal, Normal, kl_divergence, register_kl

from vaekit.distributions.discrete import PointMass


@register_kl(MultivariateNormal, Normal)
def _(q: MultivariateNormal, p: Normal) -> Tensor:
    """KL(N(μ, L Lᵀ) ‖ Π N(m, s²)), (N,)."""
    variance = q.scale_tril.square().sum(-1)  # (N, D): the diagonal of L Lᵀ
    quadratic = (variance + (q.loc - p.loc).square()) / p.scale.square()
    log_ratio = p.scale.log() - q.scale_tril.diagonal(dim1=-2, dim2=-1).log()
    return (log_ratio + 0.5 * (quadratic - 1)).sum(-1)


@register_kl(Normal, MultivariateNormal)
def _(q: Normal, p: MultivariateNormal) -> Tensor:
    """KL(Π N(m, s²) ‖ N(μ, L Lᵀ)), (N,): the factorised one is a covariance of its own."""
    full = MultivariateNormal(q.loc, scale_tril=q.scale.diag_embed(), validate_args=False)
    return kl_divergence(full, p)


@register_kl(PointMass, Distribution)
def _(q: PointMass, p: Distribution) -> Tensor:
    """−log p(codes): the code length."""
    if q.value.is_floating_point():
        raise ValueError("a deterministic code has no rate: KL from a point mass to a density is infinite")
    return -p.log_prob(q.value)
