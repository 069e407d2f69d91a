"""What every array must satisfy before it is used: plain finite numbers, one row per item, room for it in memory."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence

import numpy as np

from vaekit.errors import DataError

CHUNK_BYTES = 1 << 22  # statistics read so much at a time: a memory-mapped file never comes in whole
SHOWN = 3  # so many examples stand in a message


def enough(count: int, minimum: int, where: object, what: str = "rows") -> None:
    """Refuse too few rows.

    Raises:
        DataError: E207.
    """
    if count < minimum:
        message = f"there are {count} {what}; at least {minimum} are needed."
        raise DataError("E207", message, where=where)


def chunks(values: np.ndarray) -> Iterator[np.ndarray]:
    """Consecutive rows of an array (N, …), about `CHUNK_BYTES` at a time."""
    row_bytes = max(1, values[:1].nbytes)
    size = max(1, CHUNK_BYTES // row_bytes)
    for start in range(0, len(values), size):
        yield values[start : start + size]


def numbers(values: np.ndarray, where: object = "") -> np.ndarray:
    """The array in this machine's own number formats, if it holds plain numbers and has rows.

    Args:
        values: (N, …) array from outside.
        where: What to call it in a message.

    Raises:
        DataError: Objects, complex numbers, text or dates; no axis of rows; more than four axes; no rows.

    Example:
        >>> numbers(np.zeros((2, 3))).shape
        (2, 3)
    """
    check_dtype(values.dtype, where)
    if values.ndim < 2:
        hint = "reshape(-1, 1) makes one column of it, reshape(1, -1) one row"
        raise DataError(
            "E212", f"this array has {values.ndim} axes; items stand in rows.", where=where, hint=hint
        )
    if values.ndim > 4:
        hint = "bring it to (N, D), (N, H, W), (N, H, W, C) or (N, C, H, W)"
        raise DataError("E212", f"this array has {values.ndim} axes {values.shape}.", where=where, hint=hint)
    if 0 in values.shape:
        raise DataError("E202", f"there is nothing in this array: its shape is {values.shape}.", where=where)
    return _native(values)


def _native(values: np.ndarray) -> np.ndarray:
    """Without what torch cannot take: another machine's byte order, and floats of more than 64 bits."""
    dtype = np.dtype(np.float64) if values.dtype.kind == "f" and values.itemsize > 8 else values.dtype
    return values.astype(dtype.newbyteorder("="), copy=False)


def check_dtype(dtype: np.dtype, where: object = "") -> None:
    """Refuse what is not boolean, integer or floating.

    Raises:
        DataError: E209 for objects (reading them could run code), E211 for anything else.
    """
    if dtype.hasobject:
        hint = "make it numeric, for instance with np.asarray(values, dtype=np.float32), and save it again"
        raise DataError("E209", "this array holds Python objects, not numbers.", where=where, hint=hint)
    if dtype.kind not in "buif":
        hint = "give real numbers: for complex ones stack np.abs and np.angle; for text see --kind"
        raise DataError(
            "E211", f"this array holds {_spoken(dtype)}, not real numbers.", where=where, hint=hint
        )


def _spoken(dtype: np.dtype) -> str:
    words = {"c": "complex numbers", "U": "text", "S": "text", "T": "text", "M": "dates", "m": "time spans"}
    return "several named fields" if dtype.names else words.get(dtype.kind, f"values of type {dtype}")


def finite(
    values: np.ndarray, where: object = "", names: Sequence[str] | None = None, holes: bool = False
) -> np.ndarray:
    """The array, if every value is finite.

    Args:
        values: (N, …) numbers.
        where: What to call it in a message.
        names: (N,) what to call the rows.
        holes: Whether NaN may stand for a value that was not observed.

    Raises:
        DataError: E206, naming the first rows that are not.
    """
    bad = _rows_not_finite(values, holes) if values.dtype.kind == "f" else []
    if bad:
        rows = ", ".join(names[row] if names else str(row) for row in bad[:SHOWN])
        what = "infinity" if holes else "NaN or infinity"
        message = f"{len(bad)} of {len(values)} rows hold {what}, the first: {rows}."
        hint = "write NaN where nothing was observed" if holes else "leave those rows out, or fill the gaps"
        raise DataError("E206", message, where=where, hint=hint)
    return values


def _rows_not_finite(values: np.ndarray, holes: bool) -> list[int]:
    bad: list[int] = []
    start = 0
    for part in chunks(values):
        if not np.isfinite(part).all():
            wrong = np.isinf(part) if holes else ~np.isfinite(part)
            bad += (start + np.flatnonzero(wrong.reshape(len(part), -1).any(1))).tolist()
        start += len(part)
    return bad


def observed(values: np.ndarray) -> np.ndarray:
    """The values that are not NaN: the array itself where none is, else (M,) of them.

    Example:
        >>> observed(np.array([[1.0, np.nan]]))
        array([1.])
    """
    holes = np.isnan(values) if values.dtype.kind == "f" else np.zeros((), bool)
    return values[~holes] if holes.any() else values


def check_room(shape: Sequence[int], dtype: np.dtype, where: object = "") -> None:
    """Refuse an array that this machine could not hold, before a byte of it is reserved.

    Raises:
        DataError: E210 with the size asked for and the memory there is.
    """
    asked = math.prod(shape) * dtype.itemsize
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 1 << 36
    if asked > memory:
        message = f"{tuple(shape)} values of {dtype} need {_gigabytes(asked)}; this machine has {_gigabytes(memory)}."
        raise DataError(
            "E210", message, where=where, hint="use part of it, or smaller images with --image-size N"
        )


def _gigabytes(count: int) -> str:
    return f"{count / 2**30:,.1f} GiB"


def listed(words: Sequence[object], shown: int = SHOWN) -> str:
    """The first words, and how many more there are.

    Example:
        >>> listed(["a", "b", "c", "d", "e"])
        'a, b, c and 2 more'
    """
    text = ", ".join(str(word) for word in words[:shown])
    return text if len(words) <= shown else f"{text} and {len(words) - shown} more"
