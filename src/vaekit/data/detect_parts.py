"""Which kind each of several arrays is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from vaekit.data.checks import enough
from vaekit.data.classes import Classes
from vaekit.data.kind import Kind
from vaekit.data.loaded import Source, TextSource
from vaekit.data.parts import Parts, PartsSource, missing
from vaekit.errors import DataError

MOST_CLASSES = 1_000


def detect_parts(
    source: PartsSource, minimum: int, detect: Callable[..., tuple[Kind, list[str]]]
) -> tuple[Parts, list[str]]:
    """The kinds of some parts, and the reasons for them.

    Args:
        source: The arrays.
        minimum: Fewer rows than this are too few.
        detect: Finds the kind of one source.

    Raises:
        DataError: E205 parts with different numbers of rows, E207 too few rows, and those of each part.
    """
    counts = {name: len(values) for name, values in source.values.items()}
    if len(set(counts.values())) > 1:
        raise DataError("E205", f"the parts have different numbers of rows: {counts}.", where=source.path)
    enough(len(source), minimum, source.path)
    kinds, said = {}, list[str]()
    for name, values in source.values.items():
        kinds[name], reasons = _kind(values, f"{source.path}:{name}", detect)
        said += [f"{name}: {reason}" for reason in reasons]
    return Parts(kinds), said


def _kind(values: np.ndarray, where: str, detect: Callable[..., Any]) -> tuple[Kind, list[str]]:
    gone = missing(values)
    if gone.any() and not gone.all():
        values = values[~gone]
        if values.ndim == 1 and bool((values == np.rint(values)).all()):
            values = values.astype(np.int64)  # class indices: only as fractions can some of them be missing
        kind, reasons = _kind(values, where, detect)
        return kind, [*reasons, f"missing in {int(gone.sum())} of {len(gone)} items."]
    if values.ndim == 1 and values.dtype.kind in "biu":
        levels = int(values.max()) + 1
        if values.min() < 0 or levels > MOST_CLASSES:
            found = f"these from {values.min()} to {levels - 1}"
            message = f"class indices run from 0 to at most {MOST_CLASSES - 1}; {found}."
            raise DataError("E203", message, where=where)
        return Classes(max(2, levels)), [f"one whole number for each item: {levels} classes."]
    if values.dtype.kind == "U" and values.ndim == 1:
        return detect(TextSource(values.tolist(), path=where))
    return detect(Source(values[:, None] if values.ndim == 1 else values, path=where))
