"""Training: one loop for every objective."""

from vaekit.training.checkpoint import load_checkpoint, save_checkpoint
from vaekit.training.goal import goal, settled
from vaekit.training.linear import pca_start
from vaekit.training.margins import match_margins
from vaekit.training.measure import Speed, measure
from vaekit.training.meter import Meter
from vaekit.training.optimizer import Adam
from vaekit.training.second_stage import Fitted, fit_prior, table_prior
from vaekit.training.state import State
from vaekit.training.train import Progress, averaged, fit, see_first, start, threads, train, warm_cosine

__all__ = [
    "Adam", "Fitted", "Meter", "Progress", "Speed", "State", "averaged", "fit", "fit_prior", "goal",
    "load_checkpoint", "match_margins", "measure", "pca_start", "save_checkpoint", "see_first", "settled", "start",
    "table_prior", "threads", "train",
    "warm_cosine",
]  # fmt: skip
