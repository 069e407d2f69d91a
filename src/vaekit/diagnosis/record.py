"""A diagnosis as a run keeps it, diagnosis.json, and as it is read aloud."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vaekit import files
from vaekit.diagnosis.finding import Finding
from vaekit.errors import FileError
from vaekit.progress import number

NAME, VERSION = "diagnosis.json", 1
WIDE = 100  # characters of a line


def kept(
    run: Path, findings: Sequence[Finding], config: Mapping[str, Any], quick: bool = False
) -> dict[str, Any]:
    """Write diagnosis.json.

    Args:
        run: The run folder.
        findings: In order.
        config: What the run was trained with; the cures' commands change it.
        quick: Whether it was the short examination at the end of training.

    Returns:
        `version`, `quick`, `disease` (the name of the first alarm, or None), `findings`.
    """
    name = run.name
    near = name if run.is_absolute() else str(run)  # the file says nothing of the machine
    place = f"runs/{name}" if run.resolve().parent.name == "runs" else near
    lines = []
    for finding in findings:
        cure = finding.cure
        lines.append(finding.as_json("" if cure is None else cure.command(config, place, f"{place}-mended")))
    alarms = [finding.name for finding in findings if finding.alarm]
    facts = {"version": VERSION, "quick": quick, "disease": alarms[0] if alarms else None, "findings": lines}
    files.write_json(run / NAME, facts)
    return facts


def known(run: Path) -> dict[str, Any]:
    """What diagnosis.json says; empty where there is none that can be read."""
    try:
        found = files.read_json(run / NAME)
    except FileError:
        return {}
    return found if isinstance(found, dict) and found.get("version") == VERSION else {}


def spoken(facts: Mapping[str, Any]) -> str:
    """A diagnosis for people: a line for each check, and of an alarm the evidence and the cure.

    Example:
        >>> line = {"title": "z is used", "value": 9.53, "threshold": "below 1 nat", "alarm": False, "evidence": "."}
        >>> print(spoken({"findings": [line]}))
        ok     z is used                            9.53   alarm: below 1 nat
        no alarm in 1 check
    """
    lines, alarms, done = [], [], 0
    for line in facts["findings"]:
        value, title = line["value"], line["title"]
        if value is None:
            lines.append(f"–      {title:36} {line['evidence'].rstrip('.')}")
            continue
        done += 1
        state = "ALARM" if line["alarm"] else "ok"
        lines.append(f"{state:6} {title:36} {number(float(value)):6} alarm: {line['threshold']}")
        alarms += [line] if line["alarm"] else []
    checks = f"{done} check{'s' * (done != 1)}"
    if not alarms:
        return "\n".join([*lines, f"no alarm in {checks}"])
    lines.append(f"{len(alarms)} alarm{'s' * (len(alarms) != 1)} in {checks}; the first explains most")
    for line in alarms:
        lines += textwrap.wrap(f"{line['title']}? {line['evidence']}", WIDE)
        lines += [f"  try: {line['cure']}"] if line.get("cure") else []
    return "\n".join(lines)
