"""Whether a model copies: how near its samples come to training items, held against items it has never seen.

    d(x) = min over training items ‖x − x_i‖,  t = the 1 % quantile of d(held-out item)
    copy rate = P(d(sample) ≤ t)

Held-out items have about 1 % of it; a model that only repeats training items has nearly 100 %.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from vaekit.data import Items
from vaekit.distributions import Noise
from vaekit.report.view import View, values

TRAINING = 20_000  # training items that are searched
NUMBERS = 1 << 23  # held at once while searching: 32 MB
QUANTILE = 0.01


@torch.no_grad()
def nearest(queries: Tensor, train: Items, view: View, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The nearest training item of each query, by Euclidean distance in the model's space.

    Args:
        queries: (Q, F) as `view.compared` gives them.
        train: The training items; of more than 20 000 a random choice of so many is searched.
        view: How items are compared.
        seed: Of the choice.

    Returns:
        Distances (Q,) and places in `train` (Q,).
    """
    count = len(train)
    chosen = torch.arange(count)
    if count > TRAINING:
        chosen = Noise(seed, "report neighbors").permutation(count)[:TRAINING].sort().values
    best = torch.full((len(queries),), torch.inf, device=queries.device)
    place = torch.zeros(len(queries), dtype=torch.long, device=queries.device)
    for part in chosen.split(max(1, min(2_048, NUMBERS // queries.shape[1]))):
        distance, which = torch.cdist(queries, _features(train, part, view, queries)).min(1)
        closer = distance < best
        best = torch.where(closer, distance, best)
        place = torch.where(closer, part.to(place.device)[which], place)
    # once more without the rounding of the matrix product, so that a copy is at distance 0
    exact = (queries.double() - _features(train, place.cpu(), view, queries).double()).norm(dim=1)
    return exact.cpu().numpy(), place.cpu().numpy()


def _features(train: Items, index: Tensor, view: View, like: Tensor) -> Tensor:
    return view.compared(values(train.batch(index))).to(like.device)


def copy_rate(samples: Any, heldout: Any) -> tuple[float, float]:
    """The share of samples that lie as near to a training item as only the nearest 1 % of held-out items do.

    Args:
        samples: (S,) distance of each sample to its nearest training item.
        heldout: (H,) the same of held-out items.

    Returns:
        The share of samples, and the share of held-out items (about 1 % by construction), both in [0, 1].

    Example:
        >>> copy_rate([0.0, 0.0, 5.0, 6.0], range(1, 101))
        (0.5, 0.01)
    """
    held = np.asarray(heldout, dtype=np.float64)
    threshold = np.quantile(held, QUANTILE)
    drawn = np.asarray(samples, dtype=np.float64)
    return float((drawn <= threshold).mean()), float((held <= threshold).mean())
