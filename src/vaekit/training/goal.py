"""What weights are chosen by: the objective as it ends, on items that it was not trained on."""

from __future__ import annotations

import torch

from vaekit.data import Items
from vaekit.distributions import Noise
from vaekit.model import VAE
from vaekit.objectives import Term
from vaekit.objectives.adversarial import Balanced
from vaekit.objectives.term import owns


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
        items: Held-out items; what is left over from whole batches counts where there is no whole one.
        batch_size: Rows of a batch, as in training: some terms compare rows with each other.

    Example:
        >>> from vaekit import presets
        >>> from vaekit.data import Vectors, as_items
        >>> model, objective = presets.wae_mmd(Vectors(3), latent=2)
        >>> items = as_items(torch.randn(64, 3))
        >>> goal(model, objective, items) == goal(model, objective, items)
        True
    """
    device = next(model.parameters()).device
    size = min(batch_size, len(items))
    was = model.training, objective.training
    model.eval(), objective.eval()
    values = []
    for start in range(0, len(items) - size + 1, size):
        noise = Noise(0, "goal", start)
        batch = items.batch(torch.arange(start, start + size), noise).to(device)
        with noise.torch():
            out = model(batch.x, batch.c, batch.mask, objective.samples, noise, batch.weight)
            values.append(objective(out, objective.finish).mean())
    model.train(was[0]), objective.train(was[1])
    return float(torch.stack(values).mean())
