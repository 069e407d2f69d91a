"""Distributions: families, scales, explicit noise, and what the rest of the package does with them."""

from vaekit.distributions import divergence as divergence
from vaekit.distributions.counts import NegativeBinomial, Poisson
from vaekit.distributions.discrete import PointMass
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
from vaekit.distributions.joint import Categories, Columns, Joint
from vaekit.distributions.noise import MEAN, Noise, RowNoise, ambient, content_keys
from vaekit.distributions.reduce import center, draw, kl, log_prob, right, rows, spread, tempered
from vaekit.distributions.scales import Fixed, Optimal, PerDimension, Predicted, Scale, Shared

__all__ = [
    "MEAN", "Bernoulli", "Categorical", "Categories", "Columns", "ContinuousBernoulli",
    "DiscretizedLogistic", "DiscretizedLogisticMixture",
    "Family", "Fixed", "FullGaussian", "Gaussian", "Joint", "Laplace", "NegativeBinomial", "Noise", "Optimal",
    "PerDimension", "PointMass", "Poisson", "Predicted", "RowNoise", "Scale", "Shared", "StudentT",
    "ambient", "center", "content_keys", "draw", "kl", "log_prob", "right", "rows", "spread", "tempered",
]  # fmt: skip
