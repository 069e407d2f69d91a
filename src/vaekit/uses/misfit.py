"""How badly a model explains each pixel of a picture, and what is told by that of the picture as a whole."""

from __future__ import annotations

import math

import numpy as np

from vaekit.data import Images, Kind

WIDTH = 28  # pixels of a picture whose oddities are looked for at the width of one pixel


def misfit(kind: Images, deviances: np.ndarray) -> np.ndarray:
    """|deviance| in the mean over colours, smoothed by a Gaussian as wide as a pixel of 28, (N, P) → (N, H, W).

    Args:
        kind: The pictures.
        deviances: (N, P), P = C · H · W or H · W.

    Raises:
        ValueError: There are not as many deviances as pixels.
    """
    from scipy.ndimage import gaussian_filter

    sigma = math.sqrt(kind.height * kind.width) / WIDTH
    return gaussian_filter(np.abs(_planes(kind, deviances)).mean(1), (0, sigma, sigma), mode="nearest")


def misfits(kind: Kind | None, deviances: np.ndarray) -> dict[str, np.ndarray]:
    """Statistics of the misfit of pictures; there are none of other kinds, nor where pixels depend on each other.

    Args:
        kind: The kind of the items.
        deviances: (N, P) of every pixel.

    Returns:
        `greatest misfit` (N,), of the place that fits worst: an odd spot on an ordinary picture; and `rough misfit`
        (N,), the mean step of the deviances from pixel to pixel: noise or texture that the model knows nothing of.
    """
    if not isinstance(kind, Images) or not deviances.shape[1]:
        return {}
    planes = _planes(kind, deviances)
    steps = [np.abs(np.diff(planes, axis=axis)).reshape(len(planes), -1) for axis in (2, 3)]
    every = np.concatenate(steps, axis=1)  # (N, pairs)
    rough = every.mean(1) if every.shape[1] else np.zeros(len(planes))
    return {"greatest misfit": misfit(kind, deviances).reshape(len(planes), -1).max(1), "rough misfit": rough}


def _planes(kind: Images, deviances: np.ndarray) -> np.ndarray:
    """(N, P) as (N, C, H, W), C being one where the colours have one deviance together."""
    plane = kind.height * kind.width
    if not deviances.shape[1] or deviances.shape[1] % plane:
        raise ValueError(f"{deviances.shape[1]} deviances are no multiple of {plane} pixels")
    return deviances.reshape(len(deviances), -1, kind.height, kind.width)
