"""Mixture priors against torch's mixture in float64, their draws against their density; Vamp's pseudo-inputs."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from vaekit.bottlenecks import Variational
from vaekit.conditional import Conditional
from vaekit.data import Counts, Images, Vectors
from vaekit.distributions import (
    MEAN,
    FullGaussian,
    Gaussian,
    Noise,
    RowNoise,
    center,
    draw,
    kl,
    rows,
    spread,
    tempered,
)
from vaekit.distributions.mixture import GaussianMixture
from vaekit.model import VAE
from vaekit.networks import MLP
from vaekit.objectives import Distortion, Rate
from vaekit.operations import log_likelihood
from vaekit.persistence import load, save
from vaekit.presets.priors import mixture_prior_vae, vamp_prior_vae
from vaekit.priors import StandardNormal
from vaekit.priors.mixture import Mixture, Vamp
from vaekit.training import fit, train


def oracle(logits, loc, scale) -> MixtureSameFamily:
    """torch's mixture, in float64."""
    logits, loc, scale = (t.detach().double() for t in (logits, loc, scale))
    return MixtureSameFamily(Categorical(logits=logits), Independent(Normal(loc, scale), 1))


def some_mixture(rng, k=4, dim=3, dtype=torch.float64) -> GaussianMixture:
    return GaussianMixture(
        torch.tensor(rng.normal(size=k), dtype=dtype),
        torch.tensor(2 * rng.normal(size=(k, dim)), dtype=dtype),
        torch.tensor(rng.uniform(0.2, 1.0, (k, dim)), dtype=dtype),
    )


# --- the distribution


def test_the_density_is_that_of_torchs_mixture_and_so_is_its_gradient(rng) -> None:
    p = some_mixture(rng)
    z = torch.tensor(rng.normal(size=(7, 3)), requires_grad=True)
    expected = oracle(p.logits, p.loc, p.scale).log_prob(z)
    found = p.log_prob(z)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(*(torch.autograd.grad(t.sum(), z)[0] for t in (found, expected)))
    assert rows(p, 7).log_prob(z).shape == (7,) and p.log_prob(z[0]).shape == ()
    torch.testing.assert_close(p.log_prob(z.view(7, 1, 3)).flatten(), expected)


def test_narrow_components_far_from_zero_keep_their_digits(rng) -> None:
    loc = torch.tensor(30 * rng.normal(size=(5, 4)), dtype=torch.float32)
    p = GaussianMixture(torch.zeros(5), loc, torch.full((5, 4), 1e-3))
    z = loc + 1e-3 * torch.tensor(rng.normal(size=(5, 4)), dtype=torch.float32)
    expected = oracle(p.logits, p.loc, p.scale).log_prob(z.double())
    assert p.log_prob(z).dtype == torch.float32
    torch.testing.assert_close(p.log_prob(z).double(), expected, rtol=1e-6, atol=1e-4)


def test_draws_are_of_the_mixture_and_not_of_the_standard_normal(rng) -> None:
    p = some_mixture(rng, dtype=torch.float32)
    z, log_p = draw(rows(p, 4_000), Noise(0, "draws"))
    assert log_p is None and z.shape == (4_000, 3)
    torch.manual_seed(1)
    theirs = oracle(p.logits, p.loc, p.scale).sample((4_000,))
    for direction in (*torch.eye(3).double(), torch.tensor([0.6, -0.5, 0.7]).double()):
        found = (z.double() @ direction).numpy()
        assert stats.ks_2samp(found, (theirs @ direction).numpy()).pvalue > 1e-3
        assert stats.kstest(found / direction.norm().item(), stats.norm.cdf).pvalue < 1e-6
    # the density says so too: E_p[r / p] = 1 for any density r inside p
    r = Normal(p.loc[0], 0.5 * p.scale[0])
    ratio = (r.log_prob(z).sum(1) - p.log_prob(z)).exp()
    assert float(ratio.mean()) == pytest.approx(1, abs=4 * float(ratio.std()) / math.sqrt(4_000))


def test_a_rows_draw_does_not_depend_on_its_neighbours(rng) -> None:
    p = some_mixture(rng)
    together = draw(rows(p, 6), RowNoise(0, "rows", torch.arange(6)))[0]
    alone = draw(rows(p, 2), RowNoise(0, "rows", torch.tensor([4, 1])))[0]
    torch.testing.assert_close(together[[4, 1]], alone)


def test_moments_and_temperature(rng) -> None:
    p = some_mixture(rng)
    theirs = oracle(p.logits, p.loc, p.scale)
    torch.testing.assert_close(p.mean, theirs.mean)
    torch.testing.assert_close(p.variance, theirs.variance)
    assert rows(p, 5).mean.shape == spread(rows(p, 5)).shape == (5, 3)
    torch.testing.assert_close(draw(rows(p, 5), MEAN)[0], center(p).expand(5, 3))
    cool, z = tempered(rows(p, 7), 0.5), torch.tensor(rng.normal(size=(7, 3)))
    torch.testing.assert_close(cool.log_prob(z), oracle(p.logits, p.loc, 0.5 * p.scale).log_prob(z))
    assert cool.batch_shape == (7,) and tempered(p, 1.0) is p


# --- the learned mixture


def test_a_mixture_begins_spread_out_with_variance_one() -> None:
    torch.manual_seed(0)
    prior = Mixture(2_000, 4)
    p = prior()
    torch.testing.assert_close(p.variance, torch.ones(4), rtol=0.1, atol=0)
    between = torch.cdist(p.loc, p.loc).fill_diagonal_(9).min(1).values
    assert float(between.min().detach()) > 0
    assert {name for name, _ in prior.named_parameters()} == {"logits", "loc", "raw"}
    assert prior(torch.zeros(3, 2)).batch_shape == (3,)
    with pytest.raises(ValueError, match="one component or more"):
        Mixture(0, 2)


def test_the_rate_is_a_sample_of_the_divergence() -> None:
    """In one dimension the divergence is an integral."""
    torch.manual_seed(0)
    prior = Mixture(3, 1).double()
    part = Variational(Conditional(nn.Linear(1, 2).double(), Gaussian()), prior)
    h = torch.full((20_000, 1), 0.7, dtype=torch.float64)
    _, [latent] = part(h, noise=Noise(0, "rate"))
    assert kl(latent.q, latent.prior) is None and latent.kl.shape == (20_000,)
    grid = torch.linspace(-12, 12, 100_001, dtype=torch.float64)
    loc, scale = latent.q.loc[0, 0], latent.q.scale[0, 0]
    log_q = Normal(loc, scale).log_prob(grid)
    log_p = oracle(prior().logits, prior().loc, prior().scale).log_prob(grid.unsqueeze(1))
    expected = torch.trapezoid(log_q.exp() * (log_q - log_p), grid)
    error = latent.kl.std() / math.sqrt(20_000)
    assert float((latent.kl.mean() - expected).detach()) == pytest.approx(0, abs=4 * float(error.detach()))


def test_training_finds_clusters_that_the_standard_normal_cannot(rng) -> None:
    """Codes in two far places: as a density the mixture is better by about log 2 + the distance."""
    codes = torch.tensor(np.sign(rng.normal(size=(512, 1))) * 3 + 0.2 * rng.normal(size=(512, 1))).float()
    torch.manual_seed(0)
    prior = Mixture(4, 1)
    optimizer = torch.optim.Adam(prior.parameters(), lr=0.05)
    for _ in range(200):
        optimizer.zero_grad()
        (-prior().log_prob(codes).mean()).backward()
        optimizer.step()
    entropy = math.log(2) + 0.5 * math.log(2 * math.pi * math.e * 0.04)
    assert -float(prior().log_prob(codes).detach().mean()) == pytest.approx(entropy, abs=0.1)


# --- Vamp


def vamp_vae(inputs=6, low=None, high=None, seed=0) -> VAE:
    torch.manual_seed(seed)
    encoder, head = MLP(5, 8, hidden=(12,)), Conditional(nn.Linear(8, 6), Gaussian())
    prior = Vamp(encoder, head, inputs, [5], low, high)
    return VAE(encoder, Variational(head, prior), Conditional(MLP(3, 10, hidden=(12,)), Gaussian()))


def test_vamps_density_is_the_mixture_of_its_posteriors(rng) -> None:
    model = vamp_vae().double()
    prior = model.bottleneck.prior
    with torch.no_grad():
        prior.logits += torch.tensor(rng.normal(size=6))
        prior.pseudo += torch.tensor(rng.normal(size=(6, 5)))
    [posterior] = model.posterior(prior.pseudo)
    z = torch.tensor(rng.normal(size=(4, 3)))
    expected = oracle(prior.logits, posterior.q.loc, posterior.q.scale).log_prob(z)
    torch.testing.assert_close(prior().log_prob(z), expected)
    # the rate of a pass is charged against it, and it learns from that
    out = model(torch.tensor(rng.normal(size=(4, 5))), noise=Noise(0))
    p = oracle(prior.logits, posterior.q.loc, posterior.q.scale).log_prob(out.z)
    torch.testing.assert_close(
        out.rate, Normal(out.latents[0].q.loc, out.latents[0].q.scale).log_prob(out.z).sum(1) - p
    )
    for gradient in torch.autograd.grad(out.rate.sum(), [prior.pseudo, prior.logits]):
        assert float(gradient.abs().min()) > 0


def test_samples_of_a_vamp_model_are_of_its_prior_and_not_of_the_standard_normal(rng) -> None:
    model = vamp_vae().double()
    prior = model.bottleneck.prior
    with torch.no_grad():
        prior.pseudo.copy_(torch.tensor(4 * rng.normal(size=(6, 5))))
        model.bottleneck.posterior.net.bias[3:] -= 2  # narrower components
    z, [latent] = model.bottleneck(n=4_000, noise=Noise(0, "sample"))
    p = prior()
    torch.manual_seed(2)
    theirs = oracle(p.logits, p.loc, p.scale).sample((4_000,))
    for dim in range(3):
        assert stats.ks_2samp(z[:, dim].detach(), theirs[:, dim]).pvalue > 1e-3
    assert min(stats.kstest(z[:, dim].detach(), stats.norm.cdf).pvalue for dim in range(3)) < 1e-6
    torch.testing.assert_close(latent.log_p, oracle(p.logits, p.loc, p.scale).log_prob(z.detach()))


def test_pseudo_inputs_begin_at_training_data(rng) -> None:
    data = torch.tensor(rng.normal(size=(40, 5)), dtype=torch.float32)
    model = vamp_vae()
    next(train(model, Distortion() + Rate(), data, steps=1, batch_size=8, lr=1e-9))
    distance = (model.bottleneck.prior.pseudo.detach().unsqueeze(1) - data).abs().amax(2)
    assert float(distance.min(1).values.max()) < 1e-6
    assert len(set(distance.argmin(1).tolist())) == 6  # each at another datum


def test_pseudo_inputs_of_few_data_part_again(rng) -> None:
    model = vamp_vae()
    x = torch.tensor(rng.normal(size=(4, 5)), dtype=torch.float32)
    x[1, 2] = math.nan
    model.see_first(x)
    pseudo = model.bottleneck.prior.pseudo.detach()
    whole = x.nan_to_num()
    torch.testing.assert_close(pseudo[:4], whole, rtol=0, atol=0)
    torch.testing.assert_close(pseudo[4:], whole[:2], rtol=0, atol=0.1)
    assert float((pseudo[4:] - whole[:2]).abs().min()) > 0


def test_pseudo_inputs_stay_in_the_range_and_can_come_back() -> None:
    prior = vamp_vae(low=0.0, high=1.0).bottleneck.prior
    with torch.no_grad():
        prior.pseudo.copy_(torch.linspace(-3, 3, 30).view(6, 5))
    seen = prior.items()
    torch.testing.assert_close(seen, prior.pseudo.clamp(0, 1))
    (gradient,) = torch.autograd.grad(seen.sum(), prior.pseudo)
    torch.testing.assert_close(gradient, torch.ones(6, 5))
    above = vamp_vae(low=0.0).bottleneck.prior
    with torch.no_grad():
        above.pseudo.copy_(torch.linspace(-3, 3, 30).view(6, 5))
    assert float(above.items().min().detach()) == 0 and float(above.items().max().detach()) == 3


def test_vamp_refuses_posteriors_that_it_cannot_mix() -> None:
    with pytest.raises(TypeError, match="Gaussian in each dimension, not MultivariateNormal"):
        Vamp(nn.Linear(5, 9), Conditional(nn.Identity(), FullGaussian()), 3, [5])()
    with pytest.raises(ValueError, match="one component or more"):
        Vamp(nn.Linear(5, 9), Conditional(nn.Identity(), Gaussian()), 0, [5])


def test_a_saved_vamp_model_still_shares_its_encoder(tmp_path, rng) -> None:
    data = torch.tensor(rng.random(size=(40, 5)), dtype=torch.float32)
    model = fit(vamp_vae(low=0.0, high=1.0), Distortion() + Rate(), data, steps=3)
    opened, _, _ = load(save(tmp_path / "model", model))
    prior = opened.bottleneck.prior
    assert prior.encoder is opened.encoder and prior.posterior is opened.bottleneck.posterior
    assert (prior.inputs, tuple(prior.shape), prior.low, prior.high) == (6, (5,), 0.0, 1.0)
    for one in (lambda m: m.sample(4, noise=Noise(0)), lambda m: m(data, noise=Noise(0)).rate):
        assert torch.equal(one(model), one(opened))


@pytest.mark.parametrize("make", [mixture_prior_vae, vamp_prior_vae])
@pytest.mark.parametrize(
    "kind",
    [Vectors(5), Images(1, 5, 6, levels=16), Counts(5, [0.0] * 5)],
    ids=["vectors", "images", "counts"],
)
def test_presets_train_score_and_sample(make, kind, rng) -> None:
    torch.manual_seed(0)
    options = {"components": 7} if make is mixture_prior_vae else {"inputs": 7}
    model, objective = make(kind, latent=3, **options)
    x = torch.tensor(rng.integers(0, 16, (24, *kind.shape)) / (15 if kind.name == "images" else 1)).float()
    before = {name: p.clone() for name, p in model.named_parameters()}
    progress = list(train(model, objective, x, steps=4, batch_size=12))[-1]
    assert math.isfinite(float(progress.loss.detach())) and float(progress.state.skipped) == 0
    assert all(not torch.equal(before[name], p) for name, p in model.named_parameters())
    assert type(model.bottleneck.prior).__name__ == {"mixture_prior_vae": "Mixture"}.get(
        make.__name__, "Vamp"
    )
    assert model.eval().sample(3, temperature=0.7, noise=Noise(0)).shape == (3, *kind.shape)
    bound = -(
        model(x, samples=50, noise=Noise(0)).distortion + model(x, samples=50, noise=Noise(0)).rate
    ).mean()
    assert float(log_likelihood(model, x, samples=50).mean()) > float(bound.detach())
    if make is vamp_prior_vae:
        assert (model.bottleneck.prior.low, model.bottleneck.prior.high) == {
            "images": (0.0, 1.0), "counts": (0.0, None), "vectors": (None, None)
        }[kind.name]  # fmt: skip


def test_the_standard_normal_is_a_mixture_of_one(rng) -> None:
    z = torch.tensor(rng.normal(size=(5, 3)))
    one = GaussianMixture(torch.zeros(1).double(), torch.zeros(1, 3).double(), torch.ones(1, 3).double())
    torch.testing.assert_close(one.log_prob(z), StandardNormal(3).double()().log_prob(z).sum(1))
