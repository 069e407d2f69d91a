"""Models of items of several parts, of which any may be missing: one latent for all of them.

With balance > 0 a part of few numbers (a label) weighs more in the loss than its nats, since a picture beside it drowns
it; balance = 0 trains by the ELBO. What is reported is the ELBO in any case.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import nn

from vaekit.bottlenecks import Variational
from vaekit.bottlenecks.experts import MixtureOfExperts, MixtureOfProducts, ProductOfExperts
from vaekit.conditional import Conditional
from vaekit.data.parts import Parts
from vaekit.distributions import Gaussian
from vaekit.model import VAE
from vaekit.objectives import Rate
from vaekit.objectives.multimodal import BalancedDistortion, EachAlone, ExpertRates
from vaekit.presets.preset import FEATURES, Preset, around, named
from vaekit.priors import StandardNormal


@named(
    kinds=("parts",),
    experimental="after 36 s on MNIST pictures with labels a part made from another is of its digit in 39 % "
    "(multimodal_moe 89 %, mopoe 87 %), and −log p of whole items is 91.5 nats (84.5, 80.6)",
)
def multimodal_poe(kind: Parts, latent: int = 16, balance: float = 0.5) -> Preset:
    """Wu, Goodman (2018), arXiv:1802.05335: the parts' posteriors are multiplied (MVAE).

    Use it when each part tells something else; not when one part is often all there is, which it weighs least.
    """
    model = _fused(kind, latent, ProductOfExperts)
    term = BalancedDistortion(kind.widths, balance) + Rate()
    return Preset(model, EachAlone(term, kind.widths))


@named(kinds=("parts",))
def multimodal_moe(kind: Parts, latent: int = 16, balance: float = 0.5) -> Preset:
    """Shi, Siddharth, Paige, Torr (2019), arXiv:1911.03393: the parts' posteriors are mixed (MMVAE).

    Use it to get any part from any single other one; not when parts tell more together than each alone.
    """
    model = _fused(kind, latent, MixtureOfExperts)
    return Preset(model, BalancedDistortion(kind.widths, balance) + Rate())


@named(kinds=("parts",))
def mopoe(kind: Parts, latent: int = 16, balance: float = 0.5) -> Preset:
    """Sutter, Daunhawer, Vogt (2021), arXiv:2105.02470: products over all sets of parts are mixed.

    Use it first for items of several parts; not for more than about six, which have too many sets.
    """
    model = _fused(kind, latent, MixtureOfProducts)
    return Preset(model, BalancedDistortion(kind.widths, balance) + Rate())


@named(kinds=("parts",))
def mvtcae(kind: Parts, latent: int = 16, alpha: float = 0.9, balance: float = 0.5) -> Preset:
    """Hwang, Kim, Hong, Kim (2021), NeurIPS 34: each part's posterior is pulled to that of all together.

    Use it for likely whole items that stay coherent where parts are missing; not with alpha outside [0, 1].
    """
    parts = len(kind.widths)
    model = _fused(kind, latent, lambda heads: ProductOfExperts(heads, 0.0))
    distortion = BalancedDistortion(kind.widths, balance)
    sides = ((parts - alpha) / parts) * distortion + (1 - alpha) * Rate()
    return Preset(model, sides + (alpha / parts) * ExpertRates())


def _fused(kind: Parts, latent: int, combine: Callable[[Sequence[nn.Module]], nn.Module]) -> VAE:
    """The kind's own networks, an expert on each part's features, and how they are brought together."""
    size = Gaussian().size(latent)
    heads = [Conditional(nn.Linear(FEATURES, size), Gaussian()) for _ in kind.widths]
    return around(kind, latent, Variational(combine(heads), StandardNormal(latent)))
