"""Part of a column in which new rows shall lie: how probable it is under p(x | z), and a draw from p(x | z) within it.

    p(x_column in part | z) = p(there) · (Σ_levels in part p(level) + p(other) · (F(b) − F(a)))

[a, b] are the scores of the part's numbers, their cells included; F is the distribution function of the scores. One
value of a continuum has a density instead, which nothing can be added to: where it also has a point mass, that is all.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from vaekit.data.columns import Category, Column, Number
from vaekit.data.given import told_code
from vaekit.data.quantiles import on_grid
from vaekit.distributions import Noise
from vaekit.distributions.truncated import log_mass, marginal, quantile_within
from vaekit.errors import UsageError, nearest

if TYPE_CHECKING:
    from vaekit.data.tables import Table

SIGNS = ("<=", ">=", "<", ">")  # after a column's name, for a range in place of a value
NEARLY = 1e-9  # of a step, that a value may be off its grid


@dataclass(frozen=True)
class Wanted:
    """Cells of a column whose codes are in [low, high], or that are empty.

    Args:
        column: The column.
        low, high: Codes; both ends count. For a category they are the same, or an order is known.
        empty: Whether the cell shall be empty instead.
    """

    column: Column
    low: float = -math.inf
    high: float = math.inf
    empty: bool = False

    def __str__(self) -> str:
        name = self.column.name
        if self.empty:
            return f"{name} is empty"
        if self.low == self.high:
            return f"{name} = {self._shown(self.low)}"
        ends = [f"{name} >= {self._shown(self.low)}"] if self.low > -math.inf else []
        return " and ".join(
            [*ends, *([f"{name} <= {self._shown(self.high)}"] if self.high < math.inf else [])]
        )

    def _shown(self, code: float) -> Any:
        return self.column.cells(np.array([code])).iloc[0]

    def holds(self, codes: np.ndarray) -> np.ndarray:
        """Which codes (N,) are in the part; NaN is an empty cell."""
        return np.isnan(codes) if self.empty else (codes >= self.low) & (codes <= self.high)

    def both(self, other: Wanted) -> Wanted:
        """What is in two parts of the same column.

        Raises:
            UsageError: E103, nothing is.
        """
        low, high = max(self.low, other.low), min(self.high, other.high)
        if self.empty != other.empty or low > high:
            raise UsageError(
                "E103", f"{self} and {other} contradict each other.", hint="leave one of them out"
            )
        return Wanted(self.column, low, high, self.empty)

    # ------------------------------------------------------------------ under p(x | z)

    def log_mass(self, kind: Table, px: Any) -> Tensor:
        """log p(the cell is in the part | z), (N,) float64; of a single value of a continuum the log density.

        Args:
            kind: The table.
            px: p(x | z) of N rows, a `Joint`.
        """
        there = _present(kind, px, self.column)
        if self.empty:
            return (1 - there).log()
        total = self._masses(kind, px).sum(1)
        return there.log() + total.log() + math.log(self._rare_share())

    def settle(self, kind: Table, px: Any, x: Tensor, noise: Noise, mean: bool = False) -> Tensor:
        """x (N, P), drawn from p(x | z), with this cell drawn again from its part.

        Args:
            kind: The table.
            px: p(x | z), a `Joint`.
            x: (N, P).
            noise: Of the draws.
            mean: The most probable level and the median of the part's scores in place of draws.
        """
        x = x.clone()
        parts = kind.places(self.column)
        if parts.bit is not None:
            x[:, parts.bit] = 0.0 if self.empty else 1.0
        if self.empty:
            return x
        level = self._masses(kind, px)
        if parts.score is not None:
            u = torch.full_like(level[:, 0], 0.5) if mean else noise.uniform((len(x), 1), level).squeeze(1)
            score = quantile_within(marginal(px.parts["numbers"], parts.score), *self._scores(), u)
            x[:, parts.score] = score.to(x.dtype)
        if parts.head is not None:
            x[:, parts.head] = (level.argmax(1) if mean else _chosen(level, noise)).to(x.dtype)
        return x

    def settled(self, codes: np.ndarray) -> np.ndarray:
        """Codes (N,) of cells drawn from the part, moved into it to the last digit."""
        if self.empty:
            return np.full(len(codes), np.nan)
        return np.clip(
            np.nan_to_num(codes, nan=self.low if self.low > -math.inf else self.high), self.low, self.high
        )

    def _masses(self, kind: Table, px: Any) -> Tensor:
        """p(level, in the part | z), (N, levels); of numbers the last one counts by its share of scores in the part."""
        parts = kind.places(self.column)
        if parts.head is None:
            level = torch.ones(px.batch_shape[0], 1, dtype=torch.float64)
        else:
            level = kind.logits(px, self.column).double().softmax(1)
        keep = torch.from_numpy(self._levels())
        level = torch.where(keep, level, 0.0)
        if parts.score is None:
            return level
        a, b = self._scores()
        share = log_mass(marginal(px.parts["numbers"], parts.score), a, b).exp()
        if a == b and keep[:-1].any():  # beside a point mass the value has no probability in the continuum
            share = torch.zeros_like(share)
        return torch.cat([level[:, :-1], level[:, -1:] * share.unsqueeze(1)], 1)

    def _levels(self) -> np.ndarray:
        """Which levels are in the part; the last one of numbers counts by its score."""
        column = self.column
        if isinstance(column, Category):
            if self.low >= len(column.values):  # one of the rare ones
                return np.arange(column.levels) == column.levels - 1
            return self.holds(np.arange(column.levels, dtype=np.float64))
        special = np.asarray(getattr(column, "special", ()), dtype=np.float64)
        return np.append(self.holds(special), True)

    def _rare_share(self) -> float:
        """Of the rare categories, which share a level, how often the wanted one came."""
        column = self.column
        if not isinstance(column, Category) or not column.rare or self.low < len(column.values):
            return 1.0
        return column.rare_shares[int(self.low) - len(column.values)] / sum(column.rare_shares)

    def _scores(self) -> tuple[float, float]:
        """The scores whose values are in the part; a value that training had at its end stands for all beyond it."""
        column = self.column
        if not isinstance(column, Number):
            raise TypeError(f"{column.name} has no scores")
        low, high = max(self.low, column.low), min(self.high, column.high)
        start, width = column.score(np.array([low, high]))
        a = -math.inf if self.low <= column.low else float(start[0])
        return a, math.inf if self.high >= column.high else float(start[1] + width[1])


def wanted(kind: Table, where: Mapping[str, Any]) -> list[Wanted]:
    """What was asked of new rows, one part for each column.

    Args:
        kind: The table.
        where: Column → value, or column and sign (`age>=`) → end of a range; None, or nothing, is an empty cell.

    Raises:
        UsageError: E103, there is no such column, value or range, or two of them contradict each other.
    """
    found: dict[str, Wanted] = {}
    for key, value in where.items():
        part = _read(kind, key, value)
        name = part.column.name
        found[name] = found[name].both(part) if name in found else part
    return list(found.values())


def split_sign(key: str, names: Sequence[str]) -> tuple[str, str]:
    """A column's name and the sign after it, "" for a value; a name that ends in a sign is a name first."""
    if key in names:
        return key, ""
    sign = next((sign for sign in SIGNS if key.endswith(sign)), "")
    return (key.removesuffix(sign).strip() if sign else key), sign


def spelled(kind: Table, text: str) -> str:
    """A condition as it was typed, `==` as `=`.

    Args:
        kind: The table.
        text: Such as `age>=60` or `city=Chur`.

    Raises:
        UsageError: E103, it is none, it is several, or its sign is none of those that are known; with what to type.
    """
    names = [column.name for column in kind.modelled]
    parts = re.fullmatch(r"([^<>=!]+?)\s*(==|!=|<=|>=|<|>|=)\s?(.*)", text.strip(), re.DOTALL)
    if parts is None:
        message = f"--where {text}: a column, one of =, <, <=, >, >=, and a value are expected."
        raise UsageError("E103", message, hint=_forms(text, names))
    name, sign, value = parts.groups()
    if name not in names or f"{name}!" in names:
        return text
    if sign == "!=":
        message = f"--where {text}: != is not possible; one of =, <, <=, >, >= is."
        raise UsageError("E103", message, hint=f"--where {name}=VALUE, once for each run of vaekit sample")
    next_one = "|".join(re.escape(other) for other in names)
    both = re.fullmatch(rf"(.*?)\s*(?:,|\band\b|&+)\s*((?:{next_one})\s*[<>=!].*)", value, re.DOTALL)
    if both:
        hint = f"--where '{name}{sign}{both[1]}' --where '{both[2]}'"
        raise UsageError("E103", f"--where {text}: give --where once for each.", hint=hint)
    return f"{name}={value}" if sign == "==" else text


def _forms(text: str, names: Sequence[str]) -> str:
    """How what was typed is written, by the column and the numbers in it."""
    words = re.findall(r"\w+", text)
    name = next((name for name in names if name in words), names[0])
    ends = re.findall(r"-?\d+(?:\.\d+)?", text.replace("..", " "))
    return (
        f"--where '{name}>={ends[0]}' --where '{name}<={ends[1]}'"
        if len(ends) == 2
        else f"--where {name}=VALUE"
    )


def _read(kind: Table, key: str, value: Any) -> Wanted:
    names = [column.name for column in kind.modelled]
    name, sign = split_sign(key, names)
    if name not in names:
        known = [column.name for column in kind.columns]
        why = "is not modelled" if name in known else f"is no column; {nearest(name, names)}"
        raise UsageError("E103", f"{name!r} {why}")
    column = next(column for column in kind.modelled if column.name == name)
    if value is None or value == "":
        value = np.nan
    if not sign:
        code = told_code(column, value)
        return Wanted(column, empty=True) if np.isnan(code) else Wanted(column, code, code)
    return _range(column, sign, value)


def _range(column: Column, sign: str, value: Any) -> Wanted:
    """The codes on one side of a value.

    Raises:
        UsageError: E103, the column has no order, or training had nothing there.
    """
    if isinstance(column, Category) and not column.ordered:
        hint = f"--where {column.name}=VALUE"
        raise UsageError("E103", f"{column.name} {sign} {value}: its categories have no order.", hint=hint)
    code = told_code(column, value, within=False, said=f"{column.name} {sign} {value}")
    step = column.grid if isinstance(column, Number) else 1.0
    low, high = (code, math.inf) if sign in (">", ">=") else (-math.inf, code)
    if isinstance(column, Number) and step:  # the nearest value of the grid that is within
        low = on_grid(np.array([math.ceil(low / step - NEARLY) * step]), step)[0] if low > -math.inf else low
        high = (
            on_grid(np.array([math.floor(high / step + NEARLY) * step]), step)[0] if high < math.inf else high
        )
    if sign == ">" and low == code:
        low = code + step if step else np.nextafter(code, math.inf)
    if sign == "<" and high == code:
        high = code - step if step else np.nextafter(code, -math.inf)
    ends = (column.low, column.high) if isinstance(column, Number) else (0.0, len(column.values) - 1.0)  # type: ignore[attr-defined]
    if low > ends[1] or high < ends[0]:
        shown = column.cells(np.array(ends)).tolist()
        message = f"{column.name} {sign} {value}: training had {shown[0]} to {shown[1]}."
        raise UsageError("E103", message, hint="a range that training had values in")
    return Wanted(column, max(low, ends[0]), min(high, ends[1]))


def _present(kind: Table, px: Any, column: Column) -> Tensor:
    """p(the cell is there | z), (N,)."""
    place = kind.places(column).bit
    if place is None:
        return torch.ones(px.batch_shape[0], dtype=torch.float64)
    logits = px.parts["present"].logits[:, place - len(kind.scored)]
    return logits.double().sigmoid()


def _chosen(level: Tensor, noise: Noise) -> Tensor:
    """A level drawn by its mass, (N, levels) → (N,)."""
    u = noise.uniform((len(level), 1), level) * level.sum(1, keepdim=True)
    return (level.cumsum(1) <= u).sum(1).clamp(max=level.shape[1] - 1)
