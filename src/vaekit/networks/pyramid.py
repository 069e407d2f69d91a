"""Bottom-up networks that give features at several levels, for models with a stack of latent variables.

h_L, …, h_1 = pyramid(x, c)    top first
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from vaekit.networks.blocks import DenseBlock, Residual, residual
from vaekit.networks.condition import FiLM
from vaekit.networks.conv import default_widths, sides
from vaekit.networks.mlp import DECODER_GAIN, keep_variance
from vaekit.recipes import configurable


@configurable
class Rise(nn.Module):
    """From one level's map to the next, larger one: nearest neighbours, and a learned bias for every place.

    Args:
        inputs: (C, H, W) of the map, as it comes.
        outputs: (C′, H′, W′) of a finer level: sides double as often as is needed, and the rest is cut off.

    Source: Child (2021), arXiv:2011.10650.

    Example:
        >>> Rise((8, 3, 4), (6, 5, 8))(torch.zeros(2, 8, 3, 4)).shape
        torch.Size([2, 6, 5, 8])
    """

    def __init__(self, inputs: Sequence[int], outputs: Sequence[int]) -> None:
        super().__init__()
        self.inputs, self.outputs = tuple(inputs), tuple(outputs)
        self.times = [_doubled(before, after) for before, after in zip(inputs[1:], outputs[1:], strict=True)]
        self.bias = nn.Parameter(torch.zeros(self.outputs))
        self.mix = nn.Conv2d(inputs[0], outputs[0], 1) if inputs[0] != outputs[0] else None
        if self.mix is not None:
            keep_variance([self.mix], 1.0)

    def forward(self, h: Tensor) -> Tensor:
        """(N, C, H, W) → (N, C′, H′, W′)."""
        h = h if self.mix is None else self.mix(h)
        tall, wide = self.times
        large = h.repeat_interleave(tall, 2).repeat_interleave(wide, 3)
        return large[..., : self.outputs[1], : self.outputs[2]] + self.bias


@configurable
class Pyramid(nn.Module):
    """Images to maps at several levels: each level halves the sides, rounding up, and the last may be a single place.

    Args:
        shape: (C, H, W) of an image.
        widths: Channels of each level, the finest (⌈H/2⌉, ⌈W/2⌉) first.
        blocks: Residual blocks at each level.
        middle: Channels inside a block, as a share of the level's.
        top: Whether a last level averages the map before it to a single place.
        condition: Width A of a condition that modulates every block; 0 for none.

    Source: Child (2021), Very deep VAEs, arXiv:2011.10650.

    Example:
        >>> [tuple(h.shape[1:]) for h in Pyramid((1, 9, 28), (16, 24))(torch.zeros(2, 1, 9, 28))]
        [(24, 1, 1), (24, 3, 7), (16, 5, 14)]
    """

    def __init__(
        self,
        shape: Sequence[int],
        widths: Sequence[int],
        blocks: int = 1,
        middle: float = 0.5,
        top: bool = True,
        condition: int = 0,
    ) -> None:
        super().__init__()
        self.shape, self.widths, self.blocks = tuple(shape), tuple(widths), blocks
        self.middle, self.top, self.condition = middle, top, condition
        channels, shapes = [shape[0], *widths], self.shapes[::-1]
        self.falls = nn.ModuleList(
            nn.Conv2d(a, b, 4 if i == 0 else 2, stride=2, padding=1 if i == 0 else 0)
            for i, (a, b) in enumerate(zip(channels, widths, strict=False))
        )
        depth = blocks * len(shapes)
        self.levels = nn.ModuleList(
            nn.ModuleList(residual(level, middle, condition, depth) for _ in range(blocks))
            for level in shapes
        )
        keep_variance(self.falls, 1.0)

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """(C, H, W) of every level's map, top first."""
        found = [
            (w, *side) for w, side in zip(self.widths, sides(self.shape, len(self.widths))[1:], strict=True)
        ]
        return [*([(self.widths[-1], 1, 1)] if self.top else []), *found[::-1]]

    def forward(self, x: Tensor, c: Tensor | None = None) -> list[Tensor]:
        """(N, C, H, W) → maps (N, C_l, H_l, W_l), top first."""
        found: list[Tensor] = []
        for i, blocks in enumerate(self.levels):
            if i < len(self.falls):
                x = functional.pad(x, (0, x.shape[3] % 2, 0, x.shape[2] % 2))  # to even sides
                x = self.falls[i](x)
            else:
                x = x.mean((2, 3), keepdim=True)
            for block in blocks:  # type: ignore[attr-defined]
                x = block(x, c)
            found.append(x)
        return found[::-1]


@configurable
class FinestDecoder(nn.Module):
    """The finest level's map to an image, or to the parameters of a likelihood for one: the pyramid's first step back.

    Args:
        inputs: Channels of the map, (⌈H/2⌉, ⌈W/2⌉).
        shape: (channels, H, W) of the output.
        condition: Width A of a condition that modulates it; 0 for none.

    Example:
        >>> FinestDecoder(8, (2, 9, 28))(torch.zeros(2, 8, 5, 14)).shape
        torch.Size([2, 2, 9, 28])
    """

    def __init__(self, inputs: int, shape: Sequence[int], condition: int = 0) -> None:
        super().__init__()
        self.inputs, self.shape, self.condition = inputs, tuple(shape), condition
        self.film = FiLM(inputs, condition)
        self.last = nn.ConvTranspose2d(inputs, shape[0], 4, stride=2, padding=1)
        keep_variance([self.last], DECODER_GAIN, inputs=4 * inputs)

    def forward(self, h: Tensor, c: Tensor | None = None) -> Tensor:
        """(N, inputs, ⌈H/2⌉, ⌈W/2⌉) → (N, channels, H, W)."""
        return self.last(functional.silu(self.film(h, c)))[..., : self.shape[1], : self.shape[2]]


@configurable
class DensePyramid(nn.Module):
    """Items to vectors of one width at several levels, each a residual block above the one below.

    Args:
        first: Item → (N, width).
        width: Width of every level.
        levels: How many there are.
        middle: Width inside a block.
        condition: Width A of a condition that modulates every block; 0 for none.

    Example:
        >>> [h.shape for h in DensePyramid(nn.Linear(5, 8), 8, 3, 4)(torch.zeros(2, 5))]
        [torch.Size([2, 8]), torch.Size([2, 8]), torch.Size([2, 8])]
    """

    def __init__(self, first: nn.Module, width: int, levels: int, middle: int, condition: int = 0) -> None:
        super().__init__()
        self.first, self.width, self.levels = first, width, levels
        self.middle, self.condition = middle, condition
        self.blocks = nn.ModuleList(
            Residual(DenseBlock(width, middle, width, condition, levels**-0.5)) for _ in range(levels - 1)
        )

    @property
    def masked(self) -> bool:
        """Whether the mask of observed values is a second input."""
        return getattr(self.first, "masked", False)

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """(width,) of every level, top first."""
        return [(self.width,)] * self.levels

    def forward(self, x: Tensor, c: Tensor | None = None, mask: Tensor | None = None) -> list[Tensor]:
        """(N, *shape) → vectors (N, width), top first."""
        seen = {"mask": mask} if self.masked else {}
        found = [self.first(x, **seen) if c is None else self.first(x, c, **seen)]
        for block in self.blocks:
            found.append(block(found[-1], c))
        return found[::-1]


def level_widths(shape: Sequence[int], width: int) -> tuple[int, ...]:
    """Channels of each level of an image's pyramid, the finest first: doubling, to at most four times as many.

    Example:
        >>> level_widths((3, 64, 64), 32)
        (32, 64, 128, 128)
    """
    return tuple(width * min(2**i, 4) for i in range(len(default_widths(shape))))


def _doubled(before: int, after: int) -> int:
    """The power of two that takes one side to another, or beyond.

    Example:
        >>> _doubled(7, 14), _doubled(3, 9), _doubled(4, 4)
        (2, 4, 1)
    """
    times = 1
    while before * times < after:
        times *= 2
    return times
