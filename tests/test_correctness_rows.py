"""Defects that other libraries ship, where the tests of the parts do not look for them; and what a review found."""

from __future__ import annotations

import copy
import inspect
import math
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, nn

import vaekit
from vaekit.bottlenecks import Variational
from vaekit.bottlenecks.quantizers import MovingAverageQuantizer
from vaekit.bottlenecks.side_by_side import SideBySide
from vaekit.conditional import Conditional
from vaekit.data import Images, Items, Vectors, build, card, detect
from vaekit.data.loaded import Source
from vaekit.data.parts import Parts
from vaekit.data.sequences import Sequences
from vaekit.distributions import MEAN, Bernoulli, Fixed, Gaussian, Noise
from vaekit.distributions.scales import unpositive
from vaekit.errors import DataError
from vaekit.evaluation import codes, evaluate, scores
from vaekit.model import VAE
from vaekit.networks.sequence import RecurrentDecoder
from vaekit.objectives import Constrained, Distortion, Rate
from vaekit.objectives.disentangle import DecomposedRate, shuffled
from vaekit.objectives.divergence import GradientPenalty, SlicedWasserstein
from vaekit.objectives.importance import MultiplyImportanceWeighted
from vaekit.operations import log_likelihood, score
from vaekit.operations.classify import class_likelihoods
from vaekit.presets import ABOUT, PRESETS
from vaekit.priors import StandardNormal
from vaekit.priors.fitted_mixture import FittedMixture
from vaekit.priors.mixture import Mixture, Vamp
from vaekit.training import Adam, fit_prior, second_stage, start, train

SMALL = {
    "components": 3, "inputs": 4, "codes": 8, "samples": 2, "groups": 2, "inner": 2, "width": 16, "hidden": 16,
    "layers": 2,
}  # fmt: skip
NAMES = [name for name in PRESETS if "vectors" in ABOUT[name].kinds]
SIGMA = 0.5


def made(name: str, latent: int = 3) -> SimpleNamespace:
    """A preset for rows of five numbers, as it begins, with eight of them."""
    rng = np.random.default_rng(0)
    labels = {"labels": ("a", "b"), "frequencies": (0.5, 0.5)} if ABOUT[name].labels else {}
    kind = Vectors(5, **labels)
    kind.conditional = ABOUT[name].labels
    known = inspect.signature(PRESETS[name]).parameters
    options = {key: value for key, value in SMALL.items() if key in known}
    with Noise(0, "weights").torch():
        model, objective = PRESETS[name](kind, latent=latent, **options)
    raw = kind.store(rng.normal(size=(12, 5)))
    items = Items(raw, kind, torch.arange(12) % 3 - 1 if labels else None)
    with Noise(0, "first").torch():
        batch = items.batch(torch.arange(12))
        model.see_first(batch.x, batch.c, batch.mask)
    return SimpleNamespace(model=model, objective=objective, items=items, kind=kind)


def exact(rng: np.random.Generator, data: int = 4) -> tuple[VAE, np.ndarray]:
    """A linear model of one latent variable whose q is the true posterior: every importance weight is p(x) itself."""
    w, b = rng.normal(size=data), rng.normal(size=data)
    share = w / (w @ w + SIGMA**2)
    head = nn.Linear(data, 2).double()
    decoder = nn.Linear(1, data).double()
    with torch.no_grad():
        head.weight.copy_(torch.tensor(np.stack([share, 0 * share])))
        width = unpositive(torch.tensor(SIGMA / math.sqrt(w @ w + SIGMA**2), dtype=torch.float64), 1.0, 1e-4)
        head.bias.copy_(torch.stack([torch.tensor(-share @ b), width]))
        decoder.weight.copy_(torch.tensor(w).unsqueeze(1))
        decoder.bias.copy_(torch.tensor(b))
    bottleneck = Variational(Conditional(head, Gaussian()), StandardNormal(1)).double()
    model = VAE(nn.Identity(), bottleneck, Conditional(decoder, Gaussian(Fixed(SIGMA))))
    x = rng.normal(size=(7, data))
    law = stats.multivariate_normal(b, np.outer(w, w) + SIGMA**2 * np.eye(data))
    return model.eval(), np.column_stack([x, law.logpdf(x)])


# --- likelihoods


@pytest.mark.parametrize("samples", [1, 100, 250])
@pytest.mark.parametrize("chunk", [3, 30, 2_000])
def test_a_likelihood_uses_exactly_its_draws_whatever_the_chunk(samples, chunk, rng, monkeypatch) -> None:
    """Encoded once, decoded B · K times, divided by K, and no graph is kept; 250 is no multiple of 3 or 30."""
    monkeypatch.setattr(sys.modules[log_likelihood.__module__], "CHUNK", chunk)
    model, table = exact(rng)
    x, log_p = torch.tensor(table[:, :-1]), table[:, -1]
    seen = {"encoder": 0, "decoder": 0}
    for name in seen:
        getattr(model, name).register_forward_hook(
            lambda _, inputs, out, name=name: seen.update({name: seen[name] + len(inputs[0])})
        )
    found = log_likelihood(model, x, samples=samples)
    assert seen == {"encoder": 7, "decoder": 7 * samples}
    assert not found.requires_grad
    np.testing.assert_allclose(found, log_p, atol=1e-4)  # the scale of q has a floor


def test_chunks_change_no_estimate_and_a_mass_is_at_most_one(rng, monkeypatch) -> None:
    torch.manual_seed(0)
    posterior = Variational(Conditional(nn.Linear(6, 4), Gaussian()), StandardNormal(2))
    model = VAE(nn.Identity(), posterior, Conditional(nn.Linear(2, 6), Bernoulli())).double().eval()
    x = torch.tensor(rng.integers(0, 2, (5, 6)) * 1.0)
    whole = log_likelihood(model, x, samples=100)
    assert (whole < 0).all()
    for chunk in (7, 100, 333):
        monkeypatch.setattr(sys.modules[log_likelihood.__module__], "CHUNK", chunk)
        torch.testing.assert_close(log_likelihood(model, x, samples=100), whole, rtol=1e-10, atol=1e-10)
    assert not torch.allclose(log_likelihood(model, x, samples=99), whole, rtol=1e-6)


def test_the_mean_of_bounds_groups_neighbouring_draws(rng) -> None:
    """M ≠ K, so that swapped axes would show."""
    w = rng.normal(size=(5, 6)) * 3
    out = SimpleNamespace(log_weight=torch.tensor(w).flatten(), samples=6)
    by_hand = [[np.log(np.exp(row[2 * m : 2 * m + 2]).mean()) for m in range(3)] for row in w]
    np.testing.assert_allclose(MultiplyImportanceWeighted(3, 2)(out, 0), -np.mean(by_hand, 1), rtol=1e-12)


# --- every preset


@pytest.mark.parametrize("name", NAMES)
def test_a_rate_that_is_charged_has_a_gradient_from_the_first_model_on(name) -> None:
    case = made(name)
    if not case.model.bottleneck.stochastic or not any(
        isinstance(t, Rate) for _, t in case.objective.parts()
    ):
        pytest.skip("charges no rate as such")
    batch = case.items.batch(torch.arange(12))
    out = case.model.train()(4 * batch.x, batch.c, samples=case.objective.samples, noise=Noise(0))
    for weight, term in case.objective.parts():
        if isinstance(term, Rate):
            final = weight if isinstance(weight, float) else weight(10**9)
            assert final > 0
            inner = Rate()(out, 0).mean()
            slopes = torch.autograd.grad(
                inner, [p for p in case.model.encoder.parameters()], allow_unused=True
            )
            assert any(g is not None and float(g.abs().max()) > 0 for g in slopes)
            assert term.free < float(out.rate.detach().mean())  # what is free is less than what is charged


@pytest.mark.parametrize("name", NAMES)
def test_figures_of_a_datum_do_not_depend_on_batches_or_their_order(name) -> None:
    case = made(name)
    model, items = case.model.eval(), case.items
    whole, encoded = scores(model, items), codes(model, items)
    for _ in range(3):
        assert torch.equal(scores(model, items), whole) and torch.equal(
            codes(model, items).mean, encoded.mean
        )
    order = Noise(1).permutation(12)
    for size in (1, 5):
        torch.testing.assert_close(scores(model, items, size), whole, rtol=1e-5, atol=1e-4)
        again = codes(model, items, size)
        torch.testing.assert_close(again.mean, encoded.mean, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(again.kl, encoded.kl, rtol=1e-4, atol=1e-4)
        moved = items.subset(order)
        torch.testing.assert_close(scores(model, moved, size), whole[order], rtol=1e-5, atol=1e-4)
        torch.testing.assert_close(codes(model, moved, size).mean, encoded.mean[order], rtol=1e-4, atol=1e-5)
    figures = [evaluate(model, items, samples=0, size=size) for size in (1, 5, 12)]
    for name in ("elbo", "rate", "distortion"):
        values = [found[name] for found in figures]
        assert values == [None] * 3 or values == pytest.approx([values[0]] * 3, rel=1e-6, abs=1e-5)


@pytest.mark.parametrize("name", ["vq_vae", "rvq_vae", "vamp_prior_vae", "bn_vae", "factor_vae", "geco_vae"])
def test_a_checkpoint_alone_brings_back_what_began_from_data(name) -> None:
    """Into a model that has not seen data first: all that it began from is in the state."""
    case = made(name)
    fresh = case.model, case.objective
    with Noise(7, "other weights").torch():
        other = copy.deepcopy(fresh)
        for p in other[0].parameters():
            p.data.uniform_(-1, 1)
    data = torch.randn(64, 5, generator=torch.Generator().manual_seed(0))
    options = {"batch_size": 16, "seed": 3}
    for now in train(*fresh, data, steps=3, **options):
        state = now.state
    saved = {key: t.clone() for key, t in state.tensors().items()}
    for _ in train(*fresh, data, steps=6, resume=state, **options):
        pass
    resumed = start(*other, Adam(1e-3))
    resumed.restore(saved, 3)
    for _ in train(*other, data, steps=6, resume=resumed, **options):
        pass
    ended = other[0].state_dict()
    assert all(torch.equal(t, ended[key]) for key, t in fresh[0].state_dict().items())


def test_a_text_among_parts_has_the_weights_of_the_seed_whatever_came_before() -> None:
    found = []
    for before in (0, 1):
        torch.manual_seed(before)
        kind = Parts({"text": Sequences("ab", 4), "point": Vectors(2)})
        with Noise(0, "weights").torch():
            found.append(PRESETS["mopoe"](kind, latent=2).model.state_dict())
    assert all(torch.equal(t, found[1][name]) for name, t in found[0].items())


# --- evaluation and its data


def test_evaluation_counts_every_datum_once_and_names_what_is_not_finite(rng) -> None:
    torch.manual_seed(0)
    posterior = Variational(Conditional(nn.Linear(5, 4), Gaussian()), StandardNormal(2))
    model = VAE(nn.Identity(), posterior, Conditional(nn.Linear(2, 5), Gaussian(Fixed(1.0)))).eval()
    raw = torch.tensor(rng.normal(size=(11, 5)), dtype=torch.float32)
    found = [evaluate(model, Items(raw), samples=3, size=size) for size in (1, 4, 11, 1024)]
    assert all(figures["n"] == 11 for figures in found)
    assert [f["nll"] for f in found] == pytest.approx([found[0]["nll"]] * 4, rel=1e-6)
    alone = [evaluate(model, Items(raw[i : i + 1]))["distortion"] for i in range(11)]
    drawn = [float(score(model, raw[i : i + 1])) for i in range(11)]
    assert float(scores(model, Items(raw), 4).mean()) == pytest.approx(np.mean(drawn), rel=1e-6)
    assert found[1]["distortion"] == pytest.approx(np.mean(alone), abs=3 * np.std(alone))
    raw[7] = torch.nan
    for measure in (evaluate, scores):
        with pytest.raises(DataError, match="1 of 11") as caught:
            measure(model, Items(raw), size=4)
        assert caught.value.code == "E206" and caught.value.where == "rows 7"


@pytest.mark.parametrize("how", ["none", "dynamic", "threshold"])
def test_binarisation_is_said_with_the_result(how) -> None:
    pictures = Source(np.random.default_rng(0).integers(0, 256, (20, 6, 6)).astype(np.uint8))
    kind, reasons = detect(pictures, binarize=how)
    assert isinstance(kind, Images) and kind.binarize == how
    assert card(pictures, kind, build(pictures, kind), reasons)["binarize"] == how
    batch = build(pictures, kind).batch(torch.arange(20))
    assert set(batch.x.unique().tolist()) <= {0.0, 1.0} or how == "none"


# --- noise


@pytest.fixture
def seeded_on_the_cpu(monkeypatch) -> None:
    """The key of a step seeds torch's generator of the CPU; numbers drawn on another device would not be its own."""
    for name in ("rand", "randn", "randint"):
        own = getattr(torch, name)

        def refuse(*size: Any, own: Any = own, **options: Any) -> Tensor:
            assert options.get("device") is None, "drawn where no step has seeded"
            return own(*size, **options)

        monkeypatch.setattr(torch, name, refuse)
    for name in ("rand_like", "randn_like"):
        monkeypatch.setattr(torch, name, lambda *_, **__: pytest.fail("drawn where no step has seeded"))


@pytest.mark.parametrize("weighted", [False, True])
def test_terms_draw_where_the_step_has_seeded(weighted, seeded_on_the_cpu, gaussian_vae) -> None:
    x, weight = torch.zeros(6, 5), torch.arange(1.0, 7.0) if weighted else None
    model = gaussian_vae()
    for term in (SlicedWasserstein(4), GradientPenalty()):
        values = []
        for seed in (0, 0, 1):
            out = model(x + torch.arange(6.0).unsqueeze(1), noise=Noise(0), weight=weight)
            with Noise(seed).torch():
                values.append(float(term(out, 0).mean().detach()))
        assert values[0] == values[1] != values[2]
    with Noise(0).torch():
        first = shuffled(torch.arange(20.0).view(10, 2), None if weight is None else torch.ones(10))
    with Noise(0).torch():
        assert torch.equal(
            first, shuffled(torch.arange(20.0).view(10, 2), None if weight is None else torch.ones(10))
        )


def test_networks_and_priors_draw_where_the_step_has_seeded(seeded_on_the_cpu) -> None:
    net = RecurrentDecoder(5, dropout=0.5)
    x = torch.ones(4, 7)
    with Noise(0).torch():
        first = net(x)
    with Noise(0).torch():
        assert torch.equal(net(x), first)
    nn.init.zeros_((prior := Vamp(nn.Linear(5, 8), Conditional(nn.Linear(8, 6), Gaussian()), 9, [5])).pseudo)
    prior.see_first(x[:, :5])
    assert torch.equal(prior.pseudo[:4], x[:, :5]) and not torch.equal(prior.pseudo[4], prior.pseudo[5])
    assert float((prior.pseudo.detach() - 1).abs().max()) < 0.1


# --- weights


def test_a_datum_without_weight_revives_no_code() -> None:
    part = MovingAverageQuantizer(8, 2, decay=0.5, revive=0.2)
    near, far = torch.randn(30, 2, 1) * 0.1, torch.full((30, 2, 1), 1e3)
    h, weight = torch.cat([near, far]), torch.cat([torch.ones(30), torch.zeros(30)])
    for _ in range(8):
        part.commit(h, part(h).codes, weight)
        assert float(part.codebook.abs().max()) < 10


class Weighted(Items):
    """Items of which the later half counts three times."""

    def batch(self, index: Tensor, noise: Noise | None = None) -> Any:
        batch = super().batch(index, noise)
        batch.weight = torch.where(index < len(self) // 2, 1.0, 3.0)
        return batch


def one_dimension() -> VAE:
    """z = x, all but exactly."""
    head = nn.Linear(1, 2)
    with torch.no_grad():
        head.weight.copy_(torch.tensor([[1.0], [0.0]]))
        head.bias.copy_(torch.tensor([0.0, -20.0]))
    posterior = Variational(Conditional(head, Gaussian()), StandardNormal(1))
    return VAE(nn.Identity(), posterior, Conditional(nn.Linear(1, 2), Gaussian()))


@pytest.mark.parametrize("at_once", [True, False])
def test_a_fitted_prior_counts_data_by_their_weight(at_once) -> None:
    x = torch.cat([torch.full((400, 1), -1.0), torch.full((400, 1), 1.0)])
    x = x + 0.1 * torch.randn(800, 1, generator=torch.Generator().manual_seed(0))
    prior = FittedMixture(1, 1) if at_once else Mixture(1, 1)
    found = fit_prior(one_dimension(), prior, Weighted(x), steps=400, lr=0.02)
    assert float(found.bottleneck.prior().mean.detach()) == pytest.approx(0.5, abs=0.08)


# --- the second stage, walks, wrappers


def test_what_a_prior_begins_from_is_encoded_in_parts_and_is_the_same(monkeypatch) -> None:
    data, found = torch.randn(50, 1, generator=torch.Generator().manual_seed(0)), []
    for chunk in (7, 1_024):
        monkeypatch.setattr(second_stage, "CHUNK", chunk)
        model, most = one_dimension(), [0]
        model.encoder.register_forward_hook(lambda _, x, __, most=most: most.append(max(most[-1], len(x[0]))))
        found.append(fit_prior(model, FittedMixture(2, 1), data).bottleneck.prior.loc)
        assert most[-1] == min(chunk, 50)
    torch.testing.assert_close(*found)


class LastReplaced(SideBySide):
    """As the bottleneck of a label and what it leaves open: the prior that can be replaced is not the first one."""

    prior_of = 1

    def with_prior(self, prior: nn.Module) -> SideBySide:
        first, last = self.parts
        return LastReplaced([first, last.with_prior(prior)])


def test_a_prior_is_fitted_to_the_variable_that_it_is_for() -> None:
    parts = [Variational(Conditional(nn.Linear(4, 2 * d), Gaussian()), StandardNormal(d)) for d in (2, 3)]
    with torch.no_grad():
        parts[1].posterior.net.bias[:3] = 5.0
    model = VAE(nn.Identity(), LastReplaced(parts), Conditional(nn.Linear(5, 4), Gaussian(Fixed(1.0))))
    found = fit_prior(model, FittedMixture(1, 3), torch.randn(64, 4), steps=1)
    assert (found.bottleneck.parts[1].prior().mean > 3).all()
    assert found(torch.randn(2, 4)).rate.shape == (2,)
    with pytest.raises(ValueError, match="shape"):
        fit_prior(model, FittedMixture(1, 2), torch.randn(64, 4), steps=1)


def test_a_walk_through_a_stack_stays_where_the_variables_above_put_those_below(tmp_path, rng) -> None:
    run = vaekit.fit(
        rng.normal(size=(60, 5)) @ rng.normal(size=(5, 5)), out=tmp_path / "run", preset="top_down_vae", steps=30,
        latent=2, quiet=True, layers=3, width=16, warmup=1,
    )  # fmt: skip
    with torch.no_grad():
        middle = run.model.bottleneck(n=1, noise=MEAN)[1]
    assert float(middle[2].p.mean.abs().max()) > 0
    values = [latent.z for latent in middle]
    walk = run.traverse_x([3], steps=3).x
    for step, value in enumerate((-3.0, 0.0, 3.0)):
        given = [v.clone() for v in values]
        given[1][0, 1] = value
        torch.testing.assert_close(walk[step], run.model.decode(given).mean[0])


def test_a_constrained_term_is_told_the_number_of_data() -> None:
    inner = DecomposedRate()
    (Distortion() + Constrained(inner, 1.0)).told(Items(torch.zeros(321, 1)))
    assert inner._told == 321


def test_class_likelihoods_are_keyed_by_datum() -> None:
    case = made("semi_supervised_vae")
    x, rows = case.items.batch(torch.arange(12)).x, torch.arange(12)
    whole = class_likelihoods(case.model.eval(), x, samples=4, rows=rows)
    part = class_likelihoods(case.model, x[5:7], samples=4, rows=rows[5:7])
    torch.testing.assert_close(part, whole[5:7], rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("target", [-1e6, 1e6])
def test_a_target_out_of_reach_leaves_the_multiplier_finite_and_able_to_come_back(
    target, gaussian_vae
) -> None:
    model, term = gaussian_vae(), Constrained(Distortion(), target)
    *_, last = train(model, Rate() + term, torch.randn(32, 5), steps=150, lr=0.05)
    assert int(last.state.skipped) == 0
    reached = float(term.multiplier.detach().log())
    assert 8 < abs(reached) < 40
    term.target = -target
    for _ in train(model, Rate() + term, torch.randn(32, 5), steps=20, lr=0.05):
        pass
    assert float(term.multiplier.detach().log()) * np.sign(reached) < abs(reached) - 2
