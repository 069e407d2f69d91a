"""The points of the map: items that the run held out or trained on, each with its code, ELBO and KL.

Where the data are no longer to be found, the codes that the model folder keeps stand in their place, and where it keeps
none, draws of the model.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vaekit import as_trained, operations, persistence
from vaekit.data import Batch, Items
from vaekit.distributions import MEAN, Noise
from vaekit.errors import VaekitError
from vaekit.evaluation.units import log_volume
from vaekit.explorer.subject import Subject

MOST, NUMBERS = 100_000, 16_000_000  # points, and numbers of all their codes
CHUNK = 512  # items at once
DRAWN = 1_000  # draws of the model where there are no data
SPLITS = ("held out", "trained on")


@dataclass(frozen=True)
class Points:
    """Items as points of the latent space, in an order of which every beginning is a fair sample of the whole.

    Attributes:
        codes: (N, D) packed centres of q(z | x).
        std: (N, D) standard deviations of q(z | x).
        kl_each: (D,) mean KL of each dimension, nats.
        elbo, kl: (N,) nats; of a code without a density the ELBO is minus the distortion, and the KL is 0.
        label: (N,) place among the labels, −1 where it is unknown; None where there are none.
        split: (N,) 0 held out, 1 trained on; None where it is neither.
        items: The N items, or None where only their codes are known.
        sampled: What the points are a sample of, or stand for, in words; empty if they are all there is.
    """

    codes: np.ndarray
    std: np.ndarray
    kl_each: np.ndarray
    elbo: np.ndarray
    kl: np.ndarray
    label: np.ndarray | None = None
    split: np.ndarray | None = None
    items: Items | None = None
    sampled: str = ""

    def __len__(self) -> int:
        return len(self.codes)

    @classmethod
    def none(cls, width: int, why: str = "") -> Points:
        """No points, of codes of D numbers."""
        nothing, rows = np.zeros(0), np.zeros((0, width))
        return cls(rows, rows, np.zeros(width), nothing, nothing, sampled=why)

    @property
    def heldout(self) -> np.ndarray:
        """Sorted −ELBO of the held-out ones, nats."""
        chosen = self.elbo if self.split is None else self.elbo[self.split == 0]
        return np.sort(-chosen[np.isfinite(chosen)])


def points(
    subject: Subject,
    most: int = MOST,
    within: float | None = None,
    say: Callable[[float, int], None] | None = None,
    divided: as_trained.AsTrained | None = None,
) -> Points:
    """The points of a run.

    Args:
        subject: The run.
        most: No more points than this.
        within: Seconds after which no more are added; the beginning of the order is a sample of its own.
        say: Told of the share that is done and of the number of points, now and then.
        divided: The run's data, where they are read already.
    """
    most = max(1, min(most, NUMBERS // max(1, subject.width)))
    try:
        data = as_trained.divided(subject.path, subject.kind) if divided is None else divided
        items, split = joined(data.heldout, data.seen)
    except VaekitError as error:
        return _without_data(subject, most, error.message)
    order = spread_out(split, None if items.labels is None else items.labels.numpy())
    chosen = items.subset(torch.from_numpy(order[:most]))
    coded = measured(subject, chosen, within, say)
    n = len(coded)
    sampled = "" if n == len(items) else f"{n} of {len(items)} items, as many of each sort as their share"
    return replace(coded, split=split[order[:n]], sampled=sampled)


def joined(first: Items, second: Items) -> tuple[Items, np.ndarray]:
    """Two lots of items as one, and which of them each is of; both may share their storage."""
    split = np.repeat([0, 1], [len(first), len(second)])
    labels = None
    if first.labels is not None and second.labels is not None:
        labels = torch.cat([first.labels, second.labels])
    if first.stored is second.stored and first.places is not None and second.places is not None:
        places = torch.cat([first.places, second.places])
        return Items(first.stored, first.kind, labels, places=places), split
    raws: list[Any] = [_dense(first), _dense(second)]
    return Items(torch.cat(raws), first.kind, labels), split


def _dense(items: Items) -> Tensor:
    raw: Any = items.raw
    return raw if isinstance(raw, Tensor) else raw[torch.arange(len(items))]


def spread_out(split: np.ndarray, label: np.ndarray | None, seed: int = 0) -> np.ndarray:
    """An order in which every sort of item comes as often, in any beginning of it, as in the whole.

    Args:
        split: (N,) whole numbers.
        label: (N,) whole numbers, or None; split and label together are the sort.
        seed: Of the order within a sort.

    Returns:
        (N,) places.

    Example:
        >>> order = spread_out(np.repeat([0, 1], [90, 10]), None)
        >>> int((order[:20] >= 90).sum())
        2
    """
    sort = split if label is None else split * (int(label.max(initial=0)) + 2) + label + 1
    noise = np.random.default_rng(seed)
    key = np.empty(len(sort))
    for one in np.unique(sort):
        rows = np.flatnonzero(sort == one)
        key[noise.permutation(rows)] = (np.arange(len(rows)) + noise.random()) / len(rows)
    return np.argsort(key, kind="stable")


@torch.no_grad()
def measured(
    subject: Subject,
    items: Items,
    within: float | None = None,
    say: Callable[[float, int], None] | None = None,
) -> Points:
    """Code, ELBO and KL of each item at the centre of q(z | x); nothing is drawn.

    Args:
        subject: The run.
        items: In the order in which they are measured.
        within, say: As of `points`.
    """
    began, done, found = time.monotonic(), 0, []
    for batch in items.batches(CHUNK):
        code, width, each = operations.embed(subject.model, batch.x, batch.c, batch.mask)
        bound, rate = bounded(subject, batch)
        found.append((code.float(), width.float(), each.double().sum(0, keepdim=True), bound, rate))
        done += len(batch)
        if say is not None:
            say(done / len(items), done)
        if within is not None and time.monotonic() - began > within:
            break
    codes, std, sums, elbo, kl = (torch.cat(parts).numpy() for parts in zip(*found, strict=True))
    chosen = items if done == len(items) else items.subset(torch.arange(done))
    label = None if chosen.labels is None else chosen.labels.numpy()
    return Points(codes, std, sums.sum(0) / done, elbo, kl, label, None, chosen)


@torch.no_grad()
def bounded(subject: Subject, batch: Batch) -> tuple[Tensor, Tensor]:
    """ELBO at the centre of q(z | x), and KL, (B,) nats each, in the units of the data.

    ELBO = log p(x | z = E[z | x]) − KL(q(z | x) ‖ p(z))
    """
    out = subject.model(batch.x, batch.c, batch.mask, noise=MEAN)
    volume = log_volume(subject.model, subject.kind, batch)
    kl = out.rate.double() if subject.stochastic else torch.zeros(len(batch), dtype=torch.float64)
    return volume - out.distortion.double() - kl, kl


@torch.no_grad()
def _without_data(subject: Subject, most: int, why: str) -> Points:
    """Codes that the model folder keeps, or else draws of the model."""
    kept = _kept(subject, most)
    if kept is not None:
        return replace(kept, sampled=f"{len(kept)} codes kept with the model: {why}")
    if not subject.samples:
        return Points.none(subject.width, why)
    count = min(DRAWN, most)
    noise = Noise(0, "explore: draws")
    c = subject.kind.conditions(count, None, noise)
    x = subject.model.sample(count, c, 1.0, noise, subject.kind.shows_mean)
    items = Items(subject.kind.store(subject.kind.decode(x, c)), subject.kind)
    made = measured(subject, items)
    return replace(made, sampled=f"{count} draws from the model: {why}")


def _kept(subject: Subject, most: int) -> Points | None:
    """Held-out and training items in coded form, where their codes are z itself."""
    place = subject.path / "model" if (subject.path / "model").is_dir() else subject.path
    tensors = persistence.load_reference(place)
    parts = [name for name in ("heldout", "train") if f"{name}.codes" in tensors]
    mixed = any(tensors[f"{name}.codes"].shape[1] != subject.width for name in parts)
    if not parts or mixed or getattr(subject.kind, "picture", None) is None:
        return None
    codes = torch.cat([tensors[f"{name}.codes"] for name in parts]).numpy()
    rate = torch.cat([tensors[f"{name}.rate"] for name in parts]).double().numpy()
    distortion = torch.cat([tensors[f"{name}.distortion"] for name in parts]).double().numpy()
    split = np.concatenate([np.full(len(tensors[f"{n}.codes"]), SPLITS.index(_word(n))) for n in parts])
    order = spread_out(split, None)[:most]
    each = np.asarray(subject.calibration.get("kl") or np.zeros(subject.width))
    found = codes[order].astype(np.float32)
    return Points(
        found, np.zeros_like(found), each, -(distortion + rate)[order], rate[order], None, split[order]
    )


def _word(name: str) -> str:
    return SPLITS[0] if name == "heldout" else SPLITS[1]
