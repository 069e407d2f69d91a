"""Every named variant of the field as one short composition: the table of contents, a file for each chapter.

Each takes a kind of data first and returns a model and its objective.
"""

from vaekit.presets.about import about
from vaekit.presets.adversarial import adversarial_vae, vae_gan
from vaekit.presets.aggregated import adversarial_autoencoder, rae, sliced_wae, wae_mmd
from vaekit.presets.autoregressive import bn_vae, delta_vae, pixel_vae, word_dropout_vae
from vaekit.presets.bounds import ciwae, dreg, iwae, miwae, piwae, sticking_the_landing
from vaekit.presets.discrete import fsq_vae, gumbel_vae, rvq_vae, vq_vae
from vaekit.presets.disentangle import (
    beta_tc_vae,
    capacity_vae,
    dip_vae_1,
    dip_vae_2,
    factor_vae,
    info_vae,
    joint_vae,
)
from vaekit.presets.elbo import (
    annealed_vae,
    autoencoder,
    beta_vae,
    cyclical_vae,
    free_bits_vae,
    geco_vae,
    sigma_vae,
    vae,
)
from vaekit.presets.hierarchical import conditional_top_down_vae, ladder_vae, top_down_vae
from vaekit.presets.labelled import conditional_vae, semi_supervised_vae
from vaekit.presets.multimodal import mopoe, multimodal_moe, multimodal_poe, mvtcae
from vaekit.presets.posteriors import full_covariance_vae, iaf_vae, spline_vae
from vaekit.presets.preset import ABOUT, CHAPTERS, PRESETS, Preset
from vaekit.presets.priors import flow_prior_vae, mixture_prior_vae, vamp_prior_vae
from vaekit.presets.spherical import hyperspherical_vae, power_spherical_vae

__all__ = [
    "ABOUT", "CHAPTERS", "PRESETS", "Preset", "about", "adversarial_autoencoder", "adversarial_vae",
    "annealed_vae", "autoencoder", "beta_tc_vae", "beta_vae", "bn_vae", "capacity_vae", "ciwae",
    "conditional_top_down_vae", "conditional_vae", "cyclical_vae", "delta_vae", "dip_vae_1", "dip_vae_2",
    "dreg", "factor_vae", "flow_prior_vae", "free_bits_vae", "fsq_vae", "full_covariance_vae", "geco_vae",
    "gumbel_vae", "hyperspherical_vae", "iaf_vae", "info_vae", "iwae", "joint_vae", "ladder_vae", "miwae",
    "mixture_prior_vae", "mopoe", "multimodal_moe", "multimodal_poe", "mvtcae", "piwae", "pixel_vae",
    "power_spherical_vae", "rae", "rvq_vae", "semi_supervised_vae", "sigma_vae", "sliced_wae", "spline_vae",
    "sticking_the_landing", "top_down_vae", "vae", "vae_gan", "vamp_prior_vae", "vq_vae", "wae_mmd",
    "word_dropout_vae",
]  # fmt: skip
