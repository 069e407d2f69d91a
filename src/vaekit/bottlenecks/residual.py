"""Residual quantization: codebooks one after the other."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vaekit.bottlenecks.quantizers import Codebook, Quantization, Quantizer, straight_through
from vaekit.recipes import configurable


@configurable
class ResidualQuantizer(Quantizer):
    """Codebooks one after the other, each for what the ones before it have left: state = Σ e of all stages.

    Args:
        stages: Quantizers with a codebook, all of one dim.

    Source: Zeghidour, Luebs, Omran, Skoglund, Tagliasacchi (2021), SoundStream, arXiv:2107.03312; Lee, Kim, Kim, Cho,
    Han (2022), arXiv:2203.01941.

    Example:
        >>> from vaekit.bottlenecks.quantizers import MovingAverageQuantizer
        >>> part = ResidualQuantizer([MovingAverageQuantizer(8, 3), MovingAverageQuantizer(8, 3)])
        >>> part(torch.zeros(2, 3, 5)).codes.shape
        torch.Size([2, 5, 2])
    """

    def __init__(self, stages: Sequence[Codebook]) -> None:
        super().__init__()
        if len({stage.dim for stage in stages}) != 1:
            raise ValueError(f"stages need one dim, not {[stage.dim for stage in stages]}")
        self.stages = nn.ModuleList(stages)
        self.dim, self.levels = stages[0].dim, [stage.size for stage in stages]

    def forward(self, h: Tensor) -> Quantization:
        left, codes, penalty = h, [], h.new_zeros(h.shape[0])
        for stage in self.stages:
            found = stage(left)
            codes.append(found.codes)
            penalty = penalty + found.penalty
            left = left - found.state.detach()
        stacked = torch.stack(codes, -1)
        return Quantization(stacked, straight_through(h, self.embed(stacked)), penalty)

    def closest(self, e: Tensor) -> Tensor:
        codes = []
        for stage in self.stages:
            codes.append(stage.closest(e))  # type: ignore[operator]
            e = e - stage.embed(codes[-1])  # type: ignore[operator]
        return torch.stack(codes, -1)

    def embed(self, codes: Tensor) -> Tensor:
        parts = zip(self.stages, codes.unbind(-1), strict=True)
        return torch.stack([stage.embed(own) for stage, own in parts]).sum(0)  # type: ignore[operator]

    @torch.no_grad()
    def see_first(self, h: Tensor) -> None:
        for stage in self.stages:
            stage.see_first(h)  # type: ignore[operator]
            h = h - stage.embed(stage.closest(h))  # type: ignore[operator]

    @torch.no_grad()
    def commit(self, h: Tensor, codes: Tensor, weight: Tensor | None = None) -> None:
        for stage, own in zip(self.stages, codes.unbind(-1), strict=True):
            left = h - stage.embed(own)  # type: ignore[operator]
            stage.commit(h, own, weight)  # type: ignore[operator]
            h = left
