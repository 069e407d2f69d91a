"""What a model is trained on: items kept raw in memory, turned into a batch at the moment of use."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from vaekit.data.matrices import from_sparse
from vaekit.data.sparse import SparseRows

if TYPE_CHECKING:
    from vaekit.data.kind import Kind
    from vaekit.distributions import Noise


@dataclass
class Batch:
    """B rows in the model's own space.

    Attributes:
        x: (B, *shape) values.
        c: (B, A) condition, or None.
        mask: (B, *shape) true where a value was observed, or None where all were.
        y: (B,) label index, -1 where unknown, or None.
        weight: (B,) weight of each row in a mean, or None for equal ones.
        index: (B,) the rows' places in the whole data, or None.
    """

    x: Tensor
    c: Tensor | None = None
    mask: Tensor | None = None
    y: Tensor | None = None
    weight: Tensor | None = None
    index: Tensor | None = None

    def __len__(self) -> int:
        return len(self.x)

    @property
    def with_holes(self) -> Tensor:
        """The values with NaN where nothing was observed, (B, *shape).

        Example:
            >>> Batch(torch.ones(1, 2), mask=torch.tensor([[True, False]])).with_holes
            tensor([[1., nan]])
        """
        return self.x if self.mask is None else self.x.masked_fill(~self.mask.bool(), torch.nan)

    def to(self, device: torch.device | str) -> Batch:
        """The same rows on another device."""
        moved: dict[str, Any] = {
            field.name: None if t is None else t.to(device, non_blocking=True)
            for field in fields(self)
            for t in [getattr(self, field.name)]
        }
        return Batch(**moved)


class Items:
    """N raw items in memory: the storage type stays as it came (uint8 images stay uint8) until a batch is made.

    Args:
        raw: (N, *shape) in storage form; sparse rows become dense only a batch at a time.
        kind: Turns raw rows into batches; without one, rows are taken as they are.
        labels: (N,) label index, -1 where unknown, or None.
        mask: (N, *shape) true where a value was observed, or None.
        places: Which rows of `raw` these items are; None for all. Subsets share their storage so.

    Example:
        >>> items = Items(torch.arange(6.0).view(3, 2))
        >>> items.batch(torch.tensor([2, 0])).x
        tensor([[4., 5.],
                [0., 1.]])
    """

    def __init__(
        self,
        raw: Tensor | SparseRows,
        kind: Kind | None = None,
        labels: Tensor | None = None,
        mask: Tensor | None = None,
        places: Tensor | None = None,
    ) -> None:
        self.stored, self.kind, self.labels, self.mask, self.places = raw, kind, labels, mask, places

    def __len__(self) -> int:
        return len(self.stored if self.places is None else self.places)

    @property
    def raw(self) -> Tensor | SparseRows:
        """The items in storage form, (N, *shape); of a subset, a copy. Sparse rows stay sparse."""
        if self.places is None:
            return self.stored
        return (
            _rows(self.stored, self.places)
            if isinstance(self.stored, Tensor)
            else self.stored.subset(self.places)
        )

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one item."""
        return tuple(self.stored.shape[1:])

    def batch(self, index: Tensor, noise: Noise | None = None) -> Batch:
        """Rows at the given places.

        Args:
            index: (B,) places.
            noise: While training: for what the kind draws anew each time (dynamic binarisation). Without it the batch
                is always the same.
        """
        raw = _rows(self.stored, index if self.places is None else self.places[index])
        labels = None if self.labels is None else self.labels[index]
        mask = None if self.mask is None else self.mask[index]
        if self.kind is None:
            return Batch(raw, y=labels, mask=mask, index=index)
        batch = self.kind.encode(raw, labels, noise)
        batch.index, batch.mask = index, batch.mask if mask is None else mask
        return batch

    def batches(self, size: int) -> Iterator[Batch]:
        """Every row once, in order, in batches of at most `size`."""
        for start in range(0, len(self), size):
            yield self.batch(torch.arange(start, min(start + size, len(self))))

    def subset(self, index: Tensor) -> Items:
        """The items at the given places, as items of their own that share this storage."""
        labels, mask = (None if t is None else t[index] for t in (self.labels, self.mask))
        places = index if self.places is None else self.places[index]
        return Items(self.stored, self.kind, labels, mask, places)


def _rows(t: Tensor | SparseRows, index: Tensor) -> Tensor:
    """t[index], dense; torch cannot index uint16, so those bits are picked as int16 ones."""
    if isinstance(t, Tensor) and t.dtype == torch.uint16:
        return t.view(torch.int16)[index].view(torch.uint16)
    return t[index]


def as_items(data: Any) -> Items:
    """Items from what people hand over: items, a tensor, an array, a sparse matrix, or a torch Dataset of tensors.

    Raises:
        TypeError: It is none of these.
    """
    if isinstance(data, Items):
        return data
    if isinstance(data, Tensor):
        return Items(data)
    if isinstance(data, SparseRows) or hasattr(data, "tocsr"):
        return Items(data if isinstance(data, SparseRows) else from_sparse(data).values)
    if hasattr(data, "__array__"):
        t = torch.as_tensor(data)
        return Items(t.float() if t.dtype == torch.float64 else t)  # NumPy's default; models are float32
    if hasattr(data, "__getitem__") and hasattr(data, "__len__"):
        rows = [data[i] for i in range(len(data))]
        firsts = [row[0] if isinstance(row, list | tuple) else row for row in rows]
        return Items(torch.stack([torch.as_tensor(first) for first in firsts]))
    raise TypeError(
        f"data must be a tensor, an array, a torch Dataset or vaekit items, not {type(data).__name__}"
    )
