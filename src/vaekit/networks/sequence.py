"""Networks over sequences of tokens: a recurrent encoder, a recurrent decoder and a causal transformer."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from vaekit.networks.condition import FiLM
from vaekit.networks.mlp import DECODER_GAIN, keep_variance
from vaekit.recipes import configurable

Place = tuple[int, ...]
Step = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


@configurable
class RecurrentEncoder(nn.Module):
    """Tokens to features: what a gated recurrent unit holds when it has read the end of the sequence.

    Padding changes nothing: what follows the first end is not read.

    Args:
        levels: Number of tokens L; 0 is the end, which also pads.
        outputs: Number of features.
        width: Of the recurrent state.
        condition: Width A of a condition that modulates the state; 0 for none.

    Source: Cho, van Merriënboer, Gulcehre, Bahdanau, Bougares, Schwenk, Bengio (2014), arXiv:1406.1078.

    Example:
        >>> RecurrentEncoder(5, 16)(torch.zeros(2, 7)).shape
        torch.Size([2, 16])
    """

    def __init__(self, levels: int, outputs: int, width: int = 128, condition: int = 0) -> None:
        super().__init__()
        self.levels, self.outputs, self.width, self.condition = levels, outputs, width, condition
        self.embedding = nn.Embedding(levels, width // 2)
        self.cell = nn.GRU(width // 2, width, batch_first=True)
        self.film = FiLM(width, condition)
        self.last = nn.Linear(width, outputs)
        keep_variance([self.last], 1.0)

    def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """(N, T) → (N, outputs)."""
        states = recurrent(self.cell, self.embedding(x.long()))[0]  # (N, T, width)
        end = (x == 0).float().cumsum(1).lt(1).sum(1).clamp(max=x.shape[1] - 1)  # (N,) place of the first end
        read = states.gather(1, end.view(-1, 1, 1).expand(-1, 1, self.width)).squeeze(1)
        return self.last(self.film(read, c))


@configurable
class RecurrentDecoder(nn.Module):
    """Logits of every token given those before it and a context, which enters at every step.

    Args:
        levels: Number of tokens L.
        context: Width A of the context; 0 for none.
        width: Of the recurrent state.
        dropout: Share of the earlier tokens that are hidden from it while training, so that it needs the context.

    Source: Bowman, Vilnis, Vinyals, Dai, Jozefowicz, Bengio (2016), arXiv:1511.06349 (word dropout).

    Example:
        >>> RecurrentDecoder(5, 8)(torch.zeros(2, 7), torch.zeros(2, 8)).shape
        torch.Size([2, 7, 5])
    """

    def __init__(self, levels: int, context: int = 0, width: int = 128, dropout: float = 0.0) -> None:
        super().__init__()
        if not 0 <= dropout <= 1:
            raise ValueError(f"dropout is a share from 0 to 1, not {dropout}")
        self.levels, self.context, self.width, self.dropout = levels, context, width, dropout
        self.embedding = nn.Embedding(levels + 2, width // 2)  # two more: nothing yet, and hidden
        self.cell = nn.GRU(width // 2 + context, width, batch_first=True)
        self.first = nn.Linear(context, width) if context else None
        self.last = nn.Linear(width + context, levels)
        keep_variance([self.last], DECODER_GAIN)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """(N, T) tokens and (N, A) context → (N, T, L)."""
        before = shifted(x.long(), self.levels)
        if self.training and self.dropout:
            # on the CPU, whose generator the key of a training step seeds
            hidden = torch.rand(before.shape).to(x.device) < self.dropout
            before = torch.where(hidden & (before != self.levels), self.levels + 1, before)
        return self._read(before, context, self._start(context))[0]

    def walker(self, context: Tensor | None) -> Callable[[Tensor, Place], Tensor]:
        """(x, place) → logits (N, 1, L), the recurrent state kept from place to place."""
        state = self._start(context)

        def step(x: Tensor, place: Place) -> Tensor:
            nonlocal state
            (t,) = place
            before = x[:, t - 1 : t].long() if t else torch.full_like(x[:, :1], self.levels).long()
            logits, state = self._read(before, context, state)
            return logits

        return step

    def stepper(self, context: Tensor | None, rows: int) -> tuple[Tensor, Tensor, Step]:
        """Where a loop over the places begins, for traced programs.

        Args:
            context: (N, A), or None.
            rows: N.

        Returns:
            The token before the first, (N, 1); the state, (1, N, width); and (token, state) → logits (N, 1, L), state.
        """
        state, like = self._start(context), self.embedding.weight
        state = like.new_zeros(1, rows, self.width) if state is None else state
        first = torch.full((rows, 1), self.levels, device=like.device)
        return first, state, lambda before, state: self._read(before, context, state)

    def _start(self, context: Tensor | None) -> Tensor | None:
        """The state before the first step, (1, N, width); None is zero."""
        return None if context is None or self.first is None else self.first(context).tanh().unsqueeze(0)

    def _read(self, before: Tensor, context: Tensor | None, state: Tensor | None) -> tuple[Tensor, Tensor]:
        """Logits (N, S, L) after each of the tokens (N, S), and the state after the last."""
        seen = self.embedding(before)  # (N, S, width / 2)
        told = self._told(context, before)
        states, state = recurrent(self.cell, torch.cat([seen, told], 2), state)
        return self.last(torch.cat([states, told], 2)), state

    def _told(self, context: Tensor | None, before: Tensor) -> Tensor:
        """The context at every step, (N, S, A)."""
        if context is None or not self.context:
            return self.embedding.weight.new_zeros(*before.shape, self.context)
        return context.unsqueeze(1).expand(-1, before.shape[1], -1)


@configurable
class CausalTransformer(nn.Module):
    """Logits of every token given those before it and a context, by attention to what came before.

    Args:
        levels: Number of tokens L.
        length: Longest sequence T.
        context: Width A of the context, which is added at every place; 0 for none.
        width: Features of a place.
        depth: Blocks of attention and perceptron.
        heads: Of attention; they divide the width.

    Source: Vaswani, Shazeer, Parmar, Uszkoreit, Jones, Gomez, Kaiser, Polosukhin (2017), arXiv:1706.03762;
    Xiong, Yang, He, Zheng, Zheng, Xing, Zhang, Lan, Wang, Liu (2020), arXiv:2002.04745 (normalisation first).

    Example:
        >>> CausalTransformer(5, 7, context=3)(torch.zeros(2, 7), torch.zeros(2, 3)).shape
        torch.Size([2, 7, 5])
    """

    def __init__(
        self, levels: int, length: int, context: int = 0, width: int = 128, depth: int = 3, heads: int = 4
    ) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"{heads} heads do not divide a width of {width}")
        self.levels, self.length, self.context = levels, length, context
        self.width, self.depth, self.heads = width, depth, heads
        self.embedding = nn.Embedding(levels + 1, width)  # one more: nothing yet
        self.places = nn.Parameter(0.02 * torch.randn(length, width))
        self.told = nn.Linear(context, width) if context else None
        self.blocks = nn.ModuleList(_Block(width, heads, depth) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.last = nn.Linear(width, levels)
        nn.init.normal_(self.embedding.weight, std=0.02)
        keep_variance([self.last], DECODER_GAIN)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """(N, T) tokens, of at most `length`, and (N, A) context → (N, T, L)."""
        if x.shape[1] > self.length:
            raise ValueError(f"sequences of at most {self.length} tokens are expected, not {x.shape[1]}")
        h = self.embedding(shifted(x.long(), self.levels)) + self.places[: x.shape[1]]  # (N, T, width)
        if self.told is not None and context is not None:
            h = h + self.told(context).unsqueeze(1)
        for block in self.blocks:
            h = block(h)
        return self.last(self.norm(h))

    def walker(self, context: Tensor | None) -> Callable[[Tensor, Place], Tensor]:
        """(x, place) → logits (N, 1, L), from a pass over no more than what came before."""
        return lambda x, place: self(x[:, : place[0] + 1], context)[:, -1:]


class _Block(nn.Module):
    """Attention to earlier places and to itself, then a perceptron; each is added to what came in."""

    def __init__(self, width: int, heads: int, depth: int) -> None:
        super().__init__()
        self.heads = heads
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.attend, self.gather = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.inner, self.outer = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        keep_variance([self.attend], 1.0)
        keep_variance([self.inner])
        keep_variance([self.gather, self.outer], (2 * depth) ** -0.5)  # many additions keep the size of one

    def forward(self, h: Tensor) -> Tensor:
        """(N, T, width) → the same shape."""
        parts = self.attend(self.norms[0](h)).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        query, key, value = parts.unbind(0)  # (N, heads, T, width / heads) each
        seen = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        h = h + self.gather(seen.transpose(1, 2).flatten(2))
        return h + self.outer(functional.silu(self.inner(self.norms[1](h))))


def recurrent(cell: nn.GRU, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """A gated recurrent unit over (N, T, inputs) from a state (1, N, width): the states (N, T, width), and the last.

    A traced program holds a loop over one step, and not the T steps themselves.
    """
    if not torch.compiler.is_exporting():
        return cell(x, state)
    first = x.new_zeros(x.shape[0], cell.hidden_size) if state is None else state[0]
    if x.shape[1] == 1:
        h = _unit(cell, x[:, 0], first)
        return h.unsqueeze(1), h.unsqueeze(0)
    from torch._higher_order_ops.scan import scan

    def step(h: Tensor, own: Tensor) -> tuple[Tensor, Tensor]:
        h = _unit(cell, own, h)
        return h, h.clone()

    last, states = scan(step, first, x.movedim(1, 0))
    return states.movedim(0, 1), last.unsqueeze(0)


def _unit(cell: nn.GRU, x: Tensor, h: Tensor) -> Tensor:
    """One step: (N, inputs) and (N, width) → (N, width)."""
    reset, keep, new = functional.linear(x, cell.weight_ih_l0, cell.bias_ih_l0).chunk(3, 1)  # type: ignore[arg-type]
    own_reset, own_keep, own_new = functional.linear(h, cell.weight_hh_l0, cell.bias_hh_l0).chunk(3, 1)  # type: ignore[arg-type]
    new = torch.tanh(new + torch.sigmoid(reset + own_reset) * own_new)
    keep = torch.sigmoid(keep + own_keep)
    return (1 - keep) * new + keep * h


def shifted(x: Tensor, start: int) -> Tensor:
    """What stands before each place: (x_1, …, x_T) → (start, x_1, …, x_{T−1}).

    Example:
        >>> shifted(torch.tensor([[3, 1, 2]]), 9)
        tensor([[9, 3, 1]])
    """
    return functional.pad(x[:, :-1], (1, 0), value=start)
