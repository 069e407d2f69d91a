"""Every named variant of the field as one short composition: the table of contents.

Each takes a kind of data first and returns a model and its objective.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from copy import deepcopy
from typing import NamedTuple

from torch import nn

from vaekit.bottlenecks import Deterministic, Variational
from vaekit.conditional import Conditional
from vaekit.data import Kind, Vectors
from vaekit.distributions import Family, FullGaussian, Gaussian, Optimal, Shared
from vaekit.model import VAE
from vaekit.networks import MLP
from vaekit.objectives import Distortion, ImportanceWeighted, Rate, Term, cyclical, linear
from vaekit.priors import StandardNormal

FEATURES = 256  # width between encoder and posterior


class Preset(NamedTuple):
    """A model and the objective that trains it."""

    model: VAE
    objective: Term


def autoencoder(kind: Kind, latent: int = 16) -> Preset:
    """Hinton, Salakhutdinov (2006), doi:10.1126/science.1127647: a code without noise and without a prior.

    Use it to compress or embed; not to sample, score or compare likelihoods.
    """
    model = VAE(
        kind.encoder(latent), Deterministic(), Conditional(kind.decoder(latent), deepcopy(kind.family))
    )
    return Preset(model, Distortion())


def vae(kind: Kind, latent: int = 16, full_covariance: bool = False) -> Preset:
    """Kingma, Welling (2014), arXiv:1312.6114; Rezende, Mohamed, Wierstra (2014), arXiv:1401.4082: the ELBO itself.

    Use it first; its numbers are likelihood bounds in nats.
    """
    posterior = FullGaussian() if full_covariance else Gaussian()
    return Preset(_gaussian(kind, latent, posterior), Distortion() + Rate())


def beta_vae(kind: Kind, latent: int = 16, beta: float = 4.0) -> Preset:
    """Higgins, Matthey, Pal, Burgess, Glorot, Botvinick, Mohamed, Lerchner (2017): the rate weighs beta times.

    Use beta > 1 for fewer, cleaner factors and beta < 1 for sharper reconstructions; beta = 1 is the VAE.
    """
    return Preset(_gaussian(kind, latent), Distortion() + beta * Rate())


def annealed_vae(kind: Kind, latent: int = 16, warmup: int = 2_000) -> Preset:
    """Bowman, Vilnis, Vinyals, Dai, Jozefowicz, Bengio (2016), arXiv:1511.06349: the rate is phased in.

    Use it when the latent goes unused; it ends at the ELBO.
    """
    return Preset(_gaussian(kind, latent), Distortion() + linear(0, 1, warmup) * Rate())


def cyclical_vae(kind: Kind, latent: int = 16, period: int = 1_000, periods: int = 4) -> Preset:
    """Fu, Li, Liu, Gao, Celikyilmaz, Carin (2019), arXiv:1903.10145: the rate is phased in again every period.

    Use it when one warm-up does not keep the latent in use; it ends at the ELBO.
    """
    return Preset(_gaussian(kind, latent), Distortion() + cyclical(period, periods=periods) * Rate())


def free_bits_vae(kind: Kind, latent: int = 16, free: float = 0.25) -> Preset:
    """Kingma, Salimans, Jozefowicz, Chen, Sutskever, Welling (2016), arXiv:1606.04934: some nats are free.

    Use it to keep every dimension in use; the loss is then above −ELBO, which is reported beside it.
    """
    return Preset(_gaussian(kind, latent), Distortion() + Rate(free=free))


def iwae(kind: Kind, latent: int = 16, samples: int = 5) -> Preset:
    """Burda, Grosse, Salakhutdinov (2016), arXiv:1509.00519; Mattei, Frellsen (2019): K draws together.

    Use it for tighter likelihoods and where many cells are missing (MIWAE); a step decodes K times.
    """
    return Preset(_gaussian(kind, latent), ImportanceWeighted(samples))


def conditional_vae(kind: Kind, latent: int = 16) -> Preset:
    """Sohn, Lee, Yan (2015), Learning structured output representation: labels condition encoder, prior and decoder.

    Use it when items have labels and new ones of a chosen label are wanted.
    """
    classes = kind.condition_width
    if not classes:
        raise ValueError(
            "conditional_vae needs labels: give --labels, or a folder with one sub-folder for each label"
        )
    posterior = Conditional(nn.Linear(FEATURES, Gaussian().size(latent)), Gaussian())
    prior = Conditional(MLP(classes, Gaussian().size(latent), hidden=(64,)), Gaussian())
    decoder = Conditional(kind.decoder(latent, condition=classes), deepcopy(kind.family))
    model = VAE(kind.encoder(FEATURES, condition=classes), Variational(posterior, prior), decoder)
    return Preset(model, Distortion() + Rate())


def sigma_vae(kind: Kind, latent: int = 16, optimal: bool = True) -> Preset:
    """Rybkin, Daniilidis, Levine (2021), arXiv:2006.13202: a Gaussian with one shared scale, optimal or learned.

    Use it for real values and for smooth pictures; it balances the two terms by itself.
    """
    family = kind.family_with(Optimal() if optimal else Shared())
    return Preset(_gaussian(kind, latent, likelihood=family), Distortion() + Rate())


def _gaussian(
    kind: Kind, latent: int, posterior: Family | None = None, likelihood: Family | None = None
) -> VAE:
    """A model with a Gaussian posterior, N(0, I) as prior, and the kind's own networks and likelihood."""
    family = Gaussian() if posterior is None else posterior
    likelihood = deepcopy(
        kind.family if likelihood is None else likelihood
    )  # a scale it learns is the model's own
    return VAE(
        kind.encoder(FEATURES),
        Variational(Conditional(nn.Linear(FEATURES, family.size(latent)), family), StandardNormal(latent)),
        Conditional(kind.decoder(latent, likelihood), likelihood),
    )


PRESETS = {
    preset.__name__: preset
    for preset in (
        autoencoder, vae, beta_vae, annealed_vae, cyclical_vae, free_bits_vae, iwae, conditional_vae, sigma_vae
    )
}  # fmt: skip


def about() -> list[dict[str, str]]:
    """Name, kinds, authors, year, summary, advice, objective and own options of every preset, from its docstring."""
    return [_about(name, preset) for name, preset in PRESETS.items()]


def _about(name: str, preset: Callable[..., Preset]) -> dict[str, str]:
    first, _, advice = inspect.cleandoc(preset.__doc__ or "").partition("\n\n")
    sources, _, summary = first.replace("\n", " ").rpartition(": ")
    authors, _, rest = sources.partition(" (")
    example = Vectors(4, labels=("a", "b"), frequencies=(0.5, 0.5), conditional=True)
    options = [
        f"{p.name}={p.default}" for p in inspect.signature(preset).parameters.values() if p.name != "kind"
    ]
    return {
        "name": name, "kinds": "images, vectors, tables, counts", "authors": authors, "year": rest[:4],
        "source": sources,
        "summary": summary, "advice": " ".join(advice.split()), "objective": repr(preset(example).objective),
        "options": " ".join(options),
    }  # fmt: skip
