"""Data that come with the packages vaekit needs anyway, or are drawn on the fly: nothing is downloaded."""

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


def sprites(n: int = 10_000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Pictures of one square, ellipse or heart each, with the five factors they were drawn from.

    Args:
        n: How many, drawn independently and uniformly from the whole grid of factors.
        seed: Of the draw.

    Returns:
        (n, 64, 64) uint8 images with values 0 and 1, and (n, 5) int64 factors, see `Sprites`.

    Source: Matthey, Higgins, Hassabis, Lerchner (2017), dSprites: its grid of factors; the pictures are drawn anew.

    Example:
        >>> images, factors = sprites(4)
        >>> images.shape, factors.shape
        ((4, 64, 64), (4, 5))
    """
    return Sprites().sample(n, seed)


class Sprites:
    """A generator whose true factors are known: 737 280 pictures of 64 × 64 black and white pixels.

    Shape: square, ellipse, heart. Scale: 0.5 … 1 in 6 values. Orientation: 0 … 2π (excluded) in 40, counter-clockwise.
    x: from left to right, y: from top to bottom, 0 … 1 in 32 values, a pixel apart. No sprite leaves the picture.
    A square looks the same after 10 steps of orientation, an ellipse after 20; no other two pictures are equal.

    Attributes:
        factor_names: Of the five factors, in order.
        factor_sizes: How many values each has.

    Source: Matthey, Higgins, Hassabis, Lerchner (2017), dSprites: its grid of factors; the pictures are drawn anew.

    Example:
        >>> grid = Sprites()
        >>> int(grid.draw(np.array([[0, 5, 0, 0, 0]])).sum())  # the largest square: 19 × 19 pixels
        361
    """

    factor_names = ("shape", "scale", "orientation", "x", "y")
    factor_sizes = (3, 6, 40, 32, 32)

    def __init__(self) -> None:
        # a step of x or y is one pixel, so that a picture is a window on its sprite's centred stamp
        stamps = np.pad(_stamps(), ((0, 0), (0, 0), (0, 0), *[(_FIRST + 15, _FIRST + 15)] * 2))
        self._windows = np.lib.stride_tricks.sliding_window_view(stamps, (_SIDE, _SIDE), axis=(3, 4))

    def draw(self, factors: np.ndarray) -> np.ndarray:
        """The pictures of given factors.

        Args:
            factors: (N, 5) integers, each below its entry of `factor_sizes`.

        Returns:
            (N, 64, 64) uint8, 1 on the sprite and 0 beside it.

        Raises:
            ValueError: There is no such factor.
        """
        shape, scale, orientation, x, y = self._checked(factors).T
        return self._windows[shape, scale, orientation, 31 - y, 31 - x]

    def sample(self, n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """n pictures (n, 64, 64) and their factors (n, 5), drawn uniformly from the grid."""
        factors = np.random.default_rng(seed).integers(0, self.factor_sizes, (n, 5))
        return self.draw(factors), factors

    def values(self, factors: np.ndarray) -> np.ndarray:
        """What the factors mean, (N, 5) float64: shape 0, 1, 2; scale; orientation in radians; x; y."""
        orientation = 2 * np.pi * np.arange(40) / 40
        scales = (np.arange(3.0), _SCALES, orientation, np.linspace(0, 1, 32), np.linspace(0, 1, 32))
        return np.stack([scale[f] for scale, f in zip(scales, self._checked(factors).T, strict=True)], 1)

    def _checked(self, factors: np.ndarray) -> np.ndarray:
        factors = np.asarray(factors)
        if factors.ndim != 2 or factors.shape[1] != 5 or factors.dtype.kind not in "iu":
            raise ValueError(f"factors must be integers (N, 5), not {factors.dtype} {factors.shape}")
        if len(factors) and not ((factors >= 0) & (factors < self.factor_sizes)).all():
            raise ValueError(f"factors must be 0 or more and below {self.factor_sizes}")
        return factors


_SIDE, _FIRST = 64, 16  # pixels of a side; the pixel on which a sprite with x = 0 is centred
_SCALES = np.linspace(0.5, 1, 6)


def _stamps() -> np.ndarray:
    """Every sprite in the middle of 33 × 33 pixels, (3, 6, 40, 33, 33) of 0 and 1."""
    across = np.arange(-_FIRST, _FIRST + 1.0)
    angle = 2 * np.pi * np.arange(40)[:, None, None] / 40
    right, up = across, -across[:, None]
    u = np.cos(angle) * right + np.sin(angle) * up  # (40, 33, 33): in the sprite's own frame
    v = np.cos(angle) * up - np.sin(angle) * right
    u, v = (t / _SCALES[:, None, None, None] for t in (u, v))
    return np.stack([_square(u, v), _ellipse(u, v), _heart(u, v)]).astype(np.uint8)


def _square(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return np.maximum(abs(u), abs(v)) <= 9.5


def _ellipse(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return (u / 7) ** 2 + (v / 14) ** 2 <= 1


def _heart(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    u, v = u / 11, v / 11 + 0.1
    return (u**2 + v**2 - 1) ** 3 <= u**2 * v**3
