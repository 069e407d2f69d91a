"""Every named variant of the field as one short composition: the table of contents, a file for each chapter.

Each takes a kind of data first and returns a model and its objective.
"""

from vaekit.presets.about import about
from vaekit.presets.bounds import iwae
from vaekit.presets.elbo import (
    annealed_vae,
    autoencoder,
    beta_vae,
    cyclical_vae,
    free_bits_vae,
    sigma_vae,
    vae,
)
from vaekit.presets.labelled import conditional_vae
from vaekit.presets.preset import ABOUT, PRESETS, Preset

__all__ = [
    "ABOUT", "PRESETS", "Preset", "about", "annealed_vae", "autoencoder", "beta_vae", "conditional_vae",
    "cyclical_vae", "free_bits_vae", "iwae", "sigma_vae", "vae",
]  # fmt: skip
