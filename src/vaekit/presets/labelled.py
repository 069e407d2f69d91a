"""Models of labelled data: given the label, or finding it."""

from __future__ import annotations

from torch import nn

from vaekit.bottlenecks import Variational
from vaekit.bottlenecks.labelled import Labelled
from vaekit.conditional import Conditional
from vaekit.data import Kind
from vaekit.distributions import Gaussian
from vaekit.distributions.gumbel import GumbelSoftmax
from vaekit.model import VAE
from vaekit.networks import MLP
from vaekit.objectives import Distortion, Rate, linear
from vaekit.objectives.labelled import Doubt, Imbalance, LabelLoss, VirtualAdversarial
from vaekit.presets.preset import FEATURES, Preset, around, named
from vaekit.priors import StandardNormal


@named(labels=True)
def conditional_vae(kind: Kind, latent: int = 16) -> Preset:
    """Sohn, Lee, Yan (2015), Learning structured output representation: labels condition encoder, prior and decoder.

    Use it when items have labels and new ones of a chosen label are wanted; not to find the label of an item.
    """
    classes = _classes(kind, "conditional_vae")
    posterior = Conditional(nn.Linear(FEATURES, Gaussian().size(latent)), Gaussian())
    prior = Conditional(MLP(classes, Gaussian().size(latent), hidden=(64,)), Gaussian())
    model = around(kind, latent, Variational(posterior, prior), condition=classes)
    return Preset(model, Distortion() + Rate())


@named(kinds=("images", "vectors"), labels=True)
def semi_supervised_vae(
    kind: Kind,
    latent: int = 16,
    bound: float = 0.1,
    alpha: float = 20.0,
    smooth: float = 20.0,
    radius: float = 0.35,
    sure: float = 10.0,
    balance: float = 20.0,
    warmup: int = 2_000,
) -> Preset:
    """Kingma, Rezende, Mohamed, Welling (2014), arXiv:1406.5298 (M2): the label is a latent variable where unknown.

    Use it when few items have labels (−1 where unknown), to classify the others; not when all have: `conditional_vae`.
    """
    label = alpha * LabelLoss(kind.shape, _classes(kind, "semi_supervised_vae"))
    # to be sure before the labels have been understood would only make a first guess last
    shape = smooth * VirtualAdversarial(radius) + linear(0, 1, warmup) * (
        sure * Doubt() + balance * Imbalance()
    )
    return Preset(labelled(kind, latent), bound * (Distortion() + Rate()) + label + shape)


def labelled(kind: Kind, latent: int, temperature: float = 0.67) -> VAE:
    """The kind's own networks around a label and one Gaussian latent variable."""
    classes = _classes(kind, "semi_supervised_vae")
    frequencies = kind.frequencies or (1 / classes,) * classes
    classifier = Conditional(
        nn.Sequential(nn.SiLU(), nn.Linear(FEATURES, classes)), GumbelSoftmax(classes, temperature)
    )
    posterior = Conditional(
        MLP(FEATURES, Gaussian().size(latent), hidden=(FEATURES,), condition=classes), Gaussian()
    )
    bottleneck = Labelled(classifier, posterior, StandardNormal(latent), frequencies)
    return around(kind, classes + latent, bottleneck, encoder=kind.classifier(FEATURES))


def _classes(kind: Kind, preset: str) -> int:
    if not kind.condition_width:
        raise ValueError(
            f"{preset} needs labels: give --labels, or a folder with one sub-folder for each label"
        )
    return kind.condition_width
