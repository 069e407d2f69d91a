"""How many latent dimensions are in use?"""

from __future__ import annotations

import torch

from vaekit.diagnosis.cure import Cure
from vaekit.diagnosis.finding import Finding, left_out
from vaekit.diagnosis.subject import Subject
from vaekit.evaluation import codes

SHARE = 0.25
FEWEST = 8  # items, among which a dimension has to vary
TITLE, THRESHOLD = "dimensions are in use", f"below {SHARE:.0%}"


@torch.no_grad()
def units(subject: Subject) -> Finding:
    """Share of the dimensions whose posterior mean varies by more than 0.01 over training items."""
    bottleneck = subject.model.bottleneck
    if bottleneck.discrete or not bottleneck.stochastic:
        return left_out(
            "units", TITLE, THRESHOLD, "the code is a point, whose dimensions have no scale of their own."
        )
    if len(subject.seen) < FEWEST:
        return left_out("units", TITLE, THRESHOLD, f"{len(subject.seen)} items are too few.")
    found = codes(subject.model, subject.some(subject.seen, subject.effort.items))
    active, whole = int(found.active.sum()), found.mean.shape[1]
    alarm = active < SHARE * whole
    said = f"{active} of {whole} latent dimensions are in use"
    said += ": the others have collapsed onto the prior and could be left out" if alarm else ""
    return Finding(
        "units", TITLE, active / whole, THRESHOLD, alarm, f"{said}.", _cure(active) if alarm else None
    )


def _cure(active: int) -> Cure:
    """As many as are in use and a few more; free nats where none is."""
    return Cure({"latent": active + max(1, active // 4)}) if active else Cure({"preset": "free_bits_vae"})
