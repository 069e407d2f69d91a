"""What is wrong with a model, if anything: ten checks, each with a value, a threshold, evidence and a cure.

They stand in the order of what explains the others: the first alarm names the disease.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

import torch

from vaekit.data import Items, Kind
from vaekit.diagnosis.codebook import codebook
from vaekit.diagnosis.cure import Cure
from vaekit.diagnosis.finding import Finding, left_out
from vaekit.diagnosis.inference import inference
from vaekit.diagnosis.information import information
from vaekit.diagnosis.latent import latent
from vaekit.diagnosis.numbers import numbers
from vaekit.diagnosis.overfitting import overfitting
from vaekit.diagnosis.prior import prior
from vaekit.diagnosis.scale import scale
from vaekit.diagnosis.score import score
from vaekit.diagnosis.subject import FULL, QUICK, Effort, Subject
from vaekit.diagnosis.units import units
from vaekit.model import VAE

CHECKS: tuple[Callable[[Subject], Finding], ...] = (
    numbers, scale, codebook, latent, prior, inference, overfitting, units, information, score,
)  # fmt: skip

UNMEASURED = "this could not be measured"

__all__ = [
    "CHECKS",
    "FULL",
    "QUICK",
    "UNMEASURED",
    "Cure",
    "Effort",
    "Finding",
    "Subject",
    "examine",
    "first",
]


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
        >>> from vaekit.data import Vectors, as_items
        >>> import torch
        >>> kind = Vectors(4)
        >>> model, _ = presets.vae(kind, latent=2)
        >>> items = Items(torch.randn(64, 4), kind)
        >>> [finding.name for finding in examine(model, kind, items, items, effort=QUICK)][:4]
        ['numbers', 'scale', 'codebook', 'latent']
    """
    model.eval()
    subject = Subject(model, kind, seen, heldout, records or [], events or [], config or {}, effort)
    with torch.no_grad():  # the one check that climbs a gradient says so itself
        return [_made(check, subject) for check in CHECKS]


def _made(check: Callable[[Subject], Finding], subject: Subject) -> Finding:
    """A check's finding; one that a model of a new sort cannot have is left out, and never ends a training.

    So is one whose value is no number: nothing can be said of it, and `numbers` says what is wrong.
    """
    title = str(getattr(sys.modules[check.__module__], "TITLE", check.__name__))
    try:
        found = check(subject)
    except Exception as error:  # whatever a part of a user's own raises
        reason = f"{UNMEASURED} ({type(error).__name__}: {' '.join(str(error).split())[:120]})."
        return left_out(check.__name__, title, "", reason)
    if found.value is not None and math.isnan(found.value):
        return left_out(found.name, found.title, found.threshold, f"{UNMEASURED}: its value is no number.")
    return found


def first(findings: list[Finding]) -> Finding | None:
    """The disease: the first alarm, or None."""
    return next((finding for finding in findings if finding.alarm), None)
