"""The verdict on items: how odd each is, its p-value, whether it is flagged, and why."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from vaekit.data import Items, Kind, Table
from vaekit.errors import UsageError
from vaekit.model import VAE
from vaekit.operations import p_values
from vaekit.uses.one_class import OneClass
from vaekit.uses.statistics import Statistics
from vaekit.uses.why import Cell, Why, cells, has_cells
from vaekit.uses.yardstick import Yardstick

SHOWN = 3  # statistics that are told of where items have no cells
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
    """

    score: np.ndarray
    p_value: np.ndarray
    flag: np.ndarray
    statistics: Statistics
    why: Why
    yardstick: Yardstick
    alpha: float | None


def scored(
    model: VAE,
    items: Items,
    yardstick: Yardstick,
    alpha: float = 0.01,
    budget: int | None = None,
    contamination: float = 0.0,
) -> Scores:
    """Scores of items against what was held out.

    Args:
        model: In evaluation mode.
        items: Of the kind that it was trained on.
        yardstick: What they are held against.
        alpha: Flag items with p ≤ alpha: the share of ordinary items that are flagged wrongly.
        budget: Flag this many of the oddest in place of that.
        contamination: R, the share of the training data that is taken for odd.

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
    found, score = yardstick.score(model, items)
    p = p_values(score, yardstick.scores)
    flag, why = flags(score, p, alpha, budget), reasons(model, items, yardstick, found)
    return Scores(score, p, flag, found, why, yardstick, alpha if budget is None else None)


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


def reasons(model: VAE, items: Items, yardstick: Yardstick, found: Statistics) -> Why:
    """Why each item has the score that it has."""
    if has_cells(items):
        return Why(len(items), lambda places: cells(model, items.subset(torch.tensor(places))))
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


def doubts(kind: Kind, found: Scores) -> list[str]:
    """What to know before these scores of items of a kind are believed, a sentence each."""
    said, least = [], 1 / (len(found.yardstick.scores) + 1)
    if found.alpha is not None and least > found.alpha:
        said.append(
            f"so few were held out that no p-value is below {least:.2g}: --alpha {least:.2g} or --budget N"
        )
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
