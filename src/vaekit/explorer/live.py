"""A training as it goes on: its curves, and its map whenever it has saved its model. Files are read and none written.

The training does not know that it is looked at: it replaces its files as wholes, so that a reader finds the old ones or
the new ones, and what cannot be read in the moment of a change is read the next time.
"""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

from vaekit import as_trained, files
from vaekit.errors import FileError, UsageError, VaekitError
from vaekit.explorer.arrays import Arrays
from vaekit.explorer.colouring import short
from vaekit.explorer.facts import VERSION, Explored, created_by, explored
from vaekit.explorer.points import Points
from vaekit.explorer.stage import Scene, Stage
from vaekit.explorer.subject import Subject, opened

EVERY = 2.0  # seconds between two looks at the model's folder
POINTS = 5_000  # of a map that is made again and again beside a training
MOST = 5_000  # records in one answer
STATUS = {"finished": "complete"}  # in other words than run.json has them


class Live(Stage):
    """The scene of a run that is trained while it is looked at.

    Args:
        path: The run folder; it may have no model yet.
        every: Seconds between two looks.

    Raises:
        FileError: E301, it is no run folder.
    """

    live = True

    def __init__(self, path: Path, every: float = EVERY) -> None:
        if not any((path / name).is_file() for name in ("run.json", "config.yaml", "metrics.jsonl")):
            raise FileError("E301", f"there is no run at {path}.", where=path, hint="vaekit train first")
        self.path, self.every, self.version = path, every, 0
        self._divided: as_trained.AsTrained | None = None
        self._seen = ""
        self._ended = threading.Event()
        super().__init__(Scene(waiting(path), None))
        self.look()

    def start(self) -> Live:
        """Look again and again, in a thread of its own, until `close`."""
        threading.Thread(target=self._follow, name="vaekit explorer: live", daemon=True).start()
        return self

    def close(self) -> None:
        self._ended.set()

    def _follow(self) -> None:
        while not self._ended.wait(self.every):
            self.look()

    def look(self) -> bool:
        """Show the model anew if the training has saved another one since; tells whether it was so."""
        stamp = _stamp(self.path / "model" / files.MANIFEST)
        if not stamp or stamp == self._seen:
            return False
        try:
            subject = opened(self.path)
            made = explored(subject, live=True, most=POINTS, divided=self._data(subject))
        except Exception:
            return False  # it changed in this moment, or its weights are out of bounds: at the next look
        self._seen, self.version = stamp, self.version + 1
        made = replace(made, facts={**made.facts, "edition": self.version})
        self.scene = Scene.of(subject, made)
        return True

    def _data(self, subject: Subject) -> as_trained.AsTrained | None:
        """The run's data, read once."""
        if self._divided is None:
            try:
                self._divided = as_trained.divided(self.path, subject.kind)
            except VaekitError:
                return None
        return self._divided

    def news(self, after: int) -> dict[str, Any]:
        """What metrics.jsonl says from a line on.

        Args:
            after: How many lines are known already.

        Raises:
            UsageError: E103, it is no number of lines.
        """
        if isinstance(after, bool) or not isinstance(after, int) or after < 0:
            raise UsageError("E103", "after is a number of lines, 0 or more.")
        lines = _lines(self.path / "metrics.jsonl")
        after = after if after <= len(lines) else 0  # it was started again
        chosen = lines[after : after + MOST]
        return {
            "records": [record for record in map(_record, chosen) if record is not None],
            "line": after + len(chosen),
            "status": _status(self.path),
            "edition": self.version,
        }


def waiting(path: Path) -> Explored:
    """What the page is told of a run that has no model yet: its name, and that there is nothing to see."""
    arrays, nothing = Arrays(), Points.none(0)
    empty = {name: arrays.add([], "f4") for name in ("elbo", "kl")}
    points: dict[str, Any] = {
        "count": 0,
        "codes": arrays.add([[]], "f4"),
        "label": None,
        **empty,
        "columns": [],
    }
    preset = as_trained.options(path).get("preset")
    facts = {
        "version": VERSION, "source": "server", "live": True, "edition": 0, "title": short(path.name),
        "preset": str(preset or ""), "kind": "", "objective": "", "metrics": {}, "latent": 0, "discrete": False,
        "labels": [], "conditional": False, "nll": None, "score": "", "created_by": created_by(), "dims": [],
        "points": {**points, "shown": {"count": 0}, "sampled": "there is no model yet"},
        "maps": [], "later": [], "reading": {"form": "cells", "columns": []}, "heldout": arrays.add([], "f4"),
    }  # fmt: skip
    return Explored(facts, arrays.bytes, nothing)


def _stamp(path: Path) -> str:
    """The content of a small file, which tells two versions of a folder apart; empty where there is none."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeError):
        return ""


def _lines(path: Path) -> list[str]:
    """The whole lines of a file; none where there is none."""
    text = _stamp(path)
    return text[: text.rfind("\n") + 1].splitlines()


def _record(line: str) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _status(path: Path) -> str:
    try:
        told = files.read_json(path / "run.json")
    except (FileError, OSError):
        return "running"
    word = str(told.get("status") or "running") if isinstance(told, dict) else "running"
    return STATUS.get(word, word)
