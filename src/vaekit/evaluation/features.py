"""What samples are compared in: the values before a small classifier's last layer, or random ones.

Distances in these features compare models on the same data and with the same features; they are not those of the
Inception network, so their figures are no FID.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vaekit.distributions import Noise

CHUNK = 4_096  # rows at once
FAR = 10.0  # standard deviations at which an input is cut off: a pixel that is rarely lit would drown the others
BATCH = 128


@dataclass(frozen=True)
class Features:
    """A function from data to features, the same at every call.

    Attributes:
        net: (M, D) inputs → (M, K).
        shift, scale: (D,) or (), taken from and divided out of the flattened data.
        far: Where what is left is cut off, on both sides of zero.
    """

    net: nn.Module
    shift: Tensor
    scale: Tensor
    far: float = math.inf

    @torch.no_grad()
    def __call__(self, images: Any) -> np.ndarray:
        """Features (M, K) float64 of data (M, …)."""
        rows = _rows(images)
        parts = [self.net(self.scaled(rows[i : i + CHUNK])) for i in range(0, len(rows), CHUNK)]
        return torch.cat(parts).double().numpy()

    def scaled(self, rows: Tensor) -> Tensor:
        """Flat rows (M, D) as the network sees them."""
        return ((rows - self.shift) / self.scale).clamp(-self.far, self.far)


def classifier_features(
    images: Any, labels: Any, seed: int = 0, size: int = 64, steps: int = 1_000
) -> Features:
    """The values before the last layer of a classifier trained on labelled data of the same kind.

    Args:
        images: (N, …) data to train on; not the data that are compared.
        labels: (N,) of any type; two or more different ones.
        seed: Of the first weights and the batches; the same seed gives the same features.
        size: K, how many features.
        steps: Of Adam, with 128 data each.

    Returns:
        A function of data (M, …) → (M, K).

    Raises:
        ValueError: There is one label only, or their number is not that of the data.

    Example:
        >>> from vaekit.datasets import digits
        >>> images, labels = digits()
        >>> classifier_features(images[:200], labels[:200], steps=10)(images[:5]).shape
        (5, 64)
    """
    names, classes = np.unique(np.asarray(labels), return_inverse=True)
    if len(names) < 2 or classes.shape != (len(images),):
        raise ValueError(
            f"a classifier needs two labels or more, one for each of the {len(images)} data, "
            f"not {len(names)} in {classes.shape}"
        )
    whole = fit_classifier(_rows(images), torch.from_numpy(classes), seed, size, steps)
    return Features(nn.Sequential(*list(whole.net.children())[:-1]), whole.shift, whole.scale, whole.far)


def random_features(shape: Sequence[int], seed: int = 0, size: int = 64) -> Features:
    """Features of a network that was never trained, for data without labels.

    Without biases and with rectifiers, so that data twice as large have features twice as large. They tell less apart
    than a classifier's do.

    Args:
        shape: Of one datum.
        seed: Of the weights.
        size: K, how many features.

    Returns:
        A function of data (M, *shape) → (M, K).

    Example:
        >>> random_features((8, 8))(np.zeros((3, 8, 8))).shape
        (3, 64)
    """
    width, noise = math.prod(shape), Noise(seed, "random features")
    # empty, so that torch's own generator is left alone
    layers = [
        nn.utils.skip_init(nn.Linear, inputs, outputs, bias=False)
        for inputs, outputs in ((width, 4 * size), (4 * size, size))
    ]
    with torch.no_grad():
        for layer in layers:
            layer.weight.copy_(noise.normal(layer.weight.shape) * math.sqrt(2 / layer.in_features))
    net = nn.Sequential(layers[0], nn.ReLU(), layers[1], nn.ReLU())
    return Features(net, torch.tensor(0.0), torch.tensor(1.0))


def fit_classifier(
    rows: Tensor, classes: Tensor, seed: int, size: int = 64, steps: int = 1_000, decay: float = 1e-2
) -> Features:
    """A small classifier of flat rows; its features are the logits.

    Args:
        rows: (N, D) float32.
        classes: (N,) integers from 0, all of which occur.
        seed: Of the first weights and the batches.
        size: Width of the layer before the last.
        steps: Of Adam.
        decay: Weight decay.
    """
    scale = rows.std(0)
    start = Features(
        _network(rows.shape[1], size, int(classes.max()) + 1, seed),
        rows.mean(0),
        torch.where(scale > 0, scale, 1.0),
        FAR,
    )
    noise = Noise(seed, "classifier batches")
    optimizer = torch.optim.AdamW(start.net.parameters(), lr=1e-3, weight_decay=decay, fused=True)
    for _ in range(steps):
        at = torch.from_numpy(noise.integers(len(rows), (min(BATCH, len(rows)),)).astype(np.int64))
        loss = nn.functional.cross_entropy(start.net(start.scaled(rows[at])), classes[at])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return start


def _network(inputs: int, size: int, classes: int, seed: int) -> nn.Sequential:
    with Noise(seed, "classifier").torch():
        hidden = [nn.Linear(inputs, 2 * size), nn.ReLU(), nn.Linear(2 * size, size), nn.ReLU()]
        return nn.Sequential(*hidden, nn.Linear(size, classes))


def _rows(images: Any) -> Tensor:
    """Data as (M, D) float32."""
    t = images if isinstance(images, Tensor) else torch.as_tensor(np.asarray(images))
    return t.detach().cpu().float().flatten(1) if t.dim() > 1 else t.detach().cpu().float().unsqueeze(1)
