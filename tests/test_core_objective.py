"""Objectives against the ELBO worked out by hand, NumPy, and each player's own gradient."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from vaekit.distributions import FullGaussian, Gaussian, Noise, RowNoise
from vaekit.objectives import (
    Capacity,
    Constrained,
    Distortion,
    ImportanceWeighted,
    Penalty,
    Rate,
    Schedule,
    Sum,
    Term,
    after,
    cyclical,
    linear,
)
from vaekit.objectives.multimodal import EachAlone
from vaekit.training import Adam, train


def mlp(net, x: np.ndarray) -> np.ndarray:
    """The MLP's arithmetic, in NumPy."""
    weights = [(w.weight.detach().numpy(), w.bias.detach().numpy()) for w in [*net.layers, net.last]]
    for w, b in weights[:-1]:
        x = x @ w.T + b
        x = x / (1 + np.exp(-x))
    return x @ weights[-1][0].T + weights[-1][1]


def posterior_by_hand(model, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    head = model.bottleneck.posterior.net
    params = mlp(model.encoder, x) @ head.weight.detach().numpy().T + head.bias.detach().numpy()
    mu, raw = np.split(params, 2, 1)
    return mu, 1e-4 + (1 - 1e-4) / math.log(2) * np.logaddexp(0, raw)


@pytest.mark.parametrize("samples", [1, 4])
def test_beta_one_is_the_elbo_in_nats_per_datum(likelihood, samples, gaussian_vae, rng) -> None:
    family = likelihood.make()
    if likelihood.name == "gaussian-per-dimension":
        family.scale.raw = nn.Parameter(torch.zeros(5))
    model = gaussian_vae(family).double()
    x = likelihood.data(rng, (6, 5))
    out = model(torch.tensor(x), samples=samples, noise=Noise(0, "elbo"))
    objective = Distortion() + 1.0 * Rate()
    mu, sigma = (np.repeat(t, samples, 0) for t in posterior_by_hand(model, x))
    z = mu + sigma * Noise(0, "elbo").normal((6 * samples, 3), torch.zeros((), dtype=torch.float64)).numpy()
    distortion = -likelihood.oracle(mlp(model.decoder.net, z), np.repeat(x, samples, 0)).sum(1)
    rate = 0.5 * (mu**2 + sigma**2 - 1 - 2 * np.log(sigma)).sum(1)
    np.testing.assert_allclose(out.distortion.detach(), distortion, rtol=1e-9)
    np.testing.assert_allclose(out.rate.detach(), rate, rtol=1e-9)
    assert float(objective(out, 0).detach()) == pytest.approx((distortion + rate).mean(), rel=1e-9)
    assert float((Distortion() + 4 * Rate())(out, 0).detach()) == pytest.approx(
        (distortion + 4 * rate).mean()
    )
    # log p(x, z) − log q(z | x), of the same draw
    log_p, log_q = -0.5 * z**2, -0.5 * ((z - mu) / sigma) ** 2 - np.log(sigma)
    np.testing.assert_allclose(out.log_weight.detach(), -distortion + (log_p - log_q).sum(1), rtol=1e-8)


def test_the_gradient_is_that_of_the_elbo(gaussian_vae) -> None:
    """Central differences of the loss, at the same draw."""
    model = gaussian_vae(spread=2.0).double()
    x = torch.randn(4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    objective = Distortion() + 2.5 * Rate(free=0.01)

    def loss() -> torch.Tensor:
        return objective(model(x, noise=Noise(0)), 0)

    parameters = [p for p in model.parameters() if p.numel()]
    gradients = torch.autograd.grad(loss(), parameters)
    with torch.no_grad():
        for p, g in zip(parameters, gradients, strict=True):
            place = int(g.abs().argmax())
            flat, step = p.view(-1), 1e-5
            flat[place] += step
            up = loss()
            flat[place] -= 2 * step
            down = loss()
            flat[place] += step
            assert float((up - down) / (2 * step)) == pytest.approx(
                float(g.view(-1)[place]), rel=1e-5, abs=1e-8
            )


FORMULAS = {
    "elbo": lambda: Distortion() + Rate(),
    "beta": lambda: Distortion() + 4 * Rate(),
    "free bits": lambda: Distortion() + Rate(free=0.3),
    "capacity": lambda: Distortion() + 100 * Capacity(linear(0, 25, 100)),
    "annealed": lambda: Distortion() + linear(0, 1, 10) * Rate(),
    "constrained": lambda: Rate() + Constrained(Distortion(), target=3),
    "penalty": lambda: Distortion() + Penalty(),
}


@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("full", [False, True])
def test_a_doubled_batch_has_the_same_loss_per_datum(name, weighted, samples, full, gaussian_vae) -> None:
    model = gaussian_vae(posterior=FullGaussian() if full else Gaussian(), spread=3.0).double()
    source = torch.Generator().manual_seed(0)
    x, rows = torch.randn(6, 5, generator=source, dtype=torch.float64), torch.arange(6)
    weight = torch.rand(6, generator=source, dtype=torch.float64) if weighted else None
    objective, losses, gradients = FORMULAS[name](), [], []
    for times in (1, 2, 3):
        w = None if weight is None else weight.repeat(times)
        noise = RowNoise(0, "d", rows.repeat(times))
        loss = objective(model(x.repeat(times, 1), samples=samples, noise=noise, weight=w), 5)
        losses.append(float(loss.detach()))
        gradients.append(torch.autograd.grad(loss, [*model.parameters()]))
    assert losses == pytest.approx([losses[0]] * 3, rel=1e-12)
    for one, many in zip(gradients[0], gradients[2], strict=True):
        torch.testing.assert_close(one, many, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.parametrize("samples", [1, 3])
def test_a_weight_counts_a_datum_that_often(name, samples, gaussian_vae) -> None:
    """Weights 2, 0, 1 are rows 0, 0, 2; and only their ratios matter."""
    model = gaussian_vae(spread=3.0).double()
    x = torch.randn(3, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    objective = FORMULAS[name]()

    def loss(rows: list[int], weight: list[float] | None) -> float:
        index = torch.tensor(rows)
        noise = RowNoise(0, "w", index)
        w = None if weight is None else torch.tensor(weight, dtype=torch.float64)
        return float(objective(model(x[index], samples=samples, noise=noise, weight=w), 5).detach())

    repeated = loss([0, 0, 2], None)
    assert loss([0, 1, 2], [2.0, 0.0, 1.0]) == pytest.approx(repeated, rel=1e-6)
    assert loss([0, 1, 2], [20.0, 0.0, 10.0]) == pytest.approx(repeated, rel=1e-6)


def test_the_rate_of_every_preset_has_a_gradient_by_default(preset, preset_for) -> None:
    if preset == "autoencoder":
        pytest.skip("has no rate")
    case = preset_for(preset)
    head = case.model.bottleneck.posterior.net
    with torch.no_grad():
        head.weight *= 20  # a posterior with more than its free bits
    (rate,) = [(w, t) for w, t in case.objective.parts() if not isinstance(t, Distortion)]
    weight = rate[0](max(1, case.objective.finish // 8)) if isinstance(rate[0], Schedule) else rate[0]
    final = rate[0](10**9) if isinstance(rate[0], Schedule) else rate[0]
    assert weight > 0 and final == (4 if preset == "beta_vae" else 1)
    out = case.model(case.x, case.c, noise=Noise(0))
    gradient = torch.autograd.grad(
        rate[1](out, 0).mean(), [*case.model.encoder.parameters(), head.weight, head.bias]
    )
    assert all(float(g.abs().max()) > 0 for g in gradient[-3:])
    assert float((gradient[-1] != 0).float().mean()) == 1  # location and scale of every dimension


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("free", [0.05, 0.5, 100.0])
def test_free_bits_against_numpy(weighted, free, gaussian_vae) -> None:
    model = gaussian_vae(spread=4.0).double()
    x = torch.randn(9, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    weight = torch.arange(9.0).double() if weighted else None
    out = model(x, noise=Noise(0), weight=weight)
    mu, sigma = posterior_by_hand(model, x.numpy())
    by_dimension = np.average(
        0.5 * (mu**2 + sigma**2 - 1 - 2 * np.log(sigma)), axis=0, weights=None if weight is None else weight
    )
    term = Rate(free=free)(out, 0)
    assert float(term.detach()) == pytest.approx(np.maximum(by_dimension, free).sum(), rel=1e-9)
    (gradient,) = torch.autograd.grad(term, model.bottleneck.posterior.net.bias)
    charged = gradient.view(2, 3).ne(0).all(0).numpy()
    np.testing.assert_array_equal(charged, by_dimension > free)
    assert {0.05: True, 0.5: None, 100.0: False}[free] in (None, bool(charged.any()))


@pytest.mark.parametrize("step", [0, 50, 1000])
def test_capacity_is_the_distance_of_the_mean_rate(step, gaussian_vae) -> None:
    model = gaussian_vae(spread=4.0)
    out = model(torch.randn(9, 5, generator=torch.Generator().manual_seed(3)), noise=Noise(0))
    rate = out.rate.detach().double().numpy()
    target = 2 * rate.mean() * min(step / 100, 1)
    value = Capacity(linear(0, 2 * rate.mean(), 100))(out, step)
    assert float(value.detach()) == pytest.approx(abs(rate.mean() - target), rel=1e-5, abs=1e-5)
    # not the mean of the rows' distances, which is what one finds in other code
    assert abs(rate - rate.mean()).mean() > 1e-2
    below = Capacity(linear(0, 1000, 1))(out, 5)
    (gradient,) = torch.autograd.grad(below, model.bottleneck.posterior.net.bias, retain_graph=True)
    (own,) = torch.autograd.grad(out.rate.mean(), model.bottleneck.posterior.net.bias)
    torch.testing.assert_close(gradient, -own)  # below its capacity the rate is pushed up


# --- formulas and schedules


def test_schedules_against_numpy() -> None:
    steps = np.arange(0, 60)
    np.testing.assert_allclose([linear(2, -1, 20)(s) for s in steps], np.interp(steps, [0, 20], [2, -1]))
    np.testing.assert_allclose([linear(0, 1, 0)(s) for s in (1, 2)], [1, 1])
    np.testing.assert_allclose([after(7)(s) for s in steps], steps >= 7)
    expected = [np.interp(s % 10, [0, 2.5, 10], [0, 1, 1]) if s < 30 else 1 for s in steps]
    np.testing.assert_allclose([cyclical(10, rise=0.25, periods=3)(s) for s in steps], expected)


@pytest.mark.parametrize(
    "schedule", [linear(0, 5, 30), cyclical(8, periods=3), after(4), 3.0 * (linear(1, 2, 9) * Rate())]
)
def test_nothing_changes_after_the_finish(schedule) -> None:
    finish = schedule.finish
    weight = schedule.parts()[0][0] if isinstance(schedule, Sum) else schedule
    late = [weight(finish + i) for i in range(40)]
    assert len(set(late)) == 1
    assert any(weight(s) != late[0] for s in range(finish))
    assert (Distortion() + linear(0, 1, 7) * Rate() + cyclical(5) * Rate()).finish == 20
    assert (Distortion() + Rate()).finish == 0


@pytest.mark.parametrize(
    ("objective", "written"),
    [
        (lambda: Distortion() + Rate(), "Distortion() + Rate()"),
        (lambda: Distortion() + 4.0 * Rate(), "Distortion() + 4 * Rate()"),
        (lambda: Distortion() + 0.25 * Rate(free=0.5), "Distortion() + 0.25 * Rate(free=0.5)"),
        (lambda: 2 * (Distortion() + 3 * Rate()), "2 * Distortion() + 6 * Rate()"),
        (lambda: Distortion() + linear(0, 1, 1000) * Rate(), "Distortion() + linear(0, 1, 1000) * Rate()"),
        (
            lambda: Distortion() + cyclical(100) * Rate(),
            "Distortion() + cyclical(100, rise=0.5, periods=4) * Rate()",
        ),
        (lambda: after(9) * Penalty(), "after(9) * Penalty()"),
        (lambda: 100 * Capacity(linear(0, 25, 9)), "100 * Capacity(linear(0, 25, 9))"),
        (lambda: Rate() + Constrained(Distortion(), 40), "Rate() + Constrained(Distortion(), 40)"),
        (lambda: Constrained(Distortion() + Rate(), 0.5), "Constrained(Distortion() + Rate(), 0.5)"),
    ],
)
def test_the_repr_is_the_formula(objective, written) -> None:
    assert repr(objective()) == written
    names = {
        t.__name__: t for t in (Distortion, Rate, Penalty, Capacity, Constrained, linear, cyclical, after)
    }
    assert repr(eval(written, names)) == written  # and can be typed


def test_formulas_add_and_scale(gaussian_vae) -> None:
    out = gaussian_vae()(torch.randn(4, 5, generator=torch.Generator().manual_seed(0)), noise=Noise(0))
    d, r = float(out.distortion.mean().detach()), float(out.rate.mean().detach())
    value = lambda term, step=0: pytest.approx(float(term(out, step).detach().mean()), rel=1e-5)  # noqa: E731
    a, b = 3 * Distortion(), Rate() + 2 * Rate()
    assert 3 * d + 3 * r == value(a + b)
    assert 6 * d + 6 * r == value(2 * (a + b))
    assert 3 * d + 3 * r == value(linear(0, 2, 10) * (a + b), 5)
    assert 1.5 * r == value(3 * (linear(0, 1, 10) * Rate()), 5)
    assert 0.25 * r == value(linear(0, 1, 10) * (linear(0, 1, 10) * Rate()), 5)
    assert value(after(3) * Rate(), 2) == 0


class Untouchable(Term):
    def forward(self, out, step):
        raise AssertionError("computed although its weight is 0")


def test_a_term_of_weight_zero_is_not_computed(gaussian_vae) -> None:
    out = gaussian_vae()(torch.zeros(2, 5), noise=Noise(0))
    (Distortion() + after(5) * Untouchable() + 0.0 * Untouchable())(out, 4)
    with pytest.raises(AssertionError):
        (Distortion() + after(5) * Untouchable())(out, 5)


class Many(Term):
    samples = 5

    def forward(self, out, step):
        return out.rate


def test_terms_that_ask_for_other_numbers_of_samples_are_refused() -> None:
    with pytest.raises(ValueError, match="samples"):
        Distortion() + Many()
    with pytest.raises(ValueError, match="samples"):
        Rate() + Constrained(Many(), 1.0)
    assert (2.0 * Many() + Many()).samples == 5
    assert Constrained(Many(), 1.0).samples == 5


def test_the_mean_takes_values_by_row_and_by_datum() -> None:
    class ByDatum(Term):
        def forward(self, out, step):
            return torch.tensor([1.0, 10.0])

    class ByRow(Term):
        def forward(self, out, step):
            return torch.tensor([1.0, 3.0, 10.0, 30.0])

    weight = torch.tensor([3.0, 3.0, 1.0, 1.0])  # each datum's, once for each of its two rows
    out = SimpleNamespace(x=torch.zeros(4, 1), weight=weight, samples=2)
    assert float((1.0 * ByDatum())(out, 0)) == pytest.approx((3 * 1 + 10) / 4)
    assert float((1.0 * ByRow())(out, 0)) == pytest.approx((3 * 2 + 20) / 4)


# --- players


class Leaky(Term):
    """A critic whose adversary does not detach: were gradients not routed by owner, it would move the encoder."""

    def __init__(self) -> None:
        super().__init__()
        self.critic = nn.Linear(3, 1)

    def forward(self, out, step):
        return self.critic(out.z).squeeze(1)

    def adversary(self, out, step):
        return -(self.critic(out.z).square() - out.distortion.unsqueeze(1) * self.critic(out.z)).mean()


@pytest.mark.parametrize("around", [lambda t: Constrained(t, 2.0), lambda t: EachAlone(t, [1, 2])])
def test_a_term_around_a_critic_hands_on_the_critic_loss(around, gaussian_vae) -> None:
    critic, model = Leaky(), gaussian_vae(spread=2.0)
    out = model(torch.randn(6, 5, generator=torch.Generator().manual_seed(0)), noise=Noise(0))
    own = torch.autograd.grad(critic.adversary(out, 0), list(critic.parameters()), retain_graph=True)
    handed = torch.autograd.grad(around(critic).adversary(out, 0), list(critic.parameters()))
    for a, b in zip(own, handed, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("formula", ["leaky", "geco", "both"])
def test_each_player_is_moved_by_its_own_loss_and_by_nothing_else(formula, gaussian_vae) -> None:
    model = gaussian_vae(spread=2.0).double()
    critic, geco = Leaky().double(), Constrained(Distortion(), target=2.0).double()
    with torch.no_grad():
        geco.raw += 0.03
    objective = {
        "leaky": lambda: Distortion() + 2.0 * Rate() + 3.0 * critic,
        "geco": lambda: Rate() + geco,
        "both": lambda: Rate() + geco + 0.5 * critic,
    }[formula]()
    players = objective.players(model)
    assert [p.name for p in players] == ["model", "objective"]
    assert {id(p) for p in players[0].parameters} == {id(p) for p in model.parameters()}
    assert {id(p) for p in players[1].parameters} == {id(p) for p in objective.parameters()}
    before = [[p.detach().clone() for p in player.parameters] for player in players]
    x, lr = torch.randn(6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0)), 1e-3
    [progress] = train(model, objective, x, steps=1, batch_size=6, lr=lr)
    after_step = [[p.detach().clone() for p in player.parameters] for player in players]

    # the losses written out from the weights before the step, at the draw that the step made
    with torch.no_grad():
        for player, old in zip(players, before, strict=True):
            for p, value in zip(player.parameters, old, strict=True):
                p.copy_(value)
    drawn, data = progress.out.latents[0], progress.out.x
    eps = ((drawn.z - drawn.q.loc) / drawn.q.scale).detach()
    q = model.bottleneck.posterior(model.encoder(data))
    z = q.loc + q.scale * eps
    d = -model.decoder(z).log_prob(data).sum(1)
    r = torch.distributions.kl_divergence(q, torch.distributions.Normal(0.0, 1.0)).sum(1).mean()
    score = critic.critic(z)
    against = -(score.square() - d.unsqueeze(1) * score).mean()
    d = d.mean()
    multiplier = geco.multiplier
    constraint = -multiplier * (d.detach() - 2.0)
    losses = {
        "leaky": (d + 2 * r + 3 * score.mean(), against),
        "geco": (r + multiplier.detach() * d, constraint),
        "both": (r + multiplier.detach() * d + 0.5 * score.mean(), constraint + against),
    }[formula]
    assert float(progress.loss) == pytest.approx(float(losses[0].detach()))
    for player, loss, moved in zip(players, losses, after_step, strict=True):
        gradients = torch.autograd.grad(loss, player.parameters, retain_graph=True)
        if player.name == "model":
            assert float(progress.gradient_norm) == pytest.approx(
                math.sqrt(sum(float(g.square().sum()) for g in gradients))
            )
        for p, g, new in zip(player.parameters, gradients, moved, strict=True):
            assert float(g.abs().max()) > 0
            expected = p.detach() - lr * g / (g.abs() + 1e-8)  # Adam's first step
            torch.testing.assert_close(new, expected, rtol=0, atol=lr * 1e-5)


def test_gradients_that_reach_a_player_are_those_of_its_own_loss(gaussian_vae) -> None:
    """The gradient itself, seen by the optimizer: Adam's first step knows only its sign."""
    seen = []

    class Recorder(Adam):
        def step(self, moments, gradients, lr, norm, bad) -> None:
            seen.append([g.clone() for g in gradients])

    model, critic = gaussian_vae(spread=2.0).double(), Leaky().double()
    objective = Distortion() + 3.0 * critic
    x = torch.randn(6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    [progress] = train(model, objective, x, steps=1, batch_size=6, optimizer=Recorder())
    drawn, data = progress.out.latents[0], progress.out.x
    eps = ((drawn.z - drawn.q.loc) / drawn.q.scale).detach()
    q = model.bottleneck.posterior(model.encoder(data))
    z = q.loc + q.scale * eps
    d, score = -model.decoder(z).log_prob(data).sum(1), critic.critic(z)
    losses = (d.mean() + 3 * score.mean(), -(score.square() - d.unsqueeze(1) * score).mean())
    for player, loss, found in zip(objective.players(model), losses, seen, strict=True):
        for g, wanted in zip(
            found, torch.autograd.grad(loss, player.parameters, retain_graph=True), strict=True
        ):
            torch.testing.assert_close(g, wanted)


def test_the_multiplier_rises_while_the_constraint_is_broken_and_falls_when_it_holds(gaussian_vae) -> None:
    x = torch.randn(16, 5, generator=torch.Generator().manual_seed(0))
    for target, sign in ((-1e9, 1), (1e9, -1)):
        term = Constrained(Distortion(), target=target)
        for _ in train(gaussian_vae(), Rate() + term, x, steps=3, batch_size=16):
            pass
        assert math.copysign(1, float(term.raw.detach())) == sign


def test_a_term_with_parameters_and_without_an_adversary_says_so(gaussian_vae) -> None:
    class Owner(Term):
        def __init__(self):
            super().__init__()
            self.net = nn.Linear(3, 1)

        def forward(self, out, step):
            return self.net(out.z).squeeze(1)

    with pytest.raises(NotImplementedError, match="Owner owns parameters"):
        next(train(gaussian_vae(), Distortion() + Owner(), torch.zeros(4, 5), steps=1))


def test_frozen_parameters_have_no_player(gaussian_vae) -> None:
    model, critic = gaussian_vae(), Leaky()
    for p in (*model.encoder.parameters(), critic.critic.bias):
        p.requires_grad_(False)
    before = {name: p.clone() for name, p in [*model.named_parameters(), *critic.named_parameters()]}
    for _ in train(model, Distortion() + Rate() + critic, torch.randn(8, 5), steps=3):
        pass
    for name, p in [*model.named_parameters(), *critic.named_parameters()]:
        assert torch.equal(p, before[name]) == (not p.requires_grad), name


# --- the importance-weighted bound


@pytest.mark.parametrize("samples", [1, 5])
@pytest.mark.parametrize("masked", [False, True])
def test_importance_weighted_is_the_log_of_the_mean_weight(samples, masked, gaussian_vae, rng) -> None:
    """By hand from the densities of each draw; with a mask, over what was observed alone."""
    model = gaussian_vae(Gaussian()).double()
    x = torch.tensor(rng.normal(size=(6, 5)))
    mask = torch.tensor(rng.random((6, 5)) < 0.6) if masked else None
    out = model(x, mask=mask, samples=samples, noise=Noise(0, "iwae"))
    seen = torch.ones(6 * samples, 5) if mask is None else mask.repeat_interleave(samples, 0)
    value = x.repeat_interleave(samples, 0)
    log_p = (torch.distributions.Normal(out.px.mean, out.px.stddev).log_prob(value) * seen).sum(1)
    z, q = out.latents[0].z, out.latents[0].q
    log_p = log_p + torch.distributions.Normal(0.0, 1.0).log_prob(z).sum(1) - q.log_prob(z).sum(1)
    by_hand = -log_p.detach().numpy().reshape(6, samples)
    top = by_hand.min(1, keepdims=True)
    expected = top[:, 0] - np.log(np.exp(top - by_hand).mean(1))
    np.testing.assert_allclose(ImportanceWeighted(samples)(out, 0).detach(), expected, rtol=1e-9)


def test_more_draws_are_nearer_to_the_likelihood(gaussian_vae, rng) -> None:
    model = gaussian_vae(Gaussian()).double()
    x = torch.tensor(rng.normal(size=(200, 5)))
    bounds = [
        ImportanceWeighted(k)(model(x, samples=k, noise=Noise(1, "iwae")), 0).mean().item()
        for k in (1, 5, 50)
    ]
    assert bounds[0] > bounds[1] > bounds[2]
    with pytest.raises(ValueError, match="one draw or more"):
        ImportanceWeighted(0)
