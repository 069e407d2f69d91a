"""An objective is a formula: terms that read a pass, added and scaled.

    Distortion() + 4.0 * Rate()

A term may own parameters (a critic, a multiplier). It then has an adversary loss too, and is a player of its own: each
player's loss moves that player's parameters and no others.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vaekit.data import Items
from vaekit.model import Pass
from vaekit.objectives.schedule import Schedule

Weight = float | Schedule


@dataclass(frozen=True)
class Player:
    """Parameters, and the loss that moves them and nothing else.

    Attributes:
        name: Under which its gradient norm and optimizer state are kept.
        parameters: What it owns.
        loss: (pass, step) → scalar.
    """

    name: str
    parameters: list[nn.Parameter]
    loss: Callable[[Pass, int], Tensor]


class Term(nn.Module, ABC):
    """A piece of an objective, in nats per datum.

    Attributes:
        samples: K draws for each datum that it asks for.
    """

    samples: int = 1

    def told(self, items: Items) -> None:
        """What the training data are; `train` says so before the first step. Sums hand it on."""

    @abstractmethod
    def forward(self, out: Pass, step: int) -> Tensor:
        """What the model minimises: (N,) or (B,), one value for each row or datum, or () for the batch."""

    def adversary(self, out: Pass, step: int) -> Tensor:
        """What the term's own parameters minimise, (). It must not use the model's gradient."""
        raise NotImplementedError(f"{type(self).__name__} owns parameters and needs an adversary loss")

    def players(self, model: nn.Module) -> list[Player]:
        """Who moves what: the model by the objective, the terms' own parameters by their adversary loss."""
        trained = [p for p in model.parameters() if p.requires_grad]
        own = [p for p in self.parameters() if p.requires_grad]
        players = [Player("model", trained, lambda out, step: mean(self(out, step), out))]
        return players + ([Player("objective", own, self.adversary)] if own else [])

    def parts(self) -> list[tuple[Weight, Term]]:
        """The sum that it is, as (weight, term)."""
        return [(1.0, self)]

    def weighted(self, weight: Weight) -> Sum:
        """The term times a number or a schedule."""
        return Sum([(_times(weight, inner), term) for inner, term in self.parts()])

    @property
    def finish(self) -> int:
        """The step at which everything that it schedules has reached its final value."""
        return 0

    def __add__(self, other: Term) -> Sum:
        return Sum([*self.parts(), *other.parts()])

    def __rmul__(self, weight: float) -> Sum:
        return self.weighted(float(weight))

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class Sum(Term):
    """A weighted sum of terms; made by `+` and `*`.

    Args:
        weighted_terms: (weight, term) pairs; a weight is a number or a schedule.

    Example:
        >>> from vaekit.objectives import Distortion, Rate, linear
        >>> Distortion() + 4.0 * Rate()
        Distortion() + 4 * Rate()
        >>> Distortion() + linear(0, 1, 1000) * Rate(free=0.25)
        Distortion() + linear(0, 1, 1000) * Rate(free=0.25)
    """

    def __init__(self, weighted_terms: list[tuple[Weight, Term]]) -> None:
        super().__init__()
        asked = {term.samples for _, term in weighted_terms}
        if len(asked) > 1:
            raise ValueError(f"terms of one sum must ask for one number of samples, not {sorted(asked)}")
        self.samples = asked.pop()
        self.weights = [weight for weight, _ in weighted_terms]
        self.terms = nn.ModuleList(term for _, term in weighted_terms)

    def told(self, items: Items) -> None:
        for _, term in self.parts():
            term.told(items)

    def parts(self) -> list[tuple[Weight, Term]]:
        return list(zip(self.weights, self.terms, strict=True))  # type: ignore[arg-type]

    @property
    def finish(self) -> int:
        return max(max(term.finish, end(weight)) for weight, term in self.parts())

    def forward(self, out: Pass, step: int) -> Tensor:
        terms = [(at(weight, step), term) for weight, term in self.parts()]
        values = [(now, mean(term(out, step), out)) for now, term in terms if now != 0]
        if not values:
            return out.distortion.sum() * 0  # a zero that has a gradient
        weighed = [value if now == 1 else now * value for now, value in values]
        total = weighed[0]
        for value in weighed[1:]:
            total = total + value
        return total

    def adversary(self, out: Pass, step: int) -> Tensor:
        owners = [term for term in self.terms if owns(term)]
        return torch.stack([term.adversary(out, step) for term in owners]).sum()  # type: ignore[operator]

    def __repr__(self) -> str:
        return " + ".join(f"{_written(weight)}{term!r}" for weight, term in self.parts())


def at(weight: Weight, step: int) -> float:
    """A weight's value at a step."""
    return weight(step) if isinstance(weight, Schedule) else weight


def owns(term: nn.Module) -> bool:
    """Whether a term has parameters of its own, which its adversary loss moves."""
    return any(p.requires_grad for p in term.parameters())


def end(weight: Weight) -> int:
    """The step from which on a weight no longer changes."""
    return weight.finish if isinstance(weight, Schedule) else 0


def mean(values: Tensor, out: Pass) -> Tensor:
    """The mean over data, weighted where the batch has weights: (N,), (B,) or () → ()."""
    if out.weight is None or values.dim() == 0:
        return values.mean()
    weight = out.weight if len(values) == len(out.weight) else out.weight[:: out.samples]
    return (weight * values).sum() / weight.sum()


@dataclass(frozen=True)
class _Product(Schedule):
    """Two weights multiplied."""

    a: Weight
    b: Weight

    def __call__(self, step: int) -> float:
        return at(self.a, step) * at(self.b, step)

    @property
    def finish(self) -> int:
        return max(end(self.a), end(self.b))

    def __repr__(self) -> str:
        return f"{_written(self.a)}{_written(self.b)}".removesuffix(" * ")


def _times(a: Weight, b: Weight) -> Weight:
    if isinstance(a, Schedule) or isinstance(b, Schedule):
        return b if a == 1 else a if b == 1 else _Product(a, b)
    return a * b


def _written(weight: Weight) -> str:
    return "" if weight == 1 else f"{weight!r} * " if isinstance(weight, Schedule) else f"{weight:g} * "
