"""Discrete latents: codes of a codebook, rounded numbers, categories."""

from __future__ import annotations

from copy import deepcopy

from torch import nn

from vaekit.bottlenecks import Variational
from vaekit.bottlenecks.finite import FiniteScalar
from vaekit.bottlenecks.quantized import Quantized
from vaekit.bottlenecks.quantizers import MovingAverageQuantizer, Quantizer, VectorQuantizer
from vaekit.bottlenecks.residual import ResidualQuantizer
from vaekit.conditional import Conditional
from vaekit.data import Kind
from vaekit.distributions.gumbel import GumbelSoftmax
from vaekit.model import VAE
from vaekit.objectives import Distortion, Penalty, Rate
from vaekit.presets.preset import FEATURES, Preset, around, named
from vaekit.priors.codes import UniformCodes, UniformOneHot


@named()
def vq_vae(
    kind: Kind, latent: int = 16, codes: int = 512, commitment: float = 0.25, moving_average: bool = True
) -> Preset:
    """van den Oord, Vinyals, Kavukcuoglu (2017), arXiv:1711.00937: a codebook learns the vectors of a map.

    Use it to tokenise: a second model of the codes is the prior; not for likelihoods, the rate is log K for each code.
    """
    quantizer = (MovingAverageQuantizer if moving_average else VectorQuantizer)(codes, latent, commitment)
    return Preset(quantized(kind, quantizer), Distortion() + Penalty())


@named()
def rvq_vae(
    kind: Kind, latent: int = 16, codes: int = 64, stages: int = 4, commitment: float = 0.25
) -> Preset:
    """Lee, Kim, Kim, Cho, Han (2022), arXiv:2203.01941: each codebook codes what the ones before it have left.

    Use it for more bits at each position than one codebook can hold; not for few bits, which one codebook codes better.
    """
    parts = [MovingAverageQuantizer(codes, latent, commitment) for _ in range(stages)]
    return Preset(quantized(kind, ResidualQuantizer(parts)), Distortion() + Penalty())


@named()
def fsq_vae(kind: Kind, latent: int = 4, levels: int = 5) -> Preset:
    """Mentzer, Minnen, Agustsson, Tschannen (2023), arXiv:2309.15505: each number is rounded to a few levels.

    Use it in place of a VQ-VAE, with no codebook and no penalty to tune; not for very few bits at a position.
    """
    return Preset(quantized(kind, FiniteScalar([levels] * latent)), Distortion())


@named()
def gumbel_vae(kind: Kind, latent: int = 16, levels: int = 8, temperature: float = 0.67) -> Preset:
    """Jang, Gu, Poole (2017), arXiv:1611.01144; Maddison, Mnih, Teh (2017): categories, relaxed while training.

    Use it for a few discrete factors or clusters, with likelihoods; not where many bits are needed.
    """
    size = latent * levels
    posterior = Conditional(nn.Linear(FEATURES, size), GumbelSoftmax(levels, temperature))
    model = around(kind, size, Variational(posterior, UniformOneHot(latent, levels)))
    return Preset(model, Distortion() + Rate())


def quantized(kind: Kind, quantizer: Quantizer) -> VAE:
    """The kind's own networks to and from maps around a quantizer, with a uniform prior over its codes."""
    several = () if isinstance(quantizer.levels, int) else (len(quantizer.levels),)
    prior = UniformCodes((*kind.grid, *several), quantizer.levels)
    family = deepcopy(kind.family)  # a scale that it learns is the model's own
    decoder = Conditional(kind.map_decoder(quantizer.dim, family), family)
    return VAE(kind.map_encoder(quantizer.dim), Quantized(quantizer, prior), decoder)
