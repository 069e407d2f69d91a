"""All that the page is told of a run: facts as JSON, and arrays beside them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from vaekit import files
from vaekit.as_trained import AsTrained
from vaekit.data import Images
from vaekit.errors import DataError
from vaekit.evaluation.latents import ACTIVE
from vaekit.explorer import planes, reading
from vaekit.explorer.arrays import Arrays
from vaekit.explorer.colouring import category_column, item_columns, short
from vaekit.explorer.heldout import heldout_scores, scored_by_draws
from vaekit.explorer.maps import map_facts
from vaekit.explorer.points import MOST, SPLITS, Points, points
from vaekit.explorer.subject import Subject

VERSION = 1
DIMS = 256  # dimensions that the page is told of, the most used ones
BINS = 32
ROOM = 32_000_000  # bytes of the pictures that are sent to the page
TEXTS, CELL = 4_000_000, 9  # bytes of items that are sent as text, and of one of their cells
SAMPLES = 64  # draws for −log p(x) of an item on a path
CENTRED = "−ELBO at the centre of q(z | x)"


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
        """The bytes of facts.json."""
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
        source: Who answers the page: `server`, or `static` where there is none.
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
        **_run_facts(subject),
        "nll": nll_facts(subject, drawn=source == "server"),
        "dims": [_dimension(found, dim, names[dim]) for dim in order[:DIMS]],
        "points": _point_facts(subject, found, arrays),
        "maps": [
            map_facts(plane, subject, found, arrays) for plane in planes.planes(found.codes, order, names)
        ],
        "later": [{"id": name, "name": planes.LATER[name]} for name in planes.later(found.codes)],
        "reading": reading.reading(subject.kind),
        "heldout": arrays.add(_comparable_scores(source, subject, found), "f4"),
    }
    shown = sendable(subject, found, room)
    facts["points"]["shown"] = {"count": shown}
    if found.items is not None and shown:
        facts["items"] = reading.block(subject.kind, found.items.subset(torch.arange(shown)), arrays)
    return Explored(facts, arrays.bytes, found)


def with_map(known: Explored, subject: Subject, name: str) -> Explored:
    """What the page is told, with one more of the maps that are made only when they are asked for.

    Raises:
        DataError: E212, there is no such map to ask for.
    """
    if any(one["id"] == name for one in known.facts["maps"]):
        return known
    if name not in [one["id"] for one in known.facts["later"]]:
        raise DataError("E212", "there is no such map.")
    arrays = Arrays(known.content)
    made = map_facts(planes.neighboured(known.points.codes), subject, known.points, arrays)
    left = [one for one in known.facts["later"] if one["id"] != name]
    facts = {**known.facts, "maps": [*known.facts["maps"], made], "later": left}
    return replace(known, facts=facts, content=arrays.bytes)


def _run_facts(subject: Subject) -> dict[str, Any]:
    """What the run is, in words and a few figures."""
    kind = subject.kind
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
        "score": CENTRED if subject.stochastic else "distortion at the code",
        "created_by": created_by(),
    }


def nll_facts(subject: Subject, drawn: bool) -> dict[str, Any] | None:
    """What the page says of how likely an item on a path is; None for codes without a density.

    Args:
        subject: The run.
        drawn: Whether it is found by importance sampling.
    """
    if not subject.stochastic:
        return None
    if not drawn:
        return {"name": "−ELBO", "says": f"{CENTRED}, in nats", "drawn": False}
    bound = f"An upper bound on −log p(x) in nats, by importance sampling with {SAMPLES} draws"
    return {"name": "−log p", "says": bound, "drawn": True}


def created_by() -> str:
    """Name and version of this program."""
    from vaekit import __version__

    return f"vaekit {__version__}"


def used(subject: Subject, found: Points) -> list[int]:
    """Dimensions, the most used first: by KL, or by how much codes vary where no dimension has a KL of its own."""
    variance = found.codes.var(0) if len(found) else np.zeros(subject.width)
    by = found.kl_each if np.ptp(found.kl_each) > 0 else variance
    return np.argsort(-by, kind="stable").tolist()


def _dimension(found: Points, dim: int, name: str) -> dict[str, Any]:
    """A dimension's KL, and its range and histogram over the points."""
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


def _point_facts(subject: Subject, found: Points, arrays: Arrays) -> dict[str, Any]:
    """The points: codes, labels, ELBO and KL, and the columns of their items."""
    columns = [] if found.split is None else [category_column("split", SPLITS, found.split, arrays)]
    if found.items is not None:
        columns += item_columns(subject.kind, found.items, arrays)
    return {
        "count": len(found),
        "codes": arrays.add(found.codes, "f4"),
        "label": None if found.label is None or not subject.kind.labels else arrays.add(found.label, "i4"),
        "elbo": arrays.add(found.elbo, "f4"),
        "kl": arrays.add(found.kl, "f4"),
        "columns": columns,
        "sampled": found.sampled or None,
    }


def _comparable_scores(source: str, subject: Subject, found: Points) -> np.ndarray:
    """As `heldout_scores`; none on a static page whose graph scores at the centre, where these are by draws."""
    apart = source == "static" and subject.stochastic and scored_by_draws(subject, found)
    return np.zeros(0) if apart else heldout_scores(subject, found)


def sendable(subject: Subject, found: Points, room: int) -> int:
    """How many of the points' items there is room for."""
    if found.items is None:
        return 0
    numbers = math.prod(subject.kind.shape)
    pictures = isinstance(subject.kind, Images)
    bytes_each, room = (numbers, room) if pictures else (numbers * CELL, min(room, TEXTS))
    return min(len(found), max(16, room // max(1, bytes_each)))
