"""One layer of a stack: a latent variable given the state above it, and the state below it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Normal

from vaekit.bottlenecks.bottleneck import Latent
from vaekit.distributions import Family, Gaussian, Noise, Scale, draw, tempered
from vaekit.recipes import configurable


@configurable
class Bounded(Scale):
    """A scale from the network between two bounds: log σ = r · tanh(t / r), so e⁻ʳ < σ < eʳ, and σ = 1 at t = 0.

    In a stack a scale divides the error of a mean that other networks predict: unbounded, one small scale is enough
    for a step that nothing recovers from.

    Args:
        reach: r.

    Source: Vahdat, Kautz (2020), NVAE, arXiv:2007.03898 (their soft clamp).

    Example:
        >>> Bounded(4.0)(torch.tensor([-1e9, 0.0, 1e9]), torch.zeros(3)).log()
        tensor([-4.,  0.,  4.])
    """

    def __init__(self, reach: float = 4.0) -> None:
        super().__init__()
        self.reach = reach

    def size(self, dim: int) -> int:
        return dim

    def forward(self, params: Tensor, loc: Tensor) -> Tensor:
        return (self.reach * torch.tanh(params / self.reach)).exp()


class Layer(nn.Module, ABC):
    """A latent variable of a stack. Posterior, prior and fixed-value pass are one method.

    Attributes:
        latent: Channels or dimensions of z.
        family: Parameters → distribution, of q and p.
        hears_state: Whether the state above it matters; it does not to a layer whose prior is N(0, I).
    """

    latent: int
    family: Family
    hears_state: bool = True

    @abstractmethod
    def prior_and_state(self, state: Tensor, c: Tensor | None) -> tuple[Distribution, Tensor]:
        """p(z | state), and the state as the prior's network leaves it."""

    @abstractmethod
    def posterior_given(self, p: Distribution, state: Tensor, h: Tensor, c: Tensor | None) -> Distribution:
        """q(z | state, h)."""

    @abstractmethod
    def below(self, state: Tensor, z: Tensor, c: Tensor | None) -> Tensor:
        """The state for the layer below, once z is known."""

    def forward(
        self,
        state: Tensor,
        noise: Noise,
        h: Tensor | None = None,
        c: Tensor | None = None,
        z: Tensor | None = None,
        temperature: float = 1.0,
        replaced: Distribution | None = None,
    ) -> tuple[Tensor, Latent]:
        """One step of the traversal.

        Args:
            state: (N, W, …) of the layer above.
            noise: Where the draw comes from.
            h: (N, F, …) features; without them, z comes from the prior.
            c: (N, A) condition.
            z: (N, *latent) value, where it is given.
            temperature: Spread of prior draws.
            replaced: What z is charged against in place of the layer's own p; q is as before.

        Returns:
            State (N, W′, …) for the layer below, and the record.
        """
        own, passed = self.prior_and_state(state, c)
        p, log_q = own if replaced is None else replaced, None
        q = tempered(p, temperature) if h is None else self.posterior_given(own, state, h, c)
        if z is None:
            z, log_q = draw(q, noise)
        return self.below(passed, z, c), Latent(z, q, p, drawn_log_q=log_q)

    def distribution(self, params: Tensor) -> Distribution:
        """The family's member; half precision becomes float32 here."""
        return self.family(params.float() if params.dtype in (torch.float16, torch.bfloat16) else params)


@configurable
class StochasticLayer(Layer):
    """A layer as in very deep VAEs.

        p(z | s), r = prior(s, c);  q(z | s, h) = posterior([s, h], c);  s′ = block(s + r + merge(z), c)

    Args:
        latent: Channels or dimensions of z.
        prior: State (N, W, …) → (N, size(latent) + W, …): parameters of p, and what is added to the state.
        posterior: State and features (N, W + F, …) → parameters of q.
        merge: z → (N, W, …), added to the state.
        block: State → state; None leaves it to the next layer's prior.
        family: Of q and p; a Gaussian with bounded scales by default.

    Source: Child (2021), Very deep VAEs, arXiv:2011.10650.

    Example:
        >>> from vaekit.distributions import MEAN
        >>> from vaekit.networks.blocks import DenseBlock, Residual
        >>> layer = StochasticLayer(
        ...     2, DenseBlock(8, 8, 12, gain=0), DenseBlock(16, 8, 4), nn.Linear(2, 8), Residual(DenseBlock(8, 8, 8))
        ... )
        >>> state, latent = layer(torch.zeros(5, 8), MEAN, h=torch.zeros(5, 8))
        >>> state.shape, latent.kl.shape
        (torch.Size([5, 8]), torch.Size([5, 2]))
    """

    def __init__(
        self,
        latent: int,
        prior: nn.Module,
        posterior: nn.Module,
        merge: nn.Module,
        block: nn.Module | None = None,
        family: Family | None = None,
    ) -> None:
        super().__init__()
        self.latent, self.prior, self.posterior = latent, prior, posterior
        self.merge, self.block = merge, block
        self.family = Gaussian(Bounded()) if family is None else family

    def prior_and_state(self, state: Tensor, c: Tensor | None) -> tuple[Distribution, Tensor]:
        params, change = self.prior(state, c).tensor_split((self.family.size(self.latent),), 1)
        return self.distribution(params), state + change

    def posterior_given(self, p: Distribution, state: Tensor, h: Tensor, c: Tensor | None) -> Distribution:
        return self.distribution(self.posterior(torch.cat([state, h], 1), c))

    def below(self, state: Tensor, z: Tensor, c: Tensor | None) -> Tensor:
        state = state + self.merge(z.to(state.dtype))
        return state if self.block is None else self.block(state, c)


@configurable
class LadderLayer(Layer):
    """A layer of a ladder VAE: q corrects p by what the data say, each weighing as much as it is certain.

        q(z | s, h) = N(σ² (μ̂ / σ̂² + μ_p / σ_p²), σ²),  1 / σ² = 1 / σ̂² + 1 / σ_p²,  N(μ̂, σ̂²) = posterior(h, c)

    Args:
        latent: Channels or dimensions of z.
        prior: State → parameters of p; None for a top layer, whose p is N(0, I) and whose q is N(μ̂, σ̂²) alone.
        posterior: Features → μ̂ and σ̂.
        merge: z → (N, W, …).
        block: What merge gives → the state for the layer below.

    Source: Sønderby, Raiko, Maaløe, Sønderby, Winther (2016), Ladder variational autoencoders, arXiv:1602.02282.

    Example:
        >>> from vaekit.distributions import MEAN
        >>> from vaekit.networks.blocks import DenseBlock
        >>> layer = LadderLayer(2, DenseBlock(8, 8, 4), DenseBlock(6, 8, 4), nn.Linear(2, 3), DenseBlock(3, 8, 3))
        >>> state, latent = layer(torch.zeros(5, 8), MEAN, h=torch.zeros(5, 6))
        >>> state.shape, bool((latent.q.scale < latent.p.scale).all())
        (torch.Size([5, 3]), True)
    """

    def __init__(
        self, latent: int, prior: nn.Module | None, posterior: nn.Module, merge: nn.Module, block: nn.Module
    ) -> None:
        super().__init__()
        self.latent, self.prior, self.posterior = latent, prior, posterior
        self.merge, self.block = merge, block
        self.family, self.hears_state = Gaussian(Bounded()), prior is not None

    def prior_and_state(self, state: Tensor, c: Tensor | None) -> tuple[Distribution, Tensor]:
        if self.prior is not None:
            return self.distribution(self.prior(state, c)), state
        zeros = state.new_zeros(state.shape[0], self.family.size(self.latent), *state.shape[2:])
        return self.distribution(zeros), state

    def posterior_given(self, p: Any, state: Tensor, h: Tensor, c: Tensor | None) -> Distribution:
        q: Any = self.distribution(self.posterior(h, c))
        return q if self.prior is None else product(q, p)

    def below(self, state: Tensor, z: Tensor, c: Tensor | None) -> Tensor:
        return self.block(self.merge(z.to(state.dtype)), c)


def product(a: Normal, b: Normal) -> Normal:
    """The normalised product of two Gaussian densities: precisions add, means are weighed by them.

    Example:
        >>> both = product(Normal(torch.tensor(0.0), 1.0), Normal(torch.tensor(4.0), 1.0))
        >>> both.loc, both.variance
        (tensor(2.), tensor(0.5000))
    """
    first, second = a.scale.pow(-2), b.scale.pow(-2)
    variance = 1 / (first + second)
    return Normal(variance * (a.loc * first + b.loc * second), variance.sqrt(), validate_args=False)
