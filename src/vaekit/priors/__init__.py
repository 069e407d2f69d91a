"""Priors: what the latent variable is charged against, and where new data begin."""

from vaekit.priors.autoregressive import AutoregressiveCodes
from vaekit.priors.codes import UniformCodes, UniformOneHot
from vaekit.priors.diffusion import RectifiedFlow
from vaekit.priors.fitted_mixture import FittedMixture
from vaekit.priors.fixed import StandardNormal
from vaekit.priors.flow import Flow, InverseAutoregressive, NeuralSpline
from vaekit.priors.mixture import Mixture, Vamp
from vaekit.priors.second_vae import TwoStage
from vaekit.priors.sphere import UniformSphere
from vaekit.priors.standardised import Standardised

__all__ = [
    "AutoregressiveCodes", "FittedMixture", "Flow", "InverseAutoregressive", "Mixture", "NeuralSpline",
    "RectifiedFlow", "Standardised", "StandardNormal", "TwoStage", "UniformCodes", "UniformOneHot", "UniformSphere",
    "Vamp",
]  # fmt: skip
