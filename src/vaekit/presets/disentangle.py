"""One latent dimension for one factor: bounds whose rate is taken apart, or held at a capacity."""

from __future__ import annotations

import math

from torch import nn

from vaekit.bottlenecks import Variational
from vaekit.bottlenecks.side_by_side import SideBySide
from vaekit.conditional import Conditional
from vaekit.data import Kind
from vaekit.distributions import Family, Gaussian
from vaekit.distributions.gumbel import GumbelSoftmax
from vaekit.networks import MLP
from vaekit.objectives import Capacity, Distortion, Rate, linear
from vaekit.objectives.disentangle import DIP1, DIP2, DecomposedRate, DensityRatioTC, LatentCapacity
from vaekit.objectives.divergence import MMD
from vaekit.presets.preset import FEATURES, Preset, around, gaussian, named
from vaekit.priors import StandardNormal
from vaekit.priors.codes import UniformOneHot


@named()
def capacity_vae(
    kind: Kind, latent: int = 10, capacity: float = 25.0, gamma: float = 100.0, warmup: int = 2_000
) -> Preset:
    """Burgess, Higgins, Pal, Matthey, Watters, Desjardins, Lerchner (2018), arXiv:1804.03599: a rate that is set.

    Use it to say how many nats the latent may hold, and to let factors in one after the other; not for likelihoods.
    """
    return Preset(gaussian(kind, latent), Distortion() + gamma * Capacity(linear(0, capacity, warmup)))


@named(
    experimental="on turned columns its MIG is 0.64 (vae 0.26), but on sprites of one shape 0.06 after 1 000 steps "
    "(vae 0.11, beta_tc_vae 0.35)"
)
def factor_vae(kind: Kind, latent: int = 10, gamma: float = 35.0) -> Preset:
    """Kim, Mnih (2018), arXiv:1802.05983: a critic measures the total correlation, which is charged gamma times more.

    Use it for factors at the VAE's own reconstruction; not in small batches, nor where a second network is too much.
    """
    return Preset(gaussian(kind, latent), Distortion() + Rate() + gamma * DensityRatioTC(MLP(latent, 1)))


@named()
def beta_tc_vae(kind: Kind, latent: int = 10, beta: float = 6.0) -> Preset:
    """Chen, Li, Grosse, Duvenaud (2018), arXiv:1802.04942: of the rate, the total correlation alone weighs beta times.

    Use it for factors without a second network; not in batches of a few, from which q(z) cannot be told.
    """
    return Preset(gaussian(kind, latent), Distortion() + DecomposedRate(total_correlation=beta))


@named()
def dip_vae_1(kind: Kind, latent: int = 10, off_diagonal: float = 10.0, diagonal: float = 100.0) -> Preset:
    """Kumar, Sattigeri, Balakrishnan (2018), arXiv:1711.00848: the posterior means are held uncorrelated.

    Use it for factors at little cost; not to find out how many there are, since every dimension is kept in use.
    """
    return Preset(gaussian(kind, latent), Distortion() + Rate() + DIP1(off_diagonal, diagonal))


@named()
def dip_vae_2(kind: Kind, latent: int = 10, off_diagonal: float = 1.0, diagonal: float = 1.0) -> Preset:
    """Kumar, Sattigeri, Balakrishnan (2018), arXiv:1711.00848: the aggregated posterior is held uncorrelated.

    Use it for factors where dimensions may stay unused; not to keep all in use, which DIP-VAE I does.
    """
    return Preset(gaussian(kind, latent), Distortion() + Rate() + DIP2(off_diagonal, diagonal))


@named()
def info_vae(kind: Kind, latent: int = 10, alpha: float = 0.0, scale: float = 30.0) -> Preset:
    """Zhao, Song, Ermon (2019), arXiv:1706.02262: (1 − α) of each posterior's distance to the prior, and of their mean.

    Use it with alpha near 1 where the latent goes unused; not with a scale (λ) so large that the latent is given up.
    """
    objective = Distortion() + (1 - alpha) * Rate() + (alpha + scale - 1) * MMD()
    return Preset(gaussian(kind, latent), objective)


@named()
def joint_vae(
    kind: Kind, latent: int = 10, categories: int = 10, continuous: float = 5.0, discrete: float = 5.0,
    gamma: float = 30.0, warmup: int = 2_000,
) -> Preset:  # fmt: skip
    """Dupont (2018), arXiv:1804.00104: a category beside continuous dimensions, each held at a capacity of its own.

    Use it where items come in unnamed classes and vary within them; not with a capacity above log(categories).
    """
    parts = [_part(Gaussian(), latent, StandardNormal(latent)),
             _part(GumbelSoftmax(categories), categories, UniformOneHot(1, categories))]  # fmt: skip
    targets = continuous, min(discrete, math.log(categories))
    held = [gamma * LatentCapacity(i, linear(0, target, warmup)) for i, target in enumerate(targets)]
    return Preset(around(kind, latent + categories, SideBySide(parts)), Distortion() + held[0] + held[1])


def _part(family: Family, dim: int, prior: nn.Module) -> Variational:
    return Variational(Conditional(nn.Linear(FEATURES, family.size(dim)), family), prior)
