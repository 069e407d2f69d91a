"""The examination of a model: every check in turn, and which of the findings names the disease.

The checks stand in the order of what explains the others, so the first alarm is the disease.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

import torch

from vaekit.data import Items, Kind
from vaekit.diagnosis.codebook import codebook
from vaekit.diagnosis.finding import Finding, left_out
from vaekit.diagnosis.inference import inference
from vaekit.diagnosis.information import information
from vaekit.diagnosis.latent import latent
from vaekit.diagnosis.numbers import numbers
from vaekit.diagnosis.overfitting import overfitting
from vaekit.diagnosis.prior import prior
from vaekit.diagnosis.scale import scale
from vaekit.diagnosis.score import score
from vaekit.diagnosis.subject import FULL, Effort, Subject
from vaekit.diagnosis.units import units
from vaekit.model import VAE

CHECKS: tuple[Callable[[Subject], Finding], ...] = (
    numbers, scale, codebook, latent, prior, inference, overfitting, units, information, score,
)  # fmt: skip

UNMEASURED = "this could not be measured"


def examine(
    model: VAE,
    kind: Kind,
    seen: Items,
    heldout: Items,
    records: list[dict[str, Any]] | None = None,
    events: list[dict[str, Any]] | None = None,
    config: dict[str, Any] | None = None,
    effort: Effort = FULL,
) -> list[Finding]:
    """Every check's finding, in the order in which they are shown.

    Args:
        model: A trained model; it is left in evaluation mode.
        kind: The kind of its data.
        seen, heldout: Items that it trained on, and that it did not.
        records, events, config: What the training left: the lines of metrics.jsonl, events, config.yaml.
        effort: How much is looked at.

    Example:
        >>> from vaekit import presets
        >>> from vaekit.data import Vectors
        >>> from vaekit.diagnosis import QUICK
        >>> kind = Vectors(4)
        >>> model, _ = presets.vae(kind, latent=2)
        >>> items = Items(torch.randn(64, 4), kind)
        >>> [finding.name for finding in examine(model, kind, items, items, effort=QUICK)][:4]
        ['numbers', 'scale', 'codebook', 'latent']
    """
    model.eval()
    subject = Subject(model, kind, seen, heldout, records or [], events or [], config or {}, effort)
    with torch.no_grad():  # the one check that climbs a gradient says so itself
        return [_checked(check, subject) for check in CHECKS]


def _checked(check: Callable[[Subject], Finding], subject: Subject) -> Finding:
    """A check's finding; it is left out where the check fails on a model of a new sort, since none may end a training.

    It is left out, too, where its value is not a number: `numbers` says then what is wrong.
    """
    title = str(getattr(sys.modules[check.__module__], "TITLE", check.__name__))
    try:
        found = check(subject)
    except Exception as error:  # anything that a user's own part of a model raises
        reason = f"{UNMEASURED} ({type(error).__name__}: {' '.join(str(error).split())[:120]})."
        return left_out(check.__name__, title, "", reason)
    if found.value is not None and math.isnan(found.value):
        return left_out(found.name, found.title, found.threshold, f"{UNMEASURED}: its value is no number.")
    return found


def first(findings: list[Finding]) -> Finding | None:
    """The disease: the first alarm, or None."""
    return next((finding for finding in findings if finding.alarm), None)
