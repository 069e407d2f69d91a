"""The data card: what a model was trained on, as JSON and without the data themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from vaekit.data.batch import Items
from vaekit.data.facts import constant_features, measure
from vaekit.data.kind import Kind
from vaekit.data.loaded import Source
from vaekit.distributions import content_keys

MOST_LISTED = 100  # places of constant features that are written out


def card(source: Source, kind: Kind, items: Items, reasons: list[str]) -> dict[str, Any]:
    """A description of some data.

    Args:
        source: What was read.
        kind: What it was found to be.
        items: The same data in storage form.
        reasons: Why.

    Returns:
        A dict of JSON values; no path, no datum.

    Example:
        >>> from vaekit.data import build, detect, read
        >>> source = read("digits")
        >>> kind, reasons = detect(source)
        >>> made = card(source, kind, build(source, kind), reasons)
        >>> made["count"], made["shape"], made["range"], made["likelihood"]
        (1797, [1, 8, 8], [0.0, 16.0], 'DiscretizedLogistic')
    """
    facts, constant = measure(source.values), constant_features(source.values)
    return {
        "source": Path(source.path).name,
        "kind": kind.name,
        "count": len(items),
        "shape": list(kind.shape),
        "dtype": str(source.values.dtype),
        "range": [facts.low, facts.high],
        "mean": facts.mean,
        "zeros": facts.zeros,
        "likelihood": type(kind.family).__name__,
        "binarize": getattr(kind, "binarize", "none"),
        "seed": getattr(kind, "seed", None),
        "classes": _classes(source),
        "unlabelled": 0 if source.labels is None else int((source.labels < 0).sum()),
        "constant_features": {"count": len(constant), "first": constant[:MOST_LISTED].tolist()},
        "duplicates": 1 - len(np.unique(content_keys(items.raw).numpy())) / len(items),
        "notes": list(source.notes),
        "reasons": list(reasons),
        "fingerprint": source.fingerprint(),
    }


def _classes(source: Source) -> dict[str, int]:
    """How many items each class has."""
    if source.labels is None:
        return {}
    counts = np.bincount(source.labels[source.labels >= 0], minlength=len(source.label_names))
    return dict(zip(source.label_names, counts.tolist(), strict=True))
