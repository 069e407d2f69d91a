"""What is wrong with a model, if anything: ten checks, each with a value, a threshold, evidence and a cure.

They stand in the order of what explains the others: the first alarm names the disease.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vaekit.data import Items, Kind
from vaekit.diagnosis.codebook import codebook
from vaekit.diagnosis.cure import Cure
from vaekit.diagnosis.finding import Finding
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

__all__ = ["CHECKS", "FULL", "QUICK", "Cure", "Effort", "Finding", "Subject", "examine", "first"]


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

    Source: uses.md 4.2's table; each check names its own.

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
    return [check(subject) for check in CHECKS]


def first(findings: list[Finding]) -> Finding | None:
    """The disease: the first alarm, or None."""
    return next((finding for finding in findings if finding.alarm), None)
