"""Where data of a kind have holes, and the same data with the holes filled: all else is left as it came."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vaekit.data import Images, Items, Parts, PartsSource, Source, Table, TableSource, Vectors, read
from vaekit.data.arrays import read_npy, read_npz
from vaekit.data.checks import listed
from vaekit.data.columns import Column, Dropped, Number
from vaekit.data.frames import frame_of
from vaekit.data.levels import as_array
from vaekit.data.parts import missing
from vaekit.data.quantiles import on_grid
from vaekit.data.tables import refuse_table
from vaekit.errors import DataError
from vaekit.uses.cells import filled


class Holes(ABC):
    """Data as they came, and where they have holes.

    Attributes:
        where: (N, …) true in the holes.
        notes: What is to know, a sentence each.
    """

    where: np.ndarray
    notes: list[str]

    @property
    def count(self) -> int:
        """How many holes there are."""
        return int(self.where.sum())

    @property
    def any_in_row(self) -> np.ndarray:
        """(N,) true where a row has a hole."""
        return np.asarray(self.where.reshape(len(self.where), -1).any(1))

    @property
    def all_in_row(self) -> np.ndarray:
        """(N,) true where a row is nothing but holes."""
        return np.asarray(self.where.reshape(len(self.where), -1).all(1))

    @abstractmethod
    def items(self) -> Items:
        """The data as the model takes them."""

    @abstractmethod
    def filled(self, rows: Tensor, values: Any, ends: bool = False) -> Any:
        """The data again, in the type that came, with values in the holes.

        Args:
            rows: (M,) the rows that have holes.
            values: (M, …) of these rows.
            ends: Whether they are ends of an interval; categories have none and stay empty.
        """


def holes_of(kind: Vectors | Images | Table | Parts, data: Any) -> Holes:
    """The holes in what people hand over: a path, a frame, an array, a masked array, a tensor, arrays by name.

    Raises:
        DataError: The data are not of this kind.
    """
    if isinstance(data, str | Path):
        data = _read(kind, Path(data))
    if isinstance(kind, Table):
        return _TableHoles(kind, data)
    if isinstance(kind, Parts):
        return _PartHoles(kind, data)
    return _ArrayHoles(kind, data)


def _read(kind: Vectors | Images | Table | Parts, path: Path) -> Any:
    """A file's content; arrays of pictures as they are, for NaN is no mistake here."""
    readers = {".npy": read_npy, ".npz": read_npz}
    reader = readers.get(path.suffix.lower()) if isinstance(kind, Images) and path.is_file() else None
    return reader(path) if reader else read(str(path), "*" if isinstance(kind, Parts) else None)


class _ArrayHoles(Holes):
    """Of an array of vectors or images, or of a frame of numbers; NaN is a hole."""

    def __init__(self, kind: Vectors | Images, data: Any) -> None:
        self.kind, self.notes = kind, []
        data = data.values if isinstance(data, Source) else data
        if isinstance(data, TableSource) and isinstance(kind, Images):
            refuse_table(kind, data)
        data = data.frame if isinstance(data, TableSource) else data
        frame = frame_of(data)
        self.given = data if frame is None else frame
        self.array = _numbers(data if frame is None else frame)
        self.where = np.isnan(self._rows(self.array))

    def _rows(self, array: np.ndarray) -> np.ndarray:
        """A view of the array in the model's own shape."""
        if isinstance(self.kind, Images):
            return self.kind.planes(array)
        return self.kind.as_rows(array)

    def items(self) -> Items:
        mask = torch.from_numpy(~self.where)
        values = (
            np.where(np.isnan(self.array), 0.0, self.array) if isinstance(self.kind, Images) else self.array
        )
        labels = torch.full((len(mask),), -1) if self.kind.conditional and self.kind.labels else None
        return Items(
            self.kind.store(values), self.kind, labels, mask if isinstance(self.kind, Images) else None
        )

    def filled(self, rows: Tensor, values: Any, ends: bool = False) -> Any:
        array = self.array.copy()
        view = self._rows(array)
        index = rows.numpy()
        if len(index):
            decoded = self._rows(
                np.ascontiguousarray(self.kind.decode(values), dtype=np.float64) * self._unit
            )
            here = self.where[index]
            part = view[index]
            part[here] = decoded[here]
            view[index] = part
        return self._as_came(array)

    @property
    def _unit(self) -> float:
        """Images whose levels came as floats in [0, 1] are given back so."""
        top = self.kind.top if isinstance(self.kind, Images) and self.kind.levels else 1
        seen = self.array[~np.isnan(self.array)]
        return 1 / top if top > 1 and seen.size and seen.max() <= 1 and _floats(self.given) else 1.0

    def _as_came(self, array: np.ndarray) -> Any:
        if hasattr(self.given, "iloc"):
            columns = {
                name: filled(self.given.iloc[:, i], array[:, i], self.where[:, i])
                for i, name in enumerate(self.given.columns)
            }
            return type(self.given)(columns, index=self.given.index)
        if isinstance(self.given, Tensor):
            return torch.where(
                torch.isnan(self.given), torch.from_numpy(array).to(self.given.dtype), self.given
            )
        came = (
            np.ma.getdata(self.given) if isinstance(self.given, np.ma.MaskedArray) else np.asarray(self.given)
        )
        if came.dtype.kind not in "buif":
            return array
        holes, made = np.isnan(self.array), came.copy()
        made[holes] = self._within(array[holes], came.dtype)
        return made

    def _within(self, array: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """Values in the range of a type, which would wrap around at its ends, and rounded if it is one of integers."""
        whole = np.rint(array) if dtype.kind in "bui" else array
        low, high = _range(dtype)
        if (whole < low).any() or (whole > high).any():
            note = f"what {dtype} cannot hold was brought to the ends of its range, {low:g} and {high:g}."
            self.notes += [] if note in self.notes else [note]
        return whole.clip(low, high)


class _TableHoles(Holes):
    """Of a table: its empty cells, in the columns that the model knows."""

    def __init__(self, kind: Table, data: Any) -> None:
        self.kind, self.notes = kind, []
        source: Any = data if isinstance(data, TableSource) else read(self._named(data))
        self.frame = source.frame
        self.index = getattr(frame_of(data), "index", None)
        with warnings.catch_warnings():  # nothing is left out here: what is given back has all columns
            warnings.filterwarnings("ignore", "columns that the model does not know")
            self.stored = kind.store(source)
        self.where = np.stack([self.frame[c.name].isna().to_numpy() for c in kind.modelled], 1)
        self._tell()

    def _named(self, data: Any) -> Any:
        return (
            data
            if frame_of(data) is not None or isinstance(data, Source)
            else self.kind.named(as_array(data))
        )

    def _tell(self) -> None:
        given = [name for name in self.kind.given if self.frame[name].isna().any()]
        left = [c.name for c in self.kind.columns if isinstance(c, Dropped) and c.name in self.frame]
        left = [name for name in left if self.frame[name].isna().any()]
        for names, why in ((given, "conditions the model"), (left, "is not modelled")):
            if names:
                self.notes.append(f"column {', '.join(names)} {why}: its holes stay.")
        known = {column.name for column in self.kind.columns}
        other = [name for name in self.frame if str(name) not in known]
        if other:
            stay = int(self.frame[other].isna().to_numpy().sum())
            told = f"columns the model does not know are given back as they are: {listed(other)}"
            self.notes.append(f"{told}; {stay} holes stay." if stay else f"{told}.")

    def items(self) -> Items:
        return Items(self.stored, self.kind)

    def filled(self, rows: Tensor, values: Any, ends: bool = False) -> Any:
        index, codes, changed = rows.numpy(), values.numpy(), {}
        for i, column in enumerate(self.kind.modelled):
            here = self.where[index, i]
            if not here.any() or (ends and not isinstance(column, Number)):
                continue
            whole = np.full(len(self.frame), np.nan)
            whole[index[here]] = self._stepped(column, codes[here, i])
            form = column.form if isinstance(column, Number) else ""
            changed[column.name] = filled(
                self.frame[column.name], column.cells(whole), ~np.isnan(whole), form
            )
        made = self.frame.assign(**changed)
        return made if self.index is None else made.set_axis(self.index, axis=0)

    @staticmethod
    def _stepped(column: Column, codes: np.ndarray) -> np.ndarray:
        """Numbers on the grid of their column and within the range of training; categories as they are."""
        if not isinstance(column, Number):
            return codes
        known = np.asarray([*column.special, *([column.low, column.high] if column.scored else [])])
        if not column.scored:
            return _nearest(known, codes)
        return on_grid(codes, column.grid).clip(known.min(), known.max())


class _PartHoles(Holes):
    """Of items of several parts: the parts that are not there."""

    def __init__(self, kind: Parts, data: Any) -> None:
        self.kind, self.notes = kind, []
        data = data.values if isinstance(data, PartsSource) else data
        if not isinstance(data, Mapping):
            hint = "an .npz with an array for each part, or a dict of them"
            raise DataError("E208", f"these are no parts, but {type(data).__name__}.", hint=hint)
        self.given = dict(data)
        self.stored = kind.store(self.given)
        there = [~missing(self.given[name]) if name in self.given else self._none() for name in kind.parts]
        self.where = ~np.stack(there, 1)  # (N, parts)

    def _none(self) -> np.ndarray:
        return np.zeros(len(self.stored), dtype=bool)

    def items(self) -> Items:
        return Items(self.stored, self.kind)

    def filled(self, rows: Tensor, values: Any, ends: bool = False) -> Any:
        made, index = {}, rows.numpy()
        decoded = self.kind.decode(values) if len(index) else {}
        for i, name in enumerate(self.kind.parts):
            here = self.where[index, i]
            if not here.any():
                made[name] = self.given[name]
            elif name not in self.given:
                made[name] = decoded[name]
            else:
                made[name] = np.array(self.given[name])
                made[name][index[here]] = np.asarray(decoded[name])[here]
        return made


def _numbers(data: Any) -> np.ndarray:
    """Numbers as float64 with NaN in the holes."""
    if isinstance(data, np.ma.MaskedArray):
        return np.ma.filled(data.astype(np.float64), np.nan)
    if hasattr(data, "iloc"):
        try:
            return np.ascontiguousarray(data.to_numpy(dtype=np.float64, na_value=np.nan))
        except (TypeError, ValueError):
            message = "a model of vectors needs numbers in every column."
            raise DataError("E215", message, hint="train on the table itself, with --kind table") from None
    array = as_array(data)
    if array.dtype.kind not in "buif":
        raise DataError(
            "E211", f"this array holds {array.dtype}, not real numbers.", hint="NaN stands for a hole"
        )
    return np.array(array, dtype=np.float64, order="C")


def _floats(data: Any) -> bool:
    return as_array(np.ma.getdata(data) if isinstance(data, np.ma.MaskedArray) else data).dtype.kind == "f"


def _range(dtype: np.dtype) -> tuple[float, float]:
    """The smallest and the largest value of a type that are float64 too: 2⁶³ − 1 is none, and 2⁶³ no int64."""
    if dtype.kind == "b":
        return 0.0, 1.0
    if dtype.kind == "f":
        return float(np.finfo(dtype).min), float(np.finfo(dtype).max)
    low, high = float(np.iinfo(dtype).min), float(np.iinfo(dtype).max)
    return low, high if int(high) <= np.iinfo(dtype).max else float(np.nextafter(high, 0))


def _nearest(known: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """The known value next to each code."""
    return known[np.abs(codes[:, None] - known).argmin(1)]
