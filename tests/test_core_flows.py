"""Flows against autograd's Jacobian, their draws against their density, and posteriors that must listen to x."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn
from torch.distributions import MultivariateNormal, Normal

from vaekit.bottlenecks import Variational
from vaekit.conditional import Conditional
from vaekit.data import Counts, Images, Vectors
from vaekit.distributions import MEAN, Gaussian, Noise, RowNoise, center, draw, kl, rows, spread, tempered
from vaekit.distributions.detached import detach
from vaekit.distributions.scales import positive
from vaekit.model import VAE
from vaekit.networks import MLP
from vaekit.objectives import Distortion, ImportanceWeighted, Rate
from vaekit.operations import log_likelihood
from vaekit.operations.explore import embed
from vaekit.persistence import load, save
from vaekit.presets.posteriors import full_covariance_vae, iaf_vae, spline_vae
from vaekit.presets.priors import flow_prior_vae
from vaekit.priors.flow import FLOWS, Flow, InverseAutoregressive, NeuralSpline
from vaekit.recipes import build, recipe
from vaekit.training import fit, train

DOUBLE = torch.float64
POSTERIORS = {
    "iaf": InverseAutoregressive,
    "spline": NeuralSpline,
    "flow": lambda f, d, **o: Flow("MAF", d, f, **o),
}


@pytest.fixture(autouse=True)
def _same_weights() -> None:
    torch.manual_seed(0)


def stirred(part: nn.Module, seed: int = 0, size: float = 0.3) -> nn.Module:
    """In float64, away from the identity."""
    source = torch.Generator().manual_seed(seed)
    part.double()
    with torch.no_grad():
        for p in part.parameters():
            p += size * torch.randn(p.shape, generator=source, dtype=DOUBLE)
    return part


def normal(*shape: int, seed: int = 3) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)


def by_jacobian(q, z: torch.Tensor) -> torch.Tensor:
    """log N(ε) + log |det ∂ε/∂z| of one row (1, D), with autograd's Jacobian of the whole map."""
    inverse = lambda t: q.push.inv(t.unsqueeze(0))[0]  # noqa: E731
    slope = torch.autograd.functional.jacobian(inverse, z.detach()[0])
    return q.base.log_prob(q.push.inv(z)).sum() + torch.linalg.slogdet(slope)[1]


# --- densities


@pytest.mark.parametrize("name", FLOWS)
def test_a_flows_density_is_the_bases_times_autograds_jacobian(name) -> None:
    torch.manual_seed(0)
    p = rows(stirred(Flow(name, 3, transforms=2, hidden=(8,)), size=0.1)(), 1)
    for z in 0.8 * normal(3, 1, 3):
        assert float(p.log_prob(z).detach()) == pytest.approx(float(by_jacobian(p, z).detach()), abs=1e-6)


@pytest.mark.parametrize("name", POSTERIORS)
@pytest.mark.parametrize("dim", [1, 3])
def test_the_density_of_a_draw_is_that_of_its_value(name, dim) -> None:
    part = stirred(POSTERIORS[name](4, dim, transforms=2, hidden=(8,)))
    h = normal(5, 4)
    z, log_q = draw(part(h), Noise(0, "flow"))
    assert z.shape == (5, dim) and log_q.shape == (5,)
    torch.testing.assert_close(part(h).log_prob(z), log_q, rtol=0, atol=1e-6)
    expected = torch.stack([by_jacobian(part(h[i : i + 1]), z[i : i + 1]) for i in range(5)])
    torch.testing.assert_close(log_q, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("temperature", [1.0, 0.6])
@pytest.mark.parametrize("name", ["MAF", "NSF"])
def test_a_flow_prior_samples_what_its_density_says(name, temperature) -> None:
    """In one dimension draws against the integrated density; in two, E_p[r / p] = 1 for a density r inside p."""
    torch.manual_seed(1)
    prior = stirred(Flow(name, 1, transforms=2, hidden=(8,)), size=0.5)
    z, _ = Variational(Conditional(nn.Linear(2, 2), Gaussian()), prior)(
        n=3_000, noise=Noise(0, "one"), temperature=temperature
    )
    grid = torch.linspace(-40, 40, 80_001, dtype=DOUBLE)
    density = tempered(prior(), temperature).log_prob(grid.unsqueeze(1)).exp().detach()
    cdf = torch.cumulative_trapezoid(density, grid).numpy()
    assert cdf[-1] == pytest.approx(1, abs=1e-3)
    assert stats.kstest(z[:, 0].detach().numpy(), lambda x: np.interp(x, grid[1:], cdf)).pvalue > 1e-3
    p = tempered(rows(stirred(Flow(name, 2, transforms=2, hidden=(8,)), size=0.15)(), 4_000), temperature)
    z, log_p = draw(p, Noise(0, "two"))
    r = Normal(center(p)[0].detach(), 0.4 * z.std(0).detach())
    ratio = (r.log_prob(z).sum(1) - log_p).exp().detach()
    assert float(ratio.mean()) == pytest.approx(1, abs=4 * float(ratio.std()) / math.sqrt(4_000))
    plain = rows(stirred(Flow(name, 2, transforms=2, hidden=(8,)), size=0.15)(), 9)
    narrow, wide = (plain.push.inv(draw(q, Noise(0))[0]) for q in (tempered(plain, temperature), plain))
    torch.testing.assert_close(narrow, temperature * wide)


# --- posteriors


@pytest.mark.parametrize("name", POSTERIORS)
def test_every_layer_of_a_posterior_listens_to_the_features(name) -> None:
    """Not only the Gaussian at its end: a flow that every datum shares would be no posterior flow."""
    part = stirred(POSTERIORS[name](4, 3, transforms=3, hidden=(8,)))
    h, epsilon = normal(5, 4).requires_grad_(), normal(5, 3, seed=4)
    for layer in part.layers.transforms:
        (slope,) = torch.autograd.grad(layer(h)(epsilon).square().sum(), h)
        assert float(slope.abs().max(1).values.min()) > 1e-3
    if name != "flow":
        with torch.no_grad():
            part.head.weight.zero_()  # now only the layers can tell data apart
    z = part(h).push(epsilon[:1].expand(5, 3)).detach()
    assert float(torch.cdist(z, z).fill_diagonal_(9).min()) > 1e-3


@pytest.mark.parametrize("name", ["iaf", "spline"])
@pytest.mark.parametrize("dim", [1, 4])
def test_a_posterior_begins_as_the_gaussian_of_its_head(name, dim) -> None:
    torch.manual_seed(0)
    part, h = POSTERIORS[name](6, dim, transforms=2, hidden=(8, 8)).double(), normal(5, 6)
    loc, raw = part.head(h).chunk(2, 1)
    plain, q, z = Normal(loc, positive(raw, 1.0, 1e-4)), part(h), normal(5, dim, seed=5)
    torch.testing.assert_close(q.log_prob(z), plain.log_prob(z).sum(1))
    torch.testing.assert_close(draw(q, Noise(0))[0], draw(plain, Noise(0))[0])
    torch.testing.assert_close(center(q), plain.mean)
    torch.testing.assert_close(q.mean, plain.mean)
    torch.testing.assert_close(spread(q), plain.stddev)
    # and it can leave that: the first gradient reaches the layers
    gradients = torch.autograd.grad(
        part(h).log_prob(z).square().sum(), list(part.layers.parameters()), allow_unused=True
    )
    assert sum(float(g.abs().sum()) for g in gradients if g is not None) > 0


@pytest.mark.parametrize("name", ["MAF", "NSF", "NICE", "RealNVP"])
@pytest.mark.parametrize("features", [0, 4])
def test_a_flow_prior_begins_as_the_standard_normal(name, features) -> None:
    torch.manual_seed(0)
    for dim in (1, 3):
        z = normal(5, dim)
        p = Flow(name, dim, features, hidden=(8,)).double()(normal(5, 4))
        torch.testing.assert_close(p.log_prob(z), Normal(0.0, 1.0).log_prob(z).sum(1))


def test_layers_scale_and_shift_by_the_dimensions_before_and_then_by_those_after() -> None:
    part = stirred(InverseAutoregressive(4, 3, transforms=2, hidden=(64,)))
    for layer, mask in zip(part.layers.transforms, (torch.triu, torch.tril), strict=True):
        slope = torch.autograd.functional.jacobian(lambda e, layer=layer: layer(normal(4))(e), normal(3))
        assert torch.equal(mask(slope, 1 if mask is torch.triu else -1), torch.zeros(3, 3, dtype=DOUBLE))
        assert int((slope != 0).sum()) == 6


def test_draws_come_from_the_noise_given_and_from_nothing_else() -> None:
    q = stirred(InverseAutoregressive(4, 3, hidden=(8,)))(normal(6, 4))
    before = torch.get_rng_state()
    first = draw(q, Noise(5, "a"))
    torch.manual_seed(99)
    assert torch.equal(first[0], draw(q, Noise(5, "a"))[0]) and not torch.equal(
        first[0], draw(q, Noise(5, "b"))[0]
    )
    torch.set_rng_state(before)
    draw(q, Noise(5, "a"))
    assert torch.equal(before, torch.get_rng_state())
    part, h = stirred(InverseAutoregressive(4, 3, hidden=(8,))), normal(6, 4)
    alone = draw(part(h[[4, 1]]), RowNoise(0, "rows", torch.tensor([4, 1])))
    for one, all_of_them in zip(alone, draw(part(h), RowNoise(0, "rows", torch.arange(6))), strict=True):
        torch.testing.assert_close(one, all_of_them[[4, 1]])
    torch.testing.assert_close(draw(q, MEAN)[0], q.push(torch.zeros(6, 3, dtype=DOUBLE)))


def test_moments_of_a_curved_posterior_are_near_those_of_many_draws() -> None:
    part = stirred(InverseAutoregressive(4, 2, hidden=(8,)))
    h = normal(3, 4)
    z = draw(part(h.repeat_interleave(20_000, 0)), Noise(0, "many"))[0].view(3, 20_000, 2).detach()
    assert float(((part(h).mean - z.mean(1)) / z.std(1)).abs().max().detach()) < 0.25
    ratio = (spread(part(h)) / z.std(1)).detach()
    assert float(ratio.min()) > 0.75 and float(ratio.max()) < 1.3
    assert torch.equal(spread(part(h)), spread(part(h)))
    torch.testing.assert_close(spread(part(h[1:2])), spread(part(h))[1:2])  # whatever stands beside it


# --- in a model


def flow_model(posterior=None, prior=None, seed=0) -> VAE:
    torch.manual_seed(seed)
    posterior = Conditional(nn.Linear(8, 6), Gaussian()) if posterior is None else posterior
    prior = Flow("NSF", 3, hidden=(8,)) if prior is None else prior
    decoder = Conditional(MLP(3, 10, hidden=(12,)), Gaussian())
    return VAE(MLP(5, 8, hidden=(12,)), Variational(posterior, prior), decoder)


def test_the_rate_of_a_pass_is_its_draws_own() -> None:
    model = flow_model(InverseAutoregressive(8, 3, hidden=(8,)))
    stirred(model, size=0.2)
    out = model(normal(6, 5), samples=2, noise=Noise(0))
    [latent] = out.latents
    assert kl(latent.q, latent.prior) is None
    expected = latent.q.log_prob(latent.z) - latent.p.log_prob(latent.z)
    torch.testing.assert_close(out.rate, expected, rtol=0, atol=1e-6)
    torch.testing.assert_close(out.log_weight, -out.distortion - expected, rtol=0, atol=1e-6)
    mean, std, divergence = embed(model, normal(6, 5))
    torch.testing.assert_close(mean, model.encode(normal(6, 5)))
    assert std.shape == divergence.shape == (6, 3) and bool((std > 0).all())


def test_the_output_of_a_posterior_changes_with_x() -> None:
    model = flow_model(InverseAutoregressive(8, 3, hidden=(8,)))
    stirred(model)
    with torch.no_grad():
        model.bottleneck.posterior.head.weight.zero_()
    z = model(normal(6, 5), noise=RowNoise(0, "same", torch.zeros(6, dtype=torch.long))).z.detach()
    assert float(torch.cdist(z, z).fill_diagonal_(9).min()) > 1e-3


def test_a_conditional_flow_prior_depends_on_the_condition_and_a_plain_one_does_not() -> None:
    learned, z, c = stirred(Flow("NSF", 3, features=2, hidden=(8,))), normal(1, 3).expand(4, 3), normal(4, 2)
    assert len(set(learned(c).log_prob(z).tolist())) == 4
    plain = Flow("NSF", 3, hidden=(8,)).double()
    assert len(set(plain(c).log_prob(z).tolist())) == 1 and plain(c).batch_shape == (4,)
    torch.testing.assert_close(plain(c).log_prob(z), plain().log_prob(z))
    with pytest.raises(ValueError, match="depends on 2 numbers for each row"):
        learned()


@pytest.mark.parametrize("posterior", [None, "iaf", "spline"])
def test_saved_models_are_the_same_when_opened(posterior, tmp_path) -> None:
    model = flow_model(None if posterior is None else POSTERIORS[posterior](8, 3, hidden=(8, 8)))
    fit(model, Distortion() + Rate(), normal(40, 5).float(), steps=3)
    opened, _, _ = load(save(tmp_path / "model", model))
    x = normal(6, 5, seed=8).float()
    for one in (
        lambda m: m.sample(4, noise=Noise(0)),
        lambda m: m(x, noise=Noise(0)).rate,
        lambda m: m.encode(x),
    ):
        assert torch.equal(one(model), one(opened))


def test_a_recipe_cannot_ask_for_more_than_memory_bears() -> None:
    for part in (Flow("MAF", 3), InverseAutoregressive(4, 3), NeuralSpline(4, 3)):
        written = recipe(part)
        assert recipe(build(written)) == written
        with pytest.raises(ValueError, match="weights"):
            build({**written, "hidden": [100_000, 100_000]})
        with pytest.raises(ValueError, match="or more"):
            build({**written, "hidden": []})
    with pytest.raises(ValueError, match="there is no flow 'Planar'; the flows are MAF"):
        Flow("Planar", 3)


def test_a_flows_parameters_cannot_be_held_still() -> None:
    with pytest.raises(TypeError, match="Flowed computes its density with networks"):
        detach(InverseAutoregressive(4, 3)(torch.zeros(2, 4)))


@pytest.mark.parametrize("make", [flow_prior_vae, iaf_vae, spline_vae, full_covariance_vae])
@pytest.mark.parametrize(
    "kind",
    [Vectors(5), Images(1, 5, 6, levels=16), Counts(5, [0.0] * 5)],
    ids=["vectors", "images", "counts"],
)
@pytest.mark.parametrize("latent", [1, 3])
def test_presets_train_score_and_sample(make, kind, latent) -> None:
    torch.manual_seed(0)
    model, objective = make(kind, latent=latent)
    x = torch.randint(0, 16, (24, *kind.shape)) / (15 if kind.name == "images" else 1)
    parts = [p.detach().clone() for p in model.bottleneck.parameters()]
    progress = list(train(model, objective, x, steps=3, batch_size=12))[-1]
    assert math.isfinite(float(progress.loss.detach())) and float(progress.state.skipped) == 0
    moved = [not torch.equal(a, b) for a, b in zip(parts, model.bottleneck.parameters(), strict=True)]
    assert sum(moved) > len(moved) / 2  # spline bins where no value fell stay as they are
    assert model.eval().sample(3, temperature=0.7, noise=Noise(0)).shape == (3, *kind.shape)
    assert bool(torch.isfinite(log_likelihood(model, x, samples=20)).all())
    assert bool(torch.isfinite(ImportanceWeighted(4)(model(x, samples=4), 0)).all())


def test_a_full_covariance_begins_diagonal_and_becomes_full() -> None:
    torch.manual_seed(0)
    model, objective = full_covariance_vae(Vectors(5), latent=3)
    x, across = torch.randn(40, 5), ~torch.eye(3, dtype=torch.bool)
    [latent] = model.posterior(x)
    assert type(latent.q) is MultivariateNormal and latent.kl.shape == (40,)
    assert float(latent.q.covariance_matrix[:, across].abs().max().detach()) == 0
    assert len(set(latent.q.variance.flatten().tolist())) == 120  # each datum's own
    fit(model, objective, x, steps=5)
    assert float(model.posterior(x)[0].q.covariance_matrix[:, across].abs().amin().detach()) > 0
