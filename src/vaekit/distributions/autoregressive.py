"""Chain-rule distributions: every value given those before it, for text, for maps of codes and for pixels.

p(x | context) = Π_t p(x_t | x_<t, context)
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from functools import singledispatch
from typing import Any

import torch
from torch import Tensor, nn
from torch import distributions as D

from vaekit.distributions import discrete
from vaekit.distributions.families import Family
from vaekit.distributions.noise import Noise
from vaekit.distributions.reduce import center, draw, tempered
from vaekit.distributions.scales import Optimal
from vaekit.recipes import configurable

Place = tuple[int, ...]
Walker = Callable[[Tensor, Place], Tensor]


class Autoregressive(D.Distribution):
    """Values at places in raster order, each given those before it; all are scored in one pass of a causal network.

    The network is responsible for causality: what it says of a place depends on earlier places alone. It may have
    `walker(context) -> ((x, place) -> parameters)`, which says the same of one place in less time; it is asked for
    every place once, in order.

    Args:
        net: (x, context) → logits (N, *shape, L); given a family, its parameters (N, size(C), *places).
        context: (N, …) what every place is told, or None.
        shape: Shape of x; given a family, (C, *places), and the C values of a place are independent of each other.
        family: Parameters → distribution of one place; None for categories 0 … L − 1.
        end: The category after which only itself follows; None if there is none.
        rows: N, where there is no context to tell it; None for a single unconditional row.
        temperature: Of the categories: p(x_t | x_<t) ∝ exp(logits / temperature).

    Example:
        >>> class Fair(nn.Module):
        ...     def forward(self, x, context):
        ...         return torch.zeros(*x.shape, 2)
        >>> p = Autoregressive(Fair(), torch.zeros(4, 1), (3,))
        >>> p.log_prob(torch.zeros(4, 3)).shape, p.draw(Noise(0))[0].shape
        (torch.Size([4, 3]), torch.Size([4, 3]))
    """

    arg_constraints: dict = {}
    has_rsample = False

    def __init__(
        self,
        net: nn.Module,
        context: Tensor | None,
        shape: Sequence[int],
        family: Callable[[Tensor], D.Distribution] | None = None,
        end: int | None = None,
        rows: int | None = None,
        temperature: float = 1.0,
    ) -> None:
        if family is not None and (end is not None or temperature != 1):
            raise ValueError("an end and a temperature are those of categories, which have no family here")
        self.net, self.context, self.shape, self.family = net, context, torch.Size(shape), family
        self.end, self.temperature = end, temperature
        self.rows = rows if context is None else context.shape[0]
        front = () if self.rows is None else (self.rows,)
        super().__init__(torch.Size((*front, *shape)), validate_args=False)

    @property
    def first(self) -> int:
        """The axis at which places begin, of x and of parameters."""
        return 1 if self.family is None else 2

    def log_prob(self, value: Tensor) -> Tensor:
        """log p(x_t | x_<t, context) of every value, (N, *shape) nats; what follows the end is certain."""
        terms = self._of(self.net(value, self.context)).log_prob(value)
        return terms if self.end is None else torch.where(_after(value, self.end), 0.0, terms)

    def draw(self, noise: Noise) -> tuple[Tensor, None]:
        """One x, (N, *shape), place after place."""
        return self._walked(lambda one: draw(one, noise)[0]), None

    def greedy(self) -> Tensor:
        """The x whose every value is the most probable after those before it, (N, *shape); always the same."""
        if torch.compiler.is_exporting():
            return self._stepped() if hasattr(self.net, "stepper") else self._looped()
        return self._walked(most_probable)

    @property
    def mean(self) -> Tensor:
        return self.greedy()

    def expand(self, batch_shape: Any, _instance: Any = None) -> Autoregressive:
        """So many independent rows of an unconditional distribution."""
        if self.context is not None:
            raise ValueError("a distribution with a context has its rows already")
        return Autoregressive(
            self.net, None, self.shape, self.family, self.end, int(batch_shape[0]), self.temperature
        )

    @torch.no_grad()
    def _walked(self, choose: Callable[[D.Distribution], Tensor]) -> Tensor:
        like = self._like()
        x = like.new_zeros((self.rows or 1, *self.shape))
        done = torch.zeros(x.shape[0], dtype=torch.bool, device=x.device)
        own = getattr(self.net, "walker", None)
        ask: Walker = self._asked if own is None else own(self.context)
        for place in self._places():
            spot = (*(slice(None),) * self.first, *(slice(i, i + 1) for i in place))
            chosen = choose(self._of(ask(x, place))).to(x.dtype)
            if self.end is not None:
                chosen = torch.where(done.view(-1, *(1,) * len(place)), float(self.end), chosen)
                done |= (chosen == self.end).flatten()
            x[spot] = chosen
            if self.end is not None and bool(done.all()):
                return torch.where(_after(x, self.end), float(self.end), x)
        return x

    def _looped(self) -> Tensor:
        """As `greedy`, as one loop over the places for a traced program, each with a pass over all of them."""
        from torch._higher_order_ops.scan import scan

        sides = self.shape[self.first - 1 :]
        count, last = math.prod(sides), self.first + len(sides) - 1
        x = self._like().new_zeros((self.rows or 1, *self.shape))
        own = self._of(self.net(x, self.context).flatten(self.first, last))
        rule = _rule(own)

        def step(carry: tuple[Tensor, Tensor], place: Tensor) -> tuple[tuple[Tensor, Tensor], Tensor]:
            x, done = carry
            parameters = self.net(x, self.context).flatten(self.first, last)
            chosen = rule(self._of(parameters.index_select(self.first, place.view(1)))).to(x.dtype)
            if self.end is not None:
                chosen = torch.where(done, float(self.end), chosen)
                done = chosen == self.end
            here = (torch.arange(count, device=x.device) == place).view(sides)
            found = torch.where(here, chosen.view(*chosen.shape[:-1], *(1,) * len(sides)), x)
            return (found, done.clone()), place.clone()

        done = torch.zeros((x.shape[0], 1), dtype=torch.bool, device=x.device)
        return scan(step, (x, done), torch.arange(count, device=x.device))[0][0]

    def _stepped(self) -> Tensor:
        """As `_looped`, of categories, by a network that keeps a state from place to place."""
        from torch._higher_order_ops.scan import scan

        like, end = self._like(), self.end
        first, state, ask = self.net.stepper(self.context, self.rows or 1)  # type: ignore[operator]

        def step(carry: tuple[Tensor, ...], place: Tensor) -> tuple[tuple[Tensor, ...], Tensor]:
            before, state, done = carry
            logits, state = ask(before, state)
            chosen = logits.argmax(-1)  # (N, 1)
            if end is not None:
                chosen = torch.where(done, end, chosen)
                done = chosen == end
            return (chosen, state.clone(), done.clone()), chosen.squeeze(1).clone()

        done = torch.zeros_like(first, dtype=torch.bool)
        _, found = scan(step, (first, state, done), torch.arange(self.shape[0], device=first.device))
        return found.movedim(0, 1).to(like.dtype)

    def _asked(self, x: Tensor, place: Place) -> Tensor:
        """Parameters at one place, its axes kept, from a pass over all of them."""
        spot = (*(slice(None),) * self.first, *(slice(i, i + 1) for i in place))
        return self.net(x, self.context)[spot]

    def _of(self, parameters: Tensor) -> D.Distribution:
        if self.family is not None:
            return self.family(parameters)
        return discrete.Categorical(parameters / self.temperature)

    def _places(self) -> Iterator[Place]:
        return itertools.product(*(range(side) for side in self.shape[self.first - 1 :]))

    def _like(self) -> Tensor:
        """A tensor of the values' type and device."""
        if self.context is not None and self.context.is_floating_point():
            return self.context
        return next(self.net.parameters(), torch.zeros(()))


@configurable
class ChainRule(nn.Module):
    """The family of autoregressive distributions: the parameters it is given are the context of every place.

    A decoder with this family computes the context from z; the family's own network does the rest. It is therefore as
    strong as that network, and may leave z unused.

    Args:
        net: As in `Autoregressive`; `net.context` is the width of its context.
        shape: Shape of an item.
        family: Of one place's values, or None for categories.
        end: The category that ends a sequence, or None.

    Raises:
        ValueError: The family's scale is computed from a whole batch.

    Source: Bowman, Vilnis, Vinyals, Dai, Jozefowicz, Bengio (2016), arXiv:1511.06349 (text);
    Gulrajani, Kumar, Ahmed, Taiga, Visin, Vazquez, Courville (2017), PixelVAE, arXiv:1611.05013 (pixels).

    Example:
        >>> from vaekit.networks.sequence import RecurrentDecoder
        >>> family = ChainRule(RecurrentDecoder(levels=5, context=8), shape=(7,), end=0)
        >>> family(torch.zeros(2, 8)).log_prob(torch.zeros(2, 7)).shape
        torch.Size([2, 7])
    """

    def __init__(
        self, net: nn.Module, shape: Sequence[int], family: Family | None = None, end: int | None = None
    ) -> None:
        super().__init__()
        if isinstance(getattr(family, "scale", None), Optimal):
            raise ValueError(
                "the most likely scale of a batch needs every mean at once; use Shared() or Predicted()"
            )
        self.net, self.shape, self.family, self.end = net, tuple(shape), family, end
        self.discrete = family is None or family.discrete

    def size(self, dim: int) -> int:
        return int(self.net.context)  # type: ignore[arg-type]

    def forward(self, params: Tensor) -> Autoregressive:
        """Context (N, size, …) → p(x | context) over (N, *shape)."""
        return Autoregressive(self.net, params, self.shape, self.family, self.end)


@singledispatch
def most_probable(d: D.Distribution) -> Tensor:
    """The most probable value of every dimension; the centre where that is not known."""
    return center(d)


def _rule(d: D.Distribution) -> Callable[[D.Distribution], Tensor]:
    """What `most_probable` does with distributions like this one; a loop that is traced cannot look it up itself."""
    found = most_probable.dispatch(type(d))
    return center.dispatch(type(d)) if found is most_probable.registry[object] else found


@most_probable.register
def _(d: D.Bernoulli) -> Tensor:
    return (d.logits > 0).to(d.logits.dtype)


@center.register
def _(d: Autoregressive) -> Tensor:
    return d.greedy()


@tempered.register
def _(p: Autoregressive, temperature: float) -> D.Distribution:
    if temperature == 1:
        return p
    return Autoregressive(p.net, p.context, p.shape, p.family, p.end, p.rows, p.temperature * temperature)


def _after(x: Tensor, end: int) -> Tensor:
    """Where an earlier value of the row, in raster order, is the end: (N, *shape) of bool."""
    ended = (x.flatten(1) == end).cumsum(1)
    return (ended > (x.flatten(1) == end).long()).view(x.shape)
