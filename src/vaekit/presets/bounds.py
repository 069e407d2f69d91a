"""Bounds tighter than the ELBO, and gradients of them with less noise."""

from __future__ import annotations

from vaekit.data import Kind
from vaekit.objectives import ImportanceWeighted
from vaekit.presets.preset import Preset, gaussian, named


@named()
def iwae(kind: Kind, latent: int = 16, samples: int = 5) -> Preset:
    """Burda, Grosse, Salakhutdinov (2016), arXiv:1509.00519; Mattei, Frellsen (2019): K draws together.

    Use it for tighter likelihoods and where many cells are missing (MIWAE); a step decodes K times.
    """
    return Preset(gaussian(kind, latent), ImportanceWeighted(samples))
