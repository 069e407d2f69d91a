"""Does the decoder use z? What it loses when codes are swapped among items says so.

E[log p(x_n | z_n) − log p(x_n | z_m)],  z_m ~ q(z | x_m) of another item
"""

from __future__ import annotations

import torch

from vaekit.diagnosis.cure import Cure
from vaekit.diagnosis.finding import Finding, left_out
from vaekit.diagnosis.subject import Subject
from vaekit.distributions import log_prob, right
from vaekit.distributions.autoregressive import ChainRule
from vaekit.model import each

NATS = 1.0
FEWEST = 8  # items; fewer may resemble each other so much that their codes can be swapped
TITLE, THRESHOLD = "z is used", f"below {NATS:g} nat"


def latent(subject: Subject) -> Finding:
    """Nats that are lost when the decoder is given another item's code."""
    if len(subject.seen) < FEWEST:
        return left_out("latent", TITLE, THRESHOLD, f"{len(subject.seen)} items are too few.")
    lost = shuffle_loss(subject)
    alarm = lost < NATS
    said = f"{lost:.3g} nats are lost when items get each other's codes"
    if alarm:
        said += f": {_cause(subject)}"
    return Finding("latent", TITLE, lost, THRESHOLD, alarm, f"{said}.", _cure(subject) if alarm else None)


@torch.no_grad()
def shuffle_loss(subject: Subject) -> float:
    """E[log p(x | z) − log p(x | z of another item)], nats per item."""
    lost = []
    for out in subject.passes:
        px = subject.model.likelihood(each(out.state, lambda t: t.roll(1, 0)), out.c)
        lost.append(-out.distortion - right(log_prob(px, out.x, out.mask)))
    return float(torch.cat(lost).double().mean())


def _chained(subject: Subject) -> bool:
    return isinstance(getattr(subject.model.decoder, "family", None), ChainRule)


def _heavy(subject: Subject) -> float:
    """What the preset's own β is, 1 where it has none."""
    return float(subject.arguments.get("beta", 1.0))


def _cause(subject: Subject) -> str:
    """Why z goes unused, as far as the configuration tells."""
    if _heavy(subject) > 1:
        return f"the KL weighs {_heavy(subject):g} times, so that codes are too dear"
    if _chained(subject):
        return "the autoregressive decoder sees what comes before each value and does without z"
    return "the posterior has collapsed onto the prior"


def _cure(subject: Subject) -> Cure:
    if _heavy(subject) > 1:
        return Cure({"beta": 1.0})
    if _chained(subject):
        return Cure({"preset": "bn_vae" if subject.kind.name == "sequences" else "vae"})
    return Cure({"preset": "free_bits_vae" if subject.takes("free_bits_vae") else "vae"})
