"""Counts as numbers that a network can take: logarithms, each measured from where its column usually is."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vaekit.recipes import configurable

LEAST = 0.1  # to the variance of each count: a column that is hardly ever above 0 is not blown up


@configurable
class LogCounts(nn.Module):
    """A network on (log(1 + x) − log(1 + μ)) / s, with s the deviation of log(1 + x) for Poisson counts x of mean μ.

    Args:
        log_mean: (D,) log μ of each column.
        net: (N, D) → (N, outputs); it may take a condition too.

    Example:
        >>> LogCounts([0.0, 0.0], nn.Identity()).features(torch.tensor([[1.0, 0.0]])).sign()
        tensor([[ 0., -1.]])
    """

    center: Tensor
    scale: Tensor

    def __init__(self, log_mean: Sequence[float], net: nn.Module) -> None:
        super().__init__()
        self.log_mean, self.net = [float(value) for value in log_mean], net
        mean = torch.tensor(self.log_mean, dtype=torch.float64).exp()
        scale = (mean + LEAST).sqrt() / (1 + mean)  # the delta method
        self.register_buffer("center", mean.log1p().float(), persistent=False)
        self.register_buffer("scale", scale.float(), persistent=False)

    def features(self, x: Tensor) -> Tensor:
        """(N, D) counts → (N, D) numbers of size about one."""
        return (x.log1p() - self.center) / self.scale

    def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """(N, D) → (N, outputs)."""
        h = self.features(x)
        return self.net(h) if c is None else self.net(h, c)
