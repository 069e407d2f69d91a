"""Evaluation: figures about a trained model, its codes and its samples."""

from vaekit.evaluation.bounds import bounds, curve
from vaekit.evaluation.calibration import calibration, spaced
from vaekit.evaluation.codebook import CodebookUse, codebook_perplexity
from vaekit.evaluation.copies import Copies, copy_rate
from vaekit.evaluation.disentanglement import disentanglement
from vaekit.evaluation.features import Features, classifier_features, random_features
from vaekit.evaluation.latents import Codes, Information, codes, information
from vaekit.evaluation.likelihood import evaluate, log_likelihoods, scores
from vaekit.evaluation.samples import Fidelity, fidelity, frechet_distance
from vaekit.evaluation.sharpness import edge_ratio, spectrum, spectrum_distance
from vaekit.evaluation.two_samples import TwoSampleTest, two_sample_test

__all__ = [
    "CodebookUse", "Codes", "Copies", "Features", "Fidelity", "Information", "TwoSampleTest", "bounds",
    "calibration", "classifier_features", "codebook_perplexity", "codes", "copy_rate", "curve",
    "disentanglement", "edge_ratio", "evaluate", "fidelity", "frechet_distance", "information",
    "log_likelihoods", "random_features", "scores", "spaced", "spectrum", "spectrum_distance",
    "two_sample_test",
]  # fmt: skip
