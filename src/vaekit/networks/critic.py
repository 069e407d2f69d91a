"""A critic: a small network that judges items, and whose hidden layers are features to compare them in."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from vaekit.networks.conv import sides
from vaekit.networks.mlp import keep_variance, size
from vaekit.recipes import configurable

SLOPE = 0.2  # of the leaky rectifiers: a critic whose units die has no gradient to give


@configurable
class Critic(nn.Module):
    """One score for an item: convolutional for images, dense otherwise.

    Each level halves an image's sides and doubles the channels. There is no batch normalisation: an item's score does
    not depend on the items beside it.

    Args:
        shape: (C, H, W) of an image, or (D,).
        width: Channels of the first level; units of every dense level are 8 times as many.
        levels: Number of hidden layers.

    Source: Radford, Metz, Chintala (2016), arXiv:1511.06434 (strided convolutions with leaky rectifiers).

    Example:
        >>> import torch
        >>> critic = Critic((3, 33, 20), width=8)
        >>> x = torch.zeros(2, 3, 33, 20)
        >>> critic(x).shape, [tuple(h.shape) for h in critic.features(x)]
        (torch.Size([2]), [(2, 8, 17, 10), (2, 16, 9, 5), (2, 32, 5, 3)])
    """

    def __init__(self, shape: Sequence[int], width: int = 32, levels: int = 3) -> None:
        super().__init__()
        self.shape, self.width, self.levels = tuple(shape), width, levels
        images = len(self.shape) == 3
        widths = [self.shape[0]] + [width * 2**i if images else 8 * width for i in range(levels)]
        pairs = list(zip(widths, widths[1:], strict=False))
        self.hidden = nn.ModuleList(
            nn.Conv2d(a, b, 4, stride=2, padding=1) if images else nn.Linear(a, b) for a, b in pairs
        )
        places = size(sides(self.shape, levels)[-1]) if images else 1
        self.last = nn.Linear(widths[-1] * places, 1)
        keep_variance(self.hidden)
        keep_variance([self.last], 1.0)

    def forward(self, x: Tensor) -> Tensor:
        """(N, *shape) → scores (N,); higher is more like data."""
        return self.last(self.features(x)[-1].flatten(1)).squeeze(1)

    def features(self, x: Tensor) -> list[Tensor]:
        """What each hidden layer makes of x, (N, …) each, nearest the data first."""
        found = []
        for layer in self.hidden:
            if x.dim() == 4:
                x = functional.pad(x, (0, x.shape[3] % 2, 0, x.shape[2] % 2))  # to even sides
            x = functional.leaky_relu(layer(x), SLOPE)
            found.append(x)
        return found
