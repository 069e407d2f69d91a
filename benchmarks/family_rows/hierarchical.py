"""A hierarchical VAE: the preset `top_down_vae`, a stack of layers of latent variables."""

from __future__ import annotations

from family_rows.vae import Autoencoder
from vaekit.presets import top_down_vae


def hierarchical(seed: int) -> Autoencoder:
    """Three layers of 16 dimensions on a state of 256."""
    return Autoencoder(top_down_vae, seed, lr=6e-3)
