"""β-TCVAE on the whole grid of sprites, for minutes of computing; prints MIG, DCI and distortion on sprites drawn anew.

    python benchmarks/sprites.py [--minutes 20] [--seed 0] [--beta 6] [--threads 2]

The aim after 20 minutes is MIG ≥ 0.30 and DCI ≥ 0.50, over all five factors.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch

from vaekit import presets
from vaekit.data import Images, Items
from vaekit.datasets import Sprites
from vaekit.distributions import Noise
from vaekit.evaluation import evaluate
from vaekit.evaluation.disentanglement import dci, mig
from vaekit.evaluation.latents import codes
from vaekit.model import VAE
from vaekit.training import Adam, train, warm_cosine

TRAIN, TEST, SIDE = 200_000, 5_000, 32
KIND = Images(1, SIDE, SIDE, levels=2)


def grid(n: int, seed: int) -> tuple[Items, np.ndarray]:
    """Sprites drawn from the whole grid, two by two pixels being one, so that the networks are dense."""
    drawn = Sprites()
    factors = np.random.default_rng(seed).integers(0, drawn.factor_sizes, (n, 5))
    images = [_halved(drawn.draw(part)) for part in np.array_split(factors, -(-n // 10_000))]
    return Items(KIND.store(np.concatenate(images)), KIND), factors


def _halved(images: np.ndarray) -> np.ndarray:
    return (images.reshape(-1, SIDE, 2, SIDE, 2).sum((2, 4)) >= 2).astype(np.uint8)


def learned(items: Items, minutes: float, seed: int, beta: float) -> tuple[VAE, int]:
    """A β-TCVAE after so many minutes, and the steps it took."""
    with Noise(seed, "weights").torch():
        made = presets.beta_tc_vae(KIND, beta=beta)
    began, steps = time.monotonic(), 0
    progress = train(
        made.model, made.objective, items, steps=10**9, batch_size=256, optimizer=Adam(1e-3), decay=warm_cosine,
        seed=seed, clock=lambda: (time.monotonic() - began) / (60 * minutes),
    )  # fmt: skip
    for done in progress:
        steps = done.step
    made.model.eval()
    return made.model, steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--beta", type=float, default=6.0)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    items, _ = grid(TRAIN, given.seed)
    model, steps = learned(items, given.minutes, given.seed, given.beta)
    test, factors = grid(TEST, given.seed + 1_000)
    found, z = evaluate(model, test), codes(model, test).mean.numpy()
    print(f"{steps} steps in {given.minutes:g} minutes, seed {given.seed}, β = {given.beta:g}")
    print(f"MIG {mig(z, factors):.3f}  DCI {dci(z, factors, given.seed).disentanglement:.3f}")
    print(f"distortion {float(found['distortion']):.2f}  rate {float(found['rate']):.2f} nats")
    for i, name in enumerate(Sprites.factor_names):
        print(f"MIG of {name} {mig(z, factors[:, i : i + 1]):.3f}")


if __name__ == "__main__":
    main()
