"""Does the score tell odd items, or only complex ones?

Source: Serrà et al. (2020), arXiv:1909.11480: likelihoods of pictures follow the pictures' complexity.
"""

from __future__ import annotations

import numpy as np

from vaekit.diagnosis.cure import Cure
from vaekit.diagnosis.finding import Finding, left_out
from vaekit.diagnosis.overfitting import negative_elbo
from vaekit.diagnosis.subject import Subject
from vaekit.uses.complexity import complexity

RHO, FEWEST = 0.9, 20
TITLE, THRESHOLD = "scores are more than complexity", f"|ρ| above {RHO}"


def score(subject: Subject) -> Finding:
    """Rank correlation of −ELBO with the size to which held-out pictures are compressed."""
    items = subject.some(subject.heldout, subject.effort.items)
    if len(items) < FEWEST:
        return left_out("score", TITLE, THRESHOLD, f"{len(items)} held-out items are too few.")
    found = complexity(subject.kind, items.raw)  # type: ignore[arg-type]
    if not found:
        return left_out("score", TITLE, THRESHOLD, "only pictures have a complexity of their own.")
    rho = rank_correlation(negative_elbo(subject, subject.heldout).numpy(), found["compressed size"])
    alarm = abs(rho) > RHO
    said = f"the score's rank correlation with the pictures' compressed size is {rho:.2f}"
    said += ": −ELBO alone mostly says how complex a picture is" if alarm else ""
    cure = Cure({"reference": True}) if alarm else None
    return Finding("score", TITLE, rho, THRESHOLD, alarm, f"{said}.", cure)


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's ρ; 0 where one of them does not vary.

    Example:
        >>> rank_correlation(np.array([1.0, 2.0, 9.0]), np.array([3.0, 4.0, 5.0]))
        1.0
    """
    from scipy.stats import rankdata

    ranks = [rankdata(values) for values in (a, b)]
    if any(np.ptp(r) == 0 for r in ranks):
        return 0.0
    return round(float(np.corrcoef(*ranks)[0, 1]), 12)
