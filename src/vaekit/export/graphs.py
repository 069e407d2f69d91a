"""A trained model as functions of tensors alone: encoder, decoder, score and likelihood, modules that can be traced.

In the first three every random draw stands at its centre. A value that was not observed is NaN, where the kind of data
can have holes; the codes of several latent variables stand side by side in one row, as `encode` and `decode` of a run
take them.
"""

from __future__ import annotations

import math
from copy import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from vaekit.data import Batch, Kind, Parts, Table, Vectors
from vaekit.distributions import MEAN, Noise, center, spread
from vaekit.errors import UsageError
from vaekit.export.draws import Recorded, Replayed, Undrawable
from vaekit.export.volume import volume
from vaekit.model import VAE
from vaekit.operations import packed, unpacked


@dataclass(frozen=True)
class Graph:
    """One function to be written.

    Attributes:
        name: encoder, decoder, score or likelihood.
        module: What computes it.
        inputs: Names of its inputs, `c` last where the model is conditional.
        outputs: Names of its outputs.
    """

    name: str
    module: nn.Module
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def graphs(model: VAE, kind: Kind, like: Any) -> dict[str, Graph]:
    """The three functions of a model.

    Args:
        model: In evaluation mode.
        kind: Of its data.
        like: A code in the form that the model gives.
    """
    given = ("c",) if kind.conditional else ()
    found = [
        Graph("encoder", Encoder(without(model, "decoder"), kind), ("x", *given), ("mean", "std")),
        Graph("decoder", Decoder(without(model, "encoder"), like), ("z", *given), ("x",)),
        Graph("score", Score(model, kind), ("x", *given), ("elbo", "distortion", "kl")),
    ]
    return {graph.name: graph for graph in found}


def likelihood(model: VAE, kind: Kind, samples: int) -> Graph:
    """The function that says how likely items are.

    Args:
        model, kind: As in `graphs`.
        samples: K, importance draws for each item.

    Raises:
        UsageError: E110, the model draws what cannot stand in a graph, or has no likelihood.
    """
    if not model.bottleneck.stochastic:
        raise UsageError("E110", "deterministic codes have no density, and so items no likelihood.")
    c = kind.conditions(1, None, Noise(0, "like"))
    try:
        module = Likelihood(model, kind, c, samples)
    except Undrawable as error:
        raise UsageError("E110", f"the likelihood cannot be traced ({error}).") from error
    return Graph("likelihood", module, ("x", "c") if kind.conditional else ("x",), ("log_p",))


def without(model: VAE, part: str) -> VAE:
    """The same model, sharing everything, without its encoder or its decoder."""
    shared = copy(model)
    shared._modules = {**model._modules, part: nn.Identity()}
    return shared


def holed(kind: Kind) -> bool:
    """Whether items of a kind can lack values: a NaN then says so in the model's space."""
    return isinstance(kind, Table | Vectors | Parts)


def with_holes(batch: Batch, kind: Kind) -> Tensor:
    """A batch as a graph takes it, (B, *shape): with NaN where nothing was observed, if the kind has holes."""
    return batch.with_holes if holed(kind) else batch.x


class _OfItems(nn.Module):
    """What encoder and score share: a mask from the values themselves."""

    def __init__(self, model: VAE, kind: Kind) -> None:
        super().__init__()
        self.model, self.holed = model, holed(kind)

    def seen(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Values (B, *shape) without NaN, and where they were observed."""
        if not self.holed:
            return x, None
        mask = ~torch.isnan(x)
        return torch.where(mask, x, torch.zeros_like(x)), mask


class Encoder(_OfItems):
    """x (B, *shape), and c (B, A) of a conditional model → mean and standard deviation of q(z | x), (B, D) each."""

    def forward(self, x: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        x, mask = self.seen(x)
        latents = self.model.posterior(x, c, mask)
        std = [spread(latent.q).expand(latent.z.shape) for latent in latents]
        return packed([latent.z for latent in latents]), packed(std)


class Decoder(nn.Module):
    """z (B, D), and c (B, A) of a conditional model → the centre of p(x | z), (B, *shape), in the model's space."""

    def __init__(self, model: VAE, like: Any) -> None:
        super().__init__()
        self.model, self.like = model, like
        quantizer = getattr(model.bottleneck, "quantizer", None)
        self.levels = None if quantizer is None else quantizer.levels

    def forward(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        code = unpacked(z, self.like)
        px = self.model.decode(code if self.levels is None else self._nearest(code), c, noise=MEAN)
        return center(px).to(z.dtype)

    def _nearest(self, code: Tensor) -> Tensor:
        """Whole numbers within the codebook."""
        last = torch.as_tensor(self.levels) - 1
        return torch.minimum(code.clamp(min=0), last)


class Score(_OfItems):
    """x, and c of a conditional model → ELBO, distortion and KL at the centre of q(z | x), (B,) each.

    In nats, of the values in the user's own units; the KL of a deterministic code is 0.
    """

    def __init__(self, model: VAE, kind: Kind) -> None:
        super().__init__(model, kind)
        self.volume = volume(kind, getattr(model.decoder, "family", None))

    def forward(self, x: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        x, mask = self.seen(x)
        out = self.model(x, c, mask, noise=MEAN)
        distortion = out.distortion - self.volume(x, mask)
        rate = out.rate if self.model.bottleneck.stochastic else torch.zeros_like(distortion)
        return -(distortion + rate), distortion, rate


class Likelihood(_OfItems):
    """x, and c of a conditional model → log p(x) by importance sampling, a bound from below, (B,).

        log 1/K Σ_k p(x, z_k) / q(z_k | x),  z_k ~ q(z | x)

    The numbers that z_k is made of stand in the graph and are the same for each item: those that
    `operations.log_likelihood` draws for a first one. In nats, of the values in the user's own units.

    Args:
        model, kind: As in `graphs`.
        c: (1, A) any condition.
        samples: K.

    Source: Burda, Grosse, Salakhutdinov (2016), Importance weighted autoencoders, arXiv:1509.00519.
    """

    def __init__(self, model: VAE, kind: Kind, c: Tensor | None, samples: int) -> None:
        super().__init__(model, kind)
        self.volume = volume(kind, getattr(model.decoder, "family", None))
        self.samples = samples
        noise, x = Recorded(), torch.zeros(1, *kind.shape)
        with torch.no_grad():
            model(x, c, samples=samples, noise=noise)
        self.draws = len(noise.drawn)
        for i, drawn in enumerate(noise.drawn):
            self.register_buffer(f"draw{i}", drawn)

    def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        x, mask = self.seen(x)
        noise = Replayed([self.get_buffer(f"draw{i}") for i in range(self.draws)])
        weights = self.model(x, c, mask, self.samples, noise).log_weight.view(-1, self.samples)  # (B, K)
        return weights.logsumexp(1) - math.log(self.samples) + self.volume(x, mask)
