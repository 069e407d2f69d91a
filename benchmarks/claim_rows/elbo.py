"""Claims of the presets that balance the two sides of the ELBO."""

from __future__ import annotations

from claim_rows.shared import Claim, Figures, composed, likelihood, pictures, trained
from vaekit import presets

STEPS = 1_500


def _measured(preset: object, seed: int, **options: float) -> Figures:
    items, test = pictures()[0], pictures(train=False)[0]
    made = composed(preset, items.kind, seed, latent=32, **options)  # type: ignore[arg-type]
    return likelihood(trained(made, items, seed, steps=STEPS).model, test)


def vae(seed: int) -> Figures:
    """The plain VAE on dynamic MNIST."""
    return _measured(presets.vae, seed)


def beta_vae(seed: int) -> Figures:
    return _measured(presets.beta_vae, seed, beta=4.0)


CLAIMS = [
    Claim(
        "beta_vae", "the rate falls with β", "MNIST, dynamic", {"β = 4": beta_vae, "β = 1 (vae)": vae},
        lambda f: f["β = 4"]["rate"] < 0.7 * f["β = 1 (vae)"]["rate"], ("rate", "distortion", "active_units"),
    ),
]  # fmt: skip
