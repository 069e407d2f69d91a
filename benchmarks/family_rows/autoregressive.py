"""An autoregressive model: each pixel's level given those before it in raster order, exactly.

Masked convolutions, and between them layers in which channels mix all earlier pixels, so that none is out of sight.
Sampling keeps what each layer has found and computes one pixel of every layer at a time.

Source: van den Oord, Kalchbrenner, Kavukcuoglu (2016), Pixel recurrent neural networks, arXiv:1601.06759; mixing over
places: Liu, Dai, So, Le (2021), Pay attention to MLPs, arXiv:2105.08050.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from family_rows.shared import LEVELS, SIDE, Descent, Learner, bits_per_pixel, in_parts
from vaekit.distributions import Noise
from vaekit.networks.pixel import MaskedConv


class Mix(nn.Module):
    """Every pixel hears all pixels up to itself, through one triangular matrix for each of some channels."""

    def __init__(self, width: int, channels: int, pixels: int) -> None:
        super().__init__()
        self.enter, self.leave = nn.Conv2d(width, channels, 1), nn.Conv2d(channels, width, 1)
        self.weight = nn.Parameter(torch.randn(channels, pixels, pixels) * (2 / pixels) ** 0.5)
        self.register_buffer("seen", torch.ones(pixels, pixels).tril(), persistent=False)

    def forward(self, h: Tensor) -> Tensor:
        told = self.enter(h)  # (B, C, H, W)
        rows = told.flatten(2).transpose(0, 1)  # (C, B, P)
        heard = rows @ (self.weight * self.seen).transpose(1, 2)
        return self.leave(functional.silu(heard.transpose(0, 1).reshape(told.shape)))

    def at(self, told: Tensor, place: int) -> Tensor:
        """The same at one pixel, (B, width), from `enter`'s outputs (B, C, P), of which later ones do not count."""
        heard = torch.einsum("bcp,cp->bc", told[:, :, : place + 1], self.weight[:, place, : place + 1])
        return at_one(self.leave, functional.silu(heard))


def causal(layer: MaskedConv, h: Tensor) -> Tensor:
    """What a masked convolution gives, without the rows of its kernel that see nothing."""
    half = layer.kernel_size[0] // 2
    return functional.conv2d(functional.pad(h, (half, half, half, 0)), rows_seen(layer), layer.bias)


def rows_seen(layer: MaskedConv) -> Tensor:
    """The masked weights in a pixel's own row and those above."""
    return (layer.weight * layer.seen)[:, :, : layer.kernel_size[0] // 2 + 1]


class Layer(nn.Module):
    """A residual layer: the mixing of all earlier pixels, and a masked 3 × 3 convolution."""

    def __init__(self, width: int, channels: int, pixels: int) -> None:
        super().__init__()
        self.mix = Mix(width, channels, pixels)
        self.near, self.back = MaskedConv(width, width, 3, itself=True), nn.Conv2d(width, width, 1)
        for layer in (self.back, self.mix.leave):
            nn.init.normal_(layer.weight, std=0.2 / layer.weight[0].numel() ** 0.5)

    def forward(self, h: Tensor) -> Tensor:
        h = h + self.mix(h)
        return h + self.back(functional.silu(causal(self.near, functional.silu(h))))


class Pixels(nn.Module):
    """Levels (B, H, W) → logits (B, levels, H, W), those of a pixel from the pixels before it alone.

    Args:
        side, levels: Of images.
        width: Channels.
        depth: Residual layers.
        channels: That mix all earlier pixels in each of them.
    """

    def __init__(
        self, side: int = SIDE, levels: int = LEVELS, width: int = 32, depth: int = 4, channels: int = 8
    ) -> None:
        super().__init__()
        self.side, self.levels = side, levels
        self.first = MaskedConv(levels, width, 5, itself=False)
        self.place = nn.Parameter(torch.zeros(width, side, side))
        self.layers = nn.ModuleList(Layer(width, channels, side * side) for _ in range(depth))
        self.last = nn.Conv2d(width, levels, 1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, images: Tensor) -> Tensor:
        x = functional.one_hot(images.long(), self.levels).permute(0, 3, 1, 2).float()
        h = causal(self.first, x.contiguous(memory_format=torch.channels_last)) + self.place
        for layer in self.layers:
            h = layer(h)
        return self.last(functional.silu(h))

    def nats(self, images: Tensor) -> Tensor:
        """−log p(x), (B,)."""
        return functional.cross_entropy(self(images), images.long(), reduction="none").sum((1, 2))

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        """n images (n, H, W) uint8, pixel by pixel; no layer computes any pixel twice."""
        side = self.side
        x = torch.zeros(n, side + 2, side + 4, self.levels)  # two pixels of border above, left and right
        near = [torch.zeros(n, side + 1, side + 2, layer.near.in_channels) for layer in self.layers]
        told = [torch.zeros(n, layer.mix.weight.shape[0], side * side) for layer in self.layers]
        drawn = torch.zeros(n, side, side, dtype=torch.uint8)
        first, *kernels = (
            rows_seen(conv).permute(0, 2, 3, 1).flatten(1)
            for conv in (self.first, *(layer.near for layer in self.layers))
        )
        for place in range(side * side):
            i, j = divmod(place, side)
            h = functional.linear(x[:, i : i + 3, j : j + 5].flatten(1), first, self.first.bias)
            h = h + self.place[:, i, j]
            for k, layer in enumerate(self.layers):
                told[k][:, :, place] = at_one(layer.mix.enter, h)
                h = h + layer.mix.at(told[k], place)
                near[k][:, i + 1, j + 1] = functional.silu(h)
                seen = near[k][:, i : i + 2, j : j + 3].flatten(1)
                inner = functional.linear(seen, kernels[k], layer.near.bias)
                h = h + at_one(layer.back, functional.silu(inner))
            logits = at_one(self.last, functional.silu(h))
            level = torch.multinomial(logits.softmax(1), 1)[:, 0]
            drawn[:, i, j] = level.byte()
            x[torch.arange(n), i + 2, j + 2, level] = 1
        return drawn


def at_one(layer: nn.Conv2d, h: Tensor) -> Tensor:
    """A 1 × 1 convolution at one pixel, (B, inputs) → (B, outputs)."""
    return functional.linear(h, layer.weight.flatten(1), layer.bias)


class Autoregressive(Learner):
    """The chain rule over pixels, trained by its own likelihood.

    Args:
        seed: Of the weights.
        lr: Largest learning rate.
        options: Of the network.
    """

    batch = 32

    def __init__(self, seed: int, lr: float = 3e-3, **options: int) -> None:
        with Noise(seed, "weights").torch():
            self.net = Pixels(**options).to(memory_format=torch.channels_last)
        self.descent = Descent(self.net, lr, decay=1e-4)

    def step(self, images: Tensor, done: float) -> None:
        self.descent.step(self.net.nats(images).mean() / images[0].numel(), done)

    def sample(self, n: int) -> np.ndarray:
        return torch.cat([self.net.sample(min(500, n - i)) for i in range(0, n, 500)]).numpy()

    def bits(self, images: np.ndarray) -> np.ndarray:
        return in_parts(lambda rows: bits_per_pixel(self.net.nats(rows)), images)


def autoregressive(seed: int) -> Autoregressive:
    """Four layers of 32 channels."""
    return Autoregressive(seed)
