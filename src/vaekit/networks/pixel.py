"""Masked convolutions: the parameters of every pixel's distribution, from the pixels before it in raster order."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from vaekit.networks.mlp import DECODER_GAIN, keep_variance
from vaekit.recipes import configurable

Place = tuple[int, ...]


class MaskedConv(nn.Conv2d):
    """A convolution that sees rows above and, in its own row, what stands to the left.

    Args:
        inputs, outputs: Channels.
        side: Of the kernel, odd.
        itself: Whether it sees the pixel itself too: not in the first layer, always in later ones.

    Source: van den Oord, Kalchbrenner, Kavukcuoglu (2016), Pixel recurrent neural networks, arXiv:1601.06759.
    """

    seen: Tensor

    def __init__(self, inputs: int, outputs: int, side: int, itself: bool) -> None:
        super().__init__(inputs, outputs, side, padding=side // 2)
        seen = torch.ones(side, side)
        seen[side // 2, side // 2 + itself :] = 0
        seen[side // 2 + 1 :] = 0
        self.register_buffer("seen", seen, persistent=False)
        keep_variance([self], inputs=int(inputs * max(1, side * side // 2 + itself)))

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) → (N, outputs, H, W)."""
        return functional.conv2d(x, self.weight * self.seen, self.bias, padding=self.padding)


@configurable
class PixelNetwork(nn.Module):
    """Masked convolutions beside a context for every pixel: a strong decoder of textures and strokes.

    It sees no farther than a few pixels, so that what is global must come from the context. The channels of a pixel do
    not see each other.

    Args:
        channels: Of x.
        outputs: Parameters of a pixel's distribution.
        context: Channels A of the context; 0 for none.
        width: Channels inside.
        side: Of the first kernel, odd.
        depth: Residual layers of 3 × 3 after it.

    Source: Gulrajani, Kumar, Ahmed, Taiga, Visin, Vazquez, Courville (2017), PixelVAE, arXiv:1611.05013.

    Example:
        >>> PixelNetwork(1, 1, context=4)(torch.zeros(2, 1, 9, 8), torch.zeros(2, 4, 9, 8)).shape
        torch.Size([2, 1, 9, 8])
    """

    def __init__(
        self, channels: int, outputs: int, context: int = 0, width: int = 16, side: int = 5, depth: int = 1
    ) -> None:
        super().__init__()
        if side % 2 == 0:
            raise ValueError(f"the side of a kernel is odd, not {side}")
        self.channels, self.outputs, self.context = channels, outputs, context
        self.width, self.side, self.depth = width, side, depth
        self.near = MaskedConv(channels, width, side, itself=False)
        self.told = nn.Conv2d(context, width, 1) if context else None
        self.layers = nn.ModuleList(MaskedConv(width, width, 3, itself=True) for _ in range(depth))
        self.mix = nn.Conv2d(width, width, 1)
        self.last = nn.Conv2d(width, outputs, 1)
        self.activation = nn.SiLU()
        keep_variance([self.mix])
        keep_variance([self.last], DECODER_GAIN)
        if self.told is not None:
            keep_variance([self.told])

    @property
    def reach(self) -> int:
        """How many pixels away the farthest one is that a pixel depends on, along either side."""
        return self.side // 2 + self.depth

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """(N, C, H, W) and context (N, A, H, W) → (N, outputs, H, W)."""
        h = self.near(x)
        if self.told is not None and context is not None:
            h = h + self.told(context)
        for layer in self.layers:
            h = h + layer(self.activation(h))
        return self.last(self.activation(self.mix(self.activation(h))))

    def walker(self, context: Tensor | None) -> Callable[[Tensor, Place], Tensor]:
        """(x, place) → parameters (N, outputs, 1, 1), from a pass over no more than the pixel depends on."""

        def at(x: Tensor, place: Place) -> Tensor:
            i, j = place
            top, left = max(0, i - self.reach), max(0, j - self.reach)
            part = (..., slice(top, i + 1), slice(left, j + self.reach + 1))
            found = self(x[part], None if context is None else context[part])
            return found[..., i - top : i - top + 1, j - left : j - left + 1]

        return at
