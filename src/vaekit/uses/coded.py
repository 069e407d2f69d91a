"""Items in coded form: what their codes stand for, what these leave over, and what both cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from vaekit.data import Images, Items
from vaekit.distributions import MEAN
from vaekit.evaluation.calibration import spaced
from vaekit.evaluation.likelihood import check_finite
from vaekit.evaluation.units import log_volume
from vaekit.model import VAE, Pass
from vaekit.operations import bound, packed
from vaekit.uses.features import deviance, expectations, walks

CHUNK = 1_024  # items at once
DRAWS = 16
SAME = 1e-4  # of the spread of a place's coordinate: what float32 and the order of sums may move it
# what is larger counts as this: squares of it, over many columns and small scales, still have a float
LARGEST = {torch.float32: 1e12, torch.float64: torch.finfo(torch.float32).max}
MOST, FEWEST, NUMBERS = 5_000, 200, 4_000_000  # items kept in coded form; of wide ones, and their numbers


@dataclass(frozen=True)
class Coded:
    """Items as a model codes them.

    Attributes:
        codes: (M, D) what their codes stand for: E[x | z] of rows of numbers, z itself of other kinds.
        residuals: (M, P) what the codes leave over: x − E[x | z] of rows of numbers, deviances of pictures; P = 0 where
            there is no such thing.
        distortion: (M,) nats, in the units of the data.
        rate: (M,) nats; zero for a deterministic code.
    """

    codes: np.ndarray
    residuals: np.ndarray
    distortion: np.ndarray
    rate: np.ndarray

    def __len__(self) -> int:
        return len(self.distortion)

    @property
    def negative_elbo(self) -> Tensor:
        """Distortion and rate together, (M,) nats."""
        return torch.from_numpy(self.distortion + self.rate)

    def rows(self, kept: np.ndarray) -> Coded:
        """Some of the items."""
        return Coded(**{field.name: getattr(self, field.name)[kept] for field in fields(self)})

    def tensors(self, name: str) -> dict[str, Tensor]:
        """The same as tensors, for a file."""
        return {f"{name}.{f.name}": torch.from_numpy(getattr(self, f.name)).float() for f in fields(self)}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], name: str) -> Coded:
        """As `tensors` gave it."""
        return cls(**{f.name: tensors[f"{name}.{f.name}"].double().numpy() for f in fields(cls)})


@torch.no_grad()
def coded(model: VAE, items: Items, draws: int = DRAWS, first: int = 0) -> Coded:
    """Items as a model codes them; all see the same draws, so that no item's numbers depend on its neighbours.

    Args:
        model: In evaluation mode.
        items: Of the kind that it was trained on.
        draws: Of each code, for distortion and rate.
        first: The place of the first of them in what they were taken from, for naming rows.

    Raises:
        DataError: E206, an item has no finite likelihood (the rows are named).
    """
    found = []
    draws = draws if model.bottleneck.stochastic else 1
    device, dtype = next((p.device, p.dtype) for p in model.parameters())
    for batch in items.batches(CHUNK):
        batch = batch.to(device)
        large = LARGEST[dtype]
        x = batch.x.clamp(-large, large).to(dtype) if batch.x.is_floating_point() else batch.x
        keys = torch.zeros(len(batch), dtype=torch.long)
        distortion, rate = bound(model, x, batch.c, batch.mask, draws, rows=keys)
        volume = log_volume(model, items.kind, batch)
        rate = torch.zeros_like(distortion) if rate is None else rate
        codes, left = _places(items, model, model(x, batch.c, batch.mask, noise=MEAN))
        found.append([t.double().cpu() for t in (codes, left, distortion - volume, rate)])
    tensors = [torch.cat(parts) for parts in zip(*found, strict=True)]
    check_finite(tensors[2] + tensors[3], first)
    return Coded(*(t.numpy() for t in tensors))


def _places(items: Items, model: VAE, out: Pass) -> tuple[Tensor, Tensor]:
    """What the codes stand for and what they leave over, (N, D) and (N, P)."""
    pair = expectations(items.kind, out)
    if pair is not None:
        seen, expected = pair
        return expected, seen - expected
    codes = packed([latent.z for latent in out.latents])
    codes = codes[:, :0] if model.bottleneck.discrete else codes
    pictures = isinstance(items.kind, Images) and not walks(out.px)
    left = deviance(out.px, out.x, out.mask)[1].flatten(1) if pictures else codes[:, :0]
    return codes, left


class Known:
    """Coded items in which others are looked up, by the places of their coded forms.

    They are sorted along one direction, so that each item is held against its neighbours there alone.

    Args:
        items: What others are looked up in.
    """

    def __init__(self, items: Coded) -> None:
        there = _forms(items)
        scale = there.std(0) if len(there) else np.ones(there.shape[1])
        self.scale = scale + 0.01 * scale.mean() + np.finfo(np.float32).tiny if scale.size else scale
        self.direction = np.sin(1.0 + np.arange(len(scale)) ** 2)  # any that no column is left out of
        there = there / self.scale
        along = there @ self.direction
        order = np.argsort(along, kind="stable")
        self.there, self.along = there[order], along[order]

    def has(self, items: Coded) -> np.ndarray:
        """Which items are among them, (N,) of bool; none where there are no places."""
        here = _forms(items)
        found = np.zeros(len(here), dtype=bool)
        if here.shape[1] != self.there.shape[1] or not self.there.size:
            return found
        here = here / self.scale
        first = np.searchsorted(self.along, here @ self.direction)
        for step in (-2, -1, 0, 1):
            near = self.there[(first + step).clip(0, len(self.there) - 1)]
            found |= np.abs(near - here).max(1) < SAME
        return found


def _forms(items: Coded) -> np.ndarray:
    """Codes and residuals together, (N, D + P)."""
    return np.concatenate([items.codes, items.residuals], 1)


def reference(model: VAE, items: Items, most: int = MOST, draws: int = DRAWS) -> Coded:
    """Items in coded form, at most so many, spread evenly over all of them."""
    width = int(np.prod(items.shape if items.kind is None else items.kind.shape))
    most = min(most, max(FEWEST, NUMBERS // width))
    return coded(model, spaced(items, most), draws)
