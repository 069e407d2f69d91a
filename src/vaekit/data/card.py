"""The data card: what a model was trained on, as JSON and without the data themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from vaekit.data.batch import Items
from vaekit.data.detect_table import table_card
from vaekit.data.facts import constant_features, measure
from vaekit.data.kind import Kind
from vaekit.data.loaded import Source, TableSource, TextSource
from vaekit.data.matrices import SparseSource
from vaekit.data.parts import Parts, PartsSource
from vaekit.data.sparse import SparseRows
from vaekit.data.tables import Table
from vaekit.data.text import text_card
from vaekit.distributions import content_keys
from vaekit.notebook import table

MOST_LISTED = 100  # places of constant features that are written out


class Card(dict[str, Any]):
    """A data card: a dict of JSON values that a notebook shows as a table.

    Example:
        >>> "<td" in Card(kind="images", count=3)._repr_html_()
        True
    """

    def _repr_html_(self) -> str:
        hidden = ("source", "types", "columns", "reasons", "notes", "constant_features")
        facts = [(name.replace("_", " "), value) for name, value in self.items() if name not in hidden]
        types = self.get("types")
        columns = [one for one in types if isinstance(one, dict)] if isinstance(types, list) else []
        facts += [(str(one.get("name")), f"{one.get('type')}: {one.get('why', '')}") for one in columns]
        facts += [("why", reason) for reason in self.get("reasons") or []] if not columns else []
        facts += [("worth knowing", note) for note in self.get("notes") or []]
        return table(f"data: {self.get('source', '')}", facts)


def card(
    source: Source | SparseSource | TableSource | TextSource | PartsSource,
    kind: Kind,
    items: Items,
    reasons: list[str],
) -> Card:
    """A description of some data.

    Args:
        source: What was read.
        kind: What it was found to be.
        items: The same data in storage form.
        reasons: Why.

    Returns:
        JSON values; no path, no datum.

    Example:
        >>> from vaekit.data import build, detect, read
        >>> source = read("digits")
        >>> kind, reasons = detect(source)
        >>> made = card(source, kind, build(source, kind), reasons)
        >>> made["count"], made["shape"], made["range"], made["likelihood"]
        (1797, [1, 8, 8], [0.0, 16.0], 'DiscretizedLogistic')
    """
    if isinstance(source, TableSource | TextSource | PartsSource):
        return Card(_of_table(source, kind, items, reasons))
    facts, constant = _facts(source.values)
    found = {
        "source": Path(source.path).name,
        "kind": kind.name,
        "count": len(items),
        "shape": list(kind.shape),
        "dtype": str(source.values.dtype),
        **facts,
        "likelihood": type(kind.family).__name__,
        "binarize": getattr(kind, "binarize", "none"),
        "seed": getattr(kind, "seed", None),
        "classes": _classes(source),
        "unlabelled": 0 if source.labels is None else int((source.labels < 0).sum()),
        "constant_features": {"count": len(constant), "first": constant[:MOST_LISTED].tolist()},
        "duplicates": 1 - len(np.unique(_keys(items.raw).numpy())) / len(items),
        "notes": list(source.notes),
        "reasons": list(reasons),
        "fingerprint": source.fingerprint(),
    }
    return Card(found)


def _of_table(
    source: TableSource | TextSource | PartsSource, kind: Kind, items: Items, reasons: list[str]
) -> dict[str, Any]:
    return {
        "source": Path(source.path).name,
        "kind": kind.name,
        "count": len(items),
        "shape": list(kind.shape),
        "likelihood": type(kind.family).__name__,
        **(text_card(source) if isinstance(source, TextSource) else {}),
        **({"parts": {n: repr(k) for n, k in kind.parts.items()}} if isinstance(kind, Parts) else {}),
        **(table_card(source, kind) if isinstance(kind, Table) and isinstance(source, TableSource) else {}),
        "classes": _counted(items, kind),
        "duplicates": 1 - len(np.unique(_keys(items.raw).numpy())) / len(items),
        "notes": list(source.notes),
        "reasons": list(reasons),
        "fingerprint": source.fingerprint(),
    }


def _counted(items: Items, kind: Kind) -> dict[str, int]:
    if items.labels is None:
        return {}
    counts = np.bincount(items.labels[items.labels >= 0].numpy(), minlength=len(kind.labels))
    return dict(zip(kind.labels, counts.tolist(), strict=True))


def _facts(values: np.ndarray | SparseRows) -> tuple[dict[str, Any], np.ndarray]:
    """What the values look like, and the places of the features that never change."""
    if isinstance(values, SparseRows):
        return values.facts(), values.constant_columns()
    facts = measure(values)
    return {"range": [facts.low, facts.high], "mean": facts.mean, "zeros": facts.zeros}, constant_features(
        values
    )


def _keys(raw: Tensor | SparseRows) -> Tensor:
    return raw.keys() if isinstance(raw, SparseRows) else content_keys(raw)


def _classes(source: Source | SparseSource) -> dict[str, int]:
    """How many items each class has."""
    if source.labels is None:
        return {}
    counts = np.bincount(source.labels[source.labels >= 0], minlength=len(source.label_names))
    return dict(zip(source.label_names, counts.tolist(), strict=True))
