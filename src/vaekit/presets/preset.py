"""What a preset is: a named variant, as a function from a kind of data to a model and its objective."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import NamedTuple, TypeVar

from torch import nn

from vaekit.bottlenecks import Bottleneck, Variational
from vaekit.conditional import Conditional
from vaekit.data import Kind
from vaekit.distributions import Family, Gaussian
from vaekit.model import VAE
from vaekit.objectives import Term
from vaekit.priors import StandardNormal

FEATURES = 256  # width between encoder and posterior
ANY = ("images", "vectors", "table", "counts")  # the kinds whose items are one tensor of numbers
TEXT = (*ANY, "sequences")


CHAPTERS = {
    "elbo": "The evidence lower bound and its two sides",
    "bounds": "Tighter bounds",
    "priors": "Richer priors",
    "posteriors": "Richer posteriors",
    "disentangle": "Disentangled factors",
    "aggregated": "Matching the aggregated posterior",
    "labelled": "With labels",
    "discrete": "Discrete codes",
    "hierarchical": "Hierarchies",
    "adversarial": "With a critic",
    "spherical": "On the sphere",
    "autoregressive": "Strong decoders",
    "multimodal": "Items of several parts",
}  # the files of presets, in the order in which they are read


class Preset(NamedTuple):
    """A model and the objective that trains it."""

    model: VAE
    objective: Term


class About(NamedTuple):
    """What is said about a preset besides its docstring.

    Attributes:
        chapter: The file it stands in.
        kinds: Names of the kinds of data that it takes.
        labels: Whether labels condition its networks, so that it cannot be without them.
        experimental: Why it is not recommended, with the figures; empty if it beat its ablation.
    """

    chapter: str
    kinds: tuple[str, ...] = ANY
    labels: bool = False
    experimental: str = ""


PRESETS: dict[str, Callable[..., Preset]] = {}
ABOUT: dict[str, About] = {}
F = TypeVar("F", bound=Callable[..., Preset])


def named(kinds: tuple[str, ...] = ANY, labels: bool = False, experimental: str = "") -> Callable[[F], F]:
    """Enter a function into the table of contents, under its own name.

    Args:
        kinds: Names of the kinds of data that it takes.
        labels: Whether labels condition its networks.
        experimental: Why it is not recommended, with the figures.
    """

    def enter(preset: F) -> F:
        PRESETS[preset.__name__] = preset
        chapter = preset.__module__.rpartition(".")[2]
        ABOUT[preset.__name__] = About(chapter, kinds, labels, experimental)
        return preset

    return enter


def gaussian(
    kind: Kind,
    latent: int,
    posterior: Family | None = None,
    likelihood: Family | None = None,
    prior: nn.Module | None = None,
) -> VAE:
    """The kind's own networks and likelihood around one latent variable; q is a Gaussian and p is N(0, I) by default.

    Args:
        kind: The kind of data.
        latent: Latent dimensions D.
        posterior: Family of q(z | x).
        likelihood: Family of p(x | z).
        prior: c → p(z | c).
    """
    family = Gaussian() if posterior is None else posterior
    head = Conditional(nn.Linear(FEATURES, family.size(latent)), family)
    return around(
        kind, latent, Variational(head, StandardNormal(latent) if prior is None else prior), likelihood
    )


def around(
    kind: Kind,
    latent: int,
    bottleneck: Bottleneck,
    likelihood: Family | None = None,
    features: int = FEATURES,
    condition: int = 0,
    encoder: nn.Module | None = None,
) -> VAE:
    """The kind's own encoder and decoder around a bottleneck.

    Args:
        kind: The kind of data.
        latent: Width of the state that the decoder receives.
        bottleneck: (N, features) → state (N, latent).
        likelihood: Family of p(x | z); the kind's own by default.
        features: Width of what the encoder gives.
        condition: Width of a condition on both networks.
        encoder: Another one, which the condition does not enter.
    """
    # a scale that it learns is the model's own
    family = deepcopy(kind.family if likelihood is None else likelihood)
    decoder = Conditional(kind.decoder(latent, family, condition), family)
    return VAE(kind.encoder(features, condition) if encoder is None else encoder, bottleneck, decoder)
