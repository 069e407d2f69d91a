"""Images: storage, the model's space and back, binarisation, volumes, recipes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from vaekit.data import Images, Items
from vaekit.distributions import Bernoulli, Gaussian, Noise, RowNoise, Shared
from vaekit.errors import DataError
from vaekit.recipes import build, recipe


def code(error: pytest.ExceptionInfo[DataError]) -> str:
    return error.value.code


def test_defaults_follow_levels_and_binarisation():
    assert type(Images(1, 8, 8).family).__name__ == "DiscretizedLogistic"
    assert Images(1, 8, 8, levels=17).family.levels == 17
    assert type(Images(1, 8, 8, levels=2).family) is Bernoulli
    assert type(Images(1, 8, 8, binarize="dynamic").family) is Bernoulli
    assert type(Images(1, 8, 8, levels=0).family.scale) is Shared


@pytest.mark.parametrize(
    "arguments", [(0, 8, 8), (1, 8, 8, 1), (1, 8, 8, 70000), (1, 8, 8, 256, None, "sometimes")]
)
def test_arguments_out_of_range_are_refused(arguments):
    with pytest.raises(ValueError):
        Images(*arguments)


def test_recipe_round_trip_keeps_every_argument():
    kind = Images(
        3, 5, 6, 65536, Gaussian(Shared(0.3)), "threshold", ("a", "b"), (0.25, 0.75), seed=9, conditional=True
    )
    again = build(recipe(kind))
    assert recipe(again) == recipe(kind)
    assert again.shape == (3, 5, 6) and again.levels == 65536 and again.family.scale.initial == 0.3
    assert again.labels == ("a", "b") and again.frequencies == (0.25, 0.75)
    assert (again.binarize, again.seed, again.conditional) == ("threshold", 9, True)


@pytest.mark.parametrize(
    ("channels", "levels", "dtype"),
    [(1, 256, np.uint8), (3, 256, np.uint8), (4, 65536, np.uint16), (1, 17, np.uint8), (2, 4096, np.uint16)],
)
def test_decode_undoes_store_for_every_level(rng, channels, levels, dtype):
    kind = Images(channels, 16, 20, levels)
    images = rng.integers(0, levels, (9, 16, 20, channels)).astype(dtype)
    images[0, 0, :2] = [[0] * channels, [levels - 1] * channels]
    raw = kind.store(images)
    assert raw.shape == (9, channels, 16, 20) and raw.numpy().dtype == dtype
    x = kind.encode(raw).x
    assert x.dtype == torch.float32 and x.min() >= 0 and x.max() <= 1
    back = kind.decode(x)
    assert back.dtype == dtype
    np.testing.assert_array_equal(back, images[..., 0] if channels == 1 else images)


def test_float_images_stay_floats(rng):
    kind = Images(3, 4, 5, levels=0)
    images = rng.random((2, 4, 5, 3), dtype=np.float32)
    back = kind.decode(kind.encode(kind.store(images)).x)
    assert back.dtype == np.float32
    np.testing.assert_array_equal(back, images)
    eight = kind.store(np.full((1, 4, 5, 3), 51, np.uint8))
    torch.testing.assert_close(eight, torch.full((1, 3, 4, 5), 0.2))


def test_decode_clamps_and_rounds():
    kind = Images(1, 1, 4)
    x = torch.tensor([1.01, -0.02, 0.5, 254.6 / 255]).reshape(1, 1, 1, 4)
    assert kind.decode(x).ravel().tolist() == [255, 0, 128, 255]
    assert Images(1, 1, 4, levels=65536).decode(x).ravel()[:2].tolist() == [65535, 0]
    assert Images(1, 1, 4, levels=0).decode(x).ravel()[:2].tolist() == [1.0, 0.0]


@pytest.mark.parametrize("levels", [0, 2, 17, 256, 65536])
def test_a_picture_is_always_8_bit(levels):
    kind = Images(3, 1, 2, levels)
    picture = kind.picture(torch.tensor([[[[0.0, 1.0]], [[0.2, 1.3]], [[0.4, -1.0]]]]))
    assert picture.dtype == np.uint8 and picture.shape == (1, 1, 2, 3)
    assert picture.ravel().tolist() == [0, 51, 102, 255, 255, 0]
    assert Images(1, 1, 2, levels).picture(torch.ones(1, 1, 1, 2)).shape == (1, 1, 2)


def test_store_takes_every_layout():
    images = np.arange(2 * 4 * 5 * 3, dtype=np.uint8).reshape(2, 4, 5, 3)
    kind, first = Images(3, 4, 5), torch.from_numpy(np.moveaxis(images, -1, 1).copy())
    assert torch.equal(kind.store(images), first)
    assert torch.equal(kind.store(first), first)
    assert torch.equal(kind.store(images[1]), first[1:])
    assert torch.equal(kind.store(first[1]), first[1:])
    grey = Images(1, 4, 5)
    for came in (images[..., 0], images[..., :1], first[:, :1]):
        assert torch.equal(grey.store(came), first[:, :1])
    assert torch.equal(grey.store(images[1, ..., 0]), first[1:, :1])
    assert kind.store(images.astype(np.int64).tolist()).dtype == torch.uint8
    assert kind.store(first.to(torch.bfloat16)).equal(first)


def test_store_never_changes_a_size():
    for shape in [
        (2, 28, 27),
        (2, 14, 56),
        (784,),
        (2, 784),
        (2, 28, 28, 3),
        (2, 2, 28, 28),
        (1, 1, 1, 28, 28),
    ]:
        with pytest.raises(DataError) as error:
            Images(1, 28, 28).store(np.zeros(shape, np.uint8))
        assert code(error) == "E212"
        assert str(shape) in str(error.value) and "28" in str(error.value)
    with pytest.raises(DataError) as error:
        Images(1, 28, 28).store(np.zeros((0, 28, 28), np.uint8))
    assert code(error) == "E202"


def test_store_does_not_write_into_or_complain_about_read_only_arrays():
    images = np.full((2, 4, 4), 7, np.uint8)
    images.flags.writeable = False
    raw = Images(1, 4, 4).store(images)
    raw += 1
    assert images.max() == 7


@pytest.mark.parametrize(
    ("values", "levels", "stored"),
    [
        ([True, False], 256, [255, 0]),
        ([True, False], 2, [1, 0]),
        ([0.0, 1.0], 256, [0, 255]),
        ([0.0, 255.0], 256, [0, 255]),
        ([3, 200], 256, [3, 200]),
        ([0.0, 1.0], 17, [0, 16]),
        ([0.0, 4095.0], 4096, [0, 4095]),
    ],
)
def test_scales_that_are_understood(values, levels, stored):
    raw = Images(1, 1, 2, levels).store(np.array([[values]]))
    assert raw.numpy().ravel().tolist() == stored


@pytest.mark.parametrize(
    ("values", "levels"),
    [
        ([-1, 0], 256),
        ([0, 256], 256),
        ([0, 17], 17),
        ([-0.5, 0.5], 256),
        ([0.5, 200.0], 256),
        ([0.0, 2.0], 0),
    ],
)
def test_scales_that_are_not(values, levels):
    with pytest.raises(DataError) as error:
        Images(1, 1, 2, levels).store(np.array([[values]]))
    assert code(error) == "E203"
    assert f"min {min(values):.4g}, max {max(values):.4g}" in str(error.value)


def test_values_that_are_no_numbers_or_not_finite():
    for values, expected in [
        (np.array([[[np.nan, 1.0]]]), "E206"),
        (np.array([[[1j, 1.0]]]), "E211"),
        (np.array([[["a", "b"]]]), "E211"),
        (np.array([[[None, 1]]]), "E209"),
    ]:
        with pytest.raises(DataError) as error:
            Images(1, 1, 2).store(values)
        assert code(error) == expected


def test_rounding_to_levels_is_said_and_only_then():
    exact = np.arange(256).reshape(1, 16, 16) / 255
    for dtype in (np.float16, np.float32, np.float64):
        assert Images(1, 16, 16).store(exact.astype(dtype)).numpy().ravel().tolist() == list(range(256))
    with pytest.warns(UserWarning, match=r"50.0 % of the values were between"):
        raw = Images(1, 1, 2).store(np.array([[[0.0, 0.5]]]))
    assert raw.numpy().ravel().tolist() == [0, 128]


def test_threshold_is_at_half():
    raw = torch.tensor([0, 127, 128, 255], dtype=torch.uint8).view(1, 1, 1, 4)
    assert Images(1, 1, 4, binarize="threshold").encode(raw).x.ravel().tolist() == [0, 0, 1, 1]
    middle = torch.tensor([7, 8], dtype=torch.uint8).view(1, 1, 1, 2)  # of 17 levels: 8/16 is exactly half
    assert Images(1, 1, 2, 17, binarize="threshold").encode(middle).x.ravel().tolist() == [0, 1]


@pytest.mark.parametrize("levels", [17, 256, 65536, 0])
def test_fresh_bits_have_exactly_the_pixels_probability(levels):
    """Every level's frequency within 4 standard errors; 0 and the top are certain."""
    kind = Images(1, 16, 16, levels, binarize="dynamic")
    raw = kind.store(np.linspace(0, 1, 256).reshape(16, 16) if levels == 0 else _ramp(levels))
    p = kind.decode(raw.float() / kind.top).ravel() / kind.top
    draws = 4000
    ones = sum(
        kind.encode(raw.expand(100, -1, -1, -1), noise=Noise(1, "t", i)).x.sum(0) for i in range(draws // 100)
    )
    deviation = (ones.numpy().ravel() / draws - p) / np.sqrt(np.maximum(p * (1 - p), 1e-12) / draws)
    assert deviation[0] == 0 and deviation[-1] == 0
    inner = deviation[(p > 0.005) & (p < 0.995)]
    assert np.abs(inner).max() < 4.5
    assert 0.7 < np.mean(inner**2) < 1.3  # a chi-square over the number of pixels


def _ramp(levels: int) -> np.ndarray:
    return np.rint(np.linspace(0, levels - 1, 256)).astype(np.uint16).reshape(16, 16)


def test_fresh_bits_follow_the_noise_alone():
    kind = Images(1, 8, 8, binarize="dynamic")
    raw = kind.store(np.full((4, 8, 8), 100, np.uint8))
    a, b = (kind.encode(raw, noise=Noise(3, "train", 5)).x for _ in range(2))
    other = kind.encode(raw, noise=Noise(3, "train", 6)).x
    assert torch.equal(a, b) and not torch.equal(a, other)
    assert set(a.unique().tolist()) == {0.0, 1.0} and a.dtype == torch.float32


@pytest.mark.parametrize("levels", [17, 256])
def test_ranks_share_one_draw(levels):
    kind = Images(1, 4, 4, levels, binarize="dynamic")
    raw = kind.store(np.full((6, 4, 4), 9, np.uint8))
    whole = kind.encode(raw, noise=Noise(0, "t")).x
    parts = [kind.encode(raw[:2], noise=Noise(0, "t", part=(rank, 3))).x for rank in range(3)]
    assert torch.equal(torch.cat(parts), whole)


@pytest.mark.parametrize("levels", [256, 0])
def test_bits_without_noise_depend_on_the_image_and_the_seed_alone(rng, levels):
    kind = Images(1, 8, 8, levels, binarize="dynamic", seed=4)
    raw = kind.store(rng.integers(0, 256, (7, 8, 8)).astype(np.uint8))
    items, order = Items(raw, kind), torch.tensor([5, 0, 6, 2, 1, 4, 3])
    bits = items.batch(torch.arange(7)).x
    assert torch.equal(items.batch(order).x, bits[order])
    assert torch.equal(torch.cat([items.batch(torch.tensor([i])).x for i in range(7)]), bits)
    assert torch.equal(torch.cat([batch.x for batch in items.batches(3)]), bits)
    assert not torch.equal(Images(1, 8, 8, levels, binarize="dynamic", seed=5).encode(raw).x, bits)
    assert abs(bits.mean() - raw.float().mean() / kind.top) < 0.1


def test_bits_without_noise_are_certain_where_the_pixel_is():
    kind = Images(1, 64, 64, binarize="dynamic")
    raw = torch.cat([torch.zeros(20, 1, 64, 64), torch.full((20, 1, 64, 64), 255.0)]).byte()
    x = kind.encode(raw).x
    assert (x[:20] == 0).all() and (x[20:] == 1).all()


def test_row_noise_does_not_depend_on_the_batch():
    kind = Images(1, 8, 8, binarize="dynamic")
    raw = kind.store(np.full((3, 8, 8), 90, np.uint8))
    keys = torch.tensor([11, 12, 13])
    whole = kind.encode(raw, noise=RowNoise(0, "t", keys)).x
    assert torch.equal(kind.encode(raw[1:], noise=RowNoise(0, "t", keys[1:])).x, whole[1:])


def test_labels_travel_and_condition_only_where_asked():
    raw, labels = torch.zeros(3, 1, 4, 4, dtype=torch.uint8), torch.tensor([1, -1, 0])
    batch = Images(1, 4, 4, labels=("a", "b")).encode(raw, labels)
    assert torch.equal(batch.y, labels) and batch.c is None
    batch = Images(1, 4, 4, labels=("a", "b"), conditional=True).encode(raw, labels)
    assert batch.c.tolist() == [[0, 1], [0, 0], [1, 0]]
    assert Images(1, 4, 4, conditional=True).encode(raw, labels).c is None
    assert Images(1, 4, 4, labels=("a", "b"), conditional=True).encode(raw).c is None


def test_the_volume_turns_a_density_of_x_into_one_of_levels():
    """The density of raw levels integrates to one: p(raw) = p(x) / (L − 1), for each observed value."""
    kind = Images(1, 2, 3, family=Gaussian())
    batch = kind.encode(torch.zeros(2, 1, 2, 3, dtype=torch.uint8))
    assert kind.log_volume(batch) == pytest.approx(-6 * math.log(255))
    batch.mask = torch.tensor([[True, True, False], [False, False, False]]).expand(2, 1, 2, 3)
    torch.testing.assert_close(kind.log_volume(batch), torch.full((2,), -2 * math.log(255)))
    for other in (Images(1, 2, 3), Images(1, 2, 3, levels=0), Images(1, 2, 3, binarize="dynamic")):
        assert other.log_volume(batch) == 0


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 8, 10), (1, 33, 40), (3, 32, 32)])
def test_networks_fit_the_images(shape):
    kind = Images(*shape, labels=("a", "b"))
    x, c = kind.encode(torch.zeros(2, *shape, dtype=torch.uint8)).x, torch.eye(2)
    assert kind.encoder(7)(x).shape == (2, 7)
    assert kind.encoder(7, condition=2)(x, c).shape == (2, 7)
    params = kind.decoder(5, condition=2)(torch.zeros(2, 5), c)
    assert params.shape == (2, kind.family.size(shape[0]), *shape[1:])
    assert kind.family(params).log_prob(x).shape == x.shape
    assert kind.decoder(5, Bernoulli())(torch.zeros(2, 5)).shape == (2, *shape)
    names = {type(part).__name__ for part in kind.encoder(7).modules()}
    assert ("Conv2d" in names) == (math.prod(shape) > 1024)
