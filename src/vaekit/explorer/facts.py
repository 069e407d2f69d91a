"""All that the page is told: dimensions, points, columns, maps, and how items are read; JSON, and arrays beside it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from vaekit import files
from vaekit.as_trained import AsTrained
from vaekit.data import Counts, Images, Items, Parts, Sequences, Table, Vectors
from vaekit.data.columns import Category, Number
from vaekit.errors import DataError
from vaekit.evaluation.latents import ACTIVE
from vaekit.explorer import maps, reading
from vaekit.explorer.arrays import Arrays
from vaekit.explorer.points import MOST, SPLITS, Points, points
from vaekit.explorer.subject import Subject
from vaekit.priors import StandardNormal

VERSION = 1
DIMS = 256  # dimensions that are told of; the others stay where they are
BINS = 32
COLUMNS = 64  # columns that points can be coloured by
DRAWS = 4_000  # of a prior whose contours are not known
ROOM = 32_000_000  # bytes of the pictures that are sent to the page
TEXTS, CELL = 4_000_000, 9  # bytes of items that are sent as text, and of one of their cells
SAMPLES = 64  # draws for −log p(x) of an item on a path
NAME = 200  # characters that are kept of a name


@dataclass(frozen=True)
class Explored:
    """A run in the form in which the page is told of it.

    Attributes:
        facts: What is sent as facts.json.
        content: What is sent as arrays.bin.
        points: The points, with their items.
    """

    facts: dict[str, Any]
    content: bytes
    points: Points

    @property
    def json(self) -> bytes:
        """facts.json."""
        return json.dumps(files.finite(self.facts), allow_nan=False, separators=(",", ":")).encode()


def explored(
    subject: Subject,
    source: str = "server",
    live: bool = False,
    most: int = MOST,
    room: int = ROOM,
    within: float | None = None,
    say: Callable[[float, int], None] | None = None,
    divided: AsTrained | None = None,
) -> Explored:
    """What the page is told of a run.

    Args:
        subject: The run.
        source: `server` or `static`.
        live: Whether the training goes on.
        most: Points at most.
        room: Bytes of the items that are sent along at most.
        within: Seconds in which points are made, at most; None takes as long as it takes.
        say: Told of the progress.
        divided: The run's data, where they are read already.
    """
    found = points(subject, most, within, say, divided)
    arrays, order = Arrays(), used(subject, found)
    names = [f"z{i}" for i in range(subject.width)]
    facts = {
        "version": VERSION,
        "source": source,
        "live": live,
        **about(subject),
        "dims": dimensions(found, order, names),
        "points": told(subject, found, arrays),
        "maps": [mapped(plane, subject, found, arrays) for plane in maps.planes(found.codes, order, names)],
        "later": [{"id": name, "name": maps.LATER[name]} for name in maps.later(found.codes)],
        "reading": reading.reading(subject.kind),
        "heldout": arrays.add(_held_against_by(source, subject, found), "f4"),
    }
    shown = sendable(subject, found, room)
    facts["points"]["shown"] = {"count": shown}
    if found.items is not None and shown:
        facts["items"] = reading.block(subject.kind, _first(found.items, shown), arrays)
    return Explored(facts, arrays.bytes, found)


def about(subject: Subject) -> dict[str, Any]:
    """What the run is, in words and a few figures."""
    kind, stochastic = subject.kind, subject.stochastic
    return {
        "title": short(subject.run.get("name") or subject.path.name),
        "preset": str(subject.about.get("preset") or ""),
        "kind": kind.name,
        "objective": str(subject.about.get("objective") or ""),
        "metrics": dict(subject.about.get("metrics") or {}),
        "latent": subject.width,
        "discrete": subject.discrete,
        "labels": [short(name) for name in kind.labels],
        "conditional": kind.conditional,
        "nll": f"−log p(x) in nats, from above, by importance sampling of {SAMPLES} draws"
        if stochastic
        else "",
        "score": "−ELBO at the centre of q(z | x)" if stochastic else "distortion at the code",
        "created_by": created_by(),
    }


def created_by() -> str:
    """Who wrote the facts."""
    from vaekit import __version__

    return f"vaekit {__version__}"


def short(name: Any) -> str:
    """A name of at most 200 characters."""
    text = str(name)
    return text if len(text) <= NAME else text[: NAME - 1] + "…"


def _first(items: Items, count: int) -> Items:
    import torch

    return items.subset(torch.arange(count))


# ---------------------------------------------------------------------- dimensions


def used(subject: Subject, found: Points) -> list[int]:
    """Dimensions, the most used first: by KL, or by how much codes vary where no dimension has a KL of its own."""
    variance = found.codes.var(0) if len(found) else np.zeros(subject.width)
    by = found.kl_each if np.ptp(found.kl_each) > 0 else variance
    return np.argsort(-by, kind="stable").tolist()


def dimensions(found: Points, order: Sequence[int], names: Sequence[str]) -> list[dict[str, Any]]:
    """Each dimension, the most used first: its KL, range and histogram over the points."""
    return [_dimension(found, dim, names[dim]) for dim in order[:DIMS]]


def _dimension(found: Points, dim: int, name: str) -> dict[str, Any]:
    values = found.codes[:, dim].astype(np.float64)
    values = values if len(values) else np.array([-3.0, 3.0])
    low, high = float(values.min()), float(values.max())
    low, high = (low, high) if high - low > 1e-6 else (low - 1.0, high + 1.0)
    counts, edges = np.histogram(values if len(found) else [], bins=BINS, range=(low, high))
    return {
        "index": int(dim),
        "name": name,
        "kl": float(found.kl_each[dim]),
        "active": bool(values.var() > ACTIVE),
        "mean": float(values.mean()),
        "std": float(values.std()),
        "low": low,
        "high": high,
        "histogram": {"edges": edges.tolist(), "counts": counts.tolist()},
    }


# ---------------------------------------------------------------------- points


def told(subject: Subject, found: Points, arrays: Arrays) -> dict[str, Any]:
    """The points: codes, labels, ELBO and KL, and the columns of their items."""
    columns = [] if found.split is None else [_category("split", SPLITS, found.split, arrays)]
    if found.items is not None:
        columns += item_columns(subject, found.items, arrays)
    return {
        "count": len(found),
        "codes": arrays.add(found.codes, "f4"),
        "label": None if found.label is None or not subject.kind.labels else arrays.add(found.label, "i4"),
        "elbo": arrays.add(found.elbo, "f4"),
        "kl": arrays.add(found.kl, "f4"),
        "columns": columns,
        "sampled": found.sampled or None,
    }


def item_columns(subject: Subject, items: Items, arrays: Arrays) -> list[dict[str, Any]]:
    """What of the items themselves points can be coloured by."""
    kind = subject.kind
    if isinstance(kind, Table):
        return _table_columns(kind, items, arrays)
    if isinstance(kind, Sequences):
        raw: Any = items.raw
        return [_number("length", (raw != 0).sum(1), arrays)]
    if isinstance(kind, Vectors | Counts):
        return _number_columns(kind, items, arrays)
    if isinstance(kind, Images):
        raw = items.raw
        return [_number("brightness", (raw.float() / kind.top).flatten(1).mean(1), arrays)]
    return _part_columns(kind, items, arrays) if isinstance(kind, Parts) else []


def _table_columns(kind: Table, items: Items, arrays: Arrays) -> list[dict[str, Any]]:
    """Numbers as they are, dates as years, categories by name; what was not there as NaN and −1."""
    parts: dict[str, list[np.ndarray]] = {}
    for batch in items.batches(4096):
        x = reading.holes(batch.x, batch.mask)
        for column, codes in kind.restored(x.nan_to_num(), batch.c):
            parts.setdefault(column.name, []).append(np.where(reading.gone(kind, column, x), np.nan, codes))
    found: list[dict[str, Any]] = []
    for column in kind.shown[:COLUMNS]:
        codes = np.concatenate(parts[column.name]).astype(np.float64)
        if isinstance(column, Number):
            dated = column.unit and column.word == "date"
            found.append(_number(column.name, _years(column.cells(codes)) if dated else codes, arrays))
        elif isinstance(column, Category):
            names = [short(value) for value in (*column.values, *column.rare)]
            found.append(_category(column.name, names, np.where(np.isnan(codes), -1, codes), arrays))
    return found


def _years(series: Any) -> np.ndarray:
    """Dates as years with a fraction."""
    return (series.dt.year + (series.dt.day_of_year - 1) / 365.25).to_numpy(dtype=np.float64, na_value=np.nan)


def _number_columns(kind: Vectors | Counts, items: Items, arrays: Arrays) -> list[dict[str, Any]]:
    found, total = [], []
    for batch in items.batches(4096):
        raw = np.asarray(kind.decode(batch.x), dtype=np.float64)
        raw = np.where(batch.mask.numpy(), raw, np.nan) if batch.mask is not None else raw
        total.append(np.nansum(raw, 1))
        found.append(raw[:, :COLUMNS].astype(np.float32))
    values = np.concatenate(found)
    first = [_number("total", np.concatenate(total), arrays)] if isinstance(kind, Counts) else []
    return first + [_number(f"x{i}", values[:, i], arrays) for i in range(values.shape[1])]


def _part_columns(kind: Parts, items: Items, arrays: Arrays) -> list[dict[str, Any]]:
    """Parts that are one number or class each."""
    raw: Any = items.raw
    found: list[dict[str, Any]] = []
    for name, part in kind.parts.items():
        if math.prod(part.shape) != 1 or len(found) >= COLUMNS:
            continue
        values = raw[:, kind.place(name)].flatten().numpy()
        if part.name == "classes":
            count = int(np.nanmax(values, initial=0)) + 1
            codes = np.where(np.isnan(values), -1, np.nan_to_num(values))
            found.append(_category(name, [str(i) for i in range(count)], codes, arrays))
        else:
            found.append(_number(name, values, arrays))
    return found


def _number(name: Any, values: Any, arrays: Arrays) -> dict[str, Any]:
    return {"name": short(name), "kind": "number", "values": arrays.add(values, "f4")}


def _category(name: Any, names: Sequence[str], codes: Any, arrays: Arrays) -> dict[str, Any]:
    return {"name": short(name), "kind": "category", "names": list(names), "values": arrays.add(codes, "i4")}


def held_against(subject: Subject, found: Points) -> np.ndarray:
    """Sorted −ELBO of held-out items: measured here, or what the model folder keeps."""
    known = np.sort(np.asarray(subject.calibration.get("scores") or [], dtype=np.float64))
    return known if by_draws(subject, found) else found.heldout


def _held_against_by(source: str, subject: Subject, found: Points) -> np.ndarray:
    """As `held_against`; nothing on a static page whose graph scores at the centre, where the scores are by draws."""
    apart = source == "static" and subject.stochastic and by_draws(subject, found)
    return np.zeros(0) if apart else held_against(subject, found)


def by_draws(subject: Subject, found: Points) -> bool:
    """Whether the scores that items are held against are those that the model folder keeps.

    They are means over draws from q(z | x), which cost more than its centre; what is held against them has to be too.
    """
    here = found.items is not None and found.split is not None and bool((found.split == 0).any())
    return not here and bool(subject.calibration.get("scores"))


def sendable(subject: Subject, found: Points, room: int) -> int:
    """How many items there is room for."""
    if found.items is None:
        return 0
    numbers = math.prod(subject.kind.shape)
    pictures = isinstance(subject.kind, Images)
    bytes_each, room = (numbers, room) if pictures else (numbers * CELL, min(room, TEXTS))
    return min(len(found), max(16, room // max(1, bytes_each)))


# ---------------------------------------------------------------------- maps


def mapped(plane: maps.Plane, subject: Subject, found: Points, arrays: Arrays) -> dict[str, Any]:
    """A map as the page is told of it."""
    prior = prior_contours(plane, subject)
    around = np.concatenate([np.asarray(line) for one in prior for line in one["lines"]]) if prior else None
    spread = None if subject.discrete else maps.projected_spread(found.std, plane)
    density = maps.density(plane.xy, spread, around)
    top = max(float(density.values.max()), 1e-300)
    scaled = np.sqrt(density.values / top) * 255  # the root shows what is thin as well
    off = density.level(plane.xy, maps.ON_DATA)
    return {
        "id": plane.id,
        "name": plane.name,
        "axes": list(plane.axes),
        "xy": arrays.add(plane.xy, "f4"),
        "origin": plane.origin.tolist(),
        "basis": None if plane.basis is None else plane.basis.tolist(),
        "extent": density.extent,
        "density": {"shape": list(density.values.shape), "values": arrays.add(scaled.round(), "u1")},
        "off": float(np.sqrt(off / top) * 255),
        "contours": [*maps.density_contours(density, plane.xy), *prior],
    }


def with_map(known: Explored, subject: Subject, name: str) -> Explored:
    """What the page is told, with one more of the maps that it may ask for.

    Raises:
        DataError: E212, there is no such map to ask for.
    """
    if any(one["id"] == name for one in known.facts["maps"]):
        return known
    if name not in [one["id"] for one in known.facts["later"]]:
        raise DataError("E212", "there is no such map.")
    arrays = Arrays(known.content)
    made = mapped(maps.neighboured(known.points.codes), subject, known.points, arrays)
    left = [one for one in known.facts["later"] if one["id"] != name]
    facts = {**known.facts, "maps": [*known.facts["maps"], made], "later": left}
    return replace(known, facts=facts, content=arrays.bytes)


def prior_contours(plane: maps.Plane, subject: Subject) -> list[dict[str, Any]]:
    """Where the prior lies on a plane; nothing for codes of a codebook, or where there is no prior."""
    if subject.discrete or not subject.samples or plane.basis is None or not plane.basis.any(1).all():
        return []
    if isinstance(getattr(subject.model.bottleneck, "prior", None), StandardNormal):
        return maps.normal_contours(plane)
    return maps.drawn_contours(subject.prior_codes(DRAWS).double().numpy(), plane)
