"""How items of a kind are looked at: as pictures, as points of a plane, as rows of numbers, or as a table."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from vaekit.data import Batch, Kind, Table
from vaekit.report.parts import Parts

PICTURE_VALUES = 12_000  # bytes of one picture that is kept; some 300 of them make three megabytes at most
COMPARED_SIDE = 64  # larger pictures are compared at this size, which bounds time and memory
COLUMNS = 512  # columns of a row that are kept


class View:
    """Turns values of the model's space into what is shown, and into what is compared.

    Args:
        kind: The kind of data.

    Attributes:
        form: "pictures" (H, W[, 3]) uint8; "points" (2,) in the data's units; "rows" (columns,) as the model sees them;
            "table", whose items are looked at column by column.
        columns: Which columns of a row are shown.
    """

    def __init__(self, kind: Kind) -> None:
        self.kind: Any = kind
        self.shape = tuple(kind.shape)
        pictures = hasattr(kind, "picture") and len(self.shape) == 3
        self.form = "pictures" if pictures else "points" if self.shape == (2,) else "rows"
        if isinstance(kind, Table):
            self.form, self._parts = "table", Parts(kind)
        count = math.prod(self.shape)
        self.columns = np.unique(np.linspace(0, count - 1, min(count, COLUMNS)).round().astype(int))

    def shown(self, x: Tensor) -> np.ndarray:
        """(N, *shape) in the model's space → (N, …) of the form above."""
        if self.form == "pictures":
            return _displayable(self.kind.picture(_shrunk(x, self._share(x))))
        if self.form == "points":
            return np.asarray(self.kind.decode(x), dtype=np.float64)
        return x.flatten(1).cpu().float().numpy()[:, self.columns]

    def difference(self, x: Tensor, other: Tensor) -> np.ndarray:
        """|x − other|, as large as what `shown` gives; of pictures the mean over channels, 255 for the whole range."""
        if self.form == "points":
            return np.abs(self.shown(x) - self.shown(other))
        apart = (x - other).abs()
        if self.form == "rows":
            return self.shown(apart)
        small = _shrunk(apart, self._share(apart)).mean(1).clamp(0, 1)  # (N, H, W)
        return (small * 255).round().cpu().numpy().astype(np.uint8)

    def compared(self, x: Tensor) -> Tensor:
        """(N, *shape) → (N, F): the values between which distances are taken."""
        if self.form == "table":
            return self._parts.features(x)
        if self.form == "pictures":
            x = _shrunk(x, min(1.0, COMPARED_SIDE / max(self.shape[1:])))
        return x.flatten(1).float()

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
