"""Networks to and from maps: sizes, conditions, masks, and what each kind of data makes of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from vaekit.data import Counts, Images, Vectors
from vaekit.distributions import Gaussian
from vaekit.networks.maps import MapDecoder, MapEncoder, ResidualBlock, Shaped, Unshaped
from vaekit.recipes import build, recipe

SHAPES = [(1, 28, 28), (3, 33, 20), (2, 7, 5), (1, 1, 1), (1, 2, 9)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("levels", [1, 2, 3])
def test_every_size_comes_back(shape, levels) -> None:
    h = MapEncoder(shape, 6, levels, width=8)(torch.randn(2, *shape))
    quarter = tuple(-(-side // 2**levels) for side in shape[1:])
    assert h.shape == (2, 6, *quarter)
    assert MapDecoder(6, (4, *shape[1:]), levels, width=8)(h).shape == (2, 4, *shape[1:])


def test_a_map_without_levels_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one level"):
        MapEncoder((1, 8, 8), 4, levels=0)


def test_a_position_sees_its_own_part_of_the_image() -> None:
    """The last row and column of an odd side are seen, and the far corner is not."""
    encoder = MapEncoder((1, 61, 61), 3, width=8)
    for block in encoder.blocks:
        nn.init.normal_(block.second.weight)
    x = torch.randn(1, 1, 61, 61, requires_grad=True)
    seen = torch.autograd.grad(encoder(x)[0, :, -1, -1].sum(), x)[0][0, 0]
    assert seen[60, 60] != 0 and (seen[:20] == 0).all() and (seen[:, :20] == 0).all()


@pytest.mark.parametrize("side", [MapEncoder, MapDecoder])
def test_the_condition_enters_every_level_and_block(side) -> None:
    shape = (1, 12, 12)
    net = (
        MapEncoder(shape, 4, width=8, condition=3)
        if side is MapEncoder
        else MapDecoder(4, shape, width=8, condition=3)
    )
    x = torch.randn(2, *shape) if side is MapEncoder else torch.randn(2, 4, 3, 3)
    for block in net.blocks:
        nn.init.normal_(block.second.weight)
    c = torch.eye(3)[:2]
    plain = net(x, c)
    films = [*net.films, *(block.film for block in net.blocks)]
    assert len(films) == 4
    for film in films:  # zero at first, so that each can be let in alone
        nn.init.normal_(film.net.weight)
        changed = net(x, c)
        assert not torch.allclose(changed, plain)
        nn.init.zeros_(film.net.weight)
    with pytest.raises(ValueError, match="condition of width 3"):
        net(x)


def test_signals_keep_their_size() -> None:
    torch.manual_seed(0)
    with torch.no_grad():
        h = MapEncoder((3, 32, 32), 16)(torch.randn(16, 3, 32, 32))
        params = MapDecoder(16, (3, 32, 32))(torch.randn(16, 16, 8, 8))
    assert 0.4 < float(h.std()) < 2.0
    assert 0.01 < float(params.std()) < 0.2  # a likelihood begins in the middle of its range


def test_residual_blocks_begin_as_the_identity_and_learn() -> None:
    block, h = ResidualBlock(6), torch.randn(2, 6, 4, 4)
    assert torch.equal(block(h), h)
    weights = list(block.parameters())
    before = [p.detach().clone() for p in weights]
    for _ in range(2):
        gradients = torch.autograd.grad((block(h) - 1).square().mean(), weights)
        with torch.no_grad():
            for p, gradient in zip(weights, gradients, strict=True):
                p -= 0.1 * gradient
    assert all(not torch.equal(p, old) for p, old in zip(weights, before, strict=True))


def test_shaped_networks_pass_on_condition_and_mask() -> None:
    class Seen(nn.Module):
        masked = True

        def forward(self, x, c=None, mask=None):
            return torch.cat([x, c, mask.float()], 1)

    net = Shaped(Seen(), (3, 2))
    x, c, mask = torch.randn(4, 2), torch.randn(4, 2), torch.ones(4, 2)
    assert net.masked and not Shaped(nn.Linear(2, 6), (3, 2)).masked
    assert torch.equal(net(x, c, mask=mask), torch.cat([x, c, mask], 1).view(4, 3, 2))
    inner = nn.Bilinear(6, 2, 5)
    assert torch.equal(Unshaped(inner)(torch.ones(4, 3, 2), c), inner(torch.ones(4, 6), c))


@pytest.mark.parametrize(
    "kind",
    [Images(1, 28, 28), Images(3, 9, 14), Vectors(5), Vectors(5, missing=True), Counts(6, [0.0] * 6)],
    ids=repr,
)
@pytest.mark.parametrize("condition", [0, 2])
def test_every_kind_has_maps(kind, condition) -> None:
    given = (torch.eye(2)[:2],) if condition else ()
    encoder, decoder = kind.map_encoder(4, condition), kind.map_decoder(4, Gaussian(), condition)
    x = torch.rand(2, *kind.shape)
    h = encoder(x, *given)
    assert h.shape == (2, 4, *kind.grid)
    assert Gaussian()(decoder(h, *given)).mean.shape == x.shape
    assert bool(getattr(encoder, "masked", False)) == bool(getattr(kind.encoder(4), "masked", False))


def test_image_maps_quarter_the_sides() -> None:
    assert Images(1, 28, 28).grid == (7, 7) and Images(3, 33, 18).grid == (9, 5) and Vectors(3).grid == (8,)


def test_recipes_rebuild_them() -> None:
    kind = Images(1, 9, 7)
    for net, x in [
        (kind.map_encoder(3, 2), torch.randn(2, 1, 9, 7)),
        (kind.map_decoder(3, None, 2), torch.randn(2, 3, *kind.grid)),
        (Vectors(5).map_encoder(3, 2), torch.randn(2, 5)),
        (Vectors(5).map_decoder(3, None, 2), torch.randn(2, 3, 8)),
    ]:
        again = build(recipe(net))
        again.load_state_dict(net.state_dict())
        c = torch.from_numpy(np.eye(2, dtype=np.float32))
        assert torch.equal(again(x, c), net(x, c))
