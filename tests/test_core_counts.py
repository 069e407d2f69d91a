"""Poisson and negative binomial against SciPy and exact arithmetic, their draws, and their families."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import special, stats

from vaekit.conditional import Conditional
from vaekit.distributions import NegativeBinomial, Noise, Poisson, RowNoise, center, draw, log_prob
from vaekit.distributions.counts import (
    NegativeBinomialDistribution,
    PoissonDistribution,
    bounded,
    deviance,
    poisson_quantile,
    remainder,
)
from vaekit.recipes import build, recipe

MEANS = [1e-10, 1e-3, 0.2, 1.0, 37.0, 1e4, 1e8]
THETAS = [1e-6, 1e-2, 1.0, 50.0, 1e6, 1e10]


def doubles(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def exact(x: float, mean: float, theta: float) -> float:
    """log p(x) of the negative binomial as written down, in 60 digits."""
    mpmath = pytest.importorskip("mpmath")
    with mpmath.workdps(60):
        x, mean, theta = (mpmath.mpf(value) for value in (x, mean, theta))
        ways = mpmath.loggamma(x + theta) - mpmath.loggamma(theta) - mpmath.loggamma(x + 1)
        share = mpmath.log(mean / (mean + theta))
        return float(ways + x * share + theta * mpmath.log(theta / (mean + theta)))


# --- masses


@pytest.mark.parametrize("mean", MEANS)
def test_poisson_masses_are_scipys(mean) -> None:
    x = np.unique(np.rint([0, 1, 2, 15, 16, 17, 300, mean, mean + 3 * mean**0.5]))
    found = PoissonDistribution(doubles(math.log(mean)).expand(len(x))).log_prob(torch.tensor(x))
    expected = stats.poisson.logpmf(x, mean)
    # SciPy subtracts numbers as large as x log x
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14 * (1 + x * abs(math.log(mean))).max())


@pytest.mark.parametrize("mean", [1e-3, 0.2, 1.0, 37.0, 1e4])
@pytest.mark.parametrize("theta", [1e-2, 1.0, 50.0, 1e4])
def test_negative_binomial_masses_are_scipys(mean, theta) -> None:
    x = np.unique(np.rint([0, 1, 2, 15, 16, 17, 300, mean]))
    m, t = doubles(math.log(mean)).expand(len(x)), doubles(math.log(theta))
    found = NegativeBinomialDistribution(m, t).log_prob(torch.tensor(x))
    np.testing.assert_allclose(
        found, stats.nbinom.logpmf(x, theta, theta / (mean + theta)), rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-11), (torch.float32, 2e-4)])
def test_no_digit_is_lost_from_nearly_poisson_to_very_wide(dtype, tolerance) -> None:
    """lgamma alone, at a mean of 1e8 in float32, is a hundred nats off."""
    for mean in MEANS:
        for theta in THETAS:
            log_mean, log_theta = (doubles(math.log(value)).to(dtype) for value in (mean, theta))
            for x in (0, 1, 2, 15, 16, 17, 1000, round(mean), round(mean * 1.001)):
                value = torch.tensor([x], dtype=dtype)
                found = float(NegativeBinomialDistribution(log_mean, log_theta).log_prob(value))
                given = (math.exp(float(log_mean)), math.exp(float(log_theta)))
                expected = exact(float(value), *given)
                assert abs(found - expected) <= tolerance * (1 + abs(expected)), (mean, theta, x)


@pytest.mark.parametrize("mean", [1e-10, 0.3, 20.0])
@pytest.mark.parametrize("theta", [None, 0.5, 3.0, 1e5])
def test_masses_sum_to_one_and_have_the_mean_and_variance_they_say(mean, theta) -> None:
    x = torch.arange(4000, dtype=torch.float64)
    m = doubles(math.log(mean)).expand(4000)
    d = PoissonDistribution(m) if theta is None else NegativeBinomialDistribution(m, doubles(math.log(theta)))
    mass = d.log_prob(x).exp()
    assert float(mass.sum()) == pytest.approx(1, abs=1e-12)
    assert float((mass * x).sum()) == pytest.approx(float(d.mean[0]), rel=1e-10)
    second = float((mass * (x - mean) ** 2).sum())
    assert second == pytest.approx(float(d.variance[0]), rel=1e-10)
    assert second == pytest.approx(mean + (0 if theta is None else mean**2 / theta), rel=1e-10)


def test_an_infinite_inverse_dispersion_is_a_poisson_distribution() -> None:
    x, m = torch.arange(40, dtype=torch.float64), doubles(1.5).expand(40)
    found = NegativeBinomialDistribution(m, doubles(30.0)).log_prob(x)
    torch.testing.assert_close(found, PoissonDistribution(m).log_prob(x), rtol=1e-10, atol=1e-10)


def test_what_is_no_count_is_never_scored_as_one() -> None:
    """Neither a negative value nor a hole in the data may pass for a 0."""
    for d in (
        PoissonDistribution(torch.zeros(2)),
        NegativeBinomialDistribution(torch.zeros(2), torch.zeros(1)),
    ):
        assert d.log_prob(torch.tensor([-1.0, math.nan])).isnan().all()


# --- gradients


@pytest.mark.parametrize(("dtype", "rtol"), [(torch.float64, 1e-9), (torch.float32, 2e-3)])
def test_gradients_are_the_closed_ones(dtype, rtol) -> None:
    """d/dlog μ = (x − μ) θ/(μ + θ);  d/dlog θ = θ (ψ(x + θ) − ψ(θ) − log(1 + μ/θ)) + (μ − x) θ/(μ + θ)."""
    cases = [(x, m, t) for x in (0, 1, 7, 40) for m in (1e-3, 1.0, 30.0) for t in (1e-2, 1.0, 100.0)]
    x, mean, theta = np.array(cases).T
    m, t = (torch.tensor(np.log(v), dtype=dtype, requires_grad=True) for v in (mean, theta))
    NegativeBinomialDistribution(m, t).log_prob(torch.tensor(x, dtype=dtype)).sum().backward()
    share = theta / (mean + theta)
    digammas = special.digamma(x + theta) - special.digamma(theta)
    by_theta = theta * (digammas - np.log1p(mean / theta)) + (mean - x) * share
    np.testing.assert_allclose(m.grad, (x - mean) * share, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(t.grad, by_theta, rtol=rtol, atol=rtol)
    r = torch.tensor(np.log(mean), dtype=dtype, requires_grad=True)
    PoissonDistribution(r).log_prob(torch.tensor(x, dtype=dtype)).sum().backward()
    np.testing.assert_allclose(r.grad, x - mean, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("mean", MEANS)
@pytest.mark.parametrize("theta", THETAS)
def test_gradients_are_finite_everywhere(mean, theta) -> None:
    x = torch.tensor([0.0, 1.0, 16.0, 1000.0, round(mean), 1e8])
    m = torch.full((6,), math.log(mean), requires_grad=True)
    t = torch.full((1,), math.log(theta), requires_grad=True)
    for d in (NegativeBinomialDistribution(m, t), PoissonDistribution(m)):
        terms = d.log_prob(x)
        gradients = torch.autograd.grad(terms.sum(), [m, t], allow_unused=True)
        assert terms.isfinite().all() and all(g is None or g.isfinite().all() for g in gradients)


def test_one_inverse_dispersion_for_a_column_gathers_the_gradient_of_its_rows(rng) -> None:
    x = torch.tensor(rng.poisson(2, (50, 3)), dtype=torch.float64)
    m, t = torch.zeros(50, 3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64, requires_grad=True)
    each = t.detach().expand(50, 3).clone().requires_grad_()
    NegativeBinomialDistribution(m, t).log_prob(x).sum().backward()
    NegativeBinomialDistribution(m, each).log_prob(x).sum().backward()
    torch.testing.assert_close(t.grad, each.grad.sum(0))


# --- the two functions that keep the digits


def test_deviance_keeps_its_digits_near_zero() -> None:
    d = doubles(-5.0, -1e-2, -1e-3, -1e-5, 1e-5, 1e-8, 9.9e-3, 1.01e-2, 3.0)
    mpmath = pytest.importorskip("mpmath")
    with mpmath.workdps(50):
        expected = [float(mpmath.exp(-mpmath.mpf(v)) - 1 + mpmath.mpf(v)) for v in d.tolist()]
    np.testing.assert_allclose(deviance(d), expected, rtol=1e-13)


def test_the_remainder_is_log_factorial_without_its_first_terms() -> None:
    y = np.array([1e-6, 0.5, 3.0, 15.999, 16.0, 16.001, 100.0])
    expected = special.gammaln(y + 1) - y * np.log(y) + y
    np.testing.assert_allclose(remainder(torch.tensor(y)), expected, rtol=1e-12, atol=1e-12)
    assert float(remainder(doubles(1e12))[0]) == pytest.approx(0.5 * math.log(2 * math.pi * 1e12), rel=1e-12)


# --- draws


@pytest.mark.parametrize("rate", [0.0, 1e-10, 0.01, 1.0, 50.0, 1e4, 9e5, 1.1e6, 1e8])
def test_poisson_quantiles_are_scipys(rate, rng) -> None:
    u = np.concatenate([rng.random(300), [1e-9, 1 - 1e-9]])
    found = poisson_quantile(u, np.full(302, rate))
    off = np.abs(found - stats.poisson.ppf(u, rate))
    assert off.max() <= (rate > 1e6) and off.sum() <= 2


def test_a_count_whose_mean_is_huge_is_normal() -> None:
    z = special.ndtri(0.9)
    assert poisson_quantile(np.array([0.9]), np.array([4e14]))[0] == pytest.approx(4e14 + 2e7 * z, abs=2)


@pytest.mark.parametrize("mean", [0.05, 3.0, 500.0])
@pytest.mark.parametrize("theta", [None, 0.1, 5.0, 1e6])
def test_draws_have_the_distribution_they_say(mean, theta) -> None:
    n = 20_000
    m = torch.full((n, 1), math.log(mean))
    d = (
        PoissonDistribution(m)
        if theta is None
        else NegativeBinomialDistribution(m, torch.tensor(math.log(theta)))
    )
    x = draw(d, Noise(0, "fit"))[0]
    assert x.dtype == torch.float32 and x.shape == m.shape
    drawn = x.double().numpy().ravel()
    oracle = stats.poisson(mean) if theta is None else stats.nbinom(theta, theta / (mean + theta))
    assert abs(drawn.mean() - mean) < 4 * oracle.std() / math.sqrt(n)
    edges = np.unique(
        oracle.ppf(np.linspace(0.02, 0.98, 15))
    )  # chi-square over bins of the oracle's own quantiles
    places = np.searchsorted(edges, drawn)
    expected = np.diff(np.concatenate([[0], oracle.cdf(edges), [1]])) * n
    kept = expected > 5
    counts = np.bincount(places, minlength=len(expected))
    statistic = ((counts - expected)[kept] ** 2 / expected[kept]).sum()
    assert stats.chi2.sf(statistic, max(1, kept.sum() - 1)) > 1e-3


@pytest.mark.parametrize("family", [Poisson(), NegativeBinomial(), NegativeBinomial(2, [0.3, 20.0])])
def test_a_row_draws_by_its_own_key_alone_and_ranks_draw_their_share(family) -> None:
    keys = torch.tensor([3, -7, 2**62, 11, 0, 5])
    params = torch.linspace(-1, 4, 6 * family.size(2)).view(6, -1)
    whole = draw(family(params), RowNoise(0, "d", keys))[0]
    assert torch.equal(draw(family(params[2:4]), RowNoise(0, "d", keys[2:4]))[0], whole[2:4])
    assert torch.equal(draw(family(params.flip(0)), RowNoise(0, "d", keys.flip(0)))[0], whole.flip(0))
    parts = [draw(family(params[i : i + 3]), Noise(0, "d", part=(i // 3, 2)))[0] for i in (0, 3)]
    assert torch.equal(torch.cat(parts), draw(family(params), Noise(0, "d"))[0])
    assert torch.equal(center(family(params)), family(params).mean)


# --- families


def test_a_network_is_taken_at_its_word_until_its_exponential_would_overflow() -> None:
    v = torch.linspace(-50, 20, 71)
    assert torch.equal(bounded(v), v)
    v = doubles(20.0, 21.0, 1e6, 1e20)
    assert bounded(v).diff().min() > 0 and float(bounded(v).max()) < 88
    t = doubles(20.0).requires_grad_()
    bounded(t).backward()
    assert float(t.grad) == 1


@pytest.mark.parametrize("family", [Poisson(), NegativeBinomial(), NegativeBinomial(1)])
def test_extreme_parameters_never_give_a_nan(family, rng) -> None:
    values = torch.tensor([-1e6, -30.0, 0.0, 30.0, 1e6])
    params = values[torch.tensor(rng.integers(0, 5, (300, family.size(1))))].requires_grad_()
    x = torch.tensor(rng.choice([0, 1, 5, 1000, 10**7], (300, 1)), dtype=torch.float32)
    terms = log_prob(family(params), x)
    (gradient,) = torch.autograd.grad(terms.sum(), params)
    assert terms.isfinite().all() and gradient.isfinite().all()
    assert float(terms.detach().max()) <= 1e-6  # a mass
    assert draw(family(params.detach()), Noise(0))[0].isfinite().all()


def test_parameters_mean_what_they_say() -> None:
    params = torch.tensor([[0.5, 1.0, -2.0, 3.0]])
    d = NegativeBinomial(initial=2.0)(params)
    assert torch.equal(d.log_mean, params[:, :2])
    torch.testing.assert_close(d.log_inverse_dispersion, params[:, 2:] + math.log(2))
    d = NegativeBinomial(4, [0.5, 1.0, 2.0, 400.0])(params)
    assert torch.equal(d.log_mean, params)
    torch.testing.assert_close(d.log_inverse_dispersion.detach().exp(), torch.tensor([0.5, 1.0, 2.0, 400.0]))
    assert torch.equal(Poisson()(params).log_rate, params)
    assert Poisson().discrete and NegativeBinomial.discrete


@pytest.mark.parametrize("family", [Poisson(), NegativeBinomial(), NegativeBinomial(3, [0.5, 1.0, 2.0])])
def test_images_have_their_parameters_on_axis_1(family, rng) -> None:
    params = torch.tensor(rng.normal(size=(2, family.size(3), 2, 4)))
    x = torch.tensor(rng.poisson(2.0, (2, 3, 2, 4)), dtype=torch.float64)
    whole = family(params).log_prob(x)
    assert whole.shape == x.shape
    torch.testing.assert_close(whole[:, :, 1, 2], family(params[:, :, 1, 2]).log_prob(x[:, :, 1, 2]))


def test_masked_counts_count_as_nothing() -> None:
    params = torch.zeros(1, 3, requires_grad=True)
    x, mask = torch.tensor([[2.0, math.nan, 0.0]]), torch.tensor([[True, False, True]])
    for family in (Poisson(), NegativeBinomial(3)):
        terms = log_prob(family(params), x, mask)
        (gradient,) = torch.autograd.grad(terms.sum(), params)
        assert float(terms[0, 1].detach()) == 0 and float(gradient[0, 1]) == 0
        assert terms.isfinite().all() and (gradient[0, [0, 2]] != 0).all()


@pytest.mark.parametrize(
    "arguments", [{"dim": 3, "initial": [1.0, 2.0]}, {"dim": 2, "initial": [1.0, 0.0]}, {"initial": [1.0, 2.0]},
                  {"initial": -1.0}, {"initial": math.inf}],
)  # fmt: skip
def test_arguments_out_of_range_are_refused(arguments) -> None:
    with pytest.raises(ValueError, match="initial"):
        NegativeBinomial(**arguments)


@pytest.mark.parametrize(
    "family", [Poisson(), NegativeBinomial(initial=0.25), NegativeBinomial(2, [0.5, 4.0])]
)
def test_a_recipe_rebuilds_a_family(family) -> None:
    again = build(recipe(family))
    assert recipe(again) == recipe(family)
    again.load_state_dict(family.state_dict())
    params = torch.randn(3, family.size(2), generator=torch.Generator().manual_seed(0))
    x = torch.tensor([[0.0, 3.0]])
    assert torch.equal(again(params).log_prob(x), family(params).log_prob(x))


def test_half_precision_is_raised_once() -> None:
    params = torch.zeros(2, 3, dtype=torch.bfloat16)
    d = Conditional(torch.nn.Identity(), NegativeBinomial(3))(params)
    assert d.log_prob(torch.ones(2, 3)).dtype == torch.float32
