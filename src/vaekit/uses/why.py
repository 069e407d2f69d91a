"""Why an item is odd: its cells that the rest of it does not lead one to expect, and what it does lead one to expect.

A cell is taken out and the model says what it expects there, so that a wild value is not measured against a
reconstruction that it has bent towards itself. An encoder that is told of holes sees a hole; any other sees the cell's
own expectation, put in again and again until it stays.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vaekit.data import Batch, Counts, Items, Table, Vectors
from vaekit.data.quantiles import backward, on_grid
from vaekit.distributions import MEAN
from vaekit.model import VAE
from vaekit.uses.features import deviance, walks

CHUNK = 256  # items at once
# cells that are told of; that are taken out, one by one; rounds of putting in again
SHOWN, TRIED, AGAIN = 3, 6, 5
NOTABLE = 3.0  # nats from which a surprise is one: of a Gaussian, 2.4 standard deviations off
NEVER = "never seen in training"


@dataclass(frozen=True)
class Cell:
    """One value of an item that is not as expected.

    Attributes:
        column: The column; of items without columns, the statistic.
        value: What was found there.
        expected: What was expected, given the rest.
        surprise: log p(expected) − log p(value), nats.
        new: Whether training never had that value.

    Example:
        >>> str(Cell("age", 214, 38.2, 90.0))
        'age = 214, expected 38.2'
    """

    column: str
    value: Any
    expected: Any
    surprise: float
    new: bool = False

    def __str__(self) -> str:
        value = f"{self.column} = {_said(self.value)}"
        return f"{value}, {NEVER}" if self.new else f"{value}, expected {_said(self.expected)}"


class Why(Sequence[list[Cell]]):
    """The most surprising cells of each item, the most surprising first; found when they are asked for.

    Args:
        count: How many items.
        found: Places of items, in order → the cells of each.
    """

    def __init__(self, count: int, found: Callable[[list[int]], list[list[Cell]]]) -> None:
        self.size, self.found = count, found
        self._known: dict[int, list[Cell]] = {}

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return self.of(range(*place.indices(self.size)))
        if not -self.size <= place < self.size:
            raise IndexError(f"there are {self.size} items, and no item {place}")
        return self.of([place % self.size])[0]

    def of(self, places: Sequence[int]) -> list[list[Cell]]:
        """The cells of several items at once, which is quicker."""
        new = [int(place) for place in dict.fromkeys(places) if place not in self._known]
        for start in range(0, len(new), CHUNK):
            part = new[start : start + CHUNK]
            self._known.update(zip(part, self.found(part), strict=True))
        return [self._known[int(place)] for place in places]


def notable(cells: Sequence[Cell], flagged: bool) -> list[Cell]:
    """The cells that are surprising; of an item that is flagged the first in any case.

    Example:
        >>> [cell.column for cell in notable([Cell("age", 90, 38, 4.0), Cell("pay", 1, 2, 0.1)], flagged=False)]
        ['age']
    """
    return [cell for i, cell in enumerate(cells) if cell.surprise > NOTABLE or (flagged and i == 0)]


def has_cells(items: Items) -> bool:
    """Whether items have columns, whose cells can be told of."""
    return isinstance(items.kind, Vectors | Table | Counts)


def cells(model: VAE, items: Items, shown: int = SHOWN) -> list[list[Cell]]:
    """The most surprising cells of every item; those of no surprise at all are left out.

    Args:
        model: In evaluation mode.
        items: With columns.
        shown: At most so many of each.
    """
    found: list[list[Cell]] = []
    for batch in items.batches(CHUNK):
        found += _of_batch(model, items, batch, shown)
    return found


@torch.no_grad()
def _of_batch(model: VAE, items: Items, batch: Batch, shown: int) -> list[list[Cell]]:
    kind, device = items.kind, next(model.parameters())
    batch = batch.to(device.device)
    batch.x = batch.x.to(device.dtype) if batch.x.is_floating_point() else batch.x
    out = model(batch.x, batch.c, batch.mask, noise=MEAN)
    if walks(out.px):
        return [[] for _ in range(len(batch))]
    names, groups = columns(kind)
    surprise = _grouped(deviance(out.px, out.x, out.mask)[1].square() / 2, groups)  # (B, G)
    tried = surprise.topk(min(TRIED, len(names)), 1).indices  # (B, K)
    observed = torch.ones_like(batch.x) if batch.mask is None else batch.mask
    values, found = _decoded(kind, batch.x, batch.c, observed), []
    for place in range(tried.shape[1]):
        hidden = groups[tried[:, place]]  # (B, P)
        expected, again = _expected(model, batch, hidden)
        cell = _grouped(again.square() / 2, groups).gather(1, tried[:, place : place + 1]).squeeze(1)
        found.append((_decoded(kind, expected, batch.c), cell.tolist()))
    rows = []
    for row, chosen in enumerate(tried.tolist()):
        each = [
            Cell(names[g], values(row, g), found[k][0](row, g), found[k][1][row])
            for k, g in enumerate(chosen)
        ]
        rows.append(sorted((c for c in each if c.surprise > 0), key=lambda c: -c.surprise)[:shown])
    return rows


def _expected(model: VAE, batch: Batch, hidden: Tensor) -> tuple[Tensor, Tensor]:
    """What is expected where cells are hidden, and the deviances of what stands there, (B, P) each."""
    seen = torch.ones_like(hidden) if batch.mask is None else batch.mask.bool()
    mask = seen & ~hidden
    told = getattr(model.encoder, "masked", False)
    x = torch.where(hidden, torch.zeros_like(batch.x), batch.x)
    for _ in range(1 if told else AGAIN):
        if told:
            out = model(x, batch.c, mask, noise=MEAN)
        else:
            out = model(x, batch.c, None if batch.mask is None else seen, noise=MEAN)
        expected, again = deviance(out.px, batch.x, seen)
        x = torch.where(hidden, expected.to(x.dtype), batch.x)
    return x, again


def columns(kind: Any) -> tuple[list[str], Tensor]:
    """The names of the columns, and which values of an item belong to each, (G, P) of bool."""
    if not isinstance(kind, Table):
        count = kind.shape[0]
        return [f"column {place}" for place in range(count)], torch.eye(count, dtype=torch.bool)
    owners = [column.name for part in (kind.scored, kind.holed, kind.headed) for column in part]
    names = list(dict.fromkeys(owners))
    return names, torch.tensor([[owner == name for owner in owners] for name in names])


def _grouped(each: Tensor, groups: Tensor) -> Tensor:
    """Sums over the values of each column, (B, P) → (B, G)."""
    return each @ groups.to(each).T


def _decoded(kind: Any, x: Tensor, c: Tensor | None, mask: Tensor | None = None) -> Callable[[int, int], Any]:
    """Row and place of the column → the value as users know it; with a mask of what was seen, as it was seen."""
    made = kind.decode(x, c)
    if not isinstance(kind, Table):
        return lambda row, column: made[row, column].item()
    table = {column.name: made[column.name] for column in kind.modelled}
    if mask is not None:
        for place, column in enumerate(kind.scored):
            table[column.name] = _as_seen(column, table[column.name], x[:, place], mask[:, place])
    names = columns(kind)[0]
    return lambda row, column: table[names[column]].iloc[row]


def _as_seen(column: Any, cells: Any, score: Tensor, counts: Tensor) -> Any:
    """A column's cells (N,), those beyond its range in training as they are: new rows are kept within it."""
    knots = np.asarray(column.knots), np.asarray(column.scores)
    values = backward(score.double().cpu().numpy(), *knots)
    codes = on_grid(values - column.low, column.grid) + column.low
    beyond = counts.bool().cpu().numpy() & ((codes < column.low) | (codes > column.high))
    return cells.where(~beyond, column.cells(codes).to_numpy()) if beyond.any() else cells


def _said(value: Any) -> str:
    """A value as people write it."""
    if (
        value is None
        or (isinstance(value, float | np.floating) and math.isnan(value))
        or str(value) in ("<NA>", "NaT")
    ):
        return "nothing"
    if isinstance(value, float | np.floating):
        return f"{value:.4g}"
    return str(value)
