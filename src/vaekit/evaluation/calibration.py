"""What new items are held against: scores and codes of data that were held out."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from vaekit.data import Items
from vaekit.evaluation.latents import Codes, codes
from vaekit.evaluation.likelihood import scores
from vaekit.model import VAE

KEPT = 5_000  # held-out scores for p-values
MOST_PLACES = 200_000  # numbers of the codes of labels


@torch.no_grad()
def calibration(model: VAE, heldout: Items, known: Tensor | None = None) -> dict[str, Any]:
    """Sorted scores of held-out items, and which dimensions of a code are in use.

    Args:
        model: In evaluation mode.
        heldout: Items that it was not trained on.
        known: (n,) scores of held-out items, where they have been found already.

    Returns:
        `scores` (at most 5 000), `kl` (D,) mean nats of each dimension, `active` (D,) whether it is used, `codes` as
        `places` gives.
    """
    held = spaced(heldout, KEPT)
    found = codes(model, held)
    each = scores(model, held) if known is None else known
    values = [round(value, 6) for value in each.sort().values.tolist()]
    return {
        "scores": values,
        "kl": found.kl.tolist(),
        "active": found.active.tolist(),
        "codes": places(found, held),
    }


def places(found: Codes, items: Items) -> dict[str, Any]:
    """Where codes lie: what a step along one dimension, or towards a label, is measured by.

    Args:
        found: The codes of some items.
        items: The items, with labels or without.

    Returns:
        `mean`, `std` (D,) of E[z | x] over the items, and `labels`, the mean for each label that is there.
    """
    labels, names = items.labels, () if items.kind is None else items.kind.labels
    each = {}
    if labels is not None and len(names) * found.mean.shape[1] <= MOST_PLACES:
        rows = {name: labels == place for place, name in enumerate(names)}
        each = {name: found.mean[row].mean(0).tolist() for name, row in rows.items() if bool(row.any())}
    return {
        "mean": found.mean.mean(0).tolist(),
        "std": found.mean.std(0, correction=0).tolist(),
        "labels": each,
    }


def spaced(items: Items, most: int) -> Items:
    """At most so many items, spread evenly over all of them."""
    if len(items) <= most:
        return items
    return items.subset(torch.linspace(0, len(items) - 1, most).round().long())
