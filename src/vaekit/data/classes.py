"""One label for each item, as data of its own: a part beside a picture or a text."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vaekit.data.batch import Batch
from vaekit.data.kind import Kind
from vaekit.data.levels import as_array
from vaekit.distributions import Categorical, Family, Noise
from vaekit.errors import DataError
from vaekit.networks import DECODER_GAIN, MLP
from vaekit.networks.cells import Cells
from vaekit.recipes import configurable

HIDDEN = (128,)


@configurable
class Classes(Kind):
    """Class indices 0 … K−1, one for each item.

    Args:
        levels: K.

    Example:
        >>> kind = Classes(3)
        >>> kind.decode(kind.encode(kind.store([2, 0])).x)
        array([2, 0])
    """

    name = "classes"
    labels = ()
    frequencies = ()

    def __init__(self, levels: int) -> None:
        self.levels = levels
        self.shape = (1,)
        self.family = Categorical(levels)

    def __repr__(self) -> str:
        return f"Classes({self.levels})"

    def store(self, values: Any) -> Tensor:
        """(N,) or (N, 1) whole numbers.

        Raises:
            DataError: E205 another shape, E203 a class that is not known (the row is named).
        """
        index = as_array(values)
        if index.ndim not in (1, 2) or index.shape[1:] not in ((), (1,)):
            message = f"one class for each item is expected, not an array of shape {index.shape}."
            raise DataError("E205", message)
        index = index.reshape(len(index), 1)
        bad = np.flatnonzero((index < 0) | (index >= self.levels) | (index != np.rint(index)))
        if len(bad):
            message = f"there is no class {index[bad[0], 0]:g}; the classes are 0 to {self.levels - 1}."
            raise DataError("E203", message, where=f"row {bad[0]}")
        return torch.from_numpy(index.astype(np.int64))

    def encode(self, raw: Tensor, labels: Tensor | None = None, noise: Noise | None = None) -> Batch:
        return Batch(raw.float())

    def decode(self, x: Tensor, c: Tensor | None = None) -> np.ndarray:
        """(B, 1) as (B,) class indices."""
        return x.detach().cpu()[:, 0].round().long().numpy()

    def encoder(self, outputs: int, condition: int = 0) -> nn.Module:
        return Cells(0, [self.levels], MLP(self.levels, outputs, hidden=HIDDEN, condition=condition))

    def decoder(self, inputs: int, family: Family | None = None, condition: int = 0) -> nn.Module:
        size = (family or self.family).size(1)
        return MLP(inputs, size, hidden=HIDDEN, condition=condition, gain=DECODER_GAIN)
