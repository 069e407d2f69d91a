"""Posteriors that are more than a Gaussian in each dimension."""

from __future__ import annotations

import torch
from torch import nn

from vaekit.bottlenecks import Variational
from vaekit.data import Kind
from vaekit.distributions import FullGaussian
from vaekit.objectives import Distortion, Rate
from vaekit.presets.preset import FEATURES, Preset, around, gaussian, named
from vaekit.priors import StandardNormal
from vaekit.priors.flow import InverseAutoregressive, NeuralSpline


@named(
    experimental="on satellite pixels with half of the cells missing its −log p is 60.05 nats, the diagonal one's 59.96"
)
def full_covariance_vae(kind: Kind, latent: int = 16) -> Preset:
    """Rezende, Mohamed, Wierstra (2014), arXiv:1401.4082: q(z | x) is a Gaussian with every covariance.

    Use it for a tighter bound with few dimensions; not with many: its parameters grow with their square.
    """
    model = gaussian(kind, latent, FullGaussian())
    _begin_diagonal(model.bottleneck.posterior.net, latent)  # type: ignore[union-attr, arg-type]
    return Preset(model, Distortion() + Rate())


@named()
def iaf_vae(kind: Kind, latent: int = 16, transforms: int = 2, hidden: int = 128) -> Preset:
    """Kingma, Salimans, Jozefowicz, Chen, Sutskever, Welling (2016), arXiv:1606.04934: q is an autoregressive flow.

    Use it for a tighter bound where the true posterior is curved; not with DReG or STL, which need q's parameters.
    """
    q = InverseAutoregressive(FEATURES, latent, transforms, (hidden, hidden))
    return _with(kind, latent, q)


@named()
def spline_vae(kind: Kind, latent: int = 16, transforms: int = 2, bins: int = 8, hidden: int = 128) -> Preset:
    """Durkan, Bekasov, Murray, Papamakarios (2019), arXiv:1906.04032: q is a flow of monotonic splines.

    Use it for a tighter bound where the true posterior has modes or edges; not before iaf_vae, which costs less.
    """
    q = NeuralSpline(FEATURES, latent, transforms, bins, (hidden, hidden))
    return _with(kind, latent, q)


@torch.no_grad()
def _begin_diagonal(head: nn.Linear, latent: int) -> None:
    """No covariances at first: D² random ones make q so wide that the decoder learns to do without most of z."""
    row, column = torch.tril_indices(latent, latent)
    across = latent + (row != column).nonzero().squeeze(1)  # after the means
    head.weight[across], head.bias[across] = 0.0, 0.0


def _with(kind: Kind, latent: int, posterior: nn.Module) -> Preset:
    model = around(kind, latent, Variational(posterior, StandardNormal(latent)))
    return Preset(model, Distortion() + Rate())
