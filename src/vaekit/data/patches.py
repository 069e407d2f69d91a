"""Large pictures cut into squares: a model of squares needs less data, and denoises pictures of any size by tiles."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from vaekit.data.levels import as_array
from vaekit.data.loaded import Source
from vaekit.errors import DataError, UsageError


def patches(pictures: Any, side: int) -> np.ndarray:
    """Pictures cut into squares.

    Args:
        pictures: (N, H, W) or (N, H, W, C).
        side: Of a square, at most H and W; what is left at the far edges of a picture is left out.

    Returns:
        (M, side, side) or (M, side, side, C), a picture's squares after one another.

    Raises:
        DataError: E212 the pictures are smaller.

    Example:
        >>> patches(np.zeros((2, 20, 16, 3)), 8).shape
        (8, 8, 8, 3)
    """
    values = as_array(pictures)
    height, width = values.shape[1:3]
    if min(height, width) < side:
        message = f"pictures of {height}x{width} have no squares of {side}x{side}."
        raise DataError("E212", message, hint=f"--patch {min(height, width)}")
    down, across = height // side, width // side
    whole = values[:, : down * side, : across * side]
    split = whole.reshape(len(whole), down, side, across, side, *values.shape[3:])
    return np.moveaxis(split, 3, 2).reshape(-1, side, side, *values.shape[3:])


def cut(source: Any, side: int) -> Source:
    """A source of pictures as one of their squares; labels go with them.

    Raises:
        UsageError: E103 these are no pictures.
        DataError: E212 they are smaller.
    """
    if not isinstance(source, Source) or source.values.ndim not in (3, 4):
        raise UsageError("E103", f"--patch {side} cuts pictures, and these are none.")
    values = source.values
    if values.ndim == 4 and values.shape[1] <= 4 < values.shape[3]:
        values = np.moveaxis(values, 1, -1)
    made = patches(values, side)
    times = len(made) // len(values)
    note = f"pictures are cut into {times} squares of {side}x{side} each."
    return replace(
        source,
        values=made,
        labels=None if source.labels is None else np.repeat(source.labels, times),
        names=None if source.names is None else [name for name in source.names for _ in range(times)],
        notes=[*source.notes, note],
    )
