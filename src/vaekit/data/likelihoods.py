"""Likelihoods by the names that people type, and what each goes with; noise of a known size, `gaussian:25`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor
from torch.distributions import Distribution

from vaekit.data.images import UNIT_SCALE
from vaekit.distributions import (
    Bernoulli,
    Categorical,
    ContinuousBernoulli,
    DiscretizedLogistic,
    DiscretizedLogisticMixture,
    Family,
    Fixed,
    Gaussian,
    Laplace,
    Optimal,
    PerDimension,
    PhotonDistribution,
    Photons,
    Scale,
    Shared,
    SignalDependent,
    StudentT,
)
from vaekit.errors import UsageError, nearest

EIGHT_BIT = 255  # the standard deviation of noise in pictures is told on this scale, whatever theirs is


@dataclass
class Setting:
    """What a likelihood is made for.

    Attributes:
        kind: images or vectors.
        columns: Values of one item.
        levels: Number of integer levels, 0 where there are none.
        scales: What each column is divided by, (columns,); none for images.
    """

    kind: str
    columns: int
    levels: int
    scales: Sequence[float] = ()

    def scale(self) -> Scale:
        """The scale of a location–scale family: one for all pixels, one for each column."""
        return Shared(UNIT_SCALE) if self.kind == "images" else PerDimension((self.columns,))


LIKELIHOODS: dict[str, Callable[[Setting], Family]] = {
    "bernoulli": lambda setting: Bernoulli(),
    "continuous_bernoulli": lambda setting: ContinuousBernoulli(),
    "gaussian": lambda setting: Gaussian(setting.scale()),
    "poisson_gaussian": lambda setting: Gaussian(SignalDependent()),
    "laplace": lambda setting: Laplace(setting.scale()),
    "student_t": lambda setting: StudentT(scale=setting.scale()),
    "categorical": lambda setting: Categorical(setting.levels),
    "discretized_logistic": lambda setting: DiscretizedLogistic(setting.levels),
    "logistic_mixture": lambda setting: DiscretizedLogisticMixture(setting.levels),
}
ONLY_FOR = {
    "categorical": "vectors",
    "discretized_logistic": "images",
    "logistic_mixture": "images",
    "poisson_gaussian": "images",
}
LEARNED = ("gaussian", "laplace", "student_t")  # likelihoods whose scale is noise that is learned
LEVELLED = ("discretized_logistic", "logistic_mixture")


@dataclass(frozen=True)
class NoiseModel:
    """Noise of a known kind and size: p(y | s) of a measured value y, given the signal s.

    Attributes:
        name: gaussian or poisson.
        amount: The standard deviation, of pictures on the scale 0..255, of vectors in their columns' units; of Poisson
            noise the photons that are expected at white.

    Source: Prakash, Krull, Jug (2021), Fully unsupervised diversity denoising with convolutional variational
        autoencoders, arXiv:2006.06072.

    Example:
        >>> known_noise("gaussian:25.5").family().scale.value
        0.1
    """

    name: str
    amount: float

    def __str__(self) -> str:
        return f"{self.name}:{self.amount:g}"

    def family(self, scales: Sequence[float] = ()) -> Family:
        """The likelihood whose mean is the signal, for values that a model sees.

        Args:
            scales: (D,) what columns are divided by; none for pictures, of which white is 1.
        """
        if self.name == "poisson":
            return Photons(self.amount)
        return Gaussian(
            Fixed([self.amount / scale for scale in scales] if scales else self.amount / EIGHT_BIT)
        )

    def given(self, signal: Tensor, scales: Sequence[float] = ()) -> Distribution:
        """p(y | s) for signals (N, *shape) as a model gives them."""
        if self.name == "poisson":
            return PhotonDistribution(signal, self.amount)
        return self.family(scales)(signal)


NOISES = ("gaussian", "poisson")


def known_noise(word: str) -> NoiseModel:
    """The noise that a word such as `gaussian:25` stands for.

    Raises:
        UsageError: E103, there is no such noise, or its size is no number above 0.

    Example:
        >>> known_noise("gaussian:25")
        NoiseModel(name='gaussian', amount=25.0)
    """
    name, _, size = str(word).partition(":")
    if name not in NOISES:
        message = f"there is no noise {name!r} of a known size; {nearest(name, NOISES)}"
        raise UsageError("E103", message, hint="gaussian:SIGMA (of 0..255), or poisson:PHOTONS at white")
    try:
        amount = float(size)
    except ValueError:
        amount = math.nan
    if not 0 < amount < math.inf:
        meant = "standard deviation" if name == "gaussian" else "number of photons at white"
        raise UsageError(
            "E103",
            f"{word!r}: the {meant} is a number above 0.",
            hint=f"{name}:{25 if name == 'gaussian' else 30}",
        )
    return NoiseModel(name, amount)


def is_noise(likelihood: str, pixels: bool) -> bool:
    """Whether a likelihood is one of pictures with noise on them, whose values may lie outside 0..white.

    Args:
        likelihood: By name.
        pixels: Whether the values lie where those of pictures without noise do.
    """
    return ":" in likelihood or likelihood == "poisson_gaussian" or (likelihood in LEARNED and not pixels)


def speaks_of_noise(family: Family) -> bool:
    """Whether the centre of p(y | s) is a signal and what lies around it is noise: a scale no network predicts."""
    scale = getattr(family, "scale", None)
    known = isinstance(scale, Fixed | Shared | PerDimension | Optimal | SignalDependent)
    return known or isinstance(family, Photons)


def asked(likelihood: str, setting: Setting, reasons: list[str]) -> Family:
    """The likelihood that was asked for by name.

    Args:
        likelihood: One of `LIKELIHOODS`, or noise of a known size.
        setting: What it is made for.
        reasons: Gets a sentence.

    Raises:
        UsageError: E103, it does not go with this kind of data.

    Example:
        >>> asked("gaussian", Setting("vectors", 3, 0), []).scale.shape
        (3,)
    """
    if ":" in likelihood:
        noise = known_noise(likelihood)
        if noise.name == "poisson" and setting.kind != "images":
            raise UsageError("E103", "noise of photons is for pictures.", hint="--likelihood gaussian")
        reasons.append(f"{likelihood}, noise of a known size, because that was asked for.")
        return noise.family(setting.scales)
    if likelihood not in LIKELIHOODS:
        message = f"the {likelihood} likelihood does not go with {setting.kind}."
        hint = (
            "--likelihood poisson:30   (photons at white)" if likelihood == "poisson" else "--likelihood auto"
        )
        raise UsageError("E103", message, hint=hint)
    only = ONLY_FOR.get(likelihood, setting.kind)
    if only != setting.kind or (likelihood in LEVELLED and setting.levels == 0):
        what = f"{setting.kind} without levels" if only == setting.kind else setting.kind
        message = f"the {likelihood} likelihood does not go with {what}."
        raise UsageError("E103", message, hint="--likelihood auto")
    reasons.append(f"{likelihood}, because that was asked for.")
    if likelihood == "bernoulli" and setting.kind == "images" and setting.levels != 2:
        reasons.append(
            "grey values count as the expectation over bits, which is no likelihood of the images."
        )
    return LIKELIHOODS[likelihood](setting)
