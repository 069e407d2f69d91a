"""Sparse rows: a matrix of mostly zeros, kept as the entries that are not, and dense only a few rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vaekit.distributions import content_keys

CHUNK = 1 << 22  # entries looked at together


class SparseRows:
    """N rows of D numbers, of which only those that are not zero are kept (compressed sparse rows).

    Asked for some rows, it answers with a dense tensor of these; it is never dense as a whole.

    Args:
        indptr: (N + 1,) where each row's entries begin, and the last one's end.
        indices: (entries,) the column of each entry, rising within a row.
        data: (entries,) the entries, none of them zero.
        width: D.

    Example:
        >>> rows = SparseRows(np.array([0, 1, 1, 3]), np.array([2, 0, 1]), np.uint8([5, 7, 8]), 3)
        >>> rows[torch.tensor([2, 0])]
        tensor([[7., 8., 0.],
                [0., 0., 5.]])
    """

    def __init__(self, indptr: np.ndarray, indices: np.ndarray, data: np.ndarray, width: int) -> None:
        self.indptr, self.indices, self.data, self.width = indptr, indices, data, width

    def __len__(self) -> int:
        return len(self.indptr) - 1

    def __repr__(self) -> str:
        return f"SparseRows({len(self)} x {self.width}, {len(self.data)} entries)"

    @property
    def shape(self) -> tuple[int, int]:
        """(N, D)."""
        return len(self), self.width

    @property
    def dtype(self) -> np.dtype:
        """The type the entries are kept in."""
        return self.data.dtype

    def __getitem__(self, places: Tensor | slice) -> Tensor:
        """The rows at the given places, dense.

        Args:
            places: (B,) places, or a slice.

        Returns:
            (B, D) float32, or float64 where the entries need it.
        """
        entries, counts = self._entries(self._places(places))
        wide = self.data.dtype.itemsize > 4
        dense = np.zeros((len(counts), self.width), np.float64 if wide else np.float32)
        dense[np.repeat(np.arange(len(counts)), counts), self.indices[entries]] = self.data[entries]
        return torch.from_numpy(dense)

    def subset(self, places: Tensor | slice) -> SparseRows:
        """The rows at the given places, still sparse."""
        entries, counts = self._entries(self._places(places))
        return SparseRows(_ends(counts), self.indices[entries], self.data[entries], self.width)

    def chunks(self) -> Iterator[SparseRows]:
        """Consecutive rows, about `CHUNK` entries at a time."""
        start = 0
        while start < len(self):
            stop = int(np.searchsorted(self.indptr, self.indptr[start] + CHUNK, side="right")) - 1
            stop = min(max(stop, start + 1), len(self))
            low, high = self.indptr[start], self.indptr[stop]
            ends = self.indptr[start : stop + 1] - low
            yield SparseRows(ends, self.indices[low:high], self.data[low:high], self.width)
            start = stop

    def row(self, entry: int) -> int:
        """Which row an entry stands in."""
        return int(np.searchsorted(self.indptr, entry, side="right")) - 1

    def keys(self) -> Tensor:
        """A key for each row that depends on its content alone, (N,) integers; equal rows have equal ones."""
        return content_keys(torch.from_numpy(np.concatenate([part._keys() for part in self.chunks()])))

    def totals(self) -> np.ndarray:
        """The sum of each row, (N,) float64."""
        return np.concatenate([part._sums(part.data.astype(np.float64)) for part in self.chunks()])

    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Sum and sum of squares of each column, (D,) and (D,) float64."""
        sums, squares = np.zeros(self.width), np.zeros(self.width)
        for part in self.chunks():
            values = part.data.astype(np.float64)
            sums += np.bincount(part.indices, values, self.width)
            squares += np.bincount(part.indices, values * values, self.width)
        return sums, squares

    def facts(self) -> dict[str, Any]:
        """Range, mean, share of zeros, and quartiles of the rows' sums: what a data card says of a sparse matrix."""
        cells, totals = len(self) * self.width, self.totals()
        ends = [self.data.min(), self.data.max()] if len(self.data) else [0]
        ends += [0] if len(self.data) < cells else []
        return {
            "range": [float(min(ends)), float(max(ends))],
            "mean": float(totals.sum()) / cells,
            "zeros": 1 - len(self.data) / cells,
            "row_totals": np.quantile(totals, (0, 0.25, 0.5, 0.75, 1)).tolist(),
        }

    def constant_columns(self) -> np.ndarray:
        """Places of the columns that are the same in every row."""
        entries = np.zeros(self.width, dtype=np.int64)
        low, high = np.full(self.width, np.inf), np.full(self.width, -np.inf)
        for part in self.chunks():
            entries += np.bincount(part.indices, minlength=self.width)
            np.minimum.at(low, part.indices, part.data)
            np.maximum.at(high, part.indices, part.data)
        return np.flatnonzero((entries == 0) | ((entries == len(self)) & (low == high)))

    def _places(self, places: Tensor | slice) -> np.ndarray:
        if isinstance(places, slice):
            return np.arange(len(self))[places]
        found = places.cpu().numpy().reshape(-1)
        return np.flatnonzero(found) if found.dtype == bool else np.arange(len(self))[found]

    def _entries(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Places of the rows' entries, one row after the other, and how many each has."""
        begins, counts = self.indptr[rows], np.diff(self.indptr)[rows]
        return np.repeat(begins - _ends(counts)[:-1], counts) + np.arange(counts.sum()), counts

    def _keys(self) -> np.ndarray:
        """The sum of the keys of each row's entries, each of its column and its value, (N, 1) integers."""
        values = self.data.astype(np.float64).view(np.int64)
        pairs = np.stack([self.indices.astype(np.int64), values], axis=1)  # (entries, 2)
        return self._sums(content_keys(torch.from_numpy(pairs)).numpy())[:, None]

    def _sums(self, values: np.ndarray) -> np.ndarray:
        """The sum of each row's values; whole numbers wrap around, as keys may."""
        padded = np.append(values, np.zeros(1, values.dtype))  # a last row without entries begins behind them
        sums = np.add.reduceat(padded, self.indptr[:-1])
        sums[np.diff(self.indptr) == 0] = 0
        return sums


def _ends(counts: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(counts)])
