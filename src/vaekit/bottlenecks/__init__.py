"""Bottlenecks: the stochastic part between encoder and decoder."""

from vaekit.bottlenecks.bottleneck import Bottleneck, Latent, once
from vaekit.bottlenecks.collapse import CommittedGaussian, NormalizedGaussian
from vaekit.bottlenecks.deterministic import Deterministic
from vaekit.bottlenecks.experts import MixtureOfExperts, MixtureOfProducts, ProductOfExperts
from vaekit.bottlenecks.finite import FiniteScalar
from vaekit.bottlenecks.quantized import Quantized
from vaekit.bottlenecks.quantizers import MovingAverageQuantizer, Quantizer, VectorQuantizer
from vaekit.bottlenecks.residual import ResidualQuantizer
from vaekit.bottlenecks.side_by_side import SideBySide
from vaekit.bottlenecks.stochastic import LadderLayer, StochasticLayer
from vaekit.bottlenecks.topdown import TopDown
from vaekit.bottlenecks.variational import Variational

__all__ = [
    "Bottleneck", "CommittedGaussian", "Deterministic", "FiniteScalar", "LadderLayer", "Latent",
    "MixtureOfExperts", "MixtureOfProducts", "MovingAverageQuantizer", "NormalizedGaussian",
    "ProductOfExperts", "Quantized", "Quantizer", "ResidualQuantizer", "SideBySide", "StochasticLayer",
    "TopDown", "Variational", "VectorQuantizer", "once",
]  # fmt: skip
