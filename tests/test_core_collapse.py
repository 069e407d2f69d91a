"""Posteriors that cannot collapse: what they promise of the rate, of a batch, and of a datum alone."""

from __future__ import annotations

import math

import pytest
import torch
from torch import distributions as D

from vaekit.bottlenecks.collapse import MOMENTUM, CommittedGaussian, NormalizedGaussian, widest
from vaekit.data import Images, Vectors
from vaekit.data.sequences import Sequences
from vaekit.distributions import Noise, draw, kl
from vaekit.objectives import Distortion, Rate
from vaekit.presets.autoregressive import bn_vae, delta_vae, pixel_vae, word_dropout_vae
from vaekit.recipes import build, recipe
from vaekit.training import Adam, fit, train


def against_normal(q: D.Distribution) -> torch.Tensor:
    found = kl(q, D.Normal(torch.zeros(()), torch.ones(())))
    assert found is not None
    return found


@pytest.mark.parametrize("floor", [1e-3, 0.05, 0.25, 2.0, 10.0])
def test_the_rate_is_never_below_the_floor(floor) -> None:
    source = torch.Generator().manual_seed(0)
    for size in (0.1, 3.0, 100.0):
        params = size * torch.randn(500, 8, generator=source, dtype=torch.float64)
        found = against_normal(CommittedGaussian(floor)(params))
        assert bool((found >= floor * (1 - 1e-12)).all())
    params = torch.cat(
        [torch.zeros(1, 4), torch.full((1, 4), 40.0)], 1
    ).double()  # no mean, the widest there is
    assert float(against_normal(CommittedGaussian(floor)(params)).max()) == pytest.approx(floor, rel=1e-9)
    sigma = widest(floor)
    assert (sigma**2 - 1) / 2 - math.log(sigma) == pytest.approx(floor, rel=1e-9) and sigma < 1


def test_normalised_means_have_mean_zero_and_spread_gamma_in_every_batch() -> None:
    family = NormalizedGaussian(3, gamma=0.6).double()
    for seed in range(3):
        params = (
            torch.randn(40, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 5 + 2
        )
        q = family(params)
        torch.testing.assert_close(q.mean.mean(0), torch.zeros(3).double(), atol=1e-12, rtol=0)
        spread = q.mean.std(0, correction=0)
        torch.testing.assert_close(spread, torch.full_like(spread, 0.6), atol=1e-8, rtol=0)
        assert bool((against_normal(q).mean(0) >= 0.6**2 / 2 - 1e-8).all())
        family.commit(q)


def test_evaluation_does_not_depend_on_the_batch() -> None:
    family = NormalizedGaussian(2)
    params = torch.randn(64, 4) + 1
    family.commit(family(params))
    family.eval()
    whole = family(params).mean
    for row in (0, 5, 63):
        torch.testing.assert_close(
            family(params[row : row + 1]).mean, whole[row : row + 1], rtol=1e-6, atol=1e-7
        )
    # after one batch its statistics are the running ones
    torch.testing.assert_close(whole.mean(0), torch.zeros(2), atol=1e-6, rtol=0)


def test_running_statistics_move_in_commit_alone_and_only_while_training() -> None:
    family = NormalizedGaussian(2)
    kept = {name: t.clone() for name, t in family.named_buffers()}
    q = family(torch.randn(8, 4) * 3)
    assert all(bool((t == kept[name]).all()) for name, t in family.named_buffers())
    family.commit(q)
    first = family.location.clone()
    torch.testing.assert_close(first, q.seen[0])
    assert float(family.batches) == 1
    other = family(torch.randn(8, 4) * 3 + 1)
    family.commit(other)
    torch.testing.assert_close(family.location, (first + other.seen[0]) / 2)  # early on a plain mean
    family.batches.fill_(10_000)
    before = family.variance.clone()
    family.commit(other)
    torch.testing.assert_close(family.variance, before.lerp(other.seen[1], MOMENTUM))
    family.eval()
    before = family.location.clone()
    family.commit(family(torch.randn(8, 4)))
    assert bool((family.location == before).all())


def test_training_commits_and_a_skipped_step_does_not() -> None:
    kind = Vectors(4)
    made = bn_vae(kind, latent=2)
    family = made.model.bottleneck.posterior.family
    x = torch.randn(64, 4)
    steps = train(made.model, made.objective, x, steps=2, optimizer=Adam(1e-3))
    next(steps)
    assert float(family.batches) == 1 and float(family.location.abs().max()) > 0
    before = family.location.clone()
    with torch.no_grad():
        made.model.decoder.net.last.bias.fill_(math.nan)
    next(steps)
    assert float(family.batches) == 1 and bool((family.location == before).all())


@pytest.mark.parametrize("samples", [1, 3])
def test_a_doubled_batch_and_more_draws_leave_the_statistics_alone(samples) -> None:
    made = bn_vae(Vectors(4), latent=2)
    x = torch.randn(10, 4, generator=torch.Generator().manual_seed(0))
    once = made.model(x, noise=Noise(0)).latents[0].q
    more = made.model(torch.cat([x, x]), samples=samples, noise=Noise(0)).latents[0].q
    torch.testing.assert_close(more.mean[: 10 * samples : samples], once.mean, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("family", [NormalizedGaussian(3, 0.5), CommittedGaussian(0.3)])
def test_gradients_reach_mean_and_scale_and_recipes_come_back(family) -> None:
    params = torch.randn(20, 6, requires_grad=True)
    q = family(params)
    (draw(q, Noise(0))[0].square().sum() + against_normal(q).sum()).backward()
    assert bool((params.grad.abs().sum(0) > 0).all())
    again = build(recipe(family))
    assert type(again) is type(family)


def test_what_is_refused() -> None:
    for wrong in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(ValueError, match="above 0"):
            CommittedGaussian(wrong)
    with pytest.raises(ValueError, match="above 0"):
        NormalizedGaussian(2, 0.0)
    with pytest.raises(ValueError, match="sequences"):
        word_dropout_vae(Vectors(3))


@pytest.mark.parametrize("compose", [bn_vae, delta_vae])
def test_the_rate_stays_up_where_the_plain_objective_would_take_it_to_zero(compose) -> None:
    """Nothing can be learned from pure noise, so that the ELBO alone makes the rate zero."""
    made = compose(Vectors(3), latent=2)
    fit(made.model, made.objective, torch.randn(256, 3), steps=150, lr=1e-2)
    out = made.model(torch.randn(256, 3))
    floor = 4.0 if compose is delta_vae else 2 * 0.7**2 / 2
    assert float(out.rate.detach().mean()) >= floor * 0.8


def test_the_presets_of_strong_decoders_score_draw_and_learn() -> None:
    lines, bits = Sequences("ab", 5), Images(1, 6, 6, binarize="threshold")
    text = lines.encode(lines.store(["ab", "ba", "aabb", "b"] * 8))
    picture = bits.encode(bits.store(torch.randint(0, 255, (32, 6, 6)).to(torch.uint8).numpy()))
    for preset, kind, batch in (
        (word_dropout_vae, lines, text),
        (bn_vae, lines, text),
        (pixel_vae, bits, picture),
    ):
        made = preset(kind, latent=3)
        assert repr(made.objective) == repr(Distortion() + Rate())
        before = {name: p.clone() for name, p in made.model.named_parameters()}
        for _ in train(made.model, made.objective, batch.x, steps=3, batch_size=16):
            pass
        same = [name for name, p in made.model.named_parameters() if bool((p == before[name]).all())]
        # what never occurs as an earlier token is not heard of; everything else moves
        assert not same, same
        made.model.eval()
        assert made.model.sample(4, noise=Noise(0)).shape == (4, *kind.shape)
        again = build(recipe(made.model))
        again.load_state_dict(made.model.state_dict())
        again.eval()
        torch.testing.assert_close(again.encode(batch.x), made.model.encode(batch.x))


def test_dropping_words_is_a_matter_of_training_alone() -> None:
    lines = Sequences("ab", 5)
    model = word_dropout_vae(lines, latent=2, dropout=0.9).model
    batch = lines.encode(lines.store(["abab", "ba"]))
    model.eval()
    first, second = (model(batch.x, mask=batch.mask, noise=Noise(0)).distortion for _ in range(2))
    assert bool((first == second).all())
    model.train()
    assert float(model.decoder.family.net.dropout) == 0.9
    torch.manual_seed(0)
    noisy = torch.stack(
        [model(batch.x, mask=batch.mask, noise=Noise(0)).distortion.detach() for _ in range(4)]
    )
    assert float(noisy.std(0).max()) > 0
