"""Models of labelled data: given the label, or finding it."""

from __future__ import annotations

from torch import nn

from vaekit.bottlenecks import Variational
from vaekit.conditional import Conditional
from vaekit.data import Kind
from vaekit.distributions import Gaussian
from vaekit.networks import MLP
from vaekit.objectives import Distortion, Rate
from vaekit.presets.preset import FEATURES, Preset, around, named


@named(labels=True)
def conditional_vae(kind: Kind, latent: int = 16) -> Preset:
    """Sohn, Lee, Yan (2015), Learning structured output representation: labels condition encoder, prior and decoder.

    Use it when items have labels and new ones of a chosen label are wanted; not to find the label of an item.
    """
    classes = kind.condition_width
    if not classes:
        raise ValueError(
            "conditional_vae needs labels: give --labels, or a folder with one sub-folder for each label"
        )
    posterior = Conditional(nn.Linear(FEATURES, Gaussian().size(latent)), Gaussian())
    prior = Conditional(MLP(classes, Gaussian().size(latent), hidden=(64,)), Gaussian())
    model = around(kind, latent, Variational(posterior, prior), condition=classes)
    return Preset(model, Distortion() + Rate())
