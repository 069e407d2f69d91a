"""Unit vectors against mpmath, SciPy, closed forms, quadrature and Monte Carlo."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
import torch
from scipy import integrate, special, stats
from torch.autograd import gradcheck
from torch.distributions import kl_divergence

from vaekit.bottlenecks import Variational
from vaekit.conditional import Conditional
from vaekit.data import Vectors
from vaekit.distributions import MEAN, Noise, RowNoise, center, draw, kl, rows, spread, tempered
from vaekit.distributions.bessel import log_partition, mean_length
from vaekit.distributions.directional import log_area, unit
from vaekit.distributions.sphere import (
    PowerSpherical,
    PowerSphericalDistribution,
    UniformSphereDistribution,
    VonMisesFisher,
    VonMisesFisherDistribution,
)
from vaekit.presets.spherical import hyperspherical_vae, power_spherical_vae
from vaekit.priors.sphere import UniformSphere
from vaekit.recipes import build, recipe
from vaekit.training import fit

BOTH = [VonMisesFisherDistribution, PowerSphericalDistribution]


def directions(rng, n: int, dim: int) -> torch.Tensor:
    return unit(torch.tensor(rng.standard_normal((n, dim))))


def alike(cls, loc: torch.Tensor, kappa: float, n: int):
    """n rows with one direction and one concentration."""
    return cls(loc.expand(n, -1), torch.full((n,), kappa, dtype=loc.dtype))


def within(errors: np.ndarray, standard: np.ndarray, bound: float = 4.0) -> None:
    assert np.abs(errors / standard).max() < bound


# ----------------------------------------------------------------------------------------------------------- Bessel


@pytest.mark.parametrize("dim", [2, 3, 5, 17, 50, 64, 256])
def test_bessel_functions_keep_their_digits_from_zero_to_ten_thousand(dim: int) -> None:
    kappas = [1e-6, 1e-2, 0.5, 3, 20, 100, 1e3, 1e4]
    given = torch.tensor(kappas, dtype=torch.float64)
    order = mpmath.mpf(dim) / 2 - 1
    with mpmath.workdps(40):
        bessels = [(mpmath.besseli(order, k), mpmath.besseli(order + 1, k)) for k in kappas]
        scales = [mpmath.gamma(order + 1) * (2 / mpmath.mpf(k)) ** order for k in kappas]
        partition = [float(mpmath.log(i * s)) for (i, _), s in zip(bessels, scales, strict=True)]
        length = [float(above / i) for i, above in bessels]
    np.testing.assert_allclose(log_partition(given, dim), partition, rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(mean_length(given, dim), length, rtol=3e-12)
    none = torch.zeros(1, dtype=torch.float64)
    assert float(log_partition(none, dim)) == 0 and float(mean_length(none, dim)) == 0


@pytest.mark.parametrize("dim", [2, 3, 64])
def test_bessel_gradients_against_finite_differences(dim: int) -> None:
    kappa = torch.tensor([0.0, 0.1, 2.0, 30.0, 300.0], dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda k: log_partition(k, dim), kappa[1:])
    assert gradcheck(lambda k: mean_length(k, dim), kappa[1:])
    (slope,) = torch.autograd.grad(mean_length(kappa, dim).sum(), kappa)
    assert float(slope[0]) == pytest.approx(1 / dim)


# ---------------------------------------------------------------------------------------------------------- density


@pytest.mark.parametrize("cls", BOTH)
@pytest.mark.parametrize("kappa", [0.0, 0.7, 5.0, 200.0])
def test_densities_integrate_to_one(cls, kappa: float, rng) -> None:
    angle = torch.arange(20_000, dtype=torch.float64) * (2 * math.pi / 20_000)
    circle = torch.stack([angle.cos(), angle.sin()], 1)
    density = alike(cls, directions(rng, 1, 2), kappa, len(circle)).log_prob(circle).exp()
    assert float(density.sum()) * 2 * math.pi / 20_000 == pytest.approx(1, rel=1e-6)
    height, weight = (torch.tensor(t) for t in np.polynomial.legendre.leggauss(200))
    around = torch.arange(400, dtype=torch.float64) * (2 * math.pi / 400)
    h, a = torch.meshgrid(height, around, indexing="ij")
    radius = (1 - h**2).sqrt()
    ball = torch.stack([radius * a.cos(), radius * a.sin(), h], -1).flatten(0, 1)
    density = alike(cls, directions(rng, 1, 3), kappa, len(ball)).log_prob(ball).exp().view(200, 400)
    assert float((density.sum(1) * weight).sum()) * 2 * math.pi / 400 == pytest.approx(1, rel=1e-6)


@pytest.mark.parametrize("dim", [3, 10])
@pytest.mark.parametrize("kappa", [0.5, 40.0])
def test_von_mises_fisher_is_scipys(dim: int, kappa: float, rng) -> None:
    loc, z = directions(rng, 1, dim), directions(rng, 50, dim)
    other = stats.vonmises_fisher(loc[0].numpy(), kappa)
    ours = alike(VonMisesFisherDistribution, loc, kappa, 50)
    np.testing.assert_allclose(ours.log_prob(z), other.logpdf(z.numpy()), rtol=1e-10)
    np.testing.assert_allclose(ours.entropy(), np.full(50, other.entropy()), rtol=1e-10)


@pytest.mark.parametrize("dim", [2, 3, 10, 256])
def test_power_spherical_cosine_is_a_beta_variable(dim: int, rng) -> None:
    kappa, half = 7.0, (dim - 1) / 2
    loc, z = directions(rng, 1, dim), directions(rng, 20, dim)
    cosine = (z @ loc[0]).numpy()
    ours = alike(PowerSphericalDistribution, loc, kappa, 20)
    marginal = stats.beta(half + kappa, half, loc=-1, scale=2)
    below = math.log(2) + half * math.log(math.pi) - special.gammaln(half)  # area of the sphere of a cosine
    expected = marginal.logpdf(cosine) - below - (dim - 3) / 2 * np.log1p(-(cosine**2))
    np.testing.assert_allclose(ours.log_prob(z), expected, rtol=1e-9)
    np.testing.assert_allclose(ours.mean, (marginal.mean() * loc).expand(20, -1), rtol=1e-12)
    opposite = ours.log_prob(-loc.expand(20, -1))
    assert torch.isfinite(opposite).all() and bool((opposite < ours.log_prob(z).min() - 100).all())


@pytest.mark.parametrize("cls", BOTH)
def test_float32_keeps_the_digits_of_concentrated_densities(cls, rng) -> None:
    exact = alike(cls, directions(rng, 1, 16), 1e4, 200)
    z = exact.draw(Noise(0, "z"))[0]
    rough = cls(exact.loc.float(), exact.concentration.float())
    np.testing.assert_allclose(rough.log_prob(z.float()), exact.log_prob(z), atol=2e-3)
    assert rough.log_prob(z.float()).dtype == torch.float32


# ---------------------------------------------------------------------------------------------------------- draws


def cosine_law(cls, dim: int, kappa: float):
    """The distribution function of μᵀz, by quadrature."""
    if cls is PowerSphericalDistribution:
        return stats.beta((dim - 1) / 2 + kappa, (dim - 1) / 2, loc=-1, scale=2).cdf
    angle = np.linspace(0, math.pi, 40_001)
    mass = np.exp(kappa * (np.cos(angle) - 1)) * np.sin(angle) ** (dim - 2)
    below = integrate.cumulative_simpson(mass, x=angle, initial=0)
    return lambda w: 1 - np.interp(np.arccos(w), angle, below / below[-1])


@pytest.mark.parametrize("cls", BOTH)
@pytest.mark.parametrize(
    ("dim", "kappa"), [(2, 0.001), (2, 3.0), (3, 1.0), (3, 500.0), (10, 20.0), (256, 100.0)]
)
def test_draws_have_the_law_of_their_density(cls, dim: int, kappa: float, rng) -> None:
    loc = directions(rng, 1, dim)
    z = alike(cls, loc, kappa, 5_000).draw(Noise(1, "law"))[0]
    np.testing.assert_allclose(z.norm(dim=1), 1, atol=1e-12)
    cosine = (z @ loc[0]).clamp(-1, 1).numpy()
    assert stats.kstest(cosine, cosine_law(cls, dim, kappa)).pvalue > 0.01
    # at right angles to μ every direction is alike: a coordinate there has the law of the sphere one smaller
    aside = unit(z - cosine_times(z, loc))
    towards = directions(rng, 1, dim)
    towards = unit(towards - cosine_times(towards, loc))
    coordinate = (aside @ towards[0]).clamp(-1, 1).numpy()
    if dim == 2:
        assert stats.binomtest(int((coordinate > 0).sum()), 5_000).pvalue > 0.01
    else:
        assert stats.kstest((coordinate + 1) / 2, stats.beta((dim - 2) / 2, (dim - 2) / 2).cdf).pvalue > 0.01


def cosine_times(z: torch.Tensor, loc: torch.Tensor) -> torch.Tensor:
    return (z * loc).sum(1, keepdim=True) * loc


@pytest.mark.parametrize("cls", BOTH)
@pytest.mark.parametrize(("dim", "kappa"), [(2, 0.5), (3, 8.0), (20, 30.0), (256, 1e4)])
def test_draws_move_with_their_parameters_as_finite_differences_say(cls, dim: int, kappa: float, rng) -> None:
    raw, direction = (
        torch.tensor(rng.standard_normal((30, dim))),
        torch.tensor(rng.standard_normal((30, dim))),
    )
    concentration = torch.full((30,), kappa, dtype=torch.float64)

    def drawn(t: float, s: float) -> torch.Tensor:
        return cls(unit(raw + t * direction), concentration + s).draw(Noise(3, "move"))[0]

    loc, kappas = unit(raw).requires_grad_(), concentration.clone().requires_grad_()
    probe = torch.tensor(rng.standard_normal((30, dim)))
    (slope,) = torch.autograd.grad((cls(loc, kappas).draw(Noise(3, "move"))[0] * probe).sum(), kappas)
    step = 1e-4 * kappa
    difference = ((drawn(0, step) - drawn(0, -step)) / (2 * step) * probe).sum(1)
    np.testing.assert_allclose(slope, difference, rtol=1e-5, atol=1e-9 / kappa)
    leaf = raw.clone().requires_grad_()
    value = (cls(unit(leaf), concentration).draw(Noise(3, "move"))[0] * probe).sum()
    (moved,) = torch.autograd.grad(value, leaf)
    difference = ((drawn(1e-6, 0) - drawn(-1e-6, 0)) / 2e-6 * probe).sum(1)
    np.testing.assert_allclose((moved * direction).sum(1), difference, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("cls", BOTH)
def test_the_gradient_of_an_expectation_is_unbiased(cls, rng) -> None:
    """d/dκ E[w] and d/dκ E[w²] from draws against the derivative of the closed forms."""
    loc = directions(rng, 1, 5)
    kappas = torch.full((10_000,), 4.0, dtype=torch.float64, requires_grad=True)
    cosine = cls(loc.expand(10_000, -1), kappas).draw(Noise(5, "expectation"))[0] @ loc[0]
    one = torch.tensor([4.0], dtype=torch.float64, requires_grad=True)
    length, across = cls(loc, one).moments()
    for sampled, exact in ((cosine, length), (cosine.square(), 1 - 4 * across)):
        (slopes,) = torch.autograd.grad(sampled.sum(), kappas, retain_graph=True)
        (truth,) = torch.autograd.grad(exact.sum(), one, retain_graph=True)
        within((slopes.mean() - truth).numpy(), (slopes.std() / 10_000**0.5).numpy())


@pytest.mark.parametrize("cls", BOTH)
def test_a_rows_draw_does_not_depend_on_its_neighbours(cls, rng) -> None:
    q = cls(directions(rng, 7, 4), torch.tensor(rng.uniform(0.1, 50, 7)))
    whole = q.draw(RowNoise(0, "rows", torch.arange(7)))[0]
    alone = cls(q.loc[4:5], q.concentration[4:5]).draw(RowNoise(0, "rows", torch.arange(4, 5)))[0]
    np.testing.assert_allclose(whole[4:5], alone, rtol=1e-12)


@pytest.mark.parametrize("cls", BOTH)
def test_mean_variance_and_center(cls, rng) -> None:
    q = alike(cls, directions(rng, 1, 4), 6.0, 10_000)
    z = q.draw(Noise(2, "moments"))[0]
    within((z.mean(0) - q.mean[0]).numpy(), (z.std(0) / 10_000**0.5).numpy())
    np.testing.assert_allclose(z.var(0), q.variance[0], rtol=0.06)
    np.testing.assert_array_equal(center(q), q.loc)
    np.testing.assert_array_equal(draw(q, MEAN)[0], q.loc)
    none = alike(cls, directions(rng, 1, 4), 0.0, 1)
    np.testing.assert_allclose(none.variance, torch.full((1, 4), 0.25))
    np.testing.assert_allclose(spread(none), torch.full((1, 4), 0.5))


# -------------------------------------------------------------------------------------------------------------- KL


@pytest.mark.parametrize("cls", BOTH)
@pytest.mark.parametrize("dim", [2, 3, 16, 128])
def test_kl_to_the_uniform_against_monte_carlo(cls, dim: int, rng) -> None:
    cases, draws = 20, 1_000
    kappas = torch.tensor(np.exp(rng.uniform(math.log(0.1), math.log(2_000), cases)))
    q, p = cls(directions(rng, cases, dim), kappas), UniformSphere(dim)()
    many = cls(q.loc.repeat_interleave(draws, 0), kappas.repeat_interleave(draws))
    z = many.draw(Noise(4, "kl"))[0]
    sampled = (many.log_prob(z) - p.log_prob(z)).view(cases, draws)
    exact = kl(q, p)
    within((sampled.mean(1) - exact).numpy(), (sampled.std(1) / draws**0.5).numpy())
    within(
        (-many.log_prob(z).view(cases, draws).mean(1) - q.entropy()).numpy(),
        (sampled.std(1) / draws**0.5).numpy(),
    )


@pytest.mark.parametrize("cls", BOTH)
def test_kl_begins_at_zero_and_stays_finite_with_its_gradient(cls) -> None:
    for dim in (2, 256):
        kappas = torch.tensor([0.0, 1e-3, 1.0, 1e4], requires_grad=True)
        divergence = kl_divergence(cls(torch.eye(dim)[:1].expand(4, -1), kappas), UniformSphere(dim)())
        (slope,) = torch.autograd.grad(divergence.sum(), kappas)
        assert float(divergence[0].detach()) == pytest.approx(0, abs=1e-6)
        assert (
            torch.isfinite(slope).all() and bool((slope[1:] > 0).all()) and bool((divergence[1:] > 0).all())
        )


# --------------------------------------------------------------------------------------------------- families, prior


@pytest.mark.parametrize("family", [VonMisesFisher(initial=3.0), PowerSpherical(initial=3.0)])
def test_families_take_any_numbers(family) -> None:
    assert family.size(16) == 17
    params = torch.tensor([[0.0, 0, 0, 0], [3.0, 0, 4, 0], [1e-30, 0, 0, -200.0]], requires_grad=True)
    q = family(params)
    np.testing.assert_allclose(q.loc.detach(), [[1, 0, 0], [0.6, 0, 0.8], [1, 0, 0]], rtol=1e-6)
    np.testing.assert_allclose(q.concentration.detach(), [3, 3, 1e-3], rtol=1e-5)
    total = q.draw(Noise(0, "any"))[0].sum() + kl(q, UniformSphere(3)()).sum()
    (slope,) = torch.autograd.grad(total, params)
    assert torch.isfinite(slope).all()
    again = build(recipe(family))
    assert type(again) is type(family) and again.initial == 3.0


def test_impossible_spheres_are_refused() -> None:
    for make in (
        lambda: UniformSphere(1),
        lambda: VonMisesFisher().size(1),
        lambda: PowerSpherical(initial=0),
    ):
        with pytest.raises(ValueError, match="two coordinates|begins above"):
            make()


def test_uniform_sphere_is_a_prior(rng) -> None:
    prior = UniformSphere(3)
    p = rows(prior(), 5_000)
    z = p.draw(Noise(0, "uniform"))[0]
    np.testing.assert_allclose(z.norm(dim=1), 1, rtol=1e-5)
    assert all(stats.kstest(z[:, i].numpy(), stats.uniform(-1, 2).cdf).pvalue > 0.01 for i in range(3))
    np.testing.assert_allclose(p.log_prob(z), -math.log(4 * math.pi), rtol=1e-6)
    np.testing.assert_allclose(p.variance, 1 / 3, rtol=1e-6)
    assert float(p.entropy()[0]) == pytest.approx(log_area(3)) and bool((p.mean == 0).all())
    assert prior(torch.zeros(5, 2)).log_prob(z[:5]).shape == (5,)
    np.testing.assert_array_equal(kl(p, prior()), torch.zeros(5_000))
    np.testing.assert_array_equal(center(rows(prior(), 2)), [[1, 0, 0], [1, 0, 0]])
    assert build(recipe(prior)).dim == 3 and "axis" not in prior.state_dict()
    with pytest.raises(ValueError, match="tempered"):
        tempered(prior(), 0.5)


def test_values_settle_on_the_sphere() -> None:
    values = torch.tensor([[0.0, 0.0], [0.0, -5.0], [3.0, 4.0]])
    np.testing.assert_allclose(UniformSphere(2).settle(values), [[1, 0], [0, -1], [0.6, 0.8]])


def test_between_runs_along_the_great_circle_at_even_speed() -> None:
    prior, weight = UniformSphere(3), torch.linspace(0, 1, 5)
    start, end = torch.tensor([[1.0, 0, 0]]), torch.tensor([[0.0, 2.0, 0]])
    path = prior.between(start, end, weight)
    angle = weight * math.pi / 2
    np.testing.assert_allclose(path, torch.stack([angle.cos(), angle.sin(), 0 * angle], 1), atol=1e-7)
    np.testing.assert_allclose(prior.between(start, start, weight), start.expand(5, -1), atol=1e-7)
    opposite = prior.between(start, -start, weight)
    np.testing.assert_allclose(opposite.norm(dim=1), 1, rtol=1e-6)
    np.testing.assert_allclose(opposite[:, 0], (weight * math.pi).cos(), atol=1e-6)
    assert path.dtype == torch.float32


# ----------------------------------------------------------------------------------------------------------- models


def test_a_bottleneck_on_the_sphere() -> None:
    part = Variational(Conditional(torch.nn.Linear(8, 5), VonMisesFisher()), UniformSphere(4))
    state, [latent] = part(torch.randn(6, 8), noise=Noise(0, "pass"))
    np.testing.assert_allclose(state.detach().norm(dim=1), 1, rtol=1e-6)
    assert latent.kl.shape == latent.log_q.shape == latent.log_p.shape == (6,)
    drawn, _ = part(n=3, noise=Noise(0, "prior"))
    np.testing.assert_allclose(drawn.norm(dim=1), 1, rtol=1e-6)
    given, _ = part(z=torch.full((2, 4), 3.0))
    np.testing.assert_allclose(given, torch.full((2, 4), 0.5))
    path = part.between(torch.eye(4)[:1], torch.eye(4)[1:2], torch.tensor([0.5]))
    np.testing.assert_allclose(path, [[0.5**0.5, 0.5**0.5, 0, 0]], rtol=1e-6)


@pytest.mark.parametrize("spherical", [hyperspherical_vae, power_spherical_vae])
def test_presets_train_every_parameter(spherical, rng) -> None:
    torch.manual_seed(0)
    model, objective = spherical(Vectors(4), latent=3)
    before = [p.detach().clone() for p in model.parameters()]
    fit(model, objective, torch.tensor(rng.standard_normal((64, 4)), dtype=torch.float32), steps=3)
    assert all(bool((p != old).any()) for p, old in zip(model.parameters(), before, strict=True))
    assert isinstance(model.bottleneck.prior(), UniformSphereDistribution)
    assert repr(objective) == "Distortion() + Rate()"
    codes = model.encode(torch.zeros(2, 4))
    np.testing.assert_allclose(codes.detach().norm(dim=1), 1, rtol=1e-6)
    assert model.sample(3, noise=Noise(0, "s")).shape == (3, 4)
