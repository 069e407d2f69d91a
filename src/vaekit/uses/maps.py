"""Where a picture is odd: how badly the model explains each pixel, beside how badly it explains such pixels usually."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vaekit.data import Images, Items
from vaekit.distributions import MEAN, center
from vaekit.errors import UsageError
from vaekit.model import VAE, Pass
from vaekit.uses.features import deviance
from vaekit.uses.misfit import misfit

CHUNK = 256  # pictures at once
# of the mean spread: what any pixel may vary, so that no edge that never changes outshouts the rest
LEAST = 0.25
FAINT, FULL = 2.0, 7.0  # usual spreads at which colour begins, and at which it is full
SHOWN = ("original", "expected", "where it is odd")  # what the three pictures of a strip are
DARKEST, STARTING = 40, 0.65  # of the grey below it; how much of the colour covers it where it begins


@dataclass(frozen=True)
class Maps:
    """Pictures, what the model expected in their place, and where they are odd.

    Attributes:
        original, expected: (N, H, W) grey or (N, H, W, 3), uint8.
        odd: (N, H, W) how far the misfit around each pixel lies above what is usual there, in usual spreads.
    """

    original: np.ndarray
    expected: np.ndarray
    odd: np.ndarray

    def __len__(self) -> int:
        return len(self.odd)

    def strip(self, i: int) -> np.ndarray:
        """Original, expected and map of one picture, (3, H, W, 3) uint8; the map is drawn over the original."""
        three = [_colours(self.original[i]), _colours(self.expected[i])]
        return np.stack([*three, heat(self.original[i], self.odd[i])])


def maps(model: VAE, items: Items, usual: np.ndarray) -> Maps:
    """Where each picture is odd.

        m = G ∗ |d|,  odd = (m − μ) / s

    d is each pixel's deviance, (x − μ) / σ for a Gaussian, in the mean over colours; G a Gaussian window of one pixel
    for a picture of 28; μ and s the mean and spread of m over ordinary pictures, pixel by pixel.

    Args:
        model: In evaluation mode.
        items: Pictures of the kind that it was trained on.
        usual: (M, P) deviances of ordinary pictures, P = C · H · W or H · W.

    Raises:
        UsageError: E108, these are no pictures, or the model's pixels depend on each other and have no deviances.

    Source: after Zimmerer, Isensee, Petersen, Kohl, Maier-Hein (2019), Unsupervised anomaly localization using
    variational auto-encoders, arXiv:1907.02796, whose gradient of the rate found nothing that this misses.
    """
    kind = items.kind
    if not isinstance(kind, Images):
        name = "items" if kind is None else kind.name
        raise UsageError("E108", f"maps are of pictures, and these are {name}.", hint="leave --maps out")
    if not mapped(kind, usual):
        message = "of this model no misfit of each pixel is known, because they depend on each other or were not kept."
        raise UsageError("E108", message, hint="train with --preset vae")
    ordinary = misfit(kind, usual)  # (M, H, W)
    mean, spread = ordinary.mean(0), ordinary.std(0)
    spread = spread + LEAST * spread.mean() + 1e-9
    original, expected, found = [], [], []
    for batch in items.batches(CHUNK):
        with torch.no_grad():
            out = model(batch.x, batch.c, batch.mask, noise=MEAN)
        original.append(pictures(kind, items, batch.index))
        expected.append(kind.picture(center(out.px)))
        found.append((misfit(kind, deviances(out)) - mean) / spread)
    return Maps(*(np.concatenate(parts) for parts in (original, expected, found)))


def mapped(kind: Images, usual: np.ndarray) -> bool:
    """Whether there is a usual misfit of each pixel to hold pictures against, from deviances (M, P)."""
    return usual.shape[1] > 0 and usual.shape[1] % (kind.height * kind.width) == 0


def deviances(out: Pass) -> np.ndarray:
    """The deviance of every pixel of each picture, (N, P)."""
    return deviance(out.px, out.x, out.mask)[1].flatten(1).double().numpy()


def pictures(kind: Images, items: Items, index: Tensor | None = None) -> np.ndarray:
    """The pictures themselves as 8 bits to look at, not the bits that a model may see of them."""
    chosen = items if index is None else items.subset(index)
    raw: Any = chosen.raw  # dense, as pictures are
    return kind.picture(raw.float() / kind.top)


def heat(picture: np.ndarray, odd: np.ndarray) -> np.ndarray:
    """A picture in dim grey, with warm colour where it is odd: (H, W[, 3]) and (H, W) → (H, W, 3) uint8."""
    base = DARKEST + _colours(picture).astype(np.float64).mean(-1, keepdims=True) * 0.5  # (H, W, 1)
    share = ((odd - FAINT) / (FULL - FAINT)).clip(0, 1)[..., None]  # (H, W, 1)
    warm = np.concatenate([np.full_like(share, 255), 255 * share**1.5, 40 * share], axis=-1)
    strength = np.where(share > 0, STARTING + (1 - STARTING) * share, 0.0)
    return np.rint(base * (1 - strength) + warm * strength).astype(np.uint8)


def _colours(picture: np.ndarray) -> np.ndarray:
    """(H, W) or (H, W, C) as (H, W, 3)."""
    picture = picture[..., None] if picture.ndim == 2 else picture
    return picture[..., :3] if picture.shape[-1] >= 3 else np.repeat(picture[..., :1], 3, axis=-1)
