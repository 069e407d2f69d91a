"""Semi-supervised learning against the marginal over labels worked out by hand, and whom each label teaches."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import vaekit
from vaekit import persistence
from vaekit.bottlenecks.labelled import Labelled, told
from vaekit.conditional import Conditional
from vaekit.data import Images, Items, Vectors
from vaekit.distributions import Bernoulli, Gaussian, Noise, RowNoise
from vaekit.distributions.gumbel import GumbelSoftmax, OneHot
from vaekit.errors import UsageError
from vaekit.model import VAE
from vaekit.networks import MLP
from vaekit.objectives import Distortion, Rate
from vaekit.objectives.labelled import Doubt, Imbalance, LabelLoss, VirtualAdversarial
from vaekit.operations import bound, log_likelihood
from vaekit.operations.classify import class_likelihoods, class_probabilities
from vaekit.presets.labelled import semi_supervised_vae
from vaekit.presets.preset import Preset
from vaekit.priors import StandardNormal
from vaekit.training import train

SHARES = (0.5, 0.3, 0.2)


def tiny(latent: int = 2, seed: int = 0) -> Any:
    """Five bits, three classes, float64."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        classifier = Conditional(nn.Linear(8, 3), GumbelSoftmax(3))
        posterior: Any = Conditional(MLP(8, 2 * latent, hidden=(6,), condition=3), Gaussian())
        nn.init.normal_(posterior.net.films[0].net.weight, std=0.5)
        part = Labelled(classifier, posterior, StandardNormal(latent), SHARES)
        model = VAE(MLP(5, 8, hidden=(12,)), part, Conditional(MLP(3 + latent, 5, hidden=(12,)), Bernoulli()))
    return model.double().eval()


def bits(n: int = 6) -> Tensor:
    return torch.randint(0, 2, (n, 5), generator=torch.Generator().manual_seed(0)).double()


def joint_by_hand(model: Any, x: Tensor, nodes: int = 60) -> np.ndarray:
    """log p(x, y) of every class by Gauss–Hermite quadrature over the one latent dimension, (N, K)."""
    points, weights = np.polynomial.hermite_e.hermegauss(nodes)
    z, log_w = torch.tensor(points).unsqueeze(1), np.log(weights / weights.sum())
    found = np.zeros((len(x), 3))
    for k, share in enumerate(SHARES):
        logits = (
            model.decoder.net(torch.cat([torch.eye(3)[k].double().expand(nodes, 3), z], 1)).detach().numpy()
        )
        for i, row in enumerate(x.numpy()):
            terms = -(np.logaddexp(0, -logits) * row + np.logaddexp(0, logits) * (1 - row)).sum(1) + log_w
            found[i, k] = math.log(share) + np.logaddexp.reduce(terms)
    return found


def test_the_sum_over_classes_is_the_marginal_by_hand() -> None:
    model, x = tiny(latent=1), bits()
    expected = joint_by_hand(model, x)
    found = class_likelihoods(model, x, samples=20_000).numpy()
    np.testing.assert_allclose(found, expected, atol=0.02)
    # and the marginal over drawn labels is that over all of them
    drawn = log_likelihood(model, x, samples=20_000).numpy()
    np.testing.assert_allclose(drawn, np.logaddexp.reduce(expected, 1), atol=0.02)


def test_the_bound_without_a_label_is_the_mean_of_those_with_one_and_an_entropy() -> None:
    """−ELBO(x) = Σ_y q(y | x) (−ELBO(x, y) + log q(y | x)), the expectation over y enumerated."""
    model, x = tiny(), bits()
    q = class_probabilities(model, x)
    each: list[Any] = [sum(bound(model, x, c.expand(6, 3), samples=4_000)) for c in torch.eye(3).double()]
    expected = (q * (torch.stack(each, 1) + q.log())).sum(1)
    sides: Any = bound(model, x, samples=20_000)
    np.testing.assert_allclose(sides[0] + sides[1], expected, atol=0.05)


@pytest.mark.parametrize("training", [True, False])
def test_a_known_label_has_the_supervised_bound(training: bool) -> None:
    model, x = tiny().train(training), bits()
    y = torch.arange(6) % 3
    c = torch.eye(3).double()[y]
    out = model(x, c, noise=Noise(0, "bound"))
    z, q = out.latents[1].z, model.bottleneck.posterior(model.encoder(x), c)
    assert torch.equal(out.latents[0].z, c)
    distortion = (
        -torch.distributions.Bernoulli(logits=model.decoder.net(torch.cat([c, z], 1))).log_prob(x).sum(1)
    )
    kl = torch.distributions.kl_divergence(q, torch.distributions.Normal(0.0, 1.0)).sum(1)
    torch.testing.assert_close(out.distortion, distortion)
    torch.testing.assert_close(out.rate, kl - torch.tensor(SHARES).log().double()[y], rtol=1e-6, atol=1e-6)
    log_q = q.log_prob(z).sum(1)
    log_p = torch.distributions.Normal(0.0, 1.0).log_prob(z).sum(1) + torch.tensor(SHARES).log().double()[y]
    if not training:
        torch.testing.assert_close(out.log_weight, log_p - log_q - distortion, rtol=1e-6, atol=1e-6)


def test_known_and_unknown_labels_in_one_batch_are_as_they_are_apart() -> None:
    model, x = tiny(), bits()
    c = torch.eye(3).double()[torch.arange(6) % 3]
    c[::2] = 0

    def sides(rows: Tensor, c: Tensor | None) -> list[Tensor]:
        out = model(x[rows], c, samples=3, noise=RowNoise(0, "mixed", rows))
        return [out.distortion, out.rate, out.log_weight]

    mixed, some, others = torch.arange(6), torch.arange(0, 6, 2), torch.arange(1, 6, 2)
    whole = [t.view(6, 3) for t in sides(mixed, c)]
    for value, alone, told_ in zip(whole, sides(some, None), sides(others, c[others]), strict=True):
        torch.testing.assert_close(value[some], alone.view(3, 3))
        torch.testing.assert_close(value[others], told_.view(3, 3))


def test_a_label_that_is_not_known_teaches_nothing_and_one_that_is_leaves_no_doubt() -> None:
    q = OneHot(torch.randn(4, 1, 3, generator=torch.Generator().manual_seed(0)))
    c = torch.tensor([[0.0, 0, 0], [0, 1, 0], [0, 0, 0], [0, 0, 1]])
    found = told(q, c)
    torch.testing.assert_close(found.logits[::2], q.logits[::2])
    torch.testing.assert_close(found.logits[1::2].exp(), c[1::2].unsqueeze(1))
    assert bool(torch.isfinite(found.log_prob(c[1::2].repeat(2, 1))).all())
    assert told(q, None) is q


def test_the_classifier_hears_of_data_without_labels_only_through_the_bound() -> None:
    x = bits()
    for c, heard in ((None, True), (torch.eye(3).double()[torch.arange(6) % 3], False)):
        model = tiny().train()
        (Distortion() + Rate())(model(x, c, noise=Noise(0)), 0).backward()
        gradient = model.bottleneck.classifier.net.weight.grad
        assert (gradient is not None and float(gradient.abs().max()) > 1e-6) == heard


def test_the_label_loss_is_that_of_the_labelled_data_however_few_they_are() -> None:
    model, x = tiny().train(), bits()
    term = LabelLoss((5,), 3, rows=5_000, memory=16).double()
    c = torch.zeros(6, 3).double()
    c[2, 1] = c[5, 0] = 1
    term(model(x, c), 0)
    assert int(term.count) == 2
    alone = term(model(x[:2], c[:2]), 1)  # a batch without any
    log_q = class_probabilities(model, x).log()
    assert float(alone.detach()) == pytest.approx(-float(log_q[2, 1] + log_q[5, 0]) / 2, rel=0.05)


def test_in_evaluation_the_label_loss_is_that_of_the_batch_and_nothing_is_learned() -> None:
    model, x = tiny(), bits()
    term = LabelLoss((5,), 3, rows=4, memory=16).double()
    c = torch.zeros(6, 3).double()
    c[2, 1] = c[5, 0] = 1
    term(model(x, torch.eye(3).double()[[0, 1, 2, 0, 1, 2]]), 0)  # what was trained on has other labels
    term.eval()
    log_q = class_probabilities(model, x).log()
    expected = -float(log_q[2, 1] + log_q[5, 0]) / 2
    assert float(term(model(x, c, samples=2), 1).detach()) == pytest.approx(expected)
    assert float(term(model(x, 0 * c), 1).detach()) == float(term(model(x), 1).detach()) == 0
    assert int(term.count) == 6


def test_a_run_classifies_and_takes_another_prior(tmp_path) -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 300)
    x = rng.normal(size=(300, 4)) + 6 * y[:, None]
    np.savez(tmp_path / "few.npz", x=x, y=np.where(np.arange(300) < 30, np.array(["low", "high"])[y], ""))
    quick = dict(threads=1, patience=0, quiet=True, batch_size=32, evaluate_every=60)
    run = vaekit.fit(
        tmp_path / "few.npz", preset="semi_supervised_vae", steps=60, out=tmp_path / "run", **quick
    )
    found = run.classify(x)
    assert found.shape == (300, 2) and np.allclose(found.sum(1), 1, atol=1e-5)
    right = np.array(run.kind.labels)[found.argmax(1)] == np.array(["low", "high"])[y]
    assert right.mean() > 0.95
    for prior in ("mixture", "flow"):
        told = run.fit_prior(tmp_path / "few.npz", prior, components=2, steps=3, quiet=True)
        assert math.isfinite(told["elbo"]) and np.isfinite(run.sample(3, where={"label": "low"})).all()
    other = vaekit.fit(x, steps=2, out=tmp_path / "other", **quick)
    with pytest.raises(UsageError, match="does not classify"):
        other.classify(x)


def test_the_label_loss_keeps_the_last_and_nothing_before_any() -> None:
    model, x = tiny().train(), bits()
    term = LabelLoss((5,), 3, rows=4, memory=4).double()
    assert float(term(model(x, torch.zeros(6, 3).double()), 0).detach()) == 0
    assert float(term(model(x), 0).detach()) == 0
    for first in range(3):
        rows = torch.tensor([first, first + 1])
        term(model(x[rows], torch.eye(3).double()[rows % 3], samples=2), 0)
    assert torch.equal(term.x[[2, 3, 0, 1]], x[[1, 2, 2, 3]])
    assert torch.equal(term.c.argmax(1)[[2, 3, 0, 1]], torch.tensor([1, 2, 2, 0]))


def test_doubt_and_imbalance_are_the_two_entropies() -> None:
    model, x = tiny(), bits()
    out, q = model(x), class_probabilities(model, x)
    torch.testing.assert_close(Doubt()(out, 0), torch.distributions.Categorical(q).entropy())
    mean = q.mean(0)
    expected = float((mean * (mean / torch.tensor(SHARES)).log()).sum())
    assert float(Imbalance()(out, 0).detach()) == pytest.approx(expected, rel=1e-5)
    weight = torch.tensor([1.0, 0, 0, 0, 0, 0]).double()
    only = float((q[0] * (q[0] / torch.tensor(SHARES)).log()).sum())
    assert float(Imbalance()(model(x, weight=weight), 0).detach()) == pytest.approx(only, rel=1e-5)


def test_the_virtual_adversary_finds_a_worse_direction_than_chance() -> None:
    model, x = tiny(), bits(64)
    out, term = model(x), VirtualAdversarial(0.05)
    worst = float(term(out, 0).mean().detach())
    q, step = class_probabilities(model, x), 0.05 * float(x.var(0, correction=0).sum().sqrt())
    by_chance = []
    for seed in range(20):
        r = torch.randn(x.shape, generator=torch.Generator().manual_seed(seed)).double()
        moved = class_probabilities(model, x + step * r / r.norm(dim=1, keepdim=True))
        by_chance.append(float((q * (q / moved).log()).sum(1).mean()))
    assert worst > 2 * np.mean(by_chance) > 0
    with torch.no_grad():
        assert float(term(out, 0).mean()) > 0
    with pytest.raises(ValueError, match="length above 0"):
        VirtualAdversarial(0.0)


def test_samples_have_the_label_asked_for_and_others_come_as_often_as_they_should() -> None:
    model = tiny()
    c = torch.eye(3).double()[torch.arange(3_000) % 3]
    c[2_000:] = 0
    state, [y, _] = model.bottleneck(c=c, noise=Noise(0, "sample"))
    assert torch.equal(y.z[:2_000], c[:2_000])
    np.testing.assert_allclose(y.z[2_000:].mean(0), SHARES, atol=0.05)
    assert torch.equal(state[:, :3], y.z)
    assert float(y.kl.abs().max()) == 0  # in a prior pass q is p
    assert model.sample(7, noise=Noise(0)).shape == (7, 5)
    _, [y, z] = model.bottleneck(n=3_000, noise=Noise(1))
    np.testing.assert_allclose(y.z.mean(0), SHARES, atol=0.05)
    assert z.z.shape == (3_000, 2)


def test_codes_are_decoded_again_and_the_label_can_be_changed() -> None:
    model, x = tiny(), bits()
    y, z = model.encode(x)
    torch.testing.assert_close(y, torch.eye(3).double()[class_probabilities(model, x).argmax(1)])
    by_hand = model.decoder.net(torch.cat([y, z], 1)).sigmoid()
    torch.testing.assert_close(model.decode([y, z]).mean, by_hand)
    state, _ = model.bottleneck(z=[y * 0.4, z])
    assert torch.equal(state, torch.cat([y, z], 1))
    walk = model.bottleneck.between([y[:1], z[:1]], [y.roll(1, 1)[:1], z[1:2]], torch.linspace(0, 1, 5))
    assert torch.equal(walk[0].sum(1), torch.ones(5).double())
    assert torch.equal(walk[0][0], y[0]) and torch.equal(walk[0][-1], y.roll(1, 1)[0])


def test_a_class_without_labels_is_rare_and_not_impossible() -> None:
    part = Labelled(nn.Identity(), nn.Identity(), StandardNormal(2), [0.5, 0.5, 0.0])
    assert part.log_frequencies.exp().tolist() == pytest.approx([0.4995, 0.4995, 0.000999], abs=1e-4)
    assert part.frequencies == [0.5, 0.5, 0.0]
    with pytest.raises(ValueError, match="1 class"):
        Labelled(nn.Identity(), nn.Identity(), StandardNormal(2), [1.0])


def made(kind: Any, **options: Any) -> Preset:
    with Noise(0, "weights").torch():
        return semi_supervised_vae(kind, latent=3, **options)


def blobs(n: int = 512) -> tuple[Vectors, Items, Tensor]:
    """Three clouds, two labels known of each."""
    source = torch.Generator().manual_seed(0)
    y = torch.arange(n) % 3
    x = torch.randn(n, 4, generator=source) * 0.3 + torch.eye(3, 4)[y] * 2
    kind = Vectors(4, labels=("a", "b", "c"), frequencies=(1 / 3,) * 3, conditional=True)
    return kind, Items(x, kind, torch.where(torch.arange(n) < 6, y, -1)), y


def test_a_few_labels_name_the_clouds_and_the_model_comes_back_from_a_file(tmp_path: Any) -> None:
    kind, items, y = blobs()
    model, objective = made(kind)
    for _ in train(model, objective, items, steps=150, batch_size=64, lr=2e-3):
        pass
    x = items.batch(torch.arange(len(items))).x
    found = class_probabilities(model.eval(), x)
    assert float((found.argmax(1) == y).float().mean()) > 0.97
    again, _, _ = persistence.load(persistence.save(tmp_path / "model", model, kind))
    assert torch.equal(class_probabilities(again, x), found)
    c = kind.conditions(200, {"label": "b"}, Noise(0))
    assert c is not None
    new = model.sample(200, c, noise=Noise(0, "new"))
    assert float((class_probabilities(model, new).argmax(1) == 1).float().mean()) > 0.75  # by chance 0.33


@pytest.mark.parametrize("kind", [Images(1, 8, 8, labels=("a", "b")), Vectors(4, labels=("a", "b"))])
def test_the_preset_takes_kinds_with_labels_and_refuses_those_without(kind: Any) -> None:
    model, objective = made(kind)
    out = model(torch.rand(5, *kind.shape), torch.eye(2)[torch.tensor([0, 1, 0, 1, 0])])
    assert bool(torch.isfinite(objective(out, 0)))
    with pytest.raises(ValueError, match="needs labels"):
        made(Vectors(4))


def test_other_models_do_not_classify(gaussian_vae: Any) -> None:
    model = gaussian_vae()
    with pytest.raises(ValueError, match="does not classify"):
        class_probabilities(model, torch.zeros(2, 5))
    with pytest.raises(ValueError, match="Labelled bottleneck"):
        VirtualAdversarial()(model(torch.randn(2, 5)), 0)
