"""Pixel values: integer levels 0 … L−1 or floats in [0, 1], and the one conversion between them."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vaekit.data.checks import chunks
from vaekit.errors import DataError

DEPTHS = (8, 10, 12, 14, 16)  # bits that cameras and scanners give
NOISIEST = 16  # times white: no noise that anyone would take away reaches so far
INEXACT = 0.01  # in units of a level: farther than this from every level is no rounding error of a float


def as_array(values: Any) -> np.ndarray:
    """What people hand over as a numpy array: an array, a tensor on any device, a picture, nested lists.

    Example:
        >>> as_array(torch.ones(2, dtype=torch.bfloat16)).dtype
        dtype('float32')
    """
    if isinstance(values, Tensor):
        tensor = values.detach().cpu()
        return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
    return np.asarray(values)


def storage(levels: int) -> np.dtype:
    """The smallest type that holds `levels` levels; float32 where there are none."""
    return np.dtype(np.float32 if levels == 0 else np.uint8 if levels <= 256 else np.uint16)


def to_storage(values: np.ndarray, levels: int, where: object = "") -> np.ndarray:
    """Pixels of any type as levels 0 … L−1, or as floats in [0, 1] where L is 0.

    Integers are levels as they are; floats in [0, 1] are spread over the levels, with a warning where they had to be
    rounded; other floats must be whole levels.

    Args:
        values: Pixels of any shape, finite.
        levels: L, 0 for continuous values.
        where: What to call them in a message.

    Returns:
        The same shape in the type `storage(levels)`.

    Raises:
        DataError: E203, values outside the range.

    Example:
        >>> to_storage(np.array([[0.0, 1.0]]), 256)
        array([[  0, 255]], dtype=uint8)
    """
    if levels == 0:
        return _to_unit(values, where)
    top = levels - 1
    if values.dtype.kind == "b":
        return values.astype(storage(levels)) * storage(levels).type(top)
    low, high = float(values.min()), float(values.max())
    if values.dtype.kind == "f" and low >= 0 and high <= 1:
        return _spread(values, top)
    if low < 0 or high > top or not whole(values):
        raise bad_scale(
            values, f"this kind of images needs whole numbers 0..{top} or floats in [0, 1]", where
        )
    return values.astype(storage(levels), copy=False)


def _to_unit(values: np.ndarray, where: object) -> np.ndarray:
    if values.dtype in (np.uint8, np.uint16):
        return values.astype(np.float32) / np.float32(np.iinfo(values.dtype).max)
    if values.min() < 0 or values.max() > 1:
        raise bad_scale(values, "this kind of images needs floats in [0, 1] or 8-bit levels", where)
    return values.astype(np.float32, copy=False)


def _spread(values: np.ndarray, top: int) -> np.ndarray:
    """Floats in [0, 1] to the nearest of top + 1 levels, saying so where they were not levels already."""
    stored = np.empty(values.shape, dtype=storage(top + 1))
    start, moved = 0, 0
    for part in chunks(values):
        moved += int((~near_levels(part, top)).sum())
        nearest = np.rint(part.astype(np.float64) * top)
        stored[start : start + len(part)] = nearest
        start += len(part)
    if moved:
        share = f"{100 * moved / values.size:.1f} % of the values"
        warnings.warn(f"{share} were between two of the {top + 1} levels and were rounded.", stacklevel=4)
    return stored


def noisy_white(values: np.ndarray, high: float) -> float:
    """The value that stands for white in pictures with noise on them: 1, 255, or the most of a camera's bits.

    Args:
        values: Pixels of any type.
        high: The largest of them; noise on floats in [0, 1] stays below 16, on 8-bit levels below 16 · 255.

    Example:
        >>> noisy_white(np.zeros(1), 1.4), noisy_white(np.zeros(1), 330.0), noisy_white(np.zeros(1, np.uint8), 9)
        (1.0, 255.0, 255.0)
    """
    if values.dtype.kind in "bu":
        return float(next((2**bits - 1 for bits in DEPTHS if high < 2**bits), 65535))
    return next((white for white in (1.0, 255.0) if high <= NOISIEST * white), 65535.0)


def near_levels(values: np.ndarray, top: int) -> np.ndarray:
    """Where floats in [0, 1] are multiples of 1/top, to within the precision of their type.

    Example:
        >>> near_levels(np.array([0.2, 0.5]), 255).tolist()
        [True, False]
    """
    exact = values.astype(np.float64) * top
    return np.abs(exact - np.rint(exact)) < INEXACT + top * np.finfo(values.dtype).eps


def whole(values: np.ndarray) -> bool:
    """Whether every value is a whole number."""
    return values.dtype.kind in "bui" or all(bool((np.rint(part) == part).all()) for part in chunks(values))


def bad_scale(values: np.ndarray, needed: str, where: object = "", hint: str = "") -> DataError:
    """E203 with what the values look like.

    Example:
        >>> bad_scale(np.array([[0.0, 255.0]]), "bits are needed").message
        'values look like 0..255 (min 0, max 255, whole numbers) but bits are needed.'
    """
    low, high = float(values.min()), float(values.max())
    kind = "whole numbers" if whole(values) else "fractions"
    known = ((0, 1), (-1, 1), (0, 255), (0, 65535))
    looks = next((f"{a}..{b}" for a, b in known if a <= low and high <= b), f"{low:.4g}..{high:.4g}")
    message = f"values look like {looks} (min {low:.4g}, max {high:.4g}, {kind}) but {needed}."
    return DataError(
        "E203", message, where=where, hint=hint or "scale them the way the training data were scaled"
    )
