"""Training against torch.optim, against itself stopped and resumed, and against damage."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import nn

from vaekit.bottlenecks import Variational
from vaekit.conditional import Conditional
from vaekit.data import Items
from vaekit.distributions import Bernoulli, Gaussian, Noise, Optimal, Shared
from vaekit.model import VAE
from vaekit.networks import MLP
from vaekit.objectives import Constrained, Distortion, Rate, Term, linear
from vaekit.priors import StandardNormal
from vaekit.training import Adam, Progress, State, fit, start, train


def rows(n: int = 24, width: int = 5) -> torch.Tensor:
    return torch.randn(n, width, generator=torch.Generator().manual_seed(7))


def last(run: Iterator[Progress]) -> Progress:
    """The last step of a run, after all of it has happened."""
    *_, progress = run
    return progress


def copied(state: State) -> dict[str, torch.Tensor]:
    return {name: t.clone() for name, t in state.tensors().items()}


def assert_same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> None:
    assert set(a) == set(b)
    different = [name for name in a if not torch.equal(a[name], b[name])]
    assert not different, different


# --- the order of the data


@pytest.mark.parametrize(("n", "size"), [(24, 8), (24, 24), (24, 5), (7, 100), (24, 1)])
def test_an_epoch_takes_each_row_once(n, size, gaussian_vae) -> None:
    data = torch.arange(float(n)).unsqueeze(1).repeat(1, 5)
    per_epoch = n // min(n, size)
    seen = [
        progress.out.x[:, 0].int().tolist()
        for progress in train(gaussian_vae(), Distortion(), data, steps=3 * per_epoch, batch_size=size)
    ]
    assert all(len(batch) == min(n, size) for batch in seen)
    epochs = [sum(seen[i : i + per_epoch], []) for i in range(0, len(seen), per_epoch)]
    for epoch in epochs:
        assert len(set(epoch)) == len(epoch) == per_epoch * min(n, size)
    if n == 24:
        assert epochs[0] != epochs[1] != epochs[2] and epochs[0] != sorted(epochs[0])
    if n % size:  # what one epoch leaves over, another takes
        assert n < size or len(set(sum(epochs, []))) == n


def test_the_order_depends_on_the_seed_and_on_nothing_else(gaussian_vae) -> None:
    def order(seed: int, model_seed: int, lr: float) -> list[list[float]]:
        torch.manual_seed(model_seed)
        model = gaussian_vae(seed=model_seed)
        run = train(model, Distortion() + Rate(), rows(), steps=7, batch_size=6, seed=seed, lr=lr)
        return [progress.out.x[:, 0].tolist() for progress in run]

    assert order(3, 0, 1e-3) == order(3, 1, 0.1) != order(4, 0, 1e-3)


def test_each_step_has_noise_of_its_own(gaussian_vae) -> None:
    model = gaussian_vae()
    eps = []
    for progress in train(model, Rate(), rows(), steps=4, batch_size=24, lr=0.0):
        latent = progress.out.latents[0]
        eps.append(((latent.z - latent.q.loc) / latent.q.scale).detach())
    for i in range(4):
        for j in range(i):
            assert (eps[i] - eps[j]).abs().min() > 1e-6


# --- the same run again, and resumed


class Net(nn.Module):
    """A user's own network with dropout, which draws from torch's generator."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(5, 8), nn.Dropout(0.4), nn.Tanh())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x)


def subject(seed: int = 0) -> tuple[VAE, Term]:
    """Two players, a moving average of the scale, dropout, a schedule: all that a state must hold."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = VAE(
            Net(),
            Variational(Conditional(nn.Linear(8, 6), Gaussian()), StandardNormal(3)),
            Conditional(MLP(3, 5, hidden=(8,)), Gaussian(Optimal(decay=0.8))),
        )
    return model, linear(0, 1, 5) * Rate() + Constrained(Distortion(), target=2.0)


OPTIONS = {
    "steps": 9, "batch_size": 8, "average": 0.9, "seed": 5, "optimizer": Adam(1e-2, weight_decay=0.1, clip=0.5),
    "decay": lambda fraction: 1 - 0.5 * fraction,
}  # fmt: skip


def test_the_same_seed_gives_the_same_weights() -> None:
    states = []
    for chaos in (0, 1):
        model, objective = subject()
        torch.manual_seed(chaos)
        state = start(model, objective, OPTIONS["optimizer"], OPTIONS["average"])
        for _ in train(model, objective, rows(), resume=state, **OPTIONS):
            torch.rand(chaos + 1)  # what the caller draws does not matter
        states.append(copied(state))
    assert_same(*states)
    model, objective = subject()
    progress = last(train(model, objective, rows(), **{**OPTIONS, "seed": 6}))
    assert not torch.equal(
        progress.state.tensors()["model.decoder.net.last.weight"], states[0]["model.decoder.net.last.weight"]
    )


@pytest.mark.parametrize("stop", range(0, 9))
def test_resumed_at_any_step_it_is_bit_for_bit_the_uninterrupted_run(stop) -> None:
    model, objective = subject()
    whole, losses = [], []
    for progress in train(model, objective, rows(), **OPTIONS):
        whole.append(copied(progress.state))
        losses.append(float(progress.loss))

    model, objective = subject()
    state = start(model, objective, OPTIONS["optimizer"], OPTIONS["average"])
    saved, step = copied(state), 0
    for progress in train(model, objective, rows(), **OPTIONS):
        if progress.step > stop:
            break
        saved, step = copied(progress.state), progress.step
    assert step == stop

    model, objective = subject(seed=99)  # other weights: everything must come from the state
    state = start(model, objective, OPTIONS["optimizer"], OPTIONS["average"])
    state.restore(saved, step)
    torch.manual_seed(stop)
    for progress, loss in zip(
        train(model, objective, rows(), resume=state, **OPTIONS), losses[stop:], strict=True
    ):
        assert float(progress.loss) == loss
        assert_same(copied(progress.state), whole[progress.step - 1])
    names = set(whole[-1])
    assert {
        "model.decoder.family.scale.square",
        "objective.terms.1.raw",
        "skipped",
        "streak",
    } <= names
    assert any(n.startswith("moments.objective.") for n in names) and any(
        n.startswith("average.") for n in names
    )


def test_a_state_of_another_model_is_refused() -> None:
    model, objective = subject()
    state = start(model, objective, Adam(), 0.9)
    tensors = copied(state)
    del tensors["average.decoder.net.last.bias"]
    with pytest.raises(ValueError, match=r"another model.*average\.decoder\.net\.last\.bias"):
        state.restore(tensors, 1)
    tensors = copied(state) | {"average.decoder.net.last.bias": torch.zeros(2)}
    with pytest.raises(ValueError, match="shape"):
        state.restore(tensors, 1)


def test_what_the_caller_does_between_steps_does_not_change_the_training() -> None:
    """An evaluation in the loop's body puts the model into evaluation mode and may not put it back."""
    ends = []
    for evaluates in (False, True):
        model, objective = subject()
        state = start(model, objective, OPTIONS["optimizer"], OPTIONS["average"])
        for _ in train(model, objective, rows(), resume=state, **OPTIONS):
            if evaluates:
                model.eval().encode(rows())
        ends.append(copied(state))
    assert_same(*ends)


# --- the optimizer


class Quadratic(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        source = torch.Generator().manual_seed(0)
        self.a = nn.Parameter(torch.randn(4, 3, dtype=torch.float64, generator=source))
        self.b = nn.Parameter(torch.randn(3, dtype=torch.float64, generator=source))


def gradients(step: int, size: float) -> list[torch.Tensor]:
    source = torch.Generator().manual_seed(100 + step)
    return [size * torch.randn(s, dtype=torch.float64, generator=source) for s in ((4, 3), (3,))]


@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
@pytest.mark.parametrize("clip", [None, 1.0])
@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.5, 0.7)])
def test_adam_is_torchs(weight_decay, clip, betas) -> None:
    ours, theirs = Quadratic(), Quadratic()
    adam = Adam(1e-2, betas=betas, eps=1e-6, weight_decay=weight_decay, clip=clip)
    moments = adam.start(list(ours.parameters()))
    kind = torch.optim.AdamW if weight_decay else torch.optim.Adam
    reference = kind(
        theirs.parameters(),
        lr=1e-2,
        betas=betas,
        eps=1e-6,
        weight_decay=weight_decay,
        fused=False,
        foreach=False,
    )
    for step in range(20):
        # so long that torch's 1e-6 beside the norm does not show, or so short that nothing is clipped
        grads = gradients(step, 1e6 if step % 3 else 1e-2)
        lr = 1e-2 * (1 - step / 40)
        norm = torch.sqrt(sum(g.square().sum() for g in grads))
        adam.step(moments, [g.clone() for g in grads], lr, norm, torch.zeros(()))
        for p, g in zip(theirs.parameters(), grads, strict=True):
            p.grad = g.clone()
        if clip is not None:
            nn.utils.clip_grad_norm_(theirs.parameters(), clip)
        reference.param_groups[0]["lr"] = lr
        reference.step()
        # a clipping factor is kept in float32, which Adam's own scaling all but hides
        tolerance = 1e-10 if clip is None else 3e-9
        for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(p, q, rtol=0, atol=tolerance)


@pytest.mark.parametrize("clip", [None, 0.05])
def test_training_is_torchs_adam_on_the_gradients_of_the_loss(clip, gaussian_vae) -> None:
    """The whole loop in float64 against one written out, for twenty steps."""
    model = gaussian_vae(Gaussian(Shared())).double()
    twin = copy.deepcopy(model)
    data = rows().double()
    reference = torch.optim.AdamW(twin.parameters(), lr=3e-3, weight_decay=0.2, fused=False)
    objective = Distortion() + 2 * Rate()
    clipped = 0
    for progress in train(
        model, objective, data, steps=20, batch_size=8, optimizer=Adam(3e-3, weight_decay=0.2, clip=clip)
    ):
        drawn, x = progress.out.latents[0], progress.out.x
        eps = ((drawn.z - drawn.q.loc) / drawn.q.scale).detach()
        q = twin.bottleneck.posterior(twin.encoder(x))
        z = q.loc + q.scale * eps
        prior = torch.distributions.Normal(torch.zeros((), dtype=torch.float64), 1.0)
        rate = torch.distributions.kl_divergence(q, prior).sum(1).mean()
        loss = -twin.decoder(z).log_prob(x).sum(1).mean() + 2 * rate
        reference.zero_grad()
        loss.backward()
        norm = torch.sqrt(sum(p.grad.square().sum() for p in twin.parameters()))
        assert float(progress.gradient_norm) == pytest.approx(float(norm))
        if clip is not None:
            clipped += float(norm) > clip
            for p in twin.parameters():
                p.grad /= max(1.0, float(norm) / clip)
        reference.step()
        for p, r in zip(model.parameters(), twin.parameters(), strict=True):
            torch.testing.assert_close(p, r, rtol=0, atol=1e-10 if clip is None else 1e-9)
    assert clip is None or clipped == 20


def test_a_step_that_is_not_finite_changes_no_moment_and_is_not_counted() -> None:
    model = Quadratic()
    adam = Adam(1e-2, weight_decay=0.3, clip=1.0)
    moments = adam.start(list(model.parameters()))
    adam.step(moments, gradients(0, 1.0), 1e-2, torch.tensor(3.0), torch.zeros(()))
    before = {k: t.clone() for k, t in moments.tensors().items()} | {
        k: p.clone() for k, p in model.named_parameters()
    }
    for poison in (float("nan"), float("inf")):
        bad = [torch.full_like(g, poison) for g in gradients(1, 1.0)]
        adam.step(moments, bad, 1e-2, torch.tensor(poison), torch.ones(()))
    assert_same(before, moments.tensors() | {k: p.detach() for k, p in model.named_parameters()})


# --- the average, the rate, the clock


def test_the_average_is_the_moving_average_of_the_weights(gaussian_vae) -> None:
    model, decay = gaussian_vae(), 0.8
    expected, kept = None, None
    for progress in train(
        model, Distortion() + Rate(), rows(), steps=12, batch_size=8, lr=0.05, average=decay
    ):
        now = {name: p.detach().double().numpy().copy() for name, p in model.named_parameters()}
        kept = [now] if kept is None else [*kept, now]
        weight = max(1 - decay, 1 / progress.step)  # the plain mean, until that is slower than the decay
        expected = now if expected is None else {n: (1 - weight) * expected[n] + weight * now[n] for n in now}
        for name, t in progress.state.average.items():
            np.testing.assert_allclose(t, expected[name], atol=1e-6)
        if progress.step == 4:
            for name, t in progress.state.average.items():
                np.testing.assert_allclose(t, np.mean([w[name] for w in kept], 0), atol=1e-6)
    assert set(progress.state.average) == {name for name, _ in model.named_parameters()}


def test_the_learning_rate_follows_the_fraction_done(gaussian_vae) -> None:
    run = train(gaussian_vae(), Distortion(), rows(), steps=8, lr=0.1, decay=lambda f: 1 - f)
    seen = [(progress.lr, progress.fraction) for progress in run]
    np.testing.assert_allclose([lr for lr, _ in seen], 0.1 * (1 - np.arange(8) / 8))
    np.testing.assert_allclose([f for _, f in seen], np.arange(1, 9) / 8)


def test_the_clock_ends_training(gaussian_vae) -> None:
    time = iter(np.arange(0, 50) / 10)
    run = train(
        gaussian_vae(),
        Distortion(),
        rows(),
        steps=10**9,
        clock=lambda: float(next(time)),
        decay=lambda f: 1 - f,
    )
    seen = [(progress.step, progress.lr) for progress in run]
    assert [step for step, _ in seen] == [1, 2, 3, 4, 5]  # two looks at the clock for each step
    np.testing.assert_allclose([lr for _, lr in seen], 1e-3 * (1 - np.arange(0, 1, 0.2)))
    assert list(train(gaussian_vae(), Distortion(), rows(), steps=5, clock=lambda: 1.0)) == []


def test_training_and_evaluation_mode(gaussian_vae) -> None:
    model = gaussian_vae().eval()
    for _ in train(model, Distortion(), rows(), steps=1):
        assert model.training
    assert fit(model, Distortion(), rows(), steps=1) is model and not model.training


# --- what is not finite


class Explosive(nn.Module):
    """Counts its passes in a buffer, as a batch normalisation does, and passes its input on."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(5)
        self.net = nn.Linear(5, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(self.norm(x))


class SickGradient(Term):
    """Finite itself, with a gradient that is not, for batches that hold row 3."""

    def forward(self, out, step):
        sick = bool((out.x[:, 0] == 3.0).any())
        return (
            (out.z * 0).abs().sqrt().sum(1) if sick else torch.zeros(len(out.x))
        )  # at 0 its slope is infinite


def sick_run(kind: str, own_normalisation: bool = False):
    model, objective = subject()
    if own_normalisation:
        model.encoder = Explosive()
    data = rows()
    if kind == "gradient":
        data[11, 0] = 3.0
        objective = objective + SickGradient()
    else:
        data[11, 2] = {"nan": math.nan, "inf": math.inf}[kind]
    return model, objective, data


@pytest.mark.parametrize("kind", ["nan", "inf", "gradient"])
@pytest.mark.parametrize("own_normalisation", [False, True], ids=["", "batchnorm"])
def test_a_step_that_is_not_finite_did_not_happen(kind, own_normalisation) -> None:
    """Weights, buffers, moments and the average are bit for bit as before it; the step is counted as skipped."""
    model, objective, data = sick_run(kind, own_normalisation)
    state = start(model, objective, OPTIONS["optimizer"], OPTIONS["average"])
    before, skipped, streak = copied(state), 0, 0
    for progress in train(model, objective, data, resume=state, **OPTIONS):
        now = copied(progress.state)
        sick = kind == "gradient" and bool((progress.out.x[:, 0] == 3).any())
        sick = sick or not bool(progress.out.x.isfinite().all())
        skipped, streak = skipped + sick, streak + 1 if sick else 0
        assert float(now.pop("skipped")) == skipped
        assert float(now.pop("streak")) == streak
        before = {name: before[name] for name in now}
        if sick:
            assert not progress.loss.isfinite() or not progress.gradient_norm.isfinite()
            assert_same(before, now)
        else:
            assert not torch.equal(
                before["model.decoder.net.last.weight"], now["model.decoder.net.last.weight"]
            )
        assert all(t.isfinite().all() for t in now.values() if t.is_floating_point())
        before = now
    assert skipped == 3  # once in each of three epochs
    assert progress.step == 9


def test_the_streak_counts_steps_in_a_row(gaussian_vae) -> None:
    data = rows(6)
    data[:, 0] = math.nan
    streaks = [
        float(p.state.streak) for p in train(gaussian_vae(), Distortion(), data, steps=4, batch_size=3)
    ]
    assert streaks == [1, 2, 3, 4]


def test_after_a_skipped_step_the_run_is_still_the_same_when_resumed() -> None:
    ends = []
    for stop in (None, 1, 4, 7):
        model, objective, data = sick_run("nan")
        state = start(model, objective, OPTIONS["optimizer"], OPTIONS["average"])
        for progress in train(model, objective, data, resume=state, **OPTIONS):
            if progress.step == stop:
                break
        if stop is not None:
            saved = copied(progress.state)
            model, objective, data = sick_run("nan")
            state = start(model, objective, OPTIONS["optimizer"], OPTIONS["average"])
            state.restore(saved, stop)
            progress = last(train(model, objective, data, resume=state, **OPTIONS))
        ends.append(copied(progress.state))
    for end in ends[1:]:
        assert_same(ends[0], end)


# --- what people hand over


class Dataset:
    def __len__(self) -> int:
        return 12

    def __getitem__(self, i: int):
        return rows(12)[i], i % 2


@pytest.mark.parametrize(
    "data",
    [rows(12), rows(12).numpy(), rows(12).double().numpy(), Items(rows(12)), Dataset()],
    ids=["tensor", "array", "float64 array", "items", "dataset"],
)
def test_all_that_may_be_handed_over_is_the_same_data(data, gaussian_vae) -> None:
    def trained(data) -> torch.Tensor:
        return fit(gaussian_vae(), Distortion() + Rate(), data, steps=3, batch_size=4).encode(rows())

    torch.testing.assert_close(trained(data), trained(rows(12)), rtol=0, atol=1e-6)


def test_no_rows_and_no_data_are_errors(gaussian_vae) -> None:
    with pytest.raises(ValueError, match="no rows"):
        next(train(gaussian_vae(), Distortion(), torch.zeros(0, 5), steps=1))
    with pytest.raises(TypeError, match="data must be"):
        next(train(gaussian_vae(), Distortion(), 3, steps=1))


def test_training_lowers_the_loss(gaussian_vae) -> None:
    torch.manual_seed(0)
    data = (rows(64) > 0).float()
    model = gaussian_vae(Bernoulli())
    losses = [
        float(p.loss) for p in train(model, Distortion() + Rate(), data, steps=200, batch_size=64, lr=1e-2)
    ]
    assert np.mean(losses[-20:]) < np.mean(losses[:5]) - 0.1


def test_masked_items_reach_the_model_as_such(gaussian_vae) -> None:
    data, mask = rows(), torch.rand(24, 5, generator=torch.Generator().manual_seed(1)) < 0.7
    model = gaussian_vae(masked=True)
    hidden = torch.where(mask, data, torch.full_like(data, math.nan))
    zeros = torch.where(mask, data, torch.zeros_like(data))
    ends = []
    for values in (hidden, zeros):
        twin = copy.deepcopy(model)
        for progress in train(twin, Distortion() + Rate(), Items(values, mask=mask), steps=4, batch_size=8):
            assert progress.loss.isfinite()
        ends.append({n: p.detach() for n, p in twin.named_parameters()})
    assert_same(*ends)


def test_noise_of_data_is_not_that_of_the_model() -> None:
    """Bits drawn for a batch and draws of z with the same key would be correlated."""
    assert not torch.equal(Noise(0, "data", 3).normal((8,)), Noise(0, "train", 3).normal((8,)))
