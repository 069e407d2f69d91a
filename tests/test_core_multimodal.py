"""Experts, mixtures and products against closed forms; parts that are missing; objectives of several parts."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal, kl_divergence

from vaekit import presets
from vaekit.bottlenecks import Variational
from vaekit.bottlenecks.experts import MixtureOfExperts, MixtureOfProducts, ProductOfExperts
from vaekit.conditional import Conditional
from vaekit.data import Images, Parts, Vectors
from vaekit.data.classes import Classes
from vaekit.distributions import Bernoulli, DiscretizedLogistic, Gaussian, Noise, center, draw, kl
from vaekit.distributions import Categorical as Categories
from vaekit.distributions.experts import Mixed, Product
from vaekit.distributions.flattened import FlatFamily
from vaekit.model import VAE
from vaekit.networks.parts import EachPart, SideBySideDecoder
from vaekit.objectives import Distortion, ImportanceWeighted, Rate
from vaekit.objectives.multimodal import BalancedDistortion, EachAlone, ExpertRates
from vaekit.persistence import load, save
from vaekit.priors import StandardNormal

PRESETS = (presets.multimodal_poe, presets.multimodal_moe, presets.mopoe, presets.mvtcae)
WIDTHS = (2, 1, 3)


def some_experts(rng, rows: int = 5, dim: int = 2, count: int = 3) -> list[Normal]:
    made = [(rng.normal(size=(rows, dim)), rng.uniform(0.3, 2.0, (rows, dim))) for _ in range(count)]
    return [Normal(torch.tensor(loc), torch.tensor(scale)) for loc, scale in made]


def some_kind() -> Parts:
    return Parts({"point": Vectors(2), "class": Classes(4), "picture": Images(1, 3, 3)})


def some_batch(kind: Parts, rows: int = 6, seed: int = 0):
    rng = np.random.default_rng(seed)
    values = {
        "point": rng.normal(size=(rows, 2)),
        "class": rng.integers(0, 4, rows),
        "picture": rng.integers(0, 256, (rows, 3, 3)).astype(np.uint8),
    }
    return kind.encode(kind.store(values))


def only(kind: Parts, rows: int, *names: str) -> torch.Tensor:
    mask = torch.zeros(rows, sum(kind.widths), dtype=torch.bool)
    for name in names:
        mask[:, kind.place(name)] = True
    return mask


def linear_heads(dim: int = 2, features: int = 4) -> list[nn.Module]:
    heads = [Conditional(nn.Linear(features, 2 * dim), Gaussian()) for _ in WIDTHS]
    for head in heads:
        nn.init.normal_(head.net.weight)
        nn.init.normal_(head.net.bias)
    return [head.double() for head in heads]


def features(rng, present: list[list[int]]) -> list[torch.Tensor]:
    rows = len(present)
    return [
        torch.tensor(present, dtype=torch.float64),
        *(torch.tensor(rng.normal(size=(rows, 4))) for _ in WIDTHS),
    ]


# --- products


@pytest.mark.parametrize("precision", [0.0, 1.0, 2.5])
def test_a_product_is_the_normalised_product_of_its_experts(rng, precision) -> None:
    """On a grid: the product of the densities, divided by its integral."""
    experts = some_experts(rng, rows=4, dim=1)
    present = torch.tensor([[1, 1, 1], [1, 0, 1], [0, 1, 0], [0, 0, 1]]).double()
    q = Product(experts, present, precision)
    z = torch.linspace(-12, 12, 4001, dtype=torch.float64)
    for row in range(4):
        log_p = -0.5 * precision * z**2
        for m, expert in enumerate(experts):
            if present[row, m]:
                log_p = log_p + Normal(expert.loc[row], expert.scale[row]).log_prob(z)
        p = log_p.exp() / (log_p.exp().sum() * (z[1] - z[0]))
        found = Normal(q.loc[row], q.scale[row]).log_prob(z).exp()
        np.testing.assert_allclose(found, p, atol=1e-9)


def test_a_product_of_nothing_is_the_prior(rng) -> None:
    experts, nothing = some_experts(rng), torch.zeros(5, 3)
    for precision in (0.0, 1.0):
        q = Product(experts, nothing, precision)
        assert torch.equal(q.loc, torch.zeros(5, 2, dtype=q.loc.dtype)) and bool((q.scale == 1).all())


def test_a_product_has_the_closed_form_kl_of_a_gaussian(rng) -> None:
    q = Product(some_experts(rng), torch.ones(5, 3), 1.0)
    found = kl(q, Normal(torch.zeros(5, 2).double(), 1.0))
    assert torch.allclose(found, 0.5 * (q.loc**2 + q.scale**2 - 1 - 2 * q.scale.log()))


# --- mixtures


def some_mixed(rng, rows: int = 5, count: int = 4, dim: int = 3) -> tuple[Mixed, MixtureSameFamily]:
    weights = torch.tensor(rng.dirichlet(np.ones(count), rows))
    loc, scale = (
        torch.tensor(rng.normal(size=(rows, count, dim))),
        torch.tensor(rng.uniform(0.2, 2, (rows, count, dim))),
    )
    oracle = MixtureSameFamily(Categorical(probs=weights), Independent(Normal(loc, scale), 1))
    return Mixed(weights, loc, scale), oracle


def test_a_mixture_is_torchs(rng) -> None:
    q, oracle = some_mixed(rng)
    z = torch.tensor(rng.normal(size=(5, 3)))
    np.testing.assert_allclose(q.log_prob(z), oracle.log_prob(z), rtol=1e-12)
    np.testing.assert_allclose(q.mean, oracle.mean, rtol=1e-12)
    np.testing.assert_allclose(q.variance, oracle.variance, rtol=1e-12)
    assert kl(q, Normal(torch.zeros(5, 3), 1.0)) is None  # no closed form: a sample of it


def test_draws_of_a_mixture_fit_its_density(rng) -> None:
    weights, loc, scale = (
        torch.tensor([0.0, 0.2, 0.5, 0.3, 0.0]),
        torch.tensor([99.0, -3, 0, 4, 99]),
        torch.tensor([1, 0.5, 1, 0.3, 1]),
    )
    many = Mixed(*(t.expand(20_000, *t.shape) for t in (weights, loc.unsqueeze(1), scale.unsqueeze(1))))
    z = draw(many, Noise(0))[0][:, 0].double().numpy()

    def cdf(x: np.ndarray) -> np.ndarray:
        parts = zip(weights.tolist(), loc.tolist(), scale.tolist(), strict=True)
        return sum(w * stats.norm.cdf(x, m, s) for w, m, s in parts)

    assert stats.kstest(z, cdf).pvalue > 1e-3


def test_the_gradient_of_a_mixture_is_that_of_its_expectation() -> None:
    """d/dθ E_q[f(z)], f(z) = Σ z³, in closed form; the weights are given."""
    loc = torch.tensor([[[0.5, -1.0], [1.0, 0.3]]], dtype=torch.float64, requires_grad=True)
    weights, scale = torch.tensor([[0.25, 0.75]], dtype=torch.float64), torch.full((1, 2, 2), 0.7).double()
    rows = 40_000
    q = Mixed(*(t.expand(rows, -1, *t.shape[2:]) for t in (weights, loc, scale)))
    each = draw(q, Noise(0))[0].pow(3).sum(1)
    (found,) = torch.autograd.grad(each.mean(), loc)
    exact = weights.unsqueeze(2) * 3 * (loc**2 + scale**2)  # d E[z³] / d μ = 3 (μ² + σ²)
    np.testing.assert_allclose(found, exact.detach(), rtol=0.06)


# --- how experts are brought together


PRESENT = [[1, 1, 1], [1, 0, 1], [0, 1, 0], [0, 0, 0]]


def test_a_mixture_of_experts_counts_those_that_are_there(rng) -> None:
    heads, h = linear_heads(), features(rng, PRESENT)
    q = MixtureOfExperts(heads)(h)
    z = torch.tensor(rng.normal(size=(4, 2)))
    each = torch.stack([head(part).log_prob(z).sum(1) for head, part in zip(heads, h[1:], strict=True)], 1)
    prior = Normal(0.0, 1.0).log_prob(z).sum(1)
    exact = [
        each[0].logsumexp(0) - math.log(3),
        torch.logaddexp(each[1, 0], each[1, 2]) - math.log(2), each[2, 1], prior[3],
    ]  # fmt: skip
    np.testing.assert_allclose(q.log_prob(z).detach(), torch.stack(exact).detach(), rtol=1e-9)


def test_a_mixture_of_products_takes_every_set_of_parts_that_are_there(rng) -> None:
    """1/S Σ over the 7, 3, 1 sets; each product normalised by hand."""
    heads, h = linear_heads(), features(rng, PRESENT)
    q = MixtureOfProducts(heads)(h)
    z = torch.tensor(rng.normal(size=(4, 2)))
    experts = [head(part) for head, part in zip(heads, h[1:], strict=True)]
    for row, there in enumerate(PRESENT[:3]):
        places = [m for m in range(3) if there[m]]
        sets = [s for size in range(1, 4) for s in combinations(places, size)]
        logs = []
        for s in sets:
            precision = sum(experts[m].scale[row] ** -2 for m in s)
            loc = sum(experts[m].loc[row] * experts[m].scale[row] ** -2 for m in s) / precision
            logs.append(Normal(loc, precision**-0.5).log_prob(z[row]).sum())
        exact = torch.stack(logs).logsumexp(0) - math.log(len(sets))
        assert float(q.log_prob(z)[row].detach()) == pytest.approx(float(exact.detach()), rel=1e-9)


@pytest.mark.parametrize("combine", [ProductOfExperts, MixtureOfExperts, MixtureOfProducts])
def test_what_an_absent_expert_would_say_changes_nothing(rng, combine) -> None:
    q = combine(linear_heads())
    h = features(rng, PRESENT)
    other = [h[0], *(torch.where(h[0][:, m : m + 1] == 1, part, 1e3) for m, part in enumerate(h[1:]))]
    z = torch.tensor(rng.normal(size=(4, 2)))
    terms = [q(each).log_prob(z).detach() for each in (h, other)]
    np.testing.assert_allclose(*terms, rtol=1e-12)


def test_no_gradient_reaches_an_absent_expert(rng) -> None:
    for combine in (ProductOfExperts, MixtureOfExperts, MixtureOfProducts):
        heads = linear_heads()
        q = combine(heads)(features(rng, [[1, 0, 1]] * 4))
        (q.log_prob(torch.zeros(4, 2)).sum() + draw(q, Noise(0))[0].sum()).backward()
        assert bool((heads[1].net.weight.grad == 0).all()) and bool((heads[0].net.weight.grad != 0).any())


# --- networks and families side by side


@pytest.mark.parametrize(
    ("family", "shape", "values"),
    [
        (Gaussian(), (2, 3, 4), lambda rng, s: rng.normal(size=s)),
        (Bernoulli(), (1, 5, 5), lambda rng, s: rng.integers(0, 2, s)),
        (DiscretizedLogistic(16), (3, 2, 2), lambda rng, s: rng.integers(0, 16, s) / 15),
        (Categories(5), (4,), lambda rng, s: rng.integers(0, 5, s)),
    ],
)
def test_a_flattened_family_says_what_the_family_says(rng, family, shape, values) -> None:
    flat, rows = FlatFamily(family, shape), 3
    plain = torch.tensor(rng.normal(size=(rows, family.size(shape[0]), *shape[1:])))
    x = torch.tensor(values(rng, (rows, *shape)), dtype=torch.float64)
    assert flat.size(math.prod(shape)) == plain[0].numel() and flat.discrete == family.discrete
    p, q = family(plain), flat(plain.flatten(1))
    assert torch.equal(q.log_prob(x.flatten(1)), p.log_prob(x).flatten(1))
    assert torch.equal(center(q), center(p).flatten(1))
    assert torch.equal(draw(q, Noise(0))[0], draw(p, Noise(0))[0].flatten(1))


def test_each_part_meets_its_own_network(rng) -> None:
    nets = [nn.Linear(2, 3), nn.Sequential(nn.Flatten(), nn.Linear(4, 3))]
    x = torch.tensor(rng.normal(size=(5, 6)), dtype=torch.float32)
    mask = torch.ones(5, 6, dtype=torch.bool)
    mask[1, :2] = mask[2, 2:] = False
    present, first, second = EachPart([[2], [1, 2, 2]], nets)(x, mask=mask)
    assert present.tolist() == [[1, 1], [0, 1], [1, 0], [1, 1], [1, 1]]
    assert torch.equal(first, nets[0](x[:, :2])) and torch.equal(second, nets[1](x[:, 2:].view(5, 1, 2, 2)))
    both = SideBySideDecoder(nets[:1] * 2)(x[:, :2])
    assert torch.equal(both, torch.cat([first, first], 1))


# --- models


@pytest.mark.parametrize("made", PRESETS)
def test_a_missing_part_is_never_seen_and_its_expert_is_absent(made) -> None:
    """Whatever stands where the mask says nothing is there, NaN too: the same pass, and the same gradient."""
    kind = some_kind()
    model, objective = made(kind, latent=2)
    batch = some_batch(kind)
    mask = torch.ones_like(batch.x, dtype=torch.bool)
    mask[:3, kind.place("class")] = mask[1, kind.place("picture")] = mask[4, kind.place("point")] = False
    losses, gradients = [], []
    for filler in (0.0, 77.0, math.nan):
        x = torch.where(mask, batch.x, filler)
        torch.manual_seed(0)
        loss = objective(model(x, None, mask), 0)
        losses.append(float(loss.detach()))
        gradients.append(torch.autograd.grad(loss, list(model.parameters()), allow_unused=True))
    assert losses[0] == losses[1] == losses[2] and math.isfinite(losses[0])
    for first, *others in zip(*gradients, strict=True):
        assert first is None or all(torch.equal(first, other) for other in others)
    alone = only(kind, 6, "point")
    q = model.posterior(batch.x, None, alone)[0].q
    changed = batch.x.clone()
    changed[:, 2:] = 1.0
    assert torch.equal(q.mean, model.posterior(changed, None, alone)[0].q.mean)


def test_one_part_alone_is_its_expert() -> None:
    kind = some_kind()
    batch = some_batch(kind)
    for preset, precision in (
        (presets.multimodal_poe, 1.0),
        (presets.multimodal_moe, 0.0),
        (presets.mopoe, 0.0),
    ):
        model, _ = preset(kind, latent=2)
        posterior, place = model.bottleneck.posterior, kind.place("picture")
        expert = posterior.heads[2](model.encoder.nets[2](batch.x[:, place].unflatten(1, (1, 3, 3))))
        q = model.posterior(batch.x, None, only(kind, 6, "picture"))[0].q
        total = expert.scale**-2 + precision
        assert torch.allclose(q.mean, expert.loc * expert.scale**-2 / total, atol=1e-6)
        assert torch.allclose(q.variance, 1 / total, atol=1e-6)


def test_the_distortion_is_the_sum_of_the_parts() -> None:
    kind = some_kind()
    model, _ = presets.mopoe(kind, latent=2)
    batch = some_batch(kind)
    out = model(batch.x, noise=Noise(0))
    values = dict(zip(kind.parts, batch.x.split(kind.widths, 1), strict=True))
    total = torch.zeros(6)
    for (name, part), net, flat in zip(
        kind.parts.items(), model.decoder.net.nets, model.decoder.family.families, strict=True
    ):
        p = flat.family(net(out.state))
        total = total - p.log_prob(values[name].unflatten(1, part.shape)).flatten(1).sum(1)
    assert torch.allclose(out.distortion, total, rtol=1e-5)


def small_model(combine, dim: int = 2) -> VAE:
    """Three real parts, linear networks, unit noise: every number can be worked out."""
    torch.manual_seed(0)
    encoder = EachPart([[w] for w in WIDTHS], [nn.Linear(w, 4) for w in WIDTHS])
    part = Variational(combine(linear_heads(dim)), StandardNormal(dim))
    return VAE(encoder.double(), part, Conditional(nn.Linear(dim, 2 * sum(WIDTHS)), Gaussian())).double()


@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_each_part_alone_is_the_bound_of_that_part_alone(rng, samples, weighted) -> None:
    """−ELBO(x) + Σ_m −ELBO(x_m), each worked out apart on the rows that have the part, in the mean over all rows."""
    model = small_model(ProductOfExperts)
    x = torch.tensor(rng.normal(size=(5, 6)))
    mask = torch.ones(5, 6, dtype=torch.bool)
    mask[0, 2] = mask[1, 2] = mask[1, :2] = False
    weight = torch.tensor([1.0, 2.0, 0.5, 1.0, 3.0]).double() if weighted else torch.ones(5).double()
    term = ImportanceWeighted(samples) if samples > 1 else Distortion() + Rate()
    torch.manual_seed(1)
    out = model(x, None, mask, samples=samples, weight=weight if weighted else None)
    found = EachAlone(term, WIDTHS)(out, 0)

    def bound(each: torch.Tensor) -> torch.Tensor:
        """(5,), of the parts that `each` says are there."""
        out = model(x, None, each, samples=samples)
        log_weight = out.log_weight.view(5, samples)
        return math.log(samples) - log_weight.logsumexp(1) if samples > 1 else out.distortion + out.rate

    torch.manual_seed(1)
    exact = weight * bound(mask)
    for m, width in enumerate(WIDTHS):
        each = torch.zeros_like(mask)
        each[:, sum(WIDTHS[:m]) : sum(WIDTHS[:m]) + width] = True
        each &= mask
        exact = exact + weight * torch.where(each.any(1), bound(each), 0.0)
    assert float(found.detach()) == pytest.approx(float((exact.sum() / weight.sum()).detach()), rel=1e-9)


def test_duplicating_the_batch_leaves_each_alone_unchanged_where_a_part_is_missing(rng) -> None:
    model = small_model(ProductOfExperts)
    x, mask = torch.tensor(rng.normal(size=(4, 6))), torch.ones(4, 6, dtype=torch.bool)
    mask[0, :2] = False
    term = EachAlone(Rate(), WIDTHS)
    nothing = torch.zeros_like(mask)  # no part at all: no term, and no division by nothing
    with torch.no_grad():
        twice = term(model(x.repeat(2, 1), None, mask.repeat(2, 1)), 0)
        assert float(twice) == pytest.approx(float(term(model(x, None, mask), 0)), rel=1e-12)
        assert float(term(model(x, None, nothing), 0)) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("balance", [0.0, 0.5, 1.0])
def test_a_balanced_distortion_weighs_parts_by_their_width(rng, balance) -> None:
    model = small_model(MixtureOfExperts)
    x, mask = torch.tensor(rng.normal(size=(4, 6))), torch.ones(4, 6, dtype=torch.bool)
    mask[0, 2] = False
    out = model(x, None, mask)
    terms = torch.where(mask, out.px.log_prob(x), 0.0)
    weights = [(3 / width) ** balance for width in WIDTHS]
    exact = -sum(w * part.sum(1) for w, part in zip(weights, terms.split(WIDTHS, 1), strict=True))
    found = BalancedDistortion(WIDTHS, balance)(out, 0)
    assert torch.allclose(found, exact)
    if balance == 0:
        assert torch.allclose(found, out.distortion)


def test_expert_rates_are_the_divergences_from_each_expert(rng) -> None:
    model = small_model(lambda heads: ProductOfExperts(heads, 0.0))
    x, mask = torch.tensor(rng.normal(size=(4, 6))), torch.ones(4, 6, dtype=torch.bool)
    mask[0, 2] = False
    out = model(x, None, mask)
    q = out.latents[0].q
    each = torch.stack([kl_divergence(Normal(q.loc, q.scale), expert).sum(1) for expert in q.experts], 1)
    exact = (each * torch.tensor([[1.0, 0, 1], [1, 1, 1], [1, 1, 1], [1, 1, 1]])).sum(1)
    assert torch.allclose(ExpertRates()(out, 0), exact)
    with pytest.raises(ValueError, match="product"):
        ExpertRates()(small_model(MixtureOfExperts)(x), 0)


def test_mvtcae_weighs_its_terms_as_the_paper_does(rng) -> None:
    """(M − α)/M · D + (1 − α) · R + α/M · Σ_m KL(q ‖ q_m), and no prior expert in q."""
    kind = some_kind()
    model, objective = presets.mvtcae(kind, latent=2, alpha=0.6, balance=0)
    out = model(some_batch(kind).x, noise=Noise(0))
    rates = ExpertRates()(out, 0).mean()
    exact = (3 - 0.6) / 3 * out.distortion.mean() + 0.4 * out.rate.mean() + 0.6 / 3 * rates
    assert float(objective(out, 0).detach()) == pytest.approx(float(exact.detach()), rel=1e-5)
    assert model.bottleneck.posterior.precision == 0


@pytest.mark.parametrize("combine", [ProductOfExperts, MixtureOfExperts, MixtureOfProducts])
def test_importance_weights_give_the_likelihood_of_the_parts_that_are_there(rng, combine) -> None:
    """Against quadrature: q's density is the one that it is drawn from, and what is missing is not scored."""
    model = small_model(combine)
    for head in model.bottleneck.posterior.heads:
        head.net.weight.data *= 0.2
        head.net.bias.data.copy_(
            torch.tensor([0.0, 0.0, 3.0, 3.0])
        )  # q is wide, so that no weight stands out
    model.decoder.net.weight.data *= 0.5
    x, mask = torch.tensor(rng.normal(size=(3, 6))), torch.ones(3, 6, dtype=torch.bool)
    mask[1, :2] = mask[2, 2:] = False
    with torch.no_grad():
        weights = model(x, None, mask, samples=20_000, noise=Noise(0)).log_weight.view(3, -1)
        side = torch.linspace(-7, 7, 141, dtype=torch.float64)
        grid = torch.cartesian_prod(side, side)
        prior, p = Normal(0.0, 1.0).log_prob(grid).sum(1), model.decode(grid)
        exact = [
            (prior + torch.where(seen, p.log_prob(row.expand(len(grid), -1)), 0).sum(1)).logsumexp(0)
            for row, seen in zip(x, mask, strict=True)
        ]
    log_p = weights.logsumexp(1) - math.log(20_000)
    np.testing.assert_allclose(log_p, torch.stack(exact) + 2 * math.log(0.1), atol=0.05)
    assert bool((weights.mean(1) < log_p).all())


@pytest.mark.parametrize("made", PRESETS)
def test_a_saved_model_says_the_same_of_any_parts(made, tmp_path) -> None:
    kind = some_kind()
    model = made(kind, latent=2)[0].eval()
    save(tmp_path / "model", model, kind)
    again, kind_again, _ = load(tmp_path / "model")
    batch = some_batch(kind)
    assert repr(kind_again) == repr(kind) and torch.equal(some_batch(kind_again).x, batch.x)
    for mask in (None, only(kind, 6, "class"), only(kind, 6, "point", "picture")):
        a, b = (m.eval()(batch.x, None, mask, noise=Noise(0)) for m in (model, again))
        assert torch.equal(a.distortion, b.distortion) and torch.equal(a.rate, b.rate)
