"""Claims of the presets with discrete latents: codes on Fashion-MNIST at 14 × 14 (means of 2 × 2), categories on MNIST.

At equal bits: 16 codes of 9 bits for each image, or 16 × 4 of 4 bits where codebooks are residual.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from claim_rows.shared import Claim, Figures, composed, idx, likelihood, pictures, trained
from vaekit.bottlenecks.quantizers import Quantizer, VectorQuantizer
from vaekit.bottlenecks.residual import ResidualQuantizer
from vaekit.data import Images, Items, Kind
from vaekit.distributions import Noise, center
from vaekit.distributions.gumbel import GumbelSoftmax, OneHot
from vaekit.model import VAE
from vaekit.objectives import Distortion, Penalty
from vaekit.presets import Preset, discrete

STEPS, CODES = 500, 512


@lru_cache(maxsize=2)
def halved(train: bool = True) -> Items:
    """Fashion-MNIST with half the pixels on each side."""
    images = idx(f"fashion-mnist/{'train' if train else 't10k'}-images-idx3-ubyte.gz")
    means = images[:30_000].reshape(-1, 14, 2, 14, 2).mean((2, 4), dtype=np.float32).round().astype(np.uint8)
    kind = Images(1, 14, 14)
    return Items(kind.store(means), kind)


@torch.no_grad()
def quantised(model: VAE, items: Items, most: int = 2_000) -> Figures:
    """Mean squared error, distortion, bits and share of all codes in use, on the first held-out items."""
    batch = items.batch(torch.arange(most))
    out = model(batch.x)
    latent = out.latents[0]
    return {
        "mse": float((center(out.px) - batch.x).square().mean()),
        "distortion": float(out.distortion.mean()),
        "bits": float(out.rate.mean()) / np.log(2),
        "used": used(latent.z, model.bottleneck.quantizer),
    }


def used(codes: Tensor, quantizer: Quantizer) -> float:
    """Share of the codebook that came: the smallest of all stages; of all combinations where entries are rounded."""
    if isinstance(quantizer.levels, int):
        return len(codes.unique()) / quantizer.levels
    if isinstance(quantizer, ResidualQuantizer):
        return min(used(own, stage) for own, stage in zip(codes.unbind(-1), quantizer.stages, strict=True))  # type: ignore[arg-type]
    return len(codes.flatten(0, -2).unique(dim=0)) / float(np.prod(quantizer.levels))


def _measured(preset: object, seed: int, **options: float) -> Figures:
    made = composed(preset, halved().kind, seed, **options)  # type: ignore[arg-type]
    return quantised(trained(made, halved(), seed, steps=STEPS).model, halved(train=False))


class Naive(VectorQuantizer):
    """The gradient form as it was first published: no start from data, no revival."""

    def see_first(self, h: Tensor) -> None:
        pass


def naive_preset(kind: Kind) -> Preset:
    return Preset(discrete.quantized(kind, Naive(CODES, 16)), Distortion() + Penalty())


def naive_residual_preset(kind: Kind) -> Preset:
    stages = ResidualQuantizer([Naive(16, 16) for _ in range(4)])
    return Preset(discrete.quantized(kind, stages), Distortion() + Penalty())


def vq_vae(seed: int) -> Figures:
    return _measured(discrete.vq_vae, seed, codes=CODES)


def naive(seed: int) -> Figures:
    return _measured(naive_preset, seed)


def rvq_vae(seed: int) -> Figures:
    return _measured(discrete.rvq_vae, seed, codes=16, stages=4)


def naive_residual(seed: int) -> Figures:
    return _measured(naive_residual_preset, seed)


def fsq_vae(seed: int) -> Figures:
    """8³ = 512 levels."""
    return _measured(discrete.fsq_vae, seed, latent=3, levels=8)


class Noiseless(GumbelSoftmax):
    """The softmax itself while training: nothing is drawn."""

    def forward(self, params: Tensor) -> OneHot:
        return super().forward(params) if not self.training else Undrawn(super().forward(params).logits)


class Undrawn(OneHot):
    def draw(self, noise: Noise) -> tuple[Tensor, None]:
        return self.mean, None


def noiseless_preset(kind: Kind) -> Preset:
    made = discrete.gumbel_vae(kind)
    made.model.bottleneck.posterior.family = Noiseless(8)
    return made


def _categories(preset: object, seed: int) -> Figures:
    items, test = pictures()[0], pictures(train=False)[0]
    made = composed(preset, items.kind, seed)  # type: ignore[arg-type]
    return likelihood(trained(made, items, seed, steps=1_500).model, test)


def gumbel_vae(seed: int) -> Figures:
    return _categories(discrete.gumbel_vae, seed)


def noiseless(seed: int) -> Figures:
    return _categories(noiseless_preset, seed)


ON, SHOWN = "Fashion-MNIST, 14 × 14", ("mse", "distortion", "bits", "used")
CLAIMS = [
    Claim(
        "vq_vae", "≥ 90 % of the codebook in use, and less error than a naive VQ at equal bits", ON,
        {"vq_vae": vq_vae, "no k-means, average or revival": naive},
        lambda f: f["vq_vae"]["used"] >= 0.9
        and f["vq_vae"]["mse"] < 0.9 * f["no k-means, average or revival"]["mse"], SHOWN,
    ),
    Claim(
        "rvq_vae", "every codebook ≥ 90 % in use, and less error than naive ones at equal bits", ON,
        {"rvq_vae": rvq_vae, "no k-means, average or revival": naive_residual},
        lambda f: f["rvq_vae"]["used"] >= 0.9
        and f["rvq_vae"]["mse"] < f["no k-means, average or revival"]["mse"], SHOWN,
    ),
    Claim(
        "fsq_vae", "more of its levels in use, and less error, than a naive VQ at equal bits", ON,
        {"fsq_vae": fsq_vae, "naive VQ": naive},
        lambda f: f["fsq_vae"]["used"] > 5 * f["naive VQ"]["used"]
        and f["fsq_vae"]["mse"] < 0.9 * f["naive VQ"]["mse"], SHOWN,
    ),
    Claim(
        "gumbel_vae", "a tighter bound with one-hot latents than a softmax that was trained without noise",
        "MNIST, dynamic", {"gumbel_vae": gumbel_vae, "without Gumbel noise": noiseless},
        lambda f: f["gumbel_vae"]["elbo"] > f["without Gumbel noise"]["elbo"],
        ("elbo", "nll", "rate", "distortion", "active_units"),
    ),
]  # fmt: skip
