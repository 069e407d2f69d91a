"""What items are held against to tell how odd they are: a one-class density over their statistics, and a p-value.

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
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from vaekit.data import Items
from vaekit.evaluation.calibration import spaced
from vaekit.model import VAE
from vaekit.uses.coded import CHUNK, DRAWS, Coded, Known, coded, reference
from vaekit.uses.one_class import OneClass, gaussians
from vaekit.uses.statistics import Statistics, pictured, statistics

FOLDS = 5
# of rows; distortion and rate are the two sides of −ELBO, and count once
JUDGED = ("−ELBO", "latent distance", "residual distance", "neighbour distance", "column tails")
JUDGED_CONTAMINATED = ("−ELBO", "latent distance", "neighbour distance")


@dataclass(frozen=True)
class Yardstick:
    """What items are held against to tell how odd they are.

    Attributes:
        reference: Items that the model was trained on.
        heldout: Items that it was not trained on; the reference itself where none were held out.
        pictured: Statistics of the held-out items that pictures alone have, name → (n,).
        names: The statistics that are judged.
        one_class: Their density over the held-out items.
        scores: (n,) scores of the held-out items, each by a density that was fitted without it; sorted.
        contamination: R, the share of all of them that was taken for odd and dropped.
    """

    reference: Coded
    heldout: Coded
    pictured: dict[str, np.ndarray]
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
            found = statistics(model, seen, seen, {}, contamination)
            rows = found.of(informative(found.names, joint=False, contaminated=True))
            kept = ordinary(OneClass.fit(rows, joint=False).score(rows), contamination)
            seen = seen.rows(kept)
            if own:
                held, more = seen, {name: values[kept] for name, values in more.items()}
        found = statistics(model, held, seen, more, contamination)
        names = informative(found.names, joint, contaminated=bool(contamination))
        rows = found.of(names)
        if contamination and not own:
            rows = rows[ordinary(crossed(rows, joint), contamination)]
        one, scores = OneClass.fit(rows, joint), np.sort(crossed(rows, joint))
        return cls(seen, held, dict(more), names, one, scores, contamination)

    def trimmed(self, model: VAE, contamination: float) -> Yardstick:
        """The same where a share R of the training and of the held-out items is not ordinary."""
        if contamination == self.contamination:
            return self
        return self._fitted(model, self.reference, self.heldout, self.pictured, contamination)

    def score(self, model: VAE, items: Items) -> tuple[Statistics, np.ndarray, np.ndarray]:
        """How odd items are.

        Args:
            model: In evaluation mode.
            items: Of the kind that it was trained on; some at a time are in coded form.

        Returns:
            Their statistics, the scores, (N,); larger is odder; and which are the reference's own, (N,) of bool.

        Raises:
            DataError: E206, an item has no finite likelihood (the rows are named).
        """
        found, own, known = [], [], Known(self.reference)
        for first in range(0, len(items), CHUNK):
            part = items.subset(torch.arange(first, min(first + CHUNK, len(items))))
            seen = coded(model, part, first=first)
            more = pictured(part, seen) if self.pictured else {}
            found.append(statistics(model, seen, self.reference, more, self.contamination))
            own.append(known.has(seen))
        every = Statistics(found[0].names, np.concatenate([part.values for part in found]))
        return every, self.one_class.score(every.of(self.names)), np.concatenate(own)

    @property
    def alike(self) -> float:
        """The share of held-out items of which the reference has the like: rows of few values come again and again."""
        return (
            0.0 if self.heldout is self.reference else float(Known(self.reference).has(self.heldout).mean())
        )

    def __len__(self) -> int:
        """Items that it holds."""
        return len(self.reference) + (0 if self.heldout is self.reference else len(self.heldout))

    def beside(self, calibrated: Mapping[str, Any] | None) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """What a model folder keeps: the calibration with what is JSON of this, and the tensors."""
        return {**(calibrated or {}), "anomalies": self.facts()}, self.tensors()

    def facts(self) -> dict[str, Any]:
        """What is written as JSON: names, density and scores."""
        scores = [float(f"{score:.9g}") for score in self.scores.tolist()]
        return {
            "names": list(self.names),
            "one_class": self.one_class.facts(),
            "scores": scores,
            "pictured": {name: column.tolist() for name, column in self.pictured.items()},
            "contamination": self.contamination,
        }

    def tensors(self) -> dict[str, Tensor]:
        """What is written as tensors: items in coded form, each once."""
        train = self.reference.tensors("train")
        return train if self.heldout is self.reference else train | self.heldout.tensors("heldout")

    @classmethod
    def from_folder(cls, model: VAE, calibrated: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Self:
        """From what a model folder keeps; −ELBO alone is judged where it keeps no coded items, or statistics of old."""
        facts = calibrated.get("anomalies") or {}
        ours = "pictured" in facts and (facts["pictured"] or {*facts["names"]} <= {*JUDGED, "distortion"})
        if tensors and ours:
            return cls.from_parts(facts, tensors)
        values = np.sort(np.asarray(calibrated["scores"], dtype=np.float64))
        nothing = np.zeros((len(values), 0))
        held = Coded(nothing, nothing, values, np.zeros(len(values)))
        one = OneClass.fit(values[:, None], joint=False)
        name = "−ELBO" if model.bottleneck.stochastic else "distortion"
        return cls(held, held, {}, (name,), one, one.score(values[:, None]))

    @classmethod
    def from_parts(cls, facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Self:
        """As `facts` and `tensors` gave it."""
        more = {name: np.asarray(column, dtype=np.float64) for name, column in facts["pictured"].items()}
        seen = Coded.from_tensors(tensors, "train")
        held = Coded.from_tensors(tensors, "heldout") if "heldout.codes" in tensors else seen
        one, scores = OneClass.from_facts(facts["one_class"]), np.asarray(facts["scores"], dtype=np.float64)
        return cls(seen, held, more, tuple(facts["names"]), one, scores, facts["contamination"])


def informative(names: tuple[str, ...], joint: bool, contaminated: bool = False) -> tuple[str, ...]:
    """The statistics that a density is fitted to: jointly all that say something of their own."""
    if joint:
        return tuple(name for name in names if name != "−ELBO")
    first = "−ELBO" if "−ELBO" in names else "distortion"
    chosen = JUDGED_CONTAMINATED if contaminated else JUDGED
    return tuple(name for name in names if name == first or name in chosen)


def crossed(rows: np.ndarray, joint: bool, folds: int = FOLDS) -> np.ndarray:
    """The score of each item by a density that was fitted to the items of the other folds.

    Every fold's density has as many Gaussians as that of all items: scores of two sorts of density could not be held
    against each other.

    Args:
        rows: (n, S) statistics.
        joint: As of `OneClass.fit`.
        folds: Into which they are dealt in turn.

    Returns:
        (n,).
    """
    fold, count = np.arange(len(rows)) % folds, gaussians(len(rows))
    scores = np.empty(len(rows))
    for one in range(min(folds, len(rows))):
        others = rows[fold != one] if len(rows) > 1 else rows
        scores[fold == one] = OneClass.fit(others, joint, count).score(rows[fold == one])
    return scores


def ordinary(scores: np.ndarray, share: float) -> np.ndarray:
    """The places of all but the share with the highest scores, in order."""
    gone = round(share * len(scores))
    return np.sort(np.argsort(scores, kind="stable")[: len(scores) - gone])
