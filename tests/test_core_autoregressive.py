"""Chain-rule distributions: causal networks, probabilities that sum to one, samplers that follow them."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from scipy import stats
from torch import nn

from vaekit.distributions import MEAN, Bernoulli, DiscretizedLogisticMixture, Gaussian, Noise, Optimal
from vaekit.distributions.autoregressive import Autoregressive, ChainRule
from vaekit.distributions.reduce import center, draw, rows, tempered
from vaekit.networks.pixel import PixelNetwork
from vaekit.networks.sequence import CausalTransformer, RecurrentDecoder, RecurrentEncoder
from vaekit.recipes import build, recipe

LEVELS, LENGTH = 3, 4


def rough(net: nn.Module, seed: int = 0) -> nn.Module:
    """The network in float64 with weights so large that its probabilities are far from even."""
    source = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in net.parameters():
            p.copy_(torch.randn(p.shape, generator=source) * (0.7 if p.dim() > 1 else 0.3))
    return net.double().eval()


def recurrent() -> nn.Module:
    return rough(RecurrentDecoder(LEVELS, context=2, width=8))


def transformer() -> nn.Module:
    return rough(CausalTransformer(LEVELS, LENGTH, context=2, width=8, depth=2, heads=2))


TOKENS = {"recurrent": recurrent, "transformer": transformer}


def every(levels: int, length: int) -> torch.Tensor:
    return torch.tensor(list(itertools.product(range(levels), repeat=length)), dtype=torch.float64)


@pytest.mark.parametrize("name", TOKENS)
def test_a_token_changes_what_is_said_of_later_ones_and_of_no_others(name) -> None:
    net, x = TOKENS[name](), torch.zeros(1, LENGTH)
    context = torch.ones(1, 2, dtype=torch.float64)
    before = net(x, context)
    assert before.shape == (1, LENGTH, LEVELS)
    for t in range(LENGTH):
        changed = x.clone()
        changed[0, t] = 2
        apart = (net(changed, context) - before).detach().abs().amax((0, 2))
        assert bool((apart[: t + 1] == 0).all()), t
        assert bool((apart[t + 1 :] > 1e-6).all()), t
    assert bool(((net(x, 2 * context) - before).abs().amax((0, 2)) > 1e-6).all())  # every place is told


@pytest.mark.parametrize("channels", [1, 3])
def test_a_pixel_changes_later_ones_alone(channels) -> None:
    net = rough(PixelNetwork(channels, 2, context=3, width=6, side=5, depth=2))
    x, context = torch.rand(1, channels, 6, 7).double(), torch.rand(1, 3, 6, 7).double()
    before = net(x, context)
    order = torch.arange(42).view(6, 7)
    for i, j in itertools.product(range(6), range(7)):
        changed = x.clone()
        changed[..., i, j] += 1
        apart = (net(changed, context) - before).detach().abs().amax((0, 1))  # (6, 7)
        assert bool((apart[order <= order[i, j]] == 0).all()), (i, j)
        assert j == 6 or float(apart[i, j + 1]) > 1e-9, "its right neighbour hears it"
        assert i == 5 or float(apart[i + 1, j]) > 1e-9, "and the one below"
        far = (torch.arange(6).view(-1, 1) - i > net.reach) | ((torch.arange(7) - j).abs() > net.reach)
        assert bool((apart[far] == 0).all()), "no farther than it says"


@pytest.mark.parametrize("end", [None, 0, 2])
@pytest.mark.parametrize("name", TOKENS)
def test_probabilities_of_all_sequences_sum_to_one(name, end) -> None:
    x = every(LEVELS, LENGTH)
    p = Autoregressive(TOKENS[name](), torch.ones(len(x), 2).double(), (LENGTH,), end=end)
    if end is not None:  # the sequences that there are: after the end nothing but itself
        ended = (x == end).cumsum(1)
        x = x[((ended == 0) | (x == end)).all(1)]
        p = Autoregressive(p.net, torch.ones(len(x), 2).double(), (LENGTH,), end=end)
        assert len(x) == sum((LEVELS - 1) ** n for n in range(LENGTH + 1))
    with torch.no_grad():
        terms = p.log_prob(x)
    assert terms.shape == x.shape
    assert float(terms.sum(1).exp().sum()) == pytest.approx(1, abs=1e-12)
    assert float(terms.sum(1).exp().max()) > 2 / len(x)  # and they are not simply even


def test_the_chain_is_the_product_of_what_the_network_says() -> None:
    net, x = recurrent(), torch.tensor([[2.0, 1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]])
    context = torch.randn(2, 2, dtype=torch.float64)
    by_hand = net(x, context).detach().log_softmax(2)
    terms = Autoregressive(net, context, (LENGTH,), end=0).log_prob(x).detach()
    for row, length in ((0, 3), (1, 2)):  # tokens up to and including the end
        for t in range(LENGTH):
            expected = float(by_hand[row, t, int(x[row, t])]) if t < length else 0.0
            assert float(terms[row, t]) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("end", [None, 0])
@pytest.mark.parametrize("name", TOKENS)
def test_draws_are_as_frequent_as_probable(name, end) -> None:
    n, length = 20_000, 3
    net = TOKENS[name]().float()
    context = torch.ones(1, 2)
    drawn, _ = draw(Autoregressive(net, context.expand(n, -1), (length,), end=end), Noise(3, "test"))
    x = every(LEVELS, length).float()
    with torch.no_grad():
        p = Autoregressive(net, context.expand(len(x), -1), (length,), end=end).log_prob(x).sum(1).exp()
    if end is not None:
        p = torch.where((((x == 0).cumsum(1) == 0) | (x == 0)).all(1), p, 0.0)
    place = (drawn * torch.tensor([9, 3, 1])).sum(1).long()
    counts = torch.bincount(place, minlength=27)
    assert int(counts[p == 0].sum()) == 0, "nothing after the end"
    there = p > 0
    share = p[there].double()
    found = stats.chisquare(counts[there].numpy(), (n * share / share.sum()).numpy())
    assert found.pvalue > 1e-3


@pytest.mark.parametrize("name", TOKENS)
def test_the_way_from_place_to_place_says_what_the_whole_pass_says(name) -> None:
    net, x = TOKENS[name](), every(LEVELS, LENGTH)[::7]
    context = torch.randn(len(x), 2, dtype=torch.float64)
    whole, ask = net(x, context), net.walker(context)
    for t in range(LENGTH):
        seen = x.clone()
        seen[:, t:] = 0  # what is not drawn yet
        torch.testing.assert_close(ask(seen, (t,)), whole[:, t : t + 1], rtol=1e-10, atol=1e-12)


def test_the_way_from_pixel_to_pixel_says_what_the_whole_pass_says() -> None:
    net = rough(PixelNetwork(1, 2, context=3, width=6, side=3, depth=2))
    x, context = torch.rand(2, 1, 9, 8).double(), torch.rand(2, 3, 9, 8).double()
    whole, ask = net(x, context), net.walker(context)
    for i, j in itertools.product(range(9), range(8)):
        torch.testing.assert_close(ask(x, (i, j)), whole[..., i : i + 1, j : j + 1], rtol=1e-10, atol=1e-12)


def test_bits_of_a_picture_sum_to_one_and_are_drawn_as_probable() -> None:
    net = rough(PixelNetwork(1, 1, context=2, width=6, side=3, depth=1)).float()
    family = ChainRule(net, (1, 2, 3), Bernoulli())
    x = every(2, 6).view(-1, 1, 2, 3).float()
    context = torch.rand(1, 2, 2, 3, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        p = family(context.expand(64, -1, -1, -1)).log_prob(x).flatten(1).sum(1).exp()
        drawn, _ = draw(family(context.expand(20_000, -1, -1, -1)), Noise(0, "bits"))
    assert float(p.sum()) == pytest.approx(1, abs=1e-5)
    place = (drawn.flatten(1) @ torch.tensor([32.0, 16, 8, 4, 2, 1])).long()
    keep = 20_000 * p > 5
    counts = torch.bincount(place, minlength=64)
    observed, expected = counts[keep].double(), 20_000 * p[keep].double()
    rest = torch.stack([20_000 - observed.sum(), 20_000 - expected.sum()])
    observed, expected = torch.cat([observed, rest[:1]]), torch.cat([expected, rest[1:]])
    assert (
        stats.chisquare(observed.numpy(), (expected * observed.sum() / expected.sum()).numpy()).pvalue > 1e-3
    )


def test_greedy_takes_the_most_probable_value_after_those_before_it() -> None:
    net, context = recurrent(), torch.randn(6, 2, dtype=torch.float64)
    p = Autoregressive(net, context, (LENGTH,), end=0)
    best = center(p)
    assert bool((best == center(p)).all()) and bool((draw(p, MEAN)[0] == best).all())
    logits = net(best, context)
    for row in range(6):
        ended = False
        for t in range(LENGTH):
            assert int(best[row, t]) == (0 if ended else int(logits[row, t].argmax()))
            ended |= int(best[row, t]) == 0
    bits = ChainRule(rough(PixelNetwork(1, 1, context=2, width=4)).float(), (1, 3, 3), Bernoulli())
    assert set(center(bits(torch.rand(4, 2, 3, 3))).unique().tolist()) <= {0.0, 1.0}


def test_the_same_noise_draws_the_same_and_another_one_does_not() -> None:
    p = Autoregressive(recurrent(), torch.ones(50, 2).double(), (LENGTH,), end=0)
    first, again, other = (draw(p, Noise(seed, "s"))[0] for seed in (1, 1, 2))
    assert bool((first == again).all()) and bool((first != other).any())


def test_rows_and_temperature_of_an_unconditional_prior() -> None:
    net = rough(CausalTransformer(LEVELS, LENGTH, width=8, depth=1, heads=2))
    p = Autoregressive(net, None, (LENGTH,))
    assert p.batch_shape == (LENGTH,) and rows(p, 5).batch_shape == (5, LENGTH)
    assert draw(rows(p, 5), Noise(0))[0].shape == (5, LENGTH)
    x = every(LEVELS, LENGTH)
    cold = tempered(rows(p, len(x)), 0.5)
    with torch.no_grad():
        expected = (2 * net(x, None)).log_softmax(2).gather(2, x.long().unsqueeze(2)).squeeze(2)
        torch.testing.assert_close(cold.log_prob(x), expected)
    assert tempered(p, 1.0) is p
    with pytest.raises(ValueError, match="context"):
        Autoregressive(recurrent(), torch.ones(2, 2), (LENGTH,)).expand((3, LENGTH))


def test_words_are_hidden_while_training_only_and_never_the_first_step() -> None:
    net = RecurrentDecoder(LEVELS, context=2, width=8, dropout=1.0)
    a, b, c = torch.zeros(1, LENGTH), torch.ones(1, LENGTH), torch.ones(1, 2)
    assert bool((net.train()(a, c) == net(b, c)).all()), "all are hidden: what they are makes no difference"
    assert bool((net.eval()(a, c) != net(b, c))[:, 1:].all())
    torch.testing.assert_close(net.train()(a, c)[:, 0], net.eval()(a, c)[:, 0])
    half = RecurrentDecoder(LEVELS, context=2, width=8, dropout=0.5)
    torch.manual_seed(0)
    first, second = half(b, c), half(b, c)
    torch.manual_seed(0)
    assert bool((first == half(b, c)).all()) and bool((first != second).any())
    with pytest.raises(ValueError, match="share"):
        RecurrentDecoder(3, dropout=1.5)


def test_the_encoder_reads_to_the_first_end_and_no_farther() -> None:
    net = RecurrentEncoder(5, 6, width=8)
    x = torch.tensor([[1.0, 2.0, 0.0, 0.0, 0.0]])
    other = torch.tensor([[1.0, 2.0, 0.0, 4.0, 3.0]])
    assert bool((net(x) == net(other)).all())
    torch.testing.assert_close(net(x[:, :3]), net(x))
    assert bool((net(x) != net(torch.tensor([[1.0, 0.0, 0.0, 0.0, 0.0]]))).any())
    full = torch.tensor([[1.0, 2.0, 3.0]])  # a line without an end is read whole
    assert bool((net(full) != net(torch.tensor([[1.0, 2.0, 4.0]]))).any())


def test_the_gradient_reaches_the_context_from_every_place() -> None:
    family = ChainRule(RecurrentDecoder(LEVELS, context=2, width=8), (LENGTH,))
    for t in range(LENGTH):
        context = torch.ones(3, 2, requires_grad=True)
        family(context).log_prob(torch.zeros(3, LENGTH))[:, t].sum().backward()
        assert float(context.grad.abs().min()) > 0


def test_families_of_pixels_and_what_they_cannot_be() -> None:
    inner = DiscretizedLogisticMixture(16, 2)
    family = ChainRule(PixelNetwork(1, inner.size(1), context=3, width=4), (1, 4, 4), inner)
    assert family.size(1) == 3 and family.discrete
    p = family(torch.zeros(2, 3, 4, 4))
    assert p.log_prob(torch.zeros(2, 1, 4, 4)).shape == (2, 1, 4, 4) and center(p).shape == (2, 1, 4, 4)
    again = build(recipe(family))
    assert again.shape == (1, 4, 4) and again.family.levels == 16
    assert not ChainRule(PixelNetwork(1, 2, 3), (1, 4, 4), Gaussian()).discrete
    with pytest.raises(ValueError, match="batch"):
        ChainRule(PixelNetwork(1, 1, 3), (1, 4, 4), Gaussian(Optimal()))
    with pytest.raises(ValueError, match="categories"):
        Autoregressive(PixelNetwork(1, 1), None, (1, 4, 4), Bernoulli(), end=0)


def test_what_networks_refuse() -> None:
    with pytest.raises(ValueError, match="at most 4"):
        CausalTransformer(3, 4, width=8, heads=2)(torch.zeros(1, 5))
    with pytest.raises(ValueError, match="divide"):
        CausalTransformer(3, 4, width=10, heads=4)
    with pytest.raises(ValueError, match="odd"):
        PixelNetwork(1, 1, side=4)


def test_networks_begin_near_even_probabilities() -> None:
    x = torch.randint(0, 20, (50, 9), generator=torch.Generator().manual_seed(0)).float()
    for net in (RecurrentDecoder(20), CausalTransformer(20, 9)):
        with torch.no_grad():
            p = Autoregressive(net, None, (9,), rows=50).log_prob(x)
        assert float(-p.mean()) == pytest.approx(math.log(20), rel=0.05)
