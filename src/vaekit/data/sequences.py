"""Sequences: lines of text, a character being a token, scored by what follows what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vaekit.data.batch import Batch
from vaekit.data.kind import Kind
from vaekit.data.labels import labelled
from vaekit.distributions import Family, Noise
from vaekit.distributions.autoregressive import ChainRule
from vaekit.errors import DataError
from vaekit.networks import MLP
from vaekit.networks.sequence import RecurrentDecoder, RecurrentEncoder
from vaekit.recipes import configurable

CONTEXT = 64  # numbers by which the decoder is told of z at every step
END = 0  # the token that ends a line and pads it
LONGEST = 2_000  # characters of a line: a recurrent network takes them one after the other


@configurable
class Sequences(Kind):
    """Lines of text of at most T characters.

    The model sees tokens: 1, 2, … for the characters of the vocabulary and 0 for the end, which also fills the rest of
    T places; a line of T characters has no end. The mask is true up to and including the end, and what follows it has
    probability one. Bits per dimension are bits per character: the mean over lines of −log₂ p divided by the mean
    number of characters, the end counted as one.

    Args:
        characters: The vocabulary, each character once; a string, or a list of them.
        length: T, characters of the longest line.
        mean_length: Characters of a line in the mean over the training data, the end counted as one; T by default.
        labels: Names of the classes.
        frequencies: The share of each class in the training data.
        conditional: Whether batches with labels carry them as the condition.

    Raises:
        ValueError: An argument is out of its range.

    Example:
        >>> kind = Sequences("abn", 4)
        >>> batch = kind.encode(kind.store(["anna", "b"]))
        >>> batch.x, batch.mask[1]
        (tensor([[1., 3., 3., 1.],
                [2., 0., 0., 0.]]), tensor([ True,  True, False, False]))
        >>> kind.decode(batch.x)
        ['anna', 'b']
    """

    name = "sequences"

    def __init__(
        self,
        characters: str | Sequence[str],
        length: int,
        mean_length: float | None = None,
        labels: Sequence[str] = (),
        frequencies: Sequence[float] = (),
        conditional: bool = False,
    ) -> None:
        single = all(len(character) == 1 for character in characters)
        if not characters or not single or len(set(characters)) != len(characters):
            raise ValueError("the vocabulary holds at least one character, and each of them once")
        if not 1 <= length <= LONGEST:
            raise ValueError(f"length is 1 to {LONGEST}, not {length}")
        if mean_length is not None and not 0 < mean_length <= length + 1:
            raise ValueError(f"the mean length is above 0 and at most {length + 1}, not {mean_length}")
        self.characters, self.length, self.mean_length = characters, length, mean_length
        self.labels, self.frequencies, self.conditional = tuple(labels), tuple(frequencies), conditional
        self._token = {character: place + 1 for place, character in enumerate(characters)}

    def __repr__(self) -> str:
        return f"Sequences({self.levels - 1} characters, {self.length})"

    @property
    def levels(self) -> int:
        """Number of tokens: the characters and the end."""
        return len(self.characters) + 1

    @property
    def shape(self) -> tuple[int, ...]:  # type: ignore[override]
        return (self.length,)

    @property
    def dims(self) -> float:  # type: ignore[override]
        """Characters of a line in the mean, the end counted as one."""
        return self.length if self.mean_length is None else self.mean_length

    @property
    def family(self) -> ChainRule:  # type: ignore[override]
        """Each character given those before it; a new one at each call, for its network is the model's own."""
        return self.chain()

    def chain(self, dropout: float = 0.0) -> ChainRule:
        """The likelihood with a network of its own.

        Args:
            dropout: Share of the earlier characters that are hidden from it while training.
        """
        return ChainRule(RecurrentDecoder(self.levels, CONTEXT, dropout=dropout), self.shape, end=END)

    def store(self, values: Any) -> Tensor:
        """Take lines into storage form.

        Args:
            values: (N,) strings, or one of them.

        Returns:
            (N, T) tokens as uint8, int16 or int32.

        Raises:
            DataError: E202 no line, E210 a line that is too long, E211 no text, E217 a character that is not in the
                vocabulary; the row is named.
        """
        lines = as_lines(values)
        tokens: np.ndarray = np.zeros((len(lines), self.length), dtype=_storage(self.levels))
        for row, line in enumerate(lines):
            if len(line) > self.length:
                message = f"a line of {len(line)} characters; the longest in training had {self.length}."
                raise DataError("E210", message, where=f"row {row}")
            tokens[row, : len(line)] = [self._token.get(character, END) for character in line]
            if (tokens[row, : len(line)] == END).any():
                raise self._unknown(line, row)
        return torch.from_numpy(tokens)

    def _unknown(self, line: str, row: int) -> DataError:
        odd = next(character for character in line if character not in self._token)
        message = f"the character {odd!r} in {line[:60]!r} did not occur in training."
        return DataError("E217", message, where=f"row {row}", hint="take it out, or train with it")

    def encode(self, raw: Tensor, labels: Tensor | None = None, noise: Noise | None = None) -> Batch:
        """Raw rows as a batch of tokens, and where they are.

        Args:
            raw: (B, T) in storage form.
            labels: (B,) class indices, or None.
            noise: Unused: nothing here is drawn.
        """
        batch = labelled(self, raw.float(), labels)
        ended = (raw == END).cumsum(1)
        batch.mask = (ended == 0) | ((ended == 1) & (raw == END))
        return batch

    def decode(self, x: Tensor, c: Tensor | None = None) -> list[str]:
        """The model's tokens as lines of text.

        Args:
            x: (B, T); what follows the first end is left out.
            c: Unused: the vocabulary is the same under every condition.
        """
        rows = x.detach().cpu().round().long().clamp(0, self.levels - 1).tolist()
        lines = (row[: row.index(END)] if END in row else row for row in rows)
        return ["".join(self.characters[token - 1] for token in line) for line in lines]

    def encoder(self, outputs: int, condition: int = 0) -> nn.Module:
        return RecurrentEncoder(self.levels, outputs, condition=condition)

    def decoder(self, inputs: int, family: Family | None = None, condition: int = 0) -> nn.Module:
        width = CONTEXT if family is None else family.size(self.length)
        return MLP(inputs, width, hidden=(128,), condition=condition)


def as_lines(values: Any) -> list[str]:
    """What people hand over as lines of text: one string, a list, an array or a series of them.

    Raises:
        DataError: E202 there is none, E211 some are no text (the row is named).
    """
    if isinstance(values, str):
        return [values]
    flat = (
        np.asarray(values, dtype=object).reshape(-1).tolist()
        if not isinstance(values, list | tuple)
        else values
    )
    if not len(flat):
        raise DataError("E202", "there are no lines.")
    for row, line in enumerate(flat):
        if not isinstance(line, str):
            message = f"lines of text are expected, not {type(line).__name__}."
            raise DataError("E211", message, where=f"row {row}")
    return [str(line) for line in flat]


def _storage(levels: int) -> type:
    return np.uint8 if levels <= 256 else np.int16 if levels <= 32_768 else np.int32
