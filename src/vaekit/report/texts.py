"""Lines of text in the report: as tables of the page, since a picture of them could not be searched or copied."""

from __future__ import annotations

from typing import Any

import numpy as np

from vaekit.report.style import number

Arrays = dict[str, np.ndarray]
LONGEST = 200  # characters of a line that are kept
LINES = 20  # samples in the table
GROUPS = ("best", "median", "worst")


def tables(evidence: Arrays) -> dict[str, dict[str, Any]]:
    """Reconstructions, samples and traversals of lines of text, by the section they belong to.

    Args:
        evidence: What `gather` found.

    Returns:
        Section → names of the columns and cells; empty where the items are no text.
    """
    if str(evidence.get("form", "")) != "text":
        return {}
    made = {"reconstructions": _reconstructions, "samples": _samples, "traversals": _traversals}
    needed = {"reconstructions": "items_x", "samples": "sample_x", "traversals": "walk_x"}
    return {name: make(evidence) for name, make in made.items() if needed[name] in evidence}


def _reconstructions(evidence: Arrays) -> dict[str, Any]:
    cells = []
    for group, name in enumerate(GROUPS):
        parts = (evidence[f"items_{part}"][group] for part in ("score", "x", "rebuilt", "error"))
        for score, item, rebuilt, error in zip(*parts, strict=True):
            cells.append([name, number(float(score), 3), str(item), str(rebuilt), str(int(error))])
    return {"names": ["", "score", "line", "rebuilt", "places that differ"], "cells": cells}


def _samples(evidence: Arrays) -> dict[str, Any]:
    pairs = zip(evidence["sample_x"][:LINES], evidence["sample_nearest"][:LINES], strict=True)
    return {"names": ["sample", "nearest training line"], "cells": [[str(a), str(b)] for a, b in pairs]}


def _traversals(evidence: Arrays) -> dict[str, Any]:
    steps = [number(float(step), 2) for step in evidence["walk_steps"]]
    walks = zip(evidence["walk_dims"], evidence["walk_x"], strict=True)
    return {"names": ["", *steps], "cells": [[f"z{dim}", *map(str, walk)] for dim, walk in walks]}
