"""Does the model explain held-out items as well as those it trained on?"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from vaekit.data import Items
from vaekit.diagnosis.cure import Cure
from vaekit.diagnosis.finding import Finding, left_out
from vaekit.diagnosis.subject import Subject
from vaekit.evaluation.units import log_volume
from vaekit.operations import bound

SHARE, ERRORS, NATS = 0.75, 2.0, 1.0
TITLE = "it holds for new items"
THRESHOLD = f"gap above {SHARE:.0%} of the rate, {ERRORS:g} standard errors and {NATS:g} nat"


def overfitting(subject: Subject) -> Finding:
    """Nats by which the ELBO of held-out items is worse than that of training items."""
    if subject.rate is None:
        return left_out("overfitting", TITLE, THRESHOLD, "there is no rate to hold the gap against.")
    if len(subject.heldout) < 2:
        return left_out("overfitting", TITLE, THRESHOLD, "too few items were held out.")
    seen, held = (negative_elbo(subject, items) for items in (subject.seen, subject.heldout))
    gap = float(held.mean() - seen.mean())
    error = math.sqrt(float(held.var()) / len(held) + float(seen.var()) / max(1, len(seen)))
    alarm = gap > max(SHARE * subject.rate, ERRORS * error, NATS)
    said = f"held-out items cost {gap:.3g} nats more than training items (± {error:.2g})"
    said += f", at a rate of {subject.rate:.3g}"
    said += ": the model has learned items by heart" if alarm else ""
    return Finding("overfitting", TITLE, gap, THRESHOLD, alarm, f"{said}.", _cure(subject) if alarm else None)


@torch.no_grad()
def negative_elbo(subject: Subject, items: Items) -> Tensor:
    """Distortion plus rate of some items, (N,) nats."""
    found = []
    for batch in subject.chunks(subject.some(items, subject.effort.items)):
        distortion, rate = bound(subject.model, batch.x, batch.c, batch.mask, rows=batch.index)
        volume = torch.as_tensor(log_volume(subject.model, subject.kind, batch)).cpu()
        found.append(distortion.cpu() - volume + (0.0 if rate is None else rate.cpu()))
    return torch.cat(found)


def _cure(subject: Subject) -> Cure:
    """Fewer dimensions to learn by heart with, and steps that end when held-out items stop gaining."""
    width = sum(math.prod(latent.z.shape[1:]) for latent in subject.passes[0].latents)
    return Cure({"latent": max(1, width // 4), "lr": float(subject.config.get("lr", 2e-3)) / 4})
