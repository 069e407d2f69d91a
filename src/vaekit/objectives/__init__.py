"""Objectives: sums of weighted terms that read a pass."""

from vaekit.objectives.adversarial import Adversarial, Balanced, DecoderOnly, FeatureMatching, Reconstructions
from vaekit.objectives.adversarial_prior import AdversarialPrior
from vaekit.objectives.disentangle import DIP1, DIP2, DecomposedRate, DensityRatioTC, LatentCapacity
from vaekit.objectives.divergence import MMD, CodeNorm, DecoderNorm, GradientPenalty, SlicedWasserstein
from vaekit.objectives.elbo import Capacity, Constrained, Distortion, Excess, Penalty, Rate
from vaekit.objectives.game import Hinge, NonSaturating
from vaekit.objectives.importance import (
    CombinedImportanceWeighted,
    ImportanceWeighted,
    MultiplyImportanceWeighted,
)
from vaekit.objectives.multimodal import EachAlone, ExpertRates
from vaekit.objectives.pathwise import DoublyReparameterized, PartiallyImportanceWeighted, StickingTheLanding
from vaekit.objectives.schedule import Schedule, after, cyclical, linear
from vaekit.objectives.term import Player, Sum, Term, at, mean

__all__ = [
    "Adversarial", "AdversarialPrior", "Balanced", "Capacity", "CodeNorm", "CombinedImportanceWeighted",
    "Constrained", "DIP1", "DIP2", "DecoderNorm", "DecoderOnly", "DecomposedRate", "DensityRatioTC",
    "Distortion", "DoublyReparameterized", "EachAlone", "Excess", "ExpertRates", "FeatureMatching",
    "GradientPenalty", "Hinge", "ImportanceWeighted", "LatentCapacity", "MMD", "MultiplyImportanceWeighted",
    "NonSaturating", "PartiallyImportanceWeighted", "Penalty", "Player", "Rate", "Reconstructions", "Schedule",
    "SlicedWasserstein", "StickingTheLanding", "Sum", "Term", "after", "at", "cyclical", "linear", "mean",
]  # fmt: skip
