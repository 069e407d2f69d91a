"""Variational autoencoders: the presets `vae` and `top_down_vae` as they are, with the kind's own likelihood."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from family_rows.shared import LEVELS, PIXELS, SIDE, Learner, bits_per_pixel, stopwatch
from vaekit import presets
from vaekit.data import Images, Items
from vaekit.distributions import Noise
from vaekit.evaluation import evaluate, scores
from vaekit.operations import sample
from vaekit.presets import Preset
from vaekit.training import Adam, train, warm_cosine

SAMPLED = 1_000  # images whose likelihood is estimated by importance sampling too
DRAWS = 100


class Autoencoder(Learner):
    """A preset behind the questions of this comparison.

    Its samples are the centres of p(x | z), which is what `vaekit sample` gives; `draw` gives draws from p(x | z), of
    which the likelihood speaks.

    Args:
        preset: kind → model and objective.
        seed: Of the weights.
        lr: Largest learning rate.
        options: Of the preset.
    """

    def __init__(self, preset: Any, seed: int, lr: float, **options: Any) -> None:
        self.kind = Images(1, SIDE, SIDE, levels=LEVELS)
        with Noise(seed, "weights").torch():
            made: Preset = preset(self.kind, **options)
        self.net, self.objective, self.lr = made.model, made.objective, lr

    def learn(self, images: np.ndarray, seconds: float, seed: int, most: int = 10**9) -> int:
        steps = 0
        for progress in train(
            self.net, self.objective, self._items(images), steps=most, batch_size=self.batch,
            optimizer=Adam(self.lr, clip=500.0), decay=warm_cosine, seed=seed, clock=stopwatch(seconds),
        ):  # fmt: skip
            steps = progress.step
        self.net.eval()
        return steps

    def sample(self, n: int) -> np.ndarray:
        return self._drawn(n, mean=True)

    def draw(self, n: int) -> np.ndarray:
        """Draws from p(x | z) in the place of its centres."""
        return self._drawn(n, mean=False)

    def _drawn(self, n: int, mean: bool) -> np.ndarray:
        x = sample(self.net, n, seed=int(torch.randint(2**31, ())), mean=mean)
        return self.kind.decode(x)

    def bits(self, images: np.ndarray) -> np.ndarray:
        return bits_per_pixel(scores(self.net, self._items(images)).double()).numpy()

    def tighter(self, images: np.ndarray) -> float:
        """Bits for each pixel by importance sampling with 100 draws, a tighter bound, over the first 1 000 images."""
        found = evaluate(self.net, self._items(images[:SAMPLED]), DRAWS)
        return float(bits_per_pixel(torch.tensor(found["nll"])))

    def _items(self, images: np.ndarray) -> Items:
        stored: Tensor = self.kind.store(np.ascontiguousarray(images))
        return Items(stored, self.kind)


def vae(seed: int) -> Autoencoder:
    """One latent variable of 24 dimensions."""
    return Autoencoder(presets.vae, seed, lr=4e-3, latent=24)


__all__ = ["PIXELS", "Autoencoder", "vae"]
