"""New rows of a table that are as they are wanted: conditioned by importance resampling, constraints kept.

    z_i ~ p(z),  w_i = p(x_where | z_i),  j ~ w / Σ w,  x ~ p(x | z_j, x_where),  effective size (Σ w)² / Σ w²

Rows come in blocks of 1 024, so that a million take no more memory than a thousand. Of many proposals a block remembers
one for each of its rows: a row takes over one of a new batch with the batch's share of all weights until then.

Source: Rubin (1988), Using the SIR algorithm to simulate posterior distributions; Chao (1982), A general purpose
unequal probability sampling plan (the reservoir).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vaekit.data import Batch, Table
from vaekit.data.wanted import wanted
from vaekit.distributions import Noise, center, draw
from vaekit.errors import UsageError
from vaekit.model import VAE, pick
from vaekit.uses.constraints import Watch, constraints, refuse_impossible, refuse_too_few

BLOCK = 1_024  # rows of a block, and proposals at once
ENOUGH = 4.0  # effective draws for each row of a block
MOST_PROPOSED, FEW = 256, 256  # proposals for each row of a block at most, of a block of as many rows or more
LEAST_KEPT = 1e-3  # share of the drawn rows that keeps to the constraints; with less it is given up
TRIED = 20 * BLOCK  # rows that are drawn before that


@dataclass
class Tally:
    """What it took to make the rows.

    Attributes:
        rows: Rows that were given.
        drawn: Rows that were drawn until there were so many, those that broke a constraint too.
        proposed: Latent draws, for rows that are conditioned on cells.
        effective: How many independent draws the conditioned ones are worth.
    """

    rows: int = 0
    drawn: int = 0
    proposed: int = 0
    effective: float = 0.0

    @property
    def note(self) -> str:
        """What to know of the rows, a sentence; "" if nothing."""
        if self.proposed and self.effective < self.rows:
            return (
                f"the condition is rare: {self.rows} rows come from {self.proposed} proposals that are worth "
                f"{self.effective:.0f} independent ones, so rows resemble each other."
            )
        return ""


@dataclass
class Weights:
    """Sums over importance weights as they come.

    Attributes:
        proposed: How many there were.
        log_sum, log_squares: log Σ w and log Σ w².

    Example:
        >>> weights = Weights()
        >>> weights.add(torch.zeros(3)), weights.add(torch.full((1,), -torch.inf)), round(weights.effective, 3)
        (1.0, 0.0, 3.0)
    """

    proposed: int = 0
    log_sum: float = -math.inf
    log_squares: float = -math.inf

    def add(self, log_w: Tensor) -> float:
        """Take a batch of log weights (N,) in; its share of the sum of all weights until now."""
        own, squares = float(log_w.logsumexp(0)), float((2 * log_w).logsumexp(0))
        self.proposed += len(log_w)
        if own == -math.inf:
            return 0.0
        self.log_sum = float(np.logaddexp(self.log_sum, own))
        self.log_squares = float(np.logaddexp(self.log_squares, squares))
        return math.exp(own - self.log_sum)

    @property
    def effective(self) -> float:
        """(Σ w)² / Σ w²."""
        return 0.0 if self.log_sum == -math.inf else math.exp(2 * self.log_sum - self.log_squares)


@dataclass
class Synthesis:
    """New rows of a table, in blocks.

    Args:
        model: A trained model with a prior.
        kind: The table.
        where: Column → value, or column and sign (`age>=`) → end of a range.
        constraints: Beside those found in training, as text or `Constraint`; once made, with those and in this order.
        seed: The same seed gives the same rows.
        temperature: Spread of the prior.
        mean: Most probable cells in place of draws.

    Raises:
        UsageError: E103, a condition or constraint that no row of training fulfils, or that contradicts another.
    """

    model: VAE
    kind: Table
    where: Mapping[str, Any] = field(default_factory=dict)
    constraints: Sequence[Any] = ()
    seed: int = 0
    temperature: float = 1.0
    mean: bool = False

    def __post_init__(self) -> None:
        given = {name for name in self.where if name in self.kind.given}
        self.given = {name: self.where[name] for name in given}
        self.parts = wanted(self.kind, {key: self.where[key] for key in self.where if key not in given})
        self.constraints = constraints(self.kind, self.constraints)
        refuse_impossible(self.kind, self.constraints, self.parts)
        self.tally = Tally()
        self.noise = Noise(self.seed, "sample")
        self.labels = Noise(self.seed, "sample labels")

    def blocks(self, n: int) -> Iterator[Any]:
        """n rows, as DataFrames of at most 1 024; others with each call, and a tally of their own.

        Raises:
            UsageError: E103, hardly any row keeps to the constraints, is as it is wanted, or differs from all others.
        """
        refuse_too_few(self.kind, self.constraints, self.parts, n)
        self.tally, watch = Tally(), Watch(self.constraints)
        while self.tally.rows < n:
            # without constraints no more rows are drawn than are asked for
            rows = BLOCK if self.constraints else min(BLOCK, n - self.tally.rows)
            frame = self._frame(self.batch(rows))
            if self.constraints:
                keep = watch({c.name: c.codes(frame[c.name]) for c in self.kind.shown})
                self._refuse_rare(int(keep.sum()), watch.broken)
                kept = np.flatnonzero(keep)[: n - self.tally.rows]
                if self.tally.rows + len(kept) == n:  # what was drawn beyond the last row was not needed
                    self.tally.drawn -= len(keep) - 1 - int(kept[-1])
                frame = frame.iloc[kept]
            frame = frame.head(n - self.tally.rows).reset_index(drop=True)
            self.tally.rows += len(frame)
            if len(frame):
                yield frame

    def batch(self, rows: int) -> Batch:
        """Some rows in the model's own space, before constraints."""
        with torch.no_grad():
            if self.parts:
                x, c = self._conditioned(rows)
            else:
                c = self.kind.conditions(rows, self.given, self.labels)
                x = self.model.sample(rows, c, self.temperature, self.noise, self.mean)
        self.tally.drawn += rows
        return Batch(x, c)

    def _frame(self, batch: Batch) -> Any:
        """Rows as a table, the wanted cells in their part to the last digit."""
        frame = self.kind.decode(batch.x, batch.c)
        for part in self.parts:
            column = part.column
            frame[column.name] = column.cells(part.settled(column.codes(frame[column.name])))
        return frame

    def _refuse_rare(self, kept: int, broken: Mapping[str, int]) -> None:
        """Give up where hardly any row keeps to the constraints.

        Raises:
            UsageError: E103, with the constraint that most rows broke.
        """
        drawn, rows = self.tally.drawn, self.tally.rows + kept
        if drawn < TRIED or rows >= LEAST_KEPT * drawn:
            return
        worst = max(broken, key=lambda name: broken[name])
        message = f"{rows} of {drawn} drawn rows keep to the constraints; most break {worst!r}."
        raise UsageError("E103", message, hint="a weaker constraint, or --where for what is rare")

    # ------------------------------------------------------------------ importance resampling

    def _conditioned(self, rows: int) -> tuple[Tensor, Tensor | None]:
        """Rows (rows, P) with the wanted cells, and their condition (rows, A)."""
        kept: Any = None
        weights = Weights()
        while weights.proposed < MOST_PROPOSED * max(rows, FEW) and weights.effective < ENOUGH * rows:
            c = self.kind.conditions(BLOCK, self.given, self.labels)
            state, _ = self.model.bottleneck(c=c, n=BLOCK, noise=self.noise, temperature=self.temperature)
            log_w = self._log_mass(self.model.likelihood(state, c))  # (BLOCK,)
            share = weights.add(log_w)
            if share == 0:
                continue
            taken = self.noise.uniform((rows,), log_w) < share
            chosen = self.noise.choice((log_w - log_w.max()).exp().tolist(), rows)
            new = pick((state, c), chosen)
            kept = new if kept is None else _merged(taken, new, kept)
        self.tally.proposed += weights.proposed
        self.tally.effective += weights.effective
        if kept is None:
            asked = " and ".join(str(part) for part in self.parts)
            message = f"none of {weights.proposed} latent draws makes {asked} possible."
            raise UsageError("E103", message, hint="fewer conditions, or wider ranges")
        state, c = kept
        return self._drawn(state, c), c

    def _drawn(self, state: Any, c: Tensor | None) -> Tensor:
        px: Any = self.model.likelihood(state, c)
        x = center(px) if self.mean else draw(px, self.noise)[0]
        for part in self.parts:
            x = part.settle(self.kind, px, x, self.noise, self.mean)
        return x

    def _log_mass(self, px: Any) -> Tensor:
        """log p(x_where | z), (N,): cells are independent given z."""
        return torch.stack([part.log_mass(self.kind, px) for part in self.parts]).sum(0)


def _merged(taken: Tensor, new: Any, old: Any) -> Any:
    """Rows of `new` where they are taken, of `old` elsewhere."""
    if old is None:
        return None
    if isinstance(old, dict):
        return {name: _merged(taken, new[name], old[name]) for name in old}
    if isinstance(old, list | tuple):
        return [_merged(taken, a, b) for a, b in zip(new, old, strict=True)]
    return torch.where(taken.view(-1, *[1] * (old.dim() - 1)), new, old)
