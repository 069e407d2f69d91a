"""Is the likelihood's scale as large as the errors are?

The factor a by which every σ should be multiplied is the one that makes residuals most probable:

    a = argmax_a Σ log f((x − μ) / (a σ)) − log a

which is the root mean square of (x − μ) / σ of a Gaussian, the mean of |x − μ| / σ of a Laplace distribution.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Laplace, Normal, StudentT

from vaekit.diagnosis.cure import Cure
from vaekit.diagnosis.finding import Finding, left_out
from vaekit.diagnosis.subject import Subject
from vaekit.distributions import Fixed

FIXED, LEARNED = 1.5, 2.0  # times too large or too small; a σ that is learned lags behind the errors
FEWEST = 8  # items whose errors are looked at
TITLE = "σ is as large as the errors"


def scale(subject: Subject) -> Finding:
    """By what factor residuals of training items are larger than p(x | z) says."""
    most = FIXED if _fixed(subject) else LEARNED
    threshold = f"outside {1 / most:.2g}–{most:g}"
    if len(subject.seen) < FEWEST:
        return left_out("scale", TITLE, threshold, f"{len(subject.seen)} items are too few.")
    known = [_residuals(out) for out in subject.passes]
    if any(part is None for part in known):
        reason = "the likelihood has no σ of its own"
        return left_out("scale", TITLE, threshold, f"{reason} ({type(subject.passes[0].px).__name__}).")
    factor = best_factor(subject.passes[0].px, torch.cat([part for part in known if part is not None]))
    alarm = not 1 / most <= factor <= most
    said = f"(x − μ) / σ has a spread of {factor:.3g}, and 1 is right"
    if alarm:
        said += f": σ is {'too small' if factor > 1 else 'too large'} by a factor of {max(factor, 1 / factor):.3g}"
    return Finding("scale", TITLE, factor, threshold, alarm, f"{said}.", _cure(subject) if alarm else None)


def _residuals(out: Any) -> Tensor | None:
    """(x − μ) / σ of every observed value, (M,)."""
    px = out.px
    if not isinstance(px, Normal | Laplace | StudentT):
        return None
    apart = (out.x - px.loc) / px.scale
    return apart.flatten() if out.mask is None else apart[out.mask.bool()]


def best_factor(px: Any, residuals: Tensor) -> float:
    """The factor on σ that makes residuals most probable.

    Args:
        px: Normal, Laplace or StudentT: the family.
        residuals: (M,) (x − μ) / σ.

    Example:
        >>> best_factor(Normal(0.0, 1.0), torch.tensor([-3.0, 3.0]))
        3.0
    """
    r = residuals.double().abs()
    if isinstance(px, Laplace):
        return float(r.mean())
    factor = float(r.square().mean().sqrt())
    if not isinstance(px, StudentT):
        return factor
    df = float(torch.as_tensor(px.df).double().mean())
    square = factor**2
    for _ in range(50):  # expectation maximisation: far values count less
        weight = (df + 1) / (df + r.square() / max(square, 1e-300))
        square = float((weight * r.square()).mean())
    return math.sqrt(square)


def _fixed(subject: Subject) -> bool:
    """Whether σ was given, and is not learned."""
    return isinstance(getattr(getattr(subject.model.decoder, "family", None), "scale", None), Fixed)


def _cure(subject: Subject) -> Cure:
    """A learned σ where it was given; more steps where it was being learned."""
    told = str(subject.config.get("likelihood", "auto"))
    if ":" in told:
        return Cure({"likelihood": told.partition(":")[0]})
    if _fixed(subject) and subject.takes("sigma_vae"):
        return Cure({"preset": "sigma_vae"})
    return longer(subject)


def longer(subject: Subject) -> Cure:
    """Twice the steps."""
    config = subject.config
    if config.get("time"):
        return Cure({"time": 2 * config["time"]})
    if config.get("epochs"):
        return Cure({"epochs": 2 * config["epochs"]})
    return Cure({"steps": 2 * int(config.get("steps") or config.get("at_most") or 10_000)})
