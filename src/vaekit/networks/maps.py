"""Networks between items and maps of features: a vector of channels at each of G positions.

    images (N, C, H, W) ↔ (N, channels, ⌈H/4⌉, ⌈W/4⌉);   items without a plane ↔ (N, channels, G)

Codes with a codebook want many small vectors and not one large one; a map is where they stand.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from vaekit.networks.condition import FiLM
from vaekit.networks.conv import sides
from vaekit.networks.mlp import DECODER_GAIN, keep_variance
from vaekit.recipes import configurable

BLOCKS = 2  # residual blocks on the smallest map
SMALLEST_WIDTH = 16


@configurable
class ResidualBlock(nn.Module):
    """h ← h + conv(σ(FiLM(conv(σ(h)), c))): at the beginning it changes nothing.

    Args:
        width: Channels of h; half as many inside.
        condition: Width A of a condition; 0 for none.

    Source: He, Zhang, Ren, Sun (2016), Identity mappings in deep residual networks, arXiv:1603.05027.
    """

    def __init__(self, width: int, condition: int = 0) -> None:
        super().__init__()
        self.width, self.condition = width, condition
        inner = max(1, width // 2)
        self.first, self.second = nn.Conv2d(width, inner, 3, padding=1), nn.Conv2d(inner, width, 1)
        self.film = FiLM(inner, condition)
        self.activation = nn.SiLU()
        keep_variance([self.first])
        keep_variance([self.second], 0.0)

    def forward(self, h: Tensor, c: Tensor | None = None) -> Tensor:
        """(N, width, H, W) → (N, width, H, W)."""
        inner = self.film(self.first(self.activation(h)), c)
        return h + self.second(self.activation(inner))


@configurable
class MapEncoder(nn.Module):
    """Images to maps of features; each level halves the sides, rounding up.

    Args:
        shape: (C, H, W) of an image.
        channels: Channels of the map.
        levels: How often the sides are halved.
        width: Channels inside, on the smallest map; half as many on each larger one, but not below 16.
        condition: Width A of a condition that modulates every level and block; 0 for none.

    Source: van den Oord, Vinyals, Kavukcuoglu (2017), arXiv:1711.00937 (the layout).

    Example:
        >>> import torch
        >>> MapEncoder((3, 33, 20), 8)(torch.zeros(2, 3, 33, 20)).shape
        torch.Size([2, 8, 9, 5])
    """

    def __init__(
        self, shape: Sequence[int], channels: int, levels: int = 2, width: int = 48, condition: int = 0
    ) -> None:
        super().__init__()
        self.shape, self.channels, self.levels = tuple(shape), channels, levels
        self.width, self.condition = width, condition
        widths = inner_widths(levels, width)
        self.down = nn.ModuleList(
            nn.Conv2d(a, b, 4, stride=2, padding=1) for a, b in zip([shape[0], *widths], widths, strict=False)
        )
        self.films = nn.ModuleList(FiLM(inner, condition) for inner in widths)
        self.join = nn.Conv2d(widths[-1], width, 3, padding=1)
        self.blocks = nn.ModuleList(ResidualBlock(width, condition) for _ in range(BLOCKS))
        self.last = nn.Conv2d(width, channels, 1)
        self.activation = nn.SiLU()
        keep_variance([*self.down, self.join, self.last])

    def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """(N, C, H, W) → (N, channels, ⌈H/2ˡ⌉, ⌈W/2ˡ⌉)."""
        for level, film in zip(self.down, self.films, strict=True):
            x = functional.pad(x, (0, x.shape[3] % 2, 0, x.shape[2] % 2))  # to even sides
            x = self.activation(film(level(x), c))
        h = self.join(x)
        for block in self.blocks:
            h = block(h, c)
        return self.last(self.activation(h))


@configurable
class MapDecoder(nn.Module):
    """Maps of features to images, or to the parameters of a likelihood for images.

    Args:
        channels: Channels of the map.
        shape: (C, H, W) of the output.
        levels: How often the sides are doubled.
        width: Channels inside, on the smallest map; half as many on each larger one, but not below 16.
        condition: Width A of a condition that modulates every level and block; 0 for none.

    Example:
        >>> import torch
        >>> MapDecoder(8, (6, 33, 20))(torch.zeros(2, 8, 9, 5)).shape
        torch.Size([2, 6, 33, 20])
    """

    def __init__(
        self, channels: int, shape: Sequence[int], levels: int = 2, width: int = 48, condition: int = 0
    ) -> None:
        super().__init__()
        self.channels, self.shape, self.levels = channels, tuple(shape), levels
        self.width, self.condition = width, condition
        self.sides = sides(shape, levels)
        widths = inner_widths(levels, width)[::-1]
        self.join = nn.Conv2d(channels, width, 3, padding=1)
        self.blocks = nn.ModuleList(ResidualBlock(width, condition) for _ in range(BLOCKS))
        self.films = nn.ModuleList(FiLM(inner, condition) for inner in widths)
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(a, b, 4, stride=2, padding=1)
            for a, b in zip(widths, [*widths[1:], shape[0]], strict=True)
        )
        self.activation = nn.SiLU()
        keep_variance([self.join], 1.0)
        for level, inner in zip(self.up, widths, strict=True):
            # each value that a transposed convolution gives hears a quarter of the kernel
            gain = DECODER_GAIN if level is self.up[-1] else 2**0.5
            keep_variance([level], gain, inputs=4 * inner)

    def forward(self, state: Tensor, c: Tensor | None = None) -> Tensor:
        """(N, channels, ⌈H/2ˡ⌉, ⌈W/2ˡ⌉) → (N, C, H, W)."""
        h = self.join(state)
        for block in self.blocks:
            h = block(h, c)
        for level, film, (height, width) in zip(self.up, self.films, self.sides[-2::-1], strict=True):
            h = level(self.activation(film(h, c)))[..., :height, :width]  # the padding is cut off again
        return h


@configurable
class Shaped(nn.Module):
    """A network to vectors as one to maps: for items that have no plane.

    Args:
        net: (N, …) → (N, Π shape); what else it takes is passed on.
        shape: Shape of the map without N, (channels, G).

    Example:
        >>> import torch
        >>> Shaped(nn.Linear(5, 12), (3, 4))(torch.zeros(2, 5)).shape
        torch.Size([2, 3, 4])
    """

    def __init__(self, net: nn.Module, shape: Sequence[int]) -> None:
        super().__init__()
        self.net, self.shape = net, tuple(shape)

    @property
    def masked(self) -> bool:
        """Whether the network takes the mask of observed values."""
        return bool(getattr(self.net, "masked", False))

    def forward(self, x: Tensor, *condition: Tensor, **seen: Any) -> Tensor:
        """(N, …) → (N, *shape)."""
        return self.net(x, *condition, **seen).unflatten(1, self.shape)


@configurable
class Unshaped(nn.Module):
    """A network from vectors as one from maps.

    Args:
        net: (N, channels · G) → (N, …); what else it takes is passed on.

    Example:
        >>> import torch
        >>> Unshaped(nn.Linear(12, 5))(torch.zeros(2, 3, 4)).shape
        torch.Size([2, 5])
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, state: Tensor, *condition: Tensor) -> Tensor:
        """(N, channels, G) → (N, …)."""
        return self.net(state.flatten(1), *condition)


def inner_widths(levels: int, width: int) -> list[int]:
    """Channels after each level on the way down: doubling, up to `width`.

    Raises:
        ValueError: There is no level.

    Example:
        >>> inner_widths(3, 64)
        [16, 32, 64]
    """
    if levels < 1:
        raise ValueError(f"a map has at least one level, not {levels}")
    halved = [width // 2 ** (levels - 1 - level) for level in range(levels)]
    return [min(width, max(SMALLEST_WIDTH, inner)) for inner in halved]
