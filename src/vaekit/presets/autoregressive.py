"""Strong decoders, which could do without z, and what keeps z in use under them."""

from __future__ import annotations

from vaekit.bottlenecks.collapse import CommittedGaussian, NormalizedGaussian
from vaekit.data import Kind
from vaekit.data.sequences import Sequences
from vaekit.distributions.autoregressive import ChainRule
from vaekit.networks.pixel import PixelNetwork
from vaekit.objectives import Distortion, Rate
from vaekit.presets.preset import ANY, Preset, gaussian, named

SEEN = 4  # channels by which each pixel is told of z


@named(kinds=("images",))
def pixel_vae(kind: Kind, latent: int = 16, depth: int = 1) -> Preset:
    """Gulrajani, Kumar, Ahmed, Taiga, Visin, Vazquez, Courville (2017), arXiv:1611.05013: pixels see those before them.

    Use it for likelihood, sharp strokes and textures, z keeping what is global; not for fast samples: a pass a pixel.
    """
    network = PixelNetwork(kind.shape[0], kind.family.size(kind.shape[0]), SEEN, depth=depth)
    chain = ChainRule(network, kind.shape, kind.family)
    return Preset(gaussian(kind, latent, likelihood=chain), Distortion() + Rate())


@named(
    kinds=("sequences",),
    experimental="on names after 500 steps, 80 % hidden, its rate is 0.15 nats (vae 0.02, bn_vae 3.1) and its −log p "
    "16.4 (vae 15.0, bn_vae 15.1)",
)
def word_dropout_vae(kind: Kind, latent: int = 16, dropout: float = 0.4) -> Preset:
    """Bowman, Vilnis, Vinyals, Dai, Jozefowicz, Bengio (2016), arXiv:1511.06349: some characters are hidden.

    Use it when the decoder does without z; not for likelihoods, since each character hidden costs some.
    """
    if not isinstance(kind, Sequences):
        raise ValueError(f"word_dropout_vae is for sequences, not for {kind.name}")
    return Preset(gaussian(kind, latent, likelihood=kind.chain(dropout)), Distortion() + Rate())


@named(kinds=(*ANY, "sequences"))
def bn_vae(kind: Kind, latent: int = 16, gamma: float = 0.7) -> Preset:
    """Zhu, Bi, Liu, Ma, Li, Wu (2020), arXiv:2004.12752: posterior means have the spread gamma over every batch.

    Use it when a strong decoder does without z; not to be thrifty: the rate is at least latent · gamma² / 2 nats.
    """
    return Preset(gaussian(kind, latent, NormalizedGaussian(latent, gamma)), Distortion() + Rate())


@named(kinds=(*ANY, "sequences"))
def delta_vae(kind: Kind, latent: int = 16, delta: float = 4.0) -> Preset:
    """Razavi, van den Oord, Poole, Vinyals (2019), arXiv:1901.03416: the rate of every posterior is above delta nats.

    Use it when a strong decoder does without z and so many nats are to be spent on it; not where the plain VAE uses z.
    """
    return Preset(gaussian(kind, latent, CommittedGaussian(delta / latent)), Distortion() + Rate())
