"""A mixture of Gaussians with every covariance between their dimensions."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch import distributions as D

from vaekit.distributions.mixture import chosen
from vaekit.distributions.noise import Noise
from vaekit.distributions.reduce import tempered


class FullMixture(D.Distribution):
    """p(z) = Σ_k w_k N(z; μ_k, L_k L_kᵀ) over vectors.

    Args:
        logits: (K,) logarithms of the weights w, up to a constant.
        loc: (K, D) means.
        tril: (K, D, D) L, lower triangular with a positive diagonal.
        batch_shape: Shape of the rows, each distributed alike; () for one.

    Example:
        >>> p = FullMixture(torch.zeros(1), torch.ones(1, 2), torch.eye(2).unsqueeze(0))
        >>> p.mean, p.variance
        (tensor([1., 1.]), tensor([1., 1.]))
    """

    arg_constraints: dict = {}
    has_rsample = False

    def __init__(self, logits: Tensor, loc: Tensor, tril: Tensor, batch_shape: Sequence[int] = ()) -> None:
        self.logits, self.loc, self.tril = logits.log_softmax(0), loc, tril
        super().__init__(torch.Size(batch_shape), loc.shape[-1:], validate_args=False)

    def expand(self, batch_shape: Sequence[int], _instance: object = None) -> FullMixture:
        """The same mixture for every row of another batch shape."""
        return FullMixture(self.logits, self.loc, self.tril, batch_shape)

    def log_prob(self, value: Tensor) -> Tensor:
        """log p(z), (*rows, D) → (*rows,)."""
        off = (value.reshape(-1, 1, value.shape[-1]) - self.loc).transpose(0, 1)  # (K, N, D)
        solved = _solved(self.tril, off.transpose(1, 2))  # (K, D, N)
        log_volume = self.tril.diagonal(dim1=1, dim2=2).log().sum(1)  # (K,)
        constant = self.logits - log_volume - 0.5 * value.shape[-1] * math.log(2 * math.pi)
        each = constant.unsqueeze(1) - 0.5 * solved.square().sum(1)  # (K, N)
        return each.logsumexp(0).view(value.shape[:-1])

    def draw(self, noise: Noise) -> tuple[Tensor, None]:
        """One value for each row: a component by its weight, then a draw from it."""
        place = chosen(self.logits.double().exp(), self.batch_shape, noise)
        epsilon = noise.normal((*self.batch_shape, *self.event_shape), self.loc).unsqueeze(-1)
        return self.loc[place] + (self.tril[place] @ epsilon).squeeze(-1), None

    @property
    def mean(self) -> Tensor:
        return (self.logits.exp() @ self.loc).expand(self._extended_shape())

    @property
    def variance(self) -> Tensor:
        """Within components and between them."""
        weights = self.logits.exp()
        within, between = self.tril.square().sum(-1), (self.loc - weights @ self.loc).square()
        return (weights @ (within + between)).expand(self._extended_shape())


def _solved(tril: Tensor, off: Tensor) -> Tensor:
    """L⁻¹ off, (K, D, N); where a graph is exported row after row, because ONNX has no operation for it."""
    if not torch.compiler.is_exporting():
        return torch.linalg.solve_triangular(tril, off, upper=False)
    solved = off[:, :0]
    for i in range(tril.shape[1]):
        known = tril[:, i : i + 1, :i] @ solved if i else 0.0  # (K, 1, N)
        solved = torch.cat([solved, (off[:, i : i + 1] - known) / tril[:, i : i + 1, i : i + 1]], 1)
    return solved


@tempered.register
def _(p: FullMixture, temperature: float) -> D.Distribution:
    """Each component narrower or wider; weights and places stay."""
    return p if temperature == 1 else FullMixture(p.logits, p.loc, p.tril * temperature, p.batch_shape)
