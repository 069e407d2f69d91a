"""Layouts of pictures: planes of channels, as networks take them, or channels last, as files and people have them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vaekit.errors import DataError


def channels_first(array: np.ndarray, channels: int, fits: Callable[[int, int], bool]) -> np.ndarray | None:
    """Pictures in any layout as planes of channels, a view where it can be; None where they are others.

    Args:
        array: (N, H, W) for one channel, (N, H, W, C), (N, C, H, W), or one picture without N.
        channels: C.
        fits: Whether a height and a width are those of such pictures: which axes they are may be ambiguous.

    Returns:
        (N, C, H, W).

    Raises:
        DataError: E202, there is nothing in it.

    Example:
        >>> channels_first(np.zeros((5, 8, 8)), 1, lambda height, width: height == width).shape
        (5, 1, 8, 8)
    """
    shape = array.shape
    if 0 in shape:
        raise DataError("E202", f"there is nothing in this array: its shape is {shape}.")
    if channels == 1 and array.ndim in (2, 3) and fits(*shape[-2:]):
        return array.reshape(-1, 1, *shape[-2:])
    if array.ndim in (3, 4) and shape[-1] == channels and fits(*shape[-3:-1]):
        return np.moveaxis(array.reshape(-1, *shape[-3:]), -1, 1)
    if array.ndim in (3, 4) and shape[-3] == channels and fits(*shape[-2:]):
        return array.reshape(-1, *shape[-3:])
    return None


def channels_last(images: np.ndarray) -> np.ndarray:
    """(B, C, H, W) to (B, H, W, C), and (B, 1, H, W) to (B, H, W).

    Example:
        >>> channels_last(np.zeros((2, 3, 8, 8))).shape, channels_last(np.zeros((2, 1, 8, 8))).shape
        ((2, 8, 8, 3), (2, 8, 8))
    """
    return images[:, 0] if images.shape[1] == 1 else np.ascontiguousarray(np.moveaxis(images, 1, -1))
