"""Sprites against their own geometry: areas, centres, extents and symmetries."""

from __future__ import annotations

import numpy as np
import pytest

from vaekit.datasets import Sprites, sprites

MIDDLE = [15, 15]  # x and y: centred on pixel 31
AREAS = (19**2, np.pi * 7 * 14, 11**2 * 3.66)  # at scale 1; the heart's curve encloses 3.66


@pytest.fixture(scope="module")
def grid() -> Sprites:
    return Sprites()


@pytest.fixture(scope="module")
def centred(grid) -> np.ndarray:
    """Every shape, scale and orientation in the middle, (3, 6, 40, 64, 64)."""
    every = np.stack(np.meshgrid(range(3), range(6), range(40), indexing="ij"), -1).reshape(-1, 3)
    return grid.draw(np.c_[every, np.tile(MIDDLE, (len(every), 1))]).reshape(3, 6, 40, 64, 64)


def test_the_grid_is_that_of_dsprites(grid) -> None:
    assert grid.factor_sizes == (3, 6, 40, 32, 32) and np.prod(grid.factor_sizes) == 737_280
    assert grid.factor_names == ("shape", "scale", "orientation", "x", "y")
    ends = grid.values(np.array([[0, 0, 0, 0, 0], [2, 5, 39, 31, 31]]))
    np.testing.assert_allclose(ends, [[0, 0.5, 0, 0, 0], [2, 1, 2 * np.pi * 39 / 40, 1, 1]])
    np.testing.assert_allclose(grid.values(np.array([[1, 1, 10, 0, 0]]))[0, 1:3], [0.6, np.pi / 2])


def test_the_area_grows_with_the_square_of_the_scale(centred) -> None:
    areas = centred.sum((3, 4)).mean(2)  # (3, 6)
    expected = np.array(AREAS)[:, None] * np.linspace(0.5, 1, 6) ** 2
    np.testing.assert_allclose(areas, expected, rtol=0.06)


def test_only_what_is_symmetric_looks_the_same_twice(centred) -> None:
    def different(pictures: np.ndarray) -> int:
        return len({picture.tobytes() for picture in pictures.reshape(-1, 64, 64)})

    assert [different(shape) for shape in centred] == [6 * 10, 6 * 20, 6 * 40]
    assert different(centred) == 6 * (10 + 20 + 40)
    np.testing.assert_array_equal(centred[0, :, :30], centred[0, :, 10:])
    np.testing.assert_array_equal(centred[1, :, :20], centred[1, :, 20:])


def test_a_quarter_turn_is_a_quarter_turn_of_the_picture_counter_clockwise(centred) -> None:
    window = centred[:, :, :, :63, :63]  # pixel 31 is in its middle
    np.testing.assert_array_equal(window[:, :, 10:], np.rot90(window[:, :, :30], axes=(3, 4)))


def test_a_heart_stands_on_its_point(centred) -> None:
    rows = centred[2, 5, 0].sum(1)
    lit = np.flatnonzero(rows)
    assert rows[lit[-1]] < 4 and rows[lit[:8]].mean() > 2 * rows[lit[-8:]].mean()


@pytest.mark.parametrize("shape", range(3))
def test_a_step_of_x_is_a_pixel_to_the_right_and_of_y_one_down(grid, shape) -> None:
    def at(x: int, y: int) -> np.ndarray:
        return grid.draw(np.array([[shape, 5, 3, x, y]]))[0]

    here = at(10, 20)
    np.testing.assert_array_equal(at(11, 20), np.roll(here, 1, 1))
    np.testing.assert_array_equal(at(10, 21), np.roll(here, 1, 0))


def test_no_sprite_touches_the_border(grid) -> None:
    corners = [[s, 5, o, x, y] for s in range(3) for o in range(40) for x in (0, 31) for y in (0, 31)]
    pictures = grid.draw(np.array(corners))
    for edge in (pictures[:, 0], pictures[:, -1], pictures[:, :, 0], pictures[:, :, -1]):
        assert not edge.any()


def test_the_lowest_and_highest_places_are_as_far_from_their_borders(grid) -> None:
    squares = grid.draw(np.array([[0, 5, 0, 0, 0], [0, 5, 0, 31, 31]]))
    np.testing.assert_array_equal(squares[0], squares[1, ::-1, ::-1])


def test_samples_are_what_their_factors_say_and_cover_the_grid(grid) -> None:
    images, factors = sprites(3_000, seed=4)
    assert images.shape == (3_000, 64, 64) and images.dtype == np.uint8 and set(np.unique(images)) == {0, 1}
    assert factors.shape == (3_000, 5) and factors.dtype == np.int64
    np.testing.assert_array_equal(images, grid.draw(factors))
    for column, size in zip(factors.T, grid.factor_sizes, strict=True):
        counts = np.bincount(column, minlength=size)
        assert ((counts - 3_000 / size) ** 2 / (3_000 / size)).sum() < size + 5 * np.sqrt(2 * size)
    assert np.abs(np.corrcoef(factors.T) - np.eye(5)).max() < 4 / np.sqrt(3_000)


def test_the_seed_decides(grid) -> None:
    np.testing.assert_array_equal(sprites(50, seed=1)[1], sprites(50, seed=1)[1])
    assert (sprites(50, seed=1)[1] != sprites(50, seed=2)[1]).any()


@pytest.mark.parametrize(
    "factors",
    [[[3, 0, 0, 0, 0]], [[0, 0, 40, 0, 0]], [[0, 0, 0, -1, 0]], [[0, 0, 0, 0]], [[0.0] * 5], [0] * 5],
)
def test_factors_outside_the_grid_are_refused(grid, factors) -> None:
    with pytest.raises(ValueError, match="factors must be"):
        grid.draw(np.array(factors))
