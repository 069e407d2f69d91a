"""What the scores of new items are held against: those of data that were held out."""

from __future__ import annotations

from typing import Any

import torch

from vaekit.data import Items
from vaekit.evaluation.latents import codes
from vaekit.evaluation.likelihood import scores
from vaekit.model import VAE

KEPT = 5_000  # held-out scores for p-values


@torch.no_grad()
def calibration(model: VAE, heldout: Items) -> dict[str, Any]:
    """Sorted scores of held-out items, and which dimensions of a code are in use.

    Returns:
        `scores` (at most 5 000), `kl` (D,) mean nats of each dimension, `active` (D,) whether it is used.
    """
    held = spaced(heldout, KEPT)
    found = codes(model, held)
    values = [round(value, 6) for value in scores(model, held).sort().values.tolist()]
    return {"scores": values, "kl": found.kl.tolist(), "active": found.active.tolist()}


def spaced(items: Items, most: int) -> Items:
    """At most so many items, spread evenly over all of them."""
    if len(items) <= most:
        return items
    return items.subset(torch.linspace(0, len(items) - 1, most).round().long())
