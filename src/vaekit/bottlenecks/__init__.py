"""Bottlenecks: the stochastic part between encoder and decoder."""

from vaekit.bottlenecks.bottleneck import Bottleneck, Latent, once
from vaekit.bottlenecks.deterministic import Deterministic
from vaekit.bottlenecks.variational import Variational

__all__ = ["Bottleneck", "Deterministic", "Latent", "Variational", "once"]
