"""Augmentation: more items of the same labels, made from the ones there are.

Every new item comes from one item and has its label. Its code is moved as two other items of the label differ
(transfer), or towards that of another (mix), or a little anyhow (jitter), or drawn anew given the label (sample); see
`vaekit.operations.augment`.

Source: Chadebec, Thibeau-Sutre, Burgos, Allassonnière (2023), Data augmentation in high dimensional low sample size
setting using a geometry-based variational autoencoder, arXiv:2105.00026.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from vaekit.data import (
    Batch,
    Images,
    Items,
    Kind,
    Parts,
    Sequences,
    Table,
    TableSource,
    Vectors,
    as_arrays,
)
from vaekit.data.arrays import LABEL_NAMES
from vaekit.data.checks import listed
from vaekit.data.labels import same_classes
from vaekit.distributions import RowNoise, content_keys
from vaekit.errors import DataError, UsageError, nearest
from vaekit.evaluation import codes
from vaekit.model import VAE
from vaekit.operations import decode
from vaekit.operations.augment import carried, jitter, mix, prior_codes, transfer

SPREAD = {
    "transfer": 0.5,
    "mix": 1.0,
    "jitter": 1.5,
    "sample": 1.0,
}  # each way, and how far it goes by default
PAIRED = ("transfer", "mix")
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
        way: transfer, mix, jitter or sample; None is transfer where there are labels, and jitter where there are none.
        spread: How far: of a transfer, the share of the two items' difference; of a mix, that of the line to the other
            item which is drawn from; of a jitter, in standard deviations of q(z | x). None leaves it to the way.
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
    old = Originals.of(kind, source)
    way = choice.way or ("jitter" if old.classes is None else "transfer")
    _refuse_way(model, kind, old, way)
    made = _made(model, kind, old, choice, way)
    rows = torch.arange(choice.factor * len(old.items)) % len(old.items)
    return Augmented(old.with_new(kind, made), None if old.names is None else old.names[rows.numpy()])


# ---------------------------------------------------------------------- what is given


@dataclass
class Originals:
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
    def of(cls, kind: Kind, source: Any) -> Originals:
        """The items of a source, and their labels.

        Raises:
            DataError: They are of another kind, or a conditional model does not know their labels.
        """
        if isinstance(kind, Table):
            return cls._of_table(kind, source)
        source = as_arrays(kind, source)
        items = Items(kind.store(source.values), kind)
        if source.labels is None:
            _refuse_unusable(kind, source)
            _refuse_unlabelled(kind)
            return cls(items, source.values)
        known = same_classes(source.labels, source.label_names, kind.labels)
        items.labels = torch.from_numpy(known) if kind.labels else None
        _refuse_unknown(kind, source, known)
        return cls(items, source.values, _names(source.labels, source.label_names), source.labels)

    @classmethod
    def _of_table(cls, kind: Table, source: Any) -> Originals:
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
def _made(model: VAE, kind: Kind, old: Originals, choice: Choice, way: str) -> Tensor:
    """New items in the model's space, (K·N, *shape): every item's first, then every item's second, and so on."""
    copies = choice.factor - 1
    if not copies:
        return torch.zeros(0, *kind.shape)
    found = codes(model, old.items)
    members = _members(old.classes, len(old.items)) if way in PAIRED else []
    spread = SPREAD[way] if choice.spread is None else choice.spread
    parts = []
    for index in torch.arange(len(old.items)).split(max(1, CHUNK // copies)):
        batch, start = old.items.batch(index), found.mean[index]
        noise = RowNoise(choice.seed, f"augment: {way}", content_keys(batch.x))
        if way == "sample":
            z = prior_codes(model, len(index) * copies, _again(batch.c, copies), noise)
        elif way == "jitter":
            z = jitter(start, found.std[index], noise, copies, spread)
        elif way == "mix":
            z = mix(start, found.mean[_partners(members, index, copies, noise)], noise, spread)
        else:
            ends, starts = _pairs(members, index, copies, noise)
            z = transfer(start, found.mean[ends], found.mean[starts], spread)
        detail = way != "sample" and (has_detail(kind) if choice.detail is None else choice.detail)
        new = _carried(model, batch, start, z) if detail else _drawn(model, kind, batch, z, choice.seed)
        parts.append(new.unflatten(0, (len(index), copies)))
    return torch.cat(parts).transpose(0, 1).flatten(0, 1)  # (N, K, *shape) → (K·N, *shape)


def _carried(model: VAE, batch: Batch, start: Tensor, z: Tensor) -> Tensor:
    """Items (B·K, *shape) that keep the detail of the old ones."""
    copies = len(z) // len(batch)
    x, start = (t.repeat_interleave(copies, 0) for t in (batch.x, start))
    c, mask = (_again(t, copies) for t in (batch.c, batch.mask))
    return carried(model, x, start, z, _like(model, batch), c, mask)


def _drawn(model: VAE, kind: Kind, batch: Batch, z: Tensor, seed: int) -> Tensor:
    """Items (B·K, *shape) from p(x | z); its centres where the kind is shown so."""
    c = _again(batch.c, len(z) // len(batch))
    noise = None if kind.shows_mean else RowNoise(seed, "augment: x", content_keys(batch.x))
    return decode(model, z, c, noise, len(z), _like(model, batch))


def _like(model: VAE, batch: Batch) -> Any:
    """A code in the form that the model gives."""
    return model.encode(batch.x[:1], None if batch.c is None else batch.c[:1])


def _again(t: Tensor | None, copies: int) -> Tensor | None:
    return None if t is None else t.repeat_interleave(copies, 0)


def _members(classes: np.ndarray | None, count: int) -> list[Tensor]:
    """For each item the places of the others of its label."""
    classes = np.zeros(count, dtype=np.int64) if classes is None else classes
    alike = {label: torch.from_numpy(np.flatnonzero(classes == label)) for label in np.unique(classes)}
    return [alike[label] for label in classes]


def _partners(members: list[Tensor], index: Tensor, copies: int, noise: RowNoise) -> Tensor:
    """Another item of the same label for each copy of the items at `index`, (B·K,) places."""
    own = index.repeat_interleave(copies)
    return _others(members, own, own, noise)


def _pairs(members: list[Tensor], index: Tensor, copies: int, noise: RowNoise) -> tuple[Tensor, Tensor]:
    """Two different items of the same label for each copy, (B·K,) places each; one of them may be the item itself."""
    own = index.repeat_interleave(copies)
    first = _others(members, own, torch.full_like(own, -1), noise)
    return first, _others(members, own, first, noise)


def _others(members: list[Tensor], own: Tensor, but: Tensor, noise: RowNoise) -> Tensor:
    """An item of the label of each at `own`, (M,) places, any but the one at `but`, with equal probabilities."""
    shares = noise.uniform((len(own), 1)).squeeze(1)
    rows = []
    for item, excluded, share in zip(own.tolist(), but.tolist(), shares.tolist(), strict=True):
        others = members[item][members[item] != excluded]
        rows.append(others[int(share * len(others))])
    return torch.stack(rows)


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
    if choice.way is not None and choice.way not in SPREAD:
        raise UsageError("E103", f"there is no way {choice.way!r}; {nearest(choice.way, SPREAD)}")
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


def _refuse_way(model: VAE, kind: Kind, old: Originals, way: str) -> None:
    bottleneck = model.bottleneck
    if bottleneck.discrete and way != "sample":
        message = f"{way} moves codes, and those of this model are names in a codebook."
        raise UsageError("E106", message, hint="train with --preset vae, or conditional_vae")
    if way == "jitter" and not bottleneck.stochastic:
        message = "jitter draws from q(z | x), and this model gives each item a single code."
        raise UsageError("E106", message, hint="--way transfer, or train with --preset vae")
    if way == "sample" and not kind.conditional:
        message = "this model does not sample given a label."
        raise UsageError(
            "E106", message, hint="train with --preset conditional_vae and --labels, or --way mix"
        )
    if way in PAIRED:
        _refuse_alone(old, way)


def _refuse_alone(old: Originals, way: str) -> None:
    """Raises DataError E214 where an item has none to be mixed with."""
    if old.classes is None:
        if len(old.items) < 2:
            raise DataError("E207", f"there is one item, and {way} needs two.", hint="--way jitter")
        return
    labels, counts = np.unique(old.classes, return_counts=True)
    if labels[0] == -1:
        message = f"{counts[0]} items have no label, and {way} needs others of their label."
        raise DataError("E214", message, hint="--way jitter, or leave them out")
    if counts.min() < 2:
        label = labels[counts.argmin()]
        name = label if old.names is None else old.names[np.flatnonzero(old.classes == label)[0]]
        message = f"there is one item of label {str(name)!r}, and {way} needs two."
        raise DataError("E214", message, hint="--way jitter")


def _refuse_unusable(kind: Kind, source: Any) -> None:
    """Raises DataError E214 where labels stand beside the items of a model that knows labels, and cannot be theirs."""
    if not kind.labels:
        return
    why = next((note for note in source.notes if " is not used as labels: " in note), "")
    path = Path(source.path)
    if not why and path.suffix.lower() == ".npz" and path.is_file():
        with np.load(path, allow_pickle=False) as arrays:
            sizes = {name: len(arrays[name]) for name in arrays.files if name.lower() in LABEL_NAMES}
        name, size = next(iter(sizes.items()), ("", 0))
        why = f"{name} has {size} entries and there are {len(source.values)} items." if name else ""
    if why:
        raise DataError("E214", why, where=source.path, hint="--labels NAME, an array with one for each item")


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
