"""Priors fitted after training: their densities against oracles, and what fitting touches and what it does not."""

from __future__ import annotations

import contextlib
import itertools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn
from torch.distributions import Categorical, Exponential, MixtureSameFamily, MultivariateNormal, Normal

import vaekit
from vaekit import files, presets
from vaekit.cli import main
from vaekit.data import Images, Vectors
from vaekit.distributions import Noise, center, draw, rows, spread, tempered
from vaekit.distributions.affine import Affine
from vaekit.distributions.autoregressive import Autoregressive
from vaekit.distributions.full_mixture import FullMixture
from vaekit.distributions.transported import Transported
from vaekit.errors import DivergedError, UsageError
from vaekit.evaluation import evaluate
from vaekit.inspection import inspected
from vaekit.persistence import load, save
from vaekit.priors import StandardNormal
from vaekit.priors.autoregressive import AutoregressiveCodes
from vaekit.priors.diffusion import RectifiedFlow
from vaekit.priors.fitted_mixture import FittedMixture
from vaekit.priors.flow import Flow
from vaekit.priors.mixture import Mixture
from vaekit.priors.second_vae import TwoStage
from vaekit.priors.standardised import Standardised
from vaekit.training import fit_prior
from vaekit.training.second_stage import latents

TINY = {
    "mixture": lambda d: FittedMixture(2, d),
    "flow": lambda d: Standardised(Flow("NSF", d, 0, hidden=[8]), d),
    "diffusion": lambda d: Standardised(RectifiedFlow(d, hidden=[16], steps=4), d),
    "vae": lambda d: Standardised(TwoStage(d, hidden=[16]), d),
}


# --- mixtures with full covariances


def some_mixture(rng, k: int = 3, dim: int = 2) -> tuple[FullMixture, MixtureSameFamily]:
    logits, loc = torch.tensor(rng.normal(size=k)), torch.tensor(3 * rng.normal(size=(k, dim)))
    tril = torch.tensor(np.tril(rng.normal(size=(k, dim, dim)), -1)) + torch.diag_embed(
        torch.tensor(rng.uniform(0.3, 2, (k, dim)))
    )
    oracle = MixtureSameFamily(Categorical(logits=logits), MultivariateNormal(loc, scale_tril=tril))
    return FullMixture(logits, loc, tril), oracle


def test_a_full_mixture_is_torchs(rng) -> None:
    p, oracle = some_mixture(rng, dim=3)
    z = torch.tensor(3 * rng.normal(size=(50, 3)))
    np.testing.assert_allclose(p.log_prob(z), oracle.log_prob(z), rtol=1e-9)
    np.testing.assert_allclose(p.log_prob(z.view(5, 10, 3)), oracle.log_prob(z.view(5, 10, 3)), rtol=1e-9)
    np.testing.assert_allclose(p.mean, oracle.mean, rtol=1e-9)
    np.testing.assert_allclose(p.variance, oracle.variance, rtol=1e-9)
    assert rows(p, 7).mean.shape == spread(rows(p, 7)).shape == (7, 3)
    cooler = MixtureSameFamily(
        Categorical(logits=p.logits), MultivariateNormal(p.loc, scale_tril=0.5 * p.tril)
    )
    np.testing.assert_allclose(tempered(p, 0.5).log_prob(z), cooler.log_prob(z), rtol=1e-9)


def test_an_exported_mixture_has_the_same_density(rng) -> None:
    """ONNX cannot solve triangular systems; what is traced does it row after row."""

    class Density(nn.Module):
        def __init__(self, p: FullMixture) -> None:
            super().__init__()
            self.p = p

        def forward(self, z: torch.Tensor) -> torch.Tensor:
            return self.p.log_prob(z)

    p, oracle = some_mixture(rng, k=3, dim=4)
    z = torch.from_numpy(rng.normal(size=(7, 4)))
    batch = torch.export.Dim.DYNAMIC
    graph = torch.export.export(Density(p), (z[:3],), dynamic_shapes=({0: batch},))
    assert not any("solve" in str(node.target) for node in graph.graph.nodes)
    torch.testing.assert_close(graph.module()(z), oracle.log_prob(z))


def test_draws_of_a_full_mixture_fit_its_density() -> None:
    """Along several directions, against the mixture of Gaussians that each of them is."""
    tril = torch.tensor([[[1.0, 0.0], [2.0, 0.5]], [[0.5, 0.0], [-1.5, 1.0]]]).double()
    p = FullMixture(torch.tensor([0.0, 1.0]).double(), torch.tensor([[1.0, 0.0], [-1.0, 3.0]]).double(), tril)
    z = draw(rows(p, 20_000), Noise(0))[0].numpy()
    for direction in (np.array([1.0, 0]), np.array([0, 1.0]), np.array([0.6, -0.8])):
        loc = p.loc.numpy() @ direction
        scale = np.linalg.norm(np.einsum("kde,d->ke", p.tril.numpy(), direction), axis=1)
        cdf = lambda x, m=loc, s=scale: (p.logits.exp().numpy() * stats.norm.cdf(x[:, None], m, s)).sum(1)  # noqa: E731
        assert stats.kstest(z @ direction, cdf).pvalue > 1e-3


def test_a_fitted_mixture_finds_the_mixture_whatever_its_units(rng) -> None:
    _, oracle = some_mixture(np.random.default_rng(3))
    with Noise(0).torch():
        z, other = oracle.sample((1_500,)), oracle.sample((1_500,))
    units = torch.tensor([1e-3, 1e3]).double()
    best = float(oracle.log_prob(other).mean())
    for scale in (torch.ones(2).double(), units):
        prior = FittedMixture(3, 2)
        prior.fit(z * scale, seed=0)
        found = float(prior().log_prob((other * scale).float()).double().mean() + scale.log().sum())
        assert best - 0.05 < found < best + 0.02
    with pytest.raises(ValueError, match="5 components"):
        FittedMixture(5, 2).fit(z[:4], seed=0)


# --- moved and stretched


def test_affine_is_a_change_of_variables(rng) -> None:
    """Elementwise and coupled bases; on a grid its density integrates to one."""
    loc, scale = torch.tensor([1.0, -2.0]).double(), torch.tensor([0.5, 3.0]).double()
    z = torch.tensor(rng.normal(size=(6, 2)))
    plain = Affine(Normal(torch.zeros(2).double(), torch.ones(2).double()), loc, scale)
    np.testing.assert_allclose(plain.log_prob(z), Normal(loc, scale).log_prob(z), rtol=1e-12)
    base, _ = some_mixture(rng)
    p = Affine(base, loc, scale)
    exact = FullMixture(base.logits, loc + scale * base.loc, scale.unsqueeze(1) * base.tril)
    np.testing.assert_allclose(p.log_prob(z), exact.log_prob(z), rtol=1e-9)
    np.testing.assert_allclose(p.mean, exact.mean, rtol=1e-9)
    np.testing.assert_allclose(p.variance, exact.variance, rtol=1e-9)
    np.testing.assert_allclose(draw(rows(p, 3), Noise(0))[0], loc + scale * draw(rows(base, 3), Noise(0))[0])
    narrow = Affine(tempered(base, 0.5), loc, scale)
    np.testing.assert_allclose(tempered(p, 0.5).log_prob(z), narrow.log_prob(z))


def test_standardised_latents_have_mean_zero_and_variance_one(rng) -> None:
    seen = []

    class Watching(StandardNormal):
        def begin(self, z: torch.Tensor) -> None:
            seen.append(z)

    z = torch.tensor(rng.normal([5, -1], [0.1, 20], (500, 2)), dtype=torch.float32)
    prior = Standardised(Watching(2), 2)
    prior.begin(z)
    assert torch.allclose(seen[0].mean(0), torch.zeros(2), atol=1e-4)
    assert torch.allclose(seen[0].std(0), torch.ones(2), atol=1e-4)
    exact = Normal(z.mean(0), z.std(0)).log_prob(z).sum(1)
    assert torch.allclose(prior.loss(z, None, Noise(0)), -exact, rtol=1e-4)


# --- carried along a velocity field


def straight(scale: torch.Tensor, shift: torch.Tensor):
    """The field that carries N(0, I) to N(shift, scale²): u_t = (1 − t + t s) u_0 + t m."""
    return lambda u, t: (scale - 1) * (u - t * shift) / (1 - t + t * scale) + shift


@pytest.mark.parametrize("dim", [2, 20])
def test_a_linear_field_carries_a_gaussian_to_a_gaussian(rng, dim) -> None:
    """A diagonal field: its divergence is exact along random signs too."""
    scale, shift = torch.tensor(rng.uniform(0.3, 2, dim)), torch.tensor(rng.normal(size=dim))
    p = Transported(straight(scale, shift), dim, 16, like=torch.zeros((), dtype=torch.float64))
    z = torch.tensor(rng.normal(size=(50, dim)))
    np.testing.assert_allclose(p.log_prob(z), Normal(shift, scale).log_prob(z).sum(1), rtol=2e-4)
    drawn = draw(rows(p, 4), Noise(0))[0]
    exact = shift + scale * Noise(0).normal((4, dim), torch.zeros((), dtype=torch.float64))
    np.testing.assert_allclose(drawn, exact, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(center(rows(p, 2))[0], shift, rtol=1e-4)
    warm = Normal(shift, 0.5 * scale).log_prob(z).sum(1)
    np.testing.assert_allclose(tempered(p, 0.5).log_prob(z), warm, rtol=2e-4)


def bent(u: torch.Tensor, t: float) -> torch.Tensor:
    """A field whose density has no closed form."""
    return torch.stack(
        [torch.tanh(2 * u[:, 1] + t) + 0.5 * u[:, 0], torch.sin(3 * u[:, 0]) - 0.3 * u[:, 1]], 1
    )


def test_the_density_of_any_field_integrates_to_one_and_fits_its_draws() -> None:
    like = torch.zeros((), dtype=torch.float64)
    p = Transported(bent, 2, 32, like=like)
    side = torch.linspace(-8, 8, 161, dtype=torch.float64)
    grid = torch.cartesian_prod(side, side)
    density = p.log_prob(grid).exp().view(161, 161) * 0.01
    assert float(density.sum()) == pytest.approx(1, abs=1e-3)
    z = draw(rows(p, 20_000), Noise(0))[0]
    for axis in (0, 1):
        shares = density.sum(1 - axis).cumsum(0)
        cdf = lambda x, s=shares: np.interp(x, side + 0.05, s)  # noqa: E731
        assert stats.kstest(z[:, axis].numpy(), cdf).pvalue > 1e-3


def test_the_stochastic_divergence_is_unbiased_and_of_each_value_its_own(rng) -> None:
    """A field that couples its dimensions: du/dt = A u carries N(0, I) to N(0, e^A e^Aᵀ)."""
    dim = 12
    a = torch.tensor(0.4 * rng.normal(size=(dim, dim)) / math.sqrt(dim))
    p = Transported(lambda u, t: u @ a.T, dim, 16)
    exact = MultivariateNormal(torch.zeros(dim).double(), scale_tril=torch.linalg.cholesky(
        torch.linalg.matrix_exp(a) @ torch.linalg.matrix_exp(a).T))  # fmt: skip
    z = torch.tensor(rng.normal(size=(4_000, dim)))
    error = p.log_prob(z) - exact.log_prob(z)
    assert float(error.std()) > 1e-3  # an estimate
    assert abs(float(error.mean())) < 4 * float(error.std()) / math.sqrt(len(z)) + 1e-6
    assert torch.equal(p.log_prob(z[:50]), p.log_prob(z[:50]))  # the same at every call,
    np.testing.assert_allclose(p.log_prob(z[30:50]), p.log_prob(z[:50])[30:])  # whatever stands beside it


def test_a_rectified_flow_is_trained_to_point_from_noise_to_data(rng) -> None:
    """The loss is |v − (z − ε)|² where u_t = (1 − t) ε + t z, from the same numbers."""
    prior = RectifiedFlow(3, hidden=[8])
    z = torch.tensor(rng.normal(size=(20, 3)), dtype=torch.float32)
    noise = Noise(0, "loss")
    epsilon, t = noise.normal((20, 3)), torch.sigmoid(noise.normal((20, 1)))
    exact = (prior.velocity(epsilon + t * (z - epsilon), t) - (z - epsilon)).square().sum(1)
    assert torch.allclose(prior.loss(z, None, Noise(0, "loss")), exact, rtol=1e-4)


def test_a_rectified_flow_learns_a_density() -> None:
    """Two lobes in one dimension: its own log p approaches the truth."""
    mixture = MixtureSameFamily(Categorical(torch.tensor([0.3, 0.7])), Normal(torch.tensor([-1.5, 0.8]), 0.4))
    with Noise(0, "weights").torch():
        prior, z = RectifiedFlow(1, hidden=[64, 64]), mixture.sample((4_000,)).unsqueeze(1)
    optimizer = torch.optim.Adam(prior.parameters(), lr=5e-3)
    for step in range(400):
        noise = Noise(0, "step", step)
        loss = prior.loss(z[noise.permutation(4_000)[:500]], None, noise).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    found, exact = prior().log_prob(z[:1_000]).mean(), mixture.log_prob(z[:1_000, 0]).mean()
    assert float(exact) - 0.1 < float(found) < float(exact) + 0.05


# --- the two-stage VAE


def test_the_second_vaes_bound_is_below_its_density() -> None:
    """In one dimension, against quadrature over u; near it, since 16 draws count."""
    with Noise(3).torch():
        prior = TwoStage(1, hidden=[16])
    z = Noise(0).normal((2_000, 1)).abs() - 0.8
    optimizer = torch.optim.Adam(prior.parameters(), lr=1e-2)
    for step in range(200):
        loss = prior.loss(z[:500], None, Noise(0, "step", step)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    u = torch.linspace(-8, 8, 4_001).unsqueeze(1)
    with torch.no_grad():
        bound, p = prior().log_prob(z), prior.decoder(u, None)
        joint = Normal(p.loc, p.scale).log_prob(z.T) + Normal(0.0, 1.0).log_prob(u)  # (U, Z)
        exact = joint.double().logsumexp(0) + math.log(0.004)
        assert -0.1 < float((bound - exact).mean()) < 0
        one = -prior.loss(z, None, Noise(0)).mean()
        assert float(one) < float(bound.mean()) - 0.01  # one draw is a looser bound than 16
        assert torch.allclose(prior().log_prob(z[40:60]), bound[40:60])  # whatever stands beside it
        apart = (prior().log_prob(z[:1] + 1e-6 * torch.arange(200).unsqueeze(1)) - exact[0]).std()
        assert float(apart) > 1e-3  # each value has draws of its own, so that errors of many average out


def test_the_second_vae_draws_from_what_it_scores() -> None:
    with Noise(3).torch():
        prior = TwoStage(1, hidden=[16])
    with torch.no_grad():
        z = draw(rows(prior(), 20_000), Noise(0))[0][:, 0].numpy()
        u = torch.linspace(-6, 6, 601).unsqueeze(1)
        p, weight = prior.decoder(u, None), Normal(0.0, 1.0).log_prob(u).exp() * 0.02
    cdf = lambda x: (weight.T.numpy() @ stats.norm.cdf(x, p.loc.numpy(), p.scale.numpy()))[0]  # noqa: E731
    assert stats.kstest(z[:4_000], cdf).pvalue > 1e-3
    with torch.no_grad():
        assert draw(tempered(prior(), 0.1).expand([500]), Noise(0))[0].std() < 0.2 * z.std()


# --- codes


def autoregressive(levels, shape=(2, 2), **options: Any) -> AutoregressiveCodes:
    with Noise(0, "codes").torch():
        prior = AutoregressiveCodes(shape, levels, width=16, depth=1, **options)
    for parameter in prior.parameters():
        nn.init.normal_(parameter, std=0.3)
    return prior


def test_the_probabilities_of_all_maps_sum_to_one() -> None:
    """By enumeration: two places with two entries of 3 and 2 levels each, 36 maps."""
    prior = autoregressive([3, 2])
    every = torch.tensor(list(itertools.product(range(3), range(2), range(3), range(2)))).view(-1, 2, 2)
    with torch.no_grad():
        log_p = prior().log_prob(every).flatten(1).sum(1)
    assert float(log_p.double().exp().sum()) == pytest.approx(1, abs=1e-5)
    impossible = every.clone()
    impossible[:, 0, 1] = 2
    with torch.no_grad():
        assert bool(torch.isneginf(prior().log_prob(impossible)[:, 0, 1]).all())


def test_codes_are_drawn_as_probable_as_they_are_and_impossible_levels_never() -> None:
    prior = autoregressive([3, 2], shape=(1, 2))
    every = torch.tensor(list(itertools.product(range(3), range(2)))).view(-1, 1, 2)
    with torch.no_grad():
        probable = prior().log_prob(every).flatten(1).sum(1).exp().double().numpy()
    drawn = draw(rows(prior(), 6_000), Noise(0))[0].long()
    assert int(drawn[..., 0].max()) == 2 and int(drawn[..., 1].max()) == 1
    counts = np.bincount((2 * drawn[:, 0, 0] + drawn[:, 0, 1]).numpy(), minlength=6)
    assert stats.chisquare(counts, 6_000 * probable / probable.sum()).pvalue > 1e-3


def test_a_walk_over_the_map_says_what_the_whole_pass_says() -> None:
    prior = autoregressive([3, 2, 4], shape=(2, 2, 3))
    x = draw(rows(prior(), 5), Noise(1))[0]
    with torch.no_grad():
        whole, step = prior.net(x, None), prior.net.walker(None)
        for place in itertools.product(range(2), range(2), range(3)):
            spot = (slice(None), *(slice(i, i + 1) for i in place))
            assert torch.allclose(step(x, place), whole[spot], atol=1e-5)


def test_codes_take_a_condition() -> None:
    prior = autoregressive(4, condition=3)
    z, c = torch.randint(4, (5, 2, 2)), torch.eye(3)[torch.tensor([0, 1, 2, 0, 1])]
    p = prior(c)
    assert isinstance(p, Autoregressive) and draw(p, Noise(0))[0].shape == (5, 2, 2)
    assert not torch.allclose(p.log_prob(z), prior(c.roll(1, 1)).log_prob(z))


# --- fitting


def vector_model(seed: int = 0, latent: int = 2, **options: Any):
    with Noise(seed, "weights").torch():
        return presets.vae(Vectors(4), latent=latent, **options).model


def some_vectors(rows: int = 300) -> torch.Tensor:
    return torch.tensor(np.random.default_rng(0).normal(size=(rows, 4)), dtype=torch.float32)


@pytest.mark.parametrize("name", TINY)
def test_fitting_moves_nothing_of_the_model_and_is_a_function_of_the_seed(name) -> None:
    model, x = vector_model(), some_vectors()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    found = []
    for seed in (0, 0, 1):
        torch.manual_seed(len(found))  # what stands in torch's own generator does not matter
        with Noise(7).torch():
            prior = TINY[name](2)
        fitted = fit_prior(model, prior, x, steps=6, batch_size=32, seed=seed)
        found.append(fitted.bottleneck.prior.state_dict())
        assert fitted.bottleneck.prior is prior and fitted.encoder is model.encoder
        assert not any(module.training for module in fitted.modules())
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert isinstance(model.bottleneck.prior, StandardNormal)
    assert all(torch.equal(a, b) for a, b in zip(found[0].values(), found[1].values(), strict=True))
    assert any(not torch.equal(a, b) for a, b in zip(found[0].values(), found[2].values(), strict=True))


def test_a_prior_is_fitted_to_draws_and_not_to_centres() -> None:
    """Of a model whose posterior says nothing, q(z) is N(0, I), while its centres are all one point."""
    model = vector_model()
    for parameter in model.bottleneck.posterior.parameters():
        nn.init.zeros_(parameter)  # μ = 0, σ = 1
    fitted = fit_prior(model, FittedMixture(1, 2), some_vectors(4_000))
    p = fitted.bottleneck.prior()
    assert torch.allclose(p.variance, torch.ones(2), atol=0.1) and torch.allclose(
        p.mean, torch.zeros(2), atol=0.1
    )
    z = latents(model, vaekit.data.as_items(some_vectors(4_000)).batch(torch.arange(4_000)), Noise(0))
    assert stats.kstest(z[:, 0].numpy(), "norm").pvalue > 1e-3
    steps = fit_prior(model, Standardised(Mixture(1, 2), 2), some_vectors(500), steps=100, lr=0.05)
    assert float(steps.bottleneck.prior().variance.detach().min()) > 0.6


def test_the_rate_counts_the_new_prior() -> None:
    """Rate after fitting is KL(q ‖ new p), which is lower, and the distortion is as it was."""
    model, x = vector_model(), some_vectors(500)
    for parameter in (model.bottleneck.posterior.net.bias,):
        nn.init.constant_(parameter, 2.0)  # q is far from N(0, I)
    items = vaekit.data.as_items(x)
    before = evaluate(model, items)
    fitted = fit_prior(model, FittedMixture(1, 2), x)
    after = evaluate(fitted, items)
    assert after["distortion"] == pytest.approx(before["distortion"])
    assert after["rate"] < before["rate"] - 1
    out = fitted(x, noise=Noise(0))
    q, p = out.latents[0].q, fitted.bottleneck.prior()
    exact = q.log_prob(out.z).sum(1) - MultivariateNormal(p.loc[0], scale_tril=p.tril[0]).log_prob(out.z)
    assert torch.allclose(out.rate, exact, atol=1e-4)


@pytest.mark.parametrize("name", ["flow", "diffusion", "vae"])
def test_the_prior_of_a_conditional_model_takes_the_condition(name) -> None:
    """Labels with latents of their own: draws of a label lie where its latents lie."""
    kind = Vectors(2, labels=["a", "b"])
    kind.conditional = True
    with Noise(0).torch():
        model = presets.conditional_vae(kind, latent=2).model
        priors = {
            "flow": Flow("NSF", 2, 2, hidden=[16]), "diffusion": RectifiedFlow(2, hidden=[32], condition=2),
            "vae": TwoStage(2, hidden=[32], condition=2),
        }  # fmt: skip
    y = torch.arange(600) % 2
    raw = torch.where(y.unsqueeze(1) == 0, -3.0, 3.0) + 0.1 * Noise(0).normal((600, 2))
    items = vaekit.data.Items(kind.store(raw), kind, y)
    fitted = fit_prior(
        model,
        Standardised(priors[name], 2),
        items,
        steps=60 if name == "flow" else 300,
        batch_size=64,
        lr=1e-2,
    )
    c = torch.eye(2).repeat_interleave(300, 0)
    z = draw(fitted.bottleneck.prior(c), Noise(0))[0]
    batch = items.batch(torch.arange(600))
    real = latents(model, batch, Noise(5))
    middles = torch.stack([real[y == k].mean(0) for k in (0, 1)])
    assert float((middles[0] - middles[1]).norm()) > 0.5
    for k in (0, 1):
        own = z[300 * k : 300 * k + 300].detach().mean(0)
        assert float((own - middles[k]).norm()) < 0.5 * float((own - middles[1 - k]).norm())
    assert fitted.sample(5, c[:5], noise=Noise(0)).shape == (5, 2)


def test_the_top_prior_of_a_stack_is_replaced() -> None:
    with Noise(0).torch():
        model = presets.ladder_vae(Vectors(6), latent=4).model
    x = torch.tensor(np.random.default_rng(0).normal(size=(200, 6)), dtype=torch.float32)
    top = latents(model, vaekit.data.as_items(x).batch(torch.arange(200)), Noise(0))
    fitted = fit_prior(model, FittedMixture(2, top.shape[1]), x)
    before, after = (m(x, noise=Noise(1)) for m in (model, fitted))
    assert torch.equal(before.latents[0].z, after.latents[0].z)
    assert torch.equal(before.latents[-1].kl, after.latents[-1].kl)
    exact = fitted.bottleneck.prior().log_prob(after.latents[0].z.flatten(1))
    assert torch.allclose(after.latents[0].log_p, exact, rtol=1e-5)
    assert fitted.sample(3, noise=Noise(0)).shape == (3, 6)


def spots(n: int = 120) -> np.ndarray:
    """A bright spot in one of few places: (n, 8, 8) uint8."""
    place = np.random.default_rng(0).integers(0, 3, (n, 2)) * 2 + 1
    row, column = np.mgrid[:8, :8]
    return np.stack([255.0 * np.exp(-((row - i) ** 2 + (column - j) ** 2)) for i, j in place]).astype(
        np.uint8
    )


@pytest.mark.parametrize("quantized", ["vq_vae", "fsq_vae", "rvq_vae"])
def test_the_code_length_falls_by_what_the_prior_knows(quantized) -> None:
    kind = Images(1, 8, 8)
    items = vaekit.data.Items(kind.store(spots()), kind)
    with Noise(0).torch():
        model = getattr(presets, quantized)(kind).model
        model.see_first(items.batch(torch.arange(100)).x)
        z = model.eval().encode(items.batch(torch.arange(2)).x)
        prior = AutoregressiveCodes(z.shape[1:], model.bottleneck.prior.levels, width=32, depth=1)
    before = evaluate(model, items)
    fitted = fit_prior(model, prior, items, steps=60, batch_size=40, lr=1e-2)
    after = evaluate(fitted, items)
    assert after["rate"] < 0.7 * before["rate"] and after["distortion"] == pytest.approx(before["distortion"])
    batch = items.batch(torch.arange(120))
    codes = model.encode(batch.x)
    with torch.no_grad():
        length = -prior().log_prob(codes).flatten(1).sum(1).mean()
    assert after["rate"] == pytest.approx(float(length), rel=1e-4)
    assert fitted.sample(3, noise=Noise(0)).shape == (3, 1, 8, 8)


def test_a_prior_over_other_latents_is_refused() -> None:
    model, x = vector_model(), some_vectors()
    for prior in (Mixture(3, 1), StandardNormal(5), FittedMixture(2, 3), AutoregressiveCodes([2, 2], 4)):
        with pytest.raises(ValueError, match="values of shape"):
            fit_prior(model, prior, x, steps=1)
    with pytest.raises(ValueError, match="no parameters"):
        fit_prior(model, StandardNormal(2), x, steps=1)


@pytest.mark.parametrize("name", TINY)
def test_a_saved_prior_is_the_same_prior(name, tmp_path) -> None:
    model = fit_prior(vector_model(), TINY[name](2), some_vectors(), steps=3)
    save(tmp_path / "model", model, Vectors(4))
    again = load(tmp_path / "model")[0]
    assert torch.equal(model.sample(9, noise=Noise(0)), again.sample(9, noise=Noise(0)))
    a, b = (m(some_vectors(9), noise=Noise(0)) for m in (model, again))
    assert torch.equal(a.rate, b.rate)


def test_codes_and_their_prior_survive_saving(tmp_path) -> None:
    kind = Images(1, 8, 8)
    items = vaekit.data.Items(kind.store(spots()), kind)
    model = presets.fsq_vae(kind).model
    z = model.eval().encode(items.batch(torch.arange(2)).x)
    prior = AutoregressiveCodes(z.shape[1:], model.bottleneck.prior.levels, width=16, depth=1)
    fitted = fit_prior(model, prior, items, steps=2)
    save(tmp_path / "model", fitted, kind)
    again = load(tmp_path / "model")[0]
    assert torch.equal(fitted.sample(4, noise=Noise(0)), again.sample(4, noise=Noise(0)))


# --- the command


QUICK: dict[str, Any] = dict(
    steps=8, batch_size=16, latent=2, threads=1, evaluate_every=4, patience=0, quiet=True
)


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch) -> None:
    """Drawing the report takes seconds."""
    for place in ("vaekit.fitting", "vaekit.launch", "vaekit.second_stage"):
        monkeypatch.setattr(
            f"{place}.write_report", lambda path: files.write(Path(path) / "report.html", "again")
        )


@pytest.fixture(scope="module")
def numbers(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("data") / "x.npy"
    np.save(path, np.random.default_rng(0).normal(3, 2, (200, 5)))
    return path


def test_a_run_keeps_its_new_prior(numbers, tmp_path) -> None:
    run = vaekit.fit(numbers, out=tmp_path / "run", **QUICK)
    old = json.loads((tmp_path / "run" / "run.json").read_text())
    told = run.fit_prior(numbers, "mixture", components=2, quiet=True)
    assert told["prior"] == "mixture" and told["elbo"] > told["elbo_before"] - 1
    again = vaekit.open(tmp_path / "run")
    assert isinstance(again.model.bottleneck.prior, FittedMixture)
    np.testing.assert_array_equal(run.sample(5), again.sample(5))
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    assert facts["metrics"]["rate"] == pytest.approx(told["rate"]) and facts["metrics"] != old["metrics"]
    assert run.about == again.about and run.facts == again.facts  # the open run knows of it, too
    assert facts["events"][-1]["what"] == "prior fitted: mixture"
    assert "a mixture prior was fitted" in (tmp_path / "run" / "README.md").read_text()
    assert inspected(tmp_path / "run")["prior"] == facts["prior"] == "mixture"
    assert again.about["calibration"]["scores"] and (tmp_path / "run" / "report.html").read_text() == "again"
    card = (tmp_path / "run" / "model" / "README.md").read_text()
    run.fit_prior(numbers, "mixture", components=3, quiet=True)  # a second time in its place
    assert (
        (tmp_path / "run" / "model" / "README.md").read_text().count("Second stage")
        == card.count("Second stage")
        == 1
    )
    held = run.items(numbers).subset(Noise(0, "split").permutation(200)[:20].sort().values)
    assert run.metrics["rate"] == pytest.approx(evaluate(run.model, held)["rate"])  # of what was held out


def test_what_was_held_out_in_a_file_stays_held_out(numbers, tmp_path) -> None:
    np.save(tmp_path / "val.npy", np.random.default_rng(1).normal(3, 2, (30, 5)))
    run = vaekit.fit(numbers, out=tmp_path / "run", val=str(tmp_path / "val.npy"), **QUICK)
    told = run.fit_prior(numbers, "mixture", components=2, quiet=True)
    assert told["rate"] == pytest.approx(evaluate(run.model, run.items(tmp_path / "val.npy"))["rate"])


def test_every_prior_is_fitted_by_its_name(numbers, tmp_path) -> None:
    run = vaekit.fit(numbers, out=tmp_path / "run", **QUICK)
    for name in ("flow", "diffusion", "vae"):
        told = run.fit_prior(numbers, name, steps=2, quiet=True)
        assert told["steps"] == 2 and math.isfinite(told["elbo"])
        assert np.isfinite(run.sample(3)).all() and np.isfinite(run.log_likelihood(numbers, samples=2)).all()


def test_a_prior_whose_loss_is_never_finite_is_not_taken_over(numbers, tmp_path, monkeypatch) -> None:
    run = vaekit.fit(numbers, out=tmp_path / "run", **QUICK)
    kept = (tmp_path / "run" / "model" / "weights.safetensors").read_bytes()
    monkeypatch.setattr(
        "vaekit.training.second_stage._loss", lambda *_: torch.full((2,), torch.nan, requires_grad=True)
    )
    monkeypatch.setattr(
        torch.autograd, "grad", lambda loss, parameters: [torch.zeros_like(p) for p in parameters]
    )
    with pytest.raises(DivergedError, match="its own") as caught:
        run.fit_prior(numbers, "flow", steps=3, quiet=True)
    assert (
        caught.value.code == "E501"
        and (tmp_path / "run" / "model" / "weights.safetensors").read_bytes() == kept
    )


ERRORS = [
    ("vae", "difusion", {}, "E101", "diffusion"),
    ("vae", "autoregressive", {}, "E106", "continuous latents, not codes"),
    ("vae", "mixture", {"components": 500}, "E103", "500 components"),
    ("gumbel_vae", "diffusion", {}, "E106", "one-hot"),
    ("gumbel_vae", "autoregressive", {}, "E106", "one-hot"),
]


@pytest.mark.parametrize(("name", "prior", "options", "code", "word"), ERRORS)
def test_what_cannot_be_fitted_is_refused(name, prior, options, code, word, numbers, tmp_path) -> None:
    run = vaekit.fit(numbers, out=tmp_path / "run", preset=name, **QUICK)
    before = (tmp_path / "run" / "run.json").read_bytes()
    with pytest.raises(UsageError, match=word) as caught:
        run.fit_prior(numbers, prior, quiet=True, **options)
    assert caught.value.code == code and (tmp_path / "run" / "run.json").read_bytes() == before


def test_codes_take_no_diffusion(tmp_path, capsys) -> None:
    np.save(tmp_path / "spots.npy", spots())
    options = {**QUICK, "latent": None}
    run = vaekit.fit(tmp_path / "spots.npy", out=tmp_path / "run", preset="vq_vae", **options)
    with pytest.raises(UsageError, match="which has codes"):
        run.fit_prior(tmp_path / "spots.npy", "diffusion", quiet=True)
    command = ["fit-prior", str(tmp_path / "run"), str(tmp_path / "spots.npy"), "--quiet", "--steps", "2"]
    with pytest.raises(SystemExit) as caught:
        main([*command, "--prior", "autoregresive"])
    assert caught.value.code == 2 and "did you mean autoregressive" in capsys.readouterr().err
    with contextlib.suppress(SystemExit):
        main([*command, "--prior", "autoregressive"])
    assert isinstance(vaekit.open(tmp_path / "run").model.bottleneck.prior, AutoregressiveCodes)


def test_an_exponential_base_is_moved_and_stretched_too() -> None:
    p = Affine(Exponential(torch.ones(2)), torch.tensor([1.0, 2.0]), torch.tensor([2.0, 0.5]))
    assert torch.allclose(p.mean, torch.tensor([3.0, 2.5])) and torch.allclose(
        spread(p), torch.tensor([2.0, 0.5])
    )
