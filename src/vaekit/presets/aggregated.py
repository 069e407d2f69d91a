"""The codes of all data together are matched to a prior, or a prior is fitted to them."""

from __future__ import annotations

from vaekit.bottlenecks import Deterministic
from vaekit.data import Kind
from vaekit.model import VAE
from vaekit.networks import MLP
from vaekit.objectives import Distortion
from vaekit.objectives.adversarial_prior import AdversarialPrior
from vaekit.objectives.divergence import MMD, CodeNorm, GradientPenalty, SlicedWasserstein
from vaekit.presets.preset import Preset, around, named
from vaekit.priors import StandardNormal


def _matched(kind: Kind, latent: int) -> VAE:
    """A code without noise, whose prior is N(0, I)."""
    return around(kind, latent, Deterministic(StandardNormal(latent)), features=latent)


@named()
def wae_mmd(kind: Kind, latent: int = 8, weight: float = 1_000.0) -> Preset:
    """Tolstikhin, Bousquet, Gelly, Schölkopf (2018), arXiv:1711.01558: codes are matched to the prior by kernels.

    Use it for sharp items that can be sampled; not for likelihoods, and with few latent dimensions.
    """
    return Preset(_matched(kind, latent), Distortion() + weight * MMD())


@named()
def sliced_wae(kind: Kind, latent: int = 8, weight: float = 1_000.0, projections: int = 50) -> Preset:
    """Kolouri, Pope, Martin, Rohde (2018), arXiv:1804.01947: codes are matched to the prior along random directions.

    Use it as `wae_mmd`, where a kernel's width is hard to choose; not for likelihoods.
    """
    return Preset(_matched(kind, latent), Distortion() + weight * SlicedWasserstein(projections))


@named()
def adversarial_autoencoder(kind: Kind, latent: int = 8, weight: float = 5.0) -> Preset:
    """Makhzani, Shlens, Jaitly, Goodfellow, Frey (2015), arXiv:1511.05644: a critic tells codes from the prior.

    Use it with a prior that can only be drawn from; not first: its training is the least stable of the chapter.
    """
    return Preset(_matched(kind, latent), Distortion() + weight * AdversarialPrior(MLP(latent, 1)))


@named(
    experimental="on MNIST, 32 dimensions, digits from a mixture fitted to its codes are as far from real ones as the "
    "autoencoder's: Fréchet 4.32 against 4.32 over three seeds"
)
def rae(kind: Kind, latent: int = 16, norm: float = 0.02, smooth: float = 0.001) -> Preset:
    """Ghosh, Sajjadi, Vergari, Black, Schölkopf (2020), arXiv:1903.12436: small codes and a smooth decoder.

    Use it for sharp items, sampled after `vaekit fit-prior`; not for likelihoods, which it has none of.
    """
    model = around(kind, latent, Deterministic(), features=latent)
    return Preset(model, Distortion() + norm * CodeNorm() + smooth * GradientPenalty())
