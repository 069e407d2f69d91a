"""The table of a comparison: runs that differ in their seed alone are one row; which rows no other beats."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vaekit.comparison.intervals import Interval, interval
from vaekit.comparison.runs import Entry
from vaekit.errors import UsageError, nearest
from vaekit.meanings import MEANINGS

SHOWN = ("elbo", "rate", "distortion", "nll", "bits_per_dim", "active_units", "seconds")
SIDES = ("distortion", "rate")  # what is traded for one another
UNKNOWN = "–"


@dataclass
class Row:
    """Runs that differ in their seed alone.

    Attributes:
        runs: Those runs, a seed once.
        data: Index of the data they are on.
        choices: Where rows differ, what was chosen here.
        figures: Means and intervals over the seeds.
        best: Whether no other row on the same data beats it; None where there is no other.
    """

    runs: list[Entry]
    data: int
    choices: dict[str, Any]
    figures: dict[str, Interval]
    best: bool | None = None

    @property
    def name(self) -> str:
        """The folders' names, what they share written once: beta-4_seed-{0,1,2}."""
        names = [run.path.resolve().name for run in self.runs]
        shared = os.path.commonprefix(names)
        ends = [name.removeprefix(shared) for name in names]
        told = ends if len(ends) <= 5 else [*ends[:2], "…", ends[-1]]
        return names[0] if len(names) == 1 else f"{shared}{{{','.join(told)}}}" if shared else ", ".join(told)


@dataclass
class Comparison:
    """Several runs beside one another.

    Attributes:
        rows: Best first by the first figure that has a better way.
        figures: Names of what is shown.
        judged: Names of the figures that tell which rows no other beats.
        choices: Names of the options in which rows differ.
        notes: What to know, in sentences.
    """

    rows: list[Row]
    figures: list[str]
    judged: list[str]
    choices: list[str]
    notes: list[str]


def compare(runs: Sequence[Entry], figures: Sequence[str] | None = None) -> Comparison:
    """Put runs beside one another.

    Args:
        runs: Finished runs.
        figures: What to show and to judge by; by default all there is, judged by distortion and rate.

    Raises:
        UsageError: E104, no run has such a figure.
    """
    known = {name for run in runs for name in run.figures}
    for name in figures or ():
        if name not in known:
            raise UsageError("E104", f"no run has the figure {name!r}; {nearest(name, known)}")
    shown = list(figures or (name for name in SHOWN if name in known))
    data = list(dict.fromkeys(run.data for run in runs))
    notes: list[str] = []
    rows = [_row(group, data, shown, notes) for group in _grouped(runs)]
    choices = _differing(rows)
    for row in rows:
        row.choices = {name: row.runs[0].choices.get(name, UNKNOWN) for name in choices}
    judged = _judged(rows, shown, given=figures is not None)
    for place in range(len(data)):
        _mark([row for row in rows if row.data == place], judged)
    leading = next((name for name in shown if _sign(name)), None)
    if leading is not None:  # rows without it come last
        rows.sort(key=lambda row: (row.data, _cost(row, leading)))
    return Comparison(rows, shown, judged, choices, [*_other_data(rows, data), *notes])


def dominated(costs: Sequence[float], others: Sequence[Sequence[float]]) -> bool:
    """Whether one of the others is as good in everything and better in something; less is better.

    Example:
        >>> dominated((1, 2), [(2, 1), (1, 2)]), dominated((1, 2), [(1, 1)])
        (False, True)
    """
    return any(
        all(theirs <= own for theirs, own in zip(other, costs, strict=True)) and tuple(other) != tuple(costs)
        for other in others
    )


def _grouped(runs: Sequence[Entry]) -> list[list[Entry]]:
    """Runs whose choices and data are the same, in the order in which they came."""
    groups: list[list[Entry]] = []
    for run in runs:
        alike = (group for group in groups if (group[0].choices, group[0].data) == (run.choices, run.data))
        group = next(alike, None)
        groups.append([run]) if group is None else group.append(run)
    return groups


def _row(group: list[Entry], data: list[Any], shown: list[str], notes: list[str]) -> Row:
    """Runs as a row; a seed counts once, since the same seed again is no further evidence."""
    seeds = [run.seed for run in group]
    own = [run for place, run in enumerate(group) if run.seed is None or run.seed not in seeds[:place]]
    if len(own) < len(group):
        twice = ", ".join(str(run.path) for run in group if run not in own)
        notes.append(f"{twice}: the same run as another one, seed and all; it counts once.")
    figures = {name: [run.figures[name] for run in own if name in run.figures] for name in shown}
    found = {name: interval(values) for name, values in figures.items() if len(values) == len(own)}
    lacking = [MEANINGS[name].title if name in MEANINGS else name for name in shown
               if 0 < len(figures[name]) < len(own)]  # fmt: skip
    row = Row(own, data.index(group[0].data), {}, found)
    if lacking:
        notes.append(f"{row.name}: some seeds have no {', '.join(lacking)}, so that no mean is shown.")
    return row


def _differing(rows: list[Row]) -> list[str]:
    """The options in which rows differ, in the order of config.yaml."""
    names = dict.fromkeys(name for row in rows for name in row.runs[0].choices)
    values = {name: [row.runs[0].choices.get(name, UNKNOWN) for row in rows] for name in names}
    return [name for name, chosen in values.items() if any(value != chosen[0] for value in chosen)]


def _judged(rows: list[Row], shown: list[str], given: bool) -> list[str]:
    """What tells which rows no other beats: distortion and rate, or the figures that were asked for."""
    everywhere = [name for name in shown if _sign(name) and all(name in row.figures for row in rows)]
    sides = [name for name in SIDES if name in everywhere]
    return sides if not given and len(sides) == len(SIDES) else everywhere


def _mark(rows: list[Row], judged: list[str]) -> None:
    if len(rows) < 2 or not judged:
        return
    costs = [tuple(_cost(row, name) for name in judged) for row in rows]
    for row, own in zip(rows, costs, strict=True):
        row.best = not dominated(own, costs)


def _cost(row: Row, name: str) -> float:
    found = row.figures.get(name)
    return float("inf") if found is None else -_sign(name) * found.mean


def _sign(name: str) -> int:
    """1 where higher is better, −1 where lower is, 0 where neither is known to be."""
    better = MEANINGS[name].better if name in MEANINGS else None
    return {"higher": 1, "lower": -1}.get(better or "", 0)


def letter(place: int) -> str:
    """A, B, … Z, A2 …: the name of the data that rows are on.

    Example:
        >>> letter(1), letter(27)
        ('B', 'B2')
    """
    return chr(ord("A") + place % 26) + ("" if place < 26 else str(place // 26 + 1))


def _other_data(rows: list[Row], data: list[Any]) -> list[str]:
    """A sentence where not all are on the same data."""
    if len(data) < 2:
        return []
    first = [next(row.runs[0] for row in rows if row.data == place) for place in range(len(data))]
    told = [f"{letter(place)} is {_spoken(run)}" for place, run in enumerate(first)]
    return [
        "These runs are not on the same data, and figures compare within the same letter only: "
        + "; ".join(told) + "."
    ]  # fmt: skip


def _spoken(run: Entry) -> str:
    """What a run's data are, with all that may tell them from other ones."""
    fingerprint, _, binarize, val, size, patch = run.data
    card = run.card
    parts = [str(card.get("kind")), f"{card.get('count')} items", f"fingerprint {str(fingerprint)[:8]}"]
    parts += [] if binarize in (None, "none") else [f"binarize {binarize}"]
    parts += [
        f"{name} {value}" for name, value in (("val", val), ("image size", size), ("patch", patch)) if value
    ]
    return f"{card.get('source')} ({', '.join(parts)})"
