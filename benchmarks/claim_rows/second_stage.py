"""Claims of the priors that are fitted after training: one VAE of Fashion-MNIST, and a prior of each kind for it."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import torch
from torch import nn

from claim_rows.shared import Claim, Figures, composed, pictures, trained
from vaekit import presets
from vaekit.data import Items
from vaekit.distributions import Noise
from vaekit.evaluation import evaluate
from vaekit.evaluation.copies import copy_rate
from vaekit.evaluation.features import Features, classifier_features
from vaekit.evaluation.samples import frechet_distance
from vaekit.model import VAE
from vaekit.persistence import load, save
from vaekit.priors.autoregressive import AutoregressiveCodes
from vaekit.priors.diffusion import RectifiedFlow
from vaekit.priors.fitted_mixture import FittedMixture
from vaekit.priors.flow import Flow
from vaekit.priors.second_vae import TwoStage
from vaekit.priors.standardised import Standardised
from vaekit.training import fit_prior

LATENT, VAE_SECONDS, PRIOR_SECONDS, CODES_SECONDS = 24, 40, 30, 60
SAMPLES, COMPARED = 5_000, 10_000
MAPS = 2_000  # of codes, which come one place at a time
KEPT = Path(gettempdir()) / "vaekit-second-stage"  # models that several arms share


@lru_cache(maxsize=2)
def fashion(train: bool = True) -> Items:
    return pictures("fashion", train=train, binarize="none")[0]


@lru_cache(maxsize=1)
def told() -> Features:
    """Features of a classifier of 5 000 training pictures."""
    first = fashion().batch(torch.arange(5_000))
    return classifier_features(first.x, first.y, 0, steps=300)


def shared(name: str, seed: int, **options: Any) -> VAE:
    """A model that is trained once for each seed by whichever arm of one run of the table comes first."""
    path = KEPT / f"{name}-{seed}-{os.getppid()}"
    if not path.exists():
        made = composed(getattr(presets, name), fashion().kind, seed, **options)
        model = trained(made, fashion(), seed, seconds=VAE_SECONDS).model
        own = path.with_name(f"{path.name}.{os.getpid()}")
        save(own, model, fashion().kind)
        try:
            own.rename(path)
        except OSError:  # another arm was first
            shutil.rmtree(own)
    return load(path)[0]


def distance(model: VAE, seed: int, samples: int = SAMPLES) -> Figures:
    """How far the means of new pictures are from test pictures, and how many of them are nearer to training ones."""
    noise = Noise(seed, "new")
    with torch.no_grad():
        new = torch.cat([model.sample(1_000, noise=noise, mean=True) for _ in range(samples // 1_000)])
    test = fashion(train=False).batch(torch.arange(COMPARED)).x
    features = told()
    train = fashion().batch(torch.arange(20_000)).x
    copies = copy_rate(features(new)[:2_000], features(train), features(test)[:2_000])
    apart = frechet_distance(features(new), features(test))
    return {"distance": apart, "copies": copies.rate, "copies_heldout": copies.control}


def clock(seconds: float) -> Callable[[], float]:
    began = time.process_time()
    return lambda: (time.process_time() - began) / seconds


def _vae(seed: int) -> VAE:
    return shared("sigma_vae", seed, latent=LATENT)


def _fitted(seed: int, make: Callable[[], nn.Module]) -> Figures:
    with Noise(seed, "prior weights").torch():
        prior = make()
    model = fit_prior(_vae(seed), prior, fashion(), steps=10**9, seed=seed, clock=clock(PRIOR_SECONDS))
    return distance(model, seed)


def standard(seed: int) -> Figures:
    """N(0, I), which the VAE was trained with."""
    return distance(_vae(seed), seed)


def mixture(seed: int) -> Figures:
    return _fitted(seed, lambda: FittedMixture(10, LATENT))


def flow(seed: int) -> Figures:
    return _fitted(seed, lambda: Standardised(Flow("NSF", LATENT, 0, hidden=[128, 128]), LATENT))


def second_vae(seed: int) -> Figures:
    return _fitted(seed, lambda: Standardised(TwoStage(LATENT), LATENT))


def rectified(seed: int) -> Figures:
    return _fitted(seed, lambda: Standardised(RectifiedFlow(LATENT), LATENT))


# --- codes


def _codes(seed: int, fit: bool) -> Figures:
    model = shared("vq_vae", seed)
    if fit:
        shape = model.encode(fashion().batch(torch.arange(2)).x).shape[1:]
        with Noise(seed, "prior weights").torch():
            prior = AutoregressiveCodes(shape, model.bottleneck.prior.levels, width=64, depth=2)
        model = fit_prior(
            model, prior, fashion(), batch_size=64, seed=seed, steps=10**9, clock=clock(CODES_SECONDS)
        )
    test = fashion(train=False)
    found = evaluate(model, test.subset(torch.arange(1_000)))
    return {"code_length": float(found["rate"]), **distance(model, seed, MAPS)}


def codes(seed: int) -> Figures:
    return _codes(seed, fit=True)


def uniform_codes(seed: int) -> Figures:
    """Every code as probable as every other, as the VQ-VAE was trained."""
    return _codes(seed, fit=False)


def _no_copies(f: Figures) -> bool:
    return f["copies"] <= f["copies_heldout"] + 0.01


DATA = "Fashion-MNIST, grey; one VAE of 24 dimensions"
SHOWN = ("distance", "copies", "copies_heldout")
NORMAL = "N(0, I)"
CLAIMS = [
    Claim(
        "fit_prior:mixture", "samples half as far from test pictures as N(0, I)'s, or nearer", DATA,
        {"mixture": mixture, NORMAL: standard},
        lambda f: f["mixture"]["distance"] <= 0.5 * f[NORMAL]["distance"] and _no_copies(f["mixture"]), SHOWN,
    ),
    Claim(
        "fit_prior:flow", "samples half as far from test pictures as N(0, I)'s, or nearer", DATA,
        {"flow": flow, NORMAL: standard},
        lambda f: f["flow"]["distance"] <= 0.5 * f[NORMAL]["distance"] and _no_copies(f["flow"]), SHOWN,
    ),
    Claim(
        "fit_prior:vae", "samples half as far from test pictures as N(0, I)'s, or nearer", DATA,
        {"two-stage": second_vae, NORMAL: standard},
        lambda f: f["two-stage"]["distance"] <= 0.5 * f[NORMAL]["distance"] and _no_copies(f["two-stage"]), SHOWN,
    ),
    Claim(
        "fit_prior:diffusion", "samples ≤ 0.5 × N(0, I)'s and ≤ 0.75 × the mixture's distance, and no copies", DATA,
        {"rectified flow": rectified, "mixture": mixture, NORMAL: standard},
        lambda f: f["rectified flow"]["distance"] <= 0.5 * f[NORMAL]["distance"]
        and f["rectified flow"]["distance"] <= 0.75 * f["mixture"]["distance"]
        and _no_copies(f["rectified flow"]), SHOWN,
    ),
    Claim(
        "fit_prior:autoregressive", "codes shorter by a third, samples half as far from test pictures",
        "Fashion-MNIST, grey; one VQ-VAE", {"autoregressive": codes, "uniform": uniform_codes},
        lambda f: f["autoregressive"]["code_length"] <= f["uniform"]["code_length"] / 1.5
        and f["autoregressive"]["distance"] <= 0.5 * f["uniform"]["distance"], ("code_length", *SHOWN),
    ),
]  # fmt: skip
