"""The comparison of families: every model answers, and the figures that are theirs alone agree with closed forms."""

import itertools
import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import families
from family_rows.autoregressive import Pixels
from family_rows.diffusion import diffusion
from family_rows.flow import Couplings
from family_rows.gan import rounded
from family_rows.judge import Judge
from family_rows.shared import LEVELS, SIDE, Learner, Sets, reduced, units
from family_rows.shown import SHOWN, failed, table


@pytest.fixture(scope="module")
def made() -> Sets:
    """64 images of one of two tones under noise."""
    source = np.random.default_rng(0)
    labels = np.arange(64) % 2
    images = np.clip(5 * labels[:, None, None] + source.integers(0, 9, (64, SIDE, SIDE)), 0, LEVELS - 1)
    images = images.astype(np.uint8)
    return Sets(images, labels, images, labels, images, labels)


@pytest.fixture(scope="module")
def judge(made: Sets) -> Judge:
    return Judge(made, made.test, steps=5)


@pytest.mark.parametrize("name", families.MODELS)
def test_a_model_takes_a_step_and_answers(
    name: str, made: Sets, judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = families.MODELS[name](0)
    before = [p.detach().clone() for p in model.net.parameters()]
    assert model.learn(made.train, seconds=600, seed=0, most=2) == 2
    assert any(not torch.equal(old, new) for old, new in zip(before, model.net.parameters(), strict=True))

    monkeypatch.setattr(families, "TIMED", 4)
    entry = families.measured(model, judge, made.test, samples=40)
    assert all(math.isfinite(value) for value in entry["figures"].values()), entry
    assert ("bits" in entry["figures"]) == (name != "gan")
    assert entry["figures"]["milliseconds"] > 0
    assert len(entry["shown"]) == SHOWN * SIDE * SIDE


def test_the_clock_ends_training(made: Sets) -> None:
    class Counting(Learner):
        net = torch.nn.Linear(1, 1)
        seen: list[float] = []

        def step(self, images: torch.Tensor, done: float) -> None:
            self.seen.append(done)
            sum(range(20_000))

    steps = Counting().learn(made.train, seconds=0.02, seed=0)
    assert steps == len(Counting.seen) > 1
    assert 0 <= Counting.seen[0] < Counting.seen[-1] < 1


def uneven(net: torch.nn.Module, seed: int = 0, size: float = 0.4) -> None:
    """Weights that matter, as no network has at its start."""
    source = torch.Generator().manual_seed(seed)
    for p in net.parameters():
        p.data = torch.randn(p.shape, generator=source) * size


def test_the_autoregressive_model_sums_to_one_and_samples_what_it_says() -> None:
    net = Pixels(side=3, levels=2, width=8, depth=2, channels=2)
    uneven(net)
    every = torch.tensor(list(itertools.product(range(2), repeat=9)), dtype=torch.uint8).view(-1, 3, 3)
    with torch.no_grad():
        p = (-net.nats(every)).double().exp().numpy()
    assert p.sum() == pytest.approx(1, abs=1e-5)
    assert p.max() > 20 * np.median(p)  # the pixels do depend on each other

    torch.manual_seed(0)
    drawn = net.sample(20_000).flatten(1).long() @ (2 ** torch.arange(8, -1, -1))
    counts, often = np.bincount(drawn, minlength=512), 20_000 * p > 5
    seen = np.append(counts[often], counts[~often].sum())
    told = np.append(p[often], 1 - p[often].sum()) * 20_000
    assert stats.chisquare(seen, told / told.sum() * 20_000).pvalue > 1e-3


def test_the_flow_has_its_jacobian_and_its_inverse() -> None:
    torch.manual_seed(0)
    net = Couplings(side=5, layers=6, width=8, bins=5).double()
    uneven(net)
    net.double()
    y = torch.rand(3, 25, dtype=torch.float64)
    u, total = net(y)
    assert ((u >= 0) & (u <= 1)).all()
    for row, one in zip(y, total, strict=True):
        jacobian = torch.autograd.functional.jacobian(lambda v: net(v[None])[0][0], row)
        assert torch.linalg.slogdet(jacobian)[1].item() == pytest.approx(one.item(), abs=1e-6)
    assert abs(total).min() > 0.1  # it does something
    assert torch.allclose(net.inverse(u), y, atol=1e-9)


def test_the_diffusion_bound_is_exact_where_the_denoiser_is() -> None:
    """At its start the network says nothing, so that the guess is the posterior mean of even, independent levels."""
    torch.manual_seed(0)
    model = diffusion(0)
    images = torch.randint(LEVELS, (1_000, SIDE, SIDE), dtype=torch.uint8)
    assert model.bits(images.numpy()).mean() == pytest.approx(math.log2(LEVELS), abs=0.02)


def test_diffusion_samples_what_its_denoiser_knows() -> None:
    torch.manual_seed(0)
    model = diffusion(0)
    model.net.last.bias.data.view(-1, LEVELS)[:] = (
        torch.arange(LEVELS) / 8
    )  # uneven levels, no other pixel matters
    told = (torch.arange(LEVELS) / 8).softmax(0).numpy()
    seen = np.bincount(model.sample(100).ravel(), minlength=LEVELS) / (100 * SIDE * SIDE)
    assert abs(seen - told).sum() / 2 < 0.05  # total variation; 20 steps are not exact


def test_rounding_gives_levels_and_lets_gradients_pass() -> None:
    x = torch.tensor([-1.3, -0.95, 0.0, 0.31, 1.05], requires_grad=True)
    values = rounded(x)
    assert (values[:, None] - units(torch.arange(LEVELS))).abs().min(1).values.max() < 1e-6
    assert (values - x.clamp(-1, 1)).abs().max() <= 1 / (LEVELS - 1) + 1e-6
    values.sum().backward()
    assert torch.equal(x.grad, torch.ones(5))


def test_pictures_become_levels() -> None:
    picture = np.zeros((1, 28, 28), np.uint8)
    picture[0, :2, :2] = [[255, 255], [0, 0]]  # mean 127
    picture[0, :2, 2:4] = 255
    assert reduced(picture)[0, 0, :3].tolist() == [7, 15, 0]


@pytest.mark.parametrize(
    ("frechet", "classes", "edges", "is_failed"),
    [(39.9, 5, 1.0, False), (40.1, 10, 1.0, True), (1.0, 4, 1.0, True), (1.0, 10, math.nan, True)],
)
def test_when_a_seed_has_failed(frechet: float, classes: float, edges: float, is_failed: bool) -> None:
    entry = {"figures": {"frechet": frechet, "classes": classes, "edges": edges}}
    assert failed(entry, usual=10.0) is is_failed


def test_the_kept_results_are_those_of_the_table() -> None:
    done = families.json.loads(families.RESULTS.read_text())
    assert table(done) == families.RESULTS.with_suffix(".md").read_text()
