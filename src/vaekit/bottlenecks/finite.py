"""Finite scalar quantization: each entry of a vector is rounded to one of a few levels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from vaekit.bottlenecks.quantizers import Quantization, Quantizer, straight_through
from vaekit.recipes import configurable

EDGE = 1e-3  # how far beyond its last level an entry can be pushed, as a share of the range


@configurable
class FiniteScalar(Quantizer):
    """Entries bounded, then rounded: no codebook, nothing that could collapse, no penalty.

        f(h) = a tanh(h + artanh(o / a)) − o,   a = (1 + ε)(L − 1)/2,   o = ½ where L is even, else 0
        code = round f(h) + ⌊L/2⌋,   state = round f(h) / ⌊L/2⌋

    The shift makes f(0) = 0. (The paper's listing writes tan for artanh, which is the same to second order.)

    Args:
        levels: L of each entry; the paper advises 5 or more.

    Raises:
        ValueError: Fewer than two levels.

    Source: Mentzer, Minnen, Agustsson, Tschannen (2023), Finite scalar quantization, arXiv:2309.15505.

    Example:
        >>> found = FiniteScalar([8, 5])(torch.tensor([[[-9.0, 0.0, 9.0], [-9.0, 0.0, 9.0]]]))
        >>> found.codes[0].T, found.state[0]
        (tensor([[0, 4, 7],
                [0, 2, 4]]), tensor([[-1.0000,  0.0000,  0.7500],
                [-1.0000,  0.0000,  1.0000]]))
    """

    sizes: Tensor
    middle: Tensor

    def __init__(self, levels: Sequence[int]) -> None:
        super().__init__()
        if min(levels, default=0) < 2:
            raise ValueError(f"every entry needs at least two levels, not {list(levels)}")
        self.levels, self.dim = [int(count) for count in levels], len(levels)
        self.register_buffer("sizes", torch.tensor(self.levels), persistent=False)
        self.register_buffer(
            "middle", (self.sizes // 2).float(), persistent=False
        )  # ⌊L/2⌋, of the model's type

    def forward(self, h: Tensor) -> Quantization:
        if h.shape[1] != self.dim:
            raise ValueError(f"{self.dim} entries on axis 1 are expected, not shape {tuple(h.shape)}")
        bounded = self.bound(h.movedim(1, -1))  # (N, *grid, D)
        codes = (bounded.detach().round() + self.middle).long()
        state = straight_through(bounded / self.middle, (codes - self.middle) / self.middle)
        return Quantization(codes, state.movedim(-1, 1))

    def bound(self, h: Tensor) -> Tensor:
        """f(h), (…, D): within half a level of the first and the last one."""
        reach = (1 + EDGE) * (self.sizes - 1).to(h.dtype) / 2  # a
        offset = 0.5 * (self.sizes % 2 == 0).to(h.dtype)  # o
        return reach * torch.tanh(h + torch.atanh(offset / reach)) - offset

    def closest(self, e: Tensor) -> Tensor:
        codes = ((e.movedim(1, -1) * self.middle).round() + self.middle).long()
        return codes.clamp(min=0).minimum(self.sizes - 1)

    def embed(self, codes: Tensor) -> Tensor:
        return ((codes - self.middle) / self.middle).movedim(-1, 1)
