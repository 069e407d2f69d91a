"""Constraints: what must hold of every new row of a table, whatever the model gives.

    capital_gain >= 0         a range
    first_day <= last_day     an inequality of two columns
    unique name, city         no two new rows with the same cells

Combinations of columns of which one decides another are found in training (`vaekit.data.together`).
"""

from __future__ import annotations

import math
import operator
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vaekit.data import Table
from vaekit.data.columns import Category, Column, Dropped, Number
from vaekit.data.given import span, told_code
from vaekit.data.together import Together
from vaekit.data.wanted import Wanted
from vaekit.errors import UsageError, nearest

Codes = Mapping[str, np.ndarray]
COMPARED: dict[str, Callable[[Any, Any], Any]] = {
    "<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt,
}  # fmt: skip
TURNED = {"<=": ">=", ">=": "<=", "<": ">", ">": "<"}
FORMS = "as in 'age >= 18', 'first_day <= last_day' or 'unique name, city'"


class Constraint(ABC):
    """Something that holds of a row, or of all rows together; a subclass says `holds` or `keys`."""

    @abstractmethod
    def __str__(self) -> str:
        """It as a user would write it."""

    @abstractmethod
    def contradiction(self, kind: Table, parts: Sequence[Wanted]) -> str:
        """Why no row that is wanted, or that training had, can keep to it; "" if some may."""

    def holds(self, codes: Codes) -> np.ndarray:
        """Which rows, given as codes (N,) by column, keep to it, each taken by itself."""
        return np.ones(len(next(iter(codes.values()))), dtype=bool)

    def keys(self, codes: Codes) -> list[bytes] | None:
        """What no two rows may have in common, N of them; None if there is nothing."""
        return None

    def most(self, kind: Table, parts: Sequence[Wanted]) -> float:
        """How many rows can keep to it together."""
        return math.inf


@dataclass(frozen=True)
class Range(Constraint):
    """A column's values are on one side of a number or date: `column sign end`; empty cells are left alone.

    Example:
        >>> Range("age", ">=", 18.0).holds({"age": np.array([17.0, 18.0, np.nan])})
        array([False,  True,  True])
    """

    column: str
    sign: str
    end: float

    def __str__(self) -> str:
        return f"{self.column} {self.sign} {self.end:g}"

    def contradiction(self, kind: Table, parts: Sequence[Wanted]) -> str:
        low, high = _ends(_named(kind, self.column), parts)
        best = high if self.sign.startswith(">") else low
        if COMPARED[self.sign](best, self.end):
            return ""
        return _because(parts, self.column, f"training had {low:g} to {high:g}")

    def holds(self, codes: Codes) -> np.ndarray:
        return np.isnan(codes[self.column]) | COMPARED[self.sign](codes[self.column], self.end)


@dataclass(frozen=True)
class Inequality(Constraint):
    """Two columns of numbers or dates are in order: `left sign right`; rows with an empty one of them are left alone.

    Args:
        left, sign, right: The columns and what stands between them.
        units: What a step of each column's codes is, so that days are compared with seconds.

    Example:
        >>> Inequality("a", "<", "b").holds({"a": np.array([1.0, 2.0]), "b": np.array([2.0, 2.0])})
        array([ True, False])
    """

    left: str
    sign: str
    right: str
    units: tuple[float, float] = (1.0, 1.0)

    def __str__(self) -> str:
        return f"{self.left} {self.sign} {self.right}"

    def contradiction(self, kind: Table, parts: Sequence[Wanted]) -> str:
        left = [end * self.units[0] for end in _ends(_named(kind, self.left), parts)]
        right = [end * self.units[1] for end in _ends(_named(kind, self.right), parts)]
        best = (left[0], right[1]) if self.sign.startswith("<") else (left[1], right[0])
        if COMPARED[self.sign](*best):
            return ""
        return _because(parts, self.left, f"{self.left} and {self.right} lie the other way round in training")

    def holds(self, codes: Codes) -> np.ndarray:
        left, right = codes[self.left] * self.units[0], codes[self.right] * self.units[1]
        return np.isnan(left) | np.isnan(right) | COMPARED[self.sign](left, right)


@dataclass(frozen=True)
class Combinations(Constraint):
    """Some columns come in the combinations of training alone.

    Example:
        >>> Combinations(Together(["a", "b"], [[0.0, 1.0]])).holds({"a": np.zeros(2), "b": np.array([1.0, 2.0])})
        array([ True, False])
    """

    known: Together

    def __str__(self) -> str:
        return f"{' and '.join(self.known.columns)} as they came together in training"

    def contradiction(self, kind: Table, parts: Sequence[Wanted]) -> str:
        own = [
            (part, self.known.columns.index(part.column.name))
            for part in parts
            if part.column.name in self.known.columns
        ]
        rows = np.array(
            [[np.nan if code is None else code for code in row] for row in self.known.rows], dtype=float
        )
        keeping = np.ones(len(rows), dtype=bool)
        for part, place in own:
            keeping &= part.holds(rows[:, place])
        if keeping.any():
            return ""
        return f"{' and '.join(str(part) for part, _ in own)} never came together in training"

    def holds(self, codes: Codes) -> np.ndarray:
        return self.known.holds(codes)


@dataclass(frozen=True)
class Unique(Constraint):
    """No two new rows have the same cells in some columns; of those that have, the first is kept.

    Example:
        >>> Watch([Unique(("a",))])({"a": np.array([1.0, 2.0, 1.0])})
        array([ True,  True, False])
    """

    columns: tuple[str, ...]

    def __str__(self) -> str:
        return f"unique {', '.join(self.columns)}"

    def contradiction(self, kind: Table, parts: Sequence[Wanted]) -> str:
        return ""

    def most(self, kind: Table, parts: Sequence[Wanted]) -> float:
        return math.prod(_values(_named(kind, name), parts) for name in self.columns)

    def keys(self, codes: Codes) -> list[bytes]:
        cells = np.stack([codes[name] for name in self.columns], 1) + 0.0  # so that −0 is 0
        return [row.tobytes() for row in cells]


class Watch:
    """Which rows of one block after another keep to all of some constraints, in whatever order these are.

    Only a row that keeps to all of them takes its keys from the rows to come.

    Attributes:
        broken: How many rows broke each constraint, by its text.

    Example:
        >>> watch = Watch([Unique(("a",)), Range("b", ">=", 1.0)])
        >>> watch({"a": np.zeros(3), "b": np.arange(3.0)})
        array([False,  True, False])
        >>> watch.broken
        {'unique a': 1, 'b >= 1': 1}
    """

    def __init__(self, constraints: Sequence[Constraint]) -> None:
        self.constraints = list(constraints)
        self.broken = {str(constraint): 0 for constraint in self.constraints}
        self._seen: list[set[bytes]] = [set() for _ in self.constraints]

    def __call__(self, codes: Codes) -> np.ndarray:
        """Which rows, given as codes (N,) by column, are kept."""
        holding = [constraint.holds(codes) for constraint in self.constraints]
        for constraint, one in zip(self.constraints, holding, strict=True):
            self.broken[str(constraint)] += int((~one).sum())
        keep = np.all(holding, axis=0)
        keyed = [
            (str(constraint), keys, seen)
            for constraint, seen in zip(self.constraints, self._seen, strict=True)
            if (keys := constraint.keys(codes)) is not None
        ]
        for row in np.flatnonzero(keep) if keyed else ():
            taken = [name for name, keys, seen in keyed if keys[row] in seen]
            for name in taken:
                self.broken[name] += 1
            keep[row] = not taken
            if not taken:
                for _, keys, seen in keyed:
                    seen.add(keys[row])
        return keep


def constraints(kind: Table, texts: Sequence[str | Constraint] = ()) -> list[Constraint]:
    """The constraints of a table: those that were found in training, and those that are told.

    Args:
        kind: The table.
        texts: Each as a user writes it, or a `Constraint`.

    Raises:
        UsageError: E103, one cannot be read, or there is no such column.
    """
    shown = {column.name for column in kind.shown}
    own = [Combinations(known) for known in kind.together if shown.issuperset(known.columns)]
    return [*own, *(text if isinstance(text, Constraint) else _read(kind, text) for text in texts)]


def refuse_impossible(kind: Table, found: Sequence[Constraint], parts: Sequence[Wanted]) -> None:
    """Say at once which constraint no row can keep to.

    Raises:
        UsageError: E103, with the constraint and why.
    """
    for constraint in found:
        why = constraint.contradiction(kind, parts)
        if why:
            hint = "leave one of the two out" if parts else "another constraint"
            raise UsageError("E103", f"no row can keep to {str(constraint)!r}: {why}.", hint=hint)


def refuse_too_few(kind: Table, found: Sequence[Constraint], parts: Sequence[Wanted], n: int) -> None:
    """Say at once where so many rows cannot keep to a constraint together.

    Raises:
        UsageError: E103, with how many can.
    """
    for constraint in found:
        most = constraint.most(kind, parts)
        if most < n:
            names = str(constraint).removeprefix("unique ")
            message = f"{names}: there are {most:.0f} values, and no {n} rows can differ in it."
            raise UsageError("E103", message, hint=f"--n {most:.0f}, or more columns after 'unique'")


def _values(column: Column, parts: Sequence[Wanted]) -> float:
    """How many different cells new rows may have in a column; infinite for a continuum."""
    own = next((part for part in parts if part.column.name == column.name), None)
    if own is not None and (own.empty or own.low == own.high):
        return 1
    empty = int(column.holes > 0 and own is None)
    if isinstance(column, Category):
        return empty + len(column.values) + len(column.rare)
    low, high = _ends(column, parts)
    step = column.grid if isinstance(column, Number) else 1.0
    return empty + (math.floor((high - low) / step + 0.5) + 1 if step else math.inf if low < high else 1)


def _read(kind: Table, text: str) -> Constraint:
    unique = re.fullmatch(r"\s*unique\b\s*(.*)", text)
    if unique:
        told = [name.strip() for name in unique[1].split(",") if name.strip()]
        everything = [c.name for c in kind.shown if not isinstance(c, Dropped)]
        return Unique(tuple(_named(kind, name, text).name for name in told or everything))
    parts = re.fullmatch(r"\s*(.+?)\s*(<=|>=|==|!=|=|<|>)\s*(.+?)\s*", text)
    if parts is None:
        raise UsageError("E103", f"--constraint {text}: a constraint is written {FORMS}.")
    left, sign, right = parts.groups()
    names = {column.name for column in kind.shown}
    if sign in ("=", "==", "!="):
        raise _not_compared(kind, text, left, sign, right)
    if left not in names and right in names:
        left, sign, right = right, TURNED[sign], left
    column = _ordered(kind, left, text)
    if right not in names:
        return Range(left, sign, _end(kind, column, right, text))
    other = _ordered(kind, right, text)
    if {column.word, other.word} & {"date", "time span"} and column.word != other.word:
        raise UsageError("E103", f"--constraint {text}: {column.word} and {other.word} cannot be compared.")
    return Inequality(left, sign, right, (float(column.unit or 1), float(other.unit or 1)))


def _not_compared(kind: Table, text: str, left: str, sign: str, right: str) -> UsageError:
    """E103 where a constraint asks for a value in place of an order."""
    told = f"--constraint {text}: {sign} is none of <, <=, >, >="
    if sign == "!=" or left not in {column.name for column in kind.shown}:
        return UsageError("E103", f"{told}.", hint=FORMS)
    return UsageError("E103", f"{told}; a value is asked for by --where.", hint=f"--where '{left}={right}'")


def _end(kind: Table, column: Number, right: str, text: str) -> float:
    """The end of a range, as a code.

    Raises:
        UsageError: E103, it is no value of the column, and no column either.
    """
    try:
        return told_code(column, right, within=False, said=f"--constraint {text}")
    except UsageError:
        if _computed(kind, right):
            raise _no_sums(text) from None
        known = [other.name for other in kind.shown if isinstance(other, Number)]
        near = nearest(right, known)
        what = "number" if column.word in ("integer", "number") else column.word
        message = f"--constraint {text}: {right!r} is no column and no {what}; {near}"
        raise UsageError("E103", message, hint=f"a value, as {span(column).partition(' to ')[0]}") from None


def _computed(kind: Table, side: str) -> bool:
    """Whether a side of a constraint computes with a column."""
    pieces = {piece.strip() for piece in re.split(r"\s[-+*/]\s|[+*/]", side)}
    return len(pieces) > 1 and any(column.name in pieces for column in kind.shown)


def _no_sums(text: str) -> UsageError:
    message = (
        f"--constraint {text}: a constraint compares a column with a value or a column, and computes nothing."
    )
    return UsageError("E103", message, hint=FORMS)


def _named(kind: Table, name: str, text: str = "") -> Column:
    """A column of new rows by its name.

    Raises:
        UsageError: E103, there is none.
    """
    known = {column.name: column for column in kind.shown if not isinstance(column, Dropped)}
    if name not in known:
        if text and _computed(kind, name):
            raise _no_sums(text)
        said = f"--constraint {text}: " if text else ""
        raise UsageError("E103", f"{said}there is no column {name!r}; {nearest(name, known)}")
    return known[name]


def _ordered(kind: Table, name: str, text: str) -> Number:
    column = _named(kind, name, text)
    if not isinstance(column, Number):
        raise UsageError(
            "E103", f"--constraint {text}: {name} is a {column.word}, and has no order.", hint=FORMS
        )
    return column


def _ends(column: Column, parts: Sequence[Wanted]) -> tuple[float, float]:
    """The least and the largest code that a new row may have in a column."""
    if not isinstance(column, Number):
        return 0.0, float(max(0, column.levels - 1))
    own = next((part for part in parts if part.column.name == column.name and not part.empty), None)
    low, high = (column.low, column.high) if own is None else (own.low, own.high)
    return max(low, column.low), min(high, column.high)


def _because(parts: Sequence[Wanted], name: str, otherwise: str) -> str:
    own = [str(part) for part in parts if part.column.name == name]
    return f"it contradicts {own[0]}" if own else otherwise
