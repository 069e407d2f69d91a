"""Priors: what latents are charged against and sampled from."""

from vaekit.priors.fixed import StandardNormal

__all__ = ["StandardNormal"]
