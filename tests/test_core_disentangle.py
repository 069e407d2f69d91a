"""Terms about the aggregated posterior's dimensions, against mixtures, torch.cov and each player's own gradient."""

from __future__ import annotations

import itertools
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import distributions as D
from torch import nn
from torch.nn import functional

from vaekit.bottlenecks import Latent, Variational
from vaekit.bottlenecks.side_by_side import SideBySide
from vaekit.conditional import Conditional
from vaekit.distributions import FullGaussian, Gaussian, Noise, RowNoise
from vaekit.distributions.gumbel import GumbelSoftmax
from vaekit.networks import MLP
from vaekit.objectives import Distortion, Rate, linear
from vaekit.objectives.decomposition import decompose, stratified
from vaekit.objectives.disentangle import (
    DIP1,
    DIP2,
    DecomposedRate,
    DensityRatioTC,
    LatentCapacity,
    covariance,
    shuffled,
)
from vaekit.priors import StandardNormal
from vaekit.priors.codes import UniformOneHot
from vaekit.recipes import build, recipe
from vaekit.training.train import _gradients, train


def made_pass(mean: torch.Tensor, scale: torch.Tensor, z: torch.Tensor, **facts) -> SimpleNamespace:
    """What terms read of a pass, for posteriors N(mean, scale²)."""
    standard = D.Normal(torch.zeros(mean.shape[1]).to(mean), torch.ones(mean.shape[1]).to(mean))
    latent = Latent(z, D.Normal(mean, scale), standard)
    return SimpleNamespace(latents=[latent], **{"weight": None, "samples": 1, **facts})


def some_posteriors(n: int, dim: int = 3, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Means, scales and a draw of each, in float64; the dimensions are correlated over data."""
    source = torch.Generator().manual_seed(seed)
    a, b, c = (torch.randn(n, dim, generator=source, dtype=torch.float64) for _ in range(3))
    mean = a + a[:, :1]
    scale = 0.3 + b.abs()
    return mean, scale, mean + scale * c


def mixture_logs(mean, scale, z, probabilities=None) -> tuple[torch.Tensor, torch.Tensor]:
    """log Σ π q_j(z_i), and Σ_d of the marginals' logs, by torch's own mixtures."""
    p = torch.ones(len(mean), dtype=mean.dtype) if probabilities is None else probabilities
    parts = D.Independent(D.Normal(mean, scale), 1)
    joint = D.MixtureSameFamily(D.Categorical(p), parts).log_prob(z)
    single = sum(
        D.MixtureSameFamily(D.Categorical(p), D.Normal(mean[:, d], scale[:, d])).log_prob(z[:, d])
        for d in range(mean.shape[1])
    )
    return joint, single


# --- β-TCVAE


@pytest.mark.parametrize(("n", "size", "samples"), [(5, 50, 1), (6, 40, 3), (4, 4, 1), (1, 9, 1), (8, 2, 4)])
@pytest.mark.parametrize("weighted", [False, True])
def test_stratified_weights_sum_to_one_with_one_nth_on_the_diagonal(n, size, samples, weighted) -> None:
    weight = (1 + torch.arange(n) // samples).float() if weighted else None
    found = stratified(n, size, samples, weight)
    torch.testing.assert_close(found.sum(1), torch.ones(n))
    own = torch.arange(n) // samples
    share = (found * (own[:, None] == own)).sum(1)
    if n == samples or not weighted:
        torch.testing.assert_close(share, torch.full((n,), 1.0 if n == samples else 1 / size))
    else:  # as a weighted datum counts among all
        torch.testing.assert_close(share, (weight / (weight.mean() * size)).clamp(max=1))


@pytest.mark.parametrize("samples", [1, 2])
@pytest.mark.parametrize("size", [None, 6])
def test_on_the_full_batch_the_parts_are_those_of_the_mixture(samples, size) -> None:
    mean, scale, _ = (t.repeat_interleave(samples, 0) for t in some_posteriors(6))
    z = mean + scale * torch.randn(
        mean.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(7)
    )
    out = made_pass(mean, scale, z, samples=samples)
    parts = decompose(out.latents[0], size, samples)
    joint, single = mixture_logs(mean, scale, z)
    log_q = D.Normal(mean, scale).log_prob(z).sum(1)
    log_p = D.Normal(0.0, 1.0).log_prob(z).sum(1)
    torch.testing.assert_close(parts.mutual_information, log_q - joint)
    torch.testing.assert_close(parts.total_correlation, joint - single)
    torch.testing.assert_close(parts.dimension, single - log_p)
    term = DecomposedRate(2.0, 5.0, 0.5, dataset_size=size)
    expected = 2 * (log_q - joint) + 5 * (joint - single) + 0.5 * (single - log_p)
    torch.testing.assert_close(term(out, 0), expected)
    torch.testing.assert_close(DecomposedRate()(out, 0), log_q - log_p)


def test_over_all_batches_the_estimate_of_q_is_the_mixture() -> None:
    """Every batch of three of six data that holds a datum, at that datum's z."""
    mean, scale, z = some_posteriors(6)
    exact = mixture_logs(mean, scale, z)[0].exp()
    for i in range(6):
        estimates = []
        for others in itertools.combinations(set(range(6)) - {i}, 2):
            rows = torch.tensor([i, *others])
            latent = made_pass(mean[rows], scale[rows], z[rows]).latents[0]
            parts = decompose(latent, 6)
            estimates.append(float((latent.log_q - parts.mutual_information)[0].exp()))
        assert np.mean(estimates) == pytest.approx(float(exact[i]), rel=1e-10)


@pytest.mark.parametrize("rho", [0.0, 0.8])
def test_total_correlation_of_a_correlated_gaussian(rho) -> None:
    """q(z) = N(0, R): a Gaussian of means with a Gaussian around each."""
    n, inner = 2000, 0.15
    points = torch.quasirandom.SobolEngine(4, scramble=True, seed=1).draw(n).double()
    normal = D.Normal(0.0, 1.0).icdf(points.clamp(1e-6, 1 - 1e-6))
    r = torch.tensor([[1.0, rho], [rho, 1.0]], dtype=torch.float64)
    mean = normal[:, :2] @ torch.linalg.cholesky(r - inner * torch.eye(2)).T
    scale = torch.full_like(mean, math.sqrt(inner))
    parts = decompose(made_pass(mean, scale, mean + scale * normal[:, 2:]).latents[0])
    assert float(parts.total_correlation.mean()) == pytest.approx(-0.5 * math.log(1 - rho**2), abs=0.02)
    assert float(parts.dimension.mean()) == pytest.approx(0.0, abs=0.02)
    information = 0.5 * float(torch.logdet(r)) - math.log(inner)  # ½ log|R| − ½ log|s² I|
    assert float(parts.mutual_information.mean()) == pytest.approx(information, abs=0.02)


@pytest.mark.parametrize(
    "term", [DecomposedRate(1, 6, 2), DIP1(3, 2), DIP2(3, 2)], ids=["decomposed", "dip1", "dip2"]
)
def test_a_weight_counts_a_datum_that_often(term, gaussian_vae) -> None:
    """Weights 2, 0, 1, 1 are rows 0, 0, 2, 3."""
    model = gaussian_vae(spread=3.0).double()
    x = torch.randn(4, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def loss(rows: list[int], weight: list[float] | None) -> float:
        w = None if weight is None else torch.tensor(weight, dtype=torch.float64)
        out = model(x[rows], noise=RowNoise(0, "w", torch.tensor(rows)), weight=w)
        return float((0.0 * Distortion() + 1.0 * term)(out, 0).detach())

    assert loss([0, 1, 2, 3], [2.0, 0.0, 1.0, 1.0]) == pytest.approx(loss([0, 0, 2, 3], None), rel=1e-6)
    assert loss([0, 1, 2, 3], [6.0, 0.0, 3.0, 3.0]) == pytest.approx(loss([0, 0, 2, 3], None), rel=1e-6)


def test_training_tells_the_number_of_data(gaussian_vae) -> None:
    term, given = DecomposedRate(total_correlation=3), DecomposedRate(total_correlation=3, dataset_size=500)
    mean, scale, z = some_posteriors(8)
    out = made_pass(mean, scale, z)
    alone = term(out, 0)
    for _ in train(
        gaussian_vae(), Distortion() + 2.0 * term + given, torch.randn(40, 5), steps=1, batch_size=8
    ):
        pass
    parts = decompose(out.latents[0], 40)
    torch.testing.assert_close(term(out, 0), sum(parts) + 2 * parts.total_correlation)
    parts = decompose(out.latents[0], 500)
    torch.testing.assert_close(given(out, 0), sum(parts) + 2 * parts.total_correlation)
    assert not torch.allclose(term(out, 0), alone)


def test_coupled_dimensions_have_no_total_correlation(gaussian_vae) -> None:
    out = gaussian_vae(posterior=FullGaussian())(torch.zeros(4, 5))
    with pytest.raises(ValueError, match="MultivariateNormal couples its dimensions"):
        DecomposedRate()(out, 0)
    out = made_pass(*some_posteriors(4))
    out.latents = out.latents * 2
    for term in (DecomposedRate(), DensityRatioTC(MLP(3, 1)), DIP1(), DIP2()):
        with pytest.raises(ValueError, match="this model has 2"):
            term(out, 0)


# --- FactorVAE


def test_columns_are_shuffled_each_by_itself_across_the_batch() -> None:
    torch.manual_seed(0)
    z = torch.randn(4000, 1).repeat(1, 3) + torch.tensor([0.0, 10.0, 20.0])
    found = shuffled(z)
    assert torch.equal(found.sort(0).values, z.sort(0).values)  # nothing leaves its column
    apart = np.corrcoef(found.numpy().T)[np.triu_indices(3, 1)]
    assert abs(apart).max() < 0.06
    assert not torch.equal(found[:, 0], z[:, 0])
    weight = torch.ones(4000)
    weight[:2000], weight[2000:3000] = 0.0, 3.0
    drawn = shuffled(z, weight)
    assert bool(torch.isin(drawn[:, 1], z[2000:, 1]).all())
    share = torch.isin(drawn, z[2000:3000]).float().mean(0)
    torch.testing.assert_close(share, torch.full((3,), 0.75), atol=0.03, rtol=0)
    assert abs(np.corrcoef(drawn.numpy().T)[np.triu_indices(3, 1)]).max() < 0.06


@pytest.mark.parametrize("weighted", [False, True])
def test_each_player_follows_its_own_loss_and_no_other(weighted, gaussian_vae) -> None:
    model, critic = gaussian_vae(), MLP(3, 1, hidden=(16,))
    objective = Distortion() + Rate() + 35 * DensityRatioTC(critic)
    x = torch.randn(12, 5, generator=torch.Generator().manual_seed(2))
    weight = torch.rand(12, generator=torch.Generator().manual_seed(3)) if weighted else None
    share = torch.full((12,), 1 / 12) if weight is None else weight / weight.sum()

    def run() -> object:
        return model(x, noise=Noise(0, "players"), weight=weight)

    players = objective.players(model)
    out = run()
    torch.manual_seed(5)
    found = {player.name: _gradients(player, players, out, 0)[1] for player in players}

    out = run()
    own = (share * (out.distortion + out.rate + 35 * critic(out.z)[:, 0])).sum()
    torch.testing.assert_close(found["model"], [*torch.autograd.grad(own, [*model.parameters()])])

    torch.manual_seed(5)
    z = run().z.detach()
    real, apart = critic(z)[:, 0], critic(shuffled(z, weight))[:, 0]
    told = functional.binary_cross_entropy_with_logits
    loss = 0.5 * told(real, torch.ones(12), share, reduction="sum") + 0.5 * told(apart, torch.zeros(12))
    torch.testing.assert_close(found["objective"], [*torch.autograd.grad(loss, [*critic.parameters()])])

    loss = objective.adversary(run(), 0)
    assert torch.autograd.grad(loss, [*model.parameters()], allow_unused=True) == (None,) * 10


def test_a_trained_critic_knows_the_total_correlation() -> None:
    torch.manual_seed(0)
    rho = 0.8
    term = DensityRatioTC(MLP(2, 1, hidden=(32, 32)))
    moves = torch.optim.SGD(term.parameters(), lr=0.1, momentum=0.9)
    root = torch.linalg.cholesky(torch.tensor([[1.0, rho], [rho, 1.0]]))

    def draws(n: int) -> SimpleNamespace:
        z = torch.randn(n, 2) @ root.T
        return made_pass(z, torch.ones_like(z), z)

    for _ in range(400):
        moves.zero_grad()
        term.adversary(draws(256), 0).backward()
        moves.step()
    estimate = float(term(draws(20_000), 0).mean().detach())
    assert estimate == pytest.approx(-0.5 * math.log(1 - rho**2), abs=0.1)


def test_a_critic_gives_one_number_for_each_row() -> None:
    with pytest.raises(ValueError, match="one number for each row"):
        DensityRatioTC(nn.Linear(3, 2).double())(made_pass(*some_posteriors(4)), 0)


# --- DIP-VAE


@pytest.mark.parametrize("weighted", [False, True])
def test_covariance_is_that_over_the_batch(weighted) -> None:
    mean, _, _ = some_posteriors(20, dim=4)
    weight = torch.arange(20.0, dtype=torch.float64) if weighted else None
    expected = torch.cov(mean.T, correction=0, aweights=weight)
    torch.testing.assert_close(covariance(mean, weight), expected)
    torch.testing.assert_close(covariance(mean + torch.arange(4.0), weight), expected)


def test_dip_against_numpy() -> None:
    mean, scale, z = some_posteriors(20, dim=4)
    out = made_pass(mean, scale, z)
    of_means = np.cov(mean.numpy().T, bias=True)
    of_all = of_means + np.diag((scale.numpy() ** 2).mean(0))
    for term, c in ((DIP1(3, 7), of_means), (DIP2(3, 7), of_all)):
        apart = (c[~np.eye(4, dtype=bool)] ** 2).sum()
        expected = 3 * apart + 7 * ((np.diag(c) - 1) ** 2).sum()
        assert float(term(out, 0)) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("full", [False, True])
def test_the_second_covariance_is_that_of_draws(full, gaussian_vae) -> None:
    model = gaussian_vae(posterior=FullGaussian() if full else Gaussian(), spread=3.0).double()
    x = torch.randn(7, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    weight = torch.tensor([1.0, 2, 3, 4, 5, 6, 7], dtype=torch.float64)
    out = model(x, samples=20_000, noise=Noise(0, "dip"), weight=weight)
    drawn = torch.cov(out.z.T, correction=0, aweights=out.weight)
    found = DIP2().covariance(out)
    torch.testing.assert_close(found, drawn, atol=0.03, rtol=0.03)
    torch.testing.assert_close(found, DIP2().covariance(model(x, weight=weight)))  # the draws do not matter


# --- several variables side by side


def two_parts(temperature: float = 0.67) -> SideBySide:
    torch.manual_seed(0)
    gaussian = Variational(Conditional(nn.Linear(8, 6), Gaussian()), StandardNormal(3))
    category = Variational(Conditional(nn.Linear(8, 4), GumbelSoftmax(4, temperature)), UniformOneHot(1, 4))
    return SideBySide([gaussian, category])


def test_parts_stand_side_by_side() -> None:
    part, h = two_parts(), torch.randn(5, 8)
    state, (a, b) = part(h, noise=Noise(0))
    torch.testing.assert_close(state, torch.cat([a.z, b.z], 1))
    torch.testing.assert_close(a.q.mean, part.parts[0](h)[1][0].q.mean)
    torch.testing.assert_close(b.q.logits, part.parts[1](h)[1][0].q.logits)
    out = SimpleNamespace(latents=[a, b], weight=None, samples=1)
    normal = 0.5 * (a.q.loc**2 + a.q.scale**2 - 1 - 2 * a.q.scale.log()).sum(1).mean()
    category = math.log(4) - D.Categorical(logits=b.q.logits[:, 0]).entropy().mean()
    for place, expected in enumerate((normal, category)):
        for step, target in ((0, 0.0), (5, 1.0), (99, 2.0)):
            found = LatentCapacity(place, linear(0, 2, 10))(out, step)
            torch.testing.assert_close(found, (expected - target).abs())


def test_equal_parts_are_drawn_independently() -> None:
    part = Variational(Conditional(nn.Linear(8, 6), Gaussian()), StandardNormal(3))
    both = SideBySide([part, part])
    for noise in (Noise(0), RowNoise(0, "n", torch.arange(5))):
        _, (a, b) = both(torch.zeros(5, 8), noise=noise)
        assert not torch.isclose(a.z, b.z).any()


def test_side_by_side_in_its_three_passes() -> None:
    part = two_parts().eval()
    state, latents = part(n=6, noise=Noise(0))
    assert state.shape == (6, 7) and all(latent.q is not None for latent in latents)
    torch.testing.assert_close(state[:, 3:].sum(1), torch.ones(6))
    z = part.codes(latents)
    torch.testing.assert_close(part(z=z)[0], state)
    again, _ = part(z=[None, z[1]], noise=Noise(1))  # the other part is drawn for as many rows
    torch.testing.assert_close(again[:, 3:], state[:, 3:])
    assert not torch.isclose(again[:, :3], state[:, :3]).any()
    with pytest.raises(ValueError, match="3 latent values were given to 2 parts"):
        part(z=[*z, z[0]])
    with pytest.raises(ValueError, match="from two on"):
        SideBySide([part.parts[0]])
    path = part.between([t[:1] for t in z], [t[1:2] for t in z], torch.linspace(0, 1, 3))
    torch.testing.assert_close(path[0][1], (z[0][0] + z[0][1]) / 2)
    torch.testing.assert_close(path[1].sum(1), torch.ones(3))


def test_side_by_side_takes_a_prior_and_is_rebuilt() -> None:
    part, prior = two_parts(), StandardNormal(3)
    other = part.with_prior(prior)
    assert other.parts[0].prior is prior and other.parts[1] is part.parts[1]
    again = build(recipe(part))
    again.load_state_dict(part.state_dict())
    h = torch.randn(5, 8)
    torch.testing.assert_close(again(h, noise=Noise(3))[0], part(h, noise=Noise(3))[0])


def test_the_repr_is_the_formula() -> None:
    objective = Distortion() + DecomposedRate(total_correlation=6) + 2 * DIP1(1, 2) + DIP2(3, 4)
    assert repr(objective) == (
        "Distortion() + DecomposedRate(mutual_information=1, total_correlation=6, dimension=1) "
        "+ 2 * DIP1(off_diagonal=1, diagonal=2) + DIP2(off_diagonal=3, diagonal=4)"
    )
