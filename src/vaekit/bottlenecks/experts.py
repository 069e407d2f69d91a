"""Posteriors of items of several parts: each part's expert, and how they are brought together.

Each takes what `EachPart` gives: which parts are there, (N, M), and the features of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import torch
from torch import Tensor, nn
from torch import distributions as D

from vaekit.distributions.experts import Mixed, Product
from vaekit.recipes import configurable


@configurable
class ProductOfExperts(nn.Module):
    """q(z | x) ∝ N(z; 0, I/τ) Π_m q(z | x_m) over the parts that are there.

    Args:
        heads: Features of each part → its Gaussian.
        precision: τ of the prior's expert; 0 leaves it out.

    Source: Wu, Goodman (2018), Multimodal generative models, arXiv:1802.05335 (MVAE).
    """

    def __init__(self, heads: Sequence[nn.Module], precision: float = 1.0) -> None:
        super().__init__()
        self.heads, self.precision = nn.ModuleList(heads), precision

    def forward(self, h: list[Tensor]) -> Product:
        """Presence (N, M) and features → q over (N, D)."""
        present, experts = _experts(self.heads, h)
        return Product(experts, present, self.precision)


@configurable
class MixtureOfExperts(nn.Module):
    """q(z | x) = 1/M' Σ_m q(z | x_m) over the M' parts that are there.

    Args:
        heads: Features of each part → its Gaussian.

    Source: Shi, Siddharth, Paige, Torr (2019), arXiv:1911.03393 (MMVAE).
    """

    def __init__(self, heads: Sequence[nn.Module]) -> None:
        super().__init__()
        self.heads = nn.ModuleList(heads)

    def forward(self, h: list[Tensor]) -> Mixed:
        """Presence (N, M) and features → q over (N, D)."""
        present, experts = _experts(self.heads, h)
        return _mixed(experts, present)


@configurable
class MixtureOfProducts(nn.Module):
    """q(z | x) = 1/S' Σ_s Π_{m ∈ s} q(z | x_m) over all S' sets of parts that are there.

    Args:
        heads: Features of each part → its Gaussian.

    Source: Sutter, Daunhawer, Vogt (2021), Generalized multimodal ELBO, arXiv:2105.02470 (MoPoE).
    """

    def __init__(self, heads: Sequence[nn.Module]) -> None:
        super().__init__()
        self.heads = nn.ModuleList(heads)

    def forward(self, h: list[Tensor]) -> Mixed:
        """Presence (N, M) and features → q over (N, D)."""
        present, experts = _experts(self.heads, h)
        places = range(len(experts))
        sets = [s for size in places for s in combinations(places, size + 1)]
        products = [Product([experts[m] for m in s], present[:, list(s)], 0.0) for s in sets]
        whole = torch.stack([present[:, list(s)].prod(1) for s in sets], 1)  # (N, S)
        return _mixed(products, whole)


def _experts(heads: nn.ModuleList, h: list[Tensor]) -> tuple[Tensor, list[D.Normal]]:
    present, *features = h
    return present, [head(part) for head, part in zip(heads, features, strict=True)]


def _mixed(components: Sequence[D.Normal], there: Tensor) -> Mixed:
    """The components that are there, equally; all of them, standing at N(0, I), where none is."""
    loc, scale = (torch.stack([getattr(d, name) for d in components], 1) for name in ("loc", "scale"))
    none = (there.sum(1, keepdim=True) == 0).to(there.dtype)  # (N, 1)
    weights = there + none
    loc = loc * (1 - none).unsqueeze(2)
    scale = torch.where(none.bool().unsqueeze(2), torch.ones_like(scale), scale)
    return Mixed(weights / weights.sum(1, keepdim=True), loc, scale)
