"""Numerics: did training stay among numbers that mean something?"""

from __future__ import annotations

import math
from statistics import median

from vaekit.diagnosis.cure import Cure
from vaekit.diagnosis.finding import Finding
from vaekit.diagnosis.subject import Subject

RATE = 1e4  # nats; a rate above it, and above the number of values of an item, is none that a model needs
SPIKE = 100.0  # times the usual length of gradients, from which on they leap
TITLE = "numbers are sound"


def numbers(subject: Subject) -> Finding:
    """Steps that were not finite, evaluations without figures, rates without measure, gradients that leap."""
    signs = [*_skipped(subject), *_lost(subject), *_rates(subject), *_spikes(subject), *_weights(subject)]
    cure = Cure({"lr": float(subject.config.get("lr", 2e-3)) / 4}) if signs else None
    said = "; ".join(signs) if signs else f"{len(subject.records)} evaluations, all with sound figures"
    return Finding("numbers", TITLE, float(len(signs)), "any sign of trouble", bool(signs), f"{said}.", cure)


def _skipped(subject: Subject) -> list[str]:
    return [str(event.get("what")) for event in subject.events if "not finite" in str(event.get("what"))]


def _lost(subject: Subject) -> list[str]:
    lost = [r for r in subject.records if r.get("distortion") is None]
    return (
        [f"{len(lost)} evaluations had no finite figure, the first at step {lost[0].get('step')}"]
        if lost
        else []
    )


def _rates(subject: Subject) -> list[str]:
    limit = max(RATE, math.prod(subject.kind.shape))
    high = [r for r in subject.records if (r.get("rate") or 0.0) > limit]
    return [f"the rate was {high[0]['rate']:.3g} nats at step {high[0].get('step')}"] if high else []


def _spikes(subject: Subject) -> list[str]:
    """Gradients that leap above all that is usual; long ones at the start, of a model that knows nothing, do not."""
    known = [(r["step"], r["gradient_norm"]) for r in subject.records if r.get("gradient_norm") is not None]
    if len(known) < 4:
        return []
    usual = median(norm for _, norm in known[1:])  # of all, and below of those before as well
    for place in range(2, len(known)):
        step, norm = known[place]
        most = max(usual, median(norm for _, norm in known[1:place]), 1e-300)
        if norm > SPIKE * most:
            return [f"gradients were {norm / most:.0f} times as long as usual near step {step}"]
    return []


def _weights(subject: Subject) -> list[str]:
    bad = [name for name, p in subject.model.named_parameters() if not bool(p.isfinite().all())]
    return [f"weights are not finite ({bad[0]})"] if bad else []
