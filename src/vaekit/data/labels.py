"""Labels: from whatever stands beside the data to (N,) class indices and the classes' names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vaekit.data.batch import Batch
from vaekit.data.checks import check_dtype
from vaekit.data.kind import Kind
from vaekit.errors import DataError

MOST_CLASSES = 1000  # more different labels than this are identifiers or measurements


def index_labels(values: Any, count: int, where: object = "") -> tuple[np.ndarray, tuple[str, ...]]:
    """Labels as class indices, the classes in sorted order.

    Whole numbers keep their order; -1 beside classes 0, 1, … means unknown, as in scikit-learn, and among words it is
    the empty one.

    Args:
        values: (N,) or (N, 1) numbers or words.
        count: N, how many there must be.
        where: What to call them in a message.

    Returns:
        (N,) int64 indices, -1 where unknown, and the classes' names.

    Raises:
        DataError: E214: another number of labels, several per row, measurements, or too many classes.

    Example:
        >>> index_labels(["cat", "dog", "cat"], 3)
        (array([0, 1, 0]), ('cat', 'dog'))
    """
    column = _column(np.asarray(values), count, where)
    if column.dtype.kind == "f":
        column = _whole(column, where)
    classes, index = np.unique(column, return_inverse=True)
    if len(classes) > MOST_CLASSES:
        message = f"there are {len(classes)} different labels; at most {MOST_CLASSES} can be classes."
        raise DataError("E214", message, where=where)
    if column.dtype.kind == "i" and len(classes) > 2 and classes[0] == -1:
        return index - 1, _names(classes[1:])
    if column.dtype.kind in "US" and len(classes) > 2 and not classes[0]:
        return index - 1, _names(classes[1:])
    return index, _names(classes)


def _column(values: np.ndarray, count: int, where: object) -> np.ndarray:
    if values.dtype.hasobject:  # words, as pandas keeps them
        values = values.astype(str)
    if values.dtype.kind not in "US":
        check_dtype(values.dtype, where)
    if values.shape not in ((count,), (count, 1), (1, count)):
        message = f"there are labels of shape {values.shape} for {count} items; one label per item is needed."
        raise DataError("E214", message, where=where)
    return values.reshape(count)


def _whole(values: np.ndarray, where: object) -> np.ndarray:
    if not np.array_equal(values, np.rint(values)):  # NaN is not equal to itself
        message = "the labels are measurements, not classes: some are no whole numbers."
        raise DataError("E214", message, where=where)
    return values.astype(np.int64)


def _names(classes: np.ndarray) -> tuple[str, ...]:
    return tuple(item.decode() if isinstance(item, bytes) else str(item) for item in classes.tolist())


def frequencies(index: np.ndarray | None, classes: int) -> tuple[float, ...]:
    """The share of each class among the known labels.

    Args:
        index: (N,) class indices, -1 where unknown.
        classes: How many classes there are.

    Example:
        >>> frequencies(np.array([0, 0, 1, -1, 0]), 2)
        (0.75, 0.25)
    """
    if index is None or not classes:
        return ()
    counts = np.bincount(index[index >= 0], minlength=classes)
    return tuple((counts / max(1, counts.sum())).tolist())


def same_classes(index: np.ndarray, names: Sequence[str], known: Sequence[str]) -> np.ndarray:
    """Class indices among `names` as indices among `known`, -1 for a class that is not known.

    Example:
        >>> same_classes(np.array([0, 1, -1]), ["dog", "fox"], ["cat", "dog"])
        array([ 1, -1, -1])
    """
    place = {name: number for number, name in enumerate(known)}
    table = np.array([place.get(name, -1) for name in names] + [-1])  # the last entry answers to index -1
    return table[index]


def labelled(kind: Kind, x: Tensor, labels: Tensor | None) -> Batch:
    """A batch of x with its labels, and the condition they make if the kind is a conditional one.

    Args:
        kind: The kind of data.
        x: (B, *shape).
        labels: (B,) class indices, -1 where unknown, or None.
    """
    conditional = getattr(kind, "conditional", False) and labels is not None and len(kind.labels) > 0
    return Batch(x, c=kind.condition(labels) if conditional and labels is not None else None, y=labels)


def as_tensor(index: np.ndarray | None) -> Tensor | None:
    """Class indices as (N,) int64, or None."""
    return None if index is None else torch.from_numpy(np.asarray(index, dtype=np.int64).copy())
