"""Categories that training never had: to the model their cells are empty, and their rows are as odd as any can be."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from vaekit.data import Table, TableSource
from vaekit.errors import DataError
from vaekit.uses.why import NEVER, Cell


def emptied(kind: Table, source: TableSource) -> tuple[TableSource, dict[int, list[Cell]]]:
    """A table without the categories that training never had.

    Args:
        kind: Of the training table.
        source: The rows.

    Returns:
        The table with those cells empty, and what stood there, by row.
    """
    found: dict[int, list[Cell]] = {}
    cells: dict[str, Any] = {}
    for column in kind.modelled:
        if column.name not in source.frame:
            continue
        series = source.frame[column.name]
        gone = _unknown(column, series)
        if gone.any():
            cells[column.name] = series.astype(object).mask(gone)
        for row in np.flatnonzero(gone):
            found.setdefault(int(row), []).append(
                Cell(column.name, series.iloc[row], NEVER, math.inf, new=True)
            )
    return (replace(source, frame=source.frame.assign(**cells)) if cells else source), found


def _unknown(column: Any, series: Any) -> np.ndarray:
    """Which cells hold a category that a column does not know, (N,) of bool."""
    if _known(column, series):
        return np.zeros(len(series), dtype=bool)
    each = series.drop_duplicates()
    new = [value for i, value in enumerate(each) if not _known(column, each.iloc[i : i + 1])]
    return series.isin(new).to_numpy()


def _known(column: Any, series: Any) -> bool:
    """Whether a column knows every category of a series; what else is wrong with it is said elsewhere."""
    try:
        column.codes(series)
    except DataError as error:
        return error.code != "E217"
    return True


def raised(score: np.ndarray, usual: np.ndarray, unseen: Mapping[int, list[Cell]]) -> np.ndarray:
    """Scores (N,), those of rows with such cells above all others and above the usual ones."""
    if not unseen:
        return score
    score = score.copy()
    score[list(unseen)] = max(score.max(), usual.max()) + 1.0
    return score
