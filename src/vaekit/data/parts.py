"""Items of several parts, each of a kind of its own: a picture and its label, two views, a text and a number."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vaekit.data.batch import Batch
from vaekit.data.kind import Kind
from vaekit.data.levels import as_array
from vaekit.data.loaded import Source
from vaekit.distributions import Columns, Family, Noise
from vaekit.distributions.flattened import FlatFamily
from vaekit.errors import DataError
from vaekit.networks.parts import EachPart, SideBySideDecoder
from vaekit.recipes import configurable


@dataclass
class PartsSource:
    """Several arrays of the same rows, as they came.

    Attributes:
        values: Name → (N, …) array.
        labels, label_names: As in `Source`; parts have none.
        path: Where they came from; empty for objects in memory.
        notes: What the user should know, a sentence each.
    """

    values: dict[str, np.ndarray]
    labels: np.ndarray | None = None
    label_names: tuple[str, ...] = ()
    path: str = ""
    notes: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(next(iter(self.values.values())))

    def fingerprint(self) -> str:
        """SHA-256 of names and arrays: two sources that train alike have the same one."""
        digest = hashlib.sha256(b"parts")
        for name, values in sorted(self.values.items()):
            digest.update(f"{name} {Source(values).fingerprint()}".encode())
        return digest.hexdigest()

    def rows(self, start: int, stop: int) -> PartsSource:
        """Some consecutive rows, as a source of their own."""
        values = {name: part[start:stop] for name, part in self.values.items()}
        return PartsSource(values, path=self.path, notes=list(self.notes))


@configurable
class Parts(Kind):
    """Several kinds by name, flat and side by side in one row; a part may be missing from any item.

    In storage a row is float32 and a missing part is NaN; in the model's space a mask says what is there.

    Args:
        parts: Name → kind.

    Example:
        >>> from vaekit.data import Vectors
        >>> from vaekit.data.classes import Classes
        >>> kind = Parts({"point": Vectors(2), "class": Classes(3)})
        >>> batch = kind.encode(kind.store({"point": np.ones((2, 2))}))  # the class is missing
        >>> batch.x.shape, batch.mask[0].tolist()
        (torch.Size([2, 3]), [True, True, False])
    """

    name = "parts"
    labels = ()
    frequencies = ()

    def __init__(self, parts: Mapping[str, Kind]) -> None:
        self.parts = dict(parts)
        self.widths = [math.prod(kind.shape) for kind in self.parts.values()]
        self.shape = (sum(self.widths),)
        self._types: dict[str, torch.dtype] = {}

    def __repr__(self) -> str:
        return f"Parts({', '.join(f'{name}: {kind!r}' for name, kind in self.parts.items())})"

    @property
    def family(self) -> Columns:  # type: ignore[override]
        """The parts' own side by side; a new one at each call, for the network of a text's is the model's own."""
        families = [FlatFamily(kind.family, kind.shape) for kind in self.parts.values()]
        return Columns(list(self.parts), families, self.widths)

    def store(self, values: Any) -> Tensor:
        """Arrays by name as rows (N, P) of float32; parts that are not given are missing, and so is a row of NaN.

        Raises:
            DataError: E208 none or unknown names, E205 different numbers of rows, and those of each part.
        """
        given = {name: values[name] for name in values} if hasattr(values, "keys") else values
        if not isinstance(given, dict) or not given or set(given) - set(self.parts):
            found = sorted(given) if isinstance(given, dict) else type(values).__name__
            message = f"these are not the parts {', '.join(self.parts)}, but {found}."
            raise DataError("E208", message, hint="an .npz with an array for each part, or a dict of them")
        counts = {name: len(part) for name, part in given.items()}
        if len(set(counts.values())) > 1:
            raise DataError("E205", f"the parts have different numbers of rows: {counts}.")
        rows = next(iter(counts.values()))
        columns = []
        for (name, kind), width in zip(self.parts.items(), self.widths, strict=True):
            if name not in given:
                columns.append(torch.full((rows, width), torch.nan))
                continue
            columns.append(_stored(kind, given[name], width))
        return torch.cat(columns, 1)

    def encode(self, raw: Tensor, labels: Tensor | None = None, noise: Noise | None = None) -> Batch:
        batches = [self._encoded(name, part, noise) for name, part in self._split(raw).items()]
        mask = torch.cat([batch.mask for batch in batches if batch.mask is not None], 1)
        return Batch(torch.cat([batch.x for batch in batches], 1), mask=None if bool(mask.all()) else mask)

    def _encoded(self, name: str, raw: Tensor, noise: Noise | None) -> Batch:
        """One part's values (B, W) in the model's space, and where it is there."""
        kind, there = self.parts[name], ~raw.isnan().all(1)  # (B,)
        rows = raw.nan_to_num().unflatten(1, kind.shape)
        stored = rows if self._type(name) == torch.float32 else rows.to(self._type(name))
        batch = kind.encode(stored, None, noise)
        x = batch.x.flatten(1).float()
        mask = torch.ones_like(x, dtype=torch.bool) if batch.mask is None else batch.mask.flatten(1).bool()
        return Batch(x, mask=mask & there.unsqueeze(1))

    def _type(self, name: str) -> torch.dtype:
        """The storage type of a part."""
        if name not in self._types:
            kind = self.parts[name]
            self._types[name] = kind.store(kind.decode(torch.zeros(1, *kind.shape))).dtype
        return self._types[name]

    def decode(self, x: Tensor, c: Tensor | None = None) -> dict[str, Any]:
        """Each part as its own kind gives it, by name."""
        return {
            name: self.parts[name].decode(part.unflatten(1, self.parts[name].shape))
            for name, part in self._split(x).items()
        }

    def _split(self, x: Tensor) -> dict[str, Tensor]:
        return dict(zip(self.parts, x.split(self.widths, 1), strict=True))

    @property
    def shown(self) -> str:
        """The part that is looked at: the first picture, or else the first."""
        return next(
            (name for name, kind in self.parts.items() if hasattr(kind, "picture")), next(iter(self.parts))
        )

    def place(self, name: str) -> slice:
        """Where a part stands in a row."""
        start = sum(self.widths[: list(self.parts).index(name)])
        return slice(start, start + self.widths[list(self.parts).index(name)])

    def encoder(self, outputs: int, condition: int = 0) -> nn.Module:
        """What is there of each part, and `outputs` features of each."""
        kinds = list(self.parts.values())
        return EachPart([k.shape for k in kinds], [k.encoder(outputs, condition) for k in kinds])

    def decoder(self, inputs: int, family: Family | None = None, condition: int = 0) -> nn.Module:
        own = list((family or self.family).families)  # type: ignore[union-attr]
        nets = [
            kind.decoder(inputs, flat.family, condition)
            for kind, flat in zip(self.parts.values(), own, strict=True)
        ]
        return SideBySideDecoder(nets)

    def log_volume(self, batch: Batch, family: Family | None = None) -> float | Tensor:
        own = list((family or self.family).families)  # type: ignore[union-attr]
        masks = [None] * len(self.parts) if batch.mask is None else self._split(batch.mask).values()
        total: float | Tensor = 0.0
        for (name, part), mask, flat in zip(self._split(batch.x).items(), masks, own, strict=True):
            kind = self.parts[name]
            seen = None if mask is None else mask.unflatten(1, kind.shape)
            total = total + kind.log_volume(Batch(part.unflatten(1, kind.shape), mask=seen), flat)
        return total

    @property
    def dims(self) -> int:
        return sum(kind.dims for kind in self.parts.values())


def _stored(kind: Kind, values: Any, width: int) -> Tensor:
    """One part's rows in storage, (N, W) float32, all NaN where it is missing."""
    there = np.flatnonzero(~missing(values))
    if len(there) == len(values):
        return kind.store(values).flatten(1).float()
    rows = torch.full((len(values), width), torch.nan)
    if len(there):
        rows[torch.from_numpy(there)] = kind.store(as_array(values)[there]).flatten(1).float()
    return rows


def missing(values: Any) -> np.ndarray:
    """Which items of an array are not there: those whose every number is NaN, (N,)."""
    array = as_array(values)
    if array.dtype.kind != "f" or not array.size:
        return np.zeros(len(values), dtype=bool)
    return np.isnan(array).reshape(len(array), -1).all(1)
