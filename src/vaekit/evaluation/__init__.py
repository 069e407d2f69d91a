"""Evaluation: figures about a trained model."""

from vaekit.evaluation.latents import Codes, codes
from vaekit.evaluation.likelihood import evaluate, log_likelihoods, scores

__all__ = ["Codes", "codes", "evaluate", "log_likelihoods", "scores"]
