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
from vaekit.uses.maps import FAINT, FULL, SHOWN, heat, mapped, maps, pictures
from vaekit.uses.scoring import Scores, oddest
from vaekit.uses.why import NOTABLE, has_cells, notable
from vaekit.uses.why import Cell as Odd

MOST = 24  # items on a page
LONGEST = 2_000  # characters of a line of text that are shown
WORD, CELLS = 60, 60  # letters of a cell; cells of a row that are not odd
SIDE = 256  # pixels of a picture's longer side on the page; larger ones are thinned out
# what an item of a kind is called; others are rows
NAMES = {"images": "Picture", "sequences": "Line", "parts": "Item"}
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
        name: What it is called: its file, or what it is and its place.
        score, p_value: As text.
        flag: Whether it is called odd.
        reasons: Sentences.
        pictures: Title and data URI of each.
        cells: Of a row of a table or vector those that are odd; of parts all.
        rest: The other cells of a row in one line.
        text: The item itself, where it is text.
    """

    row: int
    name: str
    score: str
    p_value: str
    flag: bool
    reasons: tuple[str, ...] = ()
    pictures: tuple[tuple[str, str], ...] = ()
    cells: tuple[Cell, ...] = ()
    rest: str = ""
    text: str = ""


def review(
    path: str | Path,
    model: VAE,
    found: Scores,
    most: int = MOST,
    title: str = "",
    run: str = "",
) -> Path:
    """Write the page of the oddest items.

    Args:
        path: The HTML file.
        model: What scored them.
        found: The items and their scores.
        most: So many of the oddest are shown.
        title: Where they come from.
        run: Name of the model's run.
    """
    rows, items = oddest(found.score, most), found.items
    why = [
        notable(cells, bool(found.flag[row]))
        for row, cells in zip(rows, found.why.of(rows.tolist()), strict=True)
    ]
    each = shown(model, items, rows, found.yardstick.heldout.residuals, why)
    entries = [
        Entry(
            int(row), _name(found, int(row)), number(float(found.score[row]), 3),
            number(float(found.p_value[row]), 2), bool(found.flag[row]), _reasons(cells, items), **fields,
        )
        for row, cells, fields in zip(rows, why, each, strict=True)
    ]  # fmt: skip
    return write_review(Path(path), title or run, entries, _verdict(found, len(entries)), MEANING, run)


def _name(found: Scores, row: int) -> str:
    """What an item is called: its file, or what it is and its place."""
    if found.names is not None:
        return word(found.names[row], 80)
    return f"{NAMES.get(getattr(found.items.kind, 'name', ''), 'Row')} {row}"


def _verdict(found: Scores, shown: int) -> str:
    """How many are odd, how many of them are on the page, and how to see the others."""
    count, total = int(found.flag.sum()), len(found.score)
    by = "" if found.alpha is None else f" at α = {found.alpha:g}"
    more = f" (--most {count} shows all that are flagged)" if count > shown else ""
    which = "all are" if shown == total else f"the {shown} oddest are"
    return f"{count} of {number(total)} {'is' if count == 1 else 'are'} flagged{by}; {which} shown{more}."


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
    drawn = {title for entry in entries for title, _ in entry.pictures}
    context["key"] = (_uri(_key()), f"{FAINT:g}", f"{FULL:g}") if SHOWN[-1] in drawn else None
    return files.write(path, rendered("review.html", context))


def _key() -> np.ndarray:
    """The colours of maps over a mid-grey, from nothing odd to as odd as is told apart, (8, 128, 3)."""
    odd = np.linspace(0.0, FULL, 128)[None].repeat(8, 0)
    return heat(np.full(odd.shape, 128, np.uint8), odd)


def _reasons(odd: Sequence[Odd], items: Items) -> tuple[str, ...]:
    """The main reason; of items without cells a sentence for each statistic that is not as usual."""
    if has_cells(items):
        if not odd:
            return ("no cell is surprising by itself, given the others",)
        main = f"mainly {odd[0]}"
        return (main if odd[0].surprise > NOTABLE else f"{main}; no cell is very surprising by itself",)
    return tuple(
        f"{one.column} {number(one.value, 4)}: {'more' if one.value > one.expected else 'less'} than usual "
        f"({number(one.expected, 4)})"
        for one in odd
    ) or ("nothing about it is unusual by itself",)


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
    return [_cells(values, i, mask, odd[i]) for i in range(len(rows))]


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
    return [tuple((n, _uri(p)) for n, p in zip(SHOWN, strip, strict=False)) for strip in strips]


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


def _cells(values: Any, i: int, mask: np.ndarray | None, odd: Sequence[Odd]) -> dict[str, Any]:
    """One row: its odd cells with what the rest of the row leads one to expect there, and the rest in one line."""
    if hasattr(values, "columns"):
        names, own = [str(name) for name in values.columns], list(values.iloc[i])
    else:
        own = np.ravel(values[i]).tolist()
        names = [f"column {place}" for place in range(len(own))]
        own = [value if mask is None or mask[i, place] else None for place, value in enumerate(own)]
    first = [
        Cell(word(cell.column, WORD), _said(cell.value), _said(cell.expected), cell.surprise > NOTABLE)
        for cell in odd
    ]
    told = {cell.column for cell in odd}
    rest = [
        f"{word(name, WORD)} {_said(value)}"
        for name, value in zip(names, own, strict=True)
        if name not in told
    ]
    more = f", and {len(rest) - CELLS} more" if len(rest) > CELLS else ""
    return {"cells": tuple(first), "rest": ", ".join(rest[:CELLS]) + more}


def _said(value: Any) -> str:
    """A cell in a few letters; an empty one is a dash."""
    if value is None or value != value:
        return "–"
    if isinstance(value, np.ndarray):
        return number(float(value)) if value.size == 1 else f"{' × '.join(map(str, value.shape))} values"
    if isinstance(value, float | int | np.number) and not isinstance(value, bool | np.bool_):
        return number(float(value), 4)
    return word(value, WORD).removesuffix(" 00:00:00")  # of a date
