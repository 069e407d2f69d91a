"""A comparison as text, JSON, CSV and one HTML page that needs no network."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path
from typing import Any

from vaekit import files
from vaekit.comparison.intervals import Interval
from vaekit.comparison.table import UNKNOWN, Comparison, Row, letter
from vaekit.errors import UsageError
from vaekit.meanings import MEANINGS, Meaning
from vaekit.progress import one_line

MOST = 24  # rows of which samples are shown
ARROWS = {"higher": " ↑", "lower": " ↓", None: ""}


def as_text(found: Comparison) -> str:
    """The table for a terminal, and the notes."""
    head, *body = _cells(found)
    wide = [max(len(line[i]) for line in (head, *body)) for i in range(len(head))]
    left = 2 + len(found.choices) + _lettered(found)  # columns of words; the rest are figures
    lines = []
    for line in (head, *body):
        cells = zip(line, wide, strict=True)
        lines.append("  ".join(c.ljust(w) if i < left else c.rjust(w) for i, (c, w) in enumerate(cells)))
    return "\n".join(line.rstrip() for line in [*lines, *legend(found), *(f"note: {n}" for n in found.notes)])


def legend(found: Comparison) -> list[str]:
    """What the marks mean, where there are any."""
    lines = []
    if any(row.best is not None for row in found.rows):
        lines.append(f"★ no other row is better in {_titles(found.judged)} at once (means over seeds)")
    if any(figure.half is not None for row in found.rows for figure in row.figures.values()):
        lines.append(
            "± 95 % interval of the mean over seeds (Student's t); a seed also chooses what is held out"
        )
    return lines


def as_json(found: Comparison) -> dict[str, Any]:
    """The comparison as values of JSON."""
    rows = [
        {
            "runs": [str(run.path) for run in row.runs], "seeds": [run.seed for run in row.runs],
            "data": letter(row.data), "best": row.best, "differs": row.choices,
            "figures": {name: dict(_told(row, name, figure)) for name, figure in row.figures.items()},
        }
        for row in found.rows
    ]  # fmt: skip
    better = {name: MEANINGS[name].better for name in found.figures if name in MEANINGS}
    return {"rows": rows, "better": better, "judged": found.judged, "notes": found.notes}


def _told(row: Row, name: str, figure: Interval) -> dict[str, Any]:
    return {"mean": figure.mean, "half": figure.half, "values": [run.figures[name] for run in row.runs]}


def write(found: Comparison, out: Path) -> Path:
    """The comparison as a file: .html a page with samples, .csv a table, .json.

    Raises:
        UsageError: E107, another suffix.
    """
    makers = {".html": as_page, ".csv": as_csv, ".json": None}
    suffix = out.suffix.lower()
    if suffix not in makers or out.is_dir():
        hint = f"--out {out.stem or 'comparison'}.html   (or .csv, .json)"
        raise UsageError("E107", f"--out {out}: a comparison is a page or a table.", hint=hint)
    make = makers[suffix]
    return files.write_json(out, as_json(found)) if make is None else files.write(out, make(found))


def as_csv(found: Comparison) -> str:
    """A line for each row: runs, seeds, data, best, what differs; of each figure the mean and the interval's ends."""
    ends = [f"{name}{end}" for name in found.figures for end in ("", "_low", "_high")]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["runs", "seeds", "data", "best", *found.choices, *ends])
    for row in found.rows:
        figures = [cell for name in found.figures for cell in _ends(row.figures.get(name))]
        writer.writerow([
            " ".join(str(run.path) for run in row.runs), " ".join(str(run.seed) for run in row.runs), letter(row.data),
            "" if row.best is None else int(row.best), *(_word(row.choices[name]) for name in found.choices), *figures,
        ])  # fmt: skip
    return out.getvalue()


def _ends(figure: Interval | None) -> list[float | str]:
    if figure is None:
        return ["", "", ""]
    half = figure.half
    return [figure.mean, *(["", ""] if half is None else [figure.mean - half, figure.mean + half])]


def as_page(found: Comparison) -> str:
    """The HTML page: the table, what figures mean, samples side by side."""
    from vaekit.comparison.samples import samples
    from vaekit.report.page import rendered

    head, *body = _cells(found)
    meanings = [MEANINGS[name] for name in found.figures if name in MEANINGS]
    context = {
        "head": head, "body": body, "left": 2 + len(found.choices) + _lettered(found), "legend": legend(found),
        "notes": found.notes, "meanings": [(one.title, one.sentence) for one in meanings],
        "samples": samples(found.rows[:MOST], [_about(row) for row in found.rows]),
        "more": max(0, len(found.rows) - MOST),
    }  # fmt: skip
    return rendered("comparison.html", context)


def _about(row: Row) -> str:
    """What was chosen for a row and its first figure, in a few words."""
    chosen = [f"{name} {_word(value)}" for name, value in row.choices.items()]
    figures = [f"{_meaning(name).title} {spread(figure)}" for name, figure in row.figures.items()]
    return ", ".join([*chosen, *figures[:1]])


def _cells(found: Comparison) -> list[list[str]]:
    """The table as text: the head, then a line for each row."""
    lettered = _lettered(found)
    titles = [_meaning(name).title + ARROWS[_meaning(name).better] for name in found.figures]
    lines = [["", "run", *(["data"] if lettered else []), *found.choices, "seeds", *titles]]
    for row in found.rows:
        own = [letter(row.data)] if lettered else []
        chosen = [_word(row.choices[name]) for name in found.choices]
        figures = [spread(row.figures.get(name)) for name in found.figures]
        lines.append(["★" if row.best else "", row.name, *own, *chosen, str(len(row.runs)), *figures])
    return lines


def spread(figure: Interval | None) -> str:
    """A mean and half its interval, to two digits of the latter.

    Example:
        >>> spread(Interval(-98.23456, 0.1234, 3)), spread(Interval(-98.23456, None, 1)), spread(Interval(7, 0, 2))
        ('-98.23 ± 0.12', '-98.23', '7')
    """
    if figure is None:
        return UNKNOWN
    if not figure.half:
        digits = _digits(float(figure.mean))
        return f"{figure.mean:.{digits}f}"
    digits = min(6, max(0, 1 - math.floor(math.log10(figure.half))))
    return f"{figure.mean:.{digits}f} ± {figure.half:.{digits}f}"


def _digits(value: float) -> int:
    """How many digits after the point a figure without an interval is shown with: about four in all."""
    if value.is_integer() or abs(value) >= 1e4:
        return 0
    if abs(value) >= 1e3:
        return 1
    return 2 if abs(value) >= 10 else 3


def _lettered(found: Comparison) -> bool:
    return any(row.data for row in found.rows)


def _meaning(name: str) -> Meaning:
    return MEANINGS.get(name, Meaning(name, ""))


def _titles(names: list[str]) -> str:
    return " and ".join(_meaning(name).title for name in names)


def _word(value: Any) -> str:
    """A choice as one short line."""
    words = {None: "auto", True: "yes", False: "no"}
    return one_line(words[value] if value is None or isinstance(value, bool) else value, 40)
