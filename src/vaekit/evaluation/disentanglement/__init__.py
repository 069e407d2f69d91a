"""How far single dimensions of a code stand for single true factors."""

from vaekit.evaluation.disentanglement.generated import beta_vae_score, factor_vae_score
from vaekit.evaluation.disentanglement.interventions import irs
from vaekit.evaluation.disentanglement.prediction import DCI, dci, explicitness, infoe, sap
from vaekit.evaluation.disentanglement.shared_information import infoc, infom, mig, modularity
from vaekit.evaluation.disentanglement.summary import disentanglement

__all__ = [
    "DCI",
    "beta_vae_score",
    "dci",
    "disentanglement",
    "explicitness",
    "factor_vae_score",
    "infoc",
    "infoe",
    "infom",
    "irs",
    "mig",
    "modularity",
    "sap",
]
