"""Objectives: sums of weighted terms that read a pass."""

from vaekit.objectives.elbo import Capacity, Constrained, Distortion, Penalty, Rate
from vaekit.objectives.importance import ImportanceWeighted
from vaekit.objectives.schedule import Schedule, after, cyclical, linear
from vaekit.objectives.term import Player, Sum, Term, at, mean

__all__ = [
    "Capacity", "Constrained", "Distortion", "ImportanceWeighted", "Penalty", "Player", "Rate", "Schedule", "Sum",
    "Term", "after", "at", "cyclical", "linear", "mean",
]  # fmt: skip
