"""The two sides of the evidence lower bound, and what people do to their balance.

−ELBO = distortion + rate = −E_q[log p(x | z)] + KL(q(z | x) ‖ p(z))
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from vaekit.data import Items
from vaekit.model import Pass
from vaekit.objectives.schedule import Schedule
from vaekit.objectives.term import Term, mean, owns


class Distortion(Term):
    """−log p(x | z), nats per datum, over the observed values."""

    def forward(self, out: Pass, step: int) -> Tensor:
        return out.distortion


class Rate(Term):
    """KL(q(z | x) ‖ p(z)), nats per datum.

    Args:
        free: Nats for each latent dimension that cost nothing: the batch mean of each dimension's KL is charged only
            where it exceeds this.

    Source: Kingma, Salimans, Jozefowicz, Chen, Sutskever, Welling (2016), arXiv:1606.04934 (free bits).
    """

    def __init__(self, free: float = 0.0) -> None:
        super().__init__()
        self.free = free

    def forward(self, out: Pass, step: int) -> Tensor:
        if not self.free:
            return out.rate
        charged = [_column_mean(latent.kl, out).clamp(min=self.free).sum() for latent in out.latents]
        return torch.stack(charged).sum()

    def __repr__(self) -> str:
        return f"Rate(free={self.free:g})" if self.free else "Rate()"


class Penalty(Term):
    """What the bottleneck itself charges besides the rate: commitment, codebook."""

    def forward(self, out: Pass, step: int) -> Tensor:
        return torch.as_tensor(out.penalty, device=out.x.device)


class Capacity(Term):
    """|E[rate] − C(step)|: the rate is held at a capacity that grows.

    Args:
        target: C as a schedule, nats per datum.

    Source: Burgess, Higgins, Pal, Matthey, Watters, Desjardins, Lerchner (2018), arXiv:1804.03599.
    """

    def __init__(self, target: Schedule) -> None:
        super().__init__()
        self.target = target

    @property
    def finish(self) -> int:
        return self.target.finish

    def forward(self, out: Pass, step: int) -> Tensor:
        return (mean(out.rate, out) - self.target(step)).abs()

    def __repr__(self) -> str:
        return f"Capacity({self.target!r})"


class Excess(Term):
    """−log p(x | z) − n · nats, nats per datum: the distortion beyond what each of the n observed values may have.

    Args:
        nats: For each value.

    Example:
        >>> Excess(0.5)
        Excess(0.5)
    """

    def __init__(self, nats: float) -> None:
        super().__init__()
        self.nats = nats

    def forward(self, out: Pass, step: int) -> Tensor:
        seen = math.prod(out.x.shape[1:]) if out.mask is None else out.mask.flatten(1).sum(1)
        return out.distortion - self.nats * seen

    def __repr__(self) -> str:
        return f"Excess({self.nats:.4g})"


PACE = 20.0  # a multiplier moves so much faster than a weight: it must find its place before the model does
FARTHEST = 10.0  # of log λ from 0


class Constrained(Term):
    """A term held below a target: λ · (term − target), where λ ≥ 0 rises while the constraint is broken.

    Args:
        term: What is constrained.
        target: Nats per datum that it may have.

    Source: Rezende, Viola (2018), Taming VAEs, arXiv:1810.00597 (GECO).
    """

    def __init__(self, term: Term, target: float) -> None:
        super().__init__()
        self.term, self.target = term, target
        self.samples = term.samples
        self.raw = nn.Parameter(torch.zeros(()))  # log λ / PACE

    def told(self, items: Items) -> None:
        self.term.told(items)

    @property
    def finish(self) -> int:
        return self.term.finish

    def forward(self, out: Pass, step: int) -> Tensor:
        return self.multiplier.detach() * mean(self.term(out, step), out)

    def adversary(self, out: Pass, step: int) -> Tensor:
        excess = mean(self.term(out, step), out).detach() - self.target
        # a target out of reach would drive λ to infinity, one met at once to where Adam no longer moves it
        ended = PACE * self.raw.detach() * excess.sign() >= FARTHEST
        price = -self.multiplier * torch.where(ended, 0.0, excess)
        return price + self.term.adversary(out, step) if owns(self.term) else price

    @property
    def multiplier(self) -> Tensor:
        """λ, ()."""
        return (PACE * self.raw).exp()

    def __repr__(self) -> str:
        return f"Constrained({self.term!r}, {self.target:g})"


def _column_mean(kl: Tensor, out: Pass) -> Tensor:
    """Mean over data of each dimension's KL: (N, *latent) → (*latent,)."""
    if out.weight is None:
        return kl.mean(0)
    weight = out.weight.reshape(-1, *(1,) * (kl.dim() - 1))
    return (weight * kl).sum(0) / weight.sum()
