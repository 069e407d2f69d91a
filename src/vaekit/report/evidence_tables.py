"""What the report shows of a table, as plain arrays; places of columns are places in `table_names`.

    table_*    (C,)      names and types of the columns that vary, their errors of shape and those of training rows
    column_*   (k, …)    the worst columns: shares of held-out and of sampled rows in bins or categories
    pair_*     (m, m)    errors of the trends of pairs; (k, 2) the worst pairs
    hole_*     (C,)      share of empty cells
    rebuilt_*  (r,)      how well each column is reconstructed, and what a constant guess would reach
    row_*      (8, c)    cells of sampled rows, as text
    change_*   (d, c)    how far each latent dimension moves the distribution of each column

Errors stand beside a floor: those of as many training rows as were sampled, which chance alone gives; a model beats
them by luck only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vaekit.data import Items, Table
from vaekit.data.columns import Category, Column, Dropped, Number
from vaekit.distributions import center
from vaekit.evaluation.tables import Comparison, compare
from vaekit.model import VAE
from vaekit.operations import reconstruct
from vaekit.report.histograms import histogram
from vaekit.report.parts import Parts
from vaekit.report.style import number
from vaekit.report.view import values

WORST = 10  # columns and pairs that are shown one by one
PAIRED, MATRIX = 60, 30  # columns whose pairs are compared, and that are shown as a matrix
ROWS, CELLS, CELL = 8, 12, 24  # sampled rows, their columns, characters of a cell
CHANGED = 20  # columns of the traversals
NAME = 80  # characters kept of a column's name

Arrays = dict[str, np.ndarray]


def varying(kind: Table) -> list[Column]:
    """The columns of a new table that are not the same in every row."""
    return [c for c in kind.shown if not isinstance(c, Dropped) and (c.levels > 1 or c.scored or c.holes > 0)]


def described(kind: Table) -> Arrays:
    """Names and types of the columns that vary."""
    columns = varying(kind)
    return {
        "table_names": np.array([c.name[:NAME] for c in columns]),
        "table_types": np.array([c.word for c in columns]),
    }


def frame_of(kind: Table, items: Items) -> Any:
    """Items as a table."""
    batch = items.batch(torch.arange(len(items)))
    return kind.decode(values(batch), batch.c)


# ---------------------------------------------------------------------- sampled rows against held-out ones


def sampled(kind: Table, real: Any, drawn: Any, train: Any) -> Arrays:
    """How like the held-out rows the sampled ones are, and how like them training rows are.

    Args:
        kind: The table.
        real: Held-out rows, a DataFrame.
        drawn: Sampled rows, as many or more.
        train: As many training rows as were sampled.
    """
    columns = varying(kind)
    tables = [_comparable(columns, frame) for frame in (real, drawn, train)]
    names = [c.name for c in columns]
    chosen = np.unique(np.linspace(0, len(names) - 1, min(len(names), PAIRED)).round().astype(int))
    some = [names[i] for i in chosen]
    together = [compare(tables[0][some], other[some]) for other in tables[1:]]
    shape, floor = (
        _shapes(tables[0], other, names, found) for other, found in zip(tables[1:], together, strict=True)
    )
    worst = np.argsort(-shape, kind="stable")[:WORST]
    arrays = {"table_shape": shape, "table_floor": floor, "column_index": worst}
    arrays |= histogram([columns[i] for i in worst], real, drawn)
    return arrays | _pairs(chosen, *together) | _holes(names, *tables) | _rows(kind, drawn)


def _comparable(columns: Sequence[Column], frame: Any) -> Any:
    """The columns that vary; time spans as numbers, because `compare` knows no spans."""
    spans = {c.name: c.codes(frame[c.name]) for c in columns if c.word == "time span"}
    return frame[[c.name for c in columns]].assign(**spans)


def _shapes(real: Any, other: Any, names: list[str], found: Comparison) -> np.ndarray:
    """The error of each column, (C,): of those that were compared in pairs as found, of the others alone."""
    return np.array([
        found.columns[name] if name in found.columns else compare(real[[name]], other[[name]]).columns[name]
        for name in names
    ])  # fmt: skip


def _holes(names: list[str], real: Any, drawn: Any, train: Any) -> Arrays:
    share = {
        f"hole_{what}": frame[names].isna().mean().to_numpy(np.float64)
        for what, frame in (("real", real), ("sampled", drawn), ("train", train))
    }
    return share if any(part.any() for part in share.values()) else {}


def _pairs(chosen: np.ndarray, found: Comparison, floor: Comparison) -> Arrays:
    """Errors of trends between the chosen columns: of many columns only some, because there are too many pairs."""
    names = list(found.columns)
    if len(names) < 2:
        return {}
    matrix, worst = _matrix(names, found), found.worst_pairs(WORST)
    place = dict(zip(names, chosen.tolist(), strict=True))
    shown = np.sort(np.argsort(-matrix.sum(0), kind="stable")[:MATRIX])
    return {
        "pair_compared": chosen,
        "pair_columns": chosen[shown], "pair_matrix": matrix[np.ix_(shown, shown)].astype(np.float32),
        "pair_worst": np.array([[place[a], place[b]] for (a, b), _ in worst]),
        "pair_error": np.array([error for _, error in worst]),
        "pair_floor": np.array([floor.pairs[pair] for pair, _ in worst]),
        "pair_mean": np.array([found.trend_error, floor.trend_error], dtype=np.float64),
    }  # fmt: skip


def _matrix(names: list[str], found: Comparison) -> np.ndarray:
    place = {name: i for i, name in enumerate(names)}
    matrix = np.zeros((len(names), len(names)))
    for (a, b), error in found.pairs.items():
        matrix[place[a], place[b]] = matrix[place[b], place[a]] = error
    return matrix


def _rows(kind: Table, drawn: Any) -> Arrays:
    shown = [c.name for c in kind.shown if not isinstance(c, Dropped)]
    text = kind.written(drawn[shown].head(ROWS))[shown[:CELLS]]
    return {
        "row_names": np.array([name[:NAME] for name in text]),
        "row_cells": np.array([[_cell(value) for value in row] for row in text.astype(object).to_numpy()]),
        "row_more": np.asarray(max(0, len(shown) - CELLS)),
    }


def _cell(value: Any) -> str:
    """A cell as short text; a hole is empty."""
    import pandas as pd

    if pd.isna(value):
        return ""
    plain = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    text = number(float(value), 4) if plain else str(value).removesuffix(" 00:00:00").removeprefix("0 days ")
    return text if len(text) <= CELL else text[: CELL - 1] + "…"


# ---------------------------------------------------------------------- reconstruction


def rebuilt(model: VAE, kind: Table, seen: Items) -> Arrays:
    """Each modelled column of held-out rows beside its most probable reconstruction, where there is a cell.

    Numbers: 1 − Σ |x − x̂| / Σ |x − median|. Categories: the share that is right. Neither counts holes.
    """
    parts = Parts(kind)
    batch = seen.batch(torch.arange(len(seen))).to(next(model.parameters()).device)
    x, made = values(batch), reconstruct(model, batch.x, batch.c, batch.mask)
    for place in parts.bit.values():  # so that a value is there to be compared
        made[:, place] = x[:, place]
    real, guess = kind.decode(x, batch.c), kind.decode(made, batch.c)
    place_of = {c.name: i for i, c in enumerate(varying(kind))}
    found = []
    for column in parts.columns:
        one, other = column.codes(real[column.name]), column.codes(guess[column.name])
        there = ~np.isnan(one) & ~np.isnan(other)
        score = _rebuilt(column, one[there], other[there]) if there.any() else None
        if score is not None:
            found.append((place_of[column.name], *score, isinstance(column, Number)))
    if not found:
        return {}
    index, reached, base, numeric = zip(*found, strict=True)
    return {
        "rebuilt_index": np.array(index), "rebuilt_score": np.array(reached),
        "rebuilt_base": np.array(base), "rebuilt_number": np.array(numeric),
    }  # fmt: skip


def _rebuilt(column: Column, real: np.ndarray, guess: np.ndarray) -> tuple[float, float] | None:
    """What is reached, and what a constant guess would reach; None where nothing varies."""
    if isinstance(column, Number):
        spread = np.abs(real - np.median(real)).mean()
        return None if spread == 0 else (float(1 - np.abs(real - guess).mean() / spread), 0.0)
    levels = column.level(real)
    if column.levels < 2:
        return None
    return float((levels == column.level(guess)).mean()), float(np.bincount(levels).max() / len(levels))


# ---------------------------------------------------------------------- traversals


def changed(model: VAE, kind: Table, ends: Tensor, c: Tensor | None) -> Arrays:
    """How far the distribution of each column moves from one end of a latent dimension to the other.

    The total variation distance in [0, 1] of what the two ends give, a number's score taken as normal with the spread
    of the whole column.

    Args:
        model: The model.
        kind: The table.
        ends: (2, d, D) codes: the low end of each dimension, then the high one.
        c: (1, A) the condition of all of them, or None.
    """
    parts = Parts(kind)
    flat = ends.flatten(0, 1)
    px: Any = model.decode(flat, None if c is None else c.expand(len(flat), -1))
    middle = center(px).cpu().double()
    chances = {name: chance.cpu().double() for name, chance in parts.probabilities(px).items()}
    bits = px.parts["present"].mean.cpu().double() if parts.bit else torch.zeros(len(flat), 0)
    moved = [
        _moved(column, parts, middle, bits, chances.get(column.name), ends.shape[1])
        for column in parts.columns
    ]
    size = np.stack([m[0] for m in moved], 1)
    text = np.stack([m[1] for m in moved], 1)
    place_of = {c.name: i for i, c in enumerate(varying(kind))}
    index = np.array([place_of.get(c.name, -1) for c in parts.columns])
    order = np.argsort(-size.max(0), kind="stable")
    order = order[index[order] >= 0][:CHANGED]
    return {
        "change_size": size[:, order].astype(np.float32), "change_text": text[:, order],
        "change_index": index[order],
    }  # fmt: skip


def _moved(
    column: Column, parts: Parts, middle: Tensor, bits: Tensor, chance: Tensor | None, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """The distance of each dimension's ends (d,), and where the column goes, in a word (d,)."""
    size, common = np.zeros(count), np.ones(count)
    if chance is not None:
        low, high = chance.numpy()[:count], chance.numpy()[count:]
        size = np.abs(low - high).sum(1) / 2
        common = np.minimum(low[:, -1], high[:, -1])  # what is left to the score
    if column.scored:
        score = middle[:, parts.score[column.name]]
        size = size + common * torch.erf((score[count:] - score[:count]).abs() / 8**0.5).numpy()
    text = _direction(column, parts, middle, chance, count)
    if column.name in parts.bit:
        there = bits[:, parts.bit[column.name] - len(parts.scored)].numpy()
        low, high = there[:count], there[count:]
        inner, appears = np.minimum(low, high) * size, np.abs(high - low)
        size = inner + appears
        text = np.where(appears > inner, np.where(high > low, "there", "empty"), text)
    return size.clip(0, 1), text


def _direction(column: Column, parts: Parts, middle: Tensor, chance: Tensor | None, count: int) -> np.ndarray:
    """↑ or ↓ for a number, for a category the level that gains most."""
    if isinstance(column, Category):
        if chance is None:
            return np.full(count, "", dtype="U16")
        gain = (chance[count:] - chance[:count]).argmax(1).tolist()
        names = [str(value) for value in column.values] + ["(rare)"]
        return np.array([names[i][:16] for i in gain], dtype="U16")
    expected = np.zeros(2 * count)
    if column.scored:
        other = np.full(2 * count, column.levels - 1)
        expected = column.restored(other, middle[:, parts.score[column.name]].numpy())
    if chance is not None:
        special = np.asarray(getattr(column, "special", ()))
        expected = chance.numpy()[:, :-1] @ special + chance.numpy()[:, -1] * expected
    rises = expected[count:] - expected[:count]
    return np.where(rises > 0, "↑", np.where(rises < 0, "↓", "")).astype("U16")
