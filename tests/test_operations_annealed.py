"""Annealed importance sampling against the closed form of the linear-Gaussian model; moves that keep what they must.

z ~ N(0, I),  x | z ~ N(W z + b, σ² I)  ⇒  x ~ N(b, W Wᵀ + σ² I)
"""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from vaekit.bottlenecks import Deterministic, Variational
from vaekit.conditional import Conditional
from vaekit.distributions import Fixed, FullGaussian, Gaussian, Noise, PointMass, right
from vaekit.model import VAE
from vaekit.operations import annealed, log_likelihood
from vaekit.operations.annealed import anneal, annealed_log_likelihood, blocks, sigmoid_path
from vaekit.operations.hamiltonian import WANTED, Target, leapfrog, move, tuned
from vaekit.priors import StandardNormal
from vaekit.priors.diffusion import RectifiedFlow

D, LATENT, SIGMA = 6, 2, 1.0
W = np.array([[1.1, 0.2], [-0.7, 0.9], [0.4, -1.2], [0.0, 0.8], [0.9, 0.3], [-0.2, 0.5]])
B = np.linspace(-1, 1, D)


def linear(full: bool = False) -> VAE:
    """The linear-Gaussian model with a posterior that knows little: N(0.3, 0.8²) whatever x is."""
    family = FullGaussian() if full else Gaussian()
    head, decoder = nn.Linear(D, family.size(LATENT)), nn.Linear(LATENT, D)
    model = VAE(
        nn.Identity(),
        Variational(Conditional(head, family), StandardNormal(LATENT)),
        Conditional(decoder, Gaussian(Fixed(SIGMA))),
    ).double()
    with torch.no_grad():
        head.weight.zero_()
        head.bias.zero_()
        head.bias[:LATENT], head.bias[LATENT:] = 0.3, -0.4
        decoder.weight.copy_(torch.tensor(W))
        decoder.bias.copy_(torch.tensor(B))
    return model.eval()


def marginal(x: np.ndarray, seen: np.ndarray | None = None) -> np.ndarray:
    covariance = W @ W.T + SIGMA**2 * np.eye(D)
    if seen is None:
        return stats.multivariate_normal(B, covariance).logpdf(x)
    rows = zip(x, seen, strict=True)
    return np.array(
        [stats.multivariate_normal(B[s], covariance[np.ix_(s, s)]).logpdf(row[s]) for row, s in rows]
    )


@pytest.fixture
def x(rng):
    return rng.uniform(-1.2, 1.2, size=(12, 2)) @ W.T + B + SIGMA * rng.uniform(-1.5, 1.5, size=(12, D))


def final(model, x, betas, chains, leapfrog=2, **options) -> np.ndarray:
    """log weights at the end, (B, chains)."""
    found = []
    for _, points in anneal(
        model, torch.tensor(x), None, None, betas, chains, leapfrog, options.pop("seed", 0), **options
    ):
        *_, last = points
        found.append(last.log_weight.view(-1, chains))
    return torch.cat(found).numpy()


@pytest.mark.parametrize("from_prior", [False, True], ids=["posterior", "prior"])
@pytest.mark.parametrize("full", [False, True], ids=["diagonal", "full"])
def test_it_estimates_p_without_bias(from_prior, full, x) -> None:
    """Of p, not of log p; within 4 standard errors for every datum, with moves and few temperatures."""
    weights = final(linear(full), x, sigmoid_path(8), 1000, from_prior=from_prior)
    ratio = np.exp(weights - marginal(x)[:, None])
    error = ratio.std(1) / math.sqrt(ratio.shape[1])
    assert (error > 1e-3).all()
    assert (np.abs(ratio.mean(1) - 1) < 4 * error).all()
    pooled = np.sqrt((error**2).sum()) / len(error)
    assert abs(ratio.mean() - 1) < 4 * pooled


def test_many_temperatures_come_nearer_than_as_many_samples(x) -> None:
    model, truth = linear(), marginal(x)
    found = annealed_log_likelihood(model, torch.tensor(x), chains=16, temperatures=80)
    sampled = log_likelihood(model, torch.tensor(x), samples=16)
    assert np.abs(found.numpy() - truth).mean() < 0.15
    assert np.abs(sampled.numpy() - truth).mean() > 0.3


def test_the_estimate_is_the_log_of_the_mean_weight_of_all_chains(x) -> None:
    found = annealed_log_likelihood(linear(), torch.tensor(x), chains=5, temperatures=4, leapfrog=2)
    weights = final(linear(), x, sigmoid_path(4), 5)
    np.testing.assert_allclose(found, np.log(np.exp(weights).mean(1)), rtol=1e-9)


def test_neither_chunks_nor_neighbours_change_it(x, monkeypatch) -> None:
    options = {"chains": 7, "temperatures": 3, "leapfrog": 2, "seed": 3}
    model, x = linear(), torch.tensor(x)
    whole = annealed_log_likelihood(model, x, **options)
    alone = annealed_log_likelihood(model, x[4:6], rows=torch.tensor([4, 5]), **options)
    torch.testing.assert_close(alone, whole[4:6], rtol=1e-9, atol=1e-9)
    for size in (3, 20):  # below and above the number of chains
        monkeypatch.setattr(annealed, "CHUNK", size)
        torch.testing.assert_close(annealed_log_likelihood(model, x, **options), whole, rtol=1e-9, atol=1e-9)
    assert not torch.allclose(annealed_log_likelihood(model, x, **options | {"seed": 4}), whole)


@pytest.mark.parametrize("size", [1, 4, 100])
def test_blocks_give_every_datum_every_draw_once(size, monkeypatch) -> None:
    monkeypatch.setattr(annealed, "CHUNK", size)
    count = np.zeros((5, 7), dtype=int)
    for part, first, draws in blocks(5, 7):
        count[part, first : first + draws] += 1
        assert (part.stop - part.start) * draws <= max(size, 1)
    assert (count == 1).all()


@pytest.mark.parametrize("from_prior", [False, True])
def test_what_was_not_observed_counts_as_nothing(from_prior, x, rng) -> None:
    seen = rng.random(x.shape) < 0.6
    hidden = torch.where(torch.tensor(seen), torch.tensor(x), math.nan)
    found = annealed_log_likelihood(linear(), hidden, None, torch.tensor(seen), 16, 50, from_prior=from_prior)
    assert np.abs(found.numpy() - marginal(x, seen)).mean() < 0.2


class Beside(nn.Module):
    """A linear map of z, and one of the condition."""

    def __init__(self, inner: nn.Module, condition: nn.Module) -> None:
        super().__init__()
        self.inner, self.condition = inner, condition

    def forward(self, z, c):
        return self.inner(z) + self.condition(c)


@pytest.mark.parametrize("from_prior", [False, True])
def test_conditions_reach_prior_and_decoder(from_prior, x, rng) -> None:
    """z ~ N(A c, I), x | z ~ N(W z + V c + b, σ² I): the mean of x given c is (W A + V) c + b."""
    a, v = rng.normal(size=(2, 3)), rng.normal(size=(6, 3))
    model, across = linear(), nn.Linear(3, 4, bias=False).double()
    beside = nn.Linear(3, D, bias=False).double()
    with torch.no_grad():
        across.weight.copy_(torch.tensor(np.vstack([a, 0 * a])))  # a scale of 1
        beside.weight.copy_(torch.tensor(v))
        model.bottleneck.posterior.net.bias[LATENT:] = 0.5
    model.encoder.forward = lambda x, c: x
    model.bottleneck.prior = Conditional(across, Gaussian())
    model.decoder.net = Beside(model.decoder.net, beside)
    c = np.eye(3)[np.arange(12) % 3]
    moved = x + c @ (W @ a + v).T
    found = annealed_log_likelihood(
        model, torch.tensor(moved), torch.tensor(c), None, 16, 30, from_prior=from_prior
    )
    assert np.abs(found.numpy() - marginal(x)).mean() < 0.25


def test_no_gradient_is_left_behind(x) -> None:
    model = linear()
    found = annealed_log_likelihood(model, torch.tensor(x), chains=2, temperatures=2)
    assert not found.requires_grad and all(p.grad is None for p in model.parameters())


# --- the moves


class Bent(Target):
    """log π(z) = −¼ Σ z⁴ − ½ (z₀ z₁)²: neither round nor linear."""

    def densities(self, z):
        joint = -0.25 * right(z**4) - 0.5 * (z[:, 0] * z[:, 1]) ** 2
        return torch.zeros_like(joint), joint

    def scale(self, beta):
        return torch.tensor([[1.0, 0.7]], dtype=torch.float64)


def _rolled(state: torch.Tensor, size: float = 0.2, steps: int = 7) -> torch.Tensor:
    """(N, 4) positions and velocities to where leapfrog takes them."""
    sizes = torch.full((len(state),), size, dtype=torch.float64)
    place, velocity = leapfrog(Bent(), state[:, :2], state[:, 2:], 1.0, sizes, steps)
    return torch.cat([place.z, velocity], 1)


def _energy(state: torch.Tensor) -> torch.Tensor:
    return -Bent().densities(state[:, :2])[1] + 0.5 * right(state[:, 2:] ** 2)


def test_leapfrog_can_be_reversed(rng) -> None:
    state = torch.tensor(rng.normal(size=(5, 4)))
    turn = torch.tensor([1.0, 1.0, -1.0, -1.0], dtype=torch.float64)
    there = _rolled(state)
    assert (there - state).abs().min(1).values.max() > 0.01
    torch.testing.assert_close(_rolled(there * turn) * turn, state, rtol=0, atol=1e-12)


def test_leapfrog_keeps_volume(rng) -> None:
    """The determinant of its derivative, by central differences, is 1."""
    state, step = torch.tensor(rng.normal(size=(1, 4))), 1e-5
    around = torch.cat([state + step * torch.eye(4), state - step * torch.eye(4)])
    rolled = _rolled(around.double())
    slopes = (rolled[:4] - rolled[4:]) / (2 * step)
    assert float(torch.linalg.det(slopes)) == pytest.approx(1, abs=1e-6)


def test_the_energy_error_falls_with_the_square_of_the_step(rng) -> None:
    state = torch.tensor(rng.normal(size=(50, 4)))
    errors = [(_energy(_rolled(state, 0.2 / n, 5 * n)) - _energy(state)).abs().mean() for n in (1, 2, 4)]
    assert 3 < errors[0] / errors[1] < 5 and 3.5 < errors[1] / errors[2] < 4.5


class Round(Target):
    """N(0, diag(1, 4)), a scale that does not know it."""

    def densities(self, z):
        joint = -0.5 * (z[:, 0] ** 2 + z[:, 1] ** 2 / 4)
        return torch.zeros_like(joint), joint

    def scale(self, beta):
        return torch.ones(1, 2, dtype=torch.float64)


def test_a_move_leaves_its_distribution_as_it_is(rng) -> None:
    """Steps so long that a third of the moves are refused: without refusals the variance would grow."""
    n = 20_000
    z = torch.tensor(rng.normal(size=(n, 2)) * [1, 2])
    place, noise = Round().place(z), Noise(0, "move")
    for _ in range(5):
        place, accepted = move(Round(), place, 1.0, torch.full((n,), 2.2), 2, noise)
    assert 0.5 < accepted.mean() < 0.9
    for column, variance in zip(place.z.T, (1, 4), strict=True):
        assert abs(float(column.mean())) < 4 * math.sqrt(variance / n)
        assert abs(float(column.var()) / variance - 1) < 4 * math.sqrt(2 / n)
    moved = (place.z != z).any(1).double().mean()
    assert moved > 0.9
    torch.testing.assert_close(place.joint, Round().densities(place.z)[1])


def test_step_sizes_settle_at_the_wanted_acceptance() -> None:
    noise, betas, chains = Noise(0, "tuned"), [1.0] * 150, 50
    z = noise.normal((4 * chains, 2)).double()
    sizes = tuned(Round(), z, betas, 3, noise, chains)
    assert sizes[0].shape == (4,) and (sizes[-1] != sizes[0]).all()
    size = torch.stack(sizes[-20:]).mean(0).repeat_interleave(chains)
    _, accepted = move(Round(), Round().place(z), 1.0, size, 3, noise)
    assert abs(float(accepted.mean()) - WANTED) < 0.1


def test_chains_do_not_enter_what_has_no_density() -> None:
    class Half(Round):
        def densities(self, z):
            start, joint = super().densities(z)
            return start, torch.where(z[:, 0] > 0, joint, z[:, 0].sqrt())  # NaN on the other side

    z = torch.full((200, 2), 0.3, dtype=torch.float64)
    place, _ = move(Half(), Half().place(z), 1.0, torch.full((200,), 1.0), 2, Noise(0))
    assert (place.z[:, 0] > 0).all() and torch.isfinite(place.joint).all()


def test_the_path_rises_to_one() -> None:
    betas = [0.0, *sigmoid_path(50)]
    steps = np.diff(betas)
    assert betas[-1] == 1 and (steps > 0).all()
    np.testing.assert_allclose(steps, steps[::-1], rtol=1e-9)
    assert steps[25] > 5 * steps[0]


# --- what cannot be


def test_models_it_cannot_serve_are_told_why(gaussian_vae) -> None:
    x = torch.zeros(2, 5)
    with pytest.raises(ValueError, match="codes are deterministic"):
        annealed_log_likelihood(VAE(nn.Linear(5, 3), Deterministic(), gaussian_vae().decoder), x)
    for change, message in (
        (lambda latents: latents * 2, "has 2; use `log_likelihood`"),
        (_as_codes, "codes are discrete"),
        (_on_simplex, "on a surface"),
    ):
        model = gaussian_vae()
        before = model.bottleneck.forward
        model.bottleneck.forward = lambda *a, b=before, f=change, **k: (lambda s, v: (s, f(v)))(*b(*a, **k))
        with pytest.raises(ValueError, match=message):
            annealed_log_likelihood(model, x)
    model = gaussian_vae()
    model.bottleneck.prior.settle = lambda z: z
    with pytest.raises(ValueError, match="on a surface and not in ℝ"):
        annealed_log_likelihood(model, x)
    model = gaussian_vae()
    model.bottleneck.prior = RectifiedFlow(3, hidden=[8])  # an integration, which no gradient follows
    with pytest.raises(ValueError, match="density has no gradient"):
        annealed_log_likelihood(model, x)


def _as_codes(latents):
    codes = torch.zeros(len(latents[0].z), 3, dtype=torch.long)
    return [SimpleNamespace(z=codes, q=PointMass(codes))]


def _on_simplex(latents):
    z = latents[0].z
    return [SimpleNamespace(z=z, q=torch.distributions.RelaxedOneHotCategorical(torch.tensor(1.0), logits=z))]


@pytest.mark.parametrize("name", ["chains", "temperatures", "leapfrog"])
def test_counts_below_one_are_refused(name, gaussian_vae) -> None:
    with pytest.raises(ValueError, match=f"{name} = 0: one or more"):
        annealed_log_likelihood(gaussian_vae(), torch.zeros(1, 5), **{name: 0})
