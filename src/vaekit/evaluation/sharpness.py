"""How sharp sampled images are beside real ones: their power spectrum and their edges."""

from __future__ import annotations

from typing import Any

import numpy as np

FLOOR = 1e-10  # of the largest power: below it is rounding


def spectrum(images: Any) -> np.ndarray:
    """The logarithm of the power at each frequency, averaged over directions, images and channels.

        log mean |F(x)(k)|²  over all k whose length rounds to r,  r = 1 … min(H, W) / 2

    Args:
        images: (N, H, W), or (N, C, H, W).

    Returns:
        (R,) natural logarithms; entry r − 1 is of r periods across the shorter side. The mean of an image (r = 0) is
        left out. Power below 10⁻¹⁰ of the largest counts as that.

    Example:
        >>> stripes = np.cos(2 * np.pi * 3 * np.arange(16) / 16) * np.ones((1, 16, 1))
        >>> int(spectrum(stripes).argmax()) + 1
        3
    """
    planes = _planes(images)
    height, width = planes.shape[1:]
    power = (np.abs(np.fft.fft2(planes)) ** 2).mean(0) / (height * width)
    radius = np.rint(np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)) * min(height, width))
    sums = np.bincount(radius.astype(int).ravel(), power.ravel())
    mean = (sums / np.bincount(radius.astype(int).ravel()))[1 : min(height, width) // 2 + 1]
    return np.log(np.maximum(mean, max(FLOOR * mean.max(), np.finfo(float).tiny)))


def spectrum_distance(real: Any, samples: Any) -> float:
    """Root mean squared difference of two spectra over frequencies, in natural logarithms of power.

    Args:
        real, samples: (N, …) and (M, …) images of one size.

    Returns:
        0 for equal spectra; about 2.3 where power is wrong by a factor of ten everywhere.

    Source: spectra of generated images: Durall, Keuper, Keuper (2020), arXiv:2003.01826.
    """
    a, b = _planes(real), _planes(samples)
    if a.shape[1:] != b.shape[1:]:
        raise ValueError(f"images must be of one size, not {a.shape[1:]} and {b.shape[1:]}")
    return float(np.sqrt(np.mean((spectrum(a) - spectrum(b)) ** 2)))


def edge_ratio(real: Any, samples: Any) -> float:
    """Mean length of the gradient of samples over that of real images: below 1 they are blurred, above 1 noisy.

    Args:
        real, samples: (N, H, W) or (N, C, H, W).

    Raises:
        ValueError: The real images have no edge.

    Example:
        >>> steps = np.kron(np.eye(4), np.ones((4, 4)))[None]
        >>> round(edge_ratio(steps, 0.5 * steps), 3)
        0.5
    """
    sharp = _edges(real)
    if sharp == 0:
        raise ValueError("the real images are all of one colour; they have no edge to compare with")
    return _edges(samples) / sharp


def _edges(images: Any) -> float:
    planes = _planes(images)
    down, right = np.diff(planes, axis=1)[:, :, :-1], np.diff(planes, axis=2)[:, :-1]
    return float(np.hypot(down, right).mean())


def _planes(images: Any) -> np.ndarray:
    """Every channel of every image, (N · C, H, W) float64, two pixels or more a side."""
    planes = np.asarray(images, dtype=np.float64)
    planes = planes.reshape(-1, *planes.shape[2:]) if planes.ndim == 4 else planes
    if planes.ndim != 3 or min(planes.shape) < 1 or min(planes.shape[1:]) < 2:
        raise ValueError(
            f"images must be (N, H, W) or (N, C, H, W), two pixels or more a side, not {planes.shape}"
        )
    return planes
