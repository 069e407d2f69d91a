"""What the latent space is used for."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vaekit.data import Items
from vaekit.model import VAE
from vaekit.operations import embed

ACTIVE = 0.01  # variance of a posterior mean over data above which a dimension counts as used


@dataclass
class Codes:
    """q(z | x) of many data.

    Attributes:
        mean, std: (N, D).
        kl: (D,) mean KL of each dimension, nats.
    """

    mean: Tensor
    std: Tensor
    kl: Tensor

    @property
    def active(self) -> Tensor:
        """Which dimensions are used: Var_x(E_q[z]) > 0.01, (D,) of bool.

        Source: Burda, Grosse, Salakhutdinov (2016), arXiv:1509.00519.
        """
        if len(self.mean) < 2:
            return torch.zeros(self.mean.shape[1], dtype=torch.bool)
        return self.mean.var(0) > ACTIVE


@torch.no_grad()
def codes(model: VAE, items: Items, size: int = 1024) -> Codes:
    """The codes of every item, in order."""
    device = next(model.parameters()).device
    found = [embed(model, b.x, b.c, b.mask) for b in (batch.to(device) for batch in items.batches(size))]
    means, stds, kls = (torch.cat([part[i] for part in found]).cpu() for i in range(3))
    return Codes(means, stds, kls.double().mean(0))
