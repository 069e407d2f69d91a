"""A model that begins at the linear solution explains the data as probabilistic PCA does, to the last digit.

The oracle is the density of N(mean, C) in float64, C = U max(Λ, σ²) Uᵀ from numpy's own eigenvalues. With the exact
posterior log p(x, z) − log q(z | x) is log p(x) for every z, so that a single draw tells.

Source: Tipping, Bishop (1999), Probabilistic principal component analysis.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from vaekit import presets
from vaekit.bottlenecks import Variational
from vaekit.conditional import Conditional
from vaekit.data import Images, Items, Vectors
from vaekit.data.vectors import moments
from vaekit.distributions import (
    Bernoulli,
    Fixed,
    Gaussian,
    Laplace,
    Noise,
    Optimal,
    Predicted,
    Shared,
    StudentT,
)
from vaekit.distributions.scales import Scale, positive, unpositive
from vaekit.evaluation import evaluate
from vaekit.model import VAE
from vaekit.networks import MLP, Cells
from vaekit.objectives import Distortion, Rate
from vaekit.training import Adam, pca_start, train
from vaekit.training.linear import principal_components, probabilistic_pca, through_holes

D = 7


def table(rows: int = 400, seed: int = 0, constant: bool = False) -> np.ndarray:
    """Rows with three strong directions, in units of their own."""
    rng = np.random.default_rng(seed)
    w = np.random.default_rng(9).normal(size=(3, D))
    x = (rng.normal(size=(rows, 3)) @ w + 0.5 * rng.normal(size=(rows, D))) * 10.0 ** np.arange(-3, D - 3)
    x[:, 2] = 4.0 if constant else x[:, 2]
    return x + 3.0


def items(values: np.ndarray, **options: Any) -> Items:
    mean, scale = moments(values)
    kind = Vectors(values.shape[1], mean.tolist(), scale.tolist(), **options)
    return Items(kind.store(values), kind)


def exact(seen: Items, latent: int, sigma: float = 0.0, smallest: float = 0.0105) -> tuple[np.ndarray, float]:
    """log p(x) of each row as the model sees it, (N,), under the most likely linear model, and its σ."""
    batch = seen.batch(torch.arange(len(seen)))
    x = batch.x.double().numpy()
    centred = x - x.mean(0)
    if batch.c is not None:  # each class about its own mean
        classes = batch.c.argmax(1).numpy()
        centred = x - np.stack([x[classes == k].mean(0) for k in range(2)])[classes]
    values, vectors = np.linalg.eigh(centred.T @ centred / len(x))
    values, vectors = np.maximum(values[::-1], 0), vectors[:, ::-1]
    rest = values[latent:].mean() if latent < len(values) else 0.0
    noise = sigma**2 or max(rest, smallest**2, 1e-4 * values.mean())
    kept = np.where(np.arange(len(values)) < latent, np.maximum(values, noise), noise)
    terms = (centred @ vectors) ** 2 / kept + np.log(2 * math.pi * kept)
    return -0.5 * terms.sum(1), math.sqrt(noise)


@torch.no_grad()
def log_weights(model: VAE, seen: Items, samples: int = 3) -> np.ndarray:
    """log p(x, z) − log q(z | x), (N, K), in float64."""
    batch = seen.batch(torch.arange(len(seen)))
    c = None if batch.c is None else batch.c.double()
    out = model.double().eval()(batch.x.double(), c, samples=samples, noise=Noise(1))
    return out.log_weight.view(-1, samples).numpy()


def is_the_linear_solution(model: VAE, seen: Items, latent: int, **options: float) -> None:
    found, (expected, _) = log_weights(model, seen), exact(seen, latent, **options)
    assert found.mean() == pytest.approx(expected.mean(), rel=1e-4)
    np.testing.assert_allclose(found, np.repeat(expected[:, None], 3, 1), rtol=1e-3, atol=2e-3)


@pytest.mark.parametrize("constant", [False, True], ids=["", "constant"])
@pytest.mark.parametrize("rows", [30, 400])
@pytest.mark.parametrize("latent", [1, 2, 3, 6, D, 11])
def test_the_elbo_begins_at_log_p_of_probabilistic_pca(latent: int, rows: int, constant: bool) -> None:
    seen = items(table(rows, constant=constant))
    model, _ = presets.vae(seen.kind, latent)
    assert pca_start(model, seen)
    is_the_linear_solution(model, seen, latent)


@pytest.mark.parametrize("scale", [Predicted(), Shared(), Optimal()], ids=lambda scale: type(scale).__name__)
def test_whatever_the_scale_is_made_of(scale: Scale) -> None:
    seen = items(table(), family=Gaussian(scale))
    for latent in (2, D):
        model, _ = presets.vae(seen.kind, latent)
        assert pca_start(model, seen)
        least = 1.05 * scale.floor  # a Predicted scale may be smaller than the others
        is_the_linear_solution(model, seen, latent, smallest=least)


def test_the_optimal_scale_is_given_by_sigma_vae() -> None:
    seen = items(table())
    for optimal in (True, False):
        model, _ = presets.sigma_vae(seen.kind, 2, optimal=optimal)
        assert pca_start(model, seen)
        is_the_linear_solution(model, seen, 2)


def test_a_posterior_with_every_covariance() -> None:
    seen = items(table())
    for latent in (1, 3, 9):
        model, _ = presets.full_covariance_vae(seen.kind, latent)
        assert pca_start(model, seen)
        is_the_linear_solution(model, seen, latent)


def test_given_labels_the_model_begins_at_their_means_and_what_they_leave() -> None:
    values = table()
    values[::2] += 5 * values.std(0)
    seen = items(values, labels=("a", "b"), frequencies=(0.5, 0.5), conditional=True)
    seen.labels = torch.arange(400) % 2
    model, _ = presets.conditional_vae(seen.kind, 2)
    assert pca_start(model, seen)
    p = model.bottleneck.prior(torch.eye(2))
    assert torch.equal(p.mean, torch.zeros(2, 2))
    torch.testing.assert_close(p.stddev, torch.ones(2, 2))
    is_the_linear_solution(model, seen, 2)


@torch.no_grad()
def test_a_code_without_noise_begins_at_the_principal_components() -> None:
    seen = items(table())
    model, _ = presets.autoencoder(seen.kind, 3)
    assert pca_start(model, seen)
    x = seen.batch(torch.arange(400)).x
    values, vectors = np.linalg.eigh(np.cov(x.T.double().numpy(), bias=True))
    main = vectors[:, -3:]
    out = model.eval()(x)
    np.testing.assert_allclose(out.px.mean.numpy(), x.numpy() @ main @ main.T, atol=1e-4)
    torch.testing.assert_close(out.z.std(0, correction=0), torch.ones(3), atol=1e-4, rtol=0)
    left = values[:-3].sum() / D  # the mean squared error is the variance that is most likely
    assert float(out.distortion.mean()) == pytest.approx(D / 2 * (1 + math.log(2 * math.pi * left)), rel=1e-4)


def test_more_dimensions_of_code_than_columns_rebuild_everything() -> None:
    seen = items(table(constant=True))
    model, _ = presets.autoencoder(seen.kind, 11)
    assert pca_start(model, seen)
    x = seen.batch(torch.arange(400)).x
    with torch.no_grad():
        torch.testing.assert_close(model(x).px.mean, x, atol=1e-3, rtol=0)


@pytest.mark.parametrize("family", [Laplace(), StudentT()], ids=lambda family: type(family).__name__)
def test_other_families_begin_at_the_same_location_and_spread(family: nn.Module) -> None:
    seen = items(table(), family=family)
    model, _ = presets.vae(seen.kind, 2)
    assert pca_start(model, seen)
    x = seen.batch(torch.arange(400)).x
    gaussian, _ = presets.vae(Vectors(D), 2)
    pca_start(gaussian, Items(x))
    with torch.no_grad():
        ours, other = (m.decode(torch.randn(5, 2, generator=torch.manual_seed(0))) for m in (model, gaussian))
    torch.testing.assert_close(ours.mean, other.mean)
    torch.testing.assert_close(ours.variance, other.variance)


def test_the_nonlinear_paths_begin_at_zero_and_are_heard_at_once() -> None:
    seen = items(table())
    model, objective = presets.vae(seen.kind, 2)
    pca_start(model, seen)
    batch = seen.batch(torch.arange(64))
    mlps = (model.encoder, model.decoder.net)
    assert all(not net.last.weight.any() for net in mlps)
    objective(model(batch.x, noise=Noise(0)), 0).backward()
    assert all(float(net.last.weight.grad.norm()) > 0 for net in mlps)
    head = model.bottleneck.posterior.net.weight
    assert not head[:2, 2:].allclose(torch.zeros(2, head.shape[1] - 2)), (
        "the other features would never be heard"
    )
    with torch.no_grad():
        before = model(batch.x, noise=Noise(0)).px.mean
        for net in mlps:
            net.layers[0].weight.mul_(3.0)
        assert torch.equal(model(batch.x, noise=Noise(0)).px.mean, before)


def odd_posterior() -> VAE:
    posterior = Conditional(nn.Sequential(nn.SiLU(), nn.Linear(8, 4)), Gaussian())
    kind = Vectors(D)
    model, _ = presets.vae(kind, 2)
    return VAE(kind.encoder(8), Variational(posterior, model.bottleneck.prior), model.decoder)


@pytest.mark.parametrize(
    ("model", "values"),
    [
        (lambda: presets.vae(Images(1, 8, 8), 2).model, torch.rand(20, 1, 8, 8)),
        (lambda: presets.vae(Vectors(D, family=Bernoulli()), 2).model, torch.ones(20, D)),
        (lambda: presets.vae(Vectors(D), 300).model, torch.randn(20, D)),  # more than there are features
        (odd_posterior, torch.randn(20, D)),
    ],
    ids=["conv", "bits", "wide", "nonlinear"],
)
def test_a_model_of_another_form_is_left_as_it_is(model: Any, values: Tensor) -> None:
    made = model()
    before = {name: t.clone() for name, t in made.state_dict().items()}
    assert pca_start(made, Items(values)) is False
    assert all(torch.equal(t, before[name]) for name, t in made.state_dict().items())


def test_the_start_is_a_function_of_the_data() -> None:
    seen, states = items(table()), []
    for _ in range(2):
        with Noise(3, "weights").torch():
            model, _ = presets.vae(seen.kind, 3)
        pca_start(model, seen)
        states.append(model.state_dict())
    assert all(torch.equal(t, states[1][name]) for name, t in states[0].items())


def test_training_improves_on_what_it_begins_with() -> None:
    """Rows on a curve, which no linear model can follow."""
    rng = np.random.default_rng(0)
    t = rng.normal(size=(900, 1))
    values = np.hstack([t, t**2, np.sin(2 * t), rng.normal(size=(900, 2))]) + 0.1 * rng.normal(size=(900, 5))
    whole = items(values)
    seen, held = whole.subset(torch.arange(700)), whole.subset(torch.arange(700, 900))
    model, objective = presets.vae(whole.kind, 2)
    pca_start(model, seen)
    begun = evaluate(model.eval(), held)["elbo"]
    for _ in train(model, objective, seen, steps=300, optimizer=Adam(1e-3, clip=40.0)):
        pass
    assert evaluate(model.eval(), held)["elbo"] > begun + 0.3


@pytest.mark.parametrize("initial", [1.0, 0.1])
def test_unpositive_undoes_positive(initial: float) -> None:
    scale = torch.logspace(-3.9, 4, 50, dtype=torch.float64)
    torch.testing.assert_close(positive(unpositive(scale, initial, 1e-4), initial, 1e-4), scale)
    assert torch.isfinite(unpositive(torch.tensor([0.0, 1e-9, 1e-4]), initial, 1e-4)).all()


def test_a_fixed_scale_stays() -> None:
    family = Gaussian(Fixed(0.3))
    bias, weight = family.begin(torch.ones(2), torch.ones(2, 3), torch.full((2,), 0.5))
    assert bias.tolist() == [1, 1] and weight.shape == (2, 3) and family.scale.value == 0.3


# ------------------------------------------------------------------------------------------------ holes


def holed(rows: int = 2_000, share: float = 0.2) -> tuple[np.ndarray, np.ndarray]:
    values = table(rows)
    with_holes = values.copy()
    with_holes[np.random.default_rng(4).random(values.shape) < share] = np.nan
    return values, with_holes


def test_rows_with_holes_have_the_covariance_of_whole_ones() -> None:
    values, with_holes = holed(20_000)
    seen = items(with_holes, missing=True)
    model, _ = presets.vae(seen.kind, 3)
    assert pca_start(model, seen)
    w = model.decoder.net.across.weight[:D].detach().double()
    noise = model.decode(torch.zeros(1, 3)).stddev[0].detach().double()  # each column's own
    whole = torch.from_numpy((values - seen.kind.mean) / seen.kind.scale)
    torch.testing.assert_close(w @ w.T + torch.diag(noise.square()), whole.T.cov(), atol=0.06, rtol=0)


def test_the_masked_elbo_is_a_bound_of_the_marginal_density() -> None:
    _, with_holes = holed()
    seen = items(with_holes, missing=True)
    model, _ = presets.vae(seen.kind, 3)
    pca_start(model, seen)
    model.double().eval()
    batch = seen.batch(torch.arange(200))
    with torch.no_grad():
        out = model(batch.x.double(), mask=batch.mask, samples=64, noise=Noise(0))
        elbo = -(out.distortion + out.rate).view(-1, 64).mean(1).numpy()
        px = model.decode(torch.zeros(1, 3, dtype=torch.float64))
        w, sigma = model.decoder.net.across.weight[:D].numpy(), px.stddev.numpy()[0]
    mean, model_covariance = px.mean.numpy()[0], w @ w.T + np.diag(sigma**2)
    gaps = []
    for x, mask, bound in zip(batch.x.numpy(), batch.mask.numpy(), elbo, strict=True):
        own = model_covariance[np.ix_(mask, mask)]
        error = x[mask] - mean[mask]
        quadratic = error @ np.linalg.solve(own, error) + np.linalg.slogdet(own)[1]
        gaps.append(-0.5 * (quadratic + mask.sum() * math.log(2 * math.pi)) - bound)
    assert min(gaps) > -0.5 and 0 < np.mean(gaps) < 3, (
        "a bound, up to the noise of its draws, and not a loose one"
    )
    full = [gap for gap, mask in zip(gaps, batch.mask.numpy(), strict=True) if mask.all()]
    assert np.mean(full) < np.mean(gaps)


def test_through_holes_is_the_regression_on_what_is_seen(rng: np.random.Generator) -> None:
    """Zeros in place of holes: least squares of z on them by brute force."""
    covariance = torch.tensor(np.cov(rng.normal(size=(50, 4)) @ rng.normal(size=(4, 4)), rowvar=False))
    found = probabilistic_pca(torch.zeros(4, dtype=torch.float64), covariance, 2)
    together = torch.full((4, 4), 0.49, dtype=torch.float64).fill_diagonal_(0.7)
    z = rng.normal(size=(400_000, 2))
    x = z @ found.weights.numpy().T + float(found.noise) * rng.normal(size=(400_000, 4))
    x *= rng.random(x.shape) < 0.7
    expected = np.linalg.lstsq(x, z, rcond=None)[0].T
    np.testing.assert_allclose(through_holes(found, together).encoder.numpy(), expected, atol=0.02)
    same = through_holes(found, torch.ones(4, 4, dtype=torch.float64))
    torch.testing.assert_close(same.encoder, found.encoder)
    torch.testing.assert_close(same.std, found.std)


def test_a_column_that_nobody_has_is_no_obstacle() -> None:
    _, values = holed(200)
    values[:, 1] = np.nan
    seen = items(values, missing=True)
    for preset in (presets.vae, presets.autoencoder):
        model, _ = preset(seen.kind, 3)
        assert pca_start(model, seen)
        assert all(torch.isfinite(t).all() for t in model.state_dict().values())
        assert math.isfinite(evaluate(model.eval(), seen)["distortion"])


@torch.no_grad()
def test_cells_begin_at_their_own_scales() -> None:
    """Where numbers and one-hot vectors stand together each number gets the scale of its own residual."""
    rng = np.random.default_rng(0)
    z = rng.normal(size=(3_000, 1))
    values = torch.tensor(np.hstack([z + 0.1 * rng.normal(size=z.shape), 0.5 * z + rng.normal(size=z.shape)]))
    posterior = Conditional(nn.Linear(8, Gaussian().size(1)), Gaussian())
    template, _ = presets.vae(Vectors(2), 1)
    encoder = Cells(2, [], MLP(2, 8, linear=True))
    model = VAE(encoder, Variational(posterior, template.bottleneck.prior), template.decoder)
    seen = Items(values.float())
    assert pca_start(model, seen)
    out = model.eval()(seen.stored, noise=Noise(0))
    torch.testing.assert_close(
        out.px.stddev[0], (seen.stored - out.px.mean).square().mean(0).sqrt(), rtol=0.05, atol=0
    )


def test_principal_components_leave_what_they_say(rng: np.random.Generator) -> None:
    covariance = torch.tensor(np.diag([9.0, 4.0, 1.0, 1.0]))
    found = principal_components(torch.zeros(4, dtype=torch.float64), covariance, 2)
    torch.testing.assert_close(found.encoder @ found.weights, torch.eye(2, dtype=torch.float64))
    assert float(found.noise) == pytest.approx(math.sqrt(2 / 4))
    assert found.residual.tolist() == pytest.approx([1e-6, 1e-6, 1, 1])


def test_the_linear_objective_is_the_elbo() -> None:
    """What selects the linear solution as the best so far is −ELBO: the objective of `vae`."""
    assert repr(presets.vae(Vectors(3), 1).objective) == repr(Distortion() + Rate())
