"""The scores that a new item is held against: those of the held-out items."""

from __future__ import annotations

import numpy as np

from vaekit.explorer.points import Points
from vaekit.explorer.subject import Subject


def heldout_scores(subject: Subject, points: Points) -> np.ndarray:
    """Sorted −ELBO of held-out items, nats: measured here, or what the model folder keeps."""
    known = np.sort(np.asarray(subject.calibration.get("scores") or [], dtype=np.float64))
    return known if scored_by_draws(subject, points) else points.heldout


def scored_by_draws(subject: Subject, points: Points) -> bool:
    """Whether the scores are those that the model folder keeps, since no held-out items are here to be measured.

    They are means over draws from q(z | x), which take longer than the centre of q that is looked at otherwise. A new
    item has to be scored in the same way as those that it is held against.
    """
    here = points.items is not None and points.split is not None and bool((points.split == 0).any())
    return not here and bool(subject.calibration.get("scores"))
