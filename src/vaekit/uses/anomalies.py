"""How odd items are: a vector of statistics of each, a one-class density over it, and a p-value.

    −ELBO, distortion, rate        what the model says, in nats
    latent distance                from what the item's code stands for to that of the nearest training items
    residual distance              from what the code leaves over to what the nearest training items' codes leave over
    neighbour distance             both together (rows of numbers), to the 5 nearest
    wide distance                  the same to the nearest tenth: far from all but a few of its like
    overall distance               the same to all: far out
    greatest, rough misfit         of pictures: of the place that fits worst, and of the grain of what does not fit
    compressed size, …             how complex a picture is, whatever any model says

Of rows only larger values are odder, and the statistics are judged side by side; of pictures all are judged jointly and
on both sides, for one that is too simple is odd and yet probable. The density is fitted to items that the model was not
trained on; p-values are held against scores that each of those items got from a density fitted without it.

Where a share R of the data is odd itself, the oddest R of both are dropped, neighbours are the nearest R of the
training items, so that a few odd ones which lie together are little company to each other, and residuals alone, which a
model learns to keep small for all that it was trained on, are not judged.

Source: Morningstar, Ham, Gallagher, Lakshminarayanan, Alemi, Dillon (2021), Density of states estimation for
out-of-distribution detection, arXiv:2006.09273; Vovk (2015), Cross-conformal predictors, arXiv:1208.0806.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from vaekit.data import Images, Items
from vaekit.distributions import MEAN
from vaekit.evaluation.calibration import spaced
from vaekit.evaluation.likelihood import check_finite
from vaekit.model import VAE, Pass
from vaekit.operations import bound, packed
from vaekit.uses.complexity import complexity
from vaekit.uses.features import deviance, expectations, walks
from vaekit.uses.misfit import misfits
from vaekit.uses.one_class import OneClass

__all__ = ["Coded", "Reference", "Statistics", "Yardstick", "coded", "deviance", "reference", "statistics"]

CHUNK = 1_024  # items at once
LARGEST = torch.finfo(torch.float32).max  # what float32 could not hold counts as this
SAME = 1e-12  # squared distances below so large a share of the squared lengths are rounding
NEIGHBOURS, WIDE = 5, 0.1  # nearest training items: so many, and this share of them
DRAWS, FOLDS = 16, 5
MOST, FEWEST, NUMBERS = 5_000, 200, 4_000_000  # items kept in coded form; of wide ones, and their numbers
# of rows; distortion and rate are the two sides of −ELBO, and count once
JUDGED = (
    "−ELBO", "latent distance", "residual distance", "neighbour distance", "wide distance", "overall distance"
)  # fmt: skip
JUDGED_DIRTY = ("−ELBO", "latent distance", "neighbour distance")


@dataclass(frozen=True)
class Statistics:
    """Named statistics of items.

    Attributes:
        names: What each column is.
        values: (N, S) float64, finite.
    """

    names: tuple[str, ...]
    values: np.ndarray

    def __getitem__(self, name: str) -> np.ndarray:
        """One of them, (N,)."""
        return self.values[:, self.names.index(name)]

    def of(self, names: tuple[str, ...]) -> np.ndarray:
        """Some of them, (N, S′)."""
        return np.stack([self[name] for name in names], 1)


@dataclass(frozen=True)
class Reference:
    """Training items in coded form, whose neighbours new items are to be.

    Attributes:
        codes: (M, D) what their codes stand for: E[x | z] of rows of numbers, z itself of other kinds.
        residuals: (M, P) what the codes leave over: x − E[x | z] of rows of numbers, deviances of pictures; P = 0 where
            there is no such thing.
    """

    codes: np.ndarray
    residuals: np.ndarray


@dataclass(frozen=True)
class Coded(Reference):
    """Items as a model codes them.

    Attributes:
        distortion: (M,) nats, in the units of the data.
        rate: (M,) nats; zero for a deterministic code.
    """

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
def coded(model: VAE, items: Items, draws: int = DRAWS) -> Coded:
    """Items as a model codes them; all see the same draws, so that no item's numbers depend on its neighbours.

    Args:
        model: In evaluation mode.
        items: Of the kind that it was trained on.
        draws: Of each code, for distortion and rate.

    Raises:
        DataError: E206, an item has no finite likelihood (the rows are named).
    """
    found = []
    draws = draws if model.bottleneck.stochastic else 1
    device, dtype = next((p.device, p.dtype) for p in model.parameters())
    for batch in items.batches(CHUNK):
        batch = batch.to(device)
        x = batch.x.clamp(-LARGEST, LARGEST).to(dtype) if batch.x.is_floating_point() else batch.x
        keys = torch.zeros(len(batch), dtype=torch.long)
        distortion, rate = bound(model, x, batch.c, batch.mask, draws, rows=keys)
        volume = 0.0 if items.kind is None else items.kind.log_volume(batch)
        rate = torch.zeros_like(distortion) if rate is None else rate
        codes, left = _places(items, model, model(x, batch.c, batch.mask, noise=MEAN))
        found.append([t.double().cpu() for t in (codes, left, distortion - volume, rate)])
    tensors = [torch.cat(parts) for parts in zip(*found, strict=True)]
    check_finite(tensors[2] + tensors[3])
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


def reference(model: VAE, items: Items, most: int = MOST, draws: int = DRAWS) -> Coded:
    """Items in coded form, at most so many, spread evenly over all of them."""
    width = int(np.prod(items.shape if items.kind is None else items.kind.shape))
    most = min(most, max(FEWEST, NUMBERS // width))
    return coded(model, spaced(items, most), draws)


def statistics(model: VAE, items: Items, reference: Reference) -> Statistics:
    """The statistics of every item, in order.

    Args:
        model: In evaluation mode.
        items: Of the kind that it was trained on.
        reference: What neighbours are looked for in.

    Raises:
        DataError: E206, an item has no finite likelihood (the rows are named).
    """
    seen = coded(model, items)
    return _statistics(model, seen, reference, pictured(items, seen))


def _statistics(
    model: VAE, seen: Coded, reference: Reference, more: Mapping[str, np.ndarray], own: bool = False,
    contamination: float = 0.0,
) -> Statistics:  # fmt: skip
    columns = {"distortion": seen.distortion}
    if model.bottleneck.stochastic:
        columns = {"−ELBO": seen.distortion + seen.rate, **columns, "rate": seen.rate}
    count = len(reference.codes)
    few = max(NEIGHBOURS, round(contamination * count))
    if reference.codes.shape[1]:
        columns["latent distance"] = nearest(seen.codes, reference.codes, few, own=own)
    if reference.residuals.shape[1]:
        columns["residual distance"] = nearest(seen.residuals, reference.residuals, few, own=own)
    if reference.codes.shape[1] == reference.residuals.shape[1] > 0:  # both in the space of the items
        here, there = (np.concatenate([of.codes, of.residuals], 1) for of in (seen, reference))
        both = nearest(here, there, few, max(NEIGHBOURS, round(WIDE * count)), count, own=own)
        columns["neighbour distance"], columns["wide distance"], columns["overall distance"] = both.T
    values = np.stack(
        [np.asarray(column, np.float64).ravel() for column in (columns | dict(more)).values()], 1
    )
    return Statistics((*columns, *more), np.nan_to_num(values, posinf=1e300, neginf=-1e300))


def pictured(items: Items, seen: Coded) -> dict[str, np.ndarray]:
    """Statistics that pictures alone have, of misfit and complexity, name → (N,); none of other kinds."""
    if not isinstance(items.kind, Images):
        return {}
    parts = []
    for start in range(0, len(items), CHUNK):
        part = items.subset(torch.arange(start, min(start + CHUNK, len(items))))
        parts.append(complexity(items.kind, part.raw))  # type: ignore[arg-type]
    more = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return misfits(items.kind, seen.residuals) | more


def nearest(rows: np.ndarray, reference: np.ndarray, *neighbours: int, own: bool = False) -> np.ndarray:
    """The mean distance of each row to its k nearest of the reference, (N, D) and (M, D) → (N, numbers of k).

    Args:
        rows: (N, D).
        reference: (M, D).
        neighbours: One k or several; all of the reference where it has fewer.
        own: The rows are the reference, and none is its own neighbour.

    Example:
        >>> nearest(np.array([[0.0]]), np.array([[1.0], [3.0], [9.0]]), 1, 2)
        array([[1., 2.]])
    """
    counts = [max(1, min(k, len(reference) - own)) for k in neighbours]
    middle = reference.mean(0)
    rows, reference = rows - middle, reference - middle
    squares, found = np.einsum("md,md->m", reference, reference), []
    for start in range(0, len(rows), CHUNK):
        part = rows[start : start + CHUNK]
        lengths = np.einsum("nd,nd->n", part, part)[:, None] + squares
        gaps = lengths - 2 * part @ reference.T  # (n, M)
        gaps[gaps < SAME * lengths] = 0.0
        if own:
            gaps[np.arange(len(part)), np.arange(start, start + len(part))] = np.inf
        near = np.sqrt(np.partition(gaps, [k - 1 for k in counts], axis=1)[:, : max(counts)])
        found.append(np.stack([near[:, :k].mean(1) for k in counts], 1))
    return np.concatenate(found)


@dataclass(frozen=True)
class Yardstick:
    """What items are held against to tell how odd they are.

    Attributes:
        reference: Items that the model was trained on.
        heldout: Items that it was not trained on; of pictures `more` statistics, name → (n,).
        names: The statistics that are judged.
        one_class: Their density over the held-out items.
        scores: (n,) scores of the held-out items, each by a density that was fitted without it; sorted.
        contamination: R, the share of all of them that was taken for odd and dropped.
    """

    reference: Coded
    heldout: Coded
    more: dict[str, np.ndarray]
    names: tuple[str, ...]
    one_class: OneClass
    scores: np.ndarray
    contamination: float = 0.0

    @classmethod
    def fit(cls, model: VAE, train: Items, heldout: Items, contamination: float = 0.0) -> Yardstick:
        """From what a model was trained on and what it was not; where nothing was held out, from the former alone.

        Args:
            model: In evaluation mode.
            train, heldout: Items.
            contamination: R, the share of them that is odd itself, in [0, 0.5].
        """
        # what training items' −ELBO serves for is only which of them are oddest: one draw will do
        seen = reference(model, train, draws=1 if len(heldout) else DRAWS)
        held = reference(model, heldout) if len(heldout) else seen
        more = pictured(spaced(heldout or train, len(held)), held)
        return cls._fitted(model, seen, held, more, contamination)

    @classmethod
    def _fitted(
        cls, model: VAE, seen: Coded, held: Coded, more: Mapping[str, np.ndarray], contamination: float
    ) -> Yardstick:
        joint, own = bool(more), held is seen
        if contamination:
            found = _statistics(model, seen, seen, {}, True, contamination)
            rows = found.of(judged(found.names, False, dirty=True))
            kept = least(OneClass.fit(rows, joint=False).score(rows), contamination)
            seen = seen.rows(kept)
            held, more = (
                (seen, {name: values[kept] for name, values in more.items()}) if own else (held, more)
            )
        found = _statistics(model, held, seen, more, own, contamination)
        names = judged(found.names, joint, dirty=bool(contamination))
        rows = found.of(names)
        if contamination and not own:
            rows = rows[least(crossed(rows, joint), contamination)]
        one = OneClass.fit(rows, joint)
        return cls(seen, held, dict(more), names, one, np.sort(crossed(rows, joint)), contamination)

    def trimmed(self, model: VAE, contamination: float) -> Yardstick:
        """The same where a share of the training and of the held-out items is not ordinary."""
        if contamination == self.contamination:
            return self
        held = self.reference if self.heldout is self.reference else self.heldout
        return self._fitted(model, self.reference, held, self.more, contamination)

    def score(self, model: VAE, items: Items) -> tuple[Statistics, np.ndarray]:
        """The statistics of items and how odd they are, larger is odder, (N,)."""
        seen = coded(model, items)
        more = pictured(items, seen) if self.more else {}
        found = _statistics(model, seen, self.reference, more, contamination=self.contamination)
        return found, self.one_class.score(found.of(self.names))

    def __len__(self) -> int:
        """Items that it holds."""
        return len(self.reference) + (0 if self.heldout is self.reference else len(self.heldout))

    def beside(self, calibrated: Mapping[str, Any] | None) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """What a model folder keeps: the calibration with what is JSON of this, and the tensors."""
        return {**(calibrated or {}), "anomalies": self.facts()}, self.tensors()

    def facts(self) -> dict[str, Any]:
        """What is written as JSON: names, density and scores."""
        scores = [float(f"{score:.9g}") for score in self.scores.tolist()]
        more = {name: column.tolist() for name, column in self.more.items()}
        return {
            "names": list(self.names),
            "one_class": self.one_class.facts(),
            "scores": scores,
            "complexity": more,
        }

    def tensors(self) -> dict[str, Tensor]:
        """What is written as tensors: items in coded form."""
        return self.reference.tensors("train") | self.heldout.tensors("heldout")

    @classmethod
    def from_folder(cls, model: VAE, calibrated: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Self:
        """From what a model folder keeps; where items in coded form were left out, −ELBO alone is judged."""
        if tensors and "anomalies" in calibrated:
            return cls.from_parts(calibrated["anomalies"], tensors)
        values = np.sort(np.asarray(calibrated["scores"], dtype=np.float64))
        nothing = np.zeros((len(values), 0))
        held = Coded(nothing, nothing, values, np.zeros(len(values)))
        one = OneClass.fit(values[:, None], joint=False)
        name = "−ELBO" if model.bottleneck.stochastic else "distortion"
        return cls(held, held, {}, (name,), one, one.score(values[:, None]))

    @classmethod
    def from_parts(cls, facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Self:
        """As `facts` and `tensors` gave it."""
        more = {name: np.asarray(column, dtype=np.float64) for name, column in facts["complexity"].items()}
        seen, held = (Coded.from_tensors(tensors, name) for name in ("train", "heldout"))
        one, scores = OneClass.from_facts(facts["one_class"]), np.asarray(facts["scores"], dtype=np.float64)
        return cls(seen, held, more, tuple(facts["names"]), one, scores)


def judged(names: tuple[str, ...], joint: bool, dirty: bool = False) -> tuple[str, ...]:
    """The statistics that a density is fitted to: jointly all that say something of their own."""
    if joint:
        return tuple(name for name in names if name != "−ELBO")
    first = "−ELBO" if "−ELBO" in names else "distortion"
    return tuple(name for name in names if name == first or name in (JUDGED_DIRTY if dirty else JUDGED))


def crossed(statistics: np.ndarray, joint: bool, folds: int = FOLDS) -> np.ndarray:
    """The score of each item by a density that was fitted to the items of the other folds, (n, S) → (n,)."""
    fold = np.arange(len(statistics)) % folds
    scores = np.empty(len(statistics))
    for one in range(min(folds, len(statistics))):
        others = statistics[fold != one] if len(statistics) > 1 else statistics
        scores[fold == one] = OneClass.fit(others, joint).score(statistics[fold == one])
    return scores


def least(scores: np.ndarray, share: float) -> np.ndarray:
    """The places of all but the share with the highest scores, in order."""
    gone = round(share * len(scores))
    return np.sort(np.argsort(scores, kind="stable")[: len(scores) - gone])
