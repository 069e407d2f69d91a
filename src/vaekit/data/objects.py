"""Objects in memory: arrays, tensors, frames, torch datasets, lists of arrays or of image files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vaekit.data.checks import check_dtype, check_room
from vaekit.data.frames import frame_of, from_frame
from vaekit.data.labels import index_labels
from vaekit.data.levels import as_array
from vaekit.data.loaded import Source, TableSource, TextSource
from vaekit.data.matrices import SparseSource, from_sparse
from vaekit.data.parts import PartsSource
from vaekit.data.pictures import SUFFIXES, read_files
from vaekit.errors import DataError


def read_object(
    source: Any, image_size: int | None = None
) -> Source | SparseSource | TableSource | TextSource | PartsSource:
    """Values from an object in memory.

    Args:
        source: An array, a tensor, a frame of pandas, polars or pyarrow, a sparse matrix of SciPy, a torch
            Dataset of items or (item, label) pairs, a list of arrays, of image files or of lines of text, or a dict of
            arrays, which are parts.
        image_size: As in `read_files`; for image files only.

    Raises:
        DataError: E211 it is none of these, E205 items of several shapes, E209 objects instead of numbers.

    Example:
        >>> read_object([[1.0, 2.0], [3.0, 4.0]]).values.shape
        (2, 2)
    """
    frame = frame_of(source)
    if frame is not None:
        return from_frame(frame)
    if hasattr(source, "tocsr"):
        return from_sparse(source)
    if getattr(source, "is_sparse", False):
        hint = "hand over .to_dense(), or a sparse matrix of SciPy"
        raise DataError("E211", "this is a sparse tensor of torch.", hint=hint)
    if hasattr(source, "__array__") or hasattr(source, "__array_interface__"):
        array = as_array(source)
        return TextSource(array.tolist()) if array.dtype.kind == "U" and array.ndim == 1 else Source(array)
    if isinstance(source, list | tuple):
        return _from_list(source, image_size)
    if isinstance(source, dict) and source and all(np.ndim(part) for part in source.values()):
        return PartsSource({str(name): as_array(part) for name, part in source.items()})
    if hasattr(source, "__getitem__") and hasattr(source, "__len__") and not isinstance(source, dict):
        return _from_dataset(source)
    hint = "hand over an array, a tensor, a frame, a torch Dataset, or the path of a folder or file"
    raise DataError("E211", f"data cannot be read from an object of type {type(source).__name__}.", hint=hint)


def _from_list(items: Sequence[Any], image_size: int | None) -> Source | TextSource:
    if not items:
        raise DataError("E202", "the list is empty.")
    if all(isinstance(item, str) and not item.lower().endswith(SUFFIXES) for item in items):
        return TextSource([str(item) for item in items])
    if all(isinstance(item, str | os.PathLike) for item in items):
        return read_files([Path(item) for item in items], [str(item) for item in items], "", image_size)
    return Source(_stacked([as_array(item) for item in items], len(items)))


def _from_dataset(dataset: Any) -> Source:
    """The items of a dataset that answers to len() and to [i], each asked for once."""
    if not len(dataset):
        raise DataError("E202", "the dataset is empty.")
    labels: list[Any] = []
    source = Source(_stacked((_item(dataset[i], labels) for i in range(len(dataset))), len(dataset)))
    if len(labels) == len(dataset):
        _add_labels(source, labels)
    return source


def _item(row: Any, labels: list[Any]) -> np.ndarray:
    """The values of one row; its label, if it has one, goes into the list."""
    if isinstance(row, dict):
        hint = "wrap it so that it answers with (values, label)"
        raise DataError("E211", f"the dataset's items are dicts with {sorted(row)}, not arrays.", hint=hint)
    if not isinstance(row, tuple | list):
        return as_array(row)
    if len(row) > 1:
        labels.append(as_array(row[1]))
    return as_array(row[0])


def _stacked(items: Any, count: int) -> np.ndarray:
    """Arrays of one shape stacked in memory reserved once."""
    values = np.empty(0)
    for i, item in enumerate(items):
        if i == 0:
            check_dtype(item.dtype)
            check_room((count, *item.shape), item.dtype)
            values = np.empty((count, *item.shape), item.dtype)
        if item.shape != values.shape[1:]:
            message = f"item {i} has the shape {item.shape}, the ones before it {values.shape[1:]}."
            raise DataError("E205", message, hint="make them all the same first")
        if not np.can_cast(item.dtype, values.dtype):  # whole numbers first and fractions later
            check_dtype(item.dtype)
            values = values.astype(np.result_type(values, item))
        values[i] = item
    return values


def _add_labels(source: Source, labels: list[Any]) -> None:
    if any(label.size != 1 for label in labels):
        source.notes.append("the dataset's second entries are not one value each and are not used as labels.")
        return
    column = np.array([label.reshape(())[()] for label in labels])
    try:
        source.labels, source.label_names = index_labels(column, len(source.values))
    except DataError as error:
        source.notes.append(f"the dataset's second entries are not used as labels: {error.message}")
