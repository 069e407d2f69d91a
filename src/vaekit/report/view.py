"""How items of a kind are looked at: as pictures, as points of a plane, as rows of numbers, as text, or as a table."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from vaekit.data import Batch, Kind, Table
from vaekit.data import parts as several
from vaekit.data.sequences import Sequences
from vaekit.distributions import Noise
from vaekit.report.parts import Parts
from vaekit.report.texts import LONGEST

PICTURE_VALUES = 12_000  # bytes of one picture that is kept; some 300 of them make three megabytes at most
COMPARED_SIDE = 64  # larger pictures are compared at this size, which bounds time and memory
COLUMNS = 512  # columns of a row that are kept
MARKS = 16  # numbers by which the tokens of a text are compared


class View:
    """Turns values of the model's space into what is shown, and into what is compared.

    Args:
        kind: The kind of data.

    Attributes:
        form: "pictures" (H, W[, 3]) uint8; "points" (2,) in the data's units; "rows" (columns,) as the model sees them;
            "text" (); "table", whose items are looked at column by column.
        columns: Which columns of a row are shown.
    """

    def __init__(self, kind: Kind) -> None:
        self.part: slice | None = None  # of a row, what is looked at
        if isinstance(kind, several.Parts):  # the first picture among them, or else the first
            name = kind.shown
            self.part, kind = kind.place(name), kind.parts[name]
        self.kind: Any = kind
        self.shape = tuple(kind.shape)
        pictures = hasattr(kind, "picture") and len(self.shape) == 3
        self.form = "pictures" if pictures else "points" if self.shape == (2,) else "rows"
        if isinstance(kind, Table):
            self.form, self._parts = "table", Parts(kind)
        if isinstance(kind, Sequences):  # nearly orthogonal vectors of length one in place of the tokens
            marks = Noise(0, "tokens").normal((kind.levels, MARKS))
            self.form, self._marks = "text", marks / marks.norm(dim=1, keepdim=True)
        count = math.prod(self.shape)
        self.columns = np.unique(np.linspace(0, count - 1, min(count, COLUMNS)).round().astype(int))

    def shown(self, x: Tensor) -> np.ndarray:
        """(N, *shape) in the model's space → (N, …) of the form above."""
        x = self._seen(x)
        if self.form == "pictures":
            return _displayable(self.kind.picture(_shrunk(x, self._share(x))))
        if self.form == "points":
            return np.asarray(self.kind.decode(x), dtype=np.float64)
        if self.form == "text":
            return np.array([line[:LONGEST] for line in self.kind.decode(x)], dtype=np.str_)
        return x.flatten(1).cpu().float().numpy()[:, self.columns]

    def difference(self, x: Tensor, other: Tensor) -> np.ndarray:
        """|x − other|, as large as what `shown` gives; of pictures the mean over channels, 255 for the whole
        range; of text the number of places."""
        x, other = self._seen(x), self._seen(other)
        if self.form == "points":
            return np.abs(self.shown(x) - self.shown(other))
        if self.form == "text":
            return (x != other).sum(1).cpu().numpy()
        apart = (x - other).abs()
        if self.form == "rows":
            return self.shown(apart)
        small = _shrunk(apart, self._share(apart)).mean(1).clamp(0, 1)  # (N, H, W)
        return (small * 255).round().cpu().numpy().astype(np.uint8)

    def compared(self, x: Tensor) -> Tensor:
        """(N, *shape) → (N, F): the values between which distances are taken."""
        if self.part is not None:  # all parts count
            return x.flatten(1).float()
        if self.form == "table":
            return self._parts.features(x)
        if self.form == "text":
            return self._marks.to(x.device)[x.long()].flatten(1)
        if self.form == "pictures":
            x = _shrunk(x, min(1.0, COMPARED_SIDE / max(self.shape[1:])))
        return x.flatten(1).float()

    def _seen(self, x: Tensor) -> Tensor:
        """The part that is looked at, in its own shape; x itself where that is all."""
        if self.part is None or x.shape[1:] == self.shape:
            return x
        return x[:, self.part].unflatten(1, self.shape)

    def _share(self, x: Tensor) -> float:
        """By what to scale a picture so that it is kept in at most `PICTURE_VALUES` bytes."""
        channels = 3 if x.shape[1] >= 3 else 1
        return min(1.0, math.sqrt(PICTURE_VALUES / (channels * x.shape[2] * x.shape[3])))


def values(batch: Batch) -> Tensor:
    """A batch's values (B, *shape), zero where nothing was observed."""
    return (
        batch.x if batch.mask is None else torch.where(batch.mask.bool(), batch.x, torch.zeros_like(batch.x))
    )


def _shrunk(x: Tensor, share: float) -> Tensor:
    """(N, C, H, W) at a share of its height and width, each new pixel the mean of those it covers."""
    if share >= 1:
        return x
    height, width = (max(1, int(side * share)) for side in x.shape[2:])
    return functional.adaptive_avg_pool2d(x.float(), (height, width))


def _displayable(pictures: np.ndarray) -> np.ndarray:
    """(N, H, W[, C]) as grey (N, H, W) or colour (N, H, W, 3): the first channels of what is neither."""
    if pictures.ndim == 3 or pictures.shape[-1] == 3:
        return pictures
    return pictures[..., :3] if pictures.shape[-1] > 3 else pictures[..., 0]
