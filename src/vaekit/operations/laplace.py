"""The Gaussian at the mode of p(z | x_obs): what the decoder and the prior say of z, with no encoder asked.

    ẑ = argmax_z log p(x_obs, z),  p(z | x_obs) ≈ N(ẑ, H⁻¹),  H = −∇² log p(x_obs, z) at ẑ

For a linear Gaussian decoder it is the posterior itself.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from vaekit.model import VAE, Pass

STEPS = 20  # of Newton's method at most
LEAST, MOST = 0.25, 1e6  # curvatures are taken to lie between; N(0, I) has 1
SETTLED = 1e-3  # nats: a step that promises less is the last
WIDENED = 1.1  # of the standard deviations: a proposal is to be a little wider than what it stands for


def movable(model: VAE, x: Tensor, c: Tensor | None, mask: Tensor | None) -> bool:
    """Whether there is one latent variable, in ℝ^D, whose prior's density can be followed uphill.

    Args:
        model, x, c, mask: As in `laplace`; one datum is enough.
    """
    latents = model.posterior(x, c, mask)
    prior = getattr(model.bottleneck, "prior", None)
    if len(latents) != 1 or prior is None or hasattr(prior, "settle") or hasattr(latents[0].q, "probs"):
        return False
    if not model.bottleneck.stochastic or not latents[0].z.is_floating_point():
        return False
    with torch.enable_grad():
        z = latents[0].z.detach().requires_grad_()
        return bool(latents[0].prior.log_prob(z).requires_grad)


def laplace(model: VAE, x: Tensor, c: Tensor | None, mask: Tensor | None) -> MultivariateNormal:
    """N(ẑ, 1.1² H⁻¹) of each datum.

    Newton's method from the encoder's own answer; where a step does not lead uphill it is shortened, and directions in
    which log p(x_obs, z) is not concave are followed by the size of their curvature.

    Args:
        model: One continuous latent variable (`movable`); in evaluation mode.
        x: (B, *shape) data in the model's space.
        c: (B, A) condition.
        mask: (B, *shape) true where observed.

    Returns:
        Over (B, L), L the numbers of a code.

    Source: Shephard, Pitt (1997), Likelihood analysis of non-Gaussian measurement time series; Tierney, Kadane (1986).
    """
    with torch.no_grad():
        code = model.encode(x, c, mask)
    z, shape = code.flatten(1), code.shape[1:]
    value, slope, curvature = _surface(model, x, c, mask, z, shape)
    damping = torch.zeros(len(z), 1, dtype=z.dtype, device=z.device)
    going = torch.ones(len(z), dtype=torch.bool, device=z.device)  # a row that has arrived waits for no other
    for _ in range(STEPS):
        step = _newton(slope, curvature, damping)
        going = going & ((slope * step).sum(1) > SETTLED)
        if not bool(going.any()):
            break
        found = _surface(model, x, c, mask, z + step, shape)
        uphill = (going & (found[0] >= value)).unsqueeze(1)
        z = torch.where(uphill, z + step, z)
        value = torch.where(uphill[:, 0], found[0], value)
        slope = torch.where(uphill, found[1], slope)
        curvature = torch.where(uphill.unsqueeze(2), found[2], curvature)
        damping = torch.where(uphill, damping / 10, damping * 10 + 1)
    size, axes = _axes(curvature)
    root = WIDENED * axes * size.rsqrt().unsqueeze(1)  # R Rᵀ = H⁻¹
    lower = torch.linalg.qr(root.mT).R.mT  # R = L Q: L Lᵀ is the same
    lower = lower * lower.diagonal(dim1=1, dim2=2).sign().unsqueeze(1)
    return MultivariateNormal(z, scale_tril=lower, validate_args=False)


def _newton(slope: Tensor, curvature: Tensor, damping: Tensor) -> Tensor:
    """(|H| + damping)⁻¹ ∇, (B, L)."""
    size, axes = _axes(curvature)
    along = (axes.mT @ slope.unsqueeze(2)).squeeze(2)  # (B, L)
    return (axes @ (along / (size + damping * size.mean(1, keepdim=True))).unsqueeze(2)).squeeze(2)


def _axes(curvature: Tensor) -> tuple[Tensor, Tensor]:
    """Sizes of the curvatures of −log p along their axes, (B, L), and the axes, (B, L, L)."""
    values, axes = torch.linalg.eigh(-(curvature + curvature.mT) / 2)
    return values.abs().clamp(LEAST, MOST), axes


def _surface(
    model: VAE, x: Tensor, c: Tensor | None, mask: Tensor | None, z: Tensor, shape: torch.Size
) -> tuple[Tensor, Tensor, Tensor]:
    """log p(x_obs, z), (B,); its gradient, (B, L); its second derivatives, (B, L, L)."""
    with torch.enable_grad():
        z = z.detach().requires_grad_()
        state, [latent] = model.bottleneck(z=z.unflatten(1, shape), c=c)
        px = model.likelihood(state, c)
        value = latent.log_p - Pass(x, px, [latent], state, mask, c).distortion
        [slope] = torch.autograd.grad(value.sum(), z, create_graph=True)
        rows = [torch.autograd.grad(part.sum(), z, retain_graph=True)[0] for part in slope.unbind(1)]
    return value.detach(), slope.detach(), torch.stack(rows, 1)
