"""The review page: the oddest items with their reasons, for a person to look through; one HTML file, no network."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vaekit import files
from vaekit.data import Images, Items
from vaekit.operations import reconstruct
from vaekit.report.page import rendered
from vaekit.report.style import number, png, word
from vaekit.uses.maps import maps

LONGEST = 2_000  # characters of a line of text that are shown
WORD, CELLS = 60, 40  # letters of a cell; cells of a row
SIDE = 256  # pixels of a picture's longer side on the page; larger ones are thinned out
PICTURES = ("original", "expected", "where it is odd")


@dataclass(frozen=True)
class Cell:
    """One value of an item: what it is, what the model expected, and whether it is among the reasons."""

    name: str
    value: str
    expected: str
    odd: bool = False


@dataclass(frozen=True)
class Entry:
    """One item on the page.

    Attributes:
        row: Its place in the source, from 0.
        score, p_value: As text.
        flag: Whether it is called odd.
        reasons: Sentences.
        pictures: Title and data URI of each.
        cells: Of a row of a table or vector.
        text: The item itself, where it is text.
    """

    row: int
    score: str
    p_value: str
    flag: bool
    reasons: tuple[str, ...] = ()
    pictures: tuple[tuple[str, str], ...] = ()
    cells: tuple[Cell, ...] = ()
    text: str = ""


def write_review(
    path: Path, title: str, source: str, entries: Sequence[Entry], verdict: str, meaning: str, run: str
) -> Path:
    """Write the page; every word of it is escaped, because names and cells come from anywhere.

    Args:
        path: The HTML file.
        title, source, run: Names of the data, of where they lie and of the run that scored them.
        entries: The items, the oddest first.
        verdict, meaning: A sentence on how many are odd, and one on how to read the figures.
    """
    context = {"title": word(title, 80), "source": source, "entries": entries, "verdict": verdict,
               "meaning": meaning, "run": run}  # fmt: skip
    return files.write(path, rendered("review.html", context))


def oddest(scores: np.ndarray, most: int) -> np.ndarray:
    """Rows with the highest scores, the oddest first; the first of equals."""
    return np.argsort(-scores, kind="stable")[:most]


# ---------------------------------------------------------------------- what is shown of an item


def shown(
    model: Any, items: Items, rows: np.ndarray, usual: np.ndarray, odd: Sequence[Sequence[str]]
) -> list[dict[str, Any]]:
    """What the page shows of items of any kind: pictures, cells or text, as fields of `Entry`.

    Args:
        model: In evaluation mode.
        items: All that were scored.
        rows: (n,) those to show.
        usual: (M, P) deviances of ordinary items, for maps.
        odd: Names of the odd cells of each row to show, the oddest first.
    """
    chosen = items.subset(torch.as_tensor(rows.copy()))
    if isinstance(chosen.kind, Images):
        return [{"pictures": pictures} for pictures in _pictures(model, chosen, usual)]
    batch = chosen.batch(torch.arange(len(chosen)))
    own, expected = batch.x, reconstruct(model, batch.x, batch.c, batch.mask)
    kind: Any = chosen.kind
    values, wanted = kind.decode(own, batch.c), kind.decode(expected, batch.c)
    if _is_text(values):
        return [{"text": _lines(a, b)} for a, b in zip(values, wanted, strict=True)]
    if isinstance(values, dict):
        return [{"cells": _parts(values, wanted, i)} for i in range(len(rows))]
    mask = None if batch.mask is None or hasattr(values, "columns") else batch.mask.flatten(1).numpy()
    return [{"cells": _cells(values, wanted, i, mask, odd[i])} for i in range(len(rows))]


def _pictures(model: Any, items: Items, usual: np.ndarray) -> list[tuple[tuple[str, str], ...]]:
    """Original, expected and map of each picture."""
    found = maps(model, items, usual)
    strips = [found.strip(i) for i in range(len(found))]
    return [tuple((n, _uri(p)) for n, p in zip(PICTURES, strip, strict=True)) for strip in strips]


def _uri(picture: np.ndarray) -> str:
    """A picture of at most 256 pixels a side as a data URI."""
    thin = -(-max(picture.shape[:2]) // SIDE)
    return f"data:image/png;base64,{base64.b64encode(png(picture[::thin, ::thin].copy())).decode()}"


def _is_text(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)


def _lines(value: str, expected: str) -> str:
    return f"{value[:LONGEST]}\n\nexpected: {expected[:LONGEST]}"


def _parts(values: dict[str, Any], expected: dict[str, Any], i: int) -> tuple[Cell, ...]:
    """Each part of an item in a word or two."""
    return tuple(Cell(word(name), _said(values[name][i]), _said(expected[name][i])) for name in values)


def _cells(
    values: Any, expected: Any, i: int, mask: np.ndarray | None, odd: Sequence[str]
) -> tuple[Cell, ...]:
    """The cells of one row, the odd ones first; columns without a name are x0, x1, …"""
    if hasattr(values, "columns"):
        names = [str(name) for name in values.columns]
        own, wanted = list(values.iloc[i]), list(expected.iloc[i])
    else:
        own, wanted = np.ravel(values[i]).tolist(), np.ravel(expected[i]).tolist()
        names = [f"x{place}" for place in range(len(own))]
        own = [value if mask is None or mask[i, place] else None for place, value in enumerate(own)]
    order = [names.index(name) for name in odd if name in names]
    order += [place for place in range(len(names)) if place not in set(order)]
    return tuple(
        Cell(word(names[p], WORD), _said(own[p]), _said(wanted[p]), names[p] in odd) for p in order[:CELLS]
    )


def _said(value: Any) -> str:
    """A cell in a few letters; an empty one is a dash."""
    if value is None or value != value:
        return "–"
    if isinstance(value, np.ndarray):
        return number(float(value)) if value.size == 1 else f"{' × '.join(map(str, value.shape))} values"
    if isinstance(value, float | int | np.number) and not isinstance(value, bool | np.bool_):
        return number(float(value), 4)
    return word(value, WORD)
