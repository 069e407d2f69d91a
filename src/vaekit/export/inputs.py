"""Items to hold a written graph against its model with: held-out ones, or the model's own, as its kind reads them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from vaekit.data import Batch, Items, Kind
from vaekit.distributions import MEAN, Noise, draw
from vaekit.model import VAE
from vaekit.operations import unpacked


def probe(model: VAE, kind: Kind, rows: int, heldout: Items | None = None, seed: int = 0) -> Batch:
    """Some items in the model's space: held-out ones if there are any, and else what the model itself draws.

    What is drawn is decoded to what users know and read again, so that it is an item as a user has it.

    Args:
        model: In evaluation mode.
        kind: Of its data.
        rows: How many.
        heldout: Items that it was not trained on.
        seed: Of the draws.
    """
    if heldout is not None and len(heldout):
        return heldout.batch(torch.arange(rows) % len(heldout))
    c = kind.conditions(rows, None, Noise(seed, "probe labels"))
    with torch.no_grad():
        drawn = _drawn(model, kind, rows, c, Noise(seed, "probe"))
    batch = kind.encode(_stored(kind, kind.decode(drawn, c)))
    return Batch(batch.x, c, batch.mask)


def _drawn(model: VAE, kind: Kind, rows: int, c: Tensor | None, noise: Noise) -> Tensor:
    """x (rows, *shape) ~ p(x | z), z from the prior, or near zero for codes without one."""
    bottleneck = model.bottleneck
    if bottleneck.stochastic or getattr(bottleneck, "prior", None) is not None:
        return model.sample(rows, c, noise=noise)
    like = model.encode(torch.zeros(1, *kind.shape), None if c is None else c[:1])
    z = unpacked(noise.normal((rows, like[0].numel())), like)
    return draw(model.decode(z, c, noise=MEAN), noise)[0]


def _stored(kind: Kind, items: Any) -> Tensor:
    """What users know, in storage form; dense."""
    rows = kind.store(items)
    return rows if isinstance(rows, Tensor) else rows[torch.from_numpy(np.arange(len(rows)))]
