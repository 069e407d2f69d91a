"""The one judge of all families: figures of samples in the features of a classifier, beside those of real images."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import nn

from family_rows.shared import LEVELS, Sets, fashion
from vaekit.evaluation.features import Features, fit_classifier
from vaekit.evaluation.samples import fidelity, frechet_distance
from vaekit.evaluation.sharpness import edge_ratio, spectrum_distance

SAMPLES = 5_000  # images on each side of a comparison
SHARE = 0.01  # of the samples, from which on a class counts as there


class Judge:
    """The one classifier in whose features samples are compared, and the real images' side of each comparison."""

    def __init__(self, sets: Sets, real: np.ndarray, steps: int = 4_000) -> None:
        rows, classes = flat(sets.train), torch.from_numpy(sets.train_labels.astype(np.int64))
        self.whole = fit_classifier(rows, classes, seed=0, steps=steps)
        body = nn.Sequential(*list(self.whole.net.children())[:-1])
        self.features = Features(body, self.whole.shift, self.whole.scale, self.whole.far)
        self.accuracy = float((self.classes(sets.test) == sets.test_labels).mean())
        self.real, self.inside = real, self.features(flat(real))

    def classes(self, images: np.ndarray) -> np.ndarray:
        """What the classifier takes each image for, (N,)."""
        return self.whole(flat(images)).argmax(1)

    def frechet(self, images: np.ndarray) -> float:
        """Fréchet distance of images from the real ones."""
        return frechet_distance(self.inside, self.features(flat(images)))

    def figures(self, images: np.ndarray) -> dict[str, float]:
        """Everything that is asked of samples (N, 14, 14)."""
        near = fidelity(self.inside, self.features(flat(images)))
        shares = np.bincount(self.classes(images), minlength=10) / len(images)
        return {
            "frechet": self.frechet(images),
            "precision": near.precision,
            "recall": near.recall,
            "density": near.density,
            "coverage": near.coverage,
            "edges": edge_ratio(self.real, images),
            "spectrum": spectrum_distance(self.real, images),
            "classes": float((shares >= SHARE).sum()),
        }


def flat(images: np.ndarray) -> torch.Tensor:
    """Levels as rows of values in [0, 1]."""
    return torch.from_numpy(images.astype(np.float32) / (LEVELS - 1)).flatten(1)


@lru_cache(maxsize=2)
def judge(held: bool = False) -> Judge:
    """The classifier, once for a process; real images are those of the test set, or those held out for tuning."""
    sets = fashion()
    return Judge(sets, (sets.held if held else sets.test)[:SAMPLES])
