"""Bounds tighter than the ELBO, and gradients of them with less noise."""

from __future__ import annotations

from vaekit.data import Kind
from vaekit.objectives import ImportanceWeighted
from vaekit.objectives.importance import CombinedImportanceWeighted, MultiplyImportanceWeighted
from vaekit.objectives.pathwise import (
    DoublyReparameterized,
    PartiallyImportanceWeighted,
    StickingTheLanding,
)
from vaekit.presets.preset import TEXT, Preset, gaussian, named


@named(
    kinds=TEXT,
    experimental="on MNIST its −log p is 99.1 nats after 2 000 steps (vae 100.9), but 98.5 after 30 s on one thread "
    "(vae 95.3): its further draws cost more than they give so early",
)
def iwae(kind: Kind, latent: int = 16, samples: int = 5) -> Preset:
    """Burda, Grosse, Salakhutdinov (2016), arXiv:1509.00519; Mattei, Frellsen (2019): K draws together.

    Use it for tighter likelihoods and where many cells are missing (MIWAE); not in a hurry: a step decodes K times.
    """
    return Preset(gaussian(kind, latent), ImportanceWeighted(samples))


@named(
    experimental="on MNIST its −log p is 97.2 nats after 2 000 steps (vae 100.9), but 98.3 after 30 s on one thread "
    "(vae 95.3): its further draws cost more than they give so early",
)
def miwae(kind: Kind, latent: int = 16, groups: int = 4, inner: int = 4) -> Preset:
    """Rainforth, Kosiorek, Le, Maddison, Igl, Wood, Teh (2018), arXiv:1802.04537: the mean of M bounds of K draws each.

    Use it when the encoder learns too little from iwae; not for missing values as such (that MIWAE, of Mattei and
    Frellsen, is iwae), and not where M × K decodings a step are too many.
    """
    return Preset(gaussian(kind, latent), MultiplyImportanceWeighted(groups, inner))


@named(
    experimental="on MNIST its −log p is 96.9 nats after 2 000 steps (vae 100.9), but 100.2 after 30 s on one thread "
    "(vae 95.3): its further draws cost more than they give so early",
)
def piwae(kind: Kind, latent: int = 16, groups: int = 4, inner: int = 4) -> Preset:
    """Rainforth, Kosiorek, Le, Maddison, Igl, Wood, Teh (2018), arXiv:1802.04537: a tight bound for the decoder alone.

    Use it when likelihood and codes both matter; not for top-down stacks, and not where M × K decodings are too many.
    """
    return Preset(gaussian(kind, latent), PartiallyImportanceWeighted(groups, inner))


@named(
    experimental="on MNIST its −log p is 97.6 nats after 2 000 steps (vae 100.9), but 95.8 after 30 s on one thread "
    "(vae 95.3): its further draws cost more than they give so early",
)
def ciwae(kind: Kind, latent: int = 16, samples: int = 8, beta: float = 0.5) -> Preset:
    """Rainforth, Kosiorek, Le, Maddison, Igl, Wood, Teh (2018), arXiv:1802.04537: a share of the ELBO beside the IWAE.

    Use it for a posterior that stays near the true one (beta up) or a tighter likelihood (beta down); not for both.
    """
    return Preset(gaussian(kind, latent), CombinedImportanceWeighted(samples, beta))


@named()
def dreg(kind: Kind, latent: int = 16, samples: int = 8) -> Preset:
    """Tucker, Lawson, Gu, Maddison (2019), arXiv:1810.04152: the IWAE with a less noisy gradient for the encoder.

    Use it in place of iwae when K is large; not for several latents, discrete ones or flow posteriors.
    """
    return Preset(gaussian(kind, latent), DoublyReparameterized(samples))


@named()
def sticking_the_landing(kind: Kind, latent: int = 16, samples: int = 1) -> Preset:
    """Roeder, Wu, Duvenaud (2017), arXiv:1703.09194: the ELBO whose gradient vanishes where q is exact.

    Use it late in training and for priors without a closed-form KL; not for discrete latents or flow posteriors.
    """
    return Preset(gaussian(kind, latent), StickingTheLanding(samples))
