"""The scale of a location–scale family: fixed, learned and shared, learned for each dimension, predicted, or optimal.

A squared error with an untuned weight is a Gaussian with a wrong fixed scale: the usual cause of blur and collapse.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from vaekit.recipes import configurable


class Scale(nn.Module, ABC):
    """How a location–scale family gets its scale."""

    def size(self, dim: int) -> int:
        """How many numbers of the network describe the scales of `dim` values."""
        return 0

    @abstractmethod
    def forward(self, params: Tensor, loc: Tensor) -> Tensor:
        """The scale, broadcastable to `loc` (N, *shape); `params` (N, size, …) is the network's share."""

    def best(self, x: Tensor, loc: Tensor, mask: Tensor | None, power: int = 2) -> Tensor | None:
        """The scale that these values ask for while training, (); None where it does not depend on them."""
        return None

    def commit(self, scale: Tensor) -> None:
        """Learn from a batch's scale, after the finite check; nothing by default."""

    def begin(self, scale: Tensor) -> Tensor:
        """Begin at the given scales (D,), as near as can be.

        Returns:
            (size(D),) what the network must give for them.
        """
        return scale[:0]


def positive(t: Tensor, initial: float, floor: float) -> Tensor:
    """Any number to a scale: softplus with `positive(0) = initial`, never below `floor`.

    It grows linearly, not exponentially, so that no finite input gives an infinite scale.
    """
    return floor + (initial - floor) / math.log(2) * functional.softplus(t)


def unpositive(scale: Tensor, initial: float, floor: float) -> Tensor:
    """The number that `positive` turns into this scale.

    Example:
        >>> positive(unpositive(torch.tensor(0.3), 1.0, 1e-4), 1.0, 1e-4)
        tensor(0.3000)
    """
    y = ((scale - floor).clamp(min=1e-3 * floor) * math.log(2) / (initial - floor)).double()
    return (y + torch.log(-torch.expm1(-y))).to(scale.dtype)


@configurable
class Fixed(Scale):
    """A known scale: the same everywhere, or one for each dimension.

    Args:
        value: The scale, in the data's units; or (D,) of them.

    Example:
        >>> Fixed([1.0, 2.0])(torch.zeros(1, 0), torch.zeros(1, 2))
        tensor([[1., 2.]])
    """

    def __init__(self, value: float | Sequence[float] = 1.0) -> None:
        super().__init__()
        self.value = value

    def forward(self, params: Tensor, loc: Tensor) -> Tensor:
        return torch.as_tensor(self.value, dtype=loc.dtype, device=loc.device).expand_as(loc)


@configurable
class Shared(Scale):
    """One scale for all values, learned with the ELBO.

    Args:
        initial: Where learning begins.
        floor: It never goes below.

    Source: Rybkin, Daniilidis, Levine (2021), Simple and effective VAE training with calibrated decoders,
        arXiv:2006.13202.
    """

    def __init__(self, initial: float = 1.0, floor: float = 1e-3) -> None:
        super().__init__()
        self.initial, self.floor = initial, floor
        self.raw = nn.Parameter(torch.zeros(()))

    def forward(self, params: Tensor, loc: Tensor) -> Tensor:
        return positive(self.raw, self.initial, self.floor).expand_as(loc)

    @torch.no_grad()
    def begin(self, scale: Tensor) -> Tensor:
        self.raw.copy_(unpositive(scale.square().mean().sqrt(), self.initial, self.floor))
        return scale[:0]


@configurable
class SignalDependent(Scale):
    """Noise that grows with the signal, as a camera's does: σ² = gain · max(s, 0) + read², both learned.

    Args:
        gain: Where the variance that a signal of 1 adds begins; 1 / gain is the photons at white.
        read: Where the standard deviation in the dark begins.

    Source: Foi, Trimeche, Katkovnik, Egiazarian (2008), Practical Poissonian-Gaussian noise modeling and fitting for
        single-image raw-data; learned with the ELBO as in Prakash, Krull, Jug (2021), DivNoising, arXiv:2006.06072.

    Example:
        >>> SignalDependent(gain=0.04, read=0.1)(torch.zeros(1, 0), torch.tensor([[0.0, 0.75]])).detach()
        tensor([[0.1000, 0.2000]])
    """

    def __init__(self, gain: float = 0.03, read: float = 0.05) -> None:
        super().__init__()
        self.gain, self.read = gain, read
        self.raw = nn.Parameter(torch.zeros(2))

    @property
    def values(self) -> Tensor:
        """The gain and the standard deviation in the dark, (2,)."""
        gain, read = self.raw
        return torch.stack([positive(gain, self.gain, 1e-6), positive(read, self.read, 1e-3)])

    def forward(self, params: Tensor, loc: Tensor) -> Tensor:
        gain, read = self.values
        return (gain * loc.clamp(min=0) + read.square()).sqrt()


@configurable
class PerDimension(Scale):
    """One learned scale for each dimension, the same for all items.

    Args:
        shape: Shape of one item.
        initial, floor: As in `Shared`.
    """

    def __init__(self, shape: Sequence[int], initial: float = 1.0, floor: float = 1e-2) -> None:
        super().__init__()
        self.shape, self.initial, self.floor = tuple(shape), initial, floor
        self.raw = nn.Parameter(torch.zeros(self.shape))

    def forward(self, params: Tensor, loc: Tensor) -> Tensor:
        return positive(self.raw, self.initial, self.floor).expand_as(loc)

    @torch.no_grad()
    def begin(self, scale: Tensor) -> Tensor:
        self.raw.copy_(unpositive(scale, self.initial, self.floor).view_as(self.raw))
        return scale[:0]


@configurable
class Predicted(Scale):
    """A scale for each item and dimension, from the network.

    Args:
        initial, floor: As in `Shared`.
    """

    def __init__(self, initial: float = 1.0, floor: float = 1e-4) -> None:
        super().__init__()
        self.initial, self.floor = initial, floor

    def size(self, dim: int) -> int:
        return dim

    def forward(self, params: Tensor, loc: Tensor) -> Tensor:
        return positive(params, self.initial, self.floor)

    def begin(self, scale: Tensor) -> Tensor:
        return unpositive(scale, self.initial, self.floor)


@configurable
class Optimal(Scale):
    """The scale that maximises the likelihood, in closed form: σ² = mean (x − μ)².

    While training it is the batch's own, over the observed values; evaluation uses a running mean, saved with the
    model (a scale that depended on x would be no density).

    Args:
        decay: Share of the running mean that one step keeps.
        floor: It never goes below.

    Source: Rybkin, Daniilidis, Levine (2021), arXiv:2006.13202.
    """

    square: Tensor
    total: Tensor

    def __init__(self, decay: float = 0.99, floor: float = 1e-3) -> None:
        super().__init__()
        self.decay, self.floor = decay, floor
        self.register_buffer("square", torch.zeros(()))  # running Σ of weights × σ²
        self.register_buffer("total", torch.zeros(()))  # running Σ of weights

    def forward(self, params: Tensor, loc: Tensor) -> Tensor:
        running = torch.where(
            self.total > 0, self.square / self.total.clamp(min=1e-12), torch.ones_like(self.square)
        )
        return running.sqrt().clamp(min=self.floor).to(loc.dtype).expand_as(loc)

    def best(self, x: Tensor, loc: Tensor, mask: Tensor | None, power: int = 2) -> Tensor:
        error = (x - loc).detach().abs().pow(power)
        if mask is not None:
            error = torch.where(mask.bool(), error, torch.zeros_like(error))
        count = error.numel() if mask is None else mask.sum().clamp(min=1)
        return (error.sum() / count).pow(1 / power).clamp(min=self.floor)

    @torch.no_grad()
    def begin(self, scale: Tensor) -> Tensor:
        self.square.copy_(scale.square().mean())
        self.total.fill_(1.0)
        return scale[:0]

    @torch.no_grad()
    def commit(self, scale: Tensor) -> None:
        self.square.mul_(self.decay).add_((1 - self.decay) * scale.flatten()[0].float().square())
        self.total.mul_(self.decay).add_(1 - self.decay)
