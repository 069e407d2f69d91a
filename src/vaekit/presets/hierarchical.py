"""Stacks of latent variables: from the most abstract to the most detailed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

from torch import nn

from vaekit.bottlenecks.stochastic import LadderLayer, Layer, StochasticLayer
from vaekit.bottlenecks.topdown import TopDown
from vaekit.conditional import Conditional
from vaekit.data import Kind
from vaekit.model import VAE
from vaekit.networks.blocks import block, residual
from vaekit.networks.mlp import keep_variance
from vaekit.networks.pyramid import Rise
from vaekit.objectives import Distortion, Rate, linear
from vaekit.presets.preset import Preset, named

POSTERIOR_GAIN = 0.5  # size of q's parameters at the start: near p, and already a function of the data
LOG_SCALE = -1.5  # about that of a ladder's bottom-up σ at the start: sure enough for the data to outweigh p

Level = Sequence[int]  # shape of a level's state and features, (W,) or (W, H, W)
Make = Callable[[Level, int, int, int, bool], Layer]  # level, latent, condition, depth, top → layer


@named(
    experimental="on MNIST, after 45 s on one thread, its −log p is 94.5 nats, and 89.1 where q does not hear p"
)
def ladder_vae(
    kind: Kind, latent: int = 16, layers: int = 3, width: int = 256, warmup: int = 2_000, free: float = 0.0
) -> Preset:
    """Sønderby, Raiko, Maaløe, Sønderby, Winther (2016), arXiv:1602.02282: q corrects p in every layer of a stack.

    Use it for a few layers whose variables alone carry what is below; not for many layers: `top_down_vae` has a
    state that goes around them.
    """
    model = stack(kind, rungs(latent, layers), width, ladder_layer)
    return Preset(model, Distortion() + linear(0, 1, warmup) * Rate(free=free))


@named()
def top_down_vae(
    kind: Kind,
    latent: int = 16,
    layers: int = 3,
    width: int = 256,
    warmup: int = 500,
    convolutional: bool = False,
) -> Preset:
    """Child (2021), arXiv:2011.10650: a deep stack on a residual state, as in very deep VAEs.

    Use it for the best likelihoods, with up to 40 layers; not where one short code is wanted. `convolutional` stacks
    ask for a GPU.
    """
    model = stack(kind, [latent] * layers, width, stochastic_layer, convolutional)
    return Preset(model, Distortion() + linear(0, 1, warmup) * Rate())


@named(labels=True)
def conditional_top_down_vae(
    kind: Kind,
    latent: int = 16,
    layers: int = 3,
    width: int = 256,
    warmup: int = 500,
    convolutional: bool = False,
) -> Preset:
    """Child (2021), arXiv:2011.10650; Sohn, Lee, Yan (2015): a deep stack whose every network is told the label.

    Use it for likely items of a chosen label; not without labels: that is `top_down_vae`.
    """
    return top_down_vae(kind, latent, layers, width, warmup, convolutional)


def rungs(latent: int, layers: int) -> list[int]:
    """Dimensions of a ladder's variables, top first: each twice those above, to at most four times the top's.

    All that is known of a datum passes through the last one.

    Example:
        >>> rungs(16, 4)
        [16, 32, 64, 64]
    """
    return [latent * min(2**i, 4) for i in range(layers)]


def stack(kind: Kind, latents: Sequence[int], width: int, make: Make, convolutional: bool = False) -> VAE:
    """The kind's own pyramid and last network around a stack of layers, spread evenly over the levels.

    Args:
        kind: The kind of data; if it is conditional, so is every network.
        latents: Dimensions or channels of each variable, top first.
        width: Of the state; a map has fewer channels, as the kind sees fit.
        make: (shape of a level, latent, condition, layers in all, whether it is the top one) → layer.
        convolutional: Whether small images too get convolutions.
    """
    layers = len(latents)
    if not layers:
        raise ValueError("a stack has one layer or more")
    condition = kind.condition_width if kind.conditional else 0
    encoder = kind.pyramid(width, layers, condition, convolutional)
    levels = [((i + 1) * len(encoder.shapes) - 1) // layers for i in range(layers)]  # the last is the finest
    shapes = [encoder.shapes[level] for level in levels]
    sizes = zip(shapes, latents, strict=True)
    made = [make(shape, latent, condition, layers, i == 0) for i, (shape, latent) in enumerate(sizes)]
    changes = [i for i in range(1, layers) if levels[i] != levels[i - 1] and len(shapes[i]) > 1]
    rises = [Rise(shapes[i - 1], shapes[i]) for i in changes]
    family = deepcopy(kind.family)  # a scale that it learns is the model's own
    decoder = Conditional(kind.finest_decoder(shapes[-1], family, condition), family)
    return VAE(encoder, TopDown(made, levels, shapes[0], rises), decoder)


def stochastic_layer(level: Level, latent: int, condition: int, depth: int, top: bool) -> StochasticLayer:
    """A layer of a very deep VAE for a level's shape; see `stack`."""
    width, middle, size = level[0], level[0] // 2 or 1, 2 * latent
    return StochasticLayer(
        latent,
        block(width, level, size + width, middle, condition, gain=0.0),
        block(2 * width, level, size, middle, condition, POSTERIOR_GAIN),
        _merge(latent, level, depth**-0.5),
        # where the state is a vector, the next prior's network is as good, and saves a third of the time
        residual(level, 0.5, condition, depth) if len(level) > 1 else None,
    )


def ladder_layer(level: Level, latent: int, condition: int, depth: int, top: bool) -> LadderLayer:
    """A layer of a ladder VAE for a level's shape; see `stack`."""
    width, middle, size = level[0], level[0] // 2 or 1, 2 * latent
    posterior: Any = block(width, level, size, middle, condition, POSTERIOR_GAIN)
    nn.init.constant_(posterior.last.bias.data[latent:], LOG_SCALE)
    return LadderLayer(
        latent,
        None if top else block(width, level, size, middle, condition, gain=0.0),
        posterior,
        _merge(latent, level, 1.0),
        residual(level, 0.5, condition, 1),
    )


def _merge(latent: int, level: Level, gain: float) -> nn.Module:
    layer = nn.Linear(latent, level[0]) if len(level) == 1 else nn.Conv2d(latent, level[0], 1)
    keep_variance([layer], gain)
    return layer
