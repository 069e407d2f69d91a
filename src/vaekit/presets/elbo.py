"""The evidence lower bound, and other balances of its two sides."""

from __future__ import annotations

import math

from vaekit.bottlenecks import Deterministic
from vaekit.data import Kind
from vaekit.distributions import Fixed, Optimal, Shared
from vaekit.objectives import Constrained, Distortion, Excess, Rate, cyclical, linear
from vaekit.presets.preset import TEXT, Preset, around, gaussian, named


@named(kinds=TEXT)
def autoencoder(kind: Kind, latent: int = 16) -> Preset:
    """Hinton, Salakhutdinov (2006), doi:10.1126/science.1127647: a code without noise and without a prior.

    Use it to compress or embed; not to sample, score or compare likelihoods.
    """
    return Preset(around(kind, latent, Deterministic(), features=latent), Distortion())


@named(kinds=TEXT)
def vae(kind: Kind, latent: int = 16) -> Preset:
    """Kingma, Welling (2014), arXiv:1312.6114; Rezende, Mohamed, Wierstra (2014), arXiv:1401.4082: the ELBO itself.

    Use it first; its numbers are likelihood bounds in nats; not where one of the others names your need.
    """
    return Preset(gaussian(kind, latent), Distortion() + Rate())


@named(kinds=TEXT)
def beta_vae(kind: Kind, latent: int = 16, beta: float = 4.0) -> Preset:
    """Higgins, Matthey, Pal, Burgess, Glorot, Botvinick, Mohamed, Lerchner (2017): the rate weighs beta times.

    Use it with beta > 1 for fewer, cleaner factors and with beta < 1 for sharper reconstructions; not for likelihoods.
    """
    return Preset(gaussian(kind, latent), Distortion() + beta * Rate())


@named(kinds=TEXT)
def annealed_vae(kind: Kind, latent: int = 16, warmup: int = 2_000) -> Preset:
    """Bowman, Vilnis, Vinyals, Dai, Jozefowicz, Bengio (2016), arXiv:1511.06349: the rate is phased in.

    Use it when the latent goes unused, and ends at the ELBO; not when every dimension is in use already.
    """
    return Preset(gaussian(kind, latent), Distortion() + linear(0, 1, warmup) * Rate())


@named(
    kinds=TEXT,
    experimental="on names after 500 steps its rate is 0.49 nats (annealed_vae 1.29, vae 0.02), its −log p the same; "
    "on digits it keeps 29 of 32 dimensions in use (annealed_vae 32, vae 29)",
)
def cyclical_vae(kind: Kind, latent: int = 16, period: int = 1_000, periods: int = 4) -> Preset:
    """Fu, Li, Liu, Gao, Celikyilmaz, Carin (2019), arXiv:1903.10145: the rate is phased in again every period.

    Use it when one warm-up does not keep the latent in use; it ends at the ELBO.
    """
    return Preset(gaussian(kind, latent), Distortion() + cyclical(period, periods=periods) * Rate())


@named(kinds=TEXT)
def free_bits_vae(kind: Kind, latent: int = 16, free: float = 0.25) -> Preset:
    """Kingma, Salimans, Jozefowicz, Chen, Sutskever, Welling (2016), arXiv:1606.04934: some nats are free.

    Use it to keep every dimension in use; not for the best ELBO, which is reported beside the loss.
    """
    return Preset(gaussian(kind, latent), Distortion() + Rate(free=free))


@named()
def sigma_vae(kind: Kind, latent: int = 16, optimal: bool = True) -> Preset:
    """Rybkin, Daniilidis, Levine (2021), arXiv:2006.13202: a Gaussian with one shared scale, optimal or learned.

    Use it for real values and for smooth pictures, where it balances the two terms by itself; not for bits or counts.
    """
    family = kind.family_with(Optimal() if optimal else Shared())
    return Preset(gaussian(kind, latent, likelihood=family), Distortion() + Rate())


@named(kinds=("images", "vectors"))
def geco_vae(kind: Kind, latent: int = 16, tolerance: float = 0.4) -> Preset:
    """Rezende, Viola (2018), arXiv:1810.00597: the least rate at which the reconstruction error is within a tolerance.

    Use it to say how exact codes must be, in standard deviations of the values (0.3 for pixels); not for likelihoods.
    """
    error = tolerance * (0.3 if kind.name == "images" else 1.0)  # κ, of one value as the model sees it
    # −log N(x; μ, κ²) where the mean squared error is κ²
    nats = 0.5 + math.log(error * math.sqrt(2 * math.pi))
    model = gaussian(kind, latent, likelihood=kind.family_with(Fixed(error)))
    return Preset(model, Rate() + Constrained(Excess(nats), 0.0))
