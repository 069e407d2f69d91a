"""Random numbers that stand in a graph: drawn once, and the same for each datum ever after."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import NoReturn

import torch
from torch import Tensor

from vaekit.distributions import Noise
from vaekit.operations.score import likelihood_noise


class Undrawable(TypeError):
    """Draws that cannot stand in a graph."""

    def __init__(self) -> None:
        super().__init__("draws other than of normal and uniform numbers cannot stand in a graph")


class _Plain(Noise):
    """Normal and uniform numbers alone.

    Raises:
        Undrawable: Others are asked for.
    """

    def __init__(self) -> None:
        super().__init__(0, "export")

    @property
    def generator(self) -> NoReturn:
        raise Undrawable

    @contextlib.contextmanager
    def torch(self) -> Iterator[None]:
        raise Undrawable
        yield


class Recorded(_Plain):
    """The numbers that `operations.log_likelihood` draws for a first datum, and a record of them.

    Attributes:
        drawn: What was drawn, in order.
    """

    def __init__(self) -> None:
        super().__init__()
        self.noise, self.drawn = likelihood_noise(torch.zeros(1, dtype=torch.long)), list[Tensor]()

    def normal(self, shape: Sequence[int], like: Tensor | None = None) -> Tensor:
        return self._kept(self.noise.normal(shape, like))

    def uniform(self, shape: Sequence[int], like: Tensor | None = None) -> Tensor:
        return self._kept(self.noise.uniform(shape, like))

    def _kept(self, t: Tensor) -> Tensor:
        self.drawn.append(t)
        return t


class Replayed(_Plain):
    """Numbers that were drawn before, for as many data as there are: each meets the same ones.

    Args:
        drawn: (K, …) each, in the order in which they are asked for.
    """

    def __init__(self, drawn: Sequence[Tensor]) -> None:
        super().__init__()
        self._left = iter(drawn)

    def normal(self, shape: Sequence[int], like: Tensor | None = None) -> Tensor:
        known = next(self._left)
        return known.repeat(shape[0] // len(known), *[1] * (known.dim() - 1))

    def uniform(self, shape: Sequence[int], like: Tensor | None = None) -> Tensor:
        return self.normal(shape, like)
