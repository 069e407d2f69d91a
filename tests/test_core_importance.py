"""The importance-weighted family against fixed weights, autograd of each bound, and the moments of gradients."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import special

from vaekit.bottlenecks import Variational
from vaekit.conditional import Conditional
from vaekit.distributions import (
    Bernoulli,
    Categorical,
    FullGaussian,
    Gaussian,
    Laplace,
    Noise,
    Optimal,
    PointMass,
    Shared,
    StudentT,
    right,
)
from vaekit.distributions.detached import detach
from vaekit.model import VAE
from vaekit.objectives import Distortion, ImportanceWeighted, Rate, mean
from vaekit.objectives.importance import CombinedImportanceWeighted, MultiplyImportanceWeighted
from vaekit.objectives.pathwise import (
    DoublyReparameterized,
    PartiallyImportanceWeighted,
    StickingTheLanding,
)
from vaekit.priors import StandardNormal
from vaekit.training import fit

M, K = 2, 3


def weighed(log_weight: np.ndarray):
    """A pass that knows nothing but its weights, (B, K)."""
    return SimpleNamespace(log_weight=torch.tensor(log_weight).flatten(), samples=log_weight.shape[1])


@pytest.fixture
def model(gaussian_vae):
    return gaussian_vae(spread=3.0).double()


@pytest.fixture
def x(rng):
    return torch.tensor(rng.normal(size=(4, 5)))


def sides(model) -> tuple[list, list]:
    """What draws z, and what explains x by it."""
    return [*model.encoder.parameters(), *model.bottleneck.parameters()], list(model.decoder.parameters())


def gradients(term, model, x, parameters, seed=0) -> list[torch.Tensor]:
    out = model(x, samples=term.samples, noise=Noise(seed, "gradient"))
    return torch.autograd.grad(mean(term(out, 0), out), parameters)


def flat(tensors) -> torch.Tensor:
    return torch.cat([t.flatten() for t in tensors])


def test_the_value_is_the_bound_and_not_a_weighted_sum(rng) -> None:
    """By hand, M ≠ K: with the axes swapped the groups are other draws."""
    w = rng.normal(size=(5, M * K)) * 3
    groups = w.reshape(5, M, K)
    out = weighed(w)
    by_hand = special.logsumexp(groups, axis=2) - math.log(K)
    np.testing.assert_allclose(MultiplyImportanceWeighted(M, K)(out, 0), -by_hand.mean(1), rtol=1e-12)
    whole = special.logsumexp(w, axis=1) - math.log(M * K)
    np.testing.assert_allclose(ImportanceWeighted(M * K)(out, 0), -whole, rtol=1e-12)
    both = 0.3 * w.mean(1) + 0.7 * whole
    np.testing.assert_allclose(CombinedImportanceWeighted(M * K, 0.3)(out, 0), -both, rtol=1e-12)


def test_the_ends_of_each_family_are_the_elbo_and_the_iwae(rng) -> None:
    w = rng.normal(size=(5, 6)) * 3
    out = weighed(w)
    elbo, iwae = -w.mean(1), ImportanceWeighted(6)(out, 0).numpy()
    for term, expected in (
        (MultiplyImportanceWeighted(6, 1), elbo),
        (MultiplyImportanceWeighted(1, 6), iwae),
        (CombinedImportanceWeighted(6, beta=1.0), elbo),
        (CombinedImportanceWeighted(6, beta=0.0), iwae),
    ):
        np.testing.assert_allclose(term(out, 0), expected, rtol=1e-12)


@pytest.mark.parametrize("term", [DoublyReparameterized(6), PartiallyImportanceWeighted(2, 3)])
def test_gradients_of_other_means_leave_the_value_the_bound(term, model, x) -> None:
    out = model(x, samples=6, noise=Noise(0))
    expected = ImportanceWeighted(6)(out, 0).detach()
    torch.testing.assert_close(term(out, 0).detach(), expected, rtol=1e-12, atol=1e-12)
    with torch.no_grad():
        torch.testing.assert_close(term(model(x, samples=6, noise=Noise(0)), 0), expected)


def test_the_best_draw_moves_the_model_most(rng) -> None:
    """∂ bound / ∂ log w is softmax(log w) of each group, over M."""
    w = torch.tensor(rng.normal(size=(5, M * K)) * 3, requires_grad=True)
    out = SimpleNamespace(log_weight=w.flatten(), samples=M * K)
    (slope,) = torch.autograd.grad(MultiplyImportanceWeighted(M, K)(out, 0).sum(), w)
    expected = special.softmax(w.detach().numpy().reshape(5, M, K), axis=2).reshape(5, M * K) / M
    np.testing.assert_allclose(slope, -expected, rtol=1e-10)


def test_a_mean_of_more_draws_never_lowers_the_bound(model, x) -> None:
    """The groups of one set of draws: exactly so, and not only in the mean."""
    out = model(x, samples=24, noise=Noise(3))
    values = [MultiplyImportanceWeighted(24 // k, k)(out, 0).mean().item() for k in (1, 2, 4, 12, 24)]
    assert all(a > b for a, b in zip(values, values[1:], strict=False))


@pytest.mark.parametrize("drawn", [False, True])
def test_piwae_gives_each_side_the_gradient_of_its_own_bound(drawn, model, x) -> None:
    encoder, decoder = sides(model)

    def gradient(term, parameters):
        out = model(x, samples=term.samples, noise=Noise(0, "gradient"))
        if drawn:  # as of a flow: log q(z) along a draw is not the same for every draw, as a Gaussian's is
            (latent,) = out.latents
            latent.drawn_log_q = latent.q.log_prob(latent.z) + (latent.z * latent.q.loc).sin()
        return torch.autograd.grad(mean(term(out, 0), out), parameters)

    mine = gradient(PartiallyImportanceWeighted(M, K), encoder + decoder)
    of_encoder = gradient(MultiplyImportanceWeighted(M, K), encoder)
    of_decoder = gradient(ImportanceWeighted(M * K), decoder)
    for found, expected in zip(mine, [*of_encoder, *of_decoder], strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


def test_dreg_leaves_the_decoder_the_gradient_of_the_iwae(model, x) -> None:
    _, decoder = sides(model)
    found, expected = (
        flat(gradients(term(6), model, x, decoder)) for term in (DoublyReparameterized, ImportanceWeighted)
    )
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


def test_dreg_along_z_is_the_squared_weight_times_the_slope(model, x) -> None:
    """The paper's estimator, written with z as a leaf."""
    encoder, _ = sides(model)
    found = gradients(DoublyReparameterized(6), model, x, encoder)
    out = model(x, samples=6, noise=Noise(0, "gradient"))
    (latent,) = out.latents
    z = latent.z.detach().requires_grad_()
    still = torch.distributions.Normal(latent.q.loc.detach(), latent.q.scale.detach())
    log_p = right(out.px.__class__(*_moments(model, z)).log_prob(out.x))
    log_w = log_p + right(latent.p.log_prob(z)) - right(still.log_prob(z))
    share = log_w.detach().view(4, 6).softmax(1).flatten()
    (slope,) = torch.autograd.grad(log_w.sum(), z)
    path = -(share.square().unsqueeze(1) * slope * latent.z).sum() / 4
    for a, b in zip(found, torch.autograd.grad(path, encoder), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)


def _moments(model, z):
    px = model.decoder(z)
    return px.loc, px.scale


def _draws(term, model, x, parameters, repeats: int) -> torch.Tensor:
    return torch.stack([flat(gradients(term, model, x, parameters, seed)) for seed in range(repeats)])


@pytest.fixture(scope="module")
def trained():
    """A model whose posterior can be right, trained until it nearly is; and four of its data."""
    source = torch.Generator().manual_seed(0)
    across = torch.tensor([[1.2, 0.9, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, -0.8, 0.5]])
    z, noise = torch.randn(400, 2, generator=source), torch.randn(400, 5, generator=source)
    data = z @ across + 0.5 * noise
    with torch.random.fork_rng():
        torch.manual_seed(0)
        head = Conditional(torch.nn.Linear(5, 4), Gaussian())
        decoder = Conditional(torch.nn.Linear(2, 5), Gaussian(Shared()))
        model = VAE(torch.nn.Identity(), Variational(head, StandardNormal(2)), decoder)
        fit(model, Distortion() + Rate(), data, steps=600, lr=0.02)
    return model.double(), data[:4].double()


def _agree(a: torch.Tensor, b: torch.Tensor) -> None:
    """The same mean within 4 standard errors of the difference, for every parameter and over all of them."""
    error = ((a.var(0) + b.var(0)) / len(a)).sqrt()
    z = (a.mean(0) - b.mean(0)) / error.clamp(min=1e-12)
    assert z.abs().max() < 4.5 and z.square().mean() < 1.5


def _spread(draws: torch.Tensor) -> float:
    return float(draws.var(0).sum())


def test_dreg_has_the_mean_of_the_iwae_with_less_noise(trained) -> None:
    model, x = trained
    encoder, _ = sides(model)
    plain = _draws(ImportanceWeighted(16), model, x, encoder, 250)
    doubly = _draws(DoublyReparameterized(16), model, x, encoder, 250)
    _agree(plain, doubly)
    assert _spread(doubly) < 0.5 * _spread(plain)


def test_sticking_the_landing_has_the_mean_of_the_elbo_with_less_noise(trained) -> None:
    model, x = trained
    encoder, _ = sides(model)
    plain = _draws(MultiplyImportanceWeighted(1, 1), model, x, encoder, 400)  # the sampled ELBO
    landing = _draws(StickingTheLanding(), model, x, encoder, 400)
    closed = _draws(Distortion() + Rate(), model, x, encoder, 400)
    _agree(plain, landing)
    _agree(closed, landing)
    assert _spread(landing) < 0.5 * _spread(plain)
    assert _spread(landing) < _spread(closed)


def test_sticking_the_landing_is_still_at_the_exact_posterior() -> None:
    """x | z ~ N(z, 1): z | x ~ N(x / 2, 1 / 2). Every draw's gradient is zero; the plain one's is not."""
    loc = torch.tensor([[0.5]], dtype=torch.float64, requires_grad=True)
    q = torch.distributions.Normal(loc, math.sqrt(0.5))
    z = q.loc + q.scale * 1.3
    p = torch.distributions.Normal(0.0, 1.0)
    latent = SimpleNamespace(
        z=z, q=q, log_p=right(p.log_prob(z)), log_q=right(q.log_prob(z)), drawn_log_q=None
    )
    x = torch.ones(1, 1, dtype=torch.float64)
    distortion = -right(torch.distributions.Normal(z, 1.0).log_prob(x))
    out = SimpleNamespace(latents=[latent], distortion=distortion, samples=1)
    (slope,) = torch.autograd.grad(StickingTheLanding()(out, 0).sum(), loc)
    assert abs(float(slope)) < 1e-12


def test_in_a_sum_other_terms_keep_their_gradient_along_z(model, x) -> None:
    """No hook stands on z: the sum's gradient is the sum of the gradients."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    term = DoublyReparameterized(4)
    out = model(x, samples=4, noise=Noise(0, "gradient"))
    other = 0.7 * MultiplyImportanceWeighted(4, 1)
    together = flat(torch.autograd.grad((0.5 * term + other)(out, 0), parameters))
    alone = 0.5 * flat(gradients(term, model, x, parameters)) + flat(gradients(other, model, x, parameters))
    torch.testing.assert_close(together, alone, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    "term", [DoublyReparameterized(3), PartiallyImportanceWeighted(2, 2), MultiplyImportanceWeighted(2, 2)]
)
def test_conditions_masks_and_weights_reach_every_bound(term, gaussian_vae, x, rng) -> None:
    model = gaussian_vae(Gaussian(Optimal()), condition=2, posterior=FullGaussian()).double().eval()
    model.encoder = gaussian_vae(Gaussian(), condition=2).double().encoder
    mask, c = torch.tensor(rng.random((4, 5)) < 0.7), torch.eye(2, dtype=torch.float64)[[0, 1, 0, 1]]
    weight = torch.tensor([1.0, 0.0, 2.0, 0.0], dtype=torch.float64)
    out = model(torch.where(mask, x, math.nan), c, mask, term.samples, Noise(0), weight)
    assert term(out, 0).shape == (4,)
    gradient = flat(torch.autograd.grad(mean(term(out, 0), out), list(model.encoder.parameters())))
    assert torch.isfinite(gradient).all() and gradient.abs().sum() > 0


# --- what cannot be


@pytest.mark.parametrize(
    "term", [DoublyReparameterized(1), StickingTheLanding(), PartiallyImportanceWeighted(1, 1)]
)
def test_more_than_one_latent_is_refused_by_name(term, model, x) -> None:
    out = model(x, noise=Noise(0))
    out.latents = out.latents * 2
    with pytest.raises(ValueError, match=f"{type(term).__name__} follows.*this model has 2.*use ImportanceW"):
        term(out, 0)


@pytest.mark.parametrize(
    "term", [DoublyReparameterized(1), StickingTheLanding(), PartiallyImportanceWeighted(1, 1)]
)
def test_draws_without_a_path_are_refused(term, model, x) -> None:
    out = model(x, noise=Noise(0))
    out.latents[0].z = out.latents[0].z.detach()
    with pytest.raises(ValueError, match="draws without reparameterisation"):
        term(out, 0)
    codes = torch.zeros(4, 3, dtype=torch.long)
    out.latents[0].z, out.latents[0].q = codes, PointMass(codes)
    with pytest.raises(ValueError, match="draws without reparameterisation"):
        term(out, 0)


@pytest.mark.parametrize("term", [DoublyReparameterized(1), StickingTheLanding()])
def test_a_density_that_came_with_the_draw_is_refused(term, model, x) -> None:
    """Its gradient runs through the parameters of the flow; a bound that needs no detaching goes on."""
    out = model(x, noise=Noise(0))
    out.latents[0].drawn_log_q = out.latents[0].log_q
    with pytest.raises(ValueError, match="held still.*a flow"):
        term(out, 0)
    assert PartiallyImportanceWeighted(1, 1)(out, 0).shape == (4,)


def test_numbers_of_draws_and_shares_are_checked() -> None:
    for make in (
        lambda: MultiplyImportanceWeighted(0, 2),
        lambda: MultiplyImportanceWeighted(2, 0),
        lambda: PartiallyImportanceWeighted(2, 0),
        lambda: CombinedImportanceWeighted(0),
        lambda: DoublyReparameterized(0),
        lambda: StickingTheLanding(0),
    ):
        with pytest.raises(ValueError, match="one draw or more"):
            make()
    with pytest.raises(ValueError, match="between 0 and 1"):
        CombinedImportanceWeighted(2, beta=1.5)


# --- holding a distribution still


@pytest.mark.parametrize(
    ("family", "dim"),
    [
        (Gaussian(), 3),
        (FullGaussian(), 3),
        (Laplace(), 3),
        (StudentT(), 3),
        (Bernoulli(), 3),
        (Categorical(4), 3),
    ],
    ids=lambda f: type(f).__name__,
)
def test_a_copy_held_still_has_the_density_and_no_gradient(family, dim) -> None:
    params = torch.randn(2, family.size(dim), generator=torch.Generator().manual_seed(0), requires_grad=True)
    q = family(params)
    z = q.sample()
    before = q.log_prob(z)  # fills what is computed once
    still = detach(q)
    assert before.requires_grad and not still.log_prob(z).requires_grad
    torch.testing.assert_close(still.log_prob(z), before.detach())
    assert q.log_prob(z).requires_grad, "the original lost its gradient"


def test_nested_distributions_are_held_still_to_the_bottom() -> None:
    scale = torch.tensor([0.5, 2.0], requires_grad=True)
    inner = torch.distributions.Normal(torch.zeros(2, requires_grad=True), 1.0)
    moved = torch.distributions.TransformedDistribution(
        inner, [torch.distributions.AffineTransform(0.0, scale), torch.distributions.ExpTransform()]
    )
    mixed = torch.distributions.MixtureSameFamily(
        torch.distributions.Categorical(logits=torch.zeros(2, requires_grad=True)),
        torch.distributions.Normal(torch.zeros(2, requires_grad=True), scale),
    )
    for q, z in ((moved, torch.tensor([0.4, 0.7])), (mixed, torch.tensor(0.4))):
        assert q.log_prob(z).requires_grad and not detach(q).log_prob(z).requires_grad
        torch.testing.assert_close(detach(q).log_prob(z), q.log_prob(z).detach())


@pytest.mark.parametrize("hidden", [torch.nn.Linear(2, 2), lambda z: z], ids=["network", "function"])
def test_a_density_computed_by_networks_cannot_be_held_still(hidden) -> None:
    q = torch.distributions.Normal(torch.zeros(2), 1.0)
    q.net = hidden
    with pytest.raises(TypeError, match="Normal computes its density with networks"):
        detach(q)
