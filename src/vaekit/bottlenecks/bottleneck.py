"""The stochastic part between encoder and decoder, and the record it leaves of each random variable."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from vaekit.distributions import MEAN, Noise, kl, right

if TYPE_CHECKING:
    from vaekit.model import Pass


T = TypeVar("T")


class once(Generic[T]):  # noqa: N801  (a decorator)
    """A property computed at its first use and kept.

    As `functools.cached_property`, without the lock that keeps Python 3.11's out of compiled programs.
    """

    def __init__(self, compute: Callable[[Any], T]) -> None:
        self.compute, self.name, self.__doc__ = compute, compute.__name__, compute.__doc__

    def __get__(self, owner: Any, kind: type | None = None) -> T:
        value = self.compute(owner)
        owner.__dict__[self.name] = value
        return value


@dataclass
class Latent:
    """One random variable of a pass: its value, what it was drawn from, and what it is charged against.

    Attributes:
        z: (N, *latent) value.
        q: The distribution it was drawn from, q(z | x, parents); equals p in a prior pass.
        p: The prior, p(z | parents); None where there is none.
        penalty: (N,) what the bottleneck itself charges, nats.
        drawn_log_q: log q(z) where drawing z yielded it, else None.
    """

    z: Tensor
    q: Distribution
    p: Distribution | None
    penalty: Tensor | float = 0.0
    drawn_log_q: Tensor | None = None

    @property
    def log_q(self) -> Tensor:
        """log q(z), (N,) nats."""
        return right(self.q.log_prob(self.z) if self.drawn_log_q is None else self.drawn_log_q)

    @property
    def log_p(self) -> Tensor:
        """log p(z), (N,) nats."""
        return right(self.prior.log_prob(self.z))

    @property
    def prior(self) -> Distribution:
        """p, where there is one."""
        if self.p is None:
            raise ValueError("this model has no prior, so it has no rate and cannot be sampled from")
        return self.p

    @once
    def kl(self) -> Tensor:
        """KL(q‖p) in nats: (N, *latent) where both factorise, (N,) otherwise; a sample of it without closed form."""
        closed = kl(self.q, self.prior)
        return self.log_q - self.log_p if closed is None else closed


class Bottleneck(nn.Module, ABC):
    """What stands between encoder and decoder. One method serves three passes.

    Attributes:
        stochastic: Whether q is a distribution with a density, so that rate and likelihood exist.
        discrete: Whether z are codes of a codebook: names, of which none lies between two others.
        prior_of: Place, in the record, of the variable whose prior `with_prior` replaces.
        prior_heard: Whether that prior is told the condition.
    """

    stochastic = True
    discrete = False
    prior_of = 0
    prior_heard = True

    @abstractmethod
    def forward(
        self,
        h: Any = None,
        c: Tensor | None = None,
        z: Any = None,
        n: int | None = None,
        noise: Noise = MEAN,
        temperature: float = 1.0,
    ) -> tuple[Any, list[Latent]]:
        """Posterior pass (h given), prior pass of n rows (neither h nor z), or a pass with values given (z).

        Args:
            h: Encoder features, (N, …).
            c: (N, A) condition.
            z: A value for each random variable, in the form `encode` gives; None entries of a list are drawn.
            n: Rows of a prior pass.
            noise: Where draws come from; `MEAN` draws the centre.
            temperature: Spread of prior draws; 1 is the prior itself.

        Returns:
            State for the decoder, and the record of each random variable, top first.
        """

    @abstractmethod
    def with_prior(self, prior: nn.Module) -> Bottleneck:
        """The same bottleneck charged against another prior."""

    def see_first(self, features: Callable[[], Any], x: Tensor) -> None:
        """Begin from data, once, before the first step; nothing by default.

        Args:
            features: () → encoder features h of some data, (N, …), for those who need them.
            x: The data themselves, (N, *shape).
        """

    def commit(self, out: Pass) -> None:
        """Take in what a pass has shown (codebook averages), after the finite check; nothing by default."""

    def between(self, start: Any, end: Any, weight: Tensor) -> Any:
        """Values on the way from one to another: the straight line by default.

        Args:
            start, end: A value of one row each, in the form `encode` gives, (1, *latent).
            weight: (S,) how far along.

        Returns:
            (S, *latent) in the same form.
        """
        if isinstance(start, list):
            return [self.between(a, b, weight) for a, b in zip(start, end, strict=True)]
        return start + (end - start) * weight.to(start.dtype).view(-1, *(1,) * (start.dim() - 1))

    def scan(self, steps: int, reach: float) -> Tensor:
        """The values that a walk along one latent dimension visits, (steps,); from −reach to reach by default."""
        return torch.linspace(-reach, reach, steps)

    def codes(self, latents: list[Latent]) -> Any:
        """The values of a record, in the form `decode` accepts."""
        return latents[0].z if len(latents) == 1 else [latent.z for latent in latents]


def needed(n: int | None) -> int:
    """The number of rows of a prior pass, which nothing else can tell."""
    if n is None:
        raise ValueError("a prior pass needs the number of rows n, or a condition c")
    return n
