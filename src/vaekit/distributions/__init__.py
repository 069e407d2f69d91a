"""Distributions: families, scales, explicit noise, and what the rest of the package does with them."""

from vaekit.distributions import divergence as divergence
from vaekit.distributions.affine import Affine
from vaekit.distributions.autoregressive import Autoregressive, ChainRule
from vaekit.distributions.counts import NegativeBinomial, Poisson
from vaekit.distributions.detached import detach
from vaekit.distributions.discrete import PointMass
from vaekit.distributions.experts import Mixed, Product
from vaekit.distributions.families import (
    Bernoulli,
    Categorical,
    ContinuousBernoulli,
    DiscretizedLogistic,
    DiscretizedLogisticMixture,
    Family,
    FullGaussian,
    Gaussian,
    Laplace,
    StudentT,
)
from vaekit.distributions.flattened import FlatFamily, Flattened
from vaekit.distributions.flow import Flowed
from vaekit.distributions.full_mixture import FullMixture
from vaekit.distributions.gumbel import GumbelSoftmax, OneHot
from vaekit.distributions.joint import Categories, Columns, Joint
from vaekit.distributions.mixture import GaussianMixture
from vaekit.distributions.noise import MEAN, Noise, RowNoise, ambient, content_keys
from vaekit.distributions.photons import PhotonDistribution, Photons
from vaekit.distributions.reduce import center, draw, kl, log_prob, right, rows, spread, tempered
from vaekit.distributions.scales import (
    Fixed,
    Optimal,
    PerDimension,
    Predicted,
    Scale,
    Shared,
    SignalDependent,
)
from vaekit.distributions.sphere import PowerSpherical, VonMisesFisher
from vaekit.distributions.transported import Transported

__all__ = [
    "Affine", "Autoregressive", "Bernoulli", "Categorical", "Categories", "ChainRule", "Columns",
    "ContinuousBernoulli", "DiscretizedLogistic", "DiscretizedLogisticMixture", "Family", "Fixed",
    "FlatFamily", "Flattened", "Flowed", "FullGaussian", "FullMixture", "Gaussian", "GaussianMixture",
    "GumbelSoftmax", "Joint", "Laplace", "MEAN", "Mixed", "NegativeBinomial", "Noise", "OneHot", "Optimal",
    "PerDimension", "PhotonDistribution", "Photons", "PointMass", "Poisson", "PowerSpherical", "Predicted",
    "Product", "RowNoise", "Scale", "Shared", "SignalDependent", "StudentT", "Transported", "VonMisesFisher",
    "ambient", "center", "content_keys", "detach", "draw", "kl", "log_prob", "right", "rows", "spread",
    "tempered",
]  # fmt: skip
