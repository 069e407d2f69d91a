"""Convolutional encoder and decoder for images of any channels, height and width.

Each level halves the sides, rounding up: an odd side is padded by one row or column on the way down, and the same row
or column is cut off on the way up, so that every size comes back exactly.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from vaekit.networks.condition import FiLM
from vaekit.networks.mlp import DECODER_GAIN, keep_variance
from vaekit.recipes import configurable

SMALLEST = 4  # sides are halved while the larger one is above this


@configurable
class ConvEncoder(nn.Module):
    """Images to feature vectors.

    Args:
        shape: (C, H, W) of an image.
        outputs: Number of features.
        widths: Channels of each level; by default 32, 64, 128, 256, 256, … down to about 4 × 4.
        condition: Width A of a condition that modulates every level; 0 for none.

    Example:
        >>> import torch
        >>> ConvEncoder((3, 33, 20), 64)(torch.zeros(2, 3, 33, 20)).shape
        torch.Size([2, 64])
    """

    def __init__(
        self, shape: Sequence[int], outputs: int, widths: Sequence[int] | None = None, condition: int = 0
    ) -> None:
        super().__init__()
        self.shape, self.outputs, self.condition = tuple(shape), outputs, condition
        self.widths = default_widths(shape) if widths is None else tuple(widths)
        channels = [shape[0], *self.widths]
        self.levels = nn.ModuleList(
            nn.Conv2d(a, b, 4, stride=2, padding=1) for a, b in zip(channels, self.widths, strict=False)
        )
        self.films = nn.ModuleList(FiLM(width, condition) for width in self.widths)
        height, width = sides(shape, len(self.widths))[-1]
        self.last = nn.Linear(channels[-1] * height * width, outputs)
        self.activation = nn.SiLU()
        keep_variance(self.levels)
        keep_variance([self.last], 1.0)

    def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """(N, C, H, W) → (N, outputs)."""
        for level, film in zip(self.levels, self.films, strict=True):
            x = functional.pad(x, (0, x.shape[3] % 2, 0, x.shape[2] % 2))  # to even sides
            x = self.activation(film(level(x), c))  # (N, width, ⌈H/2⌉, ⌈W/2⌉)
        return self.last(x.flatten(1))


@configurable
class ConvDecoder(nn.Module):
    """Feature vectors to images, or to the parameters of a likelihood for images.

    Args:
        inputs: Number of features.
        shape: (channels, H, W) of the output.
        widths: Channels of each level, in the encoder's order; by default as the encoder's.
        condition: Width A of a condition that modulates every level; 0 for none.

    Example:
        >>> import torch
        >>> ConvDecoder(16, (6, 33, 20))(torch.zeros(2, 16)).shape
        torch.Size([2, 6, 33, 20])
    """

    def __init__(
        self, inputs: int, shape: Sequence[int], widths: Sequence[int] | None = None, condition: int = 0
    ) -> None:
        super().__init__()
        self.inputs, self.shape, self.condition = inputs, tuple(shape), condition
        self.widths = default_widths(shape) if widths is None else tuple(widths)
        self.sides = sides(shape, len(self.widths))
        channels = [*self.widths[::-1], shape[0]] if self.widths else [shape[0], shape[0]]
        self.first = nn.Linear(inputs, channels[0] * self.sides[-1][0] * self.sides[-1][1])
        self.films = nn.ModuleList(FiLM(width, condition) for width in self.widths[::-1])
        self.levels = nn.ModuleList(
            nn.ConvTranspose2d(a, b, 4, stride=2, padding=1)
            for a, b in zip(channels[: len(self.widths)], channels[1:], strict=True)
        )
        self.activation = nn.SiLU()
        keep_variance([self.first])
        for level, inner in zip(self.levels, channels, strict=False):
            # each value that a transposed convolution gives hears a quarter of the kernel
            gain = DECODER_GAIN if level is self.levels[-1] else 2**0.5
            keep_variance([level], gain, inputs=4 * inner)

    def forward(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """(N, inputs) → (N, channels, H, W)."""
        x = self.first(z).unflatten(1, (-1, *self.sides[-1]))
        for level, film, (height, width) in zip(self.levels, self.films, self.sides[-2::-1], strict=True):
            x = level(self.activation(film(x, c)))[..., :height, :width]  # the padding is cut off again
        return x


def default_widths(shape: Sequence[int]) -> tuple[int, ...]:
    """Channels of each level: 32 doubling to 256, until the larger side is at most `SMALLEST`.

    Example:
        >>> default_widths((1, 28, 28)), default_widths((3, 256, 256))
        ((32, 64, 128), (32, 64, 128, 256, 256, 256))
    """
    side = max(shape[1:])
    widths: list[int] = []
    while side > SMALLEST or not widths:  # at least one level: a condition enters there
        widths.append(min(32 * 2 ** len(widths), 256))
        side = (side + 1) // 2
    return tuple(widths)


def sides(shape: Sequence[int], levels: int) -> list[tuple[int, int]]:
    """(H, W) before the first level and after each one.

    Example:
        >>> sides((1, 9, 28), 2)
        [(9, 28), (5, 14), (3, 7)]
    """
    found = [(shape[1], shape[2])]
    for _ in range(levels):
        height, width = found[-1]
        found.append(((height + 1) // 2, (width + 1) // 2))
    return found
