"""Never below the linear model: held-out −ELBO beside −log p(x) of probabilistic PCA on numeric tables.

    python benchmarks/linear_model.py FOLDER_OF_ADBENCH [NAME …] [--latent L] [--steps 6000]

Four tables are scikit-learn's own, the others all rows of ADBench's files, anomalies among them. A fifth of each is
held out, by seed 0; columns that are constant among the rest are left out, and all are standardised by the rest.
Probabilistic PCA is fitted to the rest by maximum likelihood, with the same number of latent dimensions; so is
`vaekit.sklearn.VAE`, which chooses its weights by a part of the rest. Both are densities in the columns' own units, in
nats a row.

Source: Tipping, Bishop (1999), Probabilistic principal component analysis.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import numpy as np
import torch

from vaekit.data import Items
from vaekit.data.vectors import moments
from vaekit.operations import bound
from vaekit.sklearn import VAE

OWN = ("iris", "wine", "breast_cancer", "diabetes")


def table(name: str, folder: Path | None) -> np.ndarray:
    """(N, D) of a table by its name."""
    if name in OWN:
        from sklearn import datasets

        return getattr(datasets, f"load_{name}")().data
    if folder is None:
        raise SystemExit(f"{name} is a table of ADBench: name the folder that holds it")
    return np.load(next(folder.glob(f"*_{name}.npz")))["X"].astype(np.float64)


def ppca(rest: np.ndarray, test: np.ndarray, latent: int) -> float:
    """Mean log p(x) of test rows under the probabilistic PCA most likely for the rest."""
    mean, size = rest.mean(0), rest.shape[1]
    values, vectors = np.linalg.eigh(np.cov(rest.T, bias=True))
    values, vectors = values[::-1].clip(0), vectors[:, ::-1]
    noise = max(values[latent:].mean(), 1e-4 * values.mean())
    model = np.concatenate([np.maximum(values[:latent], noise), np.full(size - latent, noise)])
    turned = (test - mean) @ vectors
    return float(
        -0.5 * ((turned**2 / model).sum(1) + np.log(model).sum() + size * math.log(2 * math.pi)).mean()
    )


def mean_elbo(model: VAE, test: np.ndarray) -> float:
    """Mean ELBO of test rows, from about 400 000 draws in all: 16 for each of few rows would blur its digits."""
    batch = Items(model.kind_.store(test), model.kind_).batch(torch.arange(len(test)))
    distortion, rate = bound(model.model_, batch.x.double(), samples=max(16, 400_000 // len(test)))
    assert rate is not None
    return float((model.kind_.log_volume(batch) - distortion - rate).mean())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("names", nargs="*", help="by default all there are")
    parser.add_argument("--latent", type=int, help="by default half of the columns, at most 16")
    parser.add_argument("--steps", type=int, default=6_000, help="at most, for each table")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    found = sorted(p.stem.partition("_")[2] for p in chosen.folder.glob("*.npz")) if chosen.folder else []
    print(
        f"{'table':18} {'rows':>6} {'D':>4} {'L':>3} {'-log p PPCA':>12} {'-ELBO VAE':>10} {'gain':>8} "
        f"{'step':>6} {'s':>5}"
    )
    for name in chosen.names or [*OWN, *found]:
        values = table(name, chosen.folder)
        order = np.random.default_rng(0).permutation(len(values))
        test, rest = values[order[: len(order) // 5]], values[order[len(order) // 5 :]]
        varies = rest.std(0) > 1e-12 * np.abs(rest.mean(0))
        test, rest = test[:, varies], rest[:, varies]
        mean, scale = moments(rest)
        latent = chosen.latent or min(16, max(1, rest.shape[1] // 2))
        linear = ppca((rest - mean) / scale, (test - mean) / scale, latent) - np.log(scale).sum()
        began = time.monotonic()
        steps = min(chosen.steps, max(300, 5 * len(rest)))
        model = VAE(latent, steps=steps, learning_rate=1e-3).fit(rest)
        seconds, elbo = time.monotonic() - began, mean_elbo(model, test)
        print(
            f"{name:18} {len(values):6} {rest.shape[1]:4} {latent:3} {-linear:12.3f} {-elbo:10.3f} "
            f"{elbo - linear:8.3f} {model.n_iter_:6} {seconds:5.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
