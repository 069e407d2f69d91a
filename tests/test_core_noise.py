"""Noise: a function of its key and of nothing else."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import pytest
import torch
from scipy import stats

from vaekit.distributions import MEAN, Noise, RowNoise, ambient, content_keys, draw
from vaekit.distributions.families import Laplace
from vaekit.distributions.noise import key

DRAWS = ("normal", "uniform")


@pytest.mark.parametrize("kind", DRAWS)
def test_noise_is_a_function_of_seed_purpose_and_step(kind) -> None:
    seen = {}
    for words in [(0, "a", 0), (1, "a", 0), (0, "b", 0), (0, "a", 1), (2**63 + 5, "a", 0), (-1, "", 10**9)]:
        first = getattr(Noise(*words), kind)((4, 3))
        torch.manual_seed(len(seen))  # torch's own generator has no say
        np.random.seed(len(seen))  # noqa: NPY002
        assert torch.equal(first, getattr(Noise(*words), kind)((4, 3)))
        seen[words] = first.flatten().tolist()
    values = [v for numbers in seen.values() for v in numbers]
    assert len(set(values)) == len(values)


def test_a_step_does_not_run_into_the_next() -> None:
    """However much one step draws, its numbers are not those of the steps after it."""
    long = Noise(0, "t", 0).uniform((200_000,), torch.zeros((), dtype=torch.float64))
    for step in (1, 2, 3):
        nearby = Noise(0, "t", step).uniform((100,), torch.zeros((), dtype=torch.float64))
        assert not np.isin(nearby.numpy(), long.numpy()).any()


def test_draws_of_one_stream_go_on() -> None:
    noise = Noise(0, "a")
    assert not torch.equal(noise.normal((3,)), noise.normal((3,)))


def test_the_numbers_are_those_of_every_machine() -> None:
    """Written down once: another release that changes them changes every stopped run."""
    # Philox-4x64 and BLAKE2b are specified; their own implementations elsewhere give these
    assert key("train", 3) == int.from_bytes(hashlib.blake2b(b"train/3", digest_size=8).digest(), "little")
    bits = np.random.Philox(key=np.array([7, key("x")], dtype=np.uint64), counter=[0, 0, 0, 5])
    expected = np.random.Generator(bits).standard_normal((2, 3), np.float64)
    found = Noise(7, "x", 5).normal((2, 3), torch.zeros(1, dtype=torch.float64))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("kind", DRAWS)
@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_the_parts_of_ranks_are_the_whole(kind, ranks) -> None:
    streams = [Noise(1, "p", 4, part=(rank, ranks)) for rank in range(ranks)]
    whole = Noise(1, "p", 4)
    for _ in range(2):  # and stay in step
        parts = [getattr(stream, kind)((2, 3)) for stream in streams]
        assert torch.equal(torch.cat(parts), getattr(whole, kind)((2 * ranks, 3)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_numbers_have_the_distribution_they_say(dtype) -> None:
    like = torch.zeros((), dtype=dtype)
    for make in (lambda: Noise(0, "fit", 2), lambda: RowNoise(0, "fit", torch.arange(500))):
        u, z = make().uniform((20_000 // 500 * 500, 2), like), make().normal((20_000, 2), like)
        assert u.dtype == z.dtype == dtype
        assert stats.kstest(u.numpy().ravel(), "uniform").pvalue > 1e-3
        assert stats.kstest(z.numpy().ravel(), "norm").pvalue > 1e-3


def test_uniform_numbers_reach_neither_end() -> None:
    """Logarithms of u and of 1 − u are taken. This row's number is within 2⁻²⁵ of 1: rounded, it would be 1."""
    for noise in (RowNoise(0, "u", torch.tensor([18164954])), Noise(0, "u")):
        for like in (torch.zeros(()), torch.zeros((), dtype=torch.float64)):
            u = noise.uniform((1, 1) if isinstance(noise, RowNoise) else (10**6,), like)
            assert float(u.min()) > 0
            assert float(u.max()) < 1
            if isinstance(noise, RowNoise):
                noise.drawn = 0
    noise = RowNoise(0, "u", torch.tensor([18164954]))
    assert draw(Laplace()(torch.zeros(1, 2)), noise)[0].isfinite().all()


def test_choice_and_permutation() -> None:
    assert sorted(Noise(3, "o").permutation(50).tolist()) == list(range(50))
    assert Noise(3, "o").permutation(50).tolist() != list(range(50))
    counts = torch.bincount(Noise(3, "c").choice([1, 0, 3], 4000), minlength=3)
    assert stats.chisquare(counts[[0, 2]], [1000, 3000]).pvalue > 1e-3 and counts[1] == 0


# --- noise by row

ROWS = torch.tensor([3, -7, 2**62, 11, 0, 5])


@pytest.mark.parametrize("kind", DRAWS)
def test_a_row_has_its_own_numbers_whatever_stands_beside_it(kind) -> None:
    def drawn(rows: torch.Tensor, samples: int = 4, first: int = 0, calls: int = 2) -> torch.Tensor:
        noise = RowNoise(0, "s", rows, first)
        each = [getattr(noise, kind)((len(rows) * samples, 2, 3)) for _ in range(calls)]
        return torch.stack(each).unflatten(1, (len(rows), samples))  # (calls, B, K, 2, 3)

    whole = drawn(ROWS)
    assert torch.equal(drawn(ROWS[2:3]), whole[:, 2:3])  # alone
    assert torch.equal(drawn(ROWS.flip(0)), whole.flip(1))  # in another order
    assert torch.equal(torch.cat([drawn(ROWS, 1), drawn(ROWS, 3, first=1)], 2), whole)  # in chunks of samples
    assert len(whole.unique()) == whole.numel()  # row, sample, call and dimension all matter
    same = drawn(torch.zeros(3, dtype=torch.long))
    assert torch.equal(same[:, 0], same[:, 1])


@pytest.mark.parametrize("kind", DRAWS)
def test_purpose_and_seed_matter_to_a_row(kind) -> None:
    numbers = [getattr(RowNoise(s, p, ROWS), kind)((6, 2)) for s, p in ((0, "a"), (1, "a"), (0, "b"))]
    assert len(torch.cat(numbers).unique()) == 36


def test_rows_samples_and_dimensions_are_uncorrelated() -> None:
    rows, samples, width = 40, 40, 40
    z = RowNoise(0, "c", torch.arange(rows)).normal(
        (rows * samples, width), torch.zeros((), dtype=torch.float64)
    )
    z = z.view(rows, samples, width).numpy()
    n = z.size
    assert abs(z.mean()) < 4 / math.sqrt(n) and abs(z.var() - 1) < 4 * math.sqrt(2 / n)
    assert abs((z**4).mean() - 3) < 4 * math.sqrt(96 / n)
    for axis in range(3):  # neighbours along each axis, also their squares
        a, b = np.delete(z, -1, axis), np.delete(z, 0, axis)
        for f in (lambda t: t, lambda t: t**2 - 1):
            r = np.corrcoef(f(a).ravel(), f(b).ravel())[0, 1]
            assert abs(r) < 4 / math.sqrt(a.size)
    for flat in (z.reshape(rows, -1), z.swapaxes(0, 1).reshape(samples, -1), z.reshape(-1, width).T):
        r = np.corrcoef(flat) - np.eye(len(flat))
        assert np.abs(r).max() < 5 / math.sqrt(flat.shape[1])
    two = RowNoise(0, "c", torch.arange(2000))
    r = np.corrcoef(two.normal((2000, 10)).ravel(), two.normal((2000, 10)).ravel())[0, 1]
    assert abs(r) < 4 / math.sqrt(20_000)  # one call and the next


@pytest.mark.parametrize("family", ["StudentT", "Laplace", "Bernoulli", "Gaussian"])
def test_a_draw_of_any_family_by_row_does_not_depend_on_its_neighbours(family) -> None:
    from vaekit import distributions

    family = getattr(distributions, family)()
    params = torch.linspace(-1, 1, 6 * family.size(2)).view(6, -1)
    whole = draw(family(params), RowNoise(0, "d", ROWS))[0]
    assert torch.equal(draw(family(params[2:4]), RowNoise(0, "d", ROWS[2:4]))[0], whole[2:4])


@pytest.mark.parametrize("family", ["StudentT", "Laplace", "Categorical"])
def test_ranks_together_draw_what_one_would_from_any_family(family) -> None:
    from vaekit import distributions

    family = getattr(distributions, family)(*([4] if family == "Categorical" else []))
    params = torch.linspace(-1, 1, 6 * family.size(2)).view(6, -1)
    whole = draw(family(params), Noise(0, "d"))[0]
    parts = [draw(family(params[i : i + 3]), Noise(0, "d", part=(i // 3, 2)))[0] for i in (0, 3)]
    assert torch.equal(torch.cat(parts), whole)


# --- keys from content


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int64])
def test_a_content_key_is_the_rows_own(dtype) -> None:
    rows = torch.randint(0, 100, (6000, 2, 5), generator=torch.Generator().manual_seed(0)).to(dtype)
    keys = content_keys(rows)
    order = torch.randperm(6000, generator=torch.Generator().manual_seed(1))
    assert torch.equal(content_keys(rows[order]), keys[order])
    assert torch.equal(content_keys(rows[4090:4100]), keys[4090:4100])
    assert keys.dtype == torch.int64 and keys.shape == (6000,)


def test_twenty_thousand_rows_have_twenty_thousand_keys() -> None:
    # near each other: all pairs of levels at two places, which a plain sum of values would confuse
    rows = torch.zeros(20_000, 6, dtype=torch.uint8)
    index = torch.arange(20_000)
    rows[:, 1], rows[:, 4], rows[:, 5] = index % 256, index // 256 % 256, index // 65_536
    assert len(content_keys(rows).unique()) == 20_000
    swapped = torch.cat([torch.eye(50, dtype=torch.int64), 2 * torch.eye(50, dtype=torch.int64)])
    assert len(content_keys(swapped).unique()) == 100  # places are told apart


def test_rows_of_real_numbers_are_told_apart_or_refused() -> None:
    rows = torch.rand(100, 4, generator=torch.Generator().manual_seed(0))
    try:
        keys = content_keys(rows)
    except (TypeError, ValueError):
        return
    assert len(keys.unique()) == 100


# --- torch's own generator


def test_inside_noise_torch_the_generator_is_the_streams_and_afterwards_its_own() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    with Noise(0, "t", 3).torch():
        first = torch.rand(4)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(99)
    with Noise(0, "t", 3).torch():
        assert torch.equal(torch.rand(4), first)
    with Noise(0, "t", 4).torch():
        assert not torch.equal(torch.rand(4), first)
    torch.manual_seed(5)
    with pytest.raises(KeyError), Noise(0, "t").torch():
        torch.rand(1)
        raise KeyError
    assert torch.equal(torch.get_rng_state(), before)


def test_drawing_leaves_torchs_generator_alone(likelihood) -> None:
    family = likelihood.make()
    torch.manual_seed(5)
    before = torch.get_rng_state()
    draw(family(torch.zeros(3, family.size(1))), Noise(0))
    assert torch.equal(torch.get_rng_state(), before)


def test_ambient_noise_is_what_manual_seed_governs() -> None:
    def numbers(seed: int) -> list[torch.Tensor]:
        torch.manual_seed(seed)
        return [ambient().normal((3,)), ambient().normal((3,))]

    a, b, other = numbers(1), numbers(1), numbers(2)
    assert torch.equal(a[0], b[0]) and torch.equal(a[1], b[1])
    assert not torch.equal(a[0], a[1]) and not torch.equal(a[0], other[0])


def test_the_mean_draws_the_centre(likelihood, rng) -> None:
    from vaekit.distributions import center

    family = likelihood.make()
    d = family(torch.tensor(rng.normal(size=(3, family.size(1)))))
    assert torch.equal(draw(d, MEAN)[0], center(d))
