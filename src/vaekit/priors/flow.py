"""Normalizing flows, from zuko, as priors and as posteriors.

log p(z) = log N(ε; 0, I) + log |det ∂ε/∂z|,  z = g(ε)
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.distributions import AffineTransform, Normal, Transform

from vaekit.distributions.flow import Flowed
from vaekit.distributions.scales import positive
from vaekit.recipes import configurable

FLOWS = ("MAF", "NSF", "NICE", "RealNVP", "SOSPF", "BPF", "NAF", "UNAF")
STILL = ("MAF", "NSF", "NICE", "RealNVP")  # the identity where their networks give zeros
LARGEST = 30_000_000  # weights of a flow, which is made on the CPU even where a model is only looked over
PER_VALUE = 32  # at most so many numbers of a network describe the map of one value in the flows above


@configurable
class Flow(nn.Module):
    """Any of zuko's flows: a prior p(z), a prior p(z | c), or a posterior q(z | h).

    Its density is computed fast, and drawing takes as many passes as there are dimensions (two for NICE and RealNVP):
    right for a prior, which training only scores. Where features come in, every layer takes them. MAF, NSF, NICE and
    RealNVP begin as N(0, I).

    Args:
        name: The class in `zuko.flows`: MAF, NSF, NICE, RealNVP, SOSPF, BPF, NAF or UNAF.
        dim: Number of latent dimensions D.
        features: Width of what it depends on, a condition or features; 0 for nothing.
        transforms: Layers.
        hidden: Widths of the hidden layers of each layer's network.

    Raises:
        ValueError: There is no such flow, or it would be larger than memory should bear.

    Source: Papamakarios, Pavlakou, Murray (2017), arXiv:1705.07057 (MAF); Durkan, Bekasov, Murray, Papamakarios (2019),
    arXiv:1906.04032 (NSF); Chen, Kingma, Salimans, Duan, Dhariwal, Schulman, Sutskever, Abbeel (2017),
    arXiv:1611.02731 (as a VAE's prior).

    Example:
        >>> p = Flow("MAF", 3)()
        >>> p.log_prob(torch.zeros(5, 3)).shape
        torch.Size([5])
    """

    loc: Tensor

    def __init__(
        self, name: str, dim: int, features: int = 0, transforms: int = 3, hidden: Sequence[int] = (64, 64)
    ) -> None:
        super().__init__()
        if name not in FLOWS:
            raise ValueError(f"there is no flow {name!r}; the flows are {', '.join(FLOWS)}")
        self.name, self.dim, self.features = name, dim, features
        self.transforms, self.hidden = transforms, tuple(hidden)
        _affordable(dim, features, transforms, hidden)
        with torch.device("cpu"):
            import zuko

            options = {"transforms": transforms, "hidden_features": self.hidden}
            layers = getattr(zuko.flows, name)(dim, features, **options).transform
            self.layers = _still(layers) if name in STILL else layers
            self.register_buffer("loc", torch.zeros(dim), persistent=False)

    def forward(self, c: Tensor | None = None) -> Flowed:
        """p(z) over (D,); given c (N, A), one row for each of its rows, which depends on c where `features` is A.

        Raises:
            ValueError: It depends on something that was not given.
        """
        if self.features and c is None:
            raise ValueError(
                f"this flow depends on {self.features} numbers for each row; give c (N, {self.features})"
            )
        base = self.loc if c is None else self.loc.expand(c.shape[0], self.dim)
        push = self.layers(c if self.features else None).inv  # zuko's own direction is z → ε
        return Flowed(push, Normal(base, torch.ones_like(base), validate_args=False))


@configurable
class InverseAutoregressive(nn.Module):
    """q(z | h): each dimension of every layer is scaled and shifted as h and the dimensions before it say.

        ε ← ε · exp(s(ε_<, h)) + m(ε_<, h), layer after layer, in alternating order;  z = μ(h) + σ(h) ε

    It begins as the Gaussian N(μ, σ²). That scale and shift come last and not first makes no other family: the layer
    beside them could take them in. Drawing is one pass and yields log q; the density of a value from elsewhere takes
    D passes.

    Args:
        features: Width of h.
        dim: Number of latent dimensions D.
        transforms: Layers.
        hidden: Widths of the hidden layers of each layer's network.

    Source: Kingma, Salimans, Jozefowicz, Chen, Sutskever, Welling (2016), arXiv:1606.04934.

    Example:
        >>> q = InverseAutoregressive(8, 3)(torch.zeros(5, 8))
        >>> q.log_prob(torch.zeros(5, 3)).shape
        torch.Size([5])
    """

    def __init__(
        self, features: int, dim: int, transforms: int = 2, hidden: Sequence[int] = (128, 128)
    ) -> None:
        super().__init__()
        self.features, self.dim = features, dim
        self.transforms, self.hidden = transforms, tuple(hidden)
        _affordable(dim, features, transforms, hidden)
        with torch.device("cpu"):
            import zuko

            flow = zuko.flows.MAF(dim, features, transforms=transforms, hidden_features=self.hidden)
        self.layers = _still(flow.transform)
        self.head = nn.Linear(features, 2 * dim)

    def forward(self, h: Tensor) -> Flowed:
        """(N, features) → q(z | h), (N, D)."""
        return _around(self.layers(h), self.head(h))


@configurable
class NeuralSpline(nn.Module):
    """q(z | h): half of the dimensions at a time go through monotonic splines that h and the other half describe.

        ε_b ← spline(ε_b; ε_a, h), halves alternating;  z = μ(h) + σ(h) ε

    It begins as the Gaussian N(μ, σ²); beyond ±5 of its ε every spline is the identity. Drawing and density are one
    pass each.

    Args:
        features: Width of h.
        dim: Number of latent dimensions D.
        transforms: Layers.
        bins: Pieces of each spline, rational quadratics.
        hidden: Widths of the hidden layers of each layer's network.

    Source: Durkan, Bekasov, Murray, Papamakarios (2019), Neural spline flows, arXiv:1906.04032.

    Example:
        >>> q = NeuralSpline(8, 3)(torch.zeros(5, 8))
        >>> q.log_prob(torch.zeros(5, 3)).shape
        torch.Size([5])
    """

    def __init__(
        self, features: int, dim: int, transforms: int = 2, bins: int = 8, hidden: Sequence[int] = (128, 128)
    ) -> None:
        super().__init__()
        self.features, self.dim, self.bins = features, dim, bins
        self.transforms, self.hidden = transforms, tuple(hidden)
        _affordable(dim, features, transforms, hidden, 3 * bins)
        with torch.device("cpu"):
            self.layers = _still(self._splines())
        self.head = nn.Linear(features, 2 * dim)

    def _splines(self) -> nn.Module:
        from zuko.flows.coupling import GeneralCouplingTransform
        from zuko.lazy import LazyComposedTransform
        from zuko.transforms import MonotonicRQSTransform

        places = torch.arange(self.dim)
        options = {
            "univariate": MonotonicRQSTransform, "shapes": [(self.bins,), (self.bins,), (self.bins - 1,)],
            "hidden_features": self.hidden,
        }  # fmt: skip
        return LazyComposedTransform(
            *(
                GeneralCouplingTransform(self.dim, self.features, mask=places % 2 == i % 2, **options)
                for i in range(self.transforms)
            )
        )

    def forward(self, h: Tensor) -> Flowed:
        """(N, features) → q(z | h), (N, D)."""
        return _around(self.layers(h), self.head(h))


def _around(push: Transform, params: Tensor) -> Flowed:
    """ε → μ + σ push(ε), with μ and σ from parameters (N, 2 D)."""
    from zuko.transforms import ComposedTransform

    loc, raw = params.chunk(2, 1)
    last = AffineTransform(loc, positive(raw, 1.0, 1e-4), event_dim=1)
    base = Normal(torch.zeros_like(loc), torch.ones_like(loc), validate_args=False)
    return Flowed(ComposedTransform(push, last), base)


def _still(layers: nn.Module) -> nn.Module:
    """Layers whose networks give zeros at first, so that each is the identity."""
    for layer in layers.transforms:  # type: ignore[union-attr]
        last = (
            layer.hyper[-1] if hasattr(layer, "hyper") else layer.phi
        )  # one dimension that depends on nothing
        for parameter in last.parameters():
            nn.init.zeros_(parameter)
    return layers


def _affordable(
    dim: int, features: int, transforms: int, hidden: Sequence[int], outputs: int = PER_VALUE
) -> None:
    """Refuse what a recipe from elsewhere could ask for to fill the memory."""
    if min(dim, transforms, *hidden, 1) < 1 or not hidden:
        raise ValueError("a flow has one dimension, one layer and one hidden unit or more")
    widths = [dim + features, *hidden, dim * outputs]
    weights = transforms * sum(a * b for a, b in pairwise(widths))
    if weights > LARGEST:
        raise ValueError(f"a flow of {weights:,} weights is above the {LARGEST:,} that vaekit makes")
