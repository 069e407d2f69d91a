"""Operations: functions of a trained model and data in its space."""

from vaekit.operations.annealed import annealed_log_likelihood
from vaekit.operations.classify import class_likelihoods, class_probabilities
from vaekit.operations.codes import packed, unpacked
from vaekit.operations.denoise import denoise
from vaekit.operations.explore import embed, interpolate, line, traverse
from vaekit.operations.generate import decode, reconstruct, sample
from vaekit.operations.score import bound, log_likelihood, p_values, score

__all__ = [
    "annealed_log_likelihood", "bound", "class_likelihoods", "class_probabilities", "decode", "denoise", "embed",
    "interpolate", "line", "log_likelihood", "p_values", "packed", "reconstruct", "sample", "score",
    "traverse", "unpacked",
]  # fmt: skip
