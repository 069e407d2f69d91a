"""Bounds whose gradient follows z: each draw moves with the parameters of q, and q's density is held still.

∂/∂φ E_q[f(z)] = E[∂f/∂z · ∂z/∂φ],  z = z(ε; φ)
"""

from __future__ import annotations

import torch
from torch import Tensor

from vaekit.bottlenecks import Latent
from vaekit.distributions import right
from vaekit.distributions.detached import detach
from vaekit.model import Pass
from vaekit.objectives.importance import counted, log_mean
from vaekit.objectives.term import Term


class PartiallyImportanceWeighted(Term):
    """The decoder and the prior follow the bound of all M·K draws, the encoder the mean of M bounds of K each.

    The value is the decoder's: −log 1/MK Σ_mk w_mk, nats per datum. The two gradients are

        −Σ_mk v_mk ∂ log p(x, z_mk),            v = softmax of log w over all M·K draws
        −1/M Σ_mk u_mk ∂ log w_mk along z and q,  u = softmax of log w over each group's K

    A tighter bound helps the decoder, but drowns the encoder's gradient in noise; so each gets its own.

    Args:
        groups: M, bounds for each datum.
        inner: K, draws for each of the encoder's bounds.

    Raises:
        ValueError: There is more than one latent variable, or z cannot carry a gradient.

    Source: Rainforth, Kosiorek, Le, Maddison, Igl, Wood, Teh (2018), arXiv:1802.04537 (PIWAE).

    Example:
        >>> PartiallyImportanceWeighted(groups=4, inner=2).samples
        8
    """

    def __init__(self, groups: int = 4, inner: int = 4) -> None:
        super().__init__()
        self.groups, self.inner = counted(groups, "groups"), counted(inner, "inner")
        self.samples = groups * inner

    def forward(self, out: Pass, step: int) -> Tensor:
        latent = _only(out, self)
        log_q, log_joint = latent.log_q, latent.log_p - out.distortion
        weights = (log_joint - log_q).detach().view(-1, self.groups, self.inner)
        decoder = weights.flatten(1).softmax(1).flatten()  # (N,)
        encoder = (weights.softmax(2) / self.groups).flatten()
        gain = routed(log_joint, latent.z, decoder, encoder) - encoder * log_q
        return _valued(-log_mean(weights.flatten(1)), -_summed(gain, out))

    def __repr__(self) -> str:
        return f"PartiallyImportanceWeighted(groups={self.groups}, inner={self.inner})"


class StickingTheLanding(Term):
    """A sample of −ELBO, nats, whose gradient reaches q's parameters along z alone.

        log p(x, z) − log q̄(z | x),  q̄ = q with detached parameters

    What is left out, the score ∂ log q(z), is zero in expectation; without it the gradient of an exact posterior is
    zero for every draw, not only in the mean. It needs no closed-form KL.

    Args:
        samples: K, draws for each datum, whose values are averaged.

    Raises:
        ValueError: There is more than one latent variable, z cannot carry a gradient, or q is a flow.

    Source: Roeder, Wu, Duvenaud (2017), arXiv:1703.09194.

    Example:
        >>> StickingTheLanding(samples=2)
        StickingTheLanding(samples=2)
    """

    def __init__(self, samples: int = 1) -> None:
        super().__init__()
        self.samples = counted(samples, "samples")

    def forward(self, out: Pass, step: int) -> Tensor:
        latent = _only(out, self)
        return out.distortion - latent.log_p + _path_log_q(latent, self)  # (N,)

    def __repr__(self) -> str:
        return f"StickingTheLanding(samples={self.samples})"


class DoublyReparameterized(Term):
    """The importance-weighted bound, with an encoder gradient whose noise does not drown it as K grows.

        encoder:         −Σ_k w̃_k² ∂ log w_k / ∂z_k · ∂z_k / ∂φ,   w̃ = softmax of log w over the K draws
        decoder, prior:  −Σ_k w̃_k ∂ log w_k

    The value and the mean of the gradient are those of `ImportanceWeighted`. Other terms of a sum may read z: their
    gradients are left alone, since no hook stands on it; that costs one more backward pass from the decoder to z.

    Args:
        samples: K, draws for each datum.

    Raises:
        ValueError: There is more than one latent variable, z cannot carry a gradient, or q is a flow.

    Source: Tucker, Lawson, Gu, Maddison (2019), arXiv:1810.04152.

    Example:
        >>> DoublyReparameterized(samples=8)
        DoublyReparameterized(samples=8)
    """

    def __init__(self, samples: int = 8) -> None:
        super().__init__()
        self.samples = counted(samples, "samples")

    def forward(self, out: Pass, step: int) -> Tensor:
        latent = _only(out, self)
        log_weight = latent.log_p - out.distortion - _path_log_q(latent, self)  # (N,)
        weights = log_weight.detach().view(-1, out.samples)
        share = weights.softmax(1).flatten()
        gain = routed(log_weight, latent.z, share, share.square())
        return _valued(-log_mean(weights), -_summed(gain, out))

    def __repr__(self) -> str:
        return f"DoublyReparameterized(samples={self.samples})"


def routed(terms: Tensor, z: Tensor, direct: Tensor, through: Tensor) -> Tensor:
    """`direct * terms`, except that along z its gradient is that of `through * terms`.

    Args:
        terms: (N,) functions of z, each of its own row.
        z: (N, *latent)
        direct: (N,) constants, the weights of whatever else the terms depend on.
        through: (N,) constants, the weights of what they depend on through z.

    Returns:
        (N,); only its gradient means anything.
    """
    if not (torch.is_grad_enabled() and z.requires_grad):
        return direct * terms
    (slope,) = torch.autograd.grad(terms.sum(), z, retain_graph=True)  # (N, *latent)
    return direct * terms + (through - direct) * right(slope * z)


def _valued(value: Tensor, surrogate: Tensor) -> Tensor:
    """A value with another quantity's gradient."""
    return value.detach() + surrogate - surrogate.detach()


def _summed(rows: Tensor, out: Pass) -> Tensor:
    """Each datum's draws together: (N,) → (B,)."""
    return rows.view(-1, out.samples).sum(1)


def _only(out: Pass, term: Term) -> Latent:
    """The one latent variable, drawn so that a gradient passes through it."""
    name = type(term).__name__
    if len(out.latents) != 1:
        raise ValueError(
            f"{name} follows the gradient along one latent variable, and this model has {len(out.latents)}, "
            "each of which moves the next; use ImportanceWeighted, which takes any number"
        )
    (latent,) = out.latents
    if not latent.z.is_floating_point() or _stuck(latent):
        raise ValueError(
            f"{name} needs a z that moves with the parameters of q, and {type(latent.q).__name__} draws without "
            "reparameterisation; use a Gaussian posterior, or an objective for discrete latents"
        )
    return latent


def _stuck(latent: Latent) -> bool:
    """Whether q has parameters to learn, and z does not move with them."""
    return torch.is_grad_enabled() and not latent.z.requires_grad and latent.log_q.requires_grad


def _path_log_q(latent: Latent, term: Term) -> Tensor:
    """log q(z) with a gradient along z alone, (N,)."""
    if latent.drawn_log_q is not None:
        raise ValueError(
            f"{type(term).__name__} needs log q(z) with the parameters of q held still, and here it came with the draw "
            f"({type(latent.q).__name__}, a flow); use ImportanceWeighted, or Distortion() + Rate()"
        )
    return right(detach(latent.q).log_prob(latent.z))
