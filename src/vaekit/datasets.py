"""Data that come with the packages vaekit needs anyway: nothing is downloaded."""

from __future__ import annotations

import numpy as np


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Handwritten digits, 8 × 8 pixels in 17 grey levels.

    Returns:
        (1797, 8, 8) uint8 images with values 0 … 16, and (1797,) int64 labels 0 … 9.

    Source: Alpaydin, Kaynak (1998), Optical recognition of handwritten digits, UCI; the copy in scikit-learn.

    Example:
        >>> images, labels = digits()
        >>> images.shape, images.dtype, int(images.max())
        ((1797, 8, 8), dtype('uint8'), 16)
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return bunch.images.astype(np.uint8), bunch.target.astype(np.int64)
