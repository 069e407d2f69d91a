"""What points can be coloured by: numbers and categories of their items, each as an array beside its name."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from vaekit.data import Counts, Images, Items, Kind, Parts, Sequences, Table, Vectors
from vaekit.data.columns import Category, Number
from vaekit.explorer.arrays import Arrays
from vaekit.explorer.reading import gone

COLUMNS = 64  # at most
NAME = 200  # characters that are kept of a name


def item_columns(kind: Kind, items: Items, arrays: Arrays) -> list[dict[str, Any]]:
    """What of the items themselves points can be coloured by."""
    if isinstance(kind, Table):
        return _table_columns(kind, items, arrays)
    if isinstance(kind, Sequences):
        raw: Any = items.raw
        return [number_column("length", (raw != 0).sum(1), arrays)]
    if isinstance(kind, Vectors | Counts):
        return _number_columns(kind, items, arrays)
    if isinstance(kind, Images):
        raw = items.raw
        return [number_column("brightness", (raw.float() / kind.top).flatten(1).mean(1), arrays)]
    return _part_columns(kind, items, arrays) if isinstance(kind, Parts) else []


def _table_columns(kind: Table, items: Items, arrays: Arrays) -> list[dict[str, Any]]:
    """Numbers as they are, dates as years, categories by name; what was not there as NaN and −1."""
    parts: dict[str, list[np.ndarray]] = {}
    for batch in items.batches(4096):
        x = batch.with_holes
        for column, codes in kind.restored(x.nan_to_num(), batch.c):
            parts.setdefault(column.name, []).append(np.where(gone(kind, column, x), np.nan, codes))
    found: list[dict[str, Any]] = []
    for column in kind.shown[:COLUMNS]:
        codes = np.concatenate(parts[column.name]).astype(np.float64)
        if isinstance(column, Number):
            dated = column.unit and column.word == "date"
            found.append(number_column(column.name, _years(column.cells(codes)) if dated else codes, arrays))
        elif isinstance(column, Category):
            names = [short(value) for value in (*column.values, *column.rare)]
            found.append(category_column(column.name, names, np.where(np.isnan(codes), -1, codes), arrays))
    return found


def _years(series: Any) -> np.ndarray:
    """Dates as years with a fraction."""
    return (series.dt.year + (series.dt.day_of_year - 1) / 365.25).to_numpy(dtype=np.float64, na_value=np.nan)


def _number_columns(kind: Vectors | Counts, items: Items, arrays: Arrays) -> list[dict[str, Any]]:
    found, total = [], []
    for batch in items.batches(4096):
        raw = np.asarray(kind.decode(batch.x), dtype=np.float64)
        raw = np.where(batch.mask.numpy(), raw, np.nan) if batch.mask is not None else raw
        total.append(np.nansum(raw, 1))
        found.append(raw[:, :COLUMNS].astype(np.float32))
    values = np.concatenate(found)
    first = [number_column("total", np.concatenate(total), arrays)] if isinstance(kind, Counts) else []
    return first + [number_column(f"x{i}", values[:, i], arrays) for i in range(values.shape[1])]


def _part_columns(kind: Parts, items: Items, arrays: Arrays) -> list[dict[str, Any]]:
    """Parts that are one number or class each."""
    raw: Any = items.raw
    found: list[dict[str, Any]] = []
    for name, part in kind.parts.items():
        if math.prod(part.shape) != 1 or len(found) >= COLUMNS:
            continue
        values = raw[:, kind.place(name)].flatten().numpy()
        if part.name == "classes":
            count = int(np.nanmax(values, initial=0)) + 1
            codes = np.where(np.isnan(values), -1, np.nan_to_num(values))
            found.append(category_column(name, [str(i) for i in range(count)], codes, arrays))
        else:
            found.append(number_column(name, values, arrays))
    return found


def number_column(name: Any, values: Any, arrays: Arrays) -> dict[str, Any]:
    return {"name": short(name), "kind": "number", "values": arrays.add(values, "f4")}


def category_column(name: Any, names: Sequence[str], codes: Any, arrays: Arrays) -> dict[str, Any]:
    return {"name": short(name), "kind": "category", "names": list(names), "values": arrays.add(codes, "i4")}


def short(name: Any) -> str:
    """A name of at most 200 characters."""
    text = str(name)
    return text if len(text) <= NAME else text[: NAME - 1] + "…"
