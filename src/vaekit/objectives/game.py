"""The game of a critic and a model: what each makes of the critic's scores."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor
from torch.nn import functional


class Game(ABC):
    """What critic and model make of a score; higher scores are more like data."""

    @abstractmethod
    def critic(self, real: Tensor, fake: Tensor) -> Tensor:
        """The critic's loss, (N,), of the scores of data and of the model's items."""

    @abstractmethod
    def model(self, fake: Tensor) -> Tensor:
        """The model's loss, (N,): lower where its items score higher."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class Hinge(Game):
    """max(0, 1 − real) + max(0, 1 + fake) against −fake.

    Source: Lim, Ye (2017), Geometric GAN, arXiv:1705.02894.
    """

    def critic(self, real: Tensor, fake: Tensor) -> Tensor:
        return functional.relu(1 - real) + functional.relu(1 + fake)

    def model(self, fake: Tensor) -> Tensor:
        return -fake


class NonSaturating(Game):
    """−log σ(real) − log(1 − σ(fake)) against −log σ(fake).

    Source: Goodfellow, Pouget-Abadie, Mirza, Xu, Warde-Farley, Ozair, Courville, Bengio (2014), arXiv:1406.2661.
    """

    def critic(self, real: Tensor, fake: Tensor) -> Tensor:
        return functional.softplus(-real) + functional.softplus(fake)

    def model(self, fake: Tensor) -> Tensor:
        return functional.softplus(-fake)
