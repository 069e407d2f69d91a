"""A critic learns to tell data from what the model makes of them, and the model learns from what it has seen.

    critic:  min E[loss(x real)] + E[loss(x̂ not)]        model:  … + λ E[loss(x̂ real)]

x is what the model sees and x̂ the centre of p(x | z): a draw from a factorised p would be known by its grain.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from vaekit.data import Items
from vaekit.distributions import ambient, center
from vaekit.model import Pass
from vaekit.objectives.game import Game, Hinge
from vaekit.objectives.term import Term, mean


class Fakes(ABC):
    """Which of the model's items the critic judges."""

    @abstractmethod
    def __call__(self, out: Pass) -> list[Tensor]:
        """Sets of items, (N, *shape) each, with the gradient that the model may learn by."""


class Reconstructions(Fakes):
    """The centre of p(x | z) as it stands: encoder and decoder both learn from the critic."""

    def __call__(self, out: Pass) -> list[Tensor]:
        return [center(out.px)]


class DecoderOnly(Fakes):
    """z decoded again without its history, and as many draws of the prior: only the decoder learns from the critic.

    Source: Larsen, Sønderby, Larochelle, Winther (2016), arXiv:1512.09300.
    """

    def __call__(self, out: Pass) -> list[Tensor]:
        if out.model is None or not isinstance(out.state, Tensor):
            raise ValueError(
                "the decoder's state is no tensor here; use Adversarial(critic, fakes=Reconstructions())"
            )
        drawn, _ = out.model.bottleneck(c=out.c, n=len(out.x), noise=ambient())
        return [center(out.model.likelihood(state.detach(), out.c)) for state in (out.state, drawn)]


class Adversarial(Term):
    """E[loss of the critic's score of what the model makes]; the critic is a player of its own.

    Args:
        critic: x → scores (N,).
        game: `Hinge()` (the default) or `NonSaturating()`.
        fakes: What is judged: `Reconstructions()` (the default) or `DecoderOnly()`.
        start: Step from which the critic learns and judges; the same as in `after(start) * Adversarial(…)`.
        penalty: Weight γ of γ/2 E‖∂score/∂x‖² at the data; it keeps a critic from turning ever steeper where it has
            won, and costs about half as much again.

    Source: Larsen, Sønderby, Larochelle, Winther (2016), arXiv:1512.09300; Rombach, Blattmann, Lorenz, Esser, Ommer
        (2022), arXiv:2112.10752; Mescheder, Geiger, Nowozin (2018), arXiv:1801.04406 (the penalty R₁).

    Example:
        >>> from vaekit.networks.critic import Critic
        >>> Adversarial(Critic((4,)))
        Adversarial(Hinge())
    """

    def __init__(
        self,
        critic: nn.Module,
        game: Game | None = None,
        fakes: Fakes | None = None,
        start: int = 0,
        penalty: float = 0.0,
    ) -> None:
        super().__init__()
        self.critic, self.start, self.penalty = critic, start, penalty
        self.game: Game = Hinge() if game is None else game
        self.fakes: Fakes = Reconstructions() if fakes is None else fakes

    @property
    def finish(self) -> int:
        return self.start

    def forward(self, out: Pass, step: int) -> Tensor:
        """The model's loss, (N,): the mean over the sets of items judged."""
        if step < self.start:
            return out.distortion * 0
        with still(self.critic):
            losses = [self.game.model(self.critic(seen(x, out))) for x in self.fakes(out)]
        return torch.stack(losses).mean(0)

    def adversary(self, out: Pass, step: int) -> Tensor:
        """The critic's loss, (), on items that carry no gradient."""
        if step < self.start:
            return torch.stack([p.sum() for p in self.critic.parameters()]).sum() * 0
        with torch.no_grad():
            fakes = [seen(x, out).detach() for x in self.fakes(out)]
        x = seen(out.x, out).detach().requires_grad_(self.penalty > 0)
        real = self.critic(x)
        losses = [self.game.critic(real, self.critic(fake)) for fake in fakes]
        return mean(torch.stack(losses).mean(0) + self._steepness(real, x), out)

    def _steepness(self, real: Tensor, x: Tensor) -> Tensor | float:
        """γ/2 ‖∂score/∂x‖² of each datum, (N,)."""
        if not self.penalty:
            return 0.0
        (slope,) = torch.autograd.grad(real.sum(), x, create_graph=True)
        return self.penalty / 2 * slope.flatten(1).square().sum(1)

    def __repr__(self) -> str:
        judged = "" if isinstance(self.fakes, Reconstructions) else f", {type(self.fakes).__name__}()"
        return f"Adversarial({self.game!r}{judged})"


class FeatureMatching(Term):
    """½ Σ_l ‖f_l(x) − f_l(x̂)‖²: the distortion in a network's features, as if each had a Gaussian of scale 1.

    The network is moved by its owner: a critic by its `Adversarial` term in the same sum, a frozen network by nobody.
    The model's gradient goes through it.

    Args:
        features: A critic with `features(x)`, or any frozen network from x to a tensor or a list of them.

    Raises:
        ValueError: The network is neither frozen nor a critic.

    Source: Larsen, Sønderby, Larochelle, Winther (2016), arXiv:1512.09300 (a critic's features); Johnson, Alahi, Li
        (2016), arXiv:1603.08155 (a frozen network's).

    Example:
        >>> FeatureMatching(nn.Linear(4, 2).requires_grad_(False))
        FeatureMatching(Linear)
    """

    def __init__(self, features: nn.Module) -> None:
        super().__init__()
        if not hasattr(features, "features") and any(p.requires_grad for p in features.parameters()):
            name = type(features).__name__
            raise ValueError(
                f"nothing would train this {name}: freeze it with requires_grad_(False), or give the critic of an "
                "Adversarial term"
            )
        self.features = features

    def forward(self, out: Pass, step: int) -> Tensor:
        with torch.no_grad():
            real = self._of(seen(out.x, out))
        with still(self.features):
            made = self._of(seen(center(out.px), out))
        errors = [(a - b).flatten(1).square().sum(1) / 2 for a, b in zip(real, made, strict=True)]
        return torch.stack(errors).sum(0)

    def adversary(self, out: Pass, step: int) -> Tensor:
        """Nothing, (): a critic learns from its own term."""
        return out.x.new_zeros(())

    def _of(self, x: Tensor) -> list[Tensor]:
        own = getattr(self.features, "features", self.features)
        found = own(x)
        return [found] if isinstance(found, Tensor) else list(found)

    def __repr__(self) -> str:
        return f"FeatureMatching({type(self.features).__name__})"


class Balanced(Term):
    """A term at a fixed share of the distortion: share · ‖∂D/∂w‖ / ‖∂T/∂w‖ · T, where w are the decoder's last weights.

    What a score is worth in nats changes while the critic learns, and differs from one kind of data to another.

    Args:
        term: T.
        share: Its gradient over the distortion's, at the decoder's last weights.

    Source: Esser, Rombach, Ommer (2021), Taming transformers, arXiv:2012.09841.

    Example:
        >>> from vaekit.networks.critic import Critic
        >>> Balanced(Adversarial(Critic((4,))), share=0.2)
        Balanced(Adversarial(Hinge()), share=0.2)
    """

    def __init__(self, term: Term, share: float = 0.5) -> None:
        super().__init__()
        self.term, self.share, self.samples = term, share, term.samples

    def told(self, items: Items) -> None:
        self.term.told(items)

    @property
    def finish(self) -> int:
        return self.term.finish

    def forward(self, out: Pass, step: int) -> Tensor:
        value, distortion = mean(self.term(out, step), out), mean(out.distortion, out)
        weights = last_weights(out)
        (own,) = torch.autograd.grad(value, weights, retain_graph=True)
        (other,) = torch.autograd.grad(distortion, weights, retain_graph=True)
        ratio = other.norm() / own.norm().clamp(min=1e-8 * other.norm() + torch.finfo(own.dtype).tiny)
        return self.share * ratio.detach() * value

    def adversary(self, out: Pass, step: int) -> Tensor:
        return self.term.adversary(out, step)

    def __repr__(self) -> str:
        return f"Balanced({self.term!r}, share={self.share:g})"


def last_weights(out: Pass) -> Tensor:
    """The last matrix or kernel of the decoder."""
    if out.model is None:
        raise ValueError("a pass without its model cannot be balanced")
    return [p for p in out.model.decoder.parameters() if p.requires_grad and p.dim() > 1][-1]


def seen(x: Tensor, out: Pass) -> Tensor:
    """x with zeros where the data were not observed, so that a critic cannot tell by them."""
    return x if out.mask is None else torch.where(out.mask.bool(), x, torch.zeros_like(x))


@contextmanager
def still(net: nn.Module) -> Iterator[None]:
    """Inside, gradients go through a network and not into it."""
    trained = [p for p in net.parameters() if p.requires_grad]
    try:
        for p in trained:
            p.requires_grad_(False)
        yield
    finally:
        for p in trained:
            p.requires_grad_(True)
