"""Likelihoods by the names that people type, and what each goes with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vaekit.data.images import UNIT_SCALE
from vaekit.distributions import (
    Bernoulli,
    Categorical,
    ContinuousBernoulli,
    DiscretizedLogistic,
    DiscretizedLogisticMixture,
    Family,
    Gaussian,
    Laplace,
    PerDimension,
    Scale,
    Shared,
    StudentT,
)
from vaekit.errors import UsageError


@dataclass
class Setting:
    """What a likelihood is made for.

    Attributes:
        kind: images or vectors.
        columns: Values of one item.
        levels: Number of integer levels, 0 where there are none.
    """

    kind: str
    columns: int
    levels: int

    def scale(self) -> Scale:
        """The scale of a location–scale family: one for all pixels, one for each column."""
        return Shared(UNIT_SCALE) if self.kind == "images" else PerDimension((self.columns,))


LIKELIHOODS: dict[str, Callable[[Setting], Family]] = {
    "bernoulli": lambda setting: Bernoulli(),
    "continuous_bernoulli": lambda setting: ContinuousBernoulli(),
    "gaussian": lambda setting: Gaussian(setting.scale()),
    "laplace": lambda setting: Laplace(setting.scale()),
    "student_t": lambda setting: StudentT(scale=setting.scale()),
    "categorical": lambda setting: Categorical(setting.levels),
    "discretized_logistic": lambda setting: DiscretizedLogistic(setting.levels),
    "logistic_mixture": lambda setting: DiscretizedLogisticMixture(setting.levels),
}
ONLY_FOR = {"categorical": "vectors", "discretized_logistic": "images", "logistic_mixture": "images"}


def asked(likelihood: str, setting: Setting, reasons: list[str]) -> Family:
    """The likelihood that was asked for by name.

    Args:
        likelihood: One of `LIKELIHOODS`.
        setting: What it is made for.
        reasons: Gets a sentence.

    Raises:
        UsageError: E103, it does not go with this kind of data.

    Example:
        >>> asked("gaussian", Setting("vectors", 3, 0), []).scale.shape
        (3,)
    """
    only = ONLY_FOR.get(likelihood, setting.kind)
    if only != setting.kind or (only == "images" and likelihood in ONLY_FOR and setting.levels == 0):
        what = f"{setting.kind} without levels" if only == setting.kind else setting.kind
        message = f"the {likelihood} likelihood does not go with {what}."
        raise UsageError("E103", message, hint="--likelihood auto")
    reasons.append(f"{likelihood}, because that was asked for.")
    if likelihood == "bernoulli" and setting.kind == "images" and setting.levels != 2:
        reasons.append(
            "grey values count as the expectation over bits, which is no likelihood of the images."
        )
    return LIKELIHOODS[likelihood](setting)
