"""A run's data, read as they were for training: from where, with which options, and what of them was held out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vaekit import config as configuration
from vaekit import files
from vaekit.data import Items, Kind, Parts, Table, item, read, split_row
from vaekit.data.patches import cut
from vaekit.data.sources import Loaded
from vaekit.errors import DataError, FileError, UsageError
from vaekit.prepare import held_out, labelled_items


@dataclass(frozen=True)
class AsTrained:
    """A run's data as the run divided them.

    Attributes:
        seen: What it trained on.
        heldout: What it held out.
    """

    seen: Items
    heldout: Items


def options(folder: Path) -> dict[str, Any]:
    """What config.yaml says; nothing of a model folder, which has none."""
    path = folder / "config.yaml"
    return configuration.read(path) if path.is_file() else {}


def source_of(folder: Path) -> str:
    """What a run was trained on, if it is there still.

    Raises:
        DataError: E201, it was an array, or it is not where it was.
    """
    facts = files.read_json(folder / "run.json") if (folder / "run.json").is_file() else {}
    told = str((facts.get("data") or {}).get("path") or options(folder).get("source") or "array")
    if told == "digits" or (told != "array" and Path(told).exists()):
        return told
    what = "were an array in memory" if told == "array" else f"({told}) are not to be found from here"
    message = f"the data that this run was trained on {what}."
    raise DataError("E201", message, where=folder, hint="name it: vaekit COMMAND RUN SOURCE")


def loaded(folder: Path, kind: Kind, path: str | Path) -> Loaded:
    """What lies at a path, or `path#row`, read as for training; key and labels are left out where it has none.

    Raises:
        VaekitError: It cannot be read.
    """
    text = str(path)
    first: UsageError | DataError | None = None
    one = split_row(text)[1] is not None
    size = options(folder).get("image_size")
    for key, labels in _attempts(folder, kind):
        try:
            return (item if one else read)(text, key=key, labels=labels, image_size=size)
        except (UsageError, DataError) as error:
            first = error if first is None else first
    raise first or FileError("E301", "there is nothing to read.", where=path)


def _attempts(folder: Path, kind: Kind) -> Iterator[tuple[str | None, str | None]]:
    """Key and labels as they were, then with less and less: new data often come without labels."""
    chosen = options(folder)
    key = "*" if isinstance(kind, Parts) else chosen.get("key")
    labels = None if isinstance(kind, Table) else chosen.get("labels")
    yield key, labels
    if labels is not None:
        yield key, None
    if key is not None and key != "*":
        yield None, None


def divided(folder: Path, kind: Kind, source: Any = None) -> AsTrained:
    """A run's data as the run divided them.

    Args:
        folder: The run folder.
        kind: The kind of its data.
        source: What it was trained on; by default where it was then.

    Raises:
        VaekitError: It cannot be read, or is of another kind; E201, where it was then there are other items now.
    """
    chosen = options(folder)
    found = _divided(folder, kind, source_of(folder) if source is None else source, chosen)
    if source is None:
        _unchanged(folder, found)
    return found


def _divided(folder: Path, kind: Kind, source: Any, chosen: dict[str, Any]) -> AsTrained:
    items, pieces = _items(folder, kind, source, chosen)
    if chosen.get("val") is not None:
        return AsTrained(items, _items(folder, kind, chosen["val"], chosen)[0])
    return AsTrained(*held_out(items, chosen.get("seed", 0), pieces))


def _unchanged(folder: Path, found: AsTrained) -> None:
    """See to it that there are as many items as in training: else some of those trained on would count as held out.

    Raises:
        DataError: E201, there are more or fewer.
    """
    path = folder / "run.json"
    known = (files.read_json(path).get("data") or {}) if path.is_file() else {}
    then: list[Any] = [known.get("count"), known.get("heldout")]
    now = [len(found.seen), len(found.heldout)]
    if all(isinstance(count, int) for count in then) and then != now:
        message = (
            f"the data that this run was trained on have changed: {sum(now)} items now, {sum(then)} then."
        )
        raise DataError("E201", message, where=folder, hint="name a copy of it: vaekit COMMAND RUN SOURCE")


def _items(folder: Path, kind: Kind, source: Any, chosen: dict[str, Any]) -> tuple[Items, int]:
    """Items, and how many of them are of one picture."""
    if isinstance(source, Items):
        return source, 1
    whole = loaded(folder, kind, source) if isinstance(source, str | Path) else read(source)
    patch = chosen.get("patch")
    raw = whole if patch is None else cut(whole, patch)
    return labelled_items(raw, kind), len(raw) // len(whole)
