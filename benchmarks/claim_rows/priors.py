"""Claims of the presets whose priors or posteriors are more than one Gaussian: −log p at equal steps."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch

from claim_rows.elbo import vae as vae_on_mnist
from claim_rows.shared import DATA, Claim, Figures, composed, likelihood, pictures, trained
from vaekit.data import Images, Items, Vectors
from vaekit.presets import Preset, posteriors, priors, vae

STEPS, LATENT = 1_500, 32  # as those of `vae_on_mnist`
LONGER = 10_000  # steps on Omniglot, whose characters are more various: at 4 000 no prior is better yet
WIDTH = 3  # for 36 columns


@lru_cache(maxsize=2)
def omniglot(train: bool = True) -> Items:
    """Omniglot's drawings, 105 × 105, as the share of ink in 28 × 28 cells; bits are drawn anew at every step.

    A quarter of all drawings is held out at random, so that training and test items are of the same alphabets, as in
    the 28 × 28 set of other papers (whose drawings these are not). Omniglot's own split holds out whole alphabets: a
    prior that fits those of training better has nothing to gain there.
    """
    parts = []
    for part in ("background", "evaluation"):
        with np.load(DATA / f"omniglot/omniglot_images_{part}.npz") as found:
            parts.append(torch.from_numpy(~found[found.files[0]].reshape(-1, 1, 105, 105)).float())
    small = torch.cat([torch.nn.functional.interpolate(ink, (28, 28), mode="area") for ink in parts])
    order = np.random.default_rng(0).permutation(len(small))
    chosen = order[len(small) // 4 :] if train else order[: len(small) // 4]
    kind = Images(1, 28, 28, binarize="dynamic")
    return Items(kind.store((small[chosen, 0] * 255).round().byte().numpy()), kind)


def _mnist(train: bool = True) -> Items:
    return pictures(train=train)[0]


def _measured(
    preset: Callable[..., Preset],
    seed: int,
    data: Callable[..., Items],
    latent: int,
    steps: int,
    **options: float,
) -> Figures:
    made = composed(preset, data().kind, seed, latent=latent, **options)
    return likelihood(trained(made, data(), seed, steps=steps).model, data(train=False))


def vae_on_omniglot(seed: int) -> Figures:
    return _measured(vae, seed, omniglot, LATENT, LONGER)


def mixture_on_mnist(seed: int) -> Figures:
    return _measured(priors.mixture_prior_vae, seed, _mnist, LATENT, STEPS, components=100)


def mixture_on_omniglot(seed: int) -> Figures:
    return _measured(priors.mixture_prior_vae, seed, omniglot, LATENT, LONGER, components=100)


def vamp_on_mnist(seed: int) -> Figures:
    return _measured(priors.vamp_prior_vae, seed, _mnist, LATENT, STEPS, inputs=100)


def vamp_on_omniglot(seed: int) -> Figures:
    return _measured(priors.vamp_prior_vae, seed, omniglot, LATENT, LONGER, inputs=100)


def flow_on_mnist(seed: int) -> Figures:
    return _measured(priors.flow_prior_vae, seed, _mnist, LATENT, STEPS)


@lru_cache(maxsize=2)
def holed(train: bool = True) -> Items:
    """Satellite pixels, 36 correlated columns, half of the cells taken out at random: what is left says which
    directions of z are uncertain, so that they differ from row to row."""
    with np.load(DATA / "adbench/30_satellite.npz") as found:
        values = found["X"].astype(np.float64)
    source = np.random.default_rng(0)
    values = values[source.permutation(len(values))]
    kind = Vectors(values.shape[1], values.mean(0).tolist(), values.std(0).tolist(), missing=True)
    values[source.random(values.shape) < 0.5] = np.nan
    return Items(kind.store(values[1_000:] if train else values[:1_000]), kind)


def vae_on_holes(seed: int) -> Figures:
    return _measured(vae, seed, holed, WIDTH, STEPS)


def full_covariance_on_holes(seed: int) -> Figures:
    return _measured(posteriors.full_covariance_vae, seed, holed, WIDTH, STEPS)


def iaf_on_mnist(seed: int) -> Figures:
    return _measured(posteriors.iaf_vae, seed, _mnist, LATENT, STEPS)


def spline_on_mnist(seed: int) -> Figures:
    return _measured(posteriors.spline_vae, seed, _mnist, LATENT, STEPS)


def _lower(first: str, other: str) -> Callable[[dict[str, Figures]], bool]:
    return lambda f: f[first]["nll"] < f[other]["nll"]


FIGURES = ("nll", "elbo", "rate", "active_units")
MNIST, OMNIGLOT = "MNIST, dynamic", "Omniglot, down-sampled to 28 × 28, dynamic"

CLAIMS = [
    Claim(
        "mixture_prior_vae", "−log p is lower than with N(0, I) at equal steps", MNIST,
        {"100 components": mixture_on_mnist, "N(0, I) (vae)": vae_on_mnist},
        _lower("100 components", "N(0, I) (vae)"), FIGURES,
    ),
    Claim(
        "mixture_prior_vae", "−log p is lower than with N(0, I) at equal steps", OMNIGLOT,
        {"100 components": mixture_on_omniglot, "N(0, I) (vae)": vae_on_omniglot},
        _lower("100 components", "N(0, I) (vae)"), FIGURES,
    ),
    Claim(
        "vamp_prior_vae", "−log p is lower than with N(0, I) at equal steps", MNIST,
        {"100 pseudo-inputs": vamp_on_mnist, "N(0, I) (vae)": vae_on_mnist},
        _lower("100 pseudo-inputs", "N(0, I) (vae)"), FIGURES,
    ),
    Claim(
        "vamp_prior_vae", "−log p is lower than with N(0, I) at equal steps", OMNIGLOT,
        {"100 pseudo-inputs": vamp_on_omniglot, "N(0, I) (vae)": vae_on_omniglot},
        _lower("100 pseudo-inputs", "N(0, I) (vae)"), FIGURES,
    ),
    Claim(
        "flow_prior_vae", "−log p is lower than with N(0, I) at equal steps", MNIST,
        {"autoregressive flow": flow_on_mnist, "N(0, I) (vae)": vae_on_mnist},
        _lower("autoregressive flow", "N(0, I) (vae)"), FIGURES,
    ),
    Claim(
        "full_covariance_vae", "−log p is lower than with the diagonal posterior at equal steps",
        "satellite, half of the cells missing",
        {"full covariance": full_covariance_on_holes, "diagonal (vae)": vae_on_holes},
        _lower("full covariance", "diagonal (vae)"), FIGURES,
    ),
    Claim(
        "iaf_vae", "−log p is lower than with the diagonal posterior at equal steps", MNIST,
        {"inverse autoregressive flow": iaf_on_mnist, "diagonal (vae)": vae_on_mnist},
        _lower("inverse autoregressive flow", "diagonal (vae)"), FIGURES,
    ),
    Claim(
        "spline_vae", "−log p is lower than with the diagonal posterior at equal steps", MNIST,
        {"spline flow": spline_on_mnist, "diagonal (vae)": vae_on_mnist},
        _lower("spline flow", "diagonal (vae)"), FIGURES,
    ),
]  # fmt: skip
