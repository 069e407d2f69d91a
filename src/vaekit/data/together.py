"""Columns of a table of which one decides another: an education and its number, a city and its country."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations as pairs

import numpy as np

from vaekit.data.columns import Column, Dropped
from vaekit.data.given import combinations
from vaekit.recipes import configurable

MOST_COLUMNS, MOST_VALUES = 60, 256  # columns whose pairs are looked at, and different values of each
SURE = 30.0  # nats against chance: with thousands of pairs still one in a thousand million


@configurable
class Together:
    """The combinations in which some columns came, where they came in these alone.

    Args:
        columns: Their names.
        rows: Codes of each combination, None for an empty cell.

    Example:
        >>> known = Together(["a", "b"], [[0.0, 1.0], [1.0, None]])
        >>> known.holds({"a": np.array([0.0, 1.0]), "b": np.array([1.0, 1.0])})
        array([ True, False])
    """

    def __init__(self, columns: Sequence[str], rows: Sequence[Sequence[float | None]]) -> None:
        self.columns, self.rows = list(columns), [list(row) for row in rows]
        self._known = {tuple(row) for row in self.rows}

    def holds(self, codes: Mapping[str, np.ndarray]) -> np.ndarray:
        """Which rows, given as codes (N,) by column, are one of the combinations."""
        cells = [[None if code != code else code for code in codes[name].tolist()] for name in self.columns]
        return np.array([row in self._known for row in zip(*cells, strict=True)], dtype=bool)


def found_together(columns: Sequence[Column], codes: Mapping[str, np.ndarray]) -> list[Together]:
    """The pairs of columns of which one decides the other in every row, more often than chance would have it.

    That all n_a rows with the value a of one column have the same value of the other has, if the two have nothing to do
    with each other, the probability Σ_b p_b^{n_a}; the product over all a must be below e⁻³⁰.

    Args:
        columns: The columns of a table.
        codes: Their codes (N,), NaN in the holes.
    """
    some = {}
    for column in columns[:MOST_COLUMNS]:
        if isinstance(column, Dropped):
            continue
        cells = np.where(np.isnan(codes[column.name]), -np.inf, codes[column.name])
        values, places = np.unique(cells, return_inverse=True)
        if 2 <= len(values) <= MOST_VALUES:
            some[column.name] = (places, len(values))
    found = []
    for a, b in pairs(some, 2):
        if _decides(*some[a], *some[b]) or _decides(*some[b], *some[a]):
            rows, _ = combinations([codes[a], codes[b]])
            found.append(Together([a, b], rows))
    return found


def _decides(a: np.ndarray, levels: int, b: np.ndarray, others: int) -> bool:
    """Whether each value of `a` came with one value of `b` only, and that is no chance."""
    if levels < others or len(np.unique(a * others + b)) != levels:
        return False
    share = np.bincount(b, minlength=others) / len(b)
    rows = np.bincount(a, minlength=levels)
    log_chance = np.log((share[:, None] ** rows[None, :]).sum(0).clip(1e-300, None))
    return float(-log_chance.sum()) > SURE
