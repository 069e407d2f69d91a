"""Priors that are learned."""

from __future__ import annotations

from typing import Any

from vaekit.data import Counts, Images, Kind
from vaekit.objectives import Distortion, Rate
from vaekit.presets.preset import Preset, gaussian, named
from vaekit.priors.flow import Flow
from vaekit.priors.mixture import Mixture, Vamp


@named()
def mixture_prior_vae(kind: Kind, latent: int = 16, components: int = 50) -> Preset:
    """Dilokthanakul, Mediano, Garnelo, Lee, Salimbeni et al. (2016), arXiv:1611.02648: p(z) is a mixture.

    Use it for data in clusters and for better samples, at hardly any cost; not to find separate factors.
    """
    return Preset(gaussian(kind, latent, prior=Mixture(components, latent)), Distortion() + Rate())


@named(
    kinds=("images", "vectors", "counts"),
    experimental="on MNIST its −log p is 95.1 nats after 1 500 steps (N(0, I) 101.5), on Omniglot 115.0 after 10 000 "
    "(N(0, I) 114.2, a mixture 113.9)",
)
def vamp_prior_vae(kind: Kind, latent: int = 16, inputs: int = 100) -> Preset:
    """Tomczak, Welling (2018), arXiv:1705.07120: p(z) is a mixture of the posteriors of learned pseudo-inputs.

    Use it for tighter likelihoods and better samples; not for tables, whose categories have no values in between.
    """
    model = gaussian(kind, latent)
    low, high = (0.0, 1.0) if isinstance(kind, Images) else (0.0 if isinstance(kind, Counts) else None, None)
    own: Any = model.bottleneck
    model.bottleneck = own.with_prior(Vamp(model.encoder, own.posterior, inputs, kind.shape, low, high))
    return Preset(model, Distortion() + Rate())


@named()
def flow_prior_vae(kind: Kind, latent: int = 16, transforms: int = 3, hidden: int = 128) -> Preset:
    """Chen, Kingma, Salimans, Duan, Dhariwal et al. (2017), arXiv:1611.02731: p(z) is an autoregressive flow.

    Use it for tighter likelihoods and better samples; not where samples must come fast, in one pass for each dimension.
    """
    prior = Flow("MAF", latent, transforms=transforms, hidden=(hidden, hidden))
    return Preset(gaussian(kind, latent, prior=prior), Distortion() + Rate())
