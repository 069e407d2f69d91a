"""What is wrong with a model, if anything: ten checks, each with a value, a threshold, evidence and a cure."""

from vaekit.diagnosis.cure import Cure
from vaekit.diagnosis.examination import CHECKS, UNMEASURED, examine, first
from vaekit.diagnosis.finding import Finding
from vaekit.diagnosis.subject import FULL, QUICK, Effort, Subject

__all__ = [
    "CHECKS",
    "FULL",
    "QUICK",
    "UNMEASURED",
    "Cure",
    "Effort",
    "Finding",
    "Subject",
    "examine",
    "first",
]
