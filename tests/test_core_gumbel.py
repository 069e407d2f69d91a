"""The Gumbel-softmax against enumeration, torch's relaxed categories and Monte Carlo."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from torch import distributions as D
from torch import nn

from vaekit.bottlenecks import Variational
from vaekit.conditional import Conditional
from vaekit.data import Images, Vectors
from vaekit.distributions import Bernoulli, Noise, center, draw, kl, right, rows, spread, tempered
from vaekit.distributions.gumbel import GumbelSoftmax, OneHot, hard
from vaekit.model import VAE
from vaekit.objectives import Distortion, ImportanceWeighted, Rate
from vaekit.operations import embed, line, log_likelihood, traverse
from vaekit.presets.discrete import gumbel_vae
from vaekit.priors.codes import UniformOneHot
from vaekit.recipes import build, recipe
from vaekit.training import train


def logits(*shape: int, seed: int = 0) -> torch.Tensor:
    return 1.5 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def values(groups: int, levels: int) -> torch.Tensor:
    """Every value, (levels ^ groups, groups · levels)."""
    chosen = torch.tensor(list(itertools.product(range(levels), repeat=groups)))
    return nn.functional.one_hot(chosen, levels).double().flatten(1)


def test_the_kl_is_that_of_the_categories() -> None:
    q, p = OneHot(logits(6, 2, 4), 0.67), OneHot(logits(6, 2, 4, seed=1))
    expected = D.kl_divergence(D.Categorical(logits=q.logits), D.Categorical(logits=p.logits))
    torch.testing.assert_close(kl(q, p), expected)
    uniform = UniformOneHot(2, 4).double()()
    torch.testing.assert_close(kl(q, uniform), math.log(4) - q.entropy())
    hard_q = OneHot(q.logits)
    z = torch.stack([draw(hard_q, Noise(0, "kl", step))[0] for step in range(4_000)])
    found = hard_q.log_prob(z) - p.log_prob(z)  # (4000, 6, 2)
    error = (found.mean(0) - expected) / (found.std(0) / 4_000**0.5)
    assert float(error.abs().max()) < 4


def test_masses_sum_to_one_and_give_the_moments() -> None:
    q = OneHot(logits(2, 3))
    every = values(2, 3)
    mass = right(q.log_prob(every)).exp()
    assert float(mass.sum()) == pytest.approx(1)
    mean = mass @ every
    torch.testing.assert_close(q.mean, mean)
    torch.testing.assert_close(spread(q).square(), mass @ (every - mean).square())
    torch.testing.assert_close(q.entropy().sum(), -(mass * mass.log()).sum())
    assert torch.equal(center(q), every[int(mass.argmax())])


def test_hard_draws_have_the_categories_frequencies() -> None:
    q = OneHot(logits(1, 2, 3).expand(4_000, 2, 3))
    z = draw(q, Noise(0))[0]
    assert set(z.unique().tolist()) == {0.0, 1.0} and (z.unflatten(1, (2, 3)).sum(-1) == 1).all()
    expected = 4_000 * q.mean[0]
    statistic = ((z.sum(0) - expected).square() / expected).sum()
    assert float(statistic) < 18.5  # chi-square, 4 degrees, 0.1 %


@pytest.mark.parametrize("temperature", [0.3, 1.0])
def test_relaxed_draws_are_those_of_torch(temperature) -> None:
    from scipy.stats import ks_2samp

    one = logits(1, 3)
    torch.manual_seed(0)
    theirs = D.RelaxedOneHotCategorical(torch.tensor(temperature), logits=one).sample((3_000,))[:, 0]
    own = draw(OneHot(one.expand(3_000, 1, 3), temperature), Noise(0))[0]
    torch.testing.assert_close(own.sum(1), torch.ones(3_000, dtype=torch.float64))
    for place in range(3):
        assert ks_2samp(own[:, place].numpy(), theirs[:, place].numpy()).pvalue > 1e-3


def test_relaxed_draws_pass_a_gradient_and_are_hard_in_evaluation() -> None:
    family, params = GumbelSoftmax(3, temperature=0.5), logits(4, 6).requires_grad_()
    z = draw(family.train()(params), Noise(0))[0]
    g = -(-Noise(0).uniform((4, 2, 3), params).log()).log()
    by_hand = ((params.view(4, 2, 3) + g) / 0.5).softmax(-1).flatten(1)
    torch.testing.assert_close(z, by_hand)
    weight = logits(4, 6, seed=2)
    found = torch.autograd.grad((weight * z).sum(), params)[0]
    torch.testing.assert_close(found, torch.autograd.grad((weight * by_hand).sum(), params)[0])
    assert torch.equal(draw(family.eval()(params), Noise(0))[0], hard(params.view(4, 2, 3) + g).flatten(1))
    with pytest.raises(ValueError, match="temperature"):
        GumbelSoftmax(3, temperature=0.0)


def test_relaxed_latents_have_no_likelihood_weight() -> None:
    torch.manual_seed(0)
    model, objective = gumbel_vae(Vectors(5), latent=2, levels=3)
    x = torch.randn(6, 5)
    out = model.train()(x)
    assert torch.isfinite(objective(out, 0))
    with pytest.raises(ValueError, match=r"model\.eval\(\)"):
        out.log_weight  # noqa: B018
    with pytest.raises(ValueError, match="no likelihood weight"):
        ImportanceWeighted(3)(model(x, samples=3), 0)
    assert torch.isfinite(model.eval()(x).log_weight).all()


def test_the_bound_and_the_likelihood_against_enumeration() -> None:
    """log p(x) = log Σ_z p(z) p(x | z), over all 9 values of two categories."""
    torch.manual_seed(0)
    head = Conditional(nn.Linear(4, 6), GumbelSoftmax(3))
    decoder = Conditional(nn.Linear(6, 4), Bernoulli())
    model = VAE(nn.Identity(), Variational(head, UniformOneHot(2, 3)), decoder).double().eval()
    x = (torch.rand(3, 4) < 0.5).double()
    every = values(2, 3)
    given = torch.stack([right(decoder(every).log_prob(one.expand(9, 4))) for one in x])  # (3, 9)
    exact = given.logsumexp(1) - math.log(9)
    q = torch.stack([right(OneHot(one).log_prob(every)) for one in head(x).logits]).exp()  # (3, 9)
    elbo = (q * (given - math.log(9) - q.log())).sum(1)
    out = model(x, samples=3_000, noise=Noise(0))
    bound, elbo = (-out.distortion - out.rate).view(3, -1).detach(), elbo.detach()
    assert float(((bound.mean(1) - elbo) / (bound.std(1) / 3_000**0.5)).abs().max()) < 4
    assert (elbo < exact).all()
    found = log_likelihood(model, x, samples=4_000)
    np.testing.assert_allclose(found.detach(), exact.detach(), atol=0.05)
    assert out.latents[0].kl.shape == (9_000, 2)


def test_the_prior_as_others_use_it() -> None:
    prior = UniformOneHot(2, 3)
    assert prior(torch.zeros(4, 9)).mean.shape == (4, 6) and rows(prior(), 4).mean.shape == (4, 6)
    z = draw(rows(prior(), 3_000), Noise(0))[0]
    assert float(((z.sum(0) - 1_000).square() / 1_000).sum()) < 18.5
    p = OneHot(logits(2, 3))
    torch.testing.assert_close(tempered(p, 0.5).mean, (2 * p.logits).softmax(-1).flatten())
    assert tempered(p, 1.0) is p


def test_any_numbers_settle_on_one_hot_vectors() -> None:
    prior = UniformOneHot(3, 2)
    z = torch.tensor([[0.1, 0.9, 5.0, 3.0, -1.0, -2.0]])
    assert prior.settle(z).tolist() == [[0, 1, 1, 0, 1, 0]]
    start, end = torch.tensor([[1.0, 0, 1, 0, 1, 0]]), torch.tensor([[0.0, 1, 1, 0, 0, 1]])
    way = prior.between(start, end, torch.linspace(0, 1, 3))
    assert way.tolist() == [[1, 0, 1, 0, 1, 0], [0, 1, 1, 0, 1, 0], [0, 1, 1, 0, 0, 1]]


@pytest.mark.parametrize("kind", [Images(1, 6, 5), Vectors(5, missing=True)], ids=repr)
def test_the_preset_trains_walks_and_comes_back(kind) -> None:
    torch.manual_seed(0)
    model, objective = gumbel_vae(kind, latent=2, levels=3)
    assert repr(objective) == repr(Distortion() + Rate())
    x = torch.rand(64, *kind.shape)
    before = {key: t.clone() for key, t in model.state_dict().items()}
    for _ in train(model, objective, x, steps=3, batch_size=16):
        pass
    assert not [key for key, p in model.named_parameters() if torch.equal(p, before[key])]
    model.eval()
    z = model.encode(x[:2])
    assert torch.equal(z, model.encode(x[:2])) and torch.equal(hard(z.view(2, 2, 3)).flatten(1), z)
    assert model.sample(3).shape == line(model, z[:1], z[1:], 3).shape == (3, *kind.shape)
    assert traverse(model, z[:1], [0, 4], 4).shape == (2, 4, *kind.shape)
    mean, std, each = embed(model, x[:2])
    assert mean.shape == std.shape == each.shape == (2, 6)
    torch.testing.assert_close(each.sum(1), model(x[:2]).rate)
    copy = build(recipe(model)).eval()
    copy.load_state_dict(model.state_dict())
    torch.testing.assert_close(center(copy.decode(z)), center(model.decode(z)))
