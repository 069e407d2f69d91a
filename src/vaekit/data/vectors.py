"""Vectors: rows of numbers with no order among the columns, standardised for the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vaekit.data.batch import Batch
from vaekit.data.checks import check_dtype, chunks, finite, observed
from vaekit.data.kind import Kind
from vaekit.data.labels import labelled
from vaekit.data.levels import as_array, bad_scale, whole
from vaekit.distributions import (
    Bernoulli,
    Categorical,
    ContinuousBernoulli,
    Family,
    Gaussian,
    Laplace,
    Noise,
    PerDimension,
    StudentT,
)
from vaekit.errors import DataError
from vaekit.networks import DECODER_GAIN, MLP
from vaekit.recipes import configurable

FEW = 64  # up to so many columns the small networks do
SMALL, LARGE = (128, 128), (400, 400)
LARGEST = 1e100


@configurable
class Vectors(Kind):
    """Rows of D numbers.

    The model sees x = (raw − mean) / scale, computed in float64 and kept in float32; a value that was not observed,
    NaN, is masked, and 0 stands in its place.

    Args:
        dim: D.
        mean, scale: (D,) what to subtract and to divide by; None leaves the values as they are.
        family: The likelihood; None is a Gaussian with one scale per column.
        labels: Names of the classes.
        frequencies: The share of each class in the training data.
        conditional: Whether batches with labels carry them as the condition.
        missing: Whether the encoder is told which values were observed: whether any were missing in training.

    Raises:
        ValueError: An argument is out of its range.

    Example:
        >>> kind = Vectors(2, mean=[10.0, 0.0], scale=[5.0, 1.0])
        >>> kind.encode(kind.store([[20.0, 3.0]])).x
        tensor([[2., 3.]])
    """

    name = "vectors"

    def __init__(
        self,
        dim: int,
        mean: Sequence[float] | None = None,
        scale: Sequence[float] | None = None,
        family: Family | None = None,
        labels: Sequence[str] = (),
        frequencies: Sequence[float] = (),
        conditional: bool = False,
        missing: bool = False,
    ) -> None:
        if dim < 1 or any(part is not None and len(part) != dim for part in (mean, scale)):
            raise ValueError(
                f"dim is at least 1, and mean and scale have one number for each of the {dim} columns"
            )
        if scale is not None and min(scale) <= 0:
            raise ValueError("every scale is above 0")
        self.dim = dim
        self.mean = None if mean is None else [float(value) for value in mean]
        self.scale = None if scale is None else [float(value) for value in scale]
        self.labels, self.frequencies, self.conditional = tuple(labels), tuple(frequencies), conditional
        self.missing = missing
        self.family = family if family is not None else Gaussian(PerDimension((dim,)))
        # where there are none, one number serves all columns: a file may claim any number of them
        self._mean = torch.tensor(self.mean or [0.0], dtype=torch.float64)
        self._scale = torch.tensor(self.scale or [1.0], dtype=torch.float64)

    def __repr__(self) -> str:
        return f"Vectors({self.dim})"

    @property
    def shape(self) -> tuple[int, ...]:  # type: ignore[override]
        return (self.dim,)

    def store(self, values: Any) -> Tensor:
        """Take rows into storage form.

        Args:
            values: (N, D), one row (D,), or (N, …) of D values each; array or tensor. For D = 1 also (N,). NaN where
                nothing was observed.

        Returns:
            (N, D) float32, or float64 where float32 would lose digits.

        Raises:
            DataError: E212 another number of columns, E203 values the likelihood cannot score, E206 infinities,
                E211 no numbers.
        """
        array = as_array(values)
        check_dtype(array.dtype)
        rows = finite(self.as_rows(array), holes=True)
        self._check_range(observed(rows))
        stored = np.ascontiguousarray(rows, dtype=_storage(rows))
        return torch.from_numpy(stored if stored.flags.writeable else stored.copy())

    def as_rows(self, array: np.ndarray) -> np.ndarray:
        """Any accepted layout as rows, a view where it can be.

        Args:
            array: (N, D), one row (D,), or (N, …) of D values each.

        Returns:
            (N, D).

        Raises:
            DataError: E202 there is nothing in it, E212 another number of columns.

        Example:
            >>> Vectors(4).as_rows(np.zeros((3, 2, 2))).shape
            (3, 4)
        """
        if 0 in array.shape:
            raise DataError("E202", f"there is nothing in this array: its shape is {array.shape}.")
        if array.shape == (self.dim,):
            return array.reshape(1, self.dim)
        if array.ndim >= 1 and array[0].size == self.dim:
            return array.reshape(-1, self.dim)
        message = f"rows of {self.dim} numbers are expected, not an array of shape {array.shape}."
        raise DataError("E212", message, hint="give the columns of the training data, in the same order")

    def _check_range(self, rows: np.ndarray) -> None:
        if not rows.size:
            return
        name = type(self.family).__name__
        if isinstance(self.family, Bernoulli | ContinuousBernoulli) and (rows.min() < 0 or rows.max() > 1):
            raise bad_scale(rows, f"the {name} likelihood needs [0, 1]", hint="--likelihood auto")
        if isinstance(self.family, Categorical):
            top = self.family.levels - 1
            if rows.min() < 0 or rows.max() > top or not whole(rows):
                raise bad_scale(
                    rows, f"the {name} likelihood needs whole numbers 0..{top}", hint="--likelihood auto"
                )

    def encode(self, raw: Tensor, labels: Tensor | None = None, noise: Noise | None = None) -> Batch:
        """Raw rows as a batch of standardised ones.

        Args:
            raw: (B, D) in storage form.
            labels: (B,) class indices, or None.
            noise: Unused: nothing here is drawn.
        """
        holes = torch.isnan(raw)
        x = raw
        if self.mean is not None or self.scale is not None:
            x = (raw.double() - self._mean.to(raw.device)) / self._scale.to(raw.device)
        batch = labelled(self, x.float(), labels)
        if bool(holes.any()):
            batch.x, batch.mask = batch.x.masked_fill(holes, 0.0), ~holes
        return batch

    def decode(self, x: Tensor, c: Tensor | None = None) -> np.ndarray:
        """The model's values in the columns' own units.

        Args:
            x: (B, D).
            c: Unused: the units are the same under every condition.

        Returns:
            (B, D) float64: a float32 would lose what stands far from zero.
        """
        return (x.detach().cpu().double() * self._scale + self._mean).numpy()

    def encoder(self, outputs: int, condition: int = 0) -> nn.Module:
        return MLP(
            self.dim, outputs, hidden=self._hidden, condition=condition, masked=self.missing,
            linear=_begins(self.family),
        )  # fmt: skip

    def decoder(self, inputs: int, family: Family | None = None, condition: int = 0) -> nn.Module:
        likelihood = family or self.family
        return MLP(
            inputs, likelihood.size(self.dim), hidden=self._hidden, condition=condition, gain=DECODER_GAIN,
            linear=_begins(likelihood),
        )  # fmt: skip

    @property
    def _hidden(self) -> tuple[int, ...]:
        return SMALL if self.dim <= FEW else LARGE

    def log_volume(self, batch: Batch, family: Family | None = None) -> float | Tensor:
        """−Σ log scale over the observed values for a density; a mass needs nothing.

        Returns:
            One number for all rows, or (B,) where a mask says which values were observed.
        """
        if (family or self.family).discrete or self.scale is None:
            return 0.0
        each = -self._scale.log()  # (D,)
        if batch.mask is None:
            return float(each.sum())
        return (batch.mask * each.to(batch.mask.device)).sum(1).float()


def moments(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each column in one pass; a constant column gets the scale 1.

    Args:
        values: (N, D) numbers; NaN where nothing was observed. A column of nothing else has the moments 0 and 1.

    Returns:
        (D,) and (D,), float64.

    Source: Chan, Golub, LeVeque (1983), Algorithms for computing the sample variance (merging of parts).

    Example:
        >>> moments(np.array([[0.0, 7.0], [2.0, 7.0]]))
        (array([1., 7.]), array([1., 1.]))
    """
    count, mean, square = np.zeros((3, values.shape[1]))
    for part in chunks(values):
        part = part.astype(np.float64)
        holes = np.isnan(part)
        part[holes] = 0.0
        _refuse_extremes(part)
        here = len(part) - holes.sum(0)
        total = np.maximum(count + here, 1.0)
        center = part.sum(0) / np.maximum(here, 1.0)
        part -= center
        part[holes] = 0.0
        square += (part**2).sum(0) + (center - mean) ** 2 * (count * here / total)
        mean += (center - mean) * (here / total)
        count += here
    scale = np.sqrt(square / np.maximum(count, 1.0))
    return mean, np.where(scale > 1e-12 * np.abs(mean), scale, 1.0)


def _begins(family: Family) -> bool:
    """Whether the networks of this likelihood can begin at the linear solution: whether its location is any number."""
    return isinstance(family, Gaussian | Laplace | StudentT)


def _refuse_extremes(part: np.ndarray) -> None:
    """Values whose square no float64 holds have no standard deviation."""
    top = np.abs(part).max(0)
    if top.max() > LARGEST:
        message = f"column {int(top.argmax())} holds {top.max():.3g}; values up to {LARGEST:.0e} can be standardised."
        raise DataError("E203", message, hint="take such rows out")


def _storage(rows: np.ndarray) -> np.dtype:
    """float32, unless that would lose digits of float64 or of large whole numbers."""
    wide = rows.dtype.itemsize > 4 if rows.dtype.kind == "f" else rows.dtype.itemsize > 2 and _beyond(rows)
    return np.dtype(np.float64 if wide else np.float32)


def _beyond(rows: np.ndarray) -> bool:
    return (
        max(abs(int(rows.min())), abs(int(rows.max()))) > 1 << 24
    )  # whole numbers that float32 holds exactly
