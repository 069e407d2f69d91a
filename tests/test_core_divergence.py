"""Distances of codes to the prior against double loops, closed forms and autograd's Jacobian."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import distributions as D
from torch import nn
from torch.nn import functional

from vaekit.bottlenecks import Deterministic, Latent
from vaekit.conditional import Conditional
from vaekit.data import Images, Vectors
from vaekit.distributions import Bernoulli, Gaussian, Noise, PointMass, log_prob
from vaekit.model import VAE
from vaekit.networks import MLP
from vaekit.objectives import Constrained, Distortion
from vaekit.objectives.adversarial_prior import AdversarialPrior
from vaekit.objectives.divergence import (
    MMD,
    CodeNorm,
    DecoderNorm,
    GradientPenalty,
    SlicedWasserstein,
    prior_draws,
)
from vaekit.presets.elbo import geco_vae
from vaekit.priors import StandardNormal
from vaekit.training import fit
from vaekit.training.train import _gradients


def codes_pass(z: torch.Tensor, p=None, **facts) -> SimpleNamespace:
    """What terms read of a pass, for codes without noise."""
    p = StandardNormal(z.shape[1]).to(z)() if p is None else p
    return SimpleNamespace(latents=[Latent(z, PointMass(z), p)], **{"weight": None, "samples": 1, **facts})


def autoencoder(prior: nn.Module | None = None, condition: int = 0) -> VAE:
    torch.manual_seed(0)
    decoder = MLP(3, 5, hidden=(12,), condition=condition)
    return VAE(MLP(5, 3, hidden=(12,)), Deterministic(prior), Conditional(decoder, Bernoulli()))


# --- kernels


def discrepancy_by_hand(z, p, scales, weight, samples) -> float:
    """Two loops over pairs, each pair of different data by the product of its weights."""
    n, d = z.shape
    kernel = lambda a, b: sum(2 * d * s / (2 * d * s + ((a - b) ** 2).sum()) for s in scales)  # noqa: E731
    codes = [
        (weight[i] * weight[j], kernel(z[i], z[j]))
        for i in range(n) for j in range(n) if i // samples != j // samples
    ]  # fmt: skip
    prior = [kernel(p[i], p[j]) for i in range(n) for j in range(n) if i != j]
    cross = [(weight[i], kernel(z[i], p[j])) for i in range(n) for j in range(n)]
    first = sum(w * k for w, k in codes) / sum(w for w, _ in codes)
    return first + np.mean(prior) - 2 * sum(w * k for w, k in cross) / sum(w for w, _ in cross)


@pytest.mark.parametrize("samples", [1, 2])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_discrepancy_against_two_loops(samples, weighted) -> None:
    z = torch.randn(8, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + 1
    weight = torch.arange(1.0, 9.0, dtype=torch.float64) if weighted else None
    out = codes_pass(z, weight=weight, samples=samples)
    torch.manual_seed(4)
    p = prior_draws(out.latents[0])
    torch.manual_seed(4)
    found = MMD(scales=(0.5, 2.0))(out, 0)
    by_hand = discrepancy_by_hand(
        z.numpy(), p.numpy(), (0.5, 2.0), np.ones(8) if weight is None else weight.numpy(), samples
    )
    assert float(found) == pytest.approx(by_hand, rel=1e-9)
    assert p.dtype == torch.float64 and p.shape == z.shape


def test_the_discrepancy_is_unbiased() -> None:
    torch.manual_seed(0)
    term = MMD()
    found = np.array([float(term(codes_pass(torch.randn(8, 4)), 0)) for _ in range(600)])
    assert abs(found.mean()) < 4 * found.std() / math.sqrt(len(found))
    assert found.min() < 0 < found.max()


def test_the_discrepancy_is_to_the_models_own_prior() -> None:
    torch.manual_seed(0)
    z = torch.randn(200, 2) * 0.5 + 3
    own = D.Normal(torch.tensor([3.0, 3.0]), torch.tensor([0.5, 0.5]))
    for term in (MMD(), SlicedWasserstein()):
        assert abs(float(term(codes_pass(z, own), 0))) < 0.05
        assert float(term(codes_pass(z), 0)) > 1
    # with a condition, of each row's own prior
    of_rows = D.Normal(torch.arange(200.0)[:, None].expand(200, 2), torch.full((200, 2), 1e-4))
    drawn = prior_draws(codes_pass(z, of_rows).latents[0])
    torch.testing.assert_close(drawn, of_rows.loc, atol=1e-2, rtol=0)
    coupled = D.MultivariateNormal(torch.zeros(2), torch.eye(2))
    assert prior_draws(codes_pass(z, coupled).latents[0]).shape == (200, 2)
    for term in (MMD(), SlicedWasserstein(), AdversarialPrior(MLP(2, 1))):
        bare = codes_pass(z)
        bare.latents[0].p = None
        with pytest.raises(ValueError, match="no prior"):
            term.adversary(bare, 0) if isinstance(term, AdversarialPrior) else term(bare, 0)


def test_one_datum_has_no_discrepancy() -> None:
    for n, samples in ((1, 1), (3, 3)):
        with pytest.raises(ValueError, match="two data or more"):
            MMD()(codes_pass(torch.zeros(n, 2), samples=samples), 0)


# --- slices


@pytest.mark.parametrize(
    ("shift", "scale"), [((0.0, 0.0, 0.0), 1.0), ((2.0, 0.0, 1.0), 1.0), ((0, 0, 0), 1.5)]
)
def test_sliced_distance_of_two_gaussians(shift, scale) -> None:
    """Along θ, W₂² of N(m, s²) and N(0, 1) is (θ·m)² + (s − 1)²; the mean of (θ·m)² is ‖m‖² / D."""
    torch.manual_seed(0)
    z = torch.randn(5_000, 3) * scale + torch.tensor(shift)
    expected = sum(m * m for m in shift) / 3 + (scale - 1) ** 2
    assert float(SlicedWasserstein(300)(codes_pass(z), 0)) == pytest.approx(expected, rel=0.15, abs=4e-3)


def test_sliced_distance_draws_rows_by_weight() -> None:
    torch.manual_seed(0)
    z = torch.randn(2000, 2)
    z[:1000] += 100
    weight = torch.cat([torch.zeros(1000), torch.ones(1000)])
    assert float(SlicedWasserstein()(codes_pass(z, weight=weight), 0)) < 0.1
    with pytest.raises(ValueError, match="one direction or more"):
        SlicedWasserstein(0)


@pytest.mark.parametrize("term", [MMD(), SlicedWasserstein(100)], ids=["mmd", "sliced"])
def test_the_gradient_brings_codes_to_the_prior(term) -> None:
    torch.manual_seed(0)
    z = (torch.randn(256, 3) * 0.3 + 1.5).requires_grad_()
    moves = torch.optim.SGD([z], lr=25.0)
    for _ in range(150):
        moves.zero_grad()
        term(codes_pass(z), 0).backward()
        moves.step()
    torch.testing.assert_close(z.mean(0), torch.zeros(3), atol=0.15, rtol=0)
    torch.testing.assert_close(z.std(0), torch.ones(3), atol=0.25, rtol=0)


# --- codes without noise


def test_code_norm_by_hand() -> None:
    z = torch.tensor([[1.0, 2.0], [0.0, 3.0]])
    out = codes_pass(z)
    out.latents.append(Latent(torch.ones(2, 1, 2), None, None))
    torch.testing.assert_close(CodeNorm()(out, 0), torch.tensor([3.5, 5.5]))


@pytest.mark.parametrize("condition", [0, 2])
def test_gradient_penalty_is_half_the_squared_jacobian(condition) -> None:
    model = autoencoder(condition=condition).double()
    x = torch.randn(2, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    c = torch.eye(2, dtype=torch.float64) if condition else None
    if condition:
        model.encoder = Unconditional(model.encoder)
        for p in model.decoder.net.films.parameters():  # they begin at zero
            nn.init.normal_(p)
    out = model(x, c, samples=20_000)
    torch.manual_seed(0)
    found = GradientPenalty()(out, 0).detach().view(2, -1)
    for i in range(2):
        z = model(x, c).state[i : i + 1].detach()
        own = None if c is None else c[i : i + 1]
        jacobian = torch.autograd.functional.jacobian(lambda t, own=own: model.decoder.net(t, own), z)
        expected = 0.5 * float(jacobian.square().sum())
        error = float(found[i].std() / math.sqrt(found.shape[1]))
        assert abs(float(found[i].mean()) - expected) < 4 * error
        assert error < 0.02 * expected


class Unconditional(nn.Module):
    """An encoder that is told a condition and does not use it."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
        return self.net(x)


def test_gradient_penalty_moves_the_decoder_alone() -> None:
    model = autoencoder()
    model.decoder.net = nn.Linear(3, 5)
    out = model(torch.randn(4000, 5, generator=torch.Generator().manual_seed(0)))
    torch.manual_seed(0)
    loss = GradientPenalty()(out, 0).mean()
    (slope,) = torch.autograd.grad(loss, model.decoder.net.weight, retain_graph=True)
    torch.testing.assert_close(slope, model.decoder.net.weight.detach(), atol=0.05, rtol=0.1)  # of ½ ‖W‖²
    assert torch.autograd.grad(loss, [*model.encoder.parameters()], allow_unused=True) == (None,) * 4
    with torch.no_grad():
        again = model(out.x)
        torch.manual_seed(0)
        still = GradientPenalty()(again, 0)
    assert not still.requires_grad
    torch.testing.assert_close(still.mean(), loss.detach(), rtol=1e-5, atol=0)


def test_gradient_penalty_says_what_it_needs() -> None:
    for out in (
        SimpleNamespace(model=SimpleNamespace(decoder=nn.Identity()), state=torch.zeros(2, 3), c=None),
        SimpleNamespace(model=autoencoder(), state=[torch.zeros(2, 3)], c=None),
    ):
        with pytest.raises(ValueError, match="needs a decoder that is a Conditional"):
            GradientPenalty()(out, 0)


def test_decoder_norm_is_of_the_decoders_weights_alone() -> None:
    model = autoencoder()
    out = model(torch.zeros(2, 5))
    net = model.decoder.net
    with torch.no_grad():
        net.last.bias.fill_(9.0)
    weights = [net.layers[0].weight, net.last.weight]
    expected = 0.5 * sum(float(w.detach().square().sum()) for w in weights)
    assert float(DecoderNorm()(out, 0).detach()) == pytest.approx(expected, rel=1e-6)
    with pytest.raises(ValueError, match="needs the model"):
        DecoderNorm()(SimpleNamespace(model=None), 0)


# --- the critic of codes


@pytest.mark.parametrize("weighted", [False, True])
def test_the_encoder_and_its_critic_each_follow_their_own_loss(weighted) -> None:
    model, critic = autoencoder(StandardNormal(3)), MLP(3, 1, hidden=(16,))
    objective = Distortion() + 7 * AdversarialPrior(critic)
    x = torch.rand(12, 5, generator=torch.Generator().manual_seed(2))
    weight = torch.rand(12, generator=torch.Generator().manual_seed(3)) if weighted else None
    share = torch.full((12,), 1 / 12) if weight is None else weight / weight.sum()
    told = functional.binary_cross_entropy_with_logits
    players = objective.players(model)
    torch.manual_seed(5)
    out = model(x, weight=weight, noise=Noise(0))
    found = {player.name: _gradients(player, players, out, 0)[1] for player in players}

    out = model(x, weight=weight, noise=Noise(0))
    deceived = told(critic(out.z)[:, 0], torch.ones(12), reduction="none")
    own = (share * (out.distortion + 7 * deceived)).sum()
    torch.testing.assert_close(found["model"], [*torch.autograd.grad(own, [*model.parameters()])])

    torch.manual_seed(5)
    drawn = prior_draws(out.latents[0])
    codes = told(critic(out.z.detach())[:, 0], torch.zeros(12), share, reduction="sum")
    loss = codes + told(critic(drawn)[:, 0], torch.ones(12))
    torch.testing.assert_close(found["objective"], [*torch.autograd.grad(loss, [*critic.parameters()])])
    assert (
        not objective.adversary(model(x), 0).requires_grad
        or torch.autograd.grad(objective.adversary(model(x), 0), [*model.parameters()], allow_unused=True)
        == (None,) * 8
    )


def test_an_adversary_brings_codes_to_the_prior() -> None:
    model, x = (
        autoencoder(StandardNormal(3)),
        torch.randn(512, 5, generator=torch.Generator().manual_seed(0)) * 2,
    )
    with torch.no_grad():
        model.encoder.last.bias += 2.0

    def distance() -> float:
        torch.manual_seed(1)
        return float(MMD()(model(x), 0).detach())

    before = distance()
    fit(model, 1.0 * AdversarialPrior(MLP(3, 1, hidden=(32, 32))), x, steps=300, batch_size=128, lr=3e-3)
    assert before > 1 and distance() < 0.15 * before


# --- the tolerance of GECO


@pytest.mark.parametrize("kind", [Images(1, 4, 4), Vectors(6)], ids=["images", "vectors"])
@pytest.mark.parametrize("missing", [False, True])
def test_the_constraint_is_met_where_the_error_is_the_tolerance(kind, missing) -> None:
    model, objective = geco_vae(kind, latent=3, tolerance=0.5)
    (constraint,) = [term for _, term in objective.parts() if isinstance(term, Constrained)]
    error = 0.15 if kind.name == "images" else 0.5
    p = model.decoder(torch.zeros(2, 3))
    mean = p.mean.detach()
    mask = torch.rand(mean.shape, generator=torch.Generator().manual_seed(0)) < 0.5 if missing else None
    for factor, sign in ((1.0, 0), (1.01, 1), (0.99, -1)):
        x = mean + factor * error
        distortion = -log_prob(p, x, mask).flatten(1).sum(1).detach()
        excess = (
            constraint.term(SimpleNamespace(x=x, mask=mask, distortion=distortion), 0) - constraint.target
        )
        if sign == 0:
            torch.testing.assert_close(excess, torch.zeros(2), atol=1e-3, rtol=0)
        else:
            assert bool((sign * excess > 0).all())


def test_the_repr_is_the_formula() -> None:
    objective = (
        Distortion() + 2 * MMD((1.0, 2.5)) + SlicedWasserstein() + CodeNorm() + 0.5 * GradientPenalty()
    )
    assert repr(objective) == (
        "Distortion() + 2 * MMD(scales=(1, 2.5)) + SlicedWasserstein(projections=50) + CodeNorm() "
        "+ 0.5 * GradientPenalty()"
    )
    assert Gaussian().discrete is False  # the family of real values, whose codes these terms are about
