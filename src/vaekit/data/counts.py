"""Counts: rows of whole numbers from 0 on, most of them often 0, kept sparse and scored as what they are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vaekit.data.batch import Batch
from vaekit.data.checks import check_dtype, chunks, enough, finite
from vaekit.data.kind import Kind
from vaekit.data.labels import frequencies, labelled
from vaekit.data.levels import as_array
from vaekit.data.loaded import Source
from vaekit.data.matrices import EXACT, SparseSource, from_sparse, no_count, refuse_non_counts
from vaekit.data.sparse import SparseRows
from vaekit.distributions import Family, NegativeBinomial, Noise, Poisson
from vaekit.errors import DataError
from vaekit.networks import DECODER_GAIN, MLP, LogCounts
from vaekit.recipes import configurable

# with 400 each, 8 000 cells of 1 000 genes are soon learned by heart (benchmarks/counts.py)
HIDDEN = (128, 128)
LARGEST = 2.0**62  # an int64 holds it
SURE = 5.0  # standard errors by which the values must vary more than Poisson counts


@configurable
class Counts(Kind):
    """Rows of D counts.

    The model sees the counts themselves; its encoder takes their logarithms, and its decoder begins at each column's
    own mean, where every column is independent of the others.

    Args:
        dim: D.
        log_mean: (D,) logarithm of each column's mean.
        family: The likelihood; None is a NegativeBinomial with an inverse dispersion for each column.
        labels: Names of the classes.
        frequencies: The share of each class in the training data.
        conditional: Whether batches with labels carry them as the condition.

    Raises:
        ValueError: An argument is out of its range.

    Example:
        >>> kind = Counts(2, [0.0, -1.0])
        >>> kind.encode(kind.store([[3, 0]])).x
        tensor([[3., 0.]])
    """

    name = "counts"

    def __init__(
        self,
        dim: int,
        log_mean: Sequence[float],
        family: Family | None = None,
        labels: Sequence[str] = (),
        frequencies: Sequence[float] = (),
        conditional: bool = False,
    ) -> None:
        if dim < 1 or len(log_mean) != dim or not all(math.isfinite(value) for value in log_mean):
            raise ValueError(
                f"dim is at least 1, and log_mean has one finite number for each of {dim} columns"
            )
        self.dim, self.log_mean = dim, [float(value) for value in log_mean]
        self.labels, self.frequencies, self.conditional = tuple(labels), tuple(frequencies), conditional
        self.family = family if family is not None else NegativeBinomial(dim)

    def __repr__(self) -> str:
        return f"Counts({self.dim})"

    @property
    def shape(self) -> tuple[int, ...]:  # type: ignore[override]
        return (self.dim,)

    def store(self, values: Any) -> Tensor | SparseRows:  # type: ignore[override]
        """Take rows into storage form.

        Args:
            values: (N, D) array or tensor, one row (D,), a SciPy sparse matrix (N, D), or sparse rows.

        Returns:
            (N, D) float32, or float64 where float32 would lose digits; what is sparse stays sparse.

        Raises:
            DataError: E203 negative values or fractions (row and column are named), E206 not finite, E212 another
                number of columns, and as in `from_sparse`.
        """
        if hasattr(values, "tocsr"):
            values = from_sparse(values).values
        if isinstance(values, SparseRows):
            self._check_width(values.shape)
            refuse_non_counts(values)
            return values
        array = as_array(values)
        check_dtype(array.dtype)
        array = array.reshape(1, -1) if array.shape == (self.dim,) else array
        self._check_width(array.shape)
        return _dense(finite(array))

    def _check_width(self, shape: tuple[int, ...]) -> None:
        if 0 in shape:
            raise DataError("E202", f"there is nothing in this array: its shape is {shape}.")
        if len(shape) != 2 or shape[1] != self.dim:
            message = f"rows of {self.dim} counts are expected, not an array of shape {shape}."
            raise DataError("E212", message, hint="give the columns of the training data, in the same order")

    def encode(self, raw: Tensor, labels: Tensor | None = None, noise: Noise | None = None) -> Batch:
        """Raw rows as a batch of counts.

        Args:
            raw: (B, D) in storage form.
            labels: (B,) class indices, or None.
            noise: Unused: nothing here is drawn.
        """
        return labelled(self, raw.float(), labels)

    def decode(self, x: Tensor, c: Tensor | None = None) -> np.ndarray:
        """The model's values as counts, the nearest where it gives a mean.

        Args:
            x: (B, D).

        Returns:
            (B, D) int64.
        """
        return x.detach().cpu().double().round().clamp(0, LARGEST).to(torch.int64).numpy()

    def encoder(self, outputs: int, condition: int = 0) -> nn.Module:
        return LogCounts(self.log_mean, MLP(self.dim, outputs, hidden=HIDDEN, condition=condition))

    def decoder(self, inputs: int, family: Family | None = None, condition: int = 0) -> nn.Module:
        likelihood = family or self.family
        net = MLP(inputs, likelihood.size(self.dim), hidden=HIDDEN, condition=condition, gain=DECODER_GAIN)
        if isinstance(likelihood, Poisson | NegativeBinomial):  # whose first parameters are log-means
            with torch.no_grad():
                net.last.bias[: self.dim] = torch.tensor(self.log_mean)
        return net


def _dense(array: np.ndarray) -> Tensor:
    """(N, D) counts as floats that hold each of them exactly.

    Raises:
        DataError: E203, naming the first value that is no count.
    """
    first, bad, start = None, 0, 0
    for part in chunks(array):
        places = np.argwhere((part < 0) | (np.rint(part) != part))
        if len(places) and first is None:
            row, column = places[0].tolist()
            first = (float(part[row, column]), start + row, column)
        bad, start = bad + len(places), start + len(part)
    if first is not None:
        raise no_count(*first, bad)
    wide = array.dtype.itemsize > 2 and array.max() > EXACT
    return torch.from_numpy(array.astype(np.float64 if wide else np.float32))


def detect_counts(source: Source | SparseSource) -> tuple[Counts, list[str]]:
    """The kind of a source of counts: its columns' means, and the likelihood that their variances ask for.

    Args:
        source: (N, D) whole numbers from 0 on, dense or sparse.

    Returns:
        The kind, and one sentence for each choice.

    Raises:
        DataError: E203 some values are no counts, E207 there is one row only, E208 all values are 0, E212 not two axes.

    Example:
        >>> kind, reasons = detect_counts(Source(np.array([[0, 9], [0, 1], [3, 0], [0, 0]])))
        >>> kind, type(kind.family).__name__
        (Counts(2), 'NegativeBinomial')
    """
    n, (sums, squares) = len(source), _moments(source)
    enough(n, 2, source.path)
    if not sums.any():
        raise DataError("E208", "every count is 0: nothing can be learned.", where=source.path)
    mean = sums / n
    variance = np.maximum(squares - n * mean**2, 0) / (n - 1)
    zeros = 1 - _entries(source) / (n * len(sums))
    reasons = [f"counts, because every value is a whole number from 0 on; {zeros:.1%} are 0."]
    family = _family(n, mean, variance, reasons)
    log_mean = np.log(np.maximum(sums, 0.5) / n).round(6).tolist()  # half a count where none was seen
    shares = frequencies(source.labels, len(source.label_names))
    return Counts(len(sums), log_mean, family, source.label_names, shares), reasons


def _family(n: int, mean: np.ndarray, variance: np.ndarray, reasons: list[str]) -> Family:
    """Poisson counts have variances like their means, up to the error of n rows.

    Source: Fisher (1950), The significance of deviations from expectation in a Poisson series (index of dispersion).
    """
    some = mean > 0
    ratio = variance[some] / mean[some]  # (n − 1) times it is χ² with n − 1 degrees of freedom
    sure = float((ratio - 1).sum() * math.sqrt((n - 1) / (2 * len(ratio))))
    said = f"the variance of a column is {np.median(ratio):.3g} times its mean in the median"
    if sure < SURE:
        reasons.append(
            f"Poisson, because {said}, as that of Poisson counts may be ({sure:.1f} standard errors)."
        )
        return Poisson()
    reasons.append(
        f"NegativeBinomial, because {said}: more than Poisson counts vary, by {sure:,.0f} standard errors."
    )
    return NegativeBinomial(len(mean))


def _moments(source: Source | SparseSource) -> tuple[np.ndarray, np.ndarray]:
    """Sum and sum of squares of each column, once every value is known to be a count."""
    values = source.values
    if isinstance(values, SparseRows):
        refuse_non_counts(values, source.path)
        return values.moments()
    if values.ndim != 2:
        message = f"counts stand in rows and columns, not in {values.ndim} axes {values.shape}."
        raise DataError("E212", message, where=source.path)
    try:
        rows = _dense(finite(values, source.path))
    except DataError as error:
        error.where = source.path
        raise
    return rows.double().sum(0).numpy(), rows.double().square().sum(0).numpy()


def _entries(source: Source | SparseSource) -> int:
    values = source.values
    return len(values.data) if isinstance(values, SparseRows) else int(np.count_nonzero(values))
