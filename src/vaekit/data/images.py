"""Images: grey or colour, 8 or 16 bit or floats, all of one size; what the model sees lies in [0, 1]."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn

from vaekit.data.batch import Batch
from vaekit.data.checks import check_dtype, finite
from vaekit.data.kind import Kind
from vaekit.data.labels import labelled
from vaekit.data.layouts import channels_first, channels_last
from vaekit.data.levels import as_array, storage, to_storage
from vaekit.distributions import (
    MEAN,
    Bernoulli,
    DiscretizedLogistic,
    Family,
    Gaussian,
    Noise,
    RowNoise,
    Shared,
    content_keys,
)
from vaekit.errors import DataError
from vaekit.networks import DECODER_GAIN, MLP, ConvDecoder, ConvEncoder
from vaekit.networks.blocks import Activated
from vaekit.networks.conv import default_widths, sides
from vaekit.networks.maps import MapDecoder, MapEncoder
from vaekit.networks.pyramid import DensePyramid, FinestDecoder, Pyramid, level_widths
from vaekit.recipes import configurable

Binarize = Literal["none", "dynamic", "threshold"]

MLP_VALUES = 1024  # images of at most this many values get dense networks: on a CPU they learn faster there
MAP_LEVELS = 2  # how often a map of features halves an image's sides
UNIT_SCALE = 0.1  # where a learned scale begins for values in [0, 1]


@configurable
class Images(Kind):
    """Images of one size.

    The model sees x = raw / (L − 1) in [0, 1]. Binarised, it sees bits with P(x = 1) = raw / (L − 1): drawn anew for
    each training batch, and otherwise drawn once from the seed and the image itself.

    Args:
        channels, height, width: Shape of one image.
        levels: Number L of integer levels; 256 for 8 bit, 65536 for 16 bit, 0 for floats in [0, 1].
        white: The raw value that stands for 1 in pictures with noise on them, of any finite values, below 0 and above
            white too; None for all others.
        family: The likelihood; None chooses by levels and binarize.
        binarize: "none", "dynamic" (as above) or "threshold" (raw ≥ half).
        labels: Names of the classes.
        frequencies: The share of each class in the training data.
        seed: Of the bits that are drawn once.
        conditional: Whether batches with labels carry them as the condition.

    Raises:
        ValueError: An argument is out of its range.

    Source: Salakhutdinov, Murray (2008), On the quantitative analysis of deep belief networks (binarisation).

    Example:
        >>> kind = Images(1, 28, 28)
        >>> raw = kind.store(np.full((2, 28, 28), 51, dtype=np.uint8))
        >>> kind.encode(raw).x[0, 0, 0, 0], kind.decode(kind.encode(raw).x)[0, 0, 0]
        (tensor(0.2000), np.uint8(51))
    """

    name = "images"
    shows_mean = True  # as the field's pictures do: draws from p(x | z) are its means under a grain of noise

    def __init__(
        self,
        channels: int,
        height: int,
        width: int,
        levels: int = 256,
        family: Family | None = None,
        binarize: Binarize = "none",
        labels: Sequence[str] = (),
        frequencies: Sequence[float] = (),
        seed: int = 0,
        conditional: bool = False,
        white: float | None = None,
    ) -> None:
        if white is not None and not (white > 0 and levels == 0 and binarize == "none"):
            raise ValueError("white is above 0, and for pictures without levels that are not binarised")
        if min(channels, height, width) < 1:
            raise ValueError(f"an image of {channels} channels and {height}x{width} pixels has no values")
        if levels != 0 and not 2 <= levels <= 65536:
            raise ValueError(f"levels is 0 (floats) or 2 to 65536, not {levels}")
        if binarize not in get_args(Binarize):
            raise ValueError(f"binarize is one of {', '.join(get_args(Binarize))}, not {binarize!r}")
        self.channels, self.height, self.width, self.levels = channels, height, width, levels
        self.binarize: Binarize = binarize
        self.labels, self.frequencies = tuple(labels), tuple(frequencies)
        self.seed, self.conditional, self.white = seed, conditional, white
        self.family = family if family is not None else default_family(levels, binarize)

    def __repr__(self) -> str:
        extra = "" if self.binarize == "none" else f", binarize={self.binarize!r}"
        extra += "" if self.white is None else f", white={self.white:g}"
        return f"Images({self.channels}, {self.height}, {self.width}, levels={self.levels}{extra})"

    @property
    def shape(self) -> tuple[int, ...]:  # type: ignore[override]
        return (self.channels, self.height, self.width)

    @property
    def top(self) -> float:
        """The raw value that stands for 1."""
        return max(1, self.levels - 1) if self.white is None else self.white

    def store(self, values: Any) -> Tensor:
        """Take images into storage form, never changing their size; a warning says where values had to be rounded.

        Args:
            values: (N, H, W) for one channel, (N, H, W, C), (N, C, H, W), or one image without N; array or tensor.

        Returns:
            (N, C, H, W) as uint8, uint16 or float32.

        Raises:
            DataError: E212 another shape, E203 another range, E206 values that are not finite, E211 no numbers.
        """
        array = as_array(values)
        check_dtype(array.dtype)
        array = finite(self.planes(array))
        # a channels-last array stays as it lies, seen with its axes moved
        stored = to_storage(array, self.levels) if self.white is None else array.astype(np.float32)
        return torch.from_numpy(stored if stored.flags.writeable else stored.copy())

    def planes(self, array: np.ndarray) -> np.ndarray:
        """Any accepted layout as planes of channels, a view where it can be.

        Args:
            array: As `store` takes it.

        Returns:
            (N, C, H, W).

        Raises:
            DataError: E202 there is nothing in it, E212 another shape.

        Example:
            >>> Images(3, 8, 9).planes(np.zeros((2, 8, 9, 3))).shape
            (2, 3, 8, 9)
        """
        size = (self.height, self.width)
        found = channels_first(array, self.channels, lambda height, width: (height, width) == size)
        if found is None:
            raise self._other_shape(array.shape)
        return found

    def _other_shape(self, came: tuple[int, ...]) -> DataError:
        size = f"{self.height}x{self.width}"
        wanted = f"(N, {self.height}, {self.width}, {self.channels})"
        wanted += f" or (N, {self.height}, {self.width})" if self.channels == 1 else ""
        colours = {1: "to grey", 3: "to red, green and blue"}.get(
            self.channels, f"to {self.channels} channels"
        )
        hint = f"resize to {size}, and convert {colours} what is not"
        return DataError("E212", f"images of shape {wanted} are expected, not {came}.", hint=hint)

    def encode(self, raw: Tensor, labels: Tensor | None = None, noise: Noise | None = None) -> Batch:
        """Raw images as a batch in [0, 1].

        Args:
            raw: (B, C, H, W) in storage form.
            labels: (B,) class indices, or None.
            noise: Draws the bits of dynamic binarisation; without it they are always the same.
        """
        if self.binarize == "dynamic":
            return labelled(self, self._bits(raw, noise), labels)
        x = raw.float() if self.top == 1 else raw.to(torch.float32, copy=True).div_(self.top)  # (B, C, H, W)
        return labelled(self, (x >= 0.5).float() if self.binarize == "threshold" else x, labels)

    def _bits(self, raw: Tensor, noise: Noise | None) -> Tensor:
        if noise is None or noise is MEAN:
            noise = RowNoise(self.seed, "binarize", content_keys(raw))
        if isinstance(noise, RowNoise) or self.levels == 0:
            x = raw.double().div_(self.top)  # in double, so that raw = top is 1 for certain
            return (noise.uniform(raw.shape, x) < x).float()
        bars = noise.integers(max(1, self.levels - 1), raw.shape)  # P(raw > bar) = raw / top, exactly
        return torch.from_numpy((raw.cpu().numpy() > bars).astype(np.float32)).to(raw.device)

    def decode(self, x: Tensor, c: Tensor | None = None) -> np.ndarray:
        """The model's values as images in the range of the training data.

        Args:
            x: (B, C, H, W) in [0, 1]; values outside are clamped, but for pictures with noise on them.

        Returns:
            (B, H, W) for one channel, else (B, H, W, C): uint8, uint16, or float32 where there are no levels.
        """
        if self.white is not None:
            return channels_last(x.detach().cpu().float().mul(self.white).numpy())
        unit = x.detach().cpu().float().clamp(0, 1)
        if self.levels == 0:
            return channels_last(unit.numpy())
        return channels_last((unit * self.top).round().numpy().astype(storage(self.levels)))

    def picture(self, x: Tensor) -> np.ndarray:
        """The model's values as 8-bit images to look at, whatever the levels of the data.

        Args:
            x: (B, C, H, W) in [0, 1]; values outside are clamped.

        Returns:
            (B, H, W) for one channel, else (B, H, W, C), uint8.
        """
        unit = x.detach().cpu().float().clamp(0, 1)
        return channels_last((unit * 255).round().numpy().astype(np.uint8))

    def encoder(self, outputs: int, condition: int = 0) -> nn.Module:
        if math.prod(self.shape) <= MLP_VALUES:
            return MLP(self.shape, outputs, condition=condition)
        return ConvEncoder(self.shape, outputs, condition=condition)

    def decoder(self, inputs: int, family: Family | None = None, condition: int = 0) -> nn.Module:
        channels = (family or self.family).size(self.channels)
        if math.prod(self.shape) <= MLP_VALUES:
            return MLP(inputs, (channels, self.height, self.width), condition=condition, gain=DECODER_GAIN)
        return ConvDecoder(inputs, (channels, self.height, self.width), condition=condition)

    def classifier(self, outputs: int) -> nn.Module:
        return ConvEncoder(self.shape, outputs, [width // 2 for width in default_widths(self.shape)])

    @property
    def grid(self) -> tuple[int, ...]:
        return sides(self.shape, MAP_LEVELS)[-1]

    def map_encoder(self, channels: int, condition: int = 0) -> nn.Module:
        return MapEncoder(self.shape, channels, MAP_LEVELS, condition=condition)

    def map_decoder(self, channels: int, family: Family | None = None, condition: int = 0) -> nn.Module:
        outputs = (family or self.family).size(self.channels)
        return MapDecoder(channels, (outputs, self.height, self.width), MAP_LEVELS, condition=condition)

    def pyramid(
        self, width: int, levels: int, condition: int = 0, convolutional: bool = False
    ) -> Pyramid | DensePyramid:
        if convolutional or math.prod(self.shape) > MLP_VALUES:
            return Pyramid(self.shape, level_widths(self.shape, width // 8 or 1), condition=condition)
        first = MLP(self.shape, width, hidden=())  # the condition enters the blocks above it
        return DensePyramid(first, width, levels, width // 2 or 1, condition)

    def finest_decoder(
        self, shape: Sequence[int], family: Family | None = None, condition: int = 0
    ) -> nn.Module:
        outputs = ((family or self.family).size(self.channels), self.height, self.width)
        if len(shape) > 1:
            return FinestDecoder(shape[0], outputs, condition)
        return Activated(
            MLP(shape[0], outputs, hidden=(), gain=DECODER_GAIN)
        )  # the state knows the condition

    def log_volume(self, batch: Batch, family: Family | None = None) -> float | Tensor:
        """−(number of observed values) · log(L − 1) for a density over integer levels; a mass needs nothing.

        Of pictures with noise on them, white stands in the place of L − 1.

        Returns:
            One number for all rows, or (B,) where a mask counts the observed values.
        """
        if (family or self.family).discrete or self.top == 1 or self.binarize != "none":
            return 0.0
        each = -math.log(self.top)
        if batch.mask is None:
            return each * math.prod(self.shape)
        return each * batch.mask.flatten(1).sum(1, dtype=torch.float32)


def default_family(levels: int, binarize: Binarize = "none") -> Family:
    """The likelihood for images nobody chose one for.

    Args:
        levels: Number of levels; 0 for floats.
        binarize: How the images are binarised.

    Example:
        >>> type(default_family(256)).__name__, type(default_family(256, "dynamic")).__name__
        ('DiscretizedLogistic', 'Bernoulli')
    """
    if levels == 2 or binarize != "none":
        return Bernoulli()
    return Gaussian(Shared(UNIT_SCALE)) if levels == 0 else DiscretizedLogistic(levels)
