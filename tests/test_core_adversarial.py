"""Critics: whose gradient goes where, with which sign, against torch.autograd.grad of each player's own loss."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from vaekit.data import Images, Vectors
from vaekit.distributions import Noise, center
from vaekit.networks.critic import Critic
from vaekit.objectives import Distortion, Rate, after
from vaekit.objectives.adversarial import (
    Adversarial,
    Balanced,
    DecoderOnly,
    FeatureMatching,
    last_weights,
    still,
)
from vaekit.objectives.game import Hinge, NonSaturating
from vaekit.presets import sigma_vae
from vaekit.presets.adversarial import adversarial_vae, vae_gan
from vaekit.recipes import build, recipe
from vaekit.training import Adam, fit, train
from vaekit.training.train import _gradients

GAMES = {"hinge": Hinge(), "non-saturating": NonSaturating()}
KINDS = {"images": Images(1, 9, 8), "vectors": Vectors(6)}


def data(rng: np.random.Generator, kind: Any, n: int = 12) -> Tensor:
    shape = (n, *kind.shape)
    return torch.tensor(
        rng.random(shape) if kind.name == "images" else rng.standard_normal(shape), dtype=torch.float32
    )


def passed(rng: np.random.Generator, kind: Any = KINDS["vectors"], **options: Any) -> Any:
    """A pass of a small model, and its critic."""
    torch.manual_seed(0)
    model = sigma_vae(kind, latent=3).model
    return model(data(rng, kind), noise=Noise(0, "pass"), **options), Critic(kind.shape, width=4)


def gradients(loss: Tensor, parameters: Any) -> list[Tensor]:
    return list(torch.autograd.grad(loss, list(parameters), retain_graph=True, allow_unused=True))


def same(found: list[Tensor], expected: list[Tensor]) -> None:
    assert any(t is not None and bool(t.any()) for t in expected)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, torch.zeros_like(a) if b is None else b, rtol=1e-4, atol=1e-7)


# ------------------------------------------------------------------------------------------------------------ critic


@pytest.mark.parametrize(
    ("shape", "hidden"), [((3, 9, 14), [(4, 5, 7), (8, 3, 4), (16, 2, 2)]), ((5,), [(32,)] * 3)]
)
def test_critic_scores_items_one_by_one(shape: tuple, hidden: list, rng: np.random.Generator) -> None:
    critic = build(recipe(Critic(shape, width=4)))
    x = torch.tensor(rng.standard_normal((6, *shape)), dtype=torch.float32)
    assert [tuple(h.shape[1:]) for h in critic.features(x)] == hidden
    assert critic(x).shape == (6,)
    np.testing.assert_allclose(critic(x)[2:3].detach(), critic(x[2:3]).detach(), rtol=1e-4, atol=1e-6)
    assert not any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in critic.modules())


# --------------------------------------------------------------------------------------------------------- the games


def test_games_by_hand() -> None:
    real, fake = torch.tensor([2.0, 0.5]), torch.tensor([-3.0, 0.5])
    np.testing.assert_allclose(Hinge().critic(real, fake), [0, 0.5 + 1.5])
    np.testing.assert_allclose(Hinge().model(fake), [3, -0.5])
    odds = NonSaturating()
    expected = -(functional.logsigmoid(real) + torch.log(1 - torch.sigmoid(fake)))
    np.testing.assert_allclose(odds.critic(real, fake), expected, rtol=1e-5)
    np.testing.assert_allclose(odds.model(fake), -functional.logsigmoid(fake), rtol=1e-5)


@pytest.mark.parametrize("game", GAMES)
@pytest.mark.parametrize("kind", KINDS)
def test_model_and_critic_pull_in_opposite_directions(game: str, kind: str, rng: np.random.Generator) -> None:
    """A step of the model raises its items' scores; a step of the critic raises the data's over theirs."""
    out, critic = passed(rng, KINDS[kind])
    term = Adversarial(critic, GAMES[game])
    score = critic(center(out.px)).mean()
    model = [p for p in out.model.parameters() if p.requires_grad]
    upwards = gradients(score, model)
    downwards = gradients(term(out, 0).mean(), model)
    assert sum(float((a * b).sum()) for a, b in zip(upwards, downwards, strict=True) if a is not None) < 0
    pushed = gradients(critic(center(out.px).detach()).mean(), critic.parameters())
    own = gradients(term.adversary(out, 0), critic.parameters())
    real = gradients(critic(out.x).mean(), critic.parameters())
    difference = [a - b for a, b in zip(real, pushed, strict=True)]
    assert sum(float((a * b).sum()) for a, b in zip(difference, own, strict=True)) < 0


@pytest.mark.parametrize("kind", KINDS)
def test_each_player_moves_by_its_own_loss_alone(kind: str, rng: np.random.Generator) -> None:
    out, critic = passed(rng, KINDS[kind])
    objective = Distortion() + Rate() + 3.0 * Adversarial(critic) + 0.5 * FeatureMatching(critic)
    players = objective.players(out.model)
    assert [p.name for p in players] == ["model", "objective"]
    assert {id(p) for p in players[1].parameters} == {id(p) for p in critic.parameters()}
    fake = center(out.px)
    features = zip(critic.features(out.x), critic.features(fake), strict=True)
    matched = sum(0.5 * (a.detach() - b).square().sum() / len(fake) for a, b in features)
    loss = out.distortion.mean() + out.rate.mean() - 3 * critic(fake).mean() + 0.5 * matched
    expected = gradients(loss, players[0].parameters)
    judged = functional.relu(1 - critic(out.x)) + functional.relu(1 + critic(fake.detach()))
    critics = gradients(judged.mean(), players[1].parameters)
    found = {player.name: _gradients(player, players, out, 0)[1] for player in players}
    same(found["model"], expected)
    same(found["objective"], critics)


def test_larsens_encoder_is_not_trained_by_the_critic(rng: np.random.Generator) -> None:
    out, critic = passed(rng)
    term = Adversarial(critic, NonSaturating(), DecoderOnly())
    torch.manual_seed(5)
    value = term(out, 0)
    encoder = [*out.model.encoder.parameters(), *out.model.bottleneck.parameters()]
    assert all(g is None or not g.any() for g in gradients(value.mean(), encoder))
    torch.manual_seed(5)
    drawn = out.model.bottleneck(n=12, noise=Noise(int(torch.randint(2**62, ()))))[0]
    fakes = [center(out.model.likelihood(z)) for z in (out.z.detach(), drawn)]
    expected = torch.stack([functional.softplus(-critic(x)) for x in fakes]).mean(0)
    np.testing.assert_allclose(value.detach(), expected.detach(), rtol=1e-5)
    decoder = [p for p in out.model.decoder.parameters() if p.requires_grad]
    same(gradients(value.mean(), decoder), gradients(expected.mean(), decoder))
    torch.manual_seed(5)
    judged = [functional.softplus(-critic(out.x)) + functional.softplus(critic(x.detach())) for x in fakes]
    np.testing.assert_allclose(
        term.adversary(out, 0).detach(), torch.stack(judged).mean().detach(), rtol=1e-5
    )
    out.state = [out.state]
    with pytest.raises(ValueError, match="Reconstructions"):
        term(out, 0)


def test_the_critic_sees_no_gradient_of_the_model_and_the_other_way_round(rng: np.random.Generator) -> None:
    out, critic = passed(rng)
    for fakes in (None, DecoderOnly()):
        term = Adversarial(critic, fakes=fakes, penalty=1.0)
        model = [p for p in out.model.parameters() if p.requires_grad]
        assert all(g is None for g in gradients(term.adversary(out, 0), model))
        assert all(g is None for g in gradients(term(out, 0).mean(), critic.parameters()))
    assert all(p.requires_grad for p in critic.parameters())  # it is trainable again
    with pytest.raises(RuntimeError), still(critic):
        raise RuntimeError
    assert all(p.requires_grad for p in critic.parameters())


def test_the_penalty_is_the_squared_slope_at_the_data(rng: np.random.Generator) -> None:
    out, critic = passed(rng)
    x = out.x.clone().requires_grad_()
    slopes = torch.stack([torch.autograd.grad(critic(x)[i], x)[0][i] for i in range(len(x))])
    extra = Adversarial(critic, penalty=10.0).adversary(out, 0) - Adversarial(critic).adversary(out, 0)
    np.testing.assert_allclose(extra.detach(), 5 * slopes.square().sum(1).mean(), rtol=1e-4)
    assert any(g is not None and bool(g.any()) for g in gradients(extra, critic.parameters()))


def test_what_was_not_observed_is_the_same_to_the_critic(rng: np.random.Generator) -> None:
    kind = KINDS["vectors"]
    x = data(rng, kind)
    mask = torch.tensor(rng.random(x.shape) < 0.7)
    torch.manual_seed(0)
    model = sigma_vae(kind, latent=3).model
    critic = Critic(kind.shape, width=4)
    found = []
    for hidden in (torch.nan, 7.0):
        out = model(torch.where(mask, x, hidden), mask=mask, noise=Noise(0, "pass"))
        terms = Adversarial(critic), FeatureMatching(critic)
        losses = [term(out, 0).detach() for term in terms]
        found.append(torch.cat([*losses, terms[0].adversary(out, 0).detach()[None]]))
    np.testing.assert_array_equal(*found)
    assert torch.isfinite(found[0]).all()


def test_nothing_is_judged_before_the_start(rng: np.random.Generator) -> None:
    out, critic = passed(rng)
    term = Adversarial(critic, start=5)
    assert not term(out, 4).any() and bool(term(out, 5).any())
    assert float(term.adversary(out, 4).detach()) == 0 and float(term.adversary(out, 5).detach()) > 0
    assert all(not g.any() for g in gradients(term.adversary(out, 4), critic.parameters()))


# -------------------------------------------------------------------------------------------------- feature matching


def test_frozen_features_pass_the_gradient_and_stay(rng: np.random.Generator) -> None:
    """Neither without gradient for the model, nor trained."""
    out, _ = passed(rng)
    net = nn.Sequential(nn.Linear(6, 9), nn.Tanh()).requires_grad_(False)
    term = FeatureMatching(net)
    expected = (net(out.x) - net(center(out.px))).square().sum(1) / 2
    np.testing.assert_allclose(term(out, 0).detach(), expected.detach(), rtol=1e-5)
    parameters = [p for p in out.model.parameters() if p.requires_grad]
    same(gradients(term(out, 0).mean(), parameters), gradients(expected.mean(), parameters))
    objective = Distortion() + Rate() + term
    assert [p.name for p in objective.players(out.model)] == ["model"]
    before = [p.clone() for p in net.parameters()]
    fit(out.model, objective, out.x, steps=3)
    assert all(bool((p == old).all()) for p, old in zip(net.parameters(), before, strict=True))
    with pytest.raises(ValueError, match="nothing would train this Linear"):
        FeatureMatching(nn.Linear(6, 2))


def test_duplicating_the_batch_leaves_every_loss(rng: np.random.Generator) -> None:
    out, critic = passed(rng)
    twice = out.model(out.x, samples=2, noise=Noise(1, "twice"))
    again = [t.repeat_interleave(2, 0) for t in (out.x, out.px.loc)]
    twice.x, twice.px = again[0], torch.distributions.Normal(again[1], 1.0)
    for term in (Adversarial(critic), FeatureMatching(critic)):
        np.testing.assert_allclose(term(twice, 0).mean().detach(), term(out, 0).mean().detach(), rtol=1e-5)
    one = Adversarial(critic)
    np.testing.assert_allclose(one.adversary(twice, 0).detach(), one.adversary(out, 0).detach(), rtol=1e-5)


# ---------------------------------------------------------------------------------------------------------- balance


def test_balanced_gradient_is_a_share_of_the_distortions(rng: np.random.Generator) -> None:
    out, critic = passed(rng, KINDS["images"])
    for scale in (1.0, 1e-4):
        term = Balanced(scale * Adversarial(critic), share=0.25)
        weights = last_weights(out)
        assert weights is out.model.decoder.net.last.weight
        (own,) = gradients(term(out, 0), [weights])
        (other,) = gradients(out.distortion.mean(), [weights])
        assert float(own.norm() / other.norm()) == pytest.approx(0.25, rel=1e-4)
        (plain,) = gradients(Adversarial(critic)(out, 0).mean(), [weights])
        assert float(functional.cosine_similarity(own.flatten(), plain.flatten(), 0)) == pytest.approx(
            1, abs=1e-5
        )
    assert float(term.adversary(out, 0).detach()) == float(Adversarial(critic).adversary(out, 0).detach())
    assert repr(term) == "Balanced(0.0001 * Adversarial(Hinge()), share=0.25)"


# ---------------------------------------------------------------------------------------------------------- presets


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("adversarial", [vae_gan, adversarial_vae])
def test_every_player_of_the_presets_is_stepped(
    adversarial: Any, kind: str, rng: np.random.Generator
) -> None:
    torch.manual_seed(0)
    model, objective = adversarial(KINDS[kind], latent=3, start=2, width=4)
    assert objective.finish == 2
    parts = [p for p in (*model.parameters(), *objective.parameters()) if p.requires_grad]
    before = [p.detach().clone() for p in parts]
    first = list(objective.parameters())[0]
    for progress in train(model, objective, data(rng, KINDS[kind]), steps=15, optimizer=Adam(1e-2)):
        critic_moved = bool((first != before[-len(list(objective.parameters()))]).any())
        assert critic_moved == (progress.step > 2)
    assert float(progress.state.skipped) == 0
    assert all(bool((p != old).any()) for p, old in zip(parts, before, strict=True))
    assert "Adversarial(" in repr(objective) and "FeatureMatching(Critic)" in repr(objective)


def test_a_critic_after_the_start_only(rng: np.random.Generator) -> None:
    """Until then the model is trained exactly as without one."""
    found = []
    for critic in (False, True):
        torch.manual_seed(0)
        model = sigma_vae(KINDS["vectors"], latent=3).model
        objective = Distortion() + Rate()
        if critic:
            objective = objective + after(3) * Adversarial(Critic((6,), width=4), start=3)
        fit(model, objective, data(np.random.default_rng(0), KINDS["vectors"]), steps=3)
        found.append([p.detach() for p in model.parameters()])
    assert all(bool((a == b).all()) for a, b in zip(*found, strict=True))
