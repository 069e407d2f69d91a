"""Lines of text: read from files, found to be sequences of characters, described on the data card."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from vaekit.data.checks import enough, listed
from vaekit.data.csv_files import text_of
from vaekit.data.labels import frequencies
from vaekit.data.loaded import TextSource
from vaekit.data.sequences import LONGEST, Sequences
from vaekit.errors import DataError, UsageError

SUFFIXES = (".txt", ".smi")
PACKINGS = (".gz", ".bz2", ".xz")
RARE = 5  # a character that comes in fewer lines than this is hardly learned


def is_text(path: Path) -> bool:
    """Whether a file's name says that it holds lines of text.

    Example:
        >>> is_text(Path("names.txt")), is_text(Path("molecules.smi.gz")), is_text(Path("a.csv"))
        (True, True, False)
    """
    name = path.name.lower()
    name = next((name.removesuffix(end) for end in PACKINGS if name.endswith(end)), name)
    return name.endswith(SUFFIXES)


def read_text(path: Path) -> TextSource:
    """The lines of a file; of a .smi file, what stands before the first blank of each.

    Args:
        path: A text file, packed or not.

    Raises:
        DataError: E202 nothing in it, E204 no text or damaged, E210 larger than the memory.
    """
    notes: list[str] = []
    lines = text_of(path, notes).removesuffix("\n").split("\n")
    if ".smi" in path.name.lower():
        lines = [line.split(maxsplit=1)[0] if line.strip() else "" for line in lines]
    kept = [line for line in lines if line.strip()]
    if len(kept) < len(lines):
        notes.append(f"{len(lines) - len(kept)} blank lines are skipped.")
    return TextSource(kept, path=str(path), notes=notes)


def detect_text(
    source: TextSource, likelihood: str = "auto", minimum: int = 2
) -> tuple[Sequences, list[str]]:
    """The kind of lines of text, and the reasons for it.

    Args:
        source: The lines.
        likelihood: "auto" or "categorical", which are the same.
        minimum: Fewer lines than this are too few.

    Raises:
        DataError: E202 no characters, E207 too few lines, E208 all are the same, E210 a line that is too long.
        UsageError: E103 another likelihood.

    Example:
        >>> detect_text(TextSource(["anna", "bob"]))[0]
        Sequences(4 characters, 4)
    """
    if likelihood not in ("auto", "categorical"):
        message = f"the {likelihood} likelihood does not go with text."
        raise UsageError("E103", message, hint="--likelihood auto")
    _check(source, minimum)
    lengths = [len(line) for line in source.values]
    characters = "".join(sorted(set().union(*source.values)))
    ended = sum(min(length + 1, max(lengths)) for length in lengths)  # the longest lines need no end
    labels = source.label_names
    kind = Sequences(
        characters, max(lengths), ended / len(lengths), labels, frequencies(source.labels, len(labels))
    )  # fmt: skip
    reasons = [
        f"sequences, because these are lines of text: {len(characters)} characters, "
        f"at most {max(lengths)} in a line and {sum(lengths) / len(lengths):.1f} in the mean."
    ]
    rare = _rare(source.values)
    if rare:
        reasons.append(f"{len(rare)} characters come in fewer than {RARE} lines: {listed(rare)}.")
    return kind, reasons


def _check(source: TextSource, minimum: int) -> None:
    enough(len(source), minimum, source.path, "lines")
    if not any(source.values):
        raise DataError("E202", "there are no characters in these lines.", where=source.path)
    if len(source) > 1 and len(set(source.values)) == 1:
        message = f"all {len(source)} lines are the same: nothing can be learned."
        raise DataError("E208", message, where=source.path)
    row, longest = max(enumerate(source.values), key=lambda pair: len(pair[1]))
    if len(longest) > LONGEST:
        message = f"a line of {len(longest)} characters; at most {LONGEST} are taken."
        raise DataError("E210", message, where=f"{source.path} row {row}".strip(), hint="break it into parts")


def _rare(lines: list[str]) -> list[str]:
    """Characters that hardly any line has, where there are lines enough to tell."""
    if len(lines) < 20 * RARE:
        return []
    counts = Counter(character for line in lines for character in set(line))
    return [repr(character) for character, count in sorted(counts.items()) if count < RARE]


def text_card(source: TextSource) -> dict[str, Any]:
    """What the data card says about lines of text."""
    lengths = [len(line) for line in source.values]
    return {
        "characters": len(set().union(*source.values)),
        "longest": max(lengths),
        "mean_length": sum(lengths) / len(lengths),
    }
