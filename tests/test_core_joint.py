"""Rows of several parts: each part's own density, holes that reach nothing, draws by row, recipes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch import distributions as D

from vaekit.bottlenecks import Variational
from vaekit.conditional import Conditional
from vaekit.distributions import (
    Bernoulli,
    Categories,
    Columns,
    Gaussian,
    Joint,
    Noise,
    Optimal,
    PerDimension,
    RowNoise,
    center,
    draw,
    log_prob,
)
from vaekit.model import VAE
from vaekit.networks import MLP, Cells
from vaekit.priors import StandardNormal
from vaekit.recipes import build, recipe

LEVELS = [2, 4, 3]
N = 6


def columns(scale: Any = None) -> Columns:
    """Two numbers, one bit, three columns of categories."""
    families = [Gaussian(scale or PerDimension((2,))), Bernoulli(), Categories(LEVELS)]
    return Columns(["numbers", "bits", "categories"], families, [2, 1, 3])


def values(rng: np.random.Generator, n: int = N) -> Tensor:
    categories = [rng.integers(0, count, n) for count in LEVELS]
    return torch.tensor(
        np.column_stack([rng.normal(size=(n, 2)), rng.integers(0, 2, n), *categories])
    ).float()


def params(family: Columns, n: int = N) -> Tensor:
    return torch.randn(n, family.size(6), generator=torch.manual_seed(0))


def model(net_columns: Columns) -> VAE:
    encoder = Cells(3, LEVELS, MLP(3 + sum(LEVELS), 8, hidden=(8,), linear=True))
    posterior = Conditional(nn.Linear(8, 4), Gaussian())
    decoder = Conditional(MLP(2, net_columns.size(6), hidden=(8,), linear=True), net_columns)
    return VAE(encoder, Variational(posterior, StandardNormal(2)), decoder)


def test_log_p_is_each_parts_own(rng) -> None:
    family, x = columns(), values(rng)
    given = params(family)
    found = family(given).log_prob(x)
    scale = family.families[0].scale(given[:, :0], given[:, :2])
    numbers = D.Normal(given[:, :2], scale).log_prob(x[:, :2])
    bits = D.Bernoulli(logits=given[:, 2:3]).log_prob(x[:, 2:3])
    torch.testing.assert_close(found[:, :3], torch.cat([numbers, bits], 1))
    for column, count in enumerate(LEVELS):
        first = 3 + column * max(LEVELS)
        own = D.Categorical(logits=given[:, first : first + count])
        torch.testing.assert_close(found[:, 3 + column], own.log_prob(x[:, 3 + column].long()))
    torch.testing.assert_close(
        found.sum(1), torch.stack([p.log_prob(v).sum(1) for p, v in parts(family(given), x)]).sum(0)
    )


def parts(joint: Joint, x: Tensor) -> list[tuple[D.Distribution, Tensor]]:
    return [(joint.parts[name], value) for name, value in joint.split(x).items()]


def test_masses_of_categories_sum_to_one_and_the_filling_has_none() -> None:
    given = torch.randn(1, 12, generator=torch.manual_seed(1))
    d = Categories(LEVELS)(given)
    every = torch.arange(max(LEVELS)).float().view(-1, 1).expand(-1, 3)
    mass = torch.stack([d.log_prob(row.unsqueeze(0))[0].exp() for row in every])  # (K, C)
    torch.testing.assert_close(mass.sum(0), torch.ones(3))
    for column, count in enumerate(LEVELS):
        assert not mass[count:, column].any()


@pytest.mark.parametrize(
    "noise", [Noise(0), RowNoise(0, "draws", torch.arange(5_000))], ids=["Noise", "RowNoise"]
)
def test_no_category_is_drawn_that_there_is_not(noise: Noise) -> None:
    d = Categories(LEVELS)(torch.zeros(5_000, 12))
    drawn = draw(d, noise)[0]
    for column, count in enumerate(LEVELS):
        shares = torch.bincount(drawn[:, column].long(), minlength=4) / 5_000
        expected = torch.where(torch.arange(4) < count, 1 / count, 0.0)
        torch.testing.assert_close(shares, expected, atol=0.03, rtol=0)
        assert not shares[count:].any()
    assert (center(Categories(LEVELS)(torch.full((9, 12), -50.0))) < torch.tensor(LEVELS)).all()


def test_gradients_of_categories_are_finite(rng) -> None:
    given = torch.randn(N, 12, requires_grad=True)
    Categories(LEVELS)(given).log_prob(values(rng)[:, 3:]).sum().backward()
    assert torch.isfinite(given.grad).all()
    unused = given.grad.view(N, 3, 4)
    assert not unused[:, 0, 2:].any() and not unused[:, 2, 3:].any()


def test_a_draw_depends_on_its_row_alone() -> None:
    family = columns()
    given, keys = params(family), torch.arange(10, 10 + N)
    whole = draw(family(given), RowNoise(3, "x", keys))[0]
    for row in range(N):
        alone = draw(family(given[row : row + 1]), RowNoise(3, "x", keys[row : row + 1]))[0]
        assert torch.equal(alone[0], whole[row])
    other = draw(family(given), RowNoise(4, "x", keys))[0]
    assert not torch.equal(other, whole)


def test_mean_variance_and_centre_stand_in_the_columns_order() -> None:
    family = Columns(["a", "b"], [Bernoulli(), Gaussian(PerDimension((2,)))], [1, 2])
    joint = family(torch.tensor([[2.0, 5.0, -1.0]]))
    p = 1 / (1 + math.exp(-2))
    assert joint.mean[0].tolist() == pytest.approx([p, 5, -1])
    assert joint.variance[0].tolist() == pytest.approx([p * (1 - p), 1, 1])
    assert center(columns()(torch.zeros(2, columns().size(6)))).shape == (2, 6)


# ------------------------------------------------------------------------------------------------ holes


def test_a_mask_of_ones_changes_nothing_and_one_of_zeros_leaves_nothing(rng) -> None:
    made, x = model(columns()), values(rng)
    keep = [made(x, mask=mask, noise=Noise(1)) for mask in (None, torch.ones(N, 6, dtype=torch.bool))]
    assert torch.equal(keep[0].distortion, keep[1].distortion) and torch.equal(keep[0].rate, keep[1].rate)
    out = made(x, mask=torch.zeros(N, 6, dtype=torch.bool), noise=Noise(1))
    assert not out.distortion.any()
    out.distortion.sum().backward()
    assert all(p.grad is None or not p.grad.any() for p in made.decoder.parameters())


@pytest.mark.parametrize("scale", [None, Optimal()], ids=["PerDimension", "Optimal"])
def test_what_is_masked_cannot_reach_the_loss(rng, scale: Any) -> None:
    made, x = model(columns(scale)).train(), values(rng)
    mask = torch.tensor(rng.random((N, 6)) < 0.6)
    losses, gradients = [], []
    for filled in (0.0, math.nan):
        given = torch.where(mask, x, torch.full_like(x, filled)).requires_grad_()
        made.zero_grad()
        out = made(given, mask=mask, noise=Noise(1))
        loss = (out.distortion + out.rate).sum()
        loss.backward()
        losses.append(loss.detach())
        gradients.append([p.grad.clone() for p in made.parameters() if p.grad is not None])
        assert not given.grad[~mask].any() and torch.isfinite(given.grad).all()
        assert given.grad[mask].any()
    assert torch.equal(*losses) and torch.isfinite(losses[0])
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))


def test_each_masked_cell_takes_away_its_own_term(rng) -> None:
    joint, x = columns()(params(columns())), values(rng)
    mask = torch.tensor(rng.random((N, 6)) < 0.5)
    torch.testing.assert_close(log_prob(joint, x, mask), joint.log_prob(x) * mask, rtol=0, atol=0)


def test_cells_are_one_hot_and_holes_are_zeros(rng) -> None:
    cells, x = Cells(3, LEVELS, nn.Identity()), values(rng)
    hot = [nn.functional.one_hot(x[:, 3 + i].long(), count).float() for i, count in enumerate(LEVELS)]
    assert torch.equal(cells(x), torch.cat([x[:, :3], *hot], 1))
    mask = torch.ones(N, 6, dtype=torch.bool)
    mask[:, 4] = False
    found = cells(torch.where(mask, x, torch.zeros_like(x)), mask=mask)
    assert not found[:, 5:9].any() and torch.equal(found[:, 9:], hot[2])


# --------------------------------------------------------------------------- the linear path, recipes


def test_the_linear_path_is_added_and_hears_the_condition() -> None:
    net, x, c = MLP(3, 2, hidden=(4,), condition=2, linear=True), torch.randn(5, 3), torch.randn(5, 2)
    before = net(x, c)
    assert not net.across.weight.any()
    with torch.no_grad():
        net.across.weight.copy_(torch.arange(10.0).view(2, 5))
    torch.testing.assert_close(net(x, c) - before, torch.cat([x, c], 1) @ net.across.weight.T)


def test_columns_begin_part_by_part() -> None:
    """To first order in z the means are the line asked for: of numbers exactly, of shares for small z."""
    family = columns()
    shares = [torch.full((count,), 1 / count) for count in LEVELS]
    mean = torch.cat([torch.tensor([2.0, -1.0, 0.3]), *shares])
    weights = 0.02 * torch.randn(len(mean), 2, generator=torch.manual_seed(0))
    for first, count in zip((3, 5, 9), LEVELS, strict=True):
        weights[first : first + count] -= weights[first : first + count].mean(0)  # shares keep their sum
    bias, slope = family.begin(mean, weights, torch.full((len(mean),), 0.5))
    z = torch.tensor([[0.3, -0.2]])
    joint, line = family(bias + z @ slope.T), (mean + weights @ z[0])
    assert joint.parts["numbers"].mean[0].tolist() == pytest.approx(line[:2].tolist(), rel=1e-6)
    assert joint.parts["numbers"].stddev[0].tolist() == pytest.approx([0.5, 0.5], rel=1e-5)
    assert float(joint.parts["bits"].mean) == pytest.approx(float(line[2]), abs=1e-4)
    probs = joint.parts["categories"].probs[0]
    found = torch.cat([probs[i, :count] for i, count in enumerate(LEVELS)])
    torch.testing.assert_close(found, line[3:], atol=2e-4, rtol=0)


@pytest.mark.parametrize(
    "made",
    [
        columns(),
        Categories(LEVELS),
        Cells(3, LEVELS, MLP(12, 8, linear=True)),
        MLP(3, 2, hidden=(4,), condition=2, masked=True, linear=True),
    ],
    ids=lambda made: type(made).__name__,
)
def test_recipes_rebuild_them(made: nn.Module) -> None:
    written = recipe(made)
    again = build(written)
    assert type(again) is type(made) and recipe(again) == written
    again.load_state_dict(made.state_dict())
    widths = {"Columns": columns().size(6), "Categories": 12, "Cells": 6, "MLP": 3}
    given = [torch.ones(2, widths[type(made).__name__]), torch.ones(2, 2)][
        : 2 if isinstance(made, MLP) else 1
    ]
    found, expected = again(*given), made(*given)
    if not isinstance(found, Tensor):  # a distribution
        at = torch.zeros(found.batch_shape)
        found, expected = found.log_prob(at), expected.log_prob(at)
    assert torch.equal(found, expected)


def test_arguments_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="one name, one family and one width"):
        Columns(["a"], [Bernoulli(), Bernoulli()], [1, 1])
    with pytest.raises(ValueError, match="6 columns, not 5"):
        columns().size(5)
    with pytest.raises(ValueError, match="one category or more"):
        Categories([2, 0])
