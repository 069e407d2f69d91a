"""How complex a picture is, whatever a model thinks of it: simple pictures are cheap to every model, odd or not.

Source: Serrà, Álvarez, Gómez, Slizovskaia, Núñez, Luque (2020), Input complexity and out-of-distribution detection
with likelihood-based generative models, arXiv:1909.11480.
"""

from __future__ import annotations

import zlib

import numpy as np
from torch import Tensor

from vaekit.data import Images, Kind

LEVEL = 9  # of zlib: the smallest it can make it


def complexity(kind: Kind, raw: Tensor) -> dict[str, np.ndarray]:
    """Statistics of pictures that no model takes part in; there are none of other kinds.

    Args:
        kind: The kind of the items.
        raw: (N, C, H, W) in storage form.

    Returns:
        `compressed size` (N,) bytes, and `gradient energy` (N,) in shares of the range from black to white.

    Example:
        >>> import torch
        >>> found = complexity(Images(1, 8, 8), torch.zeros(2, 1, 8, 8, dtype=torch.uint8))
        >>> sorted(found), found["gradient energy"]
        (['compressed size', 'gradient energy'], array([0., 0.]))
    """
    if not isinstance(kind, Images):
        return {}
    unit = raw.numpy().astype(np.float64) / kind.top  # (N, C, H, W) in [0, 1]
    pictures = np.rint(unit.clip(0, 1) * 255).astype(np.uint8)
    return {
        "compressed size": np.array([compressed_size(picture) for picture in pictures], dtype=np.float64),
        "gradient energy": gradient_energy(unit),
    }


def compressed_size(picture: np.ndarray) -> int:
    """Bytes that zlib needs for one 8-bit picture, after whichever of PNG's predictions leaves the fewest.

    What is compressed is the picture, or the differences, modulo 256, from the pixel to the left, from the one above,
    or from Paeth's choice among its neighbours. Fewer bytes are nearer to the shortest description that is meant.

    Args:
        picture: (C, H, W) uint8.
    """
    left, above, corner = (_shifted(picture, down, right) for down, right in ((0, 1), (1, 0), (1, 1)))
    predictions = (np.uint8(0), left, above, paeth(left, above, corner))
    return min(len(zlib.compress((picture - guess).tobytes(), LEVEL)) for guess in predictions)


def paeth(left: np.ndarray, above: np.ndarray, corner: np.ndarray) -> np.ndarray:
    """Whichever neighbour is nearest to left + above − corner; the first of equals. Paeth (1991).

    Example:
        >>> one = np.array([10], dtype=np.uint8)
        >>> paeth(one, 3 * one, one)
        array([30], dtype=uint8)
    """
    neighbours = np.stack([left, above, corner])
    a, b, c = neighbours.astype(np.int16)
    nearest = np.abs(np.stack([a, b, c]) - (a + b - c)).argmin(0)
    return np.take_along_axis(neighbours, nearest[None], axis=0)[0]


def _shifted(picture: np.ndarray, down: int, right: int) -> np.ndarray:
    """The neighbour that lies so far up and to the left of each pixel; zero beyond the edge."""
    height, width = picture.shape[1:]
    return np.pad(picture, ((0, 0), (down, 0), (right, 0)))[:, :height, :width]


def gradient_energy(unit: np.ndarray) -> np.ndarray:
    """The mean absolute difference of pixels side by side and one above the other.

    Args:
        unit: (N, C, H, W) in [0, 1].

    Returns:
        (N,)
    """
    steps = [np.abs(np.diff(unit, axis=axis)).reshape(len(unit), -1) for axis in (2, 3)]
    every = np.concatenate(steps, axis=1)  # (N, pairs)
    return every.mean(1) if every.shape[1] else np.zeros(len(unit))
