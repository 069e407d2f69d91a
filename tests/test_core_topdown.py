"""Stacks of latent variables against closed forms, numerical integration, Monte Carlo and their own other passes."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, nn
from torch.distributions import MultivariateNormal, Normal

from vaekit.bottlenecks import Bottleneck
from vaekit.bottlenecks.stochastic import Bounded, LadderLayer, StochasticLayer, product
from vaekit.bottlenecks.topdown import TopDown, Unflattened, unflattened
from vaekit.conditional import Conditional
from vaekit.data import Images, Vectors
from vaekit.distributions import MEAN, Fixed, Gaussian, Noise, RowNoise
from vaekit.model import VAE
from vaekit.networks.blocks import ConvBlock, DenseBlock
from vaekit.networks.pyramid import Pyramid, Rise, level_widths
from vaekit.objectives import Capacity, Distortion, ImportanceWeighted, Rate, linear
from vaekit.operations import embed, log_likelihood
from vaekit.operations.codes import packed, unpacked
from vaekit.presets.hierarchical import ladder_vae, top_down_vae
from vaekit.priors import StandardNormal
from vaekit.recipes import build, recipe

DOUBLE = torch.float64
LABELS = {"labels": ("a", "b", "c"), "frequencies": (0.2, 0.3, 0.5), "conditional": True}
KINDS = {
    "dense": lambda **more: (Vectors(5, **more), {"width": 8}),
    "convolutional": lambda **more: (Images(1, 5, 9, levels=2, **more), {"width": 32, "convolutional": True}),
}


def shaken(model: VAE, seed: int = 0, size: float = 0.3) -> VAE:
    """Every parameter moved, so that nothing hides behind a beginning at zero; in double precision."""
    source = torch.Generator().manual_seed(seed)
    model = model.double()
    with torch.no_grad():
        for p in model.parameters():
            p += (
                size
                / max(1, p[0].numel() if p.dim() else 1) ** 0.5
                * torch.randn(p.shape, generator=source, dtype=DOUBLE)
            )
    return model


def made(form: str, style: str = "top_down", layers: int = 3, seed: int = 0, **more: Any) -> VAE:
    kind, options = KINDS[form](**more)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        if style == "ladder":
            options.pop("convolutional", None)
            return shaken(ladder_vae(kind, latent=2, layers=layers, **options).model)
        return shaken(top_down_vae(kind, latent=2, layers=layers, **options).model)


def data(model: VAE, n: int = 6, seed: int = 1) -> Tensor:
    source = torch.Generator().manual_seed(seed)
    encoder: Any = model.encoder
    shape = (
        encoder.shape if isinstance(encoder, Pyramid) else (5,) if encoder.first.inputs == 5 else (1, 5, 9)
    )
    return torch.rand((n, *shape), generator=source, dtype=DOUBLE).round()


CASES = [
    ("dense", "top_down"),
    ("convolutional", "top_down"),
    ("dense", "ladder"),
    ("convolutional", "ladder"),
]
cases = pytest.mark.parametrize(("form", "style"), CASES)


def same(a: Any, b: Any) -> None:
    torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


# ---------------------------------------------------------------------------------------------- the three passes


@cases
def test_a_value_that_is_given_leaves_what_drawing_it_leaves(form, style) -> None:
    model = made(form, style)
    h = model.features(data(model))
    state, drawn = model.bottleneck(h, noise=Noise(3))
    again, given = model.bottleneck(h, z=[latent.z for latent in drawn], noise=Noise(4))
    same(again, state)
    for a, b in zip(drawn, given, strict=True):
        same((a.z, a.log_q, a.log_p, a.kl), (b.z, b.log_q, b.log_p, b.kl))


@cases
def test_posterior_and_prior_pass_are_one_traversal(form, style) -> None:
    """The same values leave the same state and the same p_l, whichever pass they came from."""
    model = made(form, style)
    h = model.features(data(model))
    state, posterior = model.bottleneck(h, noise=Noise(3))
    values = [latent.z for latent in posterior]
    again, prior = model.bottleneck(z=values)
    same(again, state)
    for a, b in zip(posterior, prior, strict=True):
        same((a.p.mean, a.p.stddev), (b.p.mean, b.p.stddev))
        same((b.q.mean, b.q.stddev), (b.p.mean, b.p.stddev))
        assert not torch.allclose(a.q.mean, a.p.mean)
    _, free = model.bottleneck(n=6, noise=Noise(5))
    _, found = model.bottleneck(z=[latent.z for latent in free])
    same([latent.p.mean for latent in free], [latent.p.mean for latent in found])


@cases
def test_every_variable_hears_the_data_and_those_above(form, style) -> None:
    model = made(form, style)
    h = model.features(data(model))
    _, latents = model.bottleneck(h, noise=Noise(3))
    values = [latent.z for latent in latents]
    for i in range(3):
        others = [
            torch.zeros_like(f) if level == model.bottleneck.levels[i] else f for level, f in enumerate(h)
        ]
        _, found = model.bottleneck(others, z=values)
        assert not torch.allclose(found[i].q.mean, latents[i].q.mean)
        moved = [z + 1 if j == i else z for j, z in enumerate(values)]
        _, found = model.bottleneck(h, z=moved)
        for j in range(3):
            changed = not torch.allclose(found[j].p.mean, latents[j].p.mean)
            assert changed == (j == i + 1 if style == "ladder" else j > i)  # no state goes around a ladder's


@cases
def test_temperature_zero_is_the_mean_and_two_is_twice_as_wide(form, style) -> None:
    model = made(form, style)
    cold, latents = model.bottleneck(n=4, noise=Noise(0), temperature=0.0)
    center, _ = model.bottleneck(n=4, noise=MEAN)
    same(cold, center)
    same([latent.z for latent in latents], [latent.p.mean for latent in latents])
    _, warm = model.bottleneck(n=4, noise=Noise(0), temperature=2.0)
    for latent in warm:
        same(latent.q.stddev, 2 * latent.p.stddev)


@cases
def test_what_is_left_open_is_drawn_given_what_is_fixed(form, style) -> None:
    model = made(form, style)
    z = model.encode(data(model))
    assert isinstance(z, list) and len(z) == 3
    bottleneck = model.bottleneck
    state, latents = bottleneck(z=[z[0], None, None], noise=Noise(2))
    same(latents[0].z, z[0])
    same(latents[1].p.mean, bottleneck(z=z)[1][1].p.mean)
    assert not torch.allclose(latents[1].z, latents[1].p.mean)
    same(bottleneck(z=[z[0], *(latent.z for latent in latents[1:])])[0], state)
    same(model.decode([z[0], None, None], noise=Noise(2)).mean, model.likelihood(state).mean)
    other = model.decode([z[0], None, None], noise=Noise(3)).mean
    assert not torch.allclose(other, model.likelihood(state).mean)
    same(model.decode([None, None, z[2]], noise=Noise(2)).mean.shape, other.shape)


def test_a_pass_says_what_it_needs() -> None:
    stack = made("dense").bottleneck
    with pytest.raises(ValueError, match="number of rows n"):
        stack()
    with pytest.raises(ValueError, match="3 layers need as many values or Nones, not 2"):
        stack(z=[None, None])
    layers = list(stack.layers)
    with pytest.raises(ValueError, match="as many levels"):
        TopDown(layers, [0, 1], (8,))
    with pytest.raises(ValueError, match="changes 2 times"):
        TopDown(layers, [0, 1, 2], (8,), [nn.Identity()])


@cases
def test_encoding_is_a_function_of_the_datum_alone(form, style) -> None:
    model = made(form, style)
    x = data(model, 7)
    z = packed(model.encode(x))
    assert torch.equal(packed(model.encode(x)), z)
    same(torch.cat([packed(model.encode(row)) for row in x.split(3)]), z)
    same(model.decode(unpacked(z, model.encode(x[:1]))).mean, model.decode(model.encode(x)).mean)
    mean, std, kl = embed(model, x)
    assert mean.shape == std.shape == kl.shape == z.shape
    same(mean, z)


# ---------------------------------------------------------------------------------------------- the mathematics


class Fit(nn.Module):
    """(state, c) → a linear function of the state."""

    def __init__(self, weight: Any, bias: Any) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.as_tensor(weight, dtype=DOUBLE))
        self.bias = nn.Parameter(torch.as_tensor(bias, dtype=DOUBLE))

    def forward(self, h: Tensor, c: Tensor | None = None) -> Tensor:
        return h @ self.weight.T + self.bias


class Twice(nn.Module):
    def forward(self, x: Tensor) -> list[Tensor]:
        return [x, x]


def raw(scale: np.ndarray | float, reach: float = 4.0) -> np.ndarray:
    """What `Bounded` turns into a scale."""
    return reach * np.arctanh(np.log(scale) / reach)


def linear_stack(rng: np.random.Generator, wider: float = 1.0) -> tuple[VAE, Any]:
    """x = B z₂ + N(0, σ²), z₂ = a z₁ + N(0, s²), z₁ ~ N(0, 1), with the exact posterior widened; and log p(x).

    The state is (z₁, z₂); z₁ and z₂ are numbers, so that q(z₂ | z₁, x) factorises.
    """
    a, s, sigma, b = 0.8, 0.6, 0.7, rng.normal(size=(4, 1))
    covariance = (a**2 + s**2) * b @ b.T + sigma**2 * np.eye(4)
    gain = a * b.T @ np.linalg.inv(covariance)  # E[z₁ | x]
    variance = 1 - (gain @ (a * b)).item()
    precision = 1 / s**2 + (b.T @ b).item() / sigma**2  # of z₂ given z₁ and x
    top = np.zeros((2, 6))
    top[0, 2:] = gain
    below = np.zeros((2, 6))
    below[0, 0], below[0, 2:] = a / s**2 / precision, b[:, 0] / sigma**2 / precision
    p = np.zeros((4, 2))
    p[0, 0] = a
    layers = [
        StochasticLayer(
            1, Fit(np.zeros((4, 2)), np.zeros(4)), Fit(top, [0, raw(wider * variance**0.5)]),
            Fit([[1.0], [0.0]], [0.0, 0.0]),
        ),
        StochasticLayer(
            1, Fit(p, [0, raw(s), 0, 0]), Fit(below, [0, raw(wider * precision**-0.5)]),
            Fit([[0.0], [1.0]], [0.0, 0.0]),
        ),
    ]  # fmt: skip
    decoder = Conditional(Fit(np.hstack([np.zeros((4, 1)), b]), np.zeros(4)), Gaussian(Fixed(sigma)))
    model = VAE(Twice(), TopDown(layers, [0, 1], (2,)), decoder).double()
    return model, stats.multivariate_normal(np.zeros(4), covariance)


def test_with_the_exact_posterior_every_draw_gives_log_p(rng) -> None:
    model, truth = linear_stack(rng)
    x = torch.tensor(truth.rvs(size=50, random_state=0))
    out = model(x, noise=Noise(0))
    np.testing.assert_allclose(out.log_weight.detach(), truth.logpdf(x), rtol=1e-9)


def test_elbo_iwae_and_log_p_stand_in_order(rng) -> None:
    model, truth = linear_stack(rng, wider=1.5)
    x = torch.tensor(truth.rvs(size=200, random_state=0))
    exact = truth.logpdf(x)
    with torch.no_grad():
        weights = model(x, samples=200, noise=Noise(0)).log_weight.view(200, 200)
        out = model(x, samples=200, noise=Noise(0, "elbo"))
        elbo = -(out.distortion + out.rate).view(200, 200).mean(1)
    iwae = (weights.view(200, 100, 2).logsumexp(2) - math.log(2)).mean(1)
    for lower, upper in [(elbo, iwae), (iwae, torch.tensor(exact))]:
        gap = upper - lower
        assert float(gap.mean()) > 4 * float(gap.std()) / 200**0.5
    # the ELBO from closed KLs, and the same from the draws' own densities, agree
    gap = elbo - weights.mean(1)
    assert abs(float(gap.mean())) < 4 * float(gap.std()) / 200**0.5
    # p itself is estimated without bias
    ratio = (weights - torch.tensor(exact)[:, None]).exp().mean(1)
    assert abs(float(ratio.mean()) - 1) < 4 * float(ratio.std()) / 200**0.5
    np.testing.assert_allclose(log_likelihood(model, x, samples=2_000), exact, atol=0.15)


@cases
def test_the_rate_is_the_mean_of_its_draws(form, style) -> None:
    """Each layer's KL is closed form given those above; log q − log p of the same draws has its mean."""
    model = made(form, style)
    x = data(model, 2).repeat_interleave(8_000, 0)
    with torch.no_grad():
        h = [f.repeat_interleave(8_000, 0) for f in model.features(data(model, 2))]
        out = model.observe(h, x, noise=Noise(0))
    for latent in out.latents:
        closed = latent.kl.flatten(1).sum(1)
        gap = (latent.log_q - latent.log_p - closed).view(2, 8_000)
        assert latent.kl.shape == latent.z.shape
        assert bool((gap.mean(1).abs() < 4 * gap.std(1) / 8_000**0.5).all())
        assert float(closed.mean()) > 0.05
    same(out.rate, sum(latent.kl.flatten(1).sum(1) for latent in out.latents))


def test_the_ladder_multiplies_two_densities(rng) -> None:
    """Against the product on a grid, normalised by integration."""
    grid = np.linspace(-30, 30, 60_001)
    for _ in range(20):
        (m, n), (s, t) = rng.normal(size=2) * 2, rng.uniform(0.2, 3, 2)
        density = stats.norm.pdf(grid, m, s) * stats.norm.pdf(grid, n, t)
        density /= np.trapezoid(density, grid)
        mean = np.trapezoid(grid * density, grid)
        variance = np.trapezoid((grid - mean) ** 2 * density, grid)
        both = product(Normal(torch.tensor(m), torch.tensor(s)), Normal(torch.tensor(n), torch.tensor(t)))
        assert float(both.mean) == pytest.approx(mean, rel=1e-6, abs=1e-9)
        assert float(both.variance) == pytest.approx(variance, rel=1e-6)


def test_a_ladder_layer_is_that_product_and_its_top_is_the_data_s_alone() -> None:
    model = made("dense", "ladder")
    h = model.features(data(model))
    _, latents = model.bottleneck(h, noise=Noise(0))
    for i, (layer, latent) in enumerate(zip(model.bottleneck.layers, latents, strict=True)):
        own = layer.family(layer.posterior(h[i], None))
        expected = own if i == 0 else product(own, latent.p)
        same((latent.q.mean, latent.q.stddev), (expected.mean, expected.stddev))
    same(
        (latents[0].p.mean, latents[0].p.stddev),
        (torch.zeros(6, 2, dtype=DOUBLE), torch.ones(6, 2, dtype=DOUBLE)),
    )


def test_scales_have_bounds_and_gradients_whatever_the_networks_say() -> None:
    raws = torch.tensor([-1e30, -50.0, -1.0, 0.0, 1.0, 50.0, 1e30], dtype=DOUBLE, requires_grad=True)
    scale = Bounded(4.0)(raws, raws)
    values = scale.detach()
    assert float(values.min()) >= math.exp(-4) * (1 - 1e-12) and float(values.max()) <= math.exp(4)
    assert float(values[3]) == 1
    (gradient,) = torch.autograd.grad(scale.log().sum(), raws)
    assert bool(torch.isfinite(gradient).all()) and float(gradient[3]) == pytest.approx(1)
    assert torch.allclose(values[2].log(), torch.tensor(-4 * math.tanh(0.25), dtype=DOUBLE))


# ---------------------------------------------------------------------------------------------- objectives

FORMULAS = {
    "elbo": lambda: Distortion() + Rate(),
    "free bits": lambda: Distortion() + Rate(free=0.3),
    "capacity": lambda: Distortion() + 10 * Capacity(linear(0, 3, 1)),
    "iwae": lambda: ImportanceWeighted(4),
}


@cases
@pytest.mark.parametrize("name", FORMULAS)
def test_a_doubled_batch_has_the_same_loss_per_datum(name, form, style) -> None:
    model, objective = made(form, style), FORMULAS[name]()
    x, rows, losses = data(model, 3), torch.arange(3), []
    for times in (1, 3):
        many = x.repeat(times, *[1] * (x.dim() - 1))
        noise = RowNoise(0, "d", rows.repeat(times))
        out = model(many, samples=objective.samples, noise=noise)
        losses.append(float(objective(out, 5).mean().detach()))
    assert losses[0] == pytest.approx(losses[1], rel=1e-10)


@cases
def test_free_bits_act_on_every_dimension_of_every_layer(form, style) -> None:
    model = made(form, style)
    out = model(data(model), noise=Noise(0))
    means = torch.cat([latent.kl.mean(0).flatten() for latent in out.latents])
    free = float(means.median().detach())
    same(Rate(free=free)(out, 0), means.clamp(min=free).sum())
    assert float(means.min().detach()) < free < float(means.max().detach())


# ---------------------------------------------------------------------------------------------- condition, depth


@cases
def test_a_condition_reaches_the_networks_of_every_layer(form, style) -> None:
    """Each layer alone, on the same state and features: p, q and what it leaves change with c."""
    model = made(form, style, **LABELS)
    x = data(model, 3)
    one, two = torch.eye(3, dtype=DOUBLE)[[0, 0, 0]], torch.eye(3, dtype=DOUBLE)[[1, 1, 1]]
    first, second = model.features(x, one), model.features(x, two)
    assert not any(torch.allclose(a, b) for a, b in zip(first[:-1], second[:-1], strict=True))
    stack, state = model.bottleneck, torch.zeros(3, *model.bottleneck.shape, dtype=DOUBLE)
    for i, layer in enumerate(stack.layers):
        h = first[stack.levels[i]]
        if i and len(stack.rises):
            state = stack.rises[i - 1](state)
        below, a = layer(state, MEAN, h, one)
        other, b = layer(state, MEAN, h, two, z=a.z)
        assert not torch.allclose(a.q.mean, b.q.mean), i
        assert not torch.allclose(below, other), i
        if layer.block is not None:
            assert not torch.allclose(layer.below(state, a.z, one), layer.below(state, a.z, two)), i
        if not (style == "ladder" and i == 0):  # whose prior is N(0, I)
            assert not torch.allclose(a.p.mean, b.p.mean), i
        state = below
    kinds = model.sample(2, one[:2], noise=Noise(0)), model.sample(2, two[:2], noise=Noise(0), mean=True)
    assert kinds[0].shape == x[:2].shape and bool(torch.isfinite(kinds[1]).all())
    with pytest.raises(ValueError, match="needs a condition"):
        model(x)


@pytest.mark.parametrize("form", KINDS)
def test_forty_layers_keep_their_size_and_have_finite_gradients(form) -> None:
    kind, options = KINDS[form](**LABELS)
    torch.manual_seed(0)
    model, objective = top_down_vae(kind, latent=2, layers=40, **options)
    x, c = torch.rand(8, *kind.shape).round(), torch.eye(3)[torch.arange(8) % 3]
    out = model(x, c, noise=Noise(0))
    loss = objective(out, 10_000)
    loss.backward()
    assert len(out.latents) == 40 and bool(torch.isfinite(loss))
    assert all(bool(torch.isfinite(p.grad).all()) for p in model.parameters() if p.grad is not None)
    heard = [layer.posterior.last.weight.grad.abs().sum() for layer in model.bottleneck.layers]
    assert min(heard) > 0
    assert 0.3 < float(out.state.detach().std()) < 3  # residual sums begin at the size of one layer
    state, _ = model.bottleneck(c=c, noise=Noise(0), temperature=0.7)
    assert bool(torch.isfinite(model.likelihood(state, c).mean).all())
    for latent in out.latents:
        assert torch.equal(latent.p.stddev, torch.ones_like(latent.z)) and not latent.p.mean.any()


def test_bad_features_do_not_make_a_pass_infinite() -> None:
    """Whatever features come, the rate is finite: the worst that two bounded scales allow."""
    model = made("dense").float()
    h = [1e4 * torch.randn(6, 8, generator=torch.Generator().manual_seed(i)) for i in range(3)]
    out = model.observe(h, torch.zeros(6, 5), noise=Noise(0))
    out.rate.sum().backward()
    assert bool(torch.isfinite(out.rate).all())
    assert all(bool(torch.isfinite(p.grad).all()) for p in model.parameters() if p.grad is not None)


# ---------------------------------------------------------------------------------------------- other priors, files


@cases
def test_another_prior_replaces_the_top_one_and_nothing_else(form, style) -> None:
    model = made(form, style)
    width = math.prod(model.bottleneck(n=1)[1][0].z.shape[1:])
    other = model.bottleneck.with_prior(StandardNormal(width).double())
    h = model.features(data(model))
    state, before = model.bottleneck(h, noise=Noise(0))
    again, after = other(h, noise=Noise(0))
    same(again, state)
    same([latent.q.mean for latent in after], [latent.q.mean for latent in before])
    same([latent.kl for latent in after[1:]], [latent.kl for latent in before[1:]])
    q = before[0].q
    same(after[0].kl, 0.5 * (q.variance + q.mean**2 - 1) - q.stddev.log())
    _, drawn = other(n=3, noise=Noise(0), temperature=0.0)
    assert not drawn[0].z.any() and drawn[0].z.shape[1:] == before[0].z.shape[1:]
    assert {id(p) for p in model.bottleneck.parameters()} == {id(p) for p in other.parameters()}


def test_a_prior_with_coupled_dimensions_stands_over_a_map() -> None:
    source = torch.Generator().manual_seed(0)
    tril = torch.tril(torch.randn(6, 6, generator=source, dtype=DOUBLE)) + 3 * torch.eye(6, dtype=DOUBLE)
    base = MultivariateNormal(torch.zeros(5, 6, dtype=DOUBLE), scale_tril=tril)
    p = unflattened(base, (2, 3, 1))
    assert isinstance(p, Unflattened)
    z, log_q = p.draw(Noise(0))
    assert z.shape == (5, 2, 3, 1) and log_q is None
    same(p.log_prob(z), base.log_prob(z.flatten(1)))
    same(p.variance.flatten(1), base.variance)
    flat = Normal(torch.zeros(5, 6), torch.ones(5, 6))
    assert type(unflattened(flat, (2, 3, 1))) is Normal and unflattened(flat, (6,)) is flat


@cases
@pytest.mark.parametrize("replaced", [False, True])
def test_a_recipe_comes_back_exactly(form, style, replaced) -> None:
    model = made(form, style, **LABELS)
    if replaced:
        width = math.prod(model.bottleneck(n=1, c=torch.eye(3, dtype=DOUBLE)[:1])[1][0].z.shape[1:])
        model.bottleneck = model.bottleneck.with_prior(StandardNormal(width))
    again = build(json.loads(json.dumps(recipe(model)))).double()
    again.load_state_dict(model.state_dict())
    assert recipe(again) == recipe(model) and isinstance(again.bottleneck, Bottleneck)
    x, c = data(model, 3), torch.eye(3, dtype=DOUBLE)
    a, b = model(x, c, noise=Noise(0)), again(x, c, noise=Noise(0))
    assert torch.equal(a.log_weight, b.log_weight) and torch.equal(a.state, b.state)


# ---------------------------------------------------------------------------------------------- networks


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 2, 2), (1, 5, 6), (1, 9, 28), (2, 33, 20), (1, 28, 28)])
@pytest.mark.parametrize("layers", [1, 3, 7])
def test_images_of_any_size_come_back_exactly(shape, layers) -> None:
    kind = Images(*shape, levels=2)
    model = top_down_vae(kind, latent=2, layers=layers, width=32, convolutional=True).model
    x = torch.rand(2, *shape).round()
    out = model(x)
    assert out.px.mean.shape == x.shape and len(out.latents) == layers
    assert model.sample(3).shape == (3, *shape)
    encoder: Any = model.encoder
    assert [tuple(f.shape[1:]) for f in model.features(x)] == list(encoder.shapes)
    assert out.state.shape[1:] == encoder.shapes[-1]
    assert model.bottleneck.levels == sorted(model.bottleneck.levels)


def test_a_pixel_reaches_its_own_place_of_every_map_and_the_whole_of_the_top() -> None:
    torch.manual_seed(0)
    pyramid = Pyramid((1, 17, 30), level_widths((1, 17, 30), 4))
    x = torch.zeros(1, 1, 17, 30)
    bright = x.clone()
    bright[0, 0, 16, 29] = 1  # the last pixel, which padding to even sides must not lose
    for a, b in zip(pyramid(x), pyramid(bright), strict=True):
        assert not torch.allclose(a[0, :, -1, -1], b[0, :, -1, -1])


def test_a_rise_repeats_its_neighbours_and_has_a_bias_for_every_place() -> None:
    rise = Rise((1, 2, 3), (1, 3, 6))
    with torch.no_grad():
        rise.bias += 10 * torch.arange(18.0).view(1, 3, 6)
    h = torch.arange(6.0).view(1, 1, 2, 3)
    expected = torch.tensor([[[0, 0, 1, 1, 2, 2], [0, 0, 1, 1, 2, 2], [3, 3, 4, 4, 5, 5]]]).float()
    assert torch.equal(rise(h)[0], expected + rise.bias)
    assert torch.equal(Rise((1, 1, 1), (1, 3, 6))(h[..., :1, :1])[0], torch.zeros(1, 3, 6))


def test_a_block_begins_at_the_size_it_was_told() -> None:
    x, images = torch.randn(512, 64), torch.randn(16, 32, 7, 9)
    for make, given in [(DenseBlock, x), (ConvBlock, images)]:
        sizes = []
        for gain in (1.0, 0.25, 0.0):
            torch.manual_seed(0)
            sizes.append(float(make(*[given.shape[1]] * 3, gain=gain)(given).detach().square().mean().sqrt()))
        assert 0.15 < sizes[0] < 1 and sizes[1] == pytest.approx(sizes[0] / 4) and sizes[2] == 0


def test_missing_values_and_their_mask_reach_the_dense_pyramid() -> None:
    kind = Vectors(5, missing=True)
    model = shaken(top_down_vae(kind, latent=2, layers=2, width=8).model)
    x = torch.randn(4, 5, dtype=DOUBLE)
    mask = torch.ones(4, 5, dtype=torch.bool)
    hidden = mask.clone()
    hidden[:, 2] = False
    z = packed(model.encode(x, mask=hidden))
    same(packed(model.encode(torch.where(hidden, x, 1e9), mask=hidden)), z)
    zeroed = torch.where(hidden, x, torch.zeros_like(x))
    assert not torch.allclose(packed(model.encode(zeroed, mask=mask)), z)


def test_items_without_a_plane_take_no_convolutions() -> None:
    with pytest.raises(ValueError, match="no plane"):
        top_down_vae(Vectors(5), convolutional=True)
    with pytest.raises(ValueError, match="one layer or more"):
        ladder_vae(Vectors(5), layers=0)


def test_a_replaced_prior_leaves_the_ladder_s_product_as_it_was_learned() -> None:
    torch.manual_seed(0)
    layer = LadderLayer(
        2, DenseBlock(8, 8, 4), DenseBlock(6, 8, 4), nn.Linear(2, 3), DenseBlock(3, 8, 3, gain=0.5)
    )
    state, h, p = torch.randn(5, 8), torch.randn(5, 6), Normal(torch.full((5, 2), 7.0), torch.ones(5, 2))
    own, other = layer(state, MEAN, h)[1], layer(state, MEAN, h, replaced=p)[1]
    same(own.q.mean.detach(), other.q.mean.detach())
    assert other.p is p and not torch.allclose(own.kl, other.kl)


@cases
def test_every_parameter_is_trained(form, style) -> None:
    model = made(form, style)
    out = model(data(model), noise=Noise(0))
    (out.distortion + out.rate).mean().backward()
    assert not [
        n for n, p in model.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())
    ]
