"""What is told of an item by which one sees that it is odd: a vector of statistics.

    −ELBO, distortion, rate    what the model says, in nats
    latent distance            from what the item's code stands for to that of the nearest training items
    residual distance          from what the code leaves over to what the nearest training items' codes leave over
    neighbour distance         both together (rows of numbers)
    column tails               how far out each cell lies in its column, whatever any model says
    greatest, rough misfit     of pictures: of the place that fits worst, and of the grain of what does not fit
    compressed size, …         how complex a picture is, whatever any model says

Distances are means over the 5 nearest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from vaekit.data import Images, Items
from vaekit.model import VAE
from vaekit.uses.coded import CHUNK, Coded
from vaekit.uses.complexity import complexity
from vaekit.uses.misfit import misfits
from vaekit.uses.neighbours import nearest
from vaekit.uses.tails import tails

NEIGHBOURS = 5  # nearest training items


@dataclass(frozen=True)
class Statistics:
    """Named statistics of items.

    Attributes:
        names: What each column is.
        values: (N, S) float64, finite.
    """

    names: tuple[str, ...]
    values: np.ndarray

    def __getitem__(self, name: str) -> np.ndarray:
        """One of them, (N,)."""
        return self.values[:, self.names.index(name)]

    def of(self, names: tuple[str, ...]) -> np.ndarray:
        """Some of them, (N, S′)."""
        return np.stack([self[name] for name in names], 1)


def statistics(
    model: VAE, seen: Coded, reference: Coded, pictured: Mapping[str, np.ndarray], contamination: float = 0.0
) -> Statistics:
    """The statistics of items in coded form, in order.

    Args:
        model: Whose codes they are.
        seen: The items; where they are the reference itself, none is its own neighbour.
        reference: What neighbours are looked for in.
        pictured: Statistics that pictures alone have, as `pictured` gives them.
        contamination: R, the share of the reference that is odd itself: neighbours are then that share, for fewer might
            all be odd.
    """
    own = seen is reference
    columns = {"distortion": seen.distortion}
    if model.bottleneck.stochastic:
        columns = {"−ELBO": seen.distortion + seen.rate, **columns, "rate": seen.rate}
    few = max(NEIGHBOURS, round(contamination * len(reference)))
    if reference.codes.shape[1]:
        columns["latent distance"] = nearest(seen.codes, reference.codes, few, own=own)
    if reference.residuals.shape[1]:
        columns["residual distance"] = nearest(seen.residuals, reference.residuals, few, own=own)
    if reference.codes.shape[1] == reference.residuals.shape[1] > 0:  # both in the space of the items
        here, there = (np.concatenate([of.codes, of.residuals], 1) for of in (seen, reference))
        columns["neighbour distance"] = nearest(here, there, few, own=own)
        cells, others = (of.codes + of.residuals for of in (seen, reference))
        columns["column tails"] = tails(cells, others, own=own)
    columns |= pictured
    values = np.stack([np.asarray(column, np.float64).ravel() for column in columns.values()], 1)  # (N, S)
    return Statistics(tuple(columns), np.nan_to_num(values, posinf=1e300, neginf=-1e300))


def pictured(items: Items, seen: Coded) -> dict[str, np.ndarray]:
    """Statistics that pictures alone have, of misfit and complexity, name → (N,); none of other kinds."""
    if not isinstance(items.kind, Images):
        return {}
    parts = []
    for start in range(0, len(items), CHUNK):
        part = items.subset(torch.arange(start, min(start + CHUNK, len(items))))
        parts.append(complexity(items.kind, part.raw))  # type: ignore[arg-type]
    more = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return misfits(items.kind, seen.residuals) | more
