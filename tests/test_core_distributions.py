"""Distributions against SciPy, grids, enumeration, Monte Carlo and the samplers' own statistics."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import integrate, stats
from torch import nn
from torch.distributions import MultivariateNormal, Normal

from vaekit.conditional import Conditional
from vaekit.distributions import (
    Bernoulli,
    Categorical,
    ContinuousBernoulli,
    DiscretizedLogistic,
    DiscretizedLogisticMixture,
    Fixed,
    FullGaussian,
    Gaussian,
    Laplace,
    Noise,
    Optimal,
    PerDimension,
    PointMass,
    Predicted,
    Shared,
    StudentT,
    center,
    draw,
    kl,
    log_prob,
    right,
    spread,
    tempered,
)

DRAWS = 200_000  # a scale that is wrong by a fortieth shows


def grid(likelihood, dist) -> tuple[torch.Tensor, torch.Tensor]:
    """Values x (G, 1) and the weight of each in a sum or an integral over the support."""
    if isinstance(likelihood.support, list):
        x = torch.tensor(likelihood.support, dtype=torch.float64)
        return x.unsqueeze(1), torch.ones(len(x), dtype=torch.float64)
    if likelihood.support == "unit":
        x, w = np.polynomial.legendre.leggauss(200)
        return torch.tensor((x + 1) / 2).unsqueeze(1), torch.tensor(w / 2)
    # x = loc + scale · tan u takes in every tail; a node stands on the cusp of the Laplace density
    u = np.linspace(-math.pi / 2, math.pi / 2, 40_003)[1:-1]
    loc, scale = (float(t.detach().flatten()[0]) for t in (dist.loc, dist.scale))
    w = scale / np.cos(u) ** 2 * (u[1] - u[0])
    return torch.tensor(loc + scale * np.tan(u)).unsqueeze(1), torch.tensor(w)


@pytest.mark.parametrize("size", [0.0, 1.0, 10.0])
def test_log_prob_is_scipys(likelihood, size, rng) -> None:
    family = likelihood.make().double()
    params = rng.normal(size=(40, family.size(1))) * size + 1e-3
    x = likelihood.data(rng, (40, 1))
    ours = log_prob(family(torch.tensor(params)), torch.tensor(x)).detach().numpy()
    expected = likelihood.oracle(params, x)
    known = np.isfinite(expected) & (expected > -600)  # where the oracle itself neither under- nor overflows
    assert known.mean() > 0.4
    np.testing.assert_allclose(ours[known], expected[known], rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("size", [0.0, 1.0, 5.0])
def test_log_prob_sums_to_one_and_the_mean_is_right(likelihood, size, rng) -> None:
    family = likelihood.make().double()
    for _ in range(3):
        params = torch.tensor(rng.normal(size=(1, family.size(1))) * size + 1e-3)
        dist = family(params)
        x, weight = grid(likelihood, dist)
        mass = (family(params.expand(len(x), -1)).log_prob(x).squeeze(1).exp() * weight).detach()
        assert float(mass.sum()) == pytest.approx(1, abs=2e-6)
        if likelihood.name == "categorical":
            assert int(center(dist)) == int(mass.argmax())
            continue
        expected = float((mass * x.squeeze(1)).sum())
        # the discretised families promise half a level; a tail as heavy as Student's needs a wide grid
        half_level = {"discretized-logistic": 0.5 / 15, "logistic-mixture": 0.5 / 15}
        tolerance = half_level.get(likelihood.name, 1e-4 * max(1, abs(expected)))
        assert float(center(dist).detach()) == pytest.approx(expected, abs=tolerance)


@pytest.mark.parametrize("levels", [2, 3, 16, 256])
@pytest.mark.parametrize("mixture", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_all_levels_sum_to_one_in_every_tail(levels, mixture, dtype) -> None:
    """Also for locations far outside [0, 1] and for scales from far below a level to far above the range."""
    family = DiscretizedLogisticMixture(levels, components=3) if mixture else DiscretizedLogistic(levels)
    extremes = [-1e6, -300.0, -3.0, -0.5, 0.0, 0.02, 0.7, 3.0, 300.0, 1e6]
    pairs = torch.cartesian_prod(*[torch.tensor(extremes, dtype=dtype)] * 2)  # (100, 2): location, raw scale
    if mixture:
        loc = torch.stack([pairs[:, 0], pairs[:, 0].flip(0), torch.zeros(100, dtype=dtype)], 1)
        raw = torch.stack([pairs[:, 1], pairs[:, 1].roll(7), torch.zeros(100, dtype=dtype)], 1)
        params = torch.cat([pairs[:, [0, 1, 1]].clamp(-30, 30), loc, raw], 1)
    else:
        params = pairs
    x = torch.arange(levels, dtype=dtype) / (levels - 1)
    with torch.no_grad():
        terms = torch.stack([family(params).log_prob(v.expand(100, 1)) for v in x])  # (levels, 100, 1)
    assert not terms.isnan().any()
    assert float(terms.max()) <= 1e-6  # a mass
    total = terms.double().exp().sum(0)
    np.testing.assert_allclose(total, 1, atol=2e-4 if dtype == torch.float32 else 1e-9)


@pytest.mark.parametrize("scale", [10.0, 1e3, 1e5])
def test_a_level_keeps_its_digits_where_the_scale_is_wide(scale) -> None:
    """A bin far narrower than the logistic: its mass is density times width, in float32 too."""
    raw = scale * math.log(2) / 0.1
    x = torch.arange(1, 255) / 255
    found = DiscretizedLogistic(256)(torch.tensor([[0.1, raw]]).expand(254, 2)).log_prob(x.unsqueeze(1))
    actual = 1e-4 + (0.1 - 1e-4) / math.log(2) * np.logaddexp(0, raw)
    expected = stats.logistic.logpdf(x.double(), 0.6, actual) - math.log(255)
    np.testing.assert_allclose(found[:, 0], expected, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_continuous_bernoulli_is_right_for_every_logit(dtype) -> None:
    """Saturated pixels have large logits; near 0 the formulas are 0/0. Density λ e^{λx} / (e^λ − 1), in logits λ."""
    logits = np.array([1e-5, 4e-3, 0.02, 0.3, 2.0, 9.0, 14.0, 17.0, 25.0, 40.0, 100.0, 1000.0])
    logits = np.concatenate([-logits, logits])
    dist = ContinuousBernoulli()(torch.tensor(logits, dtype=dtype).unsqueeze(1))
    logits = torch.tensor(logits, dtype=dtype).double().numpy()
    size = np.abs(logits)
    log_norm = np.where(logits > 0, logits, 0) + np.log(-np.expm1(-size)) - np.log(size)  # log ∫ e^{λx} dx
    tolerance = 2e-5 if dtype == torch.float32 else 1e-9
    for value in (0.0, 0.3, 1.0):
        x = torch.full((len(logits), 1), value, dtype=dtype)
        expected = logits * float(x[0, 0]) - log_norm
        np.testing.assert_allclose(dist.log_prob(x)[:, 0], expected, rtol=tolerance, atol=tolerance)
    small = size < 0.01
    with np.errstate(over="ignore"):
        mean = np.where(small, 0.5 + logits / 12, -1 / np.expm1(-logits) - 1 / logits)
    np.testing.assert_allclose(dist.mean[:, 0], mean, atol=2e-5)
    for value in (0.0, 0.4, 1.0):  # an exponential family: the slope in λ is x − E[x]
        raw = torch.tensor(logits, dtype=dtype).unsqueeze(1).requires_grad_()
        ContinuousBernoulli()(raw).log_prob(torch.full_like(raw, value)).sum().backward()
        np.testing.assert_allclose(raw.grad[:, 0], value - mean, atol=1e-4)
    u = Noise(2, "u").uniform((len(logits), 1), torch.zeros(1, dtype=dtype)).double().numpy()[:, 0]
    drawn = draw(dist, Noise(2, "u"))[0][:, 0].double().numpy()
    cdf = np.where(logits > 0, np.exp(size * (drawn - 1)) - np.exp(-size), -np.expm1(-size * drawn))
    np.testing.assert_allclose(cdf / -np.expm1(-size), u, atol=2e-2 if dtype == torch.float32 else 1e-4)


def test_discretized_mean_is_the_enumerated_one(rng) -> None:
    loc = torch.tensor(rng.uniform(-1, 2, (50, 1)))
    raw = torch.tensor(rng.uniform(-80, 3, (50, 1)))
    dist = DiscretizedLogistic(256)(torch.cat([loc - 0.5, raw], 1))
    x = torch.arange(256) / 255.0
    expected = (
        torch.stack([dist.log_prob(v.expand(50, 1)) for v in x.double()]).exp() * x[:, None, None]
    ).sum(0)
    np.testing.assert_allclose(dist.mean, expected, atol=0.5 / 255)
    assert ((dist.mean >= 0) & (dist.mean <= 1)).all()


def test_full_gaussian_integrates_to_one() -> None:
    family = FullGaussian().double()
    params = torch.tensor([[0.3, -0.2, 0.5, 1.2, -0.4]], dtype=torch.float64)
    u = torch.linspace(-12, 12, 401, dtype=torch.float64)
    x = torch.cartesian_prod(u, u)
    mass = family(params.expand(len(x), -1)).log_prob(x).exp().sum() * (u[1] - u[0]) ** 2
    assert float(mass) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("dim", [1, 2, 3, 7])
def test_full_gaussian_has_covariance_l_lt(dim, rng) -> None:
    family = FullGaussian().double()
    params = rng.normal(size=(4, family.size(dim))) * 2
    q = family(torch.tensor(params))
    for i in range(4):
        lower = np.zeros((dim, dim))
        lower[np.tril_indices(dim)] = params[i, dim:]
        diagonal = 1e-4 + (1 - 1e-4) / math.log(2) * np.logaddexp(0, np.diag(lower))
        lower[np.diag_indices(dim)] = diagonal
        np.testing.assert_allclose(q.covariance_matrix[i], lower @ lower.T, rtol=1e-12)
        np.testing.assert_allclose(q.mean[i], params[i, :dim])
        np.testing.assert_allclose(spread(q)[i], np.sqrt(np.diag(lower @ lower.T)), rtol=1e-12)
    standard = family(torch.zeros(1, family.size(dim), dtype=torch.float64))
    np.testing.assert_allclose(standard.covariance_matrix[0], np.eye(dim), atol=1e-12)


@pytest.mark.parametrize("size", [0.5, 3.0])
def test_samplers_fit(likelihood, size, rng) -> None:
    """Kolmogorov–Smirnov for densities, chi-square for masses, at a fixed seed."""
    family = likelihood.make()
    params = torch.tensor(rng.normal(size=(1, family.size(1))) * size, dtype=torch.float32)
    with torch.no_grad():
        dist = family(params.expand(DRAWS, -1))
        x = draw(dist, Noise(3, "fit"))[0].double().numpy().ravel()
    raw = params.numpy().astype(float)
    if isinstance(likelihood.support, list):
        support = np.array(likelihood.support)
        mass = np.exp(likelihood.oracle(np.repeat(raw, len(support), 0), support[:, None]).ravel())
        counts = np.array([(np.abs(x - v) < 1e-6).sum() for v in support])
        assert counts.sum() == DRAWS  # nothing off the levels
        enough = mass * DRAWS >= 5
        observed = np.append(counts[enough], counts[~enough].sum())
        expected = np.append(mass[enough], mass[~enough].sum()) * DRAWS
        rare = expected > 1e-6
        p = stats.chisquare(
            observed[rare], expected[rare] * observed[rare].sum() / expected[rare].sum()
        ).pvalue
    else:
        low, high = (0, 1) if likelihood.support == "unit" else (-np.inf, np.inf)
        density = lambda t: float(np.exp(likelihood.oracle(raw, np.array([[t]])))[0, 0])  # noqa: E731
        points = np.quantile(x, np.linspace(0, 1, 60)[1:-1])
        steps = [
            integrate.quad(density, a, b)[0] for a, b in zip([low, *points], [*points, high], strict=True)
        ]
        assert sum(steps) == pytest.approx(1, abs=1e-5)
        counts = np.histogram(x, [-np.inf, *points, np.inf])[0]
        # against the exact mass between the sample's quantiles: the largest gap of the two cdfs
        gap = np.abs(np.cumsum(steps) - np.cumsum(counts) / DRAWS).max()
        p = stats.kstwo.sf(gap, DRAWS)
    assert p > 1e-3


def test_full_gaussian_sampler_fits(rng) -> None:
    family = FullGaussian()
    params = torch.tensor(rng.normal(size=(1, family.size(3))), dtype=torch.float32)
    q = family(params.expand(DRAWS, -1))
    z = draw(q, Noise(5, "fit"))[0].double().numpy()
    covariance = q.covariance_matrix[0].double().numpy()
    white = np.linalg.solve(np.linalg.cholesky(covariance), (z - q.mean[0].numpy()).T)
    for row in white:
        assert stats.kstest(row, "norm").pvalue > 1e-3
    assert np.abs(np.corrcoef(white) - np.eye(3)).max() < 4 / math.sqrt(DRAWS)


def test_reparameterised_draws_carry_their_gradient() -> None:
    loc, scale = torch.zeros(6, 2, requires_grad=True), torch.ones(6, 2, requires_grad=True)
    z = draw(Normal(loc, scale), Noise(0, "g"))[0]
    eps = Noise(0, "g").normal((6, 2))
    z.sum().backward()
    assert torch.equal(loc.grad, torch.ones(6, 2))
    torch.testing.assert_close(scale.grad, eps)


# --- masks


def masked_case(likelihood, rng, dtype=torch.float32):
    """params (4, ·, 2) that need gradients, over one channel of two pixels: also families of fixed width fit."""
    family = likelihood.make()
    params = torch.tensor(rng.normal(size=(4, family.size(1), 2)), dtype=dtype, requires_grad=True)
    x = torch.tensor(likelihood.data(rng, (4, 1, 2)), dtype=dtype)
    return family, params, x


@pytest.fixture
def image_likelihood(likelihood):
    if likelihood.name == "gaussian-per-dimension":
        likelihood.make = lambda: Gaussian(PerDimension((1, 2), initial=2.0))
    return likelihood


def test_a_mask_of_ones_changes_nothing(image_likelihood, rng) -> None:
    family, params, x = masked_case(image_likelihood, rng)
    d = family(params)
    assert torch.equal(log_prob(d, x, torch.ones_like(x, dtype=torch.bool)), log_prob(d, x))
    assert torch.equal(log_prob(d, x, torch.ones_like(x)), d.log_prob(x))


@pytest.mark.parametrize("hidden", [0.0, 3.7, float("nan"), float("inf")])
def test_what_is_masked_counts_nothing(image_likelihood, hidden, rng) -> None:
    family, params, x = masked_case(image_likelihood, rng)
    mask = torch.tensor([[1, 1], [1, 0], [0, 1], [0, 0]]).bool().unsqueeze(1)
    bare = log_prob(family(params), x).detach()
    holes = torch.where(mask, x, torch.full_like(x, hidden)).requires_grad_()
    terms = log_prob(family(params), holes, mask)
    assert torch.equal(terms[~mask], torch.zeros(4))
    assert torch.equal(terms[mask], bare[mask])
    own = [*family.parameters()]
    grads = torch.autograd.grad(right(terms).sum(), [params, holes, *own], allow_unused=True)
    in_params = grads[0].abs().sum(1, keepdim=True)
    assert (in_params[~mask] == 0).all() and (in_params[mask] > 0).all()
    assert grads[1] is None or (grads[1][~mask] == 0).all()
    assert all(g is None or g.isfinite().all() for g in grads)
    # and the observed cells have the gradient that they have alone
    alone = torch.autograd.grad(family(params).log_prob(x)[mask].sum(), params)[0]
    torch.testing.assert_close(grads[0], alone)


def test_parameters_that_overflow_at_a_masked_cell_do_no_harm() -> None:
    loc = torch.tensor([[0.5, 1e25]], requires_grad=True)  # its square is infinite
    terms = log_prob(Normal(loc, torch.ones(1, 2)), torch.zeros(1, 2), torch.tensor([[1, 0]]))
    terms.sum().backward()
    assert float(terms.detach()[0, 1]) == 0
    assert loc.grad.tolist() == [[-0.5, 0.0]]


def test_coupled_dimensions_refuse_a_mask() -> None:
    q = FullGaussian()(torch.zeros(2, 5))
    with pytest.raises(ValueError, match="couples"):
        log_prob(q, torch.zeros(2, 2), torch.ones(2, 2))


def test_right_sums_all_but_the_batch(rng) -> None:
    t = rng.normal(size=(3, 2, 4))
    np.testing.assert_allclose(right(torch.tensor(t)), t.sum((1, 2)))
    assert torch.equal(right(torch.arange(3.0)), torch.arange(3.0))


# --- KL


def random_gaussian(kind: str, rng, cases: int, dim: int):
    loc = torch.tensor(rng.normal(size=(cases, dim)))
    if kind == "normal":
        return Normal(loc, torch.tensor(rng.uniform(0.4, 2, (cases, dim))))
    tril = np.tril(rng.normal(size=(cases, dim, dim)) * 0.5)
    tril[:, range(dim), range(dim)] = rng.uniform(0.4, 2, (cases, dim))
    return MultivariateNormal(loc, scale_tril=torch.tensor(tril))


@pytest.mark.parametrize(
    ("q_kind", "p_kind"), [(a, b) for a in ("normal", "full") for b in ("normal", "full")]
)
@pytest.mark.parametrize("dim", [1, 3])
def test_closed_form_kl_is_its_monte_carlo_estimate(q_kind, p_kind, dim, rng) -> None:
    """25 random cases for each pair and width, 200 in all, 4 standard errors."""
    cases, draws = 25, 4_000
    q, p = (random_gaussian(kind, rng, cases, dim) for kind in (q_kind, p_kind))
    closed = kl(q, p)
    assert closed is not None
    assert closed.shape == ((cases, dim) if q_kind == p_kind == "normal" else (cases,))
    tril = q.scale_tril if q_kind == "full" else q.scale.diag_embed()
    eps = torch.tensor(rng.normal(size=(draws, cases, dim, 1)))
    z = q.loc + (tril @ eps).squeeze(-1)
    of = lambda d: d.log_prob(z) if d.batch_shape == (cases,) else d.log_prob(z).sum(-1)  # noqa: E731
    ratio = of(q) - of(p)
    error = (right(closed) - ratio.mean(0)).abs() / (ratio.std(0) / math.sqrt(draws))
    assert (error < 4).all(), error.max()


def test_kl_of_equal_ones_is_zero_and_none_where_there_is_no_closed_form() -> None:
    q = FullGaussian()(torch.randn(2, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64))
    assert torch.allclose(kl(q, q), torch.zeros(2, dtype=torch.float64), atol=1e-12)
    assert kl(StudentT()(torch.zeros(1, 2)), Normal(0.0, 1.0)) is None


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_extreme_posteriors_have_a_finite_rate_and_gradient(full, dtype) -> None:
    family = FullGaussian() if full else Gaussian()
    width = family.size(2)
    signs = torch.cartesian_prod(*[torch.tensor([-1e6, 0.0, 1e6], dtype=dtype)] * width)
    params = signs.requires_grad_()
    p = Normal(torch.zeros(2, dtype=dtype), torch.ones(2, dtype=dtype))
    rate = right(kl(family(params), p))
    (gradient,) = torch.autograd.grad(rate.sum(), params)
    assert rate.isfinite().all() and gradient.isfinite().all()
    assert float(rate.detach().min()) >= -1e-6
    # far from the prior it is large
    assert float(rate[(signs.abs() > 0).all(1)].detach().min()) > 1


def test_extreme_learned_priors_have_a_finite_rate_and_gradient() -> None:
    params = torch.cartesian_prod(*[torch.tensor([-1e6, 0.0, 1e6])] * 4).requires_grad_()
    rate = right(kl(Gaussian()(params[:, [0, 1]]), Gaussian()(params[:, [2, 3]])))
    (gradient,) = torch.autograd.grad(rate.sum(), params)
    assert rate.isfinite().all() and gradient.isfinite().all() and float(rate.detach().min()) >= -1e-6


def test_extreme_parameters_never_give_a_nan(likelihood, rng) -> None:
    family = likelihood.make()
    values = torch.tensor([-1e6, -30.0, 0.0, 30.0, 1e6])
    params = values[torch.tensor(rng.integers(0, 5, (300, family.size(1))))].requires_grad_()
    x = torch.tensor(likelihood.data(rng, (300, 1)), dtype=torch.float32)
    terms = log_prob(family(params), x)
    (gradient,) = torch.autograd.grad(terms.sum(), params)
    assert terms.isfinite().all() and gradient.isfinite().all()


# --- precision


class Given(nn.Module):
    def forward(self, params: torch.Tensor) -> torch.Tensor:
        return params


@pytest.mark.parametrize(
    ("given", "expected"),
    [(torch.float16, torch.float32), (torch.bfloat16, torch.float32)]
    + [(t, t) for t in (torch.float32, torch.float64)],
)
def test_half_precision_is_raised_once(likelihood, given, expected, rng) -> None:
    family = likelihood.make()
    params = torch.tensor(rng.normal(size=(6, family.size(1)))).to(given)
    x = torch.tensor(likelihood.data(rng, (6, 1)))
    d = Conditional(Given(), family)(params)
    assert log_prob(d, x.to(expected)).dtype == expected
    exact = family(params.double()).log_prob(x)
    torch.testing.assert_close(log_prob(d, x.to(expected)).double(), exact, rtol=1e-4, atol=1e-4)


# --- scales


@pytest.mark.parametrize("make", [Shared, lambda **o: PerDimension((2,), **o), Predicted])
@pytest.mark.parametrize(("initial", "floor"), [(1.0, 1e-3), (0.1, 1e-4), (7.0, 0.5)])
def test_scales_are_positive_finite_monotone_and_begin_where_they_say(make, initial, floor) -> None:
    scale, loc = make(initial=initial, floor=floor), torch.zeros(4, 2)

    def at(raw: float) -> float:
        for p in scale.parameters():
            nn.init.constant_(p, raw)
        found = scale(torch.full((4, 2), raw), loc)
        assert found.shape == loc.shape
        return float(found.detach()[0, 0])

    seen = [at(raw) for raw in (-1e6, -5.0, 0.0, 5.0, 1e6)]
    assert seen == sorted(seen) and seen[0] >= floor * (1 - 1e-6) and math.isfinite(seen[-1])
    assert seen[2] == pytest.approx(initial)


def test_a_fixed_scale_is_what_was_given() -> None:
    assert torch.equal(Fixed(0.3)(torch.empty(0), torch.zeros(2, 3)), torch.full((2, 3), 0.3))


def test_scales_that_are_not_predicted_ask_nothing_of_the_network() -> None:
    assert [Gaussian(s).size(4) for s in (Fixed(), Shared(), PerDimension((4,)), Optimal(), Predicted())] == [
        4, 4, 4, 4, 8,
    ]  # fmt: skip


@pytest.mark.parametrize("masked", [False, True])
def test_the_optimal_scale_is_the_root_mean_square_error_of_what_was_observed(masked, rng) -> None:
    decoder = Conditional(Given(), Gaussian(Optimal()))
    loc = torch.tensor(rng.normal(size=(7, 3)), dtype=torch.float32)
    x = loc + torch.tensor(rng.normal(size=(7, 3)) * 2.5, dtype=torch.float32)
    mask = torch.tensor(rng.random((7, 3)) < 0.6) if masked else None
    error = (x - loc).numpy()[mask.numpy() if masked else ...]
    expected = math.sqrt((error**2).mean())
    seen = x if mask is None else torch.where(mask, x, torch.full_like(x, float("nan")))
    decoder.train()
    px = decoder.adapt(decoder(loc), seen, mask)
    np.testing.assert_allclose(px.scale, expected, rtol=1e-6)
    # it is the maximum of the likelihood
    total = lambda s: stats.norm.logpdf(error, 0, s).sum()  # noqa: E731
    assert total(expected) > max(total(expected * 1.01), total(expected / 1.01))
    np.testing.assert_allclose(float(log_prob(px, seen, mask).sum()), total(expected), rtol=1e-5)


def test_in_evaluation_the_optimal_scale_is_the_saved_one_whatever_x_is(rng) -> None:
    decay = 0.9
    decoder = Conditional(Given(), Gaussian(Optimal(decay=decay)))
    loc, squares = torch.zeros(50, 2), []
    decoder.train()
    for i in range(5):
        x = torch.tensor(rng.normal(size=(50, 2)) * (i + 1), dtype=torch.float32)
        decoder.commit(decoder.adapt(decoder(loc), x, None))
        squares.append(float(x.square().mean()))
    weights = decay ** np.arange(4, -1, -1)
    expected = math.sqrt((weights * squares).sum() / weights.sum())  # a mean, not one that begins at zero
    decoder.eval()
    for x in (torch.zeros(4, 2), torch.full((4, 2), 1e3)):
        px = decoder.adapt(decoder(loc[:4]), x, None)
        np.testing.assert_allclose(px.scale, expected, rtol=1e-5)
    again = Conditional(Given(), Gaussian(Optimal(decay=decay)))
    again.load_state_dict(decoder.state_dict())
    np.testing.assert_allclose(again.eval()(loc).scale, expected, rtol=1e-5)


def test_the_optimal_scale_has_the_gradient_of_the_profiled_likelihood(rng) -> None:
    """d/dμ of −log N(x; μ, σ*(μ)) summed = d/dμ of ½ n log mean (x − μ)²: the envelope theorem."""
    x = torch.tensor(rng.normal(size=(9, 2)))
    loc = torch.tensor(rng.normal(size=(9, 2)), requires_grad=True)
    decoder = Conditional(Given(), Gaussian(Optimal()).double()).train()
    (ours,) = torch.autograd.grad(-log_prob(decoder.adapt(decoder(loc), x, None), x).sum(), loc)
    (profiled,) = torch.autograd.grad(9 * (x - loc).square().mean().log(), loc)  # ½ · 18 values
    torch.testing.assert_close(ours, profiled)


@pytest.mark.parametrize(("family", "oracle"), [(Laplace, stats.laplace), (Gaussian, stats.norm)])
def test_the_optimal_scale_is_the_most_likely_one_of_its_family(family, oracle, rng) -> None:
    x = rng.laplace(size=(200, 1)) * 3
    decoder = Conditional(Given(), family(Optimal())).double().train()
    px = decoder.adapt(decoder(torch.zeros(200, 1, dtype=torch.float64)), torch.tensor(x), None)
    best = float(px.scale[0, 0])
    total = lambda s: oracle.logpdf(x, 0, s).sum()  # noqa: E731
    assert total(best) > max(total(best * 1.02), total(best / 1.02))


# --- the small functions


def test_tempering_multiplies_the_spread() -> None:
    for p in (Normal(torch.ones(2), torch.tensor([0.5, 2.0])), FullGaussian()(torch.randn(1, 5))):
        warm = tempered(p, 0.3)
        torch.testing.assert_close(spread(warm), 0.3 * spread(p))
        assert torch.equal(center(warm), center(p))
        assert torch.equal(draw(tempered(p, 0.0), Noise(1))[0], center(p))
        assert tempered(p, 1.0) is p
    with pytest.raises(ValueError, match="tempered"):
        tempered(Categorical(3)(torch.zeros(1, 3)), 0.5)


def test_a_point_mass_has_a_value_and_no_density() -> None:
    z = torch.randn(3, 2)
    assert draw(PointMass(z), Noise(0))[0] is z
    assert torch.equal(spread(PointMass(z)), torch.zeros(3, 2))
    with pytest.raises(ValueError, match="density"):
        PointMass(z).log_prob(z)
    for p in (Normal(torch.zeros(2), torch.ones(2)), FullGaussian()(torch.zeros(1, 5))):
        with pytest.raises(ValueError, match="no rate"):
            kl(PointMass(z), p)


def test_masses_and_densities_know_what_they_are(likelihood) -> None:
    assert likelihood.make().discrete == isinstance(likelihood.support, list)


@pytest.mark.parametrize("family", [Bernoulli(), ContinuousBernoulli(), Gaussian(), Laplace(), StudentT()])
def test_images_have_their_parameters_on_axis_1(family, rng) -> None:
    """(N, size(C), H, W) describes (N, C, H, W) as its columns describe each pixel."""
    params = torch.tensor(rng.normal(size=(2, family.size(3), 2, 4)))
    x = torch.tensor(rng.random((2, 3, 2, 4)))
    whole = family.double()(params).log_prob(x)
    assert whole.shape == x.shape
    torch.testing.assert_close(whole[:, :, 1, 2], family(params[:, :, 1, 2]).log_prob(x[:, :, 1, 2]))


@pytest.mark.parametrize("family", [Categorical(4), DiscretizedLogistic(4), DiscretizedLogisticMixture(4, 2)])
def test_discrete_images_have_their_parameters_on_axis_1(family, rng) -> None:
    params = torch.tensor(rng.normal(size=(2, family.size(3), 2, 4)))
    x = torch.tensor(rng.integers(0, 4, (2, 3, 2, 4)) / (1.0 if isinstance(family, Categorical) else 3.0))
    whole = family(params).log_prob(x)
    assert whole.shape == x.shape
    torch.testing.assert_close(whole[:, :, 1, 2], family(params[:, :, 1, 2]).log_prob(x[:, :, 1, 2]))
