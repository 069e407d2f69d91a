"""Networks for items of several parts that lie side by side in one row."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vaekit.recipes import configurable


@configurable
class EachPart(nn.Module):
    """An encoder for each part of a row: what is there of each, and its features.

    Args:
        shapes: Shape of each part; the parts are flat and side by side in a row.
        nets: The encoder of each, (N, *shape) → (N, outputs).

    Example:
        >>> each = EachPart([[2], [1, 2, 2]], [nn.Linear(2, 3), nn.Sequential(nn.Flatten(), nn.Linear(4, 3))])
        >>> present, first, second = each(torch.zeros(5, 6))
        >>> present.shape, second.shape
        (torch.Size([5, 2]), torch.Size([5, 3]))
    """

    masked = True

    def __init__(self, shapes: Sequence[Sequence[int]], nets: Sequence[nn.Module]) -> None:
        super().__init__()
        self.shapes, self.nets = [tuple(shape) for shape in shapes], nn.ModuleList(nets)
        self.widths = [math.prod(shape) for shape in self.shapes]

    def forward(self, x: Tensor, c: Tensor | None = None, mask: Tensor | None = None) -> list[Tensor]:
        """(N, P) → which parts are there, (N, M), and the features of each."""
        given = [None] * len(self.shapes) if mask is None else list(mask.split(self.widths, 1))
        seen = [x.new_ones(x.shape[0]) if part is None else part.any(1).to(x.dtype) for part in given]
        features = []
        for shape, net, part, known in zip(
            self.shapes, self.nets, x.split(self.widths, 1), given, strict=True
        ):
            options = {"mask": known.unflatten(1, shape)} if known is not None and _masked(net) else {}
            item = part.unflatten(1, shape)
            features.append(net(item, **options) if c is None else net(item, c, **options))
        return [torch.stack(seen, 1), *features]


def _masked(net: nn.Module) -> bool:
    return bool(getattr(net, "masked", False))


@configurable
class SideBySideDecoder(nn.Module):
    """A decoder for each part; the parameters of all of them in one row.

    Args:
        nets: (N, inputs) → (N, …) for each part.

    Example:
        >>> SideBySideDecoder([nn.Linear(2, 3), nn.Linear(2, 4)])(torch.zeros(5, 2)).shape
        torch.Size([5, 7])
    """

    def __init__(self, nets: Sequence[nn.Module]) -> None:
        super().__init__()
        self.nets = nn.ModuleList(nets)

    def forward(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """(N, inputs) → (N, Σ parameters)."""
        return torch.cat([(net(z) if c is None else net(z, c)).flatten(1) for net in self.nets], 1)
