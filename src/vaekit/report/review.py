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
from vaekit.model import VAE
from vaekit.operations import reconstruct
from vaekit.report.page import rendered
from vaekit.report.style import number, png, word
from vaekit.uses.maps import mapped, maps, pictures
from vaekit.uses.scoring import Scores, oddest
from vaekit.uses.why import Cell as Odd
from vaekit.uses.why import has_cells

MOST = 24  # items on a page
LONGEST = 2_000  # characters of a line of text that are shown
WORD, CELLS = 60, 40  # letters of a cell; cells of a row
SIDE = 256  # pixels of a picture's longer side on the page; larger ones are thinned out
PICTURES = ("original", "expected", "where it is odd")
MEANING = "The p-value is the share of ordinary, held-out items at least as odd. The score has no unit: more is odder."
WORDS = {
    "distortion": "what the reconstruction costs, in nats",
    "rate": "what the code costs, in nats",
    "latent distance": "how far the code lies from those of the nearest training items",
    "residual distance": "how far what the code leaves over lies from what it leaves over of training items",
    "neighbour distance": "how far the item lies from the nearest training items",
    "column tails": "how far out its cells lie, each in its column",
    "−ELBO": "how improbable the model finds the item, in nats",
    "greatest misfit": "how badly the worst place of the picture is explained",
    "rough misfit": "how much of what is not explained changes from pixel to pixel: noise if much, blur if little",
    "compressed size": "bytes of the picture after lossless compression: how complex it is",
    "gradient energy": "the mean step from pixel to pixel: how sharp it is",
}


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


def review(
    path: str | Path,
    model: VAE,
    items: Items,
    found: Scores,
    most: int = MOST,
    title: str = "",
    run: str = "",
) -> Path:
    """Write the page of the oddest items.

    Args:
        path: The HTML file.
        model: What scored them.
        items: All that were scored.
        found: Their scores.
        most: So many of the oddest are shown.
        title: Where they come from.
        run: Name of the model's run.
    """
    rows = oddest(found.score, most)
    why = found.why.of(rows.tolist())
    each = shown(model, items, rows, found.yardstick.heldout.residuals, why)
    entries = [
        Entry(
            int(row), number(float(found.score[row]), 3), number(float(found.p_value[row]), 2),
            bool(found.flag[row]), _reasons(cells, items), **fields,
        )
        for row, cells, fields in zip(rows, why, each, strict=True)
    ]  # fmt: skip
    count = int(found.flag.sum())
    by = "" if found.alpha is None else f" at α = {found.alpha:g}"
    verdict = f"{count} of {number(len(items))} are flagged{by}; the {len(entries)} oddest are shown."
    return write_review(Path(path), title or run, entries, verdict, MEANING, run)


def write_review(
    path: Path, title: str, entries: Sequence[Entry], verdict: str, meaning: str, run: str
) -> Path:
    """Write the page; every word of it is escaped, because names and cells come from anywhere.

    Args:
        path: The HTML file.
        title, run: Names of the data and of the run that scored them.
        entries: The items, the oddest first.
        verdict, meaning: A sentence on how many are odd, and one on how to read the figures.
    """
    context: dict[str, Any] = {
        "title": word(title, 80),
        "entries": entries,
        "verdict": verdict,
        "meaning": meaning,
        "run": word(run, 80),
    }
    told = " ".join(reason for entry in entries for reason in entry.reasons)
    context["words"] = {name: what for name, what in WORDS.items() if name in told}
    return files.write(path, rendered("review.html", context))


def _reasons(odd: Sequence[Odd], items: Items) -> tuple[str, ...]:
    """A sentence for each statistic that is not as usual; odd cells are marked where they stand."""
    if has_cells(items):
        return () if odd else ("no cell is surprising by itself, given the others",)
    return tuple(
        f"{one.column} {number(one.value, 4)}: {'more' if one.value > one.expected else 'less'} than usual "
        f"({number(one.expected, 4)})"
        for one in odd
    )


# ---------------------------------------------------------------------- what is shown of an item


def shown(
    model: VAE, items: Items, rows: np.ndarray, usual: np.ndarray, odd: Sequence[Sequence[Odd]]
) -> list[dict[str, Any]]:
    """What the page shows of items of any kind: pictures, cells or text, as fields of `Entry`.

    Args:
        model: In evaluation mode.
        items: All that were scored.
        rows: (n,) those to show.
        usual: (M, P) deviances of ordinary items, for maps.
        odd: The odd cells of each row to show, the oddest first.
    """
    chosen = items.subset(torch.as_tensor(rows.copy()))
    if isinstance(chosen.kind, Images):
        return [{"pictures": each} for each in _pictures(model, chosen, usual)]
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


def _pictures(model: VAE, items: Items, usual: np.ndarray) -> list[tuple[tuple[str, str], ...]]:
    """Original, expected and map of each picture; without a map where the model's pixels depend on each other."""
    kind: Any = items.kind
    if mapped(kind, usual):
        found = maps(model, items, usual)
        strips = [list(found.strip(i)) for i in range(len(found))]
    else:
        batch = items.batch(torch.arange(len(items)))
        expected = kind.picture(reconstruct(model, batch.x, batch.c, batch.mask))
        strips = [list(pair) for pair in zip(pictures(kind, items), expected, strict=True)]
    return [tuple((n, _uri(p)) for n, p in zip(PICTURES, strip, strict=False)) for strip in strips]


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
    values: Any, expected: Any, i: int, mask: np.ndarray | None, odd: Sequence[Odd]
) -> tuple[Cell, ...]:
    """The cells of one row, the odd ones first, with what the rest of the row leads one to expect there."""
    if hasattr(values, "columns"):
        names = [str(name) for name in values.columns]
        own, wanted = list(values.iloc[i]), list(expected.iloc[i])
    else:
        own, wanted = np.ravel(values[i]).tolist(), np.ravel(expected[i]).tolist()
        names = [f"column {place}" for place in range(len(own))]
        own = [value if mask is None or mask[i, place] else None for place, value in enumerate(own)]
    first = [Cell(word(cell.column, WORD), _said(cell.value), _said(cell.expected), True) for cell in odd]
    told = {cell.column for cell in odd}
    rest = [place for place, name in enumerate(names) if name not in told][: max(0, CELLS - len(first))]
    return (*first, *(Cell(word(names[p], WORD), _said(own[p]), _said(wanted[p])) for p in rest))


def _said(value: Any) -> str:
    """A cell in a few letters; an empty one is a dash."""
    if value is None or value != value:
        return "–"
    if isinstance(value, np.ndarray):
        return number(float(value)) if value.size == 1 else f"{' × '.join(map(str, value.shape))} values"
    if isinstance(value, float | int | np.number) and not isinstance(value, bool | np.bool_):
        return number(float(value), 4)
    return word(value, WORD).removesuffix(" 00:00:00")  # of a date
