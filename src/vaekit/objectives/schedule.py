"""Weights that change with the optimizer step; each prints as what was written."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vaekit.objectives.term import Sum, Term


class Schedule(ABC):
    """A number for each step. `schedule * term` weighs a term by it."""

    @abstractmethod
    def __call__(self, step: int) -> float:
        """The weight at an optimizer step, counted from 0."""

    @property
    def finish(self) -> int:
        """The step from which on it no longer changes; 0 if there is none to wait for."""
        return 0

    def __mul__(self, term: Term) -> Sum:
        return term.weighted(self)

    def __rmul__(self, factor: float) -> Schedule:
        return Scaled(float(factor), self)


@dataclass(frozen=True)
class Scaled(Schedule):
    """A schedule times a number."""

    factor: float
    schedule: Schedule

    def __call__(self, step: int) -> float:
        return self.factor * self.schedule(step)

    @property
    def finish(self) -> int:
        return self.schedule.finish

    def __repr__(self) -> str:
        return f"{self.factor:g} * {self.schedule!r}"


@dataclass(frozen=True)
class linear(Schedule):  # noqa: N801  (read as a function: linear(0, 1, 10_000) * Rate())
    """From `start` to `end` over `steps`, then constant.

    Example:
        >>> [linear(0, 1, 10)(step) for step in (0, 5, 20)]
        [0.0, 0.5, 1.0]
    """

    start: float
    end: float
    steps: int

    def __call__(self, step: int) -> float:
        return self.start + (self.end - self.start) * min(step / max(self.steps, 1), 1.0)

    @property
    def finish(self) -> int:
        return self.steps

    def __repr__(self) -> str:
        return f"linear({self.start:g}, {self.end:g}, {self.steps})"


@dataclass(frozen=True)
class cyclical(Schedule):  # noqa: N801
    """From 0 to 1 over the first `rise` of every period, then 1 until the next.

    After `periods` of them it stays at 1.

    Source: Fu, Li, Liu, Gao, Celikyilmaz, Carin (2019), Cyclical annealing schedule, arXiv:1903.10145.

    Example:
        >>> [cyclical(10)(step) for step in (0, 2, 7, 10)]
        [0.0, 0.4, 1.0, 0.0]
    """

    period: int
    rise: float = 0.5
    periods: int = 4

    def __call__(self, step: int) -> float:
        if step >= self.finish:
            return 1.0
        return min((step % self.period) / self.period / self.rise, 1.0)

    @property
    def finish(self) -> int:
        return self.period * self.periods

    def __repr__(self) -> str:
        return f"cyclical({self.period}, rise={self.rise:g}, periods={self.periods})"


@dataclass(frozen=True)
class after(Schedule):  # noqa: N801
    """0 before a step, 1 from it on; a term of weight 0 is not computed at all.

    Example:
        >>> after(100)(99), after(100)(100)
        (0.0, 1.0)
    """

    step: int

    def __call__(self, step: int) -> float:
        return float(step >= self.step)

    @property
    def finish(self) -> int:
        return self.step

    def __repr__(self) -> str:
        return f"after({self.step})"
