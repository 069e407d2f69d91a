"""Editing: one item changed along a dimension of its code or towards a label, and how much else that changed.

    dimension     z' = z + b · s_d e_d                 s_d the standard deviation of dimension d over data
    label         z' = z + b (μ_label − μ_own)         μ the mean codes of labels
    conditional   c' = c + b (c_label − c)             and z at the same place of the label's own prior
    detail        x' = x + f(z') − f(z)                f(z) = E[x | z]: what the decoder cannot draw stays

Of a table f(z) is a draw, with the same random numbers before and after: a cell changes only where the two draws
differ, a number by as much as their scores do. So a change of nothing changes nothing.

Source: White (2016), Sampling generative networks, arXiv:1609.04468 (vectors of attributes).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vaekit.data import Batch, Images, Items, Kind, Table
from vaekit.distributions import Noise, RowNoise
from vaekit.errors import FileError, UsageError, nearest
from vaekit.model import VAE
from vaekit.operations import decode, embed
from vaekit.operations.augment import carried
from vaekit.operations.edit import moved, transported
from vaekit.uses.augmentation import has_detail

SMALLEST = 1e-6  # of a standard deviation: a dimension that no item moves has none


@dataclass(frozen=True)
class Change:
    """What to change.

    Args:
        dim: A dimension of the code; or `toward`.
        toward: A label.
        by: How far. Of a dimension, in standard deviations over data, 2 by default; of a label, 1, the default, is all
            the way from the own label's mean to that one's.
        steps: Items on the way, the last being all the way.
        detail: Whether the item keeps what the decoder cannot draw; None where the kind has such detail, as tables do.
    """

    dim: int | None = None
    toward: str | None = None
    by: float | None = None
    steps: int = 1
    detail: bool | None = None

    @property
    def amount(self) -> float:
        """`by`, or its default."""
        return (2.0 if self.toward is None else 1.0) if self.by is None else self.by


@dataclass(frozen=True)
class Edited:
    """What was made.

    Attributes:
        x: (steps, …) the item on its way, the last being all the way, in the kind of the data.
        made: The original and these in the model's space, (1 + steps, *shape).
        asked, moved, others: As `vaekit.operations.edit.Moved` says, of the last.
    """

    x: Any
    made: Batch
    asked: float
    moved: float
    others: float


def edit(model: VAE, kind: Kind, item: Items, change: Change, known: Mapping[str, Any] | None) -> Edited:
    """One item, changed.

    Args:
        model: A trained model.
        kind: Its kind of data.
        item: The item, with its label where that is known.
        change: What to change.
        known: Where codes of data lie, as `places` says.

    Raises:
        UsageError: E103 no such dimension or label, or an impossible change; E106 a model that has no such directions.
        FileError: E305 it is not known where codes lie.
    """
    _refuse_impossible(model, kind, item, change)
    batch = item.batch(torch.tensor([0]))
    start, std, _ = embed(model, batch.x, batch.c, batch.mask)  # (1, D) each
    step, c = _whole_step(model, kind, batch, start, change, known)
    unit = std if known is None else torch.where(std > 0, std, torch.tensor(known["std"]))
    way = [_at(model, kind, batch, start, step, c, change, i / change.steps) for i in range(change.steps + 1)]
    before, after = (_encoded(model, kind, each) for each in (way[0], way[-1]))
    found = moved(before, after, step, unit.clamp(min=SMALLEST))
    shown = _joined([batch, *way[1:]])
    x = kind.decode(shown.x[1:], None if shown.c is None else shown.c[1:])
    return Edited(x, shown, *(float(value) for value in found))


# ---------------------------------------------------------------------- where to


def _whole_step(
    model: VAE, kind: Kind, batch: Batch, start: Tensor, change: Change, known: Mapping[str, Any] | None
) -> tuple[Tensor, Tensor | None]:
    """The whole change of code (1, D), and the condition (1, A) at its end."""
    if change.toward is None:
        return _along(start, change, known), batch.c
    if kind.conditional and batch.c is not None:
        c = _condition(kind, batch, change.toward)
        like = model.encode(batch.x, batch.c, batch.mask)
        there = transported(model, like, batch.c, c)
        return change.amount * (there - start), batch.c + change.amount * (c - batch.c)
    labels = _known(known)["labels"]
    if change.toward not in labels:
        message = f"no item of label {change.toward!r} was among those whose codes are known."
        raise UsageError("E103", message, hint="--from SOURCE, with items of that label")
    own = kind.labels[int(batch.y[0])] if batch.y is not None and int(batch.y[0]) >= 0 else ""
    begin = labels.get(own, _known(known)["mean"])
    return change.amount * (torch.tensor([labels[change.toward]]) - torch.tensor([begin])), batch.c


def _along(start: Tensor, change: Change, known: Mapping[str, Any] | None) -> Tensor:
    """The step along one dimension, (1, D)."""
    width, dim = start.shape[1], change.dim
    if dim is None or not 0 <= dim < width:
        message = f"there is no dimension {dim}: a code of this model has the dimensions 0 to {width - 1}."
        raise UsageError("E103", message, hint=f"--dim {width - 1}")
    step = torch.zeros_like(start)
    step[0, dim] = change.amount * _known(known)["std"][dim]
    return step


def _condition(kind: Kind, batch: Batch, label: str) -> Tensor:
    """The item's condition with another label, (1, A); a table's other given columns are the item's own."""
    if not isinstance(kind, Table):
        return kind.condition(torch.tensor([kind.labels.index(label)]))
    row = kind.decode(batch.x, batch.c).iloc[0]
    where = {name: str(row[name]) for name in kind.given} | {str(kind.label): label}
    found = kind.conditions(1, where, Noise(0, "edit"))
    return batch.c if found is None else found  # type: ignore[return-value]


def _known(known: Mapping[str, Any] | None) -> Mapping[str, Any]:
    if known is None:
        message = "this run was finished before it was kept where codes lie, so that no step has a length."
        raise FileError("E305", message, hint="--from SOURCE, what it was trained on")
    return known


# ---------------------------------------------------------------------- the way there, and back to codes


@torch.no_grad()
def _at(
    model: VAE,
    kind: Kind,
    batch: Batch,
    start: Tensor,
    step: Tensor,
    c: Tensor | None,
    change: Change,
    share: float,
) -> Batch:
    """The item after a share of the step."""
    z = start + share * step
    c = None if c is None or batch.c is None else batch.c + share * (c - batch.c)
    like = model.encode(batch.x, batch.c, batch.mask)
    if keeps_detail(kind) if change.detail is None else change.detail:
        if isinstance(kind, Table):
            ends = [Batch(_drawn(model, kind, *at, like), at[1]) for at in ((start, batch.c), (z, c))]
            return Batch(_cells_carried(kind, batch, *ends), c)
        x = carried(model, batch.x, start, z, like, batch.c, batch.mask, c)
        return Batch(x.clamp(0, 1) if isinstance(kind, Images) else x, c)
    return Batch(_drawn(model, kind, z, c, like), c)


def _drawn(model: VAE, kind: Kind, z: Tensor, c: Tensor | None, like: Any) -> Tensor:
    """What the decoder makes of a code (1, D); a draw of it, where the kind is drawn, has the same noise always."""
    noise = RowNoise(0, "edit", torch.zeros(1, dtype=torch.long)) if kind.decodes_draws else None
    return decode(model, z, c, noise, like=like)


def keeps_detail(kind: Kind) -> bool:
    """Whether what an edit leaves alone stays as it came: where an item has detail, and the cells of a table."""
    return has_detail(kind) or isinstance(kind, Table)


def _cells_carried(kind: Table, batch: Batch, before: Batch, after: Batch) -> Tensor:
    """A row's parts (1, P), moved as two draws differ; its cells stay where those of the draws are the same."""
    x, y, own = before.x, after.x, batch.x
    scores = torch.arange(x.shape[1]) < len(kind.scored)
    made = torch.where(scores, own + (y - x), torch.where(x == y, own, y))
    first, second = (kind.decode(each.x, each.c) for each in (before, after))
    for column in kind.modelled:
        if first[column.name].equals(second[column.name]):
            places = [place for place in kind.places(column) if place is not None]
            made[:, places] = own[:, places]
    # what is not there is drawn
    return made if batch.mask is None else torch.where(batch.mask.bool(), made, y)


def _encoded(model: VAE, kind: Kind, made: Batch) -> Tensor:
    """The code of what was made, as its user would hand it over again, (1, D)."""
    plain = has_detail(kind) or isinstance(kind, Images)
    raw = None if plain else kind.store(kind.decode(made.x, made.c))
    again = made if raw is None else Items(raw, kind).batch(torch.tensor([0]))
    return embed(model, again.x, made.c, again.mask)[0]


def _joined(batches: list[Batch]) -> Batch:
    given = [each.c for each in batches if each.c is not None]
    return Batch(torch.cat([each.x for each in batches]), torch.cat(given) if given else None)


# ---------------------------------------------------------------------- what cannot be


def _refuse_impossible(model: VAE, kind: Kind, item: Items, change: Change) -> None:
    if (change.dim is None) == (change.toward is None):
        said = (
            "nothing says what to change" if change.dim is None else "--dim and --toward exclude each other"
        )
        raise UsageError("E103", f"{said}.", hint="--dim 3 --by 2, or --toward LABEL")
    if not math.isfinite(change.amount) or change.steps < 1:
        message = f"by = {change.amount:g}, steps = {change.steps}: a finite number, and at least one step."
        raise UsageError("E103", message, hint="--by 2 --steps 1")
    if len(item) != 1:
        raise UsageError("E103", f"there are {len(item)} items and one is needed.", hint="SOURCE#0")
    if change.detail and not keeps_detail(kind):
        message = f"these {kind.name} have no detail that could be kept: they are not of many levels or real numbers."
        raise UsageError("E103", message, hint="leave --detail out")
    if model.bottleneck.discrete:
        message = "the codes of this model are names in a codebook, where no direction leads anywhere."
        raise UsageError("E106", message, hint="train with --preset vae, or beta_tc_vae")
    if change.toward is not None:
        _refuse_label(kind, item, change.toward)


def _refuse_label(kind: Kind, item: Items, label: str) -> None:
    if not kind.labels:
        message = "this model was trained without labels, so that none has a direction."
        raise UsageError("E103", message, hint="train with --labels, or a sub-folder for each label")
    if label not in kind.labels:
        raise UsageError("E103", f"there is no label {label!r}; {nearest(label, kind.labels)}")
    known = item.labels is not None and int(item.labels[0]) >= 0
    if kind.conditional and not known:
        message = "this model is conditional, and the label of this item is not known."
        raise UsageError("E103", message, hint="SOURCE#row of a source with labels")
