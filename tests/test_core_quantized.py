"""Quantizers against brute force, hand-worked averages, vector-quantize-pytorch and autograd; codes as latents."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

import vaekit
from vaekit import datasets
from vaekit.bottlenecks import codebooks
from vaekit.bottlenecks.codebooks import k_means, nearest, scattered
from vaekit.bottlenecks.finite import FiniteScalar
from vaekit.bottlenecks.quantized import Quantized
from vaekit.bottlenecks.quantizers import MovingAverageQuantizer, VectorQuantizer
from vaekit.bottlenecks.residual import ResidualQuantizer
from vaekit.data import Images, Vectors
from vaekit.distributions import Noise, center, draw, tempered
from vaekit.evaluation.codebook import codebooks_use
from vaekit.model import VAE
from vaekit.objectives import Distortion, Penalty, Term
from vaekit.operations import embed, line, log_likelihood, traverse
from vaekit.presets.discrete import fsq_vae, quantized, rvq_vae, vq_vae
from vaekit.priors.codes import UniformCodes
from vaekit.recipes import build, recipe
from vaekit.training import train


def features(*shape: int, seed: int = 0, scale: float = 1.0) -> torch.Tensor:
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def filled(part, seed: int = 1):
    """A codebook with given vectors; a moving average begins at them."""
    with torch.no_grad():
        part.begin(features(part.size, part.dim, seed=seed))
    return part


BOTH = pytest.mark.parametrize("form", [VectorQuantizer, MovingAverageQuantizer])
QUANTIZERS = {
    "gradient": lambda: filled(VectorQuantizer(16, 3)),
    "average": lambda: filled(MovingAverageQuantizer(16, 3)),
    "residual": lambda: ResidualQuantizer([filled(MovingAverageQuantizer(8, 3), i) for i in range(3)]),
    "finite": lambda: FiniteScalar([8, 5, 4]),
}
EVERY = pytest.mark.parametrize("name", QUANTIZERS)


# ---------------------------------------------------------------- codes and the estimator


@BOTH
@pytest.mark.parametrize("grid", [(5,), (4, 3)])
def test_codes_are_the_nearest(form, grid) -> None:
    part, h = filled(form(16, 3)), features(6, 3, *grid)
    e = part.codebook.detach().double().numpy()
    v = np.moveaxis(h.double().numpy(), 1, -1)
    by_hand = ((v[..., None, :] - e) ** 2).sum(-1).argmin(-1)
    found = part(h)
    np.testing.assert_array_equal(found.codes, by_hand)
    np.testing.assert_allclose(found.state.detach(), np.moveaxis(e[by_hand], -1, 1), rtol=1e-6)


def test_codes_are_those_of_another_library() -> None:
    other = pytest.importorskip("vector_quantize_pytorch")
    part, h = filled(MovingAverageQuantizer(16, 3)), features(6, 3, 20)
    theirs = other.VectorQuantize(dim=3, codebook_size=16).eval()
    theirs._codebook.embed.data.copy_(part.codebook)
    _, codes, _ = theirs(h.movedim(1, -1))
    assert torch.equal(part(h).codes, codes)


def test_codes_of_many_vectors_are_found_in_parts(monkeypatch) -> None:
    vectors, codebook = features(50, 3), features(7, 3, seed=1)
    whole = nearest(vectors, codebook)
    monkeypatch.setattr(codebooks, "AT_ONCE", 20)  # two vectors at once
    assert torch.equal(nearest(vectors, codebook), whole)


@EVERY
def test_the_state_is_the_embedding_and_its_gradient_is_the_features(name) -> None:
    part, h = QUANTIZERS[name](), features(4, 3, 5).requires_grad_()
    found = part(h)
    assert torch.equal(found.state, part.embed(found.codes))
    weight = features(4, 3, 5, seed=2)
    gradient = torch.autograd.grad((weight * found.state).sum(), h)[0]
    if name == "finite":  # through the bound, whose slope is a(1 − tanh²) / ⌊L/2⌋
        e = torch.autograd.functional.jvp(
            lambda t: (part.bound(t.movedim(1, -1)) / part.middle).movedim(-1, 1),
            h.detach(),
            torch.ones(4, 3, 5),
        )[1]
        weight = weight * e
    torch.testing.assert_close(gradient, weight)


@EVERY
def test_the_same_features_get_the_same_codes_in_any_batch(name) -> None:
    part, h = QUANTIZERS[name](), features(9, 3, 5)
    codes = part(h).codes
    assert torch.equal(codes, part(h).codes)
    assert torch.equal(codes, torch.cat([part(row).codes for row in h.split(2)]))
    assert torch.equal(part.closest(part.embed(codes)), codes) or name == "residual"


# ---------------------------------------------------------------- penalties


def test_the_penalty_is_codebook_and_commitment_and_neither_leaks() -> None:
    part, h = filled(VectorQuantizer(16, 3, commitment=0.3)), features(4, 3, 5).requires_grad_()
    codes, _, penalty = part(h)
    e = part.codebook[codes].movedim(-1, 1)
    torch.testing.assert_close(penalty, 1.3 * (h - e).square().flatten(1).sum(1))
    to_h, to_codebook = torch.autograd.grad(penalty.sum(), [h, part.codebook])
    torch.testing.assert_close(to_h, 2 * 0.3 * (h - e))
    by_hand = torch.zeros(16, 3).index_add_(0, codes.flatten(), 2 * (e - h).movedim(1, -1).flatten(0, 1))
    torch.testing.assert_close(to_codebook, by_hand.detach())


def test_the_moving_average_charges_commitment_alone() -> None:
    part, h = filled(MovingAverageQuantizer(16, 3, commitment=0.3)), features(4, 3, 5).requires_grad_()
    codes, state, penalty = part(h)
    torch.testing.assert_close(penalty, 0.3 * (h - state.detach()).square().flatten(1).sum(1))
    assert not part.codebook.requires_grad


@pytest.mark.parametrize("name", ["gradient", "average", "residual"])
def test_the_penalty_is_per_datum_and_summed_over_positions(name) -> None:
    part, h = QUANTIZERS[name](), features(4, 3, 5)
    once = part(h).penalty.detach()
    assert once.shape == (4,)
    torch.testing.assert_close(part(h.repeat(3, 1, 1)).penalty.detach(), once.repeat(3))
    torch.testing.assert_close(part(h.repeat(1, 1, 2)).penalty.detach(), 2 * once)


# ---------------------------------------------------------------- moving averages


def test_a_moving_average_by_hand() -> None:
    part = filled(MovingAverageQuantizer(4, 2, decay=0.9, revive=0.0))
    n, m = np.ones(4), part.codebook.double().numpy().copy()
    for step in range(30):
        h = features(3, 2, 5, seed=step, scale=3.0)
        codes = part(h).codes
        part.commit(h, codes)
        hot = np.eye(4)[codes.numpy().ravel()]
        n = 0.9 * n + 0.1 * hot.sum(0)
        m = 0.9 * m + 0.1 * hot.T @ h.movedim(1, -1).reshape(-1, 2).double().numpy()
        np.testing.assert_allclose(part.codebook, m / n[:, None], rtol=1e-3, atol=1e-4)
    share = n / n.sum()
    assert float(part.perplexity) == pytest.approx(math.exp(-(share * np.log(share)).sum()), rel=1e-4)


def test_a_moving_average_is_another_librarys_but_for_its_smoothing() -> None:
    """Theirs adds 1e-5 to every count and scales them back; ours counts 1e-5 of each code at its own place."""
    other = pytest.importorskip("vector_quantize_pytorch")
    part = filled(MovingAverageQuantizer(16, 3, decay=0.8, revive=0.0))
    theirs = other.VectorQuantize(dim=3, codebook_size=16, decay=0.8, threshold_ema_dead_code=0).train()
    theirs._codebook.embed.data.copy_(part.codebook)
    theirs._codebook.embed_avg.data.copy_(part.codebook)
    for step in range(5):
        h = features(8, 3, 20, seed=step)
        codes = theirs(h.movedim(1, -1))[1]
        assert torch.equal(part(h).codes, codes)
        part.commit(h, codes)
        torch.testing.assert_close(part.counts, theirs._codebook.cluster_size[0], rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(part.codebook, theirs._codebook.embed[0], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("revive", [0.0, 0.05])
@pytest.mark.parametrize("start", [False, True])
def test_the_codebook_does_not_explode(revive, start) -> None:
    """Every vector is a mean of what came and of where it began."""
    part = MovingAverageQuantizer(64, 3, revive=revive)
    if start:
        part.see_first(features(40, 3, 5))
    bound = max(float(part.codebook.norm(dim=1).max()), 6.0)
    for step in range(1, 11):
        h = features(4, 3, 5, seed=step)
        part.commit(h, part(h).codes)
        assert float(part.codebook.norm(dim=1).max()) <= bound
    part.decay = 0.5
    for _ in range(150):  # counts of codes that nobody chooses are then 0 in float32
        part.commit(h, part(h).codes)
    assert torch.isfinite(part.codebook).all() and float(part.codebook.norm(dim=1).max()) <= bound


def test_a_code_that_nobody_chooses_stays_where_it_is() -> None:
    part = MovingAverageQuantizer(2, 2, decay=0.5, revive=0.0)
    part.begin(torch.tensor([[0.0, 0.0], [9.0, 9.0]]))
    for step in range(160):  # its count is then 0 in float32
        h = features(4, 2, 5, seed=step)
        part.commit(h, part(h).codes)
    torch.testing.assert_close(part.codebook[1], torch.tensor([9.0, 9.0]))


def test_weights_count_as_repeated_rows() -> None:
    h, weight = features(3, 2, 5), torch.tensor([1.0, 0.0, 2.0])
    a, b = (filled(MovingAverageQuantizer(4, 2, revive=0.0)) for _ in range(2))
    a.commit(h, a(h).codes, weight)
    again = h[[0, 2, 2]]
    b.commit(again, b(again).codes)
    torch.testing.assert_close(a.codebook, b.codebook)
    torch.testing.assert_close(a.counts, b.counts)


def test_dead_codes_begin_again_at_data_far_from_theirs() -> None:
    part = MovingAverageQuantizer(4, 2, decay=0.5, revive=0.1)
    part.begin(torch.tensor([[0.0, 0.0], [90.0, 0.0], [0.0, 90.0], [-90.0, 0.0]]))
    h = torch.zeros(2, 2, 50)
    h[0, 0, :3] = torch.tensor([4.0, 5.0, 6.0])  # the only ones that are not on their code
    for _ in range(6):
        codes = part(h).codes
        assert int(codes.max()) == 0
        part.commit(h, codes)
        if not torch.equal(part.codebook[1:].abs().amax(1), torch.full((3,), 90.0)):
            break
    revived = sorted(part.codebook[1:, 0].tolist())
    assert revived == [4.0, 5.0, 6.0] and (part.codebook[1:, 1] == 0).all()
    assert float(part.counts[1:].min()) == pytest.approx(float(part.counts.mean()), rel=1.0)
    assert len(part(h).codes.unique()) == 4
    kept = filled(MovingAverageQuantizer(4, 2, decay=0.5, revive=0.0))
    far = kept.codebook + 100
    kept.begin(far)
    for _ in range(40):
        kept.commit(h, kept(h).codes)
    assert int(((kept.codebook - far).abs().amax(1) < 0.1).sum()) == 3  # without revival they stay


def test_revival_is_the_same_again_and_another_at_the_next_step() -> None:
    h = features(10, 2, 30)

    def after(commits: int) -> torch.Tensor:
        part = MovingAverageQuantizer(8, 2, revive=0.9)
        part.begin(torch.cat([torch.zeros(1, 2), torch.full((7, 2), 50.0)]))
        part.commits.fill_(commits)
        part.commit(h, part(h).codes)
        return part.codebook

    assert torch.equal(after(3), after(3)) and not torch.equal(after(3), after(4))


def test_scattered_rows_are_drawn_in_proportion_to_their_weight() -> None:
    vectors, weight = torch.arange(4.0).unsqueeze(1), torch.tensor([0.0, 1.0, 2.0, 5.0])
    first = torch.cat([scattered(vectors, weight, 1, Noise(0, "s", step)) for step in range(2_000)]).flatten()
    counts = torch.bincount(first.long(), minlength=4)
    expected = 2_000 * weight / 8
    assert counts[0] == 0
    assert float(((counts - expected).square() / expected)[1:].sum()) < 13.8  # chi-square, 2 degrees, 0.1 %
    assert sorted(scattered(vectors, weight + 1, 4, Noise(0)).flatten().tolist()) == [0, 1, 2, 3]
    assert scattered(vectors, weight + 1, 11, Noise(0)).shape == (11, 1)


# ---------------------------------------------------------------- the start from data


def test_k_means_finds_clusters() -> None:
    centers = features(12, 2, scale=20.0)
    vectors = (centers.unsqueeze(1) + features(12, 40, 2, seed=1, scale=0.1)).flatten(0, 1)
    found = k_means(vectors, 12, Noise(0))
    distance = torch.cdist(centers, found)
    assert float(distance.min(1).values.max()) < 0.1  # each one, once
    assert sorted(distance.argmin(1).tolist()) == list(range(12))


def test_k_means_is_near_the_best_there_is() -> None:
    """K centres of the unit interval leave 1 / (12 K²) at best."""
    vectors = torch.linspace(0, 1, 4_000).unsqueeze(1)
    found = k_means(vectors, 8, Noise(0))
    assert 1 <= float(codebooks.errors(vectors, found).mean()) * 12 * 64 * 1.01 < 1.3


def test_centres_without_vectors_begin_again_far_from_the_others(monkeypatch) -> None:
    monkeypatch.setattr(codebooks, "spread_out", lambda vectors, size, noise: vectors[:1].repeat(size, 1))
    vectors = torch.arange(5.0).repeat(20).unsqueeze(1)
    assert sorted(k_means(vectors, 5, Noise(0)).flatten().tolist()) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("rows", [1, 3, 40])
def test_k_means_of_few_or_equal_vectors_is_finite(rows) -> None:
    for vectors in (features(rows, 3), torch.ones(rows, 3)):
        found = k_means(vectors, 16, Noise(0))
        assert found.shape == (16, 3) and torch.isfinite(found).all()
        assert float((vectors - found[nearest(vectors, found)]).abs().max()) < 4.0


@BOTH
def test_a_codebook_begins_from_data_once(form) -> None:
    torch.manual_seed(0)
    part, h = form(8, 2), features(30, 2, 10, scale=7.0)
    before = part.codebook.detach().clone()
    part(h)
    assert torch.equal(part.codebook.detach(), before)  # neither building it nor a pass moves it
    part.see_first(h)
    first = part.codebook.detach().clone()
    assert not torch.equal(first, before) and len(part(h).codes.unique()) == 8
    again = form(8, 2)
    again.load_state_dict(part.state_dict())
    for copy in (part, again):
        copy.see_first(h + 100)
        assert torch.equal(copy.codebook.detach(), first)


# ---------------------------------------------------------------- residual and finite


def test_residual_codes_by_hand() -> None:
    part, h = QUANTIZERS["residual"](), features(4, 3, 5)
    left, by_hand = h.movedim(1, -1), []
    for stage in part.stages:
        by_hand.append(torch.cdist(left, stage.codebook).argmin(-1))
        left = left - stage.codebook[by_hand[-1]]
    found = part(h)
    assert torch.equal(found.codes, torch.stack(by_hand, -1))
    torch.testing.assert_close(found.state, h - left.movedim(-1, 1))
    errors, rest = [], h.movedim(1, -1)
    for stage, codes in zip(part.stages, by_hand, strict=True):
        rest = rest - stage.codebook[codes]
        errors.append(0.25 * rest.square().flatten(1).sum(1))
    torch.testing.assert_close(found.penalty, sum(errors))


def test_residual_codes_are_those_of_another_library() -> None:
    other = pytest.importorskip("vector_quantize_pytorch")
    part, h = QUANTIZERS["residual"](), features(4, 3, 20)
    theirs = other.ResidualVQ(dim=3, num_quantizers=3, codebook_size=8).eval()
    for layer, stage in zip(theirs.layers, part.stages, strict=True):
        layer._codebook.embed.data.copy_(stage.codebook)
    assert torch.equal(part(h).codes, theirs(h.movedim(1, -1))[1])


def test_each_stage_learns_what_the_ones_before_have_left() -> None:
    part, h = ResidualQuantizer([MovingAverageQuantizer(8, 3) for _ in range(3)]), features(40, 3, 10)
    torch.manual_seed(0)
    part.see_first(h)
    left, sizes = h, []
    for stage, codes in zip(part.stages, part(h).codes.unbind(-1), strict=True):
        left = left - stage.embed(codes)
        sizes.append(float(left.square().mean()))
    assert sizes[0] < 0.6 and sizes[1] < 0.6 * sizes[0] and sizes[2] < 0.6 * sizes[1]
    alone, codes = MovingAverageQuantizer(8, 3), part(h).codes
    alone.load_state_dict(part.stages[1].state_dict())
    rest = h - part.stages[0].embed(
        codes[..., 0]
    )  # with the first codebook as it was when the codes were found
    part.commit(h, codes)
    alone.commit(rest, codes[..., 1])
    assert torch.equal(part.stages[1].codebook, alone.codebook)


def test_residual_stages_share_one_width() -> None:
    with pytest.raises(ValueError, match="one dim"):
        ResidualQuantizer([VectorQuantizer(8, 2), VectorQuantizer(8, 3)])


@pytest.mark.parametrize("levels", [[8, 5, 5, 3], [7, 4, 6, 9]])
def test_finite_scalars_are_those_of_another_library(levels) -> None:
    other = pytest.importorskip("vector_quantize_pytorch")
    part, h = FiniteScalar(levels), features(50, 4, 20, scale=2.0)
    found = part(h)
    theirs = other.FSQ(levels=levels)
    state, _ = theirs(h.movedim(1, -1))
    torch.testing.assert_close(found.state.movedim(1, -1), state)
    assert torch.equal(found.codes.to(state.dtype), theirs._scale_and_shift(state).round())


def test_finite_scalars_are_the_papers() -> None:
    """Its listing: tan for artanh, and ε of the other sign; a code differs only where f is at an edge."""
    levels, h = np.array([8, 5, 7, 4]), features(500, 4, 20, scale=2.0)
    half, offset = (levels - 1) * (1 - 1e-3) / 2, np.where(levels % 2 == 1, 0.0, 0.5)
    z = np.tanh(h.movedim(1, -1).double().numpy() + np.tan(offset / half)) * half - offset
    codes = np.round(z) + levels // 2
    assert (codes == FiniteScalar(levels.tolist())(h).codes.numpy()).mean() > 0.99


@pytest.mark.parametrize("size", [2, 3, 4, 5, 8, 33])
def test_every_level_is_reached_and_none_beyond(size) -> None:
    h = torch.linspace(-30, 30, 60_001).view(1, 1, -1)
    found = FiniteScalar([size])(h)
    assert found.codes.unique().tolist() == list(range(size))
    assert int(found.codes[0, 30_000]) == size // 2 and float(found.state[0, 0, 30_000]) == 0  # f(0) = 0
    assert found.penalty == 0
    with pytest.raises(ValueError, match="at least two levels"):
        FiniteScalar([size, 1])


# ---------------------------------------------------------------- the prior


def test_the_uniform_prior_is_over_its_own_levels() -> None:
    """FSQ's code length is that of its levels, 8.99 nats, and not that of 8 for each of them, 10.40."""
    p = UniformCodes((5,), [8, 8, 5, 5, 4])()
    assert -float(p.log_prob(torch.zeros(1, 5, dtype=torch.long)).sum()) == pytest.approx(
        math.log(8 * 8 * 5 * 5 * 4)
    )
    sketch = UniformCodes((5,), [8, 8, 5, 5, 5])()
    assert float(sketch.entropy().sum()) == pytest.approx(8.987, abs=1e-3)
    z, _ = draw(p.expand(torch.Size((4_000, 5))), Noise(0))
    for place, size in enumerate([8, 8, 5, 5, 4]):
        counts = torch.bincount(z[:, place], minlength=size)
        assert len(counts) == size
        assert (
            float(((counts - 4_000 / size).square() / (4_000 / size)).sum()) < 27
        )  # chi-square, 0.1 % or less
    assert float(p.log_prob(torch.tensor([0, 0, 0, 0, 4]))[-1]) == -math.inf


def test_the_uniform_prior_as_others_use_it() -> None:
    prior = UniformCodes((3, 2), 7)
    assert prior(torch.zeros(4, 9)).batch_shape == (4, 3, 2) and prior().batch_shape == (3, 2)
    z = center(prior(torch.zeros(4, 9)))
    assert z.shape == (4, 3, 2) and not z.is_floating_point()
    assert tempered(prior(), 0.5).entropy().sum() == prior().entropy().sum()
    values = torch.arange(7).double()
    torch.testing.assert_close(prior().mean.double(), values.mean().expand(3, 2))
    torch.testing.assert_close(prior().variance.double(), values.var(correction=0).expand(3, 2))
    for wrong in ([7, 7, 7], 0, [7, 0]):
        with pytest.raises(ValueError, match="levels"):
            UniformCodes((3, 2), wrong)


# ---------------------------------------------------------------- codes as latents

PRESETS = {
    "vq": lambda kind: vq_vae(kind, latent=3, codes=9),
    "vq gradient": lambda kind: vq_vae(kind, latent=3, codes=9, moving_average=False),
    "rvq": lambda kind: rvq_vae(kind, latent=3, codes=9, stages=2),
    "fsq": lambda kind: fsq_vae(kind, latent=2, levels=3),
}
NATS = {"vq": math.log(9), "vq gradient": math.log(9), "rvq": 2 * math.log(9), "fsq": 2 * math.log(3)}
ALL = pytest.mark.parametrize("name", PRESETS)
KIND = Images(1, 9, 6, levels=0)  # 3 × 2 positions


def model_of(name: str, kind=KIND) -> VAE:
    torch.manual_seed(0)
    return PRESETS[name](kind).model.eval()


def data(n: int = 5, seed: int = 0) -> torch.Tensor:
    return torch.rand(n, 1, 9, 6, generator=torch.Generator().manual_seed(seed))


@ALL
def test_the_rate_is_the_code_length(name) -> None:
    model, x = model_of(name), data()
    out = model(x)
    length = 6 * NATS[name]
    torch.testing.assert_close(out.rate, torch.full((5,), length))
    torch.testing.assert_close(out.log_weight, -out.distortion - length)
    torch.testing.assert_close(log_likelihood(model, x, samples=3).float(), -out.distortion.detach() - length)
    assert out.latents[0].kl.shape == out.z.shape


@ALL
def test_codes_decode_to_what_the_pass_had(name) -> None:
    model, x = model_of(name), data()
    z = model.encode(x)
    assert not z.is_floating_point() and torch.equal(z, model.encode(x))
    torch.testing.assert_close(center(model.decode(z)), center(model(x).px), rtol=0, atol=0)
    out = model(x, samples=3)
    assert torch.equal(out.z, z.repeat_interleave(3, 0)) and out.state.shape[0] == 15


@ALL
def test_sampling_decodes_codes_of_the_prior(name) -> None:
    model = model_of(name)
    assert model.sample(4, noise=Noise(0)).shape == (4, 1, 9, 6)
    state, [latent] = model.bottleneck(n=50, noise=Noise(0))
    assert torch.equal(state, model.bottleneck.quantizer.embed(latent.z)) and latent.q is latent.p
    assert torch.equal(latent.z, model.bottleneck.checked(latent.z)) and len(latent.z.unique()) > 2


def test_codes_out_of_range_are_refused() -> None:
    part = model_of("vq").bottleneck
    with pytest.raises(ValueError, match="from 0 to 8; these run from -1 to 9"):
        part(z=torch.tensor([[[9, -1], [0, 0], [0, 0]]]))
    with pytest.raises(ValueError, match="whole numbers"):
        part(z=torch.zeros(1, 3, 2))
    finite = Quantized(FiniteScalar([8, 5]), UniformCodes((4, 2), [8, 5]))
    finite(z=torch.tensor([[[7, 4]] * 4]))
    with pytest.raises(ValueError, match=r"0 to \[7, 4\]"):
        finite(z=torch.tensor([[[4, 7]] * 4]))
    with pytest.raises(ValueError, match="2 entries on the last axis"):
        finite(z=torch.zeros(1, 4, 3, dtype=torch.long))
    with pytest.raises(ValueError, match="3 entries on axis 1"):
        part(torch.zeros(1, 4, 3, 2))
    with pytest.raises(ValueError, match="2 entries on axis 1"):
        finite(torch.zeros(1, 3, 4))


@ALL
def test_walks_stay_on_codes(name) -> None:
    model, x = model_of(name), data(2)
    z = model.encode(x)
    way = model.bottleneck.between(z[:1], z[1:], torch.linspace(0, 1, 5))
    assert way.shape == (5, *z.shape[1:]) and torch.equal(model.bottleneck.checked(way), way)
    if name != "rvq":  # whose greedy codes of a sum may be others
        assert torch.equal(way[:1], z[:1]) and torch.equal(way[-1:], z[1:])
    quantizer = model.bottleneck.quantizer
    middle = (quantizer.embed(z[:1]) + quantizer.embed(z[1:])) / 2
    assert torch.equal(way[2:3], quantizer.closest(middle))
    assert line(model, z[:1], z[1:], 5).shape == (5, 1, 9, 6)
    assert traverse(model, z[:1], [0, 3], 4).shape == (2, 4, 1, 9, 6)
    scan = model.bottleneck.scan(9, 3.0)
    assert scan.tolist() == (list(range(9)) if name != "fsq" else [0, 0, 0, 1, 1, 1, 2, 2, 2])
    assert all(part.shape == (2, z[0].numel()) for part in embed(model, x))


def test_another_prior_is_charged() -> None:
    model = model_of("vq")
    other = model.bottleneck.with_prior(UniformCodes((3, 2), 20))
    assert other.quantizer is model.bottleneck.quantizer
    assert float(other(model.encoder(data()))[1][0].kl.sum(dim=(1, 2))[0]) == pytest.approx(6 * math.log(20))


@ALL
@pytest.mark.parametrize("kind", [KIND, Vectors(5), Vectors(5, missing=True)], ids=repr)
def test_presets_train_the_same_way_twice_and_come_back_from_recipes(name, kind) -> None:
    x = torch.rand(300, *kind.shape, generator=torch.Generator().manual_seed(0))

    def run() -> tuple[VAE, dict[str, torch.Tensor]]:
        torch.manual_seed(3)
        model, objective = PRESETS[name](kind)
        before = {key: t.clone() for key, t in model.state_dict().items()}
        for _ in train(model, objective, x, steps=4, batch_size=16, seed=1):
            torch.rand(7)  # whoever else draws meanwhile
        return model.eval(), before

    (model, before), (again, _) = run(), run()
    after = model.state_dict()
    assert all(torch.equal(t, again.state_dict()[key]) for key, t in after.items())
    moved = {key for key, t in after.items() if not torch.equal(t, before[key])}
    still = set(after) - moved
    assert not [key for key in still if not key.endswith(("commits", "started"))], still
    copy = build(recipe(model))
    copy.load_state_dict(after)
    out = model(x[:3])
    assert torch.equal(copy(x[:3]).z, out.z) and torch.isfinite(out.distortion).all()


class Broken(Term):
    """Not a number from step 2 on."""

    def forward(self, out, step):
        return out.distortion * (math.nan if step >= 2 else 1.0)


def test_a_step_that_is_skipped_leaves_the_codebook_alone() -> None:
    torch.manual_seed(0)
    model = vq_vae(KIND, latent=3, codes=9).model
    quantizer, seen = model.bottleneck.quantizer, []
    for _ in train(model, Broken(), data(40), steps=4, batch_size=8):
        seen.append({key: t.clone() for key, t in quantizer.state_dict().items()})
    assert not torch.equal(seen[0]["codebook"], seen[1]["codebook"])
    for later in seen[2:]:
        assert all(torch.equal(later[key], t) for key, t in seen[1].items())


def test_evaluation_leaves_every_buffer_unchanged() -> None:
    torch.manual_seed(0)
    model = vq_vae(KIND, latent=3, codes=9).model
    before = {key: t.clone() for key, t in model.state_dict().items()}
    for mode in (model.train(), model.eval()):
        mode(data())
        mode.encode(data())
        mode.sample(3)
    assert all(torch.equal(t, before[key]) for key, t in model.state_dict().items())


def test_a_doubled_batch_has_the_same_loss_per_datum() -> None:
    for name in ("vq", "vq gradient", "rvq"):
        model, x = model_of(name), data()
        objective = Distortion() + Penalty()
        losses = [float(objective(model(x.repeat(k, 1, 1, 1)), 0).detach()) for k in (1, 3)]
        assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_double_precision_stays() -> None:
    kind = Images(1, 8, 8, levels=0)
    for preset in (vq_vae, rvq_vae, fsq_vae):
        model = preset(kind).model.double()
        z = model.encode(torch.rand(2, 1, 8, 8, dtype=torch.float64))
        assert center(model.decode(z)).dtype == torch.float64


def test_the_parts_compose_by_hand() -> None:
    """Without a preset: a linear encoder, a small codebook, and the codebook's use after training."""
    torch.manual_seed(0)
    model = quantized(Vectors(4), MovingAverageQuantizer(12, 2))
    x = torch.randn(400, 4)
    for _ in train(model, Distortion() + Penalty(), x, steps=30, batch_size=64):
        pass
    assert float(model.bottleneck.quantizer.perplexity) > 6
    assert len(model.encode(x).unique()) >= 11
    assert isinstance(model.decoder, nn.Module)


def test_a_run_of_codes_speaks_of_a_codebook_and_not_of_dimensions(tmp_path) -> None:
    images, _ = datasets.digits()
    np.save(tmp_path / "x.npy", images[:120])
    for preset in ("vq_vae", "rvq_vae", "fsq_vae"):
        run = vaekit.fit(
            tmp_path / "x.npy",
            preset=preset,
            steps=5,
            threads=1,
            evaluate_every=5,
            quiet=True,
            out=tmp_path / preset,
        )
        assert run.metrics["active_units"] is None and run.metrics["rate"] > 0
        page = (run.path / "report.html").read_text()
        assert "codes in use, perplexity" in page and "latent dimensions in use" not in page
    use = codebooks_use(torch.tensor([[0, 1], [1, 1]]), [2, 4])
    assert (use.used, use.perplexity) == pytest.approx(((1 + 0.25) / 2, (2 + 1) / 2))
