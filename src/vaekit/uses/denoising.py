"""Take the noise out of pictures and rows: large pictures by tiles that overlap, the signal and its uncertainty.

The noise is the model's own, known (`--likelihood gaussian:25`) or learned (`gaussian`, `poisson_gaussian`) from noisy
data alone; or it is told, and a model of clean data takes it away.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vaekit import operations
from vaekit.data import Images, Kind, Vectors, as_arrays, item, read, split_row
from vaekit.data.checks import check_dtype, finite
from vaekit.data.layouts import channels_first, channels_last
from vaekit.data.levels import NOISIEST, as_array, bad_scale
from vaekit.data.likelihoods import EIGHT_BIT, NoiseModel, known_noise, speaks_of_noise
from vaekit.distributions import Family, Fixed, Photons, SignalDependent, content_keys
from vaekit.errors import DataError, UsageError
from vaekit.model import VAE

OVERLAP = 0.25  # of a tile's side, at least
TILES = 32  # denoised at once
MOST_CHANNELS = 4  # an axis as short as that is no side of a picture
STEPS = 200  # for each item, where the noise is not the one that the model was trained with

Clean = Callable[[Tensor, Tensor | None], tuple[Tensor, Tensor]]  # (B, *shape) and its mask → mean and std


@dataclass(frozen=True)
class Denoised:
    """Signals, in the units of the data they were found in.

    Attributes:
        mean: (N, …) E[s | y].
        std: (N, …) standard deviation of s given y.
        noisy: (N, …) y, what came.
        noise: The noise model, in a few words.
        white: The value that stands for white in pictures.
        tiles: How many pieces each picture was cut into.
    """

    mean: np.ndarray
    std: np.ndarray
    noisy: np.ndarray
    noise: str
    white: float = 1.0
    tiles: int = 1

    def __len__(self) -> int:
        return len(self.mean)


def denoise(
    model: VAE,
    kind: Kind,
    source: Any,
    noise: str | None = None,
    samples: int = 100,
    steps: int | None = None,
    seed: int = 0,
    image_size: int | None = None,
) -> Denoised:
    """The signal under the noise of rows, or of pictures as large as the model's or larger.

    Args:
        model: Trained on noisy data, with the noise as its likelihood; or on clean ones.
        kind: Of its data.
        source: A path, `path#row`, pictures (N, H, W), (N, H, W, C), (N, C, H, W) or one of them, or rows (N, D), as
            they were measured: values below 0 and above white are as they should be.
        noise: gaussian:SIGMA or poisson:PHOTONS; None is the noise that the model was trained with.
        samples: Draws from the posterior of each.
        steps: Of improving each posterior; by default none with the model's own noise, 200 with another.
        seed: Of the draws.
        image_size: Bring image files to this size first.

    Raises:
        UsageError: E103 there is no such noise, the model knows none and none was told, or samples or steps are too
            few, E106 there is no posterior that could be drawn from or improved, E108 neither pictures nor rows.
        DataError: E212 smaller than the model's pictures, or of other channels, E203 values that the noise cannot give.
    """
    told = None if noise is None else known_noise(noise)
    own: Family = getattr(model.decoder, "family", kind.family)
    _check(model, kind, own, told, samples, steps)
    other = None if told is None or str(told) == described(own, kind) else told
    given = None if other is None else partial(other.given, scales=_scales(kind))
    steps = steps if steps is not None else STEPS if other else 0

    def clean(y: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        labelled = kind.conditional and kind.labels
        c = kind.condition(torch.full((len(y),), -1)) if labelled else None
        return operations.denoise(
            model, y, c, mask, noise=given, samples=samples, steps=steps, seed=seed, rows=content_keys(y)
        )

    values = _read(source, kind, image_size)
    word = str(told) if told is not None else described(own, kind)
    if isinstance(kind, Images):
        photons = isinstance(own, Photons) if told is None else told.name == "poisson"
        return _pictures(kind, values, clean, word, photons)
    return _rows(kind, values, clean, word)


def described(family: Family, kind: Kind) -> str:
    """A noise model in a few words; of learned noise, what was learned.

    Example:
        >>> described(known_noise("gaussian:25").family(), Images(1, 8, 8))
        'gaussian:25'
    """
    if isinstance(family, Photons):
        return str(NoiseModel("poisson", family.peak))
    scale: Any = getattr(family, "scale", None)
    name = type(family).__name__.lower()
    if isinstance(scale, SignalDependent):
        gain, read = scale.values.tolist()
        return f"learned: {1 / gain:.3g} photons at white, {EIGHT_BIT * read:.3g} of 255 in the dark"
    one = torch.zeros(1, *kind.shape)
    sizes = scale(one[:, :0], one)[0].detach() if scale is not None else one[0]
    sizes = sizes * (EIGHT_BIT if isinstance(kind, Images) else torch.tensor(_scales(kind) or 1.0))
    size = float(sizes.square().mean().sqrt())
    return f"{name}:{size:.6g}" if isinstance(scale, Fixed) else f"{name}, learned: {size:.3g}"


def _check(
    model: VAE, kind: Kind, own: Family, told: NoiseModel | None, samples: int, steps: int | None
) -> None:
    if not isinstance(kind, Images | Vectors):
        message = f"pictures and rows of numbers are denoised, and this model is of {kind.name}."
        raise UsageError("E108", message, hint="vaekit impute fills what is missing in tables")
    if not model.bottleneck.stochastic or (told is not None and model.bottleneck.discrete):
        message = "this model has no posterior to draw from, so noise cannot be held against it."
        raise UsageError("E106", message, hint="train with --preset top_down_vae, or vae")
    if told is not None and told.name == "poisson" and not isinstance(kind, Images):
        raise UsageError("E103", "noise of photons is for pictures.", hint="--noise gaussian:SIGMA")
    if told is None and not speaks_of_noise(own):
        message = f"the model's likelihood ({type(own).__name__}) says nothing of noise."
        hint = "--noise gaussian:25, or train on the noisy data with --likelihood gaussian:25"
        raise UsageError("E103", message, hint=hint)
    if samples < 2:
        raise UsageError("E103", f"--samples {samples}: a spread needs two draws or more.")
    if steps is not None and steps < 0:
        raise UsageError("E103", f"--steps {steps}: 0 or more are possible.", hint="--steps 200")


def _scales(kind: Kind) -> list[float]:
    """What columns are divided by; none of pictures."""
    return list(kind.scale or []) if isinstance(kind, Vectors) else []


def _read(source: Any, kind: Kind, image_size: int | None) -> np.ndarray:
    if not isinstance(source, str | Path):
        return as_array(source)
    _, row = split_row(str(source))
    reader = read if row is None else item
    found = reader(str(source), image_size=image_size if isinstance(kind, Images) else None)
    return np.asarray(as_arrays(kind, found).values)


# ---------------------------------------------------------------------- rows


def _rows(kind: Kind, values: np.ndarray, clean: Clean, word: str) -> Denoised:
    raw = kind.store(values)
    parts = [kind.encode(part) for part in raw.split(TILES)]
    found = [clean(part.x, part.mask) for part in parts]
    mean, std = (torch.cat(side) for side in zip(*found, strict=True))
    scale = np.asarray(_scales(kind) or [1.0])
    return Denoised(kind.decode(mean), std.double().numpy() * scale, raw.numpy(), word)


# ---------------------------------------------------------------------- pictures


def _pictures(kind: Images, values: np.ndarray, clean: Clean, word: str, photons: bool) -> Denoised:
    """Every tile of every picture, put together again with weights that fall towards a tile's edges."""
    check_dtype(values.dtype)
    y, white = _planes(kind, values), _white(kind, values)  # (N, C, H, W)
    if photons and y.min() < 0:
        hint = "--noise gaussian:SIGMA, or subtract no background"
        raise bad_scale(y, "counts of photons are never negative", hint=hint)
    sides = [_starts(whole, part) for whole, part in zip(y.shape[2:], kind.shape[1:], strict=True)]
    places = [(i, top, left) for i in range(len(y)) for top in sides[0] for left in sides[1]]
    weight = np.outer(*(_window(side) for side in kind.shape[1:]))  # (h, w)
    mean, variance, total = (np.zeros(y.shape, dtype=np.float32) for _ in range(3))
    for start in range(0, len(places), TILES):
        cuts = [_cut(place, kind) for place in places[start : start + TILES]]
        x = torch.from_numpy(np.stack([y[cut] for cut in cuts]).astype(np.float32) / np.float32(white))
        for cut, s, spread in zip(cuts, *clean(x, None), strict=True):
            mean[cut] += weight * s.numpy()
            variance[cut] += weight * spread.square().numpy()
            total[cut] += weight
    mean, std = white * mean / total, white * np.sqrt(variance / total)
    tiles = len(sides[0]) * len(sides[1])
    return Denoised(channels_last(mean), channels_last(std), channels_last(y), word, white, tiles)


def _planes(kind: Images, values: np.ndarray) -> np.ndarray:
    """Any layout of pictures of any size as (N, C, H, W), none smaller than the model's."""
    found = channels_first(
        values, kind.channels, lambda high, wide: high >= kind.height and wide >= kind.width
    )
    if found is None:
        raise _other_pictures(kind, values)
    return finite(found)


def _other_pictures(kind: Images, values: np.ndarray) -> DataError:
    """E212: smaller than the model's, or of other channels."""
    small = channels_first(values, kind.channels, lambda high, wide: min(high, wide) > MOST_CHANNELS)
    if small is None:
        colour = "grey" if kind.channels == 1 else f"of {kind.channels} channels"
        message = f"the model's pictures are {colour}, and an array of shape {values.shape} holds others."
        made = "convert them to grey" if kind.channels == 1 else f"convert them to {kind.channels} channels"
        return DataError("E212", message, hint=f"{made}, or train on such pictures")
    high, wide = small.shape[2:]
    message = f"pictures of {high}x{wide} are smaller than the model's, {kind.height}x{kind.width}: "
    message += "a tile does not fit."
    side = min(high, wide)
    return DataError("E212", message, hint=f"train on pieces of at most {side}x{side}: --patch {side}")


def _white(kind: Images, values: np.ndarray) -> float:
    """The value that stands for white in what came: of floats, 1 where they look like it."""
    if values.dtype.kind == "b":
        return 1.0
    if values.dtype.kind in "ui":
        return float(np.iinfo(values.dtype).max if kind.top == 1 and kind.levels != 2 else kind.top)
    high = float(values.max())
    if kind.top == 1 and high > NOISIEST:
        raise bad_scale(values, "white is 1 for this model")
    return 1.0 if kind.top >= EIGHT_BIT and high <= NOISIEST else float(kind.top)


def _starts(whole: int, part: int) -> list[int]:
    """Where tiles begin along a side: from edge to edge, evenly, each over the next by a quarter or more.

    Example:
        >>> _starts(8, 8), _starts(20, 8)
        ([0], [0, 6, 12])
    """
    step = max(1, int(part * (1 - OVERLAP)))
    return np.linspace(0, whole - part, 1 + math.ceil((whole - part) / step)).round().astype(int).tolist()


def _window(side: int) -> np.ndarray:
    """Weights of a tile along a side, (side,): falling over the last quarter at each end, nowhere 0."""
    near = np.minimum(np.arange(side), np.arange(side)[::-1]) + 0.5
    return np.minimum(near / max(1.0, OVERLAP * side), 1.0).astype(np.float32)


def _cut(place: tuple[int, int, int], kind: Images) -> tuple[Any, ...]:
    i, top, left = place
    return (i, slice(None), slice(top, top + kind.height), slice(left, left + kind.width))


def shown(found: Denoised, kind: Images) -> Iterator[np.ndarray]:
    """Noisy, denoised and spread of each picture, (H, W[, C]) uint8; the largest spread of all is white."""
    most = float(found.std.max()) or 1.0
    for noisy, mean, std in zip(found.noisy, found.mean, found.std, strict=True):
        for values, white in ((noisy, found.white), (mean, found.white), (std, most)):
            yield (255 * (values / white).clip(0, 1)).round().astype(np.uint8)
