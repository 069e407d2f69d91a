"""Which class a datum belongs to: by the classifier q(y | x), or by Bayes' rule from p(x, y)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from vaekit.model import VAE
from vaekit.operations.score import log_likelihood


@torch.no_grad()
def class_probabilities(model: VAE, x: Tensor, mask: Tensor | None = None) -> Tensor:
    """q(y | x) of every class.

    Args:
        model: A model whose bottleneck classifies, such as that of `semi_supervised_vae`.
        x: (B, *shape) data in the model's space.
        mask: (B, *shape) true where observed.

    Returns:
        (B, K), each row with the sum 1.

    Raises:
        ValueError: The model does not classify.
    """
    return _classifier(model)(model.features(x, None, mask)).exp()


@torch.no_grad()
def class_likelihoods(
    model: VAE,
    x: Tensor,
    mask: Tensor | None = None,
    samples: int = 50,
    seed: int = 0,
    rows: Tensor | None = None,
) -> Tensor:
    """log p(x, y) of every class y, by importance sampling with the label given to be each in turn.

    The softmax of a row is p(y | x) by the generative model; the log of the sum of the exponentials is log p(x), with
    the label summed out exactly.

    Args:
        model, x, mask: As in `class_probabilities`.
        samples: Draws of z for each datum and class.
        seed: Of the draws.
        rows: (B,) a key for each datum, so that its draws do not depend on its neighbours; its place by default.

    Returns:
        (B, K) nats.
    """
    _classifier(model)
    classes = len(model.bottleneck.frequencies)  # type: ignore[arg-type]
    each = torch.eye(classes, dtype=x.dtype, device=x.device)
    found = [log_likelihood(model, x, c.expand(len(x), -1), mask, samples, seed, rows) for c in each]
    return torch.stack(found, 1)


def _classifier(model: VAE) -> Callable[[Any], Tensor]:
    classify = getattr(model.bottleneck, "classify", None)
    if classify is None:
        raise ValueError("this model does not classify; train one with the preset semi_supervised_vae")
    return classify
