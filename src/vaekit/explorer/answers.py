"""What the page asks of the model: codes decoded, an item encoded, a path with its likelihoods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vaekit import operations
from vaekit.data import Batch, Images, Items
from vaekit.data.checks import finite
from vaekit.distributions import RowNoise
from vaekit.errors import DataError, UsageError
from vaekit.evaluation.units import log_volume
from vaekit.explorer import reading
from vaekit.explorer.facts import SAMPLES, Explored
from vaekit.explorer.heldout import heldout_scores, scored_by_draws
from vaekit.explorer.points import bounded
from vaekit.explorer.subject import Subject
from vaekit.uses.maps import pictures

MOST_CODES, MOST_PATH, NEAREST = 256, 64, 10


class Answers:
    """Answers about one model.

    Args:
        subject: The run.
        explored: What the page was told of it.
    """

    def __init__(self, subject: Subject, explored: Explored) -> None:
        self.subject, self.points = subject, explored.points
        self.heldout = heldout_scores(subject, explored.points)

    def decode(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Codes as items."""
        x, c = self._decoded(asked, MOST_CODES)
        return {"items": reading.shown(self.subject.kind, x, c)}

    def path(self, asked: Mapping[str, Any]) -> Way:
        """Codes as items, whose −log p(x) is still to be found, for it takes long."""
        x, c = self._decoded(asked, MOST_PATH)
        return Way(self.subject, x, c)

    def encode(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """An item as the model sees it: its code, reconstruction, bounds, p-value, and the points nearest to it."""
        subject, batch = self.subject, self._given(asked.get("item"), self._label(asked))
        code = operations.embed(subject.model, batch.x, batch.c, batch.mask)[0].float()
        x = operations.decode(subject.model, code, batch.c, like=subject.like)
        elbo, kl = (float(value) for value in bounded(subject, batch))
        return {
            "code": code[0].tolist(),
            "item": self._understood(asked["item"], batch),
            "reconstruction": reading.shown(subject.kind, x, batch.c)[0],
            "elbo": elbo,
            "distortion": -elbo - kl,
            "kl": kl,
            "p_value": self._p_value(batch, -elbo),
            "nearest": self._nearest(code[0].numpy()),
        }

    # ------------------------------------------------------------------ what is asked

    def _decoded(self, asked: Mapping[str, Any], most: int) -> tuple[Tensor, Tensor | None]:
        codes = as_codes(asked.get("codes"), self.subject.width, most)
        return self.subject.decode(self._possible(codes), self._label(asked))

    def _possible(self, codes: Tensor) -> Tensor:
        """Codes of a codebook between two entries become those of the nearest point: none lies there."""
        if not self.subject.discrete or not len(self.points) or bool((codes == codes.round()).all()):
            return codes
        known = torch.from_numpy(self.points.codes)
        return known[torch.cdist(codes, known).argmin(1)]

    def _label(self, asked: Mapping[str, Any]) -> int | None:
        label, count = asked.get("condition"), len(self.subject.kind.labels)
        if label is None:
            return None
        if isinstance(label, bool) or not isinstance(label, int) or not 0 <= label < count:
            raise UsageError("E103", f"a condition is null or a label's place, 0 to {count - 1}.")
        return label

    def _given(self, item: Any, label: int | None) -> Batch:
        """One item as a batch."""
        kind = self.subject.kind
        if isinstance(item, dict) and "index" in item:
            place = item["index"]
            count = 0 if self.points.items is None else len(self.points.items)
            if isinstance(place, bool) or not isinstance(place, int) or not 0 <= place < count:
                known = f"an item's number is 0 to {count - 1}." if count else "no items are known here."
                raise UsageError("E103", known)
            return self.points.items.batch(torch.tensor([place]))  # type: ignore[union-attr]
        labels = torch.tensor([-1 if label is None else label]) if kind.labels and kind.conditional else None
        return Items(kind.store(reading.values(kind, item)), kind, labels).batch(torch.tensor([0]))

    def _understood(self, item: Any, batch: Batch) -> dict[str, Any]:
        """The item as it was taken: a picture as it came, not the bits that a model may see of it."""
        kind = self.subject.kind
        if isinstance(item, dict) and "image" in item:
            return {"image": item["image"]}
        if isinstance(kind, Images) and self.points.items is not None:
            return reading.image(pictures(kind, self.points.items, batch.index)[0])
        return reading.shown(kind, batch.with_holes, batch.c)[0]

    # ------------------------------------------------------------------ what is found

    def _p_value(self, batch: Batch, centred: float) -> float | None:
        """The share of held-out items that are as odd; scored in the same way as those were."""
        if not len(self.heldout):
            return None
        subject, score = self.subject, centred
        if scored_by_draws(subject, self.points):
            found = operations.score(subject.model, batch.x, batch.c, batch.mask)
            score = float(found - log_volume(subject.model, subject.kind, batch))
        return float(operations.p_values([score], self.heldout)[0])

    def _nearest(self, code: np.ndarray) -> list[dict[str, Any]]:
        """The points whose codes are nearest, by Euclidean distance."""
        away = np.sqrt(np.square(self.points.codes - code).sum(1, dtype=np.float64))
        first = np.argsort(away, kind="stable")[:NEAREST]
        return [{"index": int(i), "distance": float(away[i])} for i in first]


class Way:
    """Items along a path.

    Args:
        subject: The run.
        x: (N, *shape) in the model's space.
        c: (N, A) condition.
    """

    def __init__(self, subject: Subject, x: Tensor, c: Tensor | None) -> None:
        self.subject, self.c = subject, c
        self.items = reading.shown(subject.kind, x, c)
        # likelihoods are those of the items as they are shown, which are data: of whole levels, words, cells
        self.batch = subject.kind.encode(subject.kind.store(subject.kind.decode(x, c)), noise=_Half())

    def __len__(self) -> int:
        return len(self.items)

    def nll(self, i: int) -> float | None:
        """−log p(x) of one item by importance sampling, all from the same draws; None for codes without a density."""
        subject, batch, row = self.subject, self.batch, slice(i, i + 1)
        if not subject.stochastic:
            return None
        x, mask = batch.x[row], None if batch.mask is None else batch.mask[row]
        c = None if self.c is None else self.c[row]
        found = operations.log_likelihood(subject.model, x, c, mask, SAMPLES)
        return -float(found + log_volume(subject.model, subject.kind, Batch(x, c, mask)))

    def told(self, nll: list[float | None]) -> dict[str, Any]:
        """The answer, with what `nll` gave of each item."""
        return {"items": self.items, "nll": nll if self.subject.stochastic else None}


class _Half(RowNoise):
    """½ for every uniform number: bits are a threshold's, and a number on a grid is in the middle of its cell."""

    def __init__(self) -> None:
        super().__init__(0, "half", torch.zeros(0))

    def uniform(self, shape: Sequence[int], like: Tensor | None = None) -> Tensor:
        return torch.full(tuple(shape), 0.5, dtype=None if like is None else like.dtype)


def as_codes(told: Any, width: int, most: int) -> Tensor:
    """Rows of numbers, as codes (N, D).

    Raises:
        DataError: E212 another shape or too many, E206 a number that is not finite.
    """
    rows = told if isinstance(told, list) else []
    fitting = all(isinstance(row, list) and len(row) == width and all(map(_number, row)) for row in rows)
    if not 1 <= len(rows) <= most or not fitting:
        raise DataError(
            "E212", f"1 to {most} codes of {width} numbers each are expected.", hint="codes: [[…]]"
        )
    with np.errstate(over="ignore"):
        values = np.asarray(rows, dtype=np.float32)
    return torch.from_numpy(finite(values))


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e30
