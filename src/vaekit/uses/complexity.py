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
    """Bytes that zlib needs for one 8-bit picture, as it is or as differences of neighbours, whichever are fewer.

    Args:
        picture: (C, H, W) uint8.
    """
    across, down = (
        np.diff(picture, axis=axis, prepend=np.uint8(0)) for axis in (2, 1)
    )  # modulo 256, as PNG's
    return min(len(zlib.compress(way.tobytes(), LEVEL)) for way in (picture, across, down))


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
