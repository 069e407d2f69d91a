"""The rate in two parts against the closed form of a linear model, and against a table of all posteriors."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.stats import entropy
from torch import nn
from torch.distributions import Categorical, MultivariateNormal

from vaekit.bottlenecks import Variational
from vaekit.bottlenecks.deterministic import Deterministic
from vaekit.conditional import Conditional
from vaekit.data import Items, Vectors
from vaekit.distributions import Fixed, FullGaussian, Gaussian, Noise
from vaekit.evaluation.codebook import codebook_perplexity
from vaekit.evaluation.latents import _own_and_aggregated, information
from vaekit.model import VAE
from vaekit.networks import MLP
from vaekit.priors import StandardNormal

D, LATENT = 4, 2


def model_of(w: np.ndarray, scale: np.ndarray, b: np.ndarray, full: bool = False) -> VAE:
    """q(z | x) = N(W x + b, scale²), with the decoder left out of it."""
    family = FullGaussian() if full else Gaussian()
    head = nn.Linear(D, family.size(LATENT))
    raw = np.log(np.expm1((scale - 1e-4) * math.log(2) / (1 - 1e-4)))
    with torch.no_grad():
        head.weight.zero_()
        head.weight[:LATENT] = torch.tensor(w)
        head.bias[:LATENT] = torch.tensor(b)
        spread = np.diag(raw)[np.tril_indices(LATENT)] if full else raw
        head.bias[LATENT:] = torch.tensor(spread)
    part = Variational(Conditional(head, family), StandardNormal(LATENT))
    return VAE(nn.Identity(), part, Conditional(nn.Linear(LATENT, D), Gaussian(Fixed(1.0)))).double()


@pytest.mark.parametrize("full", [False, True], ids=["diagonal", "full"])
def test_the_two_parts_are_those_of_a_linear_model(full, rng) -> None:
    w, b, scale = rng.normal(size=(LATENT, D)) * 0.6, np.array([0.5, -1.0]), np.array([0.6, 0.9])
    x = rng.normal(size=(2_000, D))
    found = information(model_of(w, scale, b, full), Items(torch.tensor(x)), size=1_600)
    s = np.diag(scale**2)
    total = w @ w.T + s  # Cov q(z): x ~ N(0, I)
    mutual = 0.5 * np.log(np.linalg.det(total) / np.linalg.det(s))
    gap = 0.5 * (np.trace(total) + b @ b - LATENT - np.log(np.linalg.det(total)))
    assert 0.5 < mutual < 2 and gap > 0.5  # neither is trivial
    # 1 600 draws of log ratios whose standard deviation is 1.5 or less
    assert found.mutual_information == pytest.approx(mutual, abs=4 * 1.0 / 40)
    assert found.gap == pytest.approx(gap, abs=4 * 1.5 / 40)
    assert found.rate == pytest.approx(mutual + gap, abs=4 * 1.5 / 40)
    assert found.rate == pytest.approx(found.mutual_information + found.gap)


def test_a_posterior_that_is_the_prior_costs_nothing() -> None:
    model = model_of(np.zeros((LATENT, D)), np.ones(LATENT), np.zeros(LATENT))
    found = information(model, Items(torch.randn(50, D, dtype=torch.float64)))
    assert (found.mutual_information, found.gap, found.rate) == pytest.approx((0, 0, 0), abs=1e-9)


def test_codes_that_say_which_datum_it_is_know_log_n(rng) -> None:
    model = model_of(1e3 * rng.normal(size=(LATENT, D)), np.full(LATENT, 0.1), np.zeros(LATENT))
    x = torch.tensor(rng.normal(size=(64, D)))
    assert information(model, Items(x)).mutual_information == pytest.approx(math.log(64), abs=1e-9)
    assert information(model, Items(x), size=10).mutual_information == pytest.approx(math.log(10), abs=1e-9)
    same = information(model, Items(x[:1].repeat(64, 1)))
    assert same.mutual_information == pytest.approx(0, abs=1e-9) and same.gap > 100
    pairs = information(model, Items(x[:8].repeat(8, 1)))
    assert pairs.mutual_information == pytest.approx(math.log(8), abs=1e-9)


def test_the_aggregated_posterior_is_the_mixture_of_all_of_them(rng) -> None:
    mean, std = (torch.tensor(rng.normal(size=(30, 3))) for _ in range(2))
    q = torch.distributions.Normal(mean, std.abs() + 0.2)
    z = q.sample()
    own, mixed = _own_and_aggregated(SimpleNamespace(z=z, q=q))
    table = q.log_prob(z[:, None]).sum(2)  # (30 values, 30 posteriors)
    torch.testing.assert_close(mixed, table.logsumexp(1) - math.log(30))
    torch.testing.assert_close(own, table.diagonal())


@pytest.mark.parametrize("kind", ["categories", "coupled"])
def test_it_takes_any_posterior(kind, rng) -> None:
    if kind == "categories":
        q = Categorical(logits=torch.tensor(rng.normal(size=(12, 5, 4))))  # five codes of four values
        z = q.sample()
        table = q.log_prob(z[:, None]).sum(2)
    else:
        lower = torch.tril(torch.tensor(rng.normal(size=(12, 3, 3)))) * 0.3 + torch.eye(3)
        q = MultivariateNormal(torch.tensor(rng.normal(size=(12, 3))), scale_tril=lower)
        z = q.sample()
        table = q.log_prob(z[:, None])
    mixed = _own_and_aggregated(SimpleNamespace(z=z, q=q))[1]
    torch.testing.assert_close(mixed, table.double().logsumexp(1) - math.log(12))


def test_the_seed_decides_and_the_global_generator_does_not(rng) -> None:
    model = model_of(rng.normal(size=(LATENT, D)), np.full(LATENT, 0.5), np.zeros(LATENT))
    items = Items(torch.tensor(rng.normal(size=(80, D))))
    torch.manual_seed(0)
    first = information(model, items, size=40, seed=1)
    torch.manual_seed(1)
    assert information(model, items, size=40, seed=1) == first
    assert information(model, items, size=40, seed=2) != first


def test_codes_without_a_density_have_no_information() -> None:
    model = VAE(nn.Identity(), Deterministic(), Conditional(nn.Linear(D, D), Gaussian(Fixed(1.0))))
    with pytest.raises(ValueError, match="deterministic"):
        information(model, Items(torch.zeros(5, D)))


def test_a_prior_that_hears_a_condition_is_refused() -> None:
    own = Conditional(nn.Linear(2, Gaussian().size(LATENT)), Gaussian())
    part = Variational(Conditional(nn.Linear(D, Gaussian().size(LATENT)), Gaussian()), own)
    model = VAE(MLP(D, D, condition=2), part, Conditional(nn.Linear(LATENT, D), Gaussian(Fixed(1.0))))
    items = Items(torch.zeros(5, D), Vectors(D, labels=("a", "b"), conditional=True), torch.zeros(5).long())
    with pytest.raises(ValueError, match="depends on a condition"):
        information(model, items)


def test_two_latent_variables_are_refused(rng) -> None:
    model = model_of(np.zeros((LATENT, D)), np.ones(LATENT), np.zeros(LATENT))
    forward = model.bottleneck.forward

    def twice(*given, **named):
        state, latents = forward(*given, **named)
        return state, latents * 2

    model.bottleneck.forward = twice
    with pytest.raises(ValueError, match="has 2"):
        information(model, Items(torch.zeros(5, D, dtype=torch.float64)))


# codebooks


def test_perplexity_is_how_many_equal_codes_would_be_as_varied() -> None:
    assert codebook_perplexity(torch.arange(16).view(4, 2, 2), 16).perplexity == pytest.approx(16)
    assert codebook_perplexity(torch.arange(16), 64).used == 0.25
    one = codebook_perplexity(torch.full((9,), 3), 8)
    assert (one.perplexity, one.used) == (1.0, 0.125)
    shares = np.array([0.5, 0.25, 0.125, 0.125])
    codes = torch.tensor(np.repeat([0, 3, 4, 6], (shares * 80).astype(int)))
    found = codebook_perplexity(codes[Noise(0).permutation(80)], 7)
    assert found.perplexity == pytest.approx(math.exp(entropy(shares))) and found.used == pytest.approx(4 / 7)


@pytest.mark.parametrize("codes", [[0, 8], [-1, 2], [], [0.5, 1.0]])
def test_codes_outside_the_codebook_are_refused(codes) -> None:
    with pytest.raises(ValueError, match="integers from 0 to 7"):
        codebook_perplexity(torch.tensor(codes), 8)
