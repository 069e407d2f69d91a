"""Take the noise out of pictures and rows: large pictures by tiles that overlap, the signal and its uncertainty.

The noise is the model's own, known (`--likelihood gaussian:25`) or learned (`gaussian`, `poisson_gaussian`) from noisy
data alone; or it is told, and a model of clean data takes it away.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vaekit import operations
from vaekit.data import Images, Kind, TableSource, Vectors, as_vectors, read, split_row
from vaekit.data.checks import check_dtype, finite
from vaekit.data.levels import NOISIEST, as_array, bad_scale
from vaekit.data.likelihoods import EIGHT_BIT, NoiseModel, known_noise, speaks_of_noise
from vaekit.distributions import Family, Fixed, Photons, SignalDependent, content_keys
from vaekit.errors import DataError, UsageError
from vaekit.model import VAE

OVERLAP = 0.25  # of a tile's side, at least
TILES = 32  # denoised at once
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
        UsageError: E103 there is no such noise, or the model knows none and none was told, E106 there is no posterior
            that could be drawn from or improved, E108 neither pictures nor rows.
        DataError: E212 smaller than the model's pictures, or of other channels, E203 values that the noise cannot give.
    """
    told = None if noise is None else known_noise(noise)
    own: Family = getattr(model.decoder, "family", kind.family)
    _check(model, kind, own, told, samples)
    other = told is not None and str(told) != described(own, kind)
    scales = _scales(kind)

    def clean(y: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        labelled = kind.conditional and kind.labels
        c = kind.condition(torch.full((len(y),), -1)) if labelled else None
        given = (lambda s: told.given(s, scales)) if told is not None and other else None
        return operations.denoise(
            model, y, c, mask, noise=given, samples=samples, seed=seed, rows=content_keys(y),
            steps=(STEPS if other else 0) if steps is None else steps,
        )  # fmt: skip

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


def _check(model: VAE, kind: Kind, own: Family, told: NoiseModel | None, samples: int) -> None:
    if not isinstance(kind, Images | Vectors):
        message = f"pictures and rows of numbers are denoised, and this model is of {kind.name}."
        raise UsageError("E108", message, hint="vaekit impute fills what is missing in tables")
    if not model.bottleneck.stochastic or (told is not None and model.bottleneck.discrete):
        message = "this model's codes are no draws from a posterior that noise could be held against."
        raise UsageError("E106", message, hint="train with --preset top_down_vae, or vae")
    if told is not None and told.name == "poisson" and not isinstance(kind, Images):
        raise UsageError("E103", "noise of photons is for pictures.", hint="--noise gaussian:SIGMA")
    if told is None and not speaks_of_noise(own):
        message = f"the model's likelihood ({type(own).__name__}) says nothing of noise."
        hint = "--noise gaussian:25, or train on the noisy data with --likelihood gaussian:25"
        raise UsageError("E103", message, hint=hint)
    if samples < 2:
        raise UsageError("E103", f"--samples {samples}: a spread needs two draws or more.")


def _scales(kind: Kind) -> list[float]:
    """What columns are divided by; none of pictures."""
    return list(kind.scale or []) if isinstance(kind, Vectors) else []


def _read(source: Any, kind: Kind, image_size: int | None) -> np.ndarray:
    if not isinstance(source, str | Path):
        return as_array(source)
    place, row = split_row(str(source))
    found = read(place, image_size=image_size if isinstance(kind, Images) else None)
    found = as_vectors(found) if isinstance(found, TableSource) else found
    values = np.asarray(found.values)
    if row is not None and not 0 <= row < len(values):
        raise UsageError("E103", f"there is no row {row}: it has rows 0 to {len(values) - 1}.", where=place)
    return values if row is None else values[row : row + 1]


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
    return Denoised(_last(mean), _last(std), _last(y), word, white, tiles)


def _planes(kind: Images, values: np.ndarray) -> np.ndarray:
    """Any layout of pictures of any size as (N, C, H, W), none smaller than the model's."""
    channels, shape = kind.channels, values.shape
    if 0 in shape:
        raise DataError("E202", f"there is nothing in this array: its shape is {shape}.")
    if channels == 1 and values.ndim in (2, 3) and shape[-1] > 4:
        found = values.reshape(-1, 1, *shape[-2:])
    elif values.ndim in (3, 4) and shape[-1] == channels:
        found = np.moveaxis(values.reshape(-1, *shape[-3:]), -1, 1)
    elif values.ndim in (3, 4) and shape[-3] == channels:
        found = values.reshape(-1, *shape[-3:])
    else:
        colour = "grey" if channels == 1 else f"of {channels} channels"
        message = f"the model's pictures are {colour}, and an array of shape {shape} holds others."
        hint = "bring them to the model's channels, or train on such pictures"
        raise DataError("E212", message, hint=hint)
    if found.shape[2] < kind.height or found.shape[3] < kind.width:
        message = f"pictures of {found.shape[2]}x{found.shape[3]} are smaller than the model's, "
        message += f"{kind.height}x{kind.width}: a tile does not fit."
        smaller = min(found.shape[2:])
        raise DataError(
            "E212", message, hint=f"train on pieces of at most {smaller}x{smaller}: --patch {smaller}"
        )
    return finite(found)


def _white(kind: Images, values: np.ndarray) -> float:
    """The value that stands for white in what came: of floats, 1 where they look like it."""
    if values.dtype.kind in "bui":
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


def _last(planes: np.ndarray) -> np.ndarray:
    """(N, C, H, W) to (N, H, W) for one channel, else (N, H, W, C)."""
    return planes[:, 0] if planes.shape[1] == 1 else np.moveaxis(planes, 1, -1)


def shown(found: Denoised, kind: Images) -> Iterator[np.ndarray]:
    """Noisy, denoised and spread of each picture, (H, W[, C]) uint8; the largest spread of all is white."""
    most = float(found.std.max()) or 1.0
    for noisy, mean, std in zip(found.noisy, found.mean, found.std, strict=True):
        for values, white in ((noisy, found.white), (mean, found.white), (std, most)):
            yield (255 * (values / white).clip(0, 1)).round().astype(np.uint8)
