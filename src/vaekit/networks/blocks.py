"""Residual blocks, dense and convolutional, that a condition modulates."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from vaekit.networks.condition import FiLM
from vaekit.networks.mlp import keep_variance
from vaekit.recipes import configurable

LEAST_SIDE = 3  # a 3×3 convolution on a smaller map sees mostly its own padding


@configurable
class ConvBlock(nn.Module):
    """Maps to maps of the same sides: 1×1, 3×3, 3×3 and 1×1 convolutions, with SiLU before each.

    Args:
        inputs, middle, outputs: Channels before, between and after.
        kernel: Side of the two middle convolutions.
        condition: Width A of a condition that modulates the block; 0 for none.
        gain: Factor on the outputs at the start, which are otherwise of size about one half; 0 for zeros.

    Source: Child (2021), Very deep VAEs, arXiv:2011.10650; He, Zhang, Ren, Sun (2016), arXiv:1512.03385.

    Example:
        >>> import torch
        >>> ConvBlock(8, 4, 6)(torch.zeros(2, 8, 5, 7)).shape
        torch.Size([2, 6, 5, 7])
    """

    def __init__(
        self, inputs: int, middle: int, outputs: int, kernel: int = 3, condition: int = 0, gain: float = 1.0
    ) -> None:
        super().__init__()
        self.inputs, self.middle, self.outputs = inputs, middle, outputs
        self.kernel, self.condition, self.gain = kernel, condition, gain
        self.first, self.last = nn.Conv2d(inputs, middle, 1), nn.Conv2d(middle, outputs, 1)
        self.inner = nn.ModuleList(nn.Conv2d(middle, middle, kernel, padding=kernel // 2) for _ in range(2))
        self.film = FiLM(middle, condition)
        keep_variance([self.first, *self.inner])
        keep_variance([self.last], gain)

    def forward(self, h: Tensor, c: Tensor | None = None) -> Tensor:
        """(N, inputs, H, W) → (N, outputs, H, W)."""
        h = self.film(self.first(functional.silu(h)), c)
        for layer in self.inner:
            h = layer(functional.silu(h))
        return self.last(functional.silu(h))


@configurable
class DenseBlock(nn.Module):
    """Vectors to vectors: two linear layers with SiLU before each.

    Args:
        inputs, middle, outputs: Widths before, between and after.
        condition, gain: As in `ConvBlock`.

    Example:
        >>> import torch
        >>> DenseBlock(8, 4, 6)(torch.zeros(2, 8)).shape
        torch.Size([2, 6])
    """

    def __init__(self, inputs: int, middle: int, outputs: int, condition: int = 0, gain: float = 1.0) -> None:
        super().__init__()
        self.inputs, self.middle, self.outputs = inputs, middle, outputs
        self.condition, self.gain = condition, gain
        self.first, self.last = nn.Linear(inputs, middle), nn.Linear(middle, outputs)
        self.film = FiLM(middle, condition)
        keep_variance([self.first])
        keep_variance([self.last], gain)

    def forward(self, h: Tensor, c: Tensor | None = None) -> Tensor:
        """(N, inputs) → (N, outputs)."""
        return self.last(functional.silu(self.film(self.first(functional.silu(h)), c)))


@configurable
class Residual(nn.Module):
    """h + block(h, c).

    Args:
        block: A network whose outputs have its inputs' shape.
    """

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, h: Tensor, c: Tensor | None = None) -> Tensor:
        """(N, F, …) → (N, F, …)."""
        return h + self.block(h, c)


@configurable
class Activated(nn.Module):
    """net(SiLU(h), c): a network after a residual state, which no activation has bounded.

    Args:
        net: (h) or (h, c) → anything.
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, h: Tensor, c: Tensor | None = None) -> Tensor:
        """(N, F) → what the network gives."""
        h = functional.silu(h)
        return self.net(h) if c is None else self.net(h, c)


def block(
    inputs: int, level: Sequence[int], outputs: int, middle: int, condition: int = 0, gain: float = 1.0
) -> nn.Module:
    """The block for a level's shape: (W,) is dense, (C, H, W) convolutional."""
    if len(level) == 1:
        return DenseBlock(inputs, middle, outputs, condition, gain)
    kernel = 3 if min(level[1:]) >= LEAST_SIDE else 1
    return ConvBlock(inputs, middle, outputs, kernel, condition, gain)


def residual(level: Sequence[int], middle: float, condition: int, depth: int) -> Residual:
    """A residual block at a level, of which there are `depth` in all: each begins at 1/√depth of its size."""
    width = level[0]
    return Residual(block(width, level, width, max(1, round(middle * width)), condition, depth**-0.5))
