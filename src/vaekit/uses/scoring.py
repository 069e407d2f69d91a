"""The verdict on items: how odd each is, its p-value, whether it is flagged, and why."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch

from vaekit.data import Items, Kind, Table
from vaekit.errors import UsageError
from vaekit.model import VAE
from vaekit.operations import p_values
from vaekit.uses.one_class import OneClass
from vaekit.uses.statistics import Statistics
from vaekit.uses.unseen import raised
from vaekit.uses.why import Cell, Why, cells, has_cells
from vaekit.uses.yardstick import Yardstick

SHOWN = 3  # cells that are told of, or statistics where items have no cells
FEW, MOSTLY = 10, 0.9  # of so many items, so large a share with small p-values is a mistake in the data
LABELS = (
    "label",
    "labels",
    "y",
    "target",
    "class",
    "anomaly",
    "outlier",
    "is_anomaly",
    "is_outlier",
    "fraud",
)


@dataclass(frozen=True)
class Scores:
    """How odd each item is.

    Attributes:
        score: (N,) larger is odder; without a unit.
        p_value: (N,) share of held-out items at least as odd.
        flag: (N,) whether it is called odd.
        statistics: What the score is made of, by name: `statistics["−ELBO"]` (N,).
        why: Of each item, the cells that are not as expected, the most surprising first; of items without columns, the
            statistics that are not as usual.
        yardstick: What they were held against.
        alpha: What p-values flag an item; None where a number of the oddest was asked for.
        trained: (N,) whether the model was trained on it, as far as the yardstick tells: its p-value does not hold.
        items: What was scored.
        names: (N,) names of the files that they come from, or None.
        unseen: Rows with categories that training never had, and those cells; such rows are odder than all others.
    """

    score: np.ndarray
    p_value: np.ndarray
    flag: np.ndarray
    statistics: Statistics
    why: Why
    yardstick: Yardstick
    alpha: float | None
    trained: np.ndarray
    items: Items
    names: Sequence[str] | None = None
    unseen: Mapping[int, list[Cell]] = field(default_factory=dict)

    @cached_property
    def again(self) -> bool:
        """Whether items that were trained on are among them: more than held-out ones have the like of themselves."""
        return bool(self.trained.mean() > 2 * self.yardstick.alike) if self.trained.any() else False

    def __repr__(self) -> str:
        by = ", the oddest" if self.alpha is None else f" at α = {self.alpha:g}"
        return f"Scores({len(self.score)} items, {int(self.flag.sum())} flagged{by})"


def scored(
    model: VAE,
    items: Items,
    yardstick: Yardstick,
    alpha: float = 0.01,
    budget: int | None = None,
    contamination: float = 0.0,
    names: Sequence[str] | None = None,
    unseen: Mapping[int, list[Cell]] | None = None,
) -> Scores:
    """Scores of items against what was held out.

    Args:
        model: In evaluation mode.
        items: Of the kind that it was trained on.
        yardstick: What they are held against.
        alpha: Flag items with p ≤ alpha: the share of ordinary items that are flagged wrongly.
        budget: Flag this many of the oddest in place of that.
        contamination: R, the share of the training data that is taken for odd.
        names: (N,) names of the files that they come from.
        unseen: Cells of categories that training never had, by row; in the items they are empty.

    Raises:
        UsageError: E103, the contamination is not in [0, 0.5), alpha not in [0, 1], or the budget is negative.
    """
    if not 0 <= alpha <= 1:
        raise UsageError("E103", f"alpha is {alpha:g}; a share of ordinary items, 0 to 1, is expected.")
    if budget is not None and budget < 0:
        raise UsageError("E103", f"budget is {budget}; a number of items, 0 or more, is expected.")
    if not 0 <= contamination < 0.5:
        message = f"contamination is {contamination:g}; a share of the training data below 0.5 is expected."
        raise UsageError("E103", message, hint="what is more common than the rest is not odd")
    yardstick = yardstick.trimmed(model, contamination)
    unseen = unseen or {}
    found, score, trained = yardstick.score(model, items)
    score = raised(score, yardstick.scores, unseen)
    p = p_values(score, yardstick.scores)
    flag, why = flags(score, p, alpha, budget), reasons(model, items, yardstick, found, unseen)
    if budget is None:
        flag[list(unseen)] = True  # however few were held out
    return Scores(
        score,
        p,
        flag,
        found,
        why,
        yardstick,
        alpha if budget is None else None,
        trained,
        items,
        names,
        unseen,
    )


def flags(score: np.ndarray, p: np.ndarray, alpha: float, budget: int | None) -> np.ndarray:
    """Which items are called odd, (N,) of bool."""
    if budget is None:
        return p <= alpha
    flag = np.zeros(len(score), dtype=bool)
    flag[oddest(score, budget)] = True
    return flag


def oddest(scores: np.ndarray, most: int) -> np.ndarray:
    """The places of the highest scores, the oddest first; the first of equals."""
    return np.argsort(-scores, kind="stable")[:most]


def reasons(
    model: VAE, items: Items, yardstick: Yardstick, found: Statistics, unseen: Mapping[int, list[Cell]]
) -> Why:
    """Why each item has the score that it has; categories that training never had come first."""

    def of_cells(places: list[int]) -> list[list[Cell]]:
        known = cells(model, items.subset(torch.tensor(places)))
        return [(unseen.get(place, []) + each)[:SHOWN] for place, each in zip(places, known, strict=True)]

    if has_cells(items):
        return Why(len(items), of_cells)
    values = found.of(yardstick.names)
    return Why(
        len(items),
        lambda places: [unusual(yardstick.names, row, yardstick.one_class) for row in values[places]],
    )


def unusual(names: tuple[str, ...], row: np.ndarray, usual: OneClass) -> list[Cell]:
    """The statistics of an item that are farthest from usual; the surprise is that of a Gaussian, z² / 2."""
    z = (row - usual.centre) / usual.scale
    z = np.maximum(z, 0.0) if usual.parts is None else z
    order = np.argsort(-np.abs(z), kind="stable")[:SHOWN]
    each = [Cell(names[i], float(row[i]), float(usual.centre[i]), float(z[i] ** 2 / 2)) for i in order]
    return [cell for cell in each if cell.surprise > 0]


def doubts(kind: Kind, found: Scores, known: int = 0) -> list[str]:
    """What to know before these scores are believed, a sentence each.

    Args:
        kind: Of the items.
        found: Their scores.
        known: How many of them are known to have been trained on.
    """
    said, least = [], 1 / (len(found.yardstick.scores) + 1)
    if found.alpha is not None and least > found.alpha:
        said.append(
            f"so few were held out that no p-value is below {least:.2g}: --alpha {_upwards(least)} or --budget N"
        )
    said += _of_training(found, known) + _of_unseen(found)
    if len(found.score) >= FEW and (found.p_value <= max(0.05, least)).mean() > MOSTLY:
        said.append(
            f"nearly all of these {len(found.score)} items are unlike the training data: are they of the same source, "
            "in the same units and prepared alike? vaekit inspect says what the model knows"
        )
    labels = [c.name for c in kind.modelled if c.name.lower() in LABELS] if isinstance(kind, Table) else []
    if labels:
        said.append(
            f"the model learned the column {labels[0]!r} as a part of each item; if it says which items are odd, train "
            "again without it"
        )
    return said


def _of_training(found: Scores, known: int) -> list[str]:
    """How many were trained on, and what that means."""
    count, total = max(known, int(found.trained.sum()) if found.again else 0), len(found.trained)
    if not count:
        return []
    few = "its p-value does" if count == 1 else "their p-values do"
    return [
        f"{count} of these {total} {'was' if count == 1 else 'were'} trained on: {few} not hold, because a model "
        "explains too well what it saw; look at the others, or hold some out"
    ]


def _of_unseen(found: Scores) -> list[str]:
    """How many rows have categories that training never had."""
    if not found.unseen:
        return []
    count, first = len(found.unseen), next(iter(found.unseen.values()))[0]
    rows = "1 row has a category" if count == 1 else f"{count} rows have categories"
    return [
        f"{rows} never seen in training ({first.column} = {first.value}); no row is odder than such a one"
    ]


def _upwards(value: float) -> str:
    """A number of two digits that is not below the value.

    Example:
        >>> _upwards(1 / 151)
        '0.0067'
    """
    unit = 10.0 ** (math.floor(math.log10(value)) - 1)
    return f"{math.ceil(value / unit - 1e-9) * unit:.2g}"
