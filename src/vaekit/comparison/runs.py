"""What a run's files tell of it, without opening its model: figures, choices, data, status."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vaekit import files
from vaekit.errors import FileError

NO_CHOICE = ("source", "seed")  # the fingerprint tells sources apart, and means are taken over seeds
OF_DATA = ("val", "image_size", "patch")  # options that make other items of the same source


@dataclass(frozen=True)
class Entry:
    """A finished run.

    Attributes:
        path: Its folder.
        seed: Of all its randomness.
        figures: Finite figures on held-out data, and seconds.
        choices: What was asked for, but for the seed, the source and what the clock chose.
        data: What makes its figures comparable with another's: fingerprint, kind and how items are made of a source.
        card: Its data card.
    """

    path: Path
    seed: int | None
    figures: dict[str, float]
    choices: dict[str, Any]
    data: tuple[Any, ...]
    card: dict[str, Any]


def entries(paths: Iterable[str | Path]) -> tuple[list[Entry], list[tuple[Path, FileError]]]:
    """The finished runs in some folders, each once, and why others are left out.

    Args:
        paths: Run folders, or folders of them.

    Returns:
        Runs, and folders with what is wrong with each.
    """
    found: dict[Path, Entry] = {}
    wrong: dict[Path, FileError] = {}
    for place in [run for path in paths for run in _within(Path(path))]:
        try:
            found.setdefault(place.resolve(), read_run(place))
        except FileError as error:
            wrong.setdefault(place, error)
    return list(found.values()), list(wrong.items())


def _within(path: Path) -> list[Path]:
    """The folder itself, or the runs in it where it is none but holds some."""
    if (path / "run.json").exists() or not path.is_dir():
        return [path]
    return sorted(inner.parent for inner in path.glob("*/run.json")) or [path]


def read_run(path: Path) -> Entry:
    """A finished run's files.

    Raises:
        FileError: E301 there is no run, E303 it is damaged, E305 it is not finished.
    """
    if not (path / "run.json").is_file():
        raise FileError("E301", "there is no run here: run.json is missing.", where=path)
    facts = files.read_json(path / "run.json")
    if not isinstance(facts, dict) or not isinstance(facts.get("data"), dict):
        raise FileError("E303", "run.json does not say what a run's does.", where=path / "run.json")
    if facts.get("status") != "finished":
        hint = "the same vaekit train goes on with it"
        raise FileError("E305", f"it is not finished: {facts.get('status')}.", where=path, hint=hint)
    config, card = files.read_yaml(path / "config.yaml"), files.read_json(path / "data_card.json")
    if not isinstance(card, dict) or not isinstance(facts.get("metrics"), dict):
        raise FileError("E303", "its figures or its data card are no mapping.", where=path)
    figures = {**facts["metrics"], "seconds": facts.get("seconds")}
    kind = card.get("kind")
    data = (facts["data"].get("fingerprint") or str(config.get("source")), kind, card.get("binarize"))
    return Entry(
        path, facts.get("seed"), {name: value for name, value in figures.items() if finite(value)},
        _choices(path, config, facts.get("prior"), kind), (*data, *(config.get(name) for name in OF_DATA)), card,
    )  # fmt: skip


def _choices(path: Path, config: dict[str, Any], prior: Any, kind: Any) -> dict[str, Any]:
    """What was asked for, flat, and the prior that was fitted afterwards."""
    # config.yaml marks what the clock chose
    text = (path / "config.yaml").read_text(encoding="utf-8", errors="replace")
    measured = re.findall(r"^(\w+): .*# measured$", text, re.MULTILINE)
    found: dict[str, Any] = {}
    for name, value in config.items():
        if name == "arguments" and isinstance(value, dict):
            found |= value
        elif name == "columns" and isinstance(value, dict):
            found |= {f"column.{column}": told for column, told in value.items()}
        elif name not in (*NO_CHOICE, *measured):
            found[name] = value
    own = kind == "table" and prior == "mixture"  # training itself fits it where held-out data gain
    return found | ({"prior": prior} if prior and not own else {})


def finite(value: Any) -> bool:
    """Whether a value of a file is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
