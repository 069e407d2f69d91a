"""Which kind a table is: its columns, their likelihood, which of them are labels or given, each with its reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vaekit.data.checks import enough
from vaekit.data.columns import Category, Column, Dropped
from vaekit.data.given import combinations
from vaekit.data.images import Images
from vaekit.data.kind import Kind
from vaekit.data.likelihoods import LIKELIHOODS, Setting
from vaekit.data.loaded import Source, TableSource
from vaekit.data.recognise import recognise
from vaekit.data.tables import Table, refuse_table
from vaekit.data.together import found_together
from vaekit.distributions import Family
from vaekit.errors import DataError, UsageError

NUMBERS = ("gaussian", "laplace", "student_t")  # likelihoods of a table's numbers


def detect_table(
    source: TableSource,
    likelihood: str = "auto",
    minimum: int = 2,
    told: Mapping[str, str] | None = None,
    conditional: bool = False,
) -> tuple[Table, list[str]]:
    """The kind of a table, and the reasons for it.

    Args:
        source: The table.
        likelihood: Of its numbers: "auto" or one of `NUMBERS`.
        minimum: Fewer rows than this are too few.
        told: Column → number, category or drop, where the user knows better.
        conditional: Whether the label columns condition the model in place of being modelled.

    Raises:
        DataError: E207 too few rows, E208 nothing to model, and those of `recognise`.
        UsageError: E103 another likelihood, E105 conditional without label columns.

    Example:
        >>> import pandas as pd
        >>> kind, reasons = detect_table(TableSource(pd.DataFrame({"a": [1.5, 2.5, 4.0], "b": [True, False, True]})))
        >>> kind, reasons[1]
        (Table(2 columns), 'b: boolean, 2 different truth values.')
    """
    if likelihood not in ("auto", *NUMBERS):
        message = f"the {likelihood} likelihood is not for a table's numbers."
        raise UsageError("E103", message, hint=f"--likelihood auto, or one of {', '.join(NUMBERS)}")
    enough(len(source), minimum, source.path)
    columns = recognise(source, told)
    reasons = [_reason(column) for column in columns]
    given, label = _roles(source, columns, conditional, reasons)
    chosen = [column for column in columns if column.name in given]
    codes = {column.name: column.codes(source.frame[column.name]) for column in columns}
    came, shares = combinations([codes[column.name] for column in chosen])
    together = found_together(columns, codes)
    reasons += [f"{' and '.join(t.columns)}: {len(t.rows)} combinations, kept in new rows." for t in together]
    try:
        numbers = _numbers(columns, given, likelihood)
        return Table(columns, numbers, given, came, shares, label, together), reasons
    except ValueError as error:
        raise DataError("E208", f"{error}.", where=source.path) from None


def _reason(column: Column) -> str:
    holes = f"; {column.holes:.1%} of the cells are empty" if 0 < column.holes < 1 else ""
    left = ", left out" if isinstance(column, Dropped) else ""
    return f"{column.name}: {column.word}{left}, {column.why}{holes}."


def _roles(
    source: TableSource, columns: Sequence[Column], conditional: bool, reasons: list[str]
) -> tuple[tuple[str, ...], str | None]:
    """Which columns condition the model, and which one's categories are shown as labels."""
    names = source.label_columns
    if conditional and not names:
        hint = "--labels COLUMN, or several with commas between them"
        raise UsageError("E105", "this preset needs columns that condition it.", hint=hint)
    known = {column.name: column for column in columns}
    for name in names:
        if isinstance(known[name], Dropped):
            message = f"column {name!r} cannot be a label: {known[name].word}, {known[name].why}."
            raise DataError("E214", message, where=source.path)
    if conditional:
        reasons.append(f"the model is conditioned on {', '.join(names)}.")
    label = next((name for name in names if isinstance(known[name], Category)), None)
    return (tuple(names) if conditional else ()), label


def _numbers(columns: Sequence[Column], given: Sequence[str], likelihood: str) -> Family | None:
    count = sum(column.scored for column in columns if column.name not in given)
    return (
        None if likelihood == "auto" or not count else LIKELIHOODS[likelihood](Setting("vectors", count, 0))
    )


def as_table(source: Source) -> TableSource:
    """An array (N, D) as a table with columns x0, x1, …."""
    import pandas as pd

    if source.values.ndim != 2:
        message = f"a table has rows and columns, not {source.values.ndim} axes {source.values.shape}."
        raise DataError("E212", message, where=source.path)
    names = [f"x{i}" for i in range(source.values.shape[1])]
    return TableSource(pd.DataFrame(source.values, columns=names), path=source.path, notes=source.notes)


def as_vectors(source: TableSource) -> Source:
    """A table of numbers without holes as an array (N, D).

    Raises:
        DataError: E215, a column holds something else (the first is named).
    """
    from pandas.api import types

    for name in source.frame:
        if not types.is_numeric_dtype(source.frame[name]):
            message = f"vectors are numbers, and column {name!r} holds {source.frame[name].dtype} cells."
            raise DataError("E215", message, where=source.path, hint="--kind table")
    values = source.frame.to_numpy(dtype=np.float64, na_value=np.nan)
    return Source(values, path=source.path, notes=source.notes)


def as_arrays(kind: Kind, source: Any) -> Any:
    """A source as a kind without columns of types takes it: of a table the numbers, all else as it is.

    Raises:
        DataError: E108, the kind is of pictures; E215, a column does not hold numbers.
    """
    if not isinstance(source, TableSource):
        return source
    if isinstance(kind, Images):
        refuse_table(kind, source)
    return as_vectors(source)


def table_card(source: TableSource, kind: Table) -> dict[str, Any]:
    """What the data card says about a table's columns."""
    return {
        "columns": kind.parts,
        "types": [
            {
                "name": column.name, "type": column.word, "why": column.why, "holes": round(column.holes, 6),
                "dtype": column.dtype, "role": _role(column, kind), **_range(column),
            }
            for column in kind.columns
        ],
    }  # fmt: skip


def _role(column: Column, kind: Table) -> str:
    if isinstance(column, Dropped):
        return "left out"
    return "given" if column.name in kind.given else "modelled"


def _range(column: Column) -> dict[str, Any]:
    if isinstance(column, Category):
        return {"categories": len(column.values) + len(column.rare)}
    low, high = getattr(column, "low", None), getattr(column, "high", None)
    if low is None or high is None:
        return {}
    return {"low": _shown(column, low), "high": _shown(column, high)}


def _shown(column: Column, code: float) -> Any:
    value = column.cells(np.array([code])).iloc[0]
    value = value.item() if isinstance(value, np.generic) else value
    return value if isinstance(value, int | float) else str(value)
