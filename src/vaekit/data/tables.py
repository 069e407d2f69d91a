"""Tables: rows of columns of mixed types, with holes.

A row becomes parts that stand side by side, and its likelihood is a `Joint` of them:

    numbers      a normal score for each number, counted where it is seen and no point mass
    present      a bit for each column that had holes: whether the cell is there
    categories   a level for each category, and for each number with point masses which of them it is

A cell that is missing is masked: it has no term in the likelihood, and the encoder sees nothing there. Numbers on a
grid (integers, two decimals, days) are spread evenly over their cell, so that a density bounds their probability.

Source: Theis, van den Oord, Bethge (2016), A note on the evaluation of generative models, arXiv:1511.01844 (uniform
dequantisation).
"""

from __future__ import annotations

import difflib
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import PurePath
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from vaekit.data.batch import Batch
from vaekit.data.checks import listed
from vaekit.data.columns import Category, Column, Dropped, Number
from vaekit.data.conversions import read_again
from vaekit.data.given import Given
from vaekit.data.images import Images
from vaekit.data.kind import Kind
from vaekit.data.loaded import TableSource
from vaekit.data.together import Together
from vaekit.distributions import (
    Bernoulli,
    Categories,
    Columns,
    Family,
    Gaussian,
    Noise,
    PerDimension,
    RowNoise,
    Scale,
    content_keys,
)
from vaekit.errors import DataError, UsageError, nearest
from vaekit.networks import DECODER_GAIN, MLP, Cells
from vaekit.recipes import configurable

FEW = 64  # up to so many features the small networks do
SMALL, LARGE = (128, 128), (256, 256)
FARTHEST = 1e4  # a score beyond it says no more than that the value is far out


class Places(NamedTuple):
    """Where the parts of one column stand in a row; None where it has no such part."""

    score: int | None
    bit: int | None
    head: int | None


@configurable
class Table(Kind):
    """Rows of a table.

    Args:
        columns: Every column of the table, in order.
        numbers: The likelihood of scores; None is a Gaussian with one scale per column.
        given: Names of the columns that condition the model in place of being modelled.
        combinations: Codes of the given columns that came together in training, a list for each; None for a hole.
        combination_shares: How often each did.
        label: Name of the column whose levels are shown as labels, or None.
        together: Columns of which one decides another; new rows keep to the combinations of training.

    Attributes:
        modelled: The columns that have parts in a row.
        scored, holed, headed: Those with a score, a bit of presence, and categories, in the order of their parts.

    Raises:
        ValueError: No column can be modelled.

    Example:
        >>> import pandas as pd
        >>> from vaekit.data.recognise import recognise
        >>> frame = pd.DataFrame({"size": [1.5, 2.5, 4.0], "sex": ["f", "m", None]})
        >>> kind = Table(recognise(TableSource(frame)))
        >>> kind.decode(kind.encode(kind.store(frame)).x).equals(frame)
        True
    """

    name = "table"
    decodes_draws = True

    def __init__(
        self,
        columns: Sequence[Column],
        numbers: Family | None = None,
        given: Sequence[str] = (),
        combinations: Sequence[Sequence[float | None]] = (),
        combination_shares: Sequence[float] = (),
        label: str | None = None,
        together: Sequence[Together] = (),
    ) -> None:
        self.columns, self.given, self.label = list(columns), tuple(given), label
        self.together = list(together)
        self.combinations, self.combination_shares = list(combinations), list(combination_shares)
        self.modelled = [c for c in self.columns if c.name not in self.given and not isinstance(c, Dropped)]
        self.scored = [c for c in self.modelled if c.scored]
        self.holed = [c for c in self.modelled if c.holes > 0]
        self.headed = sorted((c for c in self.modelled if c.levels > 1), key=lambda c: c.levels)
        if not self.scored and not self.holed and not self.headed:
            raise ValueError("every column is empty, constant, or names rows: there is nothing to model")
        self.numbers = Gaussian(PerDimension((len(self.scored),))) if numbers is None else numbers
        self.family = self._joint(self.numbers)
        self._given = Given(
            [c for c in self.columns if c.name in self.given], self.combinations, self.combination_shares
        )
        self.conditional = bool(self.given)

    def __repr__(self) -> str:
        given = f", given {', '.join(self.given)}" if self.given else ""
        return f"Table({self.dims} columns{given})"

    @property
    def shape(self) -> tuple[int, ...]:  # type: ignore[override]
        """(P,), the parts of a row."""
        return (len(self.scored) + len(self.holed) + len(self.headed),)

    @property
    def dims(self) -> int:
        return len(self.modelled)

    @property
    def labels(self) -> tuple[str, ...]:  # type: ignore[override]
        found = self._labelling
        return () if found is None else tuple(map(str, [*found.values, *found.rare]))

    @property
    def frequencies(self) -> tuple[float, ...]:  # type: ignore[override]
        found = self._labelling
        return () if found is None else (*found.shares, *found.rare_shares)

    @property
    def _labelling(self) -> Category | None:
        """The column whose categories are the labels."""
        return next((c for c in self.columns if c.name == self.label and isinstance(c, Category)), None)

    @property
    def parts(self) -> list[str]:
        """What each part of a row is, in order."""
        present = [f"{c.name} is there" for c in self.holed]
        heads = [f"{c.name}: which value" if c.scored else c.name for c in self.headed]
        return [c.name for c in self.scored] + present + heads

    def places(self, column: Column) -> Places:
        """Where the parts of a modelled column stand in a row."""
        bits, heads = len(self.scored), len(self.scored) + len(self.holed)
        groups = ((0, self.scored), (bits, self.holed), (heads, self.headed))
        found = [start + group.index(column) if column in group else None for start, group in groups]
        return Places(*found)

    def logits(self, px: Any, column: Column) -> Tensor:
        """The logits of a headed column's levels in p(x | z) of N rows, (N, levels)."""
        place = self.headed.index(column)
        for name, part in px.parts.items():
            if name in ("numbers", "present"):
                continue
            if place < part.logits.shape[1]:
                return part.logits[:, place, : column.levels]
            place -= part.logits.shape[1]
        raise ValueError(f"{column.name} has no levels in this likelihood")

    @property
    def shown(self) -> list[Column]:
        """The columns of a new table: all but those that name rows."""
        return [c for c in self.columns if not isinstance(c, Dropped) or c.word == "empty"]

    # ------------------------------------------------------------------ the likelihood and the networks

    def _joint(self, numbers: Family) -> Columns:
        """The groups of a row: scores, bits, and categories of about the same number of levels together."""
        groups: list[tuple[str, Family, int]] = []
        if self.scored:
            groups.append(("numbers", numbers, len(self.scored)))
        if self.holed:
            groups.append(("present", Bernoulli(), len(self.holed)))
        sizes: dict[int, list[int]] = {}
        for column in self.headed:
            sizes.setdefault(math.ceil(math.log(column.levels, 4)), []).append(column.levels)
        groups += [
            (f"up to {4**power} categories", Categories(levels), len(levels))
            for power, levels in sizes.items()
        ]
        names, families, widths = zip(*groups, strict=True)
        return Columns(names, families, widths)

    def family_with(self, scale: Scale) -> Family:
        """The likelihood with another scale of its numbers."""
        return self._joint(Gaussian(scale))

    def encoder(self, outputs: int, condition: int = 0) -> nn.Module:
        levels = [column.levels for column in self.headed]
        plain = len(self.scored) + len(self.holed)
        features = plain + sum(levels)
        net = MLP(features, outputs, hidden=self._hidden, condition=condition, linear=True)
        return Cells(plain, levels, net)

    def decoder(self, inputs: int, family: Family | None = None, condition: int = 0) -> nn.Module:
        outputs = (family or self.family).size(self.shape[0])
        return MLP(
            inputs, outputs, hidden=self._hidden, condition=condition, gain=DECODER_GAIN, linear=True
        )  # fmt: skip

    @property
    def _hidden(self) -> tuple[int, ...]:
        features = self.shape[0] + sum(column.levels for column in self.headed)
        return SMALL if features <= FEW else LARGE

    # ------------------------------------------------------------------ from cells to parts

    def store(self, values: Any) -> Tensor:
        """Take a table into storage form.

        Args:
            values: A DataFrame, or what else `read` takes for a table, with the training columns by name.

        Returns:
            (N, W) float32: parts with each score at the beginning of its cell, the cells' widths, marks of what counts,
            and the condition.

        Raises:
            DataError: E216 a column is missing or of another type, E217 a category is new, E203 a number is too large;
                with row and column.
        """
        frame, where = self._frame(values)
        codes = {c.name: c.codes(frame[c.name], where) for c in self.columns if c.name in frame}
        count = len(frame)
        starts, widths, counted = [], [], []
        for column in self.scored:
            found = codes[column.name]
            start, width = column.score(found)  # type: ignore[attr-defined]
            other = (
                column.level(found) == column.levels - 1 if column.levels > 1 else np.ones(count, dtype=bool)
            )
            seen = ~np.isnan(found) & other
            starts.append(np.where(seen, start, 0.0).clip(-FARTHEST, FARTHEST))
            widths.append(np.where(seen, width, 0.0))
            counted.append(seen)
        bits = [~np.isnan(codes[column.name]) for column in self.holed]
        heads = [column.level(codes[column.name]) for column in self.headed]
        marks = counted + [np.ones(count, dtype=bool) for _ in bits]
        marks += [~np.isnan(codes[column.name]) for column in self.headed]
        parts = [*starts, *bits, *heads, *widths, *marks]
        table = np.stack([np.asarray(part, dtype=np.float32) for part in parts], 1)
        return torch.from_numpy(np.concatenate([table, self._given.features(codes, count)], 1))

    def _frame(self, values: Any) -> tuple[Any, str]:
        """The cells as a DataFrame that has every column which is needed, and where they came from."""
        from vaekit.data.objects import read_object

        source = values if isinstance(values, TableSource) else read_object(values)
        if not isinstance(source, TableSource):
            source = TableSource(self.named(np.asarray(source.values)), path=source.path)
        frame, needed = source.frame, [c.name for c in self.columns if not isinstance(c, Dropped)]
        missing = [name for name in needed if name not in frame]
        new = [str(name) for name in frame if str(name) not in {c.name for c in self.columns}]
        if missing:
            message = f"{len(missing)} of {len(needed)} columns are missing: {listed(missing)}."
            raise DataError("E216", message, where=source.path, hint=_renamed(missing, new))
        if new:
            warnings.warn(f"columns that the model does not know are left out: {listed(new)}.", stacklevel=3)
        return self._dated(source), source.path

    def _dated(self, source: TableSource) -> Any:
        """The cells, dates that could be read in two forms read in training's."""
        forms = {c.name: c.form for c in self.columns if isinstance(c, Number) and c.form}
        words = {name: form for name, form in forms.items() if source.frame[name].dtype.kind not in "Mm"}
        spelled = {name: _spelled(source.frame[name], form, source.path) for name, form in words.items()}
        source = replace(source, frame=source.frame.assign(**spelled)) if spelled else source
        other = [name for name, form in forms.items() if source.formats.get(name, form) != form]
        again = {name: read_again(source.frame[name], source.formats[name], forms[name]) for name in other}
        return source.frame.assign(**again) if again else source.frame

    def named(self, values: np.ndarray) -> Any:
        """An array as a frame: its columns are the training table's, in order."""
        import pandas as pd

        names = [c.name for c in self.columns]
        if np.ndim(values) != 2 or values.shape[1] != len(names):
            message = f"rows of {len(names)} columns are expected, not an array of shape {np.shape(values)}."
            raise DataError("E216", message, hint="give a DataFrame with the training table's columns")
        return pd.DataFrame(values, columns=names)

    def index(self, source: TableSource) -> Tensor | None:
        """The label of each row of a table, (N,) places in `labels`, −1 where it is missing; None without a label."""
        column = self._labelling
        if column is None:
            return None
        found = column.codes(source.frame[column.name], source.path)
        return torch.from_numpy(np.where(np.isnan(found), -1, found).astype(np.int64))

    def encode(self, raw: Tensor, labels: Tensor | None = None, noise: Noise | None = None) -> Batch:
        """Rows in storage form as a batch.

        Args:
            raw: (B, W).
            labels: (B,) places in `labels`, or None.
            noise: Where in its cell a number on a grid is taken to be; without it that depends on the row alone.
        """
        parts, scores = self.shape[0], len(self.scored)
        x, mask = raw[:, :parts], raw[:, parts + scores : 2 * parts + scores] > 0
        if any(column.grid for column in self.scored):  # type: ignore[attr-defined]
            noise = RowNoise(0, "cell", content_keys(raw)) if noise is None else noise
            place = noise.uniform((len(raw), scores), raw)
            x = torch.cat([x[:, :scores] + raw[:, parts : parts + scores] * place, x[:, scores:]], 1)
        c = raw[:, 2 * parts + scores :] if self.conditional else None
        return Batch(x, c=c, mask=None if bool(mask.all()) else mask, y=labels)

    def log_volume(self, batch: Batch, family: Family | None = None) -> float | Tensor:
        """Σ log |d score / d value| over the numbers that count, −log h for a point mass spread over its cell, (B,).

        Every number on a grid of step h is so a density in its own units; for whole numbers (h = 1) it bounds their
        probability. Categories, and point masses of a continuum, are probabilities.
        """
        if not self.scored:
            return 0.0
        scores = batch.x[:, : len(self.scored)].double().cpu().numpy()
        each = np.stack([np.log(c.slope(scores[:, i])) for i, c in enumerate(self.scored)], 1)  # type: ignore[attr-defined]
        if batch.mask is not None:
            each = np.where(batch.mask[:, : len(self.scored)].cpu().numpy(), each, 0.0)
        spread = self._spread(batch).to(batch.x.device)
        return torch.from_numpy(each.sum(1)).float().to(batch.x.device) + spread

    def _spread(self, batch: Batch) -> Tensor:
        """−Σ log h over the point masses of numbers with steps h, (B,)."""
        first, total = self.shape[0] - len(self.headed), torch.zeros(len(batch))
        for place, column in enumerate(self.headed, start=first):
            if isinstance(column, Number) and column.grid not in (0.0, 1.0):
                special = batch.x[:, place].cpu() < len(column.special)
                seen = True if batch.mask is None else batch.mask[:, place].cpu().bool()
                total -= math.log(column.grid) * (special & seen)
        return total

    # ------------------------------------------------------------------ from parts to cells

    def decode(self, x: Tensor, c: Tensor | None = None) -> Any:
        """Parts as a DataFrame with the training table's columns, types, categories and ranges.

        Args:
            x: (B, P) parts, drawn or most probable.
            c: (B, A) the condition; without it the given columns have their most frequent values.
        """
        import pandas as pd

        series = [column.cells(codes) for column, codes in self.restored(x, c)]
        return pd.concat(series, axis=1) if series else pd.DataFrame(index=range(len(x)))

    def restored(self, x: Tensor, c: Tensor | None = None) -> list[tuple[Column, np.ndarray]]:
        """As `decode`, each column with its codes, (B,) with NaN in the holes."""
        values = x.detach().cpu().double()
        scores = {id(col): values[:, i].numpy() for i, col in enumerate(self.scored)}
        holes = {id(col): values[:, len(self.scored) + i].numpy() < 0.5 for i, col in enumerate(self.holed)}
        heads = len(self.scored) + len(self.holed)
        levels = {id(col): values[:, heads + i].round().long().numpy() for i, col in enumerate(self.headed)}
        given = self._given.codes(None if c is None else c.detach().cpu(), len(x))
        spread = np.zeros(0)
        if len(x):
            spread = RowNoise(0, "rare", content_keys(x)).uniform((len(x), 1)).squeeze(1).double().numpy()
        found = []
        for column in self.shown:
            if column.name in given:
                codes = given[column.name]
            else:
                level = levels.get(id(column), np.zeros(len(x), dtype=np.int64))
                codes = column.restored(level, scores.get(id(column), spread))
                codes = np.where(holes.get(id(column), np.zeros(len(x), dtype=bool)), np.nan, codes)
            found.append((column, codes))
        return found

    def frame(self, values: Any) -> Any:
        """A table with the columns that new rows have, in the types of training; time spans as numbers of their unit.

        Its `attrs["source"]` is the file that it came from.

        Raises:
            DataError: As in `store`.
        """
        import pandas as pd

        frame, where = self._frame(values)
        columns = [column for column in self.shown if not isinstance(column, Dropped)]
        found = []
        for column in columns:
            codes = column.codes(frame[column.name], where)
            spans = column.word == "time span"
            found.append(pd.Series(codes, name=column.name) if spans else column.cells(codes))
        made = pd.concat(found, axis=1)
        made.attrs["source"] = str(where)
        return made

    def written(self, frame: Any) -> Any:
        """A table as it was written where it came from: dates in their own form."""
        forms = {
            column.name: column.form for column in self.columns if isinstance(column, Number) and column.form
        }
        return frame.assign(
            **{name: frame[name].dt.strftime(form) for name, form in forms.items() if name in frame}
        )

    # ------------------------------------------------------------------ conditions

    @property
    def condition_width(self) -> int:
        return self._given.width

    def conditions(self, n: int, where: Mapping[str, Any] | None, noise: Noise) -> Tensor | None:
        """As in `Kind.conditions`: given columns by name; the others as they came together in training."""
        self._refuse_unknown(where)
        return self._given.drawn(n, where or {}, noise) if self.given else None

    def _refuse_unknown(self, where: Mapping[str, Any] | None) -> None:
        names = [column.name for column in self.shown]
        for name in where or {}:
            if name not in names:
                raise UsageError("E103", f"there is no column {name!r}; {nearest(name, names)}")
            if name not in self.given:
                hint = f"vaekit sample with --where, or train with --preset conditional_vae --labels {name}"
                raise UsageError("E103", f"this model is not conditioned on {name!r}.", hint=hint)


def refuse_table(kind: Images, source: TableSource) -> None:
    """A table is no pictures.

    Raises:
        DataError: E108, always, with what each of them is.
    """
    name = PurePath(source.path).name or "what came"
    message = f"this run is of {kind.height}x{kind.width} images, and {name} is a table"
    raise DataError(
        "E108",
        f"{message} of {listed([*source.frame], 5)}.",
        hint="images, or a run that was trained on a table",
    )


def _renamed(missing: Sequence[str], new: Sequence[str]) -> str:
    """What to do about missing columns: name those that came under other names, or ask whether it is the right table.

    Example:
        >>> _renamed(["pay"], ["Pay", "name"]), _renamed(["pay", "age"], ["x0", "x1"])
        ('rename Pay to pay', 'the table has x0, x1 besides: is this the right run?')
    """
    plain, found = {name.casefold(): name for name in new}, []
    for name in missing:
        close = difflib.get_close_matches(name.casefold(), plain, n=1)
        found += [f"rename {plain.pop(close[0])} to {name}"] if close else []
    if found:
        return ", ".join(found[:3])
    return (
        f"the table has {listed(new)} besides: is this the right run?"
        if new
        else "give the columns of the training table"
    )


def _spelled(series: Any, form: str, where: str) -> Any:
    """Words as the dates that they spell in training's form.

    Raises:
        DataError: E216, one spells none (the first row is named).
    """
    import pandas as pd

    if series.isna().all():
        return series
    found = pd.to_datetime(series.astype(object), format=form, errors="coerce")
    bad = np.flatnonzero((found.isna() & series.notna()).to_numpy())
    if len(bad):
        usual = pd.Timestamp(2024, 12, 31).strftime(form)
        shown = str(series.iloc[int(bad[0])])[:40]
        message = (
            f"column {series.name!r}, row {bad[0]}: {shown!r} is no date; dates are written like {usual}."
        )
        raise DataError("E216", message, where=where, hint="mend the cell, or empty it")
    return found
