"""What weights are chosen by: the objective as it ends, on items that it was not trained on."""

from __future__ import annotations

import math

import torch

from vaekit.data import Items
from vaekit.distributions import Noise
from vaekit.model import VAE
from vaekit.objectives import Term
from vaekit.objectives.adversarial import Balanced
from vaekit.objectives.term import mean, owns


def settled(objective: Term) -> bool:
    """Whether the objective means the same at every step: no critic, multiplier or balance of its own moves it.

    Example:
        >>> from vaekit.objectives import Constrained, Distortion, Rate
        >>> settled(Distortion() + 4.0 * Rate()), settled(Rate() + Constrained(Distortion(), 10.0))
        (True, False)
    """
    return not owns(objective) and not any(isinstance(part, Balanced) for part in objective.modules())


@torch.no_grad()
def goal(model: VAE, objective: Term, items: Items, batch_size: int = 128) -> float:
    """The objective with every weight at its final value, nats per datum, the same draws at every call.

    Args:
        model: In evaluation mode while it is measured.
        objective: A settled one.
        items: Held-out items, each of which counts once.
        batch_size: About the rows of a batch, as in training: some terms compare rows with each other.

    Example:
        >>> from vaekit import presets
        >>> from vaekit.data import Vectors, as_items
        >>> model, objective = presets.wae_mmd(Vectors(3), latent=2)
        >>> items = as_items(torch.randn(64, 3))
        >>> goal(model, objective, items) == goal(model, objective, items)
        True
    """
    device = next(model.parameters()).device
    was = model.training, objective.training
    model.eval(), objective.eval()
    found, weights = [], []
    for number, rows in enumerate(torch.arange(len(items)).chunk(math.ceil(len(items) / batch_size))):
        noise = Noise(0, "goal", number)
        batch = items.batch(rows, noise).to(device)
        with noise.torch():
            out = model(batch.x, batch.c, batch.mask, objective.samples, noise, batch.weight)
            found.append(mean(objective(out, objective.finish), out))
        weights.append(torch.tensor(float(len(rows))) if batch.weight is None else batch.weight.sum())
    model.train(was[0]), objective.train(was[1])
    weight = torch.stack(weights).to(device)
    values = torch.where(weight > 0, torch.stack(found), 0.0)  # a batch whose every weight is 0 has no mean
    return float((weight * values).sum() / weight.sum())
