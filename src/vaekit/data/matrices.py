"""Sparse matrices in memory: SciPy's objects, and what every one of them must satisfy before it is used."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vaekit.data.checks import check_dtype, check_room, finite
from vaekit.data.loaded import label_bytes
from vaekit.data.sparse import SparseRows
from vaekit.errors import DataError

DENSE_ROWS = 1_024  # as many rows are made dense at once, by an evaluation
EXACT = 1 << 24  # whole numbers that float32 holds exactly
WRITE_AGAIN = "copy or write the file again"


@dataclass
class SparseSource:
    """A sparse matrix as it came, its entries in order.

    Attributes:
        values: The rows.
        labels: (N,) class index, -1 where unknown, or None.
        label_names: Names of the classes, in the order of their index.
        names: (N,) names of the rows, or None.
        path: Where it came from; empty for objects in memory.
        notes: What the user should know, a sentence each.

    Example:
        >>> from scipy.sparse import csr_array
        >>> from_sparse(csr_array([[0, 2], [0, 0]])).values
        SparseRows(2 x 2, 1 entries)
    """

    values: SparseRows
    labels: np.ndarray | None = None
    label_names: tuple[str, ...] = ()
    names: list[str] | None = None
    path: str = ""
    notes: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.values)

    def fingerprint(self) -> str:
        """SHA-256 of shape, entries and labels: two sources that train alike have the same one."""
        rows = self.values
        digest = hashlib.sha256(f"sparse {rows.data.dtype.str} {rows.shape}".encode())
        for part in (rows.indptr.astype("<i8"), rows.indices.astype("<i8"), rows.data):
            digest.update(np.ascontiguousarray(part).data)
        digest.update(label_bytes(self.labels, self.label_names))
        return digest.hexdigest()

    def rows(self, start: int, stop: int) -> SparseSource:
        """Some consecutive rows, as a source of their own."""
        labels = None if self.labels is None else self.labels[start:stop]
        names = None if self.names is None else self.names[start:stop]
        rows = self.values.subset(slice(start, stop))
        return SparseSource(rows, labels, self.label_names, names, self.path, list(self.notes))


def from_sparse(matrix: Any, where: object = "") -> SparseSource:
    """A SciPy sparse matrix or array of any format.

    Args:
        matrix: (N, D) object with `.tocsr()`; left as it is.
        where: The file it came from, if it came from one.

    Raises:
        DataError: E202 there is nothing in it, E204 its parts contradict each other, E206 not finite, E210 too wide,
            E211 no real numbers, E212 not two axes.
    """
    if len(matrix.shape) != 2:
        raise DataError(
            "E212", f"this sparse array has {len(matrix.shape)} axes; items stand in rows.", where=where
        )
    check_shape(matrix.shape, where)
    if getattr(matrix, "format", "csr") != "csr":
        check_dtype(matrix.dtype, where)
        try:
            matrix = matrix.tocsr()
        except (ValueError, IndexError) as error:
            raise damaged(where, error) from None
    rows = compressed(matrix.data, matrix.indices, matrix.indptr, matrix.shape, where)
    return SparseSource(rows, path=str(where))


def refuse_non_counts(rows: SparseRows, where: object = "") -> None:
    """Refuse entries that are no whole numbers from 0 on.

    Raises:
        DataError: E203, naming row and column of the first.
    """
    bad = np.flatnonzero((rows.data < 0) | (np.rint(rows.data) != rows.data))
    if len(bad):
        raise no_count(rows.data[bad[0]], rows.row(bad[0]), int(rows.indices[bad[0]]), len(bad), where)


def no_count(value: float, row: int, column: int, bad: int, where: object = "") -> DataError:
    """E203 for values that are no counts, naming the first.

    Example:
        >>> no_count(-1.0, 3, 7, 2).message
        'row 3, column 7 holds -1, the first of 2 values that are no whole numbers from 0 on.'
    """
    message = f"row {row}, column {column} holds {value:.6g}, the first of {bad} values"
    hint = "give the raw counts: neither logarithms nor shares of them"
    return DataError("E203", f"{message} that are no whole numbers from 0 on.", where=where, hint=hint)


def compact(data: np.ndarray) -> np.ndarray:
    """The same numbers in the smallest of uint8, uint16, int32, float32 and float64 that the rest can use as they are.

    Example:
        >>> compact(np.array([1.0, 300.0])).dtype, compact(np.array([0.5])).dtype
        (dtype('uint16'), dtype('float64'))
    """
    if len(data) and data.dtype.kind == "f" and (np.rint(data) != data).any():
        return data.astype(np.float32 if data.dtype.itemsize <= 4 else np.float64, copy=False)
    low, high = (float(data.min()), float(data.max())) if len(data) else (0.0, 0.0)
    small = next((t for t in (np.uint8, np.uint16) if low >= 0 and high <= np.iinfo(t).max), None)
    wide = np.int32 if max(-low, high) <= EXACT else np.float64
    return data.astype(wide if small is None else small, copy=False)


def compressed(
    data: np.ndarray, indices: np.ndarray, indptr: np.ndarray, shape: Sequence[int], where: object,
    turned: bool = False,
) -> SparseRows:  # fmt: skip
    """Rows in order from the three arrays of a compressed matrix, once nothing in these contradicts the rest."""
    from scipy.sparse import csr_array

    _check_parts(data, indices, indptr, shape, where)
    entries = int(indptr[-1])  # SciPy lets both arrays be longer than that
    data = finite(data[:entries].reshape(-1, 1), where).reshape(-1)
    kept: Any = (
        data.astype(_summable(data.dtype)),
        indices[:entries].astype(np.int64),
        indptr.astype(np.int64),
    )
    matrix = csr_array(kept, shape=tuple(shape))
    matrix = matrix.T.tocsr() if turned else matrix
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    return SparseRows(
        matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32), compact(matrix.data), matrix.shape[1]
    )


def _summable(dtype: np.dtype) -> type:
    """A type in which entries of the same place can be added."""
    if dtype.kind == "f":
        return np.float32 if dtype.itemsize == 4 else np.float64
    return np.float64 if dtype == np.uint64 else np.int64


def _check_parts(
    data: np.ndarray, indices: np.ndarray, indptr: np.ndarray, shape: Sequence[int], where: object
) -> None:
    """Hold the arrays of a compressed matrix against each other: a place outside of it is never followed."""
    check_shape(shape, where)
    check_dtype(data.dtype, where)
    height, width = shape
    wrong = ""
    if any(part.ndim != 1 for part in (data, indices, indptr)) or indices.dtype.kind + indptr.dtype.kind not in (
        "ii", "iu", "ui", "uu",
    ):  # fmt: skip
        wrong = "data, indices and indptr are one list each, the last two of whole numbers"
    elif len(indptr) != height + 1:
        wrong = f"indptr has {len(indptr):,} places, not one more than the {height:,} that the shape claims"
    elif indptr[0] != 0 or (indptr[1:] < indptr[:-1]).any():
        wrong = "indptr does not rise from 0 on"
    elif indptr[-1] > min(len(data), len(indices)):
        wrong = f"indptr ends at {indptr[-1]:,}, but there are {min(len(data), len(indices)):,} entries"
    elif len(used := indices[: int(indptr[-1])]) and (used.min() < 0 or used.max() >= width):
        wrong = f"indices reach from {used.min()} to {used.max()}, and the shape claims {width:,}"
    if wrong:
        raise DataError(
            "E204", f"the sparse matrix contradicts itself: {wrong}.", where=where, hint=WRITE_AGAIN
        )


def check_shape(shape: Sequence[int], where: object) -> None:
    """Refuse a shape that cannot be, has nothing in it, or has rows of which a batch would not fit into memory."""
    height, width = shape
    if min(height, width) < 0:
        raise DataError("E204", f"the sparse matrix claims the shape {tuple(shape)}.", where=where)
    if 0 in (height, width):
        raise DataError("E202", f"there is nothing in this matrix: its shape is {tuple(shape)}.", where=where)
    check_room((height + 1,), np.dtype(np.int64), where)
    check_room((DENSE_ROWS, width), np.dtype(np.float32), where)


def damaged(where: object, error: Exception) -> DataError:
    """E204 with the first words of what a parser said."""
    reason = str(error).split("\n")[0][:100] or type(error).__name__
    message = f"this sparse matrix is damaged or cut short ({reason})."
    return DataError("E204", message, where=where, hint=WRITE_AGAIN)
