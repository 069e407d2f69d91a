"""Vectors: standardising and back, precision, ranges, volumes, recipes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from vaekit.data import Vectors
from vaekit.data.facts import constant_features, measure
from vaekit.data.vectors import moments
from vaekit.distributions import Bernoulli, Categorical, Gaussian, Laplace, PerDimension
from vaekit.errors import DataError
from vaekit.recipes import build, recipe


def test_defaults():
    kind = Vectors(3)
    assert type(kind.family) is Gaussian and type(kind.family.scale) is PerDimension
    assert kind.shape == (3,) and kind.mean is None and kind.scale is None


@pytest.mark.parametrize(
    "arguments",
    [{"dim": 0}, {"dim": 2, "mean": [1.0]}, {"dim": 2, "scale": [1.0, 0.0]}, {"dim": 1, "scale": [1, 2]}],
)
def test_arguments_out_of_range_are_refused(arguments):
    with pytest.raises(ValueError):
        Vectors(**arguments)


def test_recipe_round_trip_keeps_every_argument():
    kind = Vectors(2, [0.1, 1e9], [1 / 3, 2.0], Laplace(), ("a",), (1.0,), conditional=True)
    again = build(recipe(kind))
    assert recipe(again) == recipe(kind)
    assert again.mean == [0.1, 1e9] and again.scale == [1 / 3, 2.0] and again.conditional is True
    assert type(again.family) is Laplace and again.labels == ("a",)


def test_decode_undoes_store(rng):
    values = rng.normal([5.0, -1e6, 0.0], [2.0, 1e3, 1e-4], (50, 3))
    mean, scale = moments(values)
    kind = Vectors(3, mean.tolist(), scale.tolist())
    x = kind.encode(kind.store(values)).x
    assert x.dtype == torch.float32
    torch.testing.assert_close(x.mean(0), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(x.std(0, correction=0), torch.ones(3), atol=1e-5, rtol=0)
    np.testing.assert_allclose(kind.decode(x), values, rtol=1e-6, atol=1e-9)


def test_what_stands_far_from_zero_keeps_its_digits():
    """Seconds since 1970 to a microsecond: float32 could not tell them apart, before or after."""
    values = 1.7e9 + np.arange(8)[:, None] * 1e-3
    mean, scale = moments(values)
    kind = Vectors(1, mean.tolist(), scale.tolist())
    raw = kind.store(values)
    assert raw.dtype == torch.float64
    x = kind.encode(raw).x
    assert (x.diff(dim=0) > 0.3).all()
    np.testing.assert_allclose(kind.decode(x) - 1.7e9, values - 1.7e9, atol=1e-6)


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (np.ones((2, 2), np.float16), torch.float32),
        (np.ones((2, 2), np.float32), torch.float32),
        (np.ones((2, 2), np.float64), torch.float64),
        (np.ones((2, 2), bool), torch.float32),
        (np.ones((2, 2), np.int64), torch.float32),
        (np.full((2, 2), 2**40), torch.float64),
        (np.full((2, 2), 255, np.uint8), torch.float32),
    ],
)
def test_storage_loses_no_digit(values, dtype):
    raw = Vectors(2).store(values)
    assert raw.dtype == dtype
    np.testing.assert_array_equal(raw.numpy(), values.astype(np.float64))


def test_store_takes_every_layout():
    values = np.arange(12.0).reshape(2, 6)
    kind, raw = Vectors(6), torch.from_numpy(values)
    for came in (values, raw, values.reshape(2, 2, 3), values.reshape(2, 1, 2, 3), values.tolist()):
        assert torch.equal(kind.store(came), raw)
    assert torch.equal(kind.store(values[1]), raw[1:])
    assert Vectors(1).store(np.arange(4.0)).shape == (4, 1)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.zeros((2, 5)), "E212"),
        (np.zeros(5), "E212"),
        (np.zeros((0, 3)), "E202"),
        (np.array([[1.0, np.inf, 2.0]]), "E206"),
        (np.array([["a", "b", "c"]]), "E211"),
        (np.array([[1, 2j, 3]]), "E211"),
        (np.array([[None, 1, 2]]), "E209"),
    ],
)
def test_bad_rows_are_refused(values, expected):
    with pytest.raises(DataError) as error:
        Vectors(3).store(values)
    assert error.value.code == expected


def test_rows_that_are_not_finite_are_named():
    values = np.zeros((2000, 3))
    values[[7, 1500], 1] = np.inf, -np.inf
    values[3, 2] = np.nan  # a hole
    with pytest.raises(DataError, match=r"2 of 2000 rows hold infinity, the first: 7, 1500"):
        Vectors(3).store(values)


@pytest.mark.parametrize(
    ("family", "values"),
    [
        (Bernoulli(), [0, 255]),
        (Bernoulli(), [-0.1, 1.0]),
        (Categorical(3), [0, 3]),
        (Categorical(3), [0.5, 1.0]),
    ],
)
def test_values_the_family_cannot_score_are_refused(family, values):
    with pytest.raises(DataError) as error:
        Vectors(2, family=family).store(np.array([values]))
    assert error.value.code == "E203"
    Vectors(2, family=family).store(np.array([[0, 1]]))


def test_moments_agree_with_numpy_however_the_rows_are_parted(rng, monkeypatch):
    values = rng.normal(1e6, 1.0, (1000, 3))
    values[:, 2] = 0.1
    monkeypatch.setattr("vaekit.data.checks.CHUNK_BYTES", 24 * 37)
    mean, scale = moments(values)
    np.testing.assert_allclose(mean, values.mean(0), rtol=1e-12)
    np.testing.assert_allclose(scale[:2], values.std(0)[:2], rtol=1e-9)
    assert scale[2] == 1  # constant, though 0.1 has rounding errors


def test_labels_travel_and_condition_only_where_asked():
    raw, labels = torch.zeros(2, 3), torch.tensor([1, -1])
    batch = Vectors(3, labels=("a", "b")).encode(raw, labels)
    assert torch.equal(batch.y, labels) and batch.c is None
    assert Vectors(3, labels=("a", "b"), conditional=True).encode(raw, labels).c.tolist() == [[0, 1], [0, 0]]


def test_the_volume_turns_a_density_of_x_into_one_of_the_values():
    """log N(value; mean, scale) = log N(x; 0, 1) + volume."""
    kind = Vectors(2, [1.0, 2.0], [3.0, 0.5])
    values = torch.tensor([[4.0, 2.5], [0.0, 0.0]])
    batch = kind.encode(values)
    normal = torch.distributions.Normal
    model = normal(0.0, 1.0).log_prob(batch.x)
    own = normal(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 0.5])).log_prob(values)
    torch.testing.assert_close(model.sum(1) + kind.log_volume(batch), own.sum(1))
    batch.mask = torch.tensor([[True, False], [True, True]])
    seen = lambda t: torch.where(batch.mask, t, 0.0).sum(1)  # noqa: E731
    torch.testing.assert_close(seen(model) + kind.log_volume(batch), seen(own))
    assert kind.log_volume(kind.encode(values)) == pytest.approx(-math.log(1.5))
    assert Vectors(2, family=Bernoulli()).log_volume(batch) == 0
    assert Vectors(2).log_volume(batch) == 0


@pytest.mark.parametrize(("dim", "hidden"), [(5, 128), (64, 128), (65, 400)])
def test_networks_fit_the_columns(dim, hidden):
    kind = Vectors(dim)
    assert kind.encoder(7)(torch.zeros(2, dim)).shape == (2, 7)
    params = kind.decoder(4, condition=2)(torch.zeros(2, 4), torch.eye(2))
    assert params.shape == (2, kind.family.size(dim))
    assert kind.family(params).log_prob(torch.zeros(2, dim)).shape == (2, dim)
    assert kind.decoder(4, Gaussian())(torch.zeros(2, 4)).shape == (2, 2 * dim)
    widths = {part.out_features for part in kind.encoder(7).modules() if isinstance(part, torch.nn.Linear)}
    assert hidden in widths


# ---------------------------------------------------------------------- holes


def test_holes_are_masked_and_never_seen(rng):
    values = rng.normal(5.0, 2.0, (40, 3))
    values[4, 1] = values[7, 2] = values[7, 0] = np.nan
    mean, scale = moments(values)
    np.testing.assert_allclose(mean, np.nanmean(values, 0))
    np.testing.assert_allclose(scale, np.nanstd(values, 0))
    kind = Vectors(3, mean.tolist(), scale.tolist(), missing=True)
    batch = kind.encode(kind.store(values))
    assert torch.equal(batch.mask, torch.from_numpy(~np.isnan(values)))
    assert torch.isfinite(batch.x).all() and not batch.x[~batch.mask].any()
    np.testing.assert_allclose(kind.decode(batch.x)[batch.mask], values[batch.mask], rtol=1e-6, atol=1e-6)
    whole = kind.encode(kind.store(values[:4]))
    assert whole.mask is None and torch.equal(whole.x, batch.x[:4])
    assert kind.encoder(2).masked and not Vectors(3).encoder(2).masked
    volume = kind.log_volume(batch)
    assert volume[7].item() == pytest.approx(-math.log(scale[1]))
    assert build(recipe(kind)).missing is True and build(recipe(Vectors(2))).missing is False


def test_holes_are_stored_whatever_the_family():
    for family in (Bernoulli(), Categorical(3)):
        raw = Vectors(2, family=family).store([[0.0, np.nan], [1.0, 1.0]])
        assert raw.isnan().tolist() == [[False, True], [False, False]]
        Vectors(2, family=family).store([[np.nan, np.nan]])
        with pytest.raises(DataError) as error:
            Vectors(2, family=family).store([[7.0, np.nan]])
        assert error.value.code == "E203"


def test_moments_leave_holes_out_however_the_rows_are_parted(rng, monkeypatch):
    values = rng.normal(1e3, 1.0, (500, 3))
    values[rng.random(values.shape) < 0.3] = np.nan
    values[:, 2] = np.nan
    values[:100, 0] = np.nan  # whole parts of it
    monkeypatch.setattr("vaekit.data.checks.CHUNK_BYTES", 24 * 37)
    mean, scale = moments(values)
    np.testing.assert_allclose(mean[:2], np.nanmean(values[:, :2], 0), rtol=1e-12)
    np.testing.assert_allclose(scale[:2], np.nanstd(values[:, :2], 0), rtol=1e-9)
    assert mean[2] == 0 and scale[2] == 1
    values[3, 2] = 1e200
    with pytest.raises(DataError, match="column 2 holds 1e[+]200"):
        moments(values)


def test_facts_are_about_what_was_observed():
    values = np.array([[np.nan, 3.0, 1.0], [0.0, np.nan, 1.0], [1.0, 3.0, np.nan]])
    facts = measure(values)
    assert (facts.low, facts.high, facts.whole, facts.two_valued) == (0.0, 3.0, True, False)
    assert facts.mean == pytest.approx(9 / 6) and facts.zeros == pytest.approx(1 / 6)
    assert constant_features(values).tolist() == [1, 2]
    assert constant_features(np.full((2, 1), np.nan)).tolist() == [0]
    with pytest.raises(DataError) as error:
        measure(np.full((2, 2), np.nan))
    assert error.value.code == "E202"


def test_constant_features_compare_the_parts_of_a_large_array(monkeypatch):
    monkeypatch.setattr("vaekit.data.checks.CHUNK_BYTES", 24)  # a row at a time
    values = np.array([[np.nan, 3.0, 1.0], [0.0, np.nan, 1.0], [1.0, 4.0, np.nan], [1.0, 4.0, 1.0]])
    assert constant_features(values).tolist() == [2]
