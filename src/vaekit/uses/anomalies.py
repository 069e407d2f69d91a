"""What is odd about an item: a vector of statistics, the neighbours they are measured to, and the cells that made it odd.

−ELBO, distortion, rate            what the model says
latent, residual distance          to the nearest training items, in codes and in what the codes leave over
complexity                         of pictures, without any model
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vaekit.data import Images, Items
from vaekit.distributions import MEAN, center, log_prob
from vaekit.model import VAE, Pass
from vaekit.operations import bound, packed

CHUNK = 1_024  # items at once
NEIGHBOURS = 5
DRAWS = 16


@dataclass(frozen=True)
class Statistics:
    """Named statistics of items.

    Attributes:
        names: What each column is.
        values: (N, S) float64, finite.
    """

    names: tuple[str, ...]
    values: np.ndarray


@dataclass(frozen=True)
class Reference:
    """Training items in coded form.

    Attributes:
        codes: (M, D) centres of q(z | x).
        residuals: (M, P) what the codes leave over, in standard deviations; P = 0 where there is no such thing.
    """

    codes: np.ndarray
    residuals: np.ndarray


def deviance(px: Any, x: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The centre of p(x | z), and how much less probable each value is, in nats, with the sign of its side.

        d = sign(x − c) √(2 (log p(c) − log p(x)))

    which for a Gaussian is (x − μ) / σ; d² / 2 is the surprise.

    Returns:
        (N, *shape) and (N, *shape), zeros where nothing was observed.
    """
    middle = center(px)
    surprise = (log_prob(px, middle, mask) - log_prob(px, x, mask)).clamp(min=0)
    side = torch.where(x < middle, -1.0, 1.0)
    return middle, side * (2 * surprise).sqrt()


def complexity(items: Items) -> dict[str, np.ndarray]:
    """Complexity of pictures, name → (N,); nothing for other kinds."""
    if not isinstance(items.kind, Images):
        return {}
    try:
        from vaekit.uses import complexity as pictures
    except ImportError:
        return {}
    return pictures.complexity(items.kind, items.raw)


def statistics(model: VAE, items: Items, reference: Reference) -> Statistics:
    """The statistics of every item, in order.

    Args:
        model: In evaluation mode.
        items: Of the kind that it was trained on.
        reference: What neighbours are looked for in.
    """
    seen = coded(model, items)
    columns = {"−ELBO": seen.distortion + seen.rate, "distortion": seen.distortion, "rate": seen.rate}
    if not model.bottleneck.stochastic:
        columns = {"distortion": seen.distortion}
    if reference.codes.shape[1]:
        columns["latent distance"] = nearest(seen.codes, reference.codes)
    if reference.residuals.shape[1]:
        columns["residual distance"] = nearest(seen.residuals, reference.residuals)
    columns |= complexity(items)
    return Statistics(tuple(columns), np.stack([np.asarray(c, np.float64) for c in columns.values()], 1))


@dataclass(frozen=True)
class Coded:
    """What one pass says about items: distortion and rate (N,) nats, codes (N, D), residuals (N, P)."""

    distortion: np.ndarray
    rate: np.ndarray
    codes: np.ndarray
    residuals: np.ndarray


@torch.no_grad()
def coded(model: VAE, items: Items) -> Coded:
    """Items as the model codes them; every item sees the same draws, so that none depends on its neighbours."""
    found = []
    for batch in items.batches(CHUNK):
        keys = torch.zeros(len(batch), dtype=torch.long)
        draws = DRAWS if model.bottleneck.stochastic else 1
        distortion, rate = bound(model, batch.x, batch.c, batch.mask, draws, rows=keys)
        volume = 0.0 if items.kind is None else items.kind.log_volume(batch)
        out = model(batch.x, batch.c, batch.mask, noise=MEAN)
        codes = packed([latent.z for latent in out.latents])
        codes = codes[:, :0] if model.bottleneck.discrete else codes
        found.append((distortion - volume, torch.zeros_like(distortion) if rate is None else rate, codes,
                      residuals(out)))  # fmt: skip
    return Coded(*(torch.cat(parts).double().numpy() for parts in zip(*found, strict=True)))


def residuals(out: Pass) -> Tensor:
    """The deviances of every value of each item, (N, P); P = 0 where values are coupled."""
    try:
        found = deviance(out.px, out.x, out.mask)[1]
    except (NotImplementedError, RuntimeError):
        return out.x.new_zeros(len(out.x), 0)
    return found.flatten(1) if found.dim() > 1 else found.new_zeros(len(found), 0)


def nearest(rows: np.ndarray, reference: np.ndarray, neighbours: int = NEIGHBOURS) -> np.ndarray:
    """The distance of each row to its k-th nearest of the reference, (N, D) and (M, D) → (N,)."""
    k = min(neighbours, len(reference))
    squares = np.einsum("md,md->m", reference, reference)
    found = []
    for start in range(0, len(rows), CHUNK):
        part = rows[start : start + CHUNK]
        gaps = np.einsum("nd,nd->n", part, part)[:, None] - 2 * part @ reference.T + squares
        found.append(np.partition(gaps, k - 1, axis=1)[:, k - 1])
    return np.sqrt(np.maximum(np.concatenate(found), 0.0))


def reference(model: VAE, items: Items, most: int = 4_000) -> Reference:
    """Training items in coded form, at most so many, spread evenly over all of them."""
    chosen = items
    if len(items) > most:
        chosen = items.subset(torch.linspace(0, len(items) - 1, most).round().long())
    seen = coded(model, chosen)
    return Reference(seen.codes, seen.residuals)
