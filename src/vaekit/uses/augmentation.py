"""Augmentation: more items of the same labels, made from the ones there are.

Every new item comes from one item and has its label. Its code is moved a little (jitter), or towards that of another
item of the same label (mix), or drawn anew given the label (sample); see `vaekit.operations.augment`.

Source: Chadebec, Thibeau-Sutre, Burgos, Allassonnière (2023), Data augmentation in high dimensional low sample size
setting using a geometry-based variational autoencoder, arXiv:2105.00026.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from vaekit.data import (
    Images,
    Items,
    Kind,
    Parts,
    Sequences,
    Table,
    TableSource,
    Vectors,
    as_vectors,
)
from vaekit.data.checks import listed
from vaekit.data.labels import same_classes
from vaekit.distributions import RowNoise, content_keys
from vaekit.errors import DataError, UsageError, nearest
from vaekit.evaluation import codes
from vaekit.model import VAE
from vaekit.operations import decode
from vaekit.operations.augment import carried, jitter, mix, prior_codes

WAYS = ("mix", "jitter", "sample")
SPREAD = {"mix": 1.0, "jitter": 1.5, "sample": 1.0}
CHUNK = 1_024  # new items at once


class Augmented(NamedTuple):
    """Items and their labels, the given ones first; row j comes from item j mod N.

    Attributes:
        x: factor · N items, in the kind of the data.
        y: Their labels, whole numbers or words, (factor · N,); None where there are none.
    """

    x: Any
    y: np.ndarray | None


@dataclass(frozen=True)
class Choice:
    """How items are augmented.

    Args:
        factor: The result has so many times as many items, the given ones among them.
        way: mix, jitter or sample; None mixes where there are labels, and jitters where there are none.
        spread: How far: of a mix, the share of the line to the other item that is drawn from; of a jitter, in standard
            deviations of q(z | x). None leaves it to the way.
        detail: Whether a new item keeps what the decoder cannot draw of the old one; None where the kind has such
            detail: grey and colour images, and vectors of real numbers.
        seed: The same seed gives the same items.
    """

    factor: int = 5
    way: str | None = None
    spread: float | None = None
    detail: bool | None = None
    seed: int = 0


def augment(model: VAE, kind: Kind, source: Any, choice: Choice) -> Augmented:
    """Items of a source, followed by new ones of the same labels.

    Args:
        model: A trained model.
        kind: Its kind of data.
        source: What was read, with labels or without.
        choice: How.

    Raises:
        DataError: E108 items of several parts; E214 labels that are missing, unknown to a conditional model, or of one
            item alone; those of the kind where items are of another one.
        UsageError: E103 an impossible choice, E106 a way that this model does not have.
    """
    _refuse_impossible(model, kind, choice)
    given = Given.of(kind, source)
    way = choice.way or ("jitter" if given.classes is None else "mix")
    _refuse_way(model, kind, given, way)
    made = _made(model, kind, given, choice, way)
    rows = torch.arange(choice.factor * len(given.items)) % len(given.items)
    return Augmented(given.with_new(kind, made), None if given.names is None else given.names[rows.numpy()])


# ---------------------------------------------------------------------- what is given


@dataclass
class Given:
    """The items that are there.

    Attributes:
        items: In storage form, with the label of each where the model knows it.
        values: As they came.
        names: (N,) labels as users know them; None where there are none, and of a table, where they are a column.
        classes: (N,) which items may be mixed: those of equal numbers; −1 where the label is unknown. None without
            labels.
    """

    items: Items
    values: Any
    names: np.ndarray | None = None
    classes: np.ndarray | None = None

    @classmethod
    def of(cls, kind: Kind, source: Any) -> Given:
        """The items of a source, and their labels.

        Raises:
            DataError: They are of another kind, or a conditional model does not know their labels.
        """
        if isinstance(kind, Table):
            return cls._of_table(kind, source)
        source = as_vectors(source) if isinstance(source, TableSource) else source
        items = Items(kind.store(source.values), kind)
        if source.labels is None:
            _refuse_unlabelled(kind)
            return cls(items, source.values)
        known = same_classes(source.labels, source.label_names, kind.labels)
        items.labels = torch.from_numpy(known) if kind.labels else None
        _refuse_unknown(kind, source, known)
        return cls(items, source.values, _names(source.labels, source.label_names), source.labels)

    @classmethod
    def _of_table(cls, kind: Table, source: Any) -> Given:
        if not isinstance(source, TableSource):
            message = "a table is expected, with the columns of the one in training."
            raise DataError("E108", message, where=getattr(source, "path", ""), hint="a .csv, or a DataFrame")
        items = Items(kind.store(source), kind)
        frame = source.frame.reset_index(drop=True)
        items.labels = kind.index(source) if kind.label in source.frame else None
        return cls(items, frame, None, None if items.labels is None else items.labels.numpy())

    def with_new(self, kind: Kind, made: Tensor) -> Any:
        """The items as they came, and new ones (M, *shape) of the model's space in the same form."""
        copies = len(made) // max(1, len(self.items))
        if isinstance(kind, Table):
            return self._table_with_new(kind, made, copies)
        if isinstance(kind, Sequences):
            return [*self.values, *kind.decode(made)]
        raw: Any = self.items.raw
        if isinstance(kind, Images):
            return kind.decode(torch.cat([raw.float() / kind.top, made]))
        old = raw.double().numpy() if isinstance(kind, Vectors) else _dense(raw)
        return np.concatenate([old, kind.decode(made)])

    def _table_with_new(self, kind: Table, made: Tensor, copies: int) -> Any:
        """The label and the given columns are those of the row that a new one comes from."""
        import pandas as pd

        frame = kind.decode(made)
        old = self.values[list(frame.columns)]
        again = pd.concat([old] * copies, ignore_index=True) if copies else old.iloc[:0]
        for name in {*kind.given, kind.label} - {None}:
            frame[name] = again[name]
        return pd.concat([old, frame], ignore_index=True) if copies else old


def _dense(raw: Any) -> np.ndarray:
    """Counts in storage form as an array of whole numbers."""
    rows = raw if isinstance(raw, Tensor) else raw[torch.arange(len(raw))]
    return rows.to(torch.int64).numpy()


def _names(index: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    """Labels as whole numbers where all of them are such, else as words; −1 or the empty word where unknown."""
    whole = all(name.lstrip("-").isdecimal() for name in names)
    known = np.array([int(name) for name in names] + [-1]) if whole else np.array([*names, ""])
    return known[index]


# ---------------------------------------------------------------------- what is made


@torch.no_grad()
def _made(model: VAE, kind: Kind, given: Given, choice: Choice, way: str) -> Tensor:
    """New items in the model's space, (K·N, *shape): every item's first, then every item's second, and so on."""
    items, copies = given.items, choice.factor - 1
    if not copies:
        return torch.zeros(0, *kind.shape)
    found = codes(model, items)
    spread = SPREAD[way] if choice.spread is None else choice.spread
    members = _members(given.classes, len(items)) if way == "mix" else []
    parts = []
    for index in torch.arange(len(items)).split(max(1, CHUNK // copies)):
        batch = items.batch(index)
        keys = content_keys(batch.x)
        noise = RowNoise(choice.seed, f"augment: {way}", keys)
        c = None if batch.c is None else batch.c.repeat_interleave(copies, 0)
        like, start = model.encode(batch.x[:1], None if batch.c is None else batch.c[:1]), found.mean[index]
        if way == "sample":
            z = prior_codes(model, len(index) * copies, c, noise)
        elif way == "jitter":
            z = jitter(start, found.std[index], noise, copies, spread)
        else:
            z = mix(start, found.mean[_partners(members, index, copies, noise)], noise, spread)
        if way != "sample" and _detail(kind, choice.detail):
            x, start = (t.repeat_interleave(copies, 0) for t in (batch.x, start))
            mask = None if batch.mask is None else batch.mask.repeat_interleave(copies, 0)
            new = carried(model, x, start, z, like, c, mask)
        else:
            drawn = None if kind.shows_mean else RowNoise(choice.seed, "augment: x", keys)
            new = decode(model, z, c, drawn, len(z), like)
        parts.append(new.unflatten(0, (len(index), copies)))
    return torch.cat(parts).transpose(0, 1).flatten(0, 1)  # (N, K, *shape) → (K·N, *shape)


def _members(classes: np.ndarray | None, count: int) -> list[Tensor]:
    """For each item the places of the others of its label."""
    classes = np.zeros(count, dtype=np.int64) if classes is None else classes
    alike = {label: torch.from_numpy(np.flatnonzero(classes == label)) for label in np.unique(classes)}
    return [alike[label] for label in classes]


def _partners(members: list[Tensor], index: Tensor, copies: int, noise: RowNoise) -> Tensor:
    """Another item of the same label for each copy of the items at `index`, (B·K,) places."""
    share = noise.uniform((len(index) * copies, 1)).squeeze(1).view(len(index), copies)
    rows = []
    for i, place in enumerate(index.tolist()):
        others = members[place][members[place] != place]
        rows.append(others[(share[i] * len(others)).long()])
    return torch.cat(rows)


def _detail(kind: Kind, asked: bool | None) -> bool:
    return has_detail(kind) if asked is None else asked


def has_detail(kind: Kind) -> bool:
    """Whether an item's difference from its reconstruction can be added to another: real numbers, or many levels."""
    if isinstance(kind, Images):
        return kind.binarize == "none" and kind.levels != 2
    return isinstance(kind, Vectors) and not kind.family.discrete


# ---------------------------------------------------------------------- what cannot be


def _refuse_impossible(model: VAE, kind: Kind, choice: Choice) -> None:
    if choice.factor < 1:
        message = f"factor = {choice.factor}: a whole number from 1 on is expected; 5 gives four new items for each."
        raise UsageError("E103", message, hint="--factor 5")
    if choice.way is not None and choice.way not in WAYS:
        raise UsageError("E103", f"there is no way {choice.way!r}; {nearest(choice.way, WAYS)}")
    spread = choice.spread
    if spread is not None and not (math.isfinite(spread) and spread > 0):
        raise UsageError("E103", f"spread = {spread}: a number above 0 is expected.", hint="--spread 1")
    if choice.detail and not has_detail(kind):
        message = f"these {kind.name} have no detail that could be kept: they are not of many levels or real numbers."
        raise UsageError("E103", message, hint="leave --detail out")
    if isinstance(kind, Parts):
        raise DataError(
            "E108", "items of several parts are not augmented.", hint="a model of one of the parts"
        )


def _refuse_way(model: VAE, kind: Kind, given: Given, way: str) -> None:
    bottleneck = model.bottleneck
    if bottleneck.discrete and way != "sample":
        message = f"{way} moves codes, and those of this model are names in a codebook."
        raise UsageError("E106", message, hint="train with --preset vae, or conditional_vae")
    if way == "jitter" and not bottleneck.stochastic:
        message = "jitter draws from q(z | x), and this model gives each item a single code."
        raise UsageError("E106", message, hint="--way mix, or train with --preset vae")
    if way == "sample" and not kind.conditional:
        message = "this model does not sample given a label."
        raise UsageError(
            "E106", message, hint="train with --preset conditional_vae and --labels, or --way mix"
        )
    if way == "mix":
        _refuse_alone(given)


def _refuse_alone(given: Given) -> None:
    """Raises DataError E214 where an item has none to be mixed with."""
    if given.classes is None:
        if len(given.items) < 2:
            raise DataError("E207", "there is one item, and none to mix it with.", hint="--way jitter")
        return
    labels, counts = np.unique(given.classes, return_counts=True)
    if labels[0] == -1:
        message = f"{counts[0]} items have no label, and items are mixed with others of their label."
        raise DataError("E214", message, hint="--way jitter, or leave them out")
    if counts.min() < 2:
        label = labels[counts.argmin()]
        name = label if given.names is None else given.names[np.flatnonzero(given.classes == label)[0]]
        message = f"there is one item of label {str(name)!r}, and none to mix it with."
        raise DataError("E214", message, hint="--way jitter")


def _refuse_unlabelled(kind: Kind) -> None:
    if kind.conditional:
        message = f"this model is conditional on labels ({listed(kind.labels, 6)}), and the items have none."
        raise DataError("E214", message, hint="--labels KEY, or augment(x, y)")


def _refuse_unknown(kind: Kind, source: Any, known: np.ndarray) -> None:
    odd = source.labels[(known < 0) & (source.labels >= 0)]
    if kind.conditional and len(odd):
        name = source.label_names[odd[0]]
        message = f"there is no label {name!r} in this model; {nearest(name, kind.labels)}"
        raise DataError("E214", message, where=source.path, hint="labels of the training data")
