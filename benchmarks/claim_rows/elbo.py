"""Claims of the presets that balance the two sides of the ELBO."""

from __future__ import annotations

import math

import torch

from claim_rows.shared import Claim, Figures, composed, likelihood, pictures, trained
from vaekit import presets
from vaekit.data import Images, Items
from vaekit.datasets import digits
from vaekit.distributions import Fixed, Noise
from vaekit.evaluation.features import Features, classifier_features
from vaekit.evaluation.samples import frechet_distance
from vaekit.model import VAE
from vaekit.objectives import Distortion, Rate
from vaekit.presets.disentangle import capacity_vae
from vaekit.presets.elbo import geco_vae
from vaekit.presets.preset import Preset, gaussian

STEPS, CAPACITY = 1_000, 15.0
TOLERANCE = 0.7  # of GECO, in standard deviations of a pixel: a root mean squared error of 0.21
SCALES = (0.02, 0.05, 0.1, 0.15, 0.2, 0.5, 1.0)  # fixed scales of a pixel
SCALE_STEPS, UNIT_STEPS = 350, 800


def _measured(preset: object, seed: int, **options: float) -> Figures:
    items, test = pictures()[0], pictures(train=False)[0]
    made = composed(preset, items.kind, seed, latent=32, **options)  # type: ignore[arg-type]
    return likelihood(trained(made, items, seed, steps=STEPS).model, test)


def vae(seed: int) -> Figures:
    """The plain VAE on dynamic MNIST."""
    return _measured(presets.vae, seed)


def pixels(seed: int) -> Figures:
    """Each pixel by itself, with its frequency in the training data: what a latent that tells nothing leaves."""
    items, test = pictures()[0], pictures(train=False)[0]
    share = (items.raw[:20_000].float().mean(0) / 255).clamp(1e-3, 1 - 1e-3)
    x = test.batch(torch.arange(500)).x
    return {"nll": -float((x * share.log() + (1 - x) * (1 - share).log()).flatten(1).sum(1).mean())}


def beta_vae(seed: int) -> Figures:
    return _measured(presets.beta_vae, seed, beta=4.0)


def autoencoder(seed: int) -> Figures:
    return _measured(presets.autoencoder, seed)


def held_capacity(seed: int) -> Figures:
    return _measured(capacity_vae, seed, capacity=CAPACITY, warmup=STEPS // 2)


# --- units that go unused: more of them than small pictures have to tell


def _units(preset: object, seed: int, **options: float) -> Figures:
    """On held-out digits; 32 latent dimensions for 8 × 8 pixels."""
    images, labels = digits()
    kind = Images(1, 8, 8, levels=17)
    items = Items(kind.store(images), kind, torch.from_numpy(labels))
    made = composed(preset, kind, seed, latent=32, **options)  # type: ignore[arg-type]
    model = trained(made, items.subset(torch.arange(1_500)), seed, steps=UNIT_STEPS).model
    return likelihood(model, items.subset(torch.arange(1_500, len(items))), samples=50)


def small_vae(seed: int) -> Figures:
    return _units(presets.vae, seed)


def annealed_vae(seed: int) -> Figures:
    return _units(presets.annealed_vae, seed, warmup=UNIT_STEPS // 2)


def cyclical_vae(seed: int) -> Figures:
    return _units(presets.cyclical_vae, seed, period=UNIT_STEPS // 5, periods=4)


def free_bits_vae(seed: int) -> Figures:
    return _units(presets.free_bits_vae, seed, free=0.25)


# --- grey pixels


def _grey(name: str, train: bool = True) -> Items:
    return pictures(name, train=train, binarize="none")[0]


@torch.no_grad()
def _error(model: VAE, test: Items) -> Figures:
    """Root mean squared error of reconstructions from draws of z, and the rate, on held-out pictures."""
    x = test.batch(torch.arange(2_000)).x
    out = model(x, noise=Noise(0, "error"))
    return {"error": float((out.px.mean - x).square().mean().sqrt()), "rate": float(out.rate.mean())}


def geco(seed: int) -> Figures:
    items = _grey("mnist")
    made = composed(geco_vae, items.kind, seed, tolerance=TOLERANCE)
    return _error(trained(made, items, seed, steps=STEPS).model, _grey("mnist", train=False))


def _fixed(kind: object, scale: float) -> Preset:
    """The plain VAE with one fixed scale for all pixels."""
    model = gaussian(kind, 16, likelihood=kind.family_with(Fixed(scale)))  # type: ignore[attr-defined,arg-type]
    return Preset(model, Distortion() + Rate())


def unconstrained(seed: int) -> Figures:
    """GECO's likelihood without its constraint."""
    items = _grey("mnist")
    made = composed(_fixed, items.kind, seed, scale=0.3 * TOLERANCE)
    return _error(trained(made, items, seed, steps=STEPS).model, _grey("mnist", train=False))


def _sharpness(model: VAE, told: Features, test: Items) -> float:
    """How far new pictures' means are from held-out pictures, in the features of a classifier."""
    with torch.no_grad():
        new = model.sample(2_000, noise=Noise(0, "new"), mean=True)
    return frechet_distance(told(new), told(test.batch(torch.arange(2_000)).x))


def _told(items: Items, seed: int) -> Features:
    first = items.batch(torch.arange(5_000))
    return classifier_features(first.x, first.y, seed, steps=300)


def sigma_vae(seed: int) -> Figures:
    items, test = _grey("fashion"), _grey("fashion", train=False)
    model = trained(composed(presets.sigma_vae, items.kind, seed), items, seed, steps=SCALE_STEPS).model
    found = likelihood(model, test, most=300, samples=50)
    return {"nll": found["nll"], "distance": _sharpness(model, _told(items, seed), test)}


def fixed_scales(seed: int) -> Figures:
    """Seven fixed scales: the best −log p of all, and the samples of scale 1, the plain squared error."""
    items, test = _grey("fashion"), _grey("fashion", train=False)
    nll = math.inf
    for scale in SCALES:
        made = composed(_fixed, items.kind, seed, scale=scale)
        model = trained(made, items, seed, steps=SCALE_STEPS).model
        nll = min(nll, likelihood(model, test, most=300, samples=50)["nll"])
    return {"nll": nll, "distance": _sharpness(model, _told(items, seed), test)}


SHOWN = ("active_units", "rate", "distortion", "elbo")
CLAIMS = [
    Claim(
        "vae", "its latent explains what pixels by themselves do not", "MNIST, dynamic", {"vae": vae, "pixels": pixels},
        lambda f: f["vae"]["nll"] < 0.6 * f["pixels"]["nll"], ("nll",),
    ),
    Claim(
        "beta_vae", "the rate falls with β", "MNIST, dynamic", {"β = 4": beta_vae, "β = 1 (vae)": vae},
        lambda f: f["β = 4"]["rate"] < 0.7 * f["β = 1 (vae)"]["rate"], ("rate", "distortion", "active_units"),
    ),
    Claim(
        "autoencoder", "the code is exact: its distortion is lower at the same width", "MNIST, dynamic",
        {"autoencoder": autoencoder, "vae": vae},
        lambda f: f["autoencoder"]["distortion"] < 0.9 * f["vae"]["distortion"], ("distortion", "active_units"),
    ),
    Claim(
        "annealed_vae", "more dimensions stay in use", "digits, 8 × 8", {"annealed": annealed_vae, "vae": small_vae},
        lambda f: f["annealed"]["active_units"] > f["vae"]["active_units"], SHOWN,
    ),
    Claim(
        "cyclical_vae", "more dimensions stay in use", "digits, 8 × 8", {"cyclical": cyclical_vae, "vae": small_vae},
        lambda f: f["cyclical"]["active_units"] > f["vae"]["active_units"], SHOWN,
    ),
    Claim(
        "free_bits_vae", "every dimension stays in use", "digits, 8 × 8",
        {"free bits": free_bits_vae, "vae": small_vae},
        lambda f: f["free bits"]["active_units"] > 31 > f["vae"]["active_units"], SHOWN,
    ),
    Claim(
        "capacity_vae", "the rate is what was asked for, 15 nats", "MNIST, dynamic",
        {"C = 15": held_capacity, "vae": vae},
        lambda f: abs(f["C = 15"]["rate"] - CAPACITY) < 1 < abs(f["vae"]["rate"] - CAPACITY),
        ("rate", "distortion", "active_units"),
    ),
    Claim(
        "geco_vae", "the error is what was asked for, 0.21, and no rate is spent on more", "MNIST, grey",
        {"geco": geco, "the same without constraint": unconstrained},
        lambda f: abs(f["geco"]["error"] / 0.21 - 1) < 0.05
        < abs(f["the same without constraint"]["error"] / 0.21 - 1), ("error", "rate"),
    ),
    Claim(
        "sigma_vae", "the optimal scale is as likely as the best of seven fixed ones (distance: samples; of scale 1)",
        "Fashion-MNIST, grey", {"optimal": sigma_vae, "fixed scales": fixed_scales},
        lambda f: f["optimal"]["nll"] <= f["fixed scales"]["nll"], ("nll", "distance"),
    ),
]  # fmt: skip
