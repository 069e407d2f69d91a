"""Editing: a datum's code moved in one direction, and how far that moved what lies across it.

    v = (E q(z | x') − E q(z | x)) / σ,  d = (z' − z) / σ      in standard deviations σ of q(z | x)
    moved = ⟨v, d⟩ / ‖d‖,  others = ‖v − moved · d / ‖d‖‖

z' is the code that was asked for and x' what the decoder made of it, encoded again. A decoder whose directions the
encoder tells apart has others = 0; where changing one factor drags others along, others is how far, in units in which
1 is what the model can just tell apart.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.distributions import Normal

from vaekit.bottlenecks import Latent
from vaekit.distributions import MEAN
from vaekit.distributions.gumbel import OneHot
from vaekit.model import VAE
from vaekit.operations.codes import packed


class Moved(NamedTuple):
    """How far an edit moved a datum, in standard deviations of q(z | x).

    Attributes:
        asked: ‖d‖, (B,) how far it was meant to.
        moved: (B,) how far it did in that direction.
        others: (B,) how far it did across that direction.
    """

    asked: Tensor
    moved: Tensor
    others: Tensor


def moved(before: Tensor, after: Tensor, wanted: Tensor, std: Tensor) -> Moved:
    """What of a change of code lies along the one that was wanted, and what across it.

    Args:
        before, after: (B, D) codes of the data and of what was made of them.
        wanted: (B, D) the change that was asked for; where it is zero, all of the change lies across.
        std: (B, D) standard deviations of q(z | x).

    Example:
        >>> one = torch.ones(1, 2)
        >>> moved(0 * one, torch.tensor([[3.0, 4.0]]), torch.tensor([[2.0, 0.0]]), 0.5 * one)
        Moved(asked=tensor([4.]), moved=tensor([6.]), others=tensor([8.]))
    """
    came, direction = (after - before) / std, wanted / std  # (B, D)
    asked = direction.norm(dim=1)
    unit = direction / asked.clamp(min=torch.finfo(asked.dtype).tiny).unsqueeze(1)
    along = (came * unit).sum(1)
    return Moved(asked, along, (came - along.unsqueeze(1) * unit).norm(dim=1))


@torch.no_grad()
def transported(model: VAE, z: Any, c: Tensor, c_new: Tensor) -> Tensor:
    """Codes at the same place of another condition's prior: z' = μ′ + (σ′ / σ) (z − μ), packed.

    This is the optimal transport from N(μ, σ²), the prior given c, to N(μ′, σ′²), that given c_new. A label that is
    itself a latent variable becomes the new one; what has a prior of another form stays as it is.

    Args:
        model: A conditional model.
        z: Codes in the form `encode` gives.
        c, c_new: (B, A) conditions.

    Returns:
        (B, D)
    """
    old, new = (model.bottleneck(c=each, n=len(each), noise=MEAN)[1] for each in (c, c_new))
    values = z if isinstance(z, list) else [z]
    return packed([_across(*each) for each in zip(values, old, new, strict=True)])


def _across(z: Tensor, old: Latent, new: Latent) -> Tensor:
    p, p_new = old.p, new.p
    if isinstance(p, Normal) and isinstance(p_new, Normal):
        return p_new.loc + p_new.scale / p.scale * (z - p.loc)
    return new.z.expand_as(z) if isinstance(p, OneHot) else z
