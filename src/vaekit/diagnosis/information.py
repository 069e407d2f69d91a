"""Is the rate spent on saying which item it is, or on lying elsewhere than the prior?

    rate = I(x; z) + KL(q(z) ‖ p(z))

Source: Hoffman, Johnson (2016), ELBO surgery.
"""

from __future__ import annotations

import math

from torch.distributions import Normal

from vaekit.diagnosis.cure import Cure
from vaekit.diagnosis.finding import Finding, left_out
from vaekit.diagnosis.subject import Subject
from vaekit.evaluation.latents import information as measured

SHARE = 0.1
FEW = 64  # items where a density of q costs a pass for each dimension
TITLE, THRESHOLD = "the rate is information", f"I below {SHARE:.0%} of the rate"


def information(subject: Subject) -> Finding:
    """I(x; z) as a share of the rate, or of log N where that is less, since N items cannot show more."""
    if subject.model.bottleneck.discrete:
        return left_out("information", TITLE, THRESHOLD, "a code of a codebook is certain given the item.")
    items = min(subject.effort.items, len(subject.seen))
    if type(subject.passes[0].latents[0].q) is not Normal:
        items = min(items, FEW)
    try:
        found = measured(subject.model, subject.seen, items)
    except ValueError as error:
        return left_out("information", TITLE, THRESHOLD, f"{error}.")
    most = min(found.rate, math.log(items))
    if most <= 0.1:
        reason = f"the rate is {found.rate:.2g} nats: there is nothing to divide."
        return left_out("information", TITLE, THRESHOLD, reason)
    share = found.mutual_information / most
    alarm = share < SHARE
    said = f"{found.mutual_information:.3g} nats of information at a rate of {found.rate:.3g}"
    said += (
        f" (at most log {items} = {math.log(items):.3g} can be shown)" if math.log(items) < found.rate else ""
    )
    said += ": the rate is paid for lying elsewhere than the prior" if alarm else ""
    cure = Cure(prior="flow") if alarm else None
    return Finding("information", TITLE, share, THRESHOLD, alarm, f"{said}.", cure)
