"""Claims of the latents on a sphere: clusters at few dimensions.

As in Davidson et al. (2018), table 2: a sphere of d dimensions (d + 1 coordinates) against a Gaussian latent of d, and
the classes read off the codes' nearest neighbours.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from claim_rows.shared import Claim, Figures, composed, likelihood, pictures, trained
from vaekit import presets
from vaekit.model import VAE
from vaekit.presets import Preset
from vaekit.presets.spherical import hyperspherical_vae, power_spherical_vae

STEPS, TRAIN, TEST, NEIGHBOURS = 2_000, 5_000, 2_000, 5


@torch.no_grad()
def neighbours(model: VAE) -> float:
    """Share of held-out digits whose nearest training codes have their class, by the codes' own distance."""
    from sklearn.neighbors import KNeighborsClassifier

    parts = [pictures(train=True, most=TRAIN), pictures(train=False, most=TEST)]
    (codes, labels), (held_out, truth) = (
        (model.encode(items.batch(torch.arange(len(items))).x).numpy(), labels) for items, labels in parts
    )
    return float(KNeighborsClassifier(NEIGHBOURS).fit(codes, labels).score(held_out, truth))


def _measured(preset: Callable[..., Preset], latent: int, seed: int) -> Figures:
    items, test = pictures()[0], pictures(train=False)[0]
    model = trained(composed(preset, items.kind, seed, latent=latent), items, seed, steps=STEPS).model
    return {"neighbours": neighbours(model), **likelihood(model, test, most=200, samples=100)}


def fisher_2(seed: int) -> Figures:
    return _measured(hyperspherical_vae, 3, seed)


def fisher_5(seed: int) -> Figures:
    return _measured(hyperspherical_vae, 6, seed)


def power_2(seed: int) -> Figures:
    return _measured(power_spherical_vae, 3, seed)


def power_5(seed: int) -> Figures:
    return _measured(power_spherical_vae, 6, seed)


def gaussian_2(seed: int) -> Figures:
    return _measured(presets.vae, 2, seed)


def gaussian_5(seed: int) -> Figures:
    return _measured(presets.vae, 5, seed)


def _neighbours(preset: str, two: Callable[[int], Figures], five: Callable[[int], Figures]) -> Claim:
    """The codes' neighbours at two and at five dimensions against the Gaussian's."""
    arms = {"d = 2": two, "Gaussian, d = 2": gaussian_2, "d = 5": five, "Gaussian, d = 5": gaussian_5}
    return Claim(
        preset, "at few dimensions a code's neighbours are of its class", "MNIST, dynamic", arms,
        lambda f: all(f[f"d = {d}"]["neighbours"] > f[f"Gaussian, d = {d}"]["neighbours"] for d in (2, 5)),
        ("neighbours", "rate", "nll"),
    )  # fmt: skip


def _bound(preset: str, two: Callable[[int], Figures]) -> Claim:
    """The ELBO at two dimensions against the Gaussian's."""
    return Claim(
        preset, "at two dimensions the ELBO is higher", "MNIST, dynamic", {"d = 2": two, "Gaussian, d = 2": gaussian_2},
        lambda f: f["d = 2"]["elbo"] > f["Gaussian, d = 2"]["elbo"], ("elbo", "nll", "rate"),
    )  # fmt: skip


CLAIMS = [
    _neighbours("hyperspherical_vae", fisher_2, fisher_5),
    _bound("hyperspherical_vae", fisher_2),
    _neighbours("power_spherical_vae", power_2, power_5),
    _bound("power_spherical_vae", power_2),
]
