"""What every claim is made of, and the data and measurements that several of them share."""

from __future__ import annotations

import gzip
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vaekit.data import Images, Items
from vaekit.distributions import Noise
from vaekit.evaluation import evaluate
from vaekit.presets import Preset
from vaekit.training import Adam, fit, train, warm_cosine

Figures = dict[str, float]
DATA = Path(os.environ.get("VAEKIT_DATA", "data"))


@dataclass(frozen=True)
class Claim:
    """What a preset is for, and how that is seen.

    Attributes:
        preset: Its name.
        says: The claim in one line.
        data: What it is measured on.
        arms: Name → (seed → figures). The first arm is the preset's, the others are what it is held against. Arms
            that are one function object are run once for each seed, whichever claims they stand in.
        holds: (figures of each arm, the mean over seeds) → whether the claim holds.
        shown: The figures to print, in order.
    """

    preset: str
    says: str
    data: str
    arms: dict[str, Callable[[int], Figures]]
    holds: Callable[[dict[str, Figures]], bool]
    shown: tuple[str, ...]


@lru_cache(maxsize=8)
def idx(name: str) -> np.ndarray:
    """An IDX file of the shared data, such as mnist/train-images-idx3-ubyte.gz."""
    raw = gzip.decompress((DATA / name).read_bytes())
    dims = raw[3]
    shape = [int.from_bytes(raw[4 + 4 * i : 8 + 4 * i], "big") for i in range(dims)]
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * dims).reshape(shape)


@lru_cache(maxsize=8)
def pictures(
    name: str = "mnist", train: bool = True, binarize: str = "dynamic", most: int = 60_000, **options: Any
) -> tuple[Items, np.ndarray]:
    """MNIST or Fashion-MNIST as items, and its labels; dynamic binarisation unless told otherwise."""
    part = "train" if train else "t10k"
    images = idx(
        f"{name}-mnist/{part}-images-idx3-ubyte.gz"
        if name == "fashion"
        else f"{name}/{part}-images-idx3-ubyte.gz"
    )
    labels = idx(
        f"{name}-mnist/{part}-labels-idx1-ubyte.gz"
        if name == "fashion"
        else f"{name}/{part}-labels-idx1-ubyte.gz"
    )
    kind = Images(1, 28, 28, binarize=binarize, **options)
    stored = kind.store(images[:most].copy())
    return Items(stored, kind, torch.from_numpy(labels[:most].astype(np.int64))), labels[:most]


def composed(preset: Callable[..., Preset], kind: Any, seed: int, **options: Any) -> Preset:
    """A preset with its weights drawn from the seed."""
    with Noise(seed, "weights").torch():
        return preset(kind, **options)


def trained(
    made: Preset,
    items: Items,
    seed: int,
    steps: int | None = None,
    seconds: float | None = None,
    lr: float = 2e-3,
    batch_size: int = 128,
    clip: float | None = 500.0,
) -> Preset:
    """Train for so many steps, or so many seconds of this process's own computing time, with a cosine learning rate."""
    began = time.process_time()
    clock = None if seconds is None else (lambda: (time.process_time() - began) / seconds)
    progress = train(
        made.model,
        made.objective,
        items,
        steps=steps or 10**9,
        batch_size=batch_size,
        optimizer=Adam(lr, clip=clip),
        decay=warm_cosine,
        seed=seed,
        clock=clock,
    )
    for _ in progress:
        pass
    made.model.eval()
    return made


def likelihood(model: Any, items: Items, most: int = 500, samples: int = 200) -> Figures:
    """ELBO and its sides, −log p by importance sampling and active units, on the first held-out items."""
    found = evaluate(model, items.subset(torch.arange(min(most, len(items)))), samples)
    names = ("elbo", "rate", "distortion", "nll", "active_units")
    return {name: float(found[name]) for name in names if found[name] is not None}


__all__ = ["DATA", "Claim", "Figures", "composed", "fit", "idx", "likelihood", "pictures", "trained"]
