"""The report's section on what ten checks found, from the run's diagnosis.json."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vaekit import files
from vaekit.errors import FileError
from vaekit.report.style import number, word
from vaekit.report.words import real

NAME = "diagnosis.json"  # as vaekit.diagnosis writes it
MOST = 20  # lines that are shown


def section(run: Path) -> dict[str, Any] | None:
    """What the page says of it: a sentence, alarms with their commands, a row for each check; None without any.

    `first` is the check whose alarm is the first, or empty.
    """
    try:
        found = files.read_json(run / NAME)
    except FileError:
        return None
    lines = found.get("findings") if isinstance(found, dict) else None
    lines = [line for line in lines if isinstance(line, dict)][:MOST] if isinstance(lines, list) else []
    if not lines:
        return None
    alarms = [line for line in lines if line.get("alarm") is True]
    done = [line for line in lines if real(line.get("value")) is not None]
    says = (
        f"{len(alarms)} of {len(done)} checks raised an alarm."
        if alarms
        else f"No alarm in {len(done)} checks."
    )
    says += " The first explains most." if len(alarms) > 1 else ""
    return {
        "says": says, "quick": found.get("quick") is True, "rows": [_row(line) for line in lines],
        "first": word(_text(alarms[0], "title"), 60) if alarms else "",
        "alarms": [(f"{_text(line, 'title')}? {_text(line, 'evidence')}", _text(line, "cure")) for line in alarms],
    }  # fmt: skip


def _row(line: dict[str, Any]) -> tuple[str, str, str, str, str]:
    value = real(line.get("value"))
    state = "–" if value is None else "alarm:" if line.get("alarm") is True else "no:"
    threshold = "" if value is None else _text(line, "threshold")
    shown = "–" if value is None else number(value)
    return _text(line, "title"), state, shown, threshold, _text(line, "evidence")


def _text(line: dict[str, Any], name: str) -> str:
    return str(line.get(name) or "")[:600]
