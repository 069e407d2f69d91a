"""Missing values: cells, pixels or parts that were not observed, filled with what the model expects there.

What came is given back as it came, bit for bit; only holes change. A best estimate of a number is its mean given what
the row has, of a category its most probable level; n imputations are draws, whose differences say how uncertain a cell
is; an interval holds a number with the probability that was asked for.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Categorical, Distribution

from vaekit.data import Images, Kind, Parts, Table, Vectors
from vaekit.data.columns import Number
from vaekit.distributions import Joint, Noise, RowNoise, center, content_keys, draw
from vaekit.distributions.flattened import Flattened
from vaekit.errors import UsageError
from vaekit.evaluation.likelihood import check_finite
from vaekit.model import VAE
from vaekit.operations.impute import Conditional, conditionals
from vaekit.uses.holes import Holes, holes_of

SIZE = 1_024  # items at once
FEW_ROWS = 20  # trained on fewer, a model knows little more than the columns' means
LOW = 20.0  # effective draws of a row below which its figures are coarse


@dataclass
class Imputed:
    """What stands in the holes.

    Attributes:
        best: The data with each hole at its best estimate, in the type that came.
        draws: Several times the data with draws in the holes.
        low, high: The data with the ends of an interval in the holes; None where none was asked for.
        count: How many holes were filled.
        effective: (M,) effective sample size of each row with holes.
        samples: Draws that it is a part of.
        notes: What is to know, a sentence each.
    """

    best: Any
    draws: list[Any]
    low: Any
    high: Any
    count: int
    effective: np.ndarray
    samples: int
    notes: list[str] = field(default_factory=list)


def impute(
    model: VAE,
    kind: Kind,
    data: Any,
    n: int | None = None,
    interval: float | None = None,
    samples: int = 1_000,
    seed: int = 0,
    trained: int | None = None,
    observed: float = 1.0,
) -> Imputed:
    """Fill holes by self-normalised importance sampling, `operations.impute`.

    Args:
        model: In evaluation mode.
        kind: Of its data: vectors, a table, images or parts.
        data: What has holes: NaN, empty cells, masked values, missing parts.
        n: How many imputations to draw besides the best estimate.
        interval: Probability of an interval for each number, in (0, 1).
        samples: Draws of z for each row.
        seed: Of all draws; a row's best estimate depends on the row alone.
        trained: How many items the model was trained on, where that is known.
        observed: Share of their values that was there.

    Raises:
        UsageError: E103 an argument is out of its range, E106 the model has no p(x_mis | x_obs), E108 another kind.
        DataError: The data are not of this kind; E206 there are values so far off that they have no finite likelihood.
    """
    _check(model, kind, n, interval, samples)
    holes = holes_of(_holed(kind), data)
    rows = torch.from_numpy(np.flatnonzero(holes.any_in_row))
    wider = 1.0 if trained is None else widening(trained * observed, _parameters(model, holes))
    values = _values(model, _summary(kind, wider), holes, rows, n or 0, interval, samples, seed)
    check_finite(torch.ones(len(holes.where), dtype=torch.float64).index_copy(0, rows, values.effective))
    low, high = (
        (None, None) if interval is None else (holes.filled(rows, end, ends=True) for end in values.ends)
    )
    draws = [holes.filled(rows, one) for one in values.draws]
    best = holes.filled(rows, values.best)
    effective = values.effective.numpy()
    notes = [*_notes(kind, holes, trained), *_coarse(effective, samples)]
    return Imputed(best, draws, low, high, holes.count, effective, samples, notes)


def _holed(kind: Kind) -> Vectors | Table | Images | Parts:
    """The kind, if its items may have holes.

    Raises:
        UsageError: E108, they may not.
    """
    if isinstance(kind, Vectors | Table | Images | Parts):
        return kind
    message = f"a model of {kind.name} does not fill holes: there are none in them."
    raise UsageError("E108", message, hint="vectors, tables, images and parts may have holes")


def _check(model: VAE, kind: Kind, n: int | None, interval: float | None, samples: int) -> None:
    if not model.bottleneck.stochastic:
        raise UsageError(
            "E106", "this model's codes have no distribution to draw from.", hint="--preset iwae"
        )
    if samples < 1:
        raise UsageError(
            "E103", f"samples = {samples}: each row needs one draw or more.", hint="--samples 1000"
        )
    if n is not None and interval is not None:
        raise UsageError("E103", "--n and --intervals (n and interval) exclude each other.", hint="ask twice")
    if n is not None and not 1 <= n <= samples:
        raise UsageError("E103", f"n = {n}: from 1 to the {samples} draws of each row are possible.")
    if interval is not None and not 0 < interval < 1:
        raise UsageError(
            "E103", f"interval = {interval:g}: a probability between 0 and 1.", hint="--intervals 0.9"
        )
    if interval is not None and isinstance(kind, Parts):
        raise UsageError("E103", "parts have no intervals.", hint="--n 5 draws them several times")


def _notes(kind: Kind, holes: Holes, trained: int | None) -> list[str]:
    notes = list(holes.notes)
    if not holes.count:
        notes.append("nothing is missing: all is given back as it came.")
    empty = int(holes.all_in_row.sum())
    if empty:
        notes.append(
            f"{empty} rows hold nothing at all: they are filled with what the model expects of any row."
        )
    if trained is not None and trained < FEW_ROWS:
        notes.append(
            f"the model was trained on {trained} items: that says little; train on {FEW_ROWS} or more."
        )
    return notes


def _coarse(effective: np.ndarray, samples: int) -> list[str]:
    count = int((effective < min(LOW, samples / 4)).sum())
    told = f"{count} of {len(effective)} rows with holes rest on fewer than {LOW:.0f} effective draws: "
    return [told + "their figures are coarse; more --samples make them finer."] if count else []


@dataclass
class _Values:
    """For the rows with holes, in the form that `Holes.filled` takes: (M, …) each."""

    best: Any
    draws: list[Any]
    ends: list[Any]
    effective: Tensor


def widening(rows: float, parameters: int) -> float:
    """By how much deviations are too small that a model of `parameters` for each column, fitted to `rows`, expects.

        √((n + p) / (n − p)),  no more than √3

    The noise of a fit is smaller than that of new values, and what was fitted is itself uncertain.

    Source: Akaike (1969), Fitting autoregressive models for prediction (the final prediction error).

    Example:
        >>> round(widening(90, 7), 3), round(widening(10_000, 7), 3)
        (1.081, 1.001)
    """
    rows = max(rows, 2.0 * parameters)
    return math.sqrt((rows + parameters) / (rows - parameters))


def _parameters(model: VAE, holes: Holes) -> int:
    """What a decoder that is linear has for each column: a weight for each number of the code, and a mean."""
    batch = holes.items().batch(torch.tensor([0]))
    with torch.no_grad():
        return 1 + sum(
            math.prod(latent.z.shape[1:]) for latent in model.posterior(batch.x, batch.c, batch.mask)
        )


def _summary(kind: Kind, wider: float) -> _Plain | _Codes:
    return _Codes(kind, wider) if isinstance(kind, Table) else _Plain(kind, wider)


def _values(
    model: VAE,
    summary: _Plain | _Codes,
    holes: Holes,
    rows: Tensor,
    n: int,
    interval: float | None,
    samples: int,
    seed: int,
) -> _Values:
    count = len(rows)
    best, draws = summary.room(count), [summary.room(count) for _ in range(n)]
    ends = [] if interval is None else [summary.room(count), summary.room(count)]
    effective = torch.zeros(count, dtype=torch.float64)
    items = holes.items()  # holds the data against the kind, holes or none
    if count:
        items = items.subset(rows)
        for start in range(0, count, SIZE):
            place = torch.arange(start, min(start + SIZE, count))
            batch = items.batch(place)
            mask = torch.ones_like(batch.x, dtype=torch.bool) if batch.mask is None else batch.mask
            seen = torch.where(mask.bool(), batch.x, torch.zeros_like(batch.x))
            keys = content_keys(torch.cat([seen.flatten(1), mask.flatten(1).to(seen.dtype)], 1))
            for found in _possible(conditionals(model, batch.x, batch.c, mask, samples, seed, keys)):
                at = (start + found.rows).numpy()
                effective[at] = found.effective
                if not bool(found.effective.isfinite().all()):
                    continue  # `impute` refuses all such rows in the end, and names them
                noise = RowNoise(seed, "impute values", keys[found.rows])
                own = RowNoise(seed, "imputations", rows[at])
                best[at] = summary.best(found, noise)
                for one, drawn in zip(draws, summary.drawn(found, n, own), strict=True):
                    one[at] = drawn
                if interval is not None:
                    tail = (1 - interval) / 2
                    for end, reached in zip(
                        ends, summary.quantiles(found, [tail, 1 - tail], noise), strict=True
                    ):
                        end[at] = reached
    return _Values(best, draws, ends, effective)


def _possible(mixtures: Any) -> Any:
    """Say in the user's words what a model's likelihood does not allow."""
    try:
        yield from mixtures
    except ValueError as error:
        raise UsageError("E106", f"this model cannot fill holes: {error}.", hint="--preset iwae") from error


class _Plain:
    """Values as the model sees them, (M, *shape): what is decoded is decoded once, in the end.

    Args:
        kind: Vectors, images or parts.
        wider: What deviations of numbers from their mean are multiplied by, in draws.
    """

    def __init__(self, kind: Kind, wider: float) -> None:
        self.kind, self.wider = kind, wider
        self.numbers = kind.dim if isinstance(kind, Vectors) and not kind.family.discrete else 0

    def draws(self, found: Conditional, noise: Noise) -> Tensor:
        return drawn_wider(found, noise, self.wider, self.numbers)

    def room(self, count: int) -> Any:
        return torch.zeros(count, *self.kind.shape)

    def best(self, found: Conditional, noise: Noise) -> Tensor:
        return expected(found, found.px, bits=not self.kind.shows_mean)

    def drawn(self, found: Conditional, n: int, noise: Noise) -> list[Tensor]:
        """n draws of x for each of the mixture's data."""
        return drawn_values(found, n, noise, self.draws) if n else []

    def quantiles(self, found: Conditional, levels: list[float], noise: Noise) -> list[Tensor]:
        values = self.draws(found, noise)
        flat = weighted_quantiles(values.flatten(2).double(), found.weight, levels)
        return [one.unflatten(1, self.kind.shape).float() for one in flat]


class _Codes:
    """A table's cells as the codes of its columns, (M, columns). Arguments as above."""

    def __init__(self, kind: Table, wider: float) -> None:
        self.kind, self.wider = kind, wider

    def draws(self, found: Conditional, noise: Noise) -> Tensor:
        return drawn_wider(found, noise, self.wider, len(self.kind.scored))

    def room(self, count: int) -> Any:
        return torch.full((count, len(self.kind.modelled)), torch.nan, dtype=torch.float64)

    def codes(self, x: Tensor, uniform: np.ndarray) -> Tensor:
        """Parts (N, P) as codes, none of them missing; a rare category is chosen by a number in [0, 1) for each row."""
        kind, values = self.kind, x.double().numpy()
        heads = len(kind.scored) + len(kind.holed)
        score = {id(column): values[:, i] for i, column in enumerate(kind.scored)}
        level = {
            id(column): np.rint(values[:, heads + i]).astype(np.int64) for i, column in enumerate(kind.headed)
        }
        zeros = np.zeros(len(values), dtype=np.int64)
        found = [c.restored(level.get(id(c), zeros), score.get(id(c), uniform)) for c in kind.modelled]
        return torch.from_numpy(np.stack([np.asarray(one, dtype=np.float64) for one in found], 1))

    def drawn(self, found: Conditional, n: int, noise: Noise) -> list[Tensor]:
        if not n:
            return []
        uniform = noise.uniform((len(found.rows), n)).double().numpy()
        return [self.codes(x, uniform[:, i]) for i, x in enumerate(drawn_values(found, n, noise, self.draws))]

    def best(self, found: Conditional, noise: Noise) -> Tensor:
        """The mean of numbers, in their own units; the most probable level of categories."""
        codes = self._every(found, noise)  # (b, K, columns)
        mean = torch.einsum("bk,bkc->bc", found.weight, codes)
        likely = expected(found, found.px, bits=True)
        modes = self.codes(likely, np.zeros(len(likely)))
        for i, column in enumerate(self.kind.modelled):
            if not isinstance(column, Number):
                mean[:, i] = modes[:, i]
        return mean

    def quantiles(self, found: Conditional, levels: list[float], noise: Noise) -> list[Tensor]:
        return weighted_quantiles(self._every(found, noise), found.weight, levels)

    def _every(self, found: Conditional, noise: Noise) -> Tensor:
        x = self.draws(found, noise).flatten(0, 1)
        return self.codes(x, np.full(len(x), 0.5)).unflatten(0, found.weight.shape)


def expected(found: Conditional, px: Distribution, bits: bool) -> Tensor:
    """The best single value under a mixture, (b, *shape): means; of categories, and of bits, the most probable."""
    if isinstance(px, Joint):
        return torch.cat([expected(found, part, bits).float() for part in px.parts.values()], 1)
    if isinstance(px, Flattened):
        return expected(found, px.base, bits).flatten(1)
    if isinstance(px, Categorical):
        return found.expectation(px.probs).argmax(-1).float()
    if isinstance(px, Bernoulli) and bits:
        return (found.expectation(px.probs) > 0.5).float()
    try:
        return found.expectation(px.mean)
    except (NotImplementedError, AttributeError):  # text has no mean: its most probable member's centre
        best = found.weight.argmax(1)
        return center(px).unflatten(0, found.weight.shape)[torch.arange(len(best)), best]


def drawn_wider(found: Conditional, noise: Noise, wider: float, numbers: int) -> Tensor:
    """A draw of each member of a mixture, (b, K, *shape), the first `numbers` columns' deviations made wider."""
    values = draw(found.px, noise)[0].unflatten(0, found.weight.shape)
    if wider == 1 or not numbers:
        return values
    values = values.clone()
    center = torch.einsum("bk,bkc->bc", found.weight, values[..., :numbers].double()).unsqueeze(1)
    values[..., :numbers] = (center + wider * (values[..., :numbers] - center)).to(values.dtype)
    return values


def drawn_values(
    found: Conditional, n: int, noise: Noise, draws: Callable[[Conditional, Noise], Tensor]
) -> list[Tensor]:
    """n draws of x for each datum of a mixture, n times (b, *shape); no member's draw is used twice."""
    members = found.members(n, noise)  # (b, n)
    used: dict[tuple[int, int], int] = {}
    turn = torch.zeros_like(members)
    for i, row in enumerate(members.tolist()):
        for j, member in enumerate(row):
            turn[i, j] = used.get((i, member), 0)
            used[i, member] = int(turn[i, j]) + 1
    data = torch.arange(len(members)).unsqueeze(1).expand_as(members)
    rounds = [draws(found, noise) for _ in range(int(turn.max()) + 1)]
    made = torch.stack(rounds)[turn, data, members]  # (b, n, *shape)
    return list(made.unbind(1))


def weighted_quantiles(values: Tensor, weight: Tensor, levels: list[float]) -> list[Tensor]:
    """Quantiles of weighted values, (b, K, C) and (b, K) → (b, C) for each level.

    Example:
        >>> weighted_quantiles(torch.arange(5.0).view(1, 5, 1), torch.full((1, 5), 0.2), [0.5])
        [tensor([[2.]])]
    """
    ordered, order = values.sort(1)
    each = weight.unsqueeze(2).expand_as(values).gather(1, order)
    reached = each.cumsum(1) - each / 2
    last = values.shape[1] - 1
    places = [(reached < level).sum(1, keepdim=True).clamp(max=last) for level in levels]
    return [ordered.gather(1, place).squeeze(1) for place in places]
