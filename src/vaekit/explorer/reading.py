"""How items are shown on the page, and how what is given on the page becomes an item."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from torch import Tensor

from vaekit.data import Images, Items, Kind, Parts, Sequences, Table
from vaekit.errors import DataError


def reading(kind: Kind) -> dict[str, Any]:
    """How x is shown and read."""
    if isinstance(kind, Images):
        return {"form": "image", "shape": [kind.height, kind.width, kind.channels], "x": "unit"}
    if isinstance(kind, Sequences):
        return {"form": "text"}
    if isinstance(kind, Parts):
        parts = [
            {"name": name, "at": kind.place(name).start, "width": width, "reading": reading(part)}
            for (name, part), width in zip(kind.parts.items(), kind.widths, strict=True)
        ]
        return {"form": "parts", "parts": parts}
    return {"form": "cells", "columns": [{"name": name, "kind": "number"} for name in columns(kind)]}


def columns(kind: Kind) -> list[str]:
    """Names of the cells of an item."""
    if isinstance(kind, Table):
        return [column.name for column in kind.shown]
    return [f"x{i}" for i in range(kind.shape[0])]


def shown(kind: Kind, x: Tensor, c: Tensor | None = None) -> list[dict[str, Any]]:
    """Values of the model's space (N, *shape) as the page shows them."""
    if isinstance(kind, Images):
        return [image(picture) for picture in kind.picture(x)]
    made = kind.decode(x, c)
    if isinstance(kind, Sequences):
        return [{"text": line} for line in made]
    if isinstance(kind, Parts):
        each = {
            name: shown(part, x[:, kind.place(name)].unflatten(1, part.shape))
            for name, part in kind.parts.items()
        }
        return [
            {"parts": [{"name": name, "shown": rows[i]} for name, rows in each.items()]}
            for i in range(len(x))
        ]
    if isinstance(kind, Table):
        rows = kind.written(made).astype(object).to_numpy()
        return [{"cells": [cell(value) for value in row]} for row in rows]
    return [{"cells": [cell(value) for value in np.atleast_1d(row)]} for row in np.asarray(made)]


def cell(value: Any) -> str:
    """A value as the text of a cell; empty where there is none."""
    if value is None or value != value or str(value) in ("NaT", "<NA>"):
        return ""
    return f"{value:.6g}" if isinstance(value, float | np.floating) else str(value)


def image(picture: np.ndarray) -> dict[str, Any]:
    """A picture (H, W[, C]) of bytes."""
    picture = picture[..., None] if picture.ndim == 2 else picture
    return {
        "image": {
            "shape": list(picture.shape),
            "pixels": base64.b64encode(picture.tobytes()).decode(),
        }
    }


def values(kind: Kind, given: Any) -> Any:
    """What was given on the page as what `kind.store` takes.

    Raises:
        DataError: E212 it is of another form or shape.
    """
    if not isinstance(given, dict):
        raise DataError("E212", "an item is expected.")
    if isinstance(kind, Images) and isinstance(given.get("image"), dict):
        return pixels(given["image"], kind)
    if isinstance(kind, Sequences) and isinstance(given.get("text"), str):
        return [given["text"]]
    if isinstance(given.get("cells"), list):
        return cells(given["cells"], kind)
    raise DataError("E212", f"this is not an item of {kind.name}.")


def pixels(told: dict[str, Any], kind: Images) -> np.ndarray:
    """A picture given as bytes, (1, H, W, C) in the range of the training data."""
    wanted = (kind.height, kind.width, kind.channels)
    try:
        content = base64.b64decode(str(told.get("pixels")), validate=True)
    except ValueError:
        raise DataError("E212", "the pixels are not base64.") from None
    if told.get("shape") != list(wanted) or len(content) != int(np.prod(wanted)):
        raise DataError("E212", f"a picture of {wanted} bytes is expected.")
    array = np.frombuffer(content, dtype=np.uint8).reshape(1, *wanted)
    if kind.levels == 256:
        return array
    scaled = array.astype(np.float64) / 255 * kind.top
    return np.rint(scaled) if kind.levels else scaled.astype(np.float32)


def cells(told: list[Any], kind: Kind) -> Any:
    """A row given as texts."""
    import pandas as pd

    names = columns(kind)
    if len(told) != len(names) or not all(isinstance(one, str) for one in told):
        raise DataError("E212", f"{len(names)} cells of text are expected.")
    if isinstance(kind, Table):
        return pd.DataFrame([[one if one.strip() else None for one in told]], columns=names)
    try:
        return np.array([[float(one) if one.strip() else np.nan for one in told]])
    except ValueError as error:
        raise DataError("E212", f"numbers are expected ({error}).") from None


def block(kind: Kind, items: Items, arrays: Any) -> dict[str, Any]:
    """Items in the form in which the page holds many of them.

    Args:
        kind: Of the items.
        items: All of those that are to be shown.
        arrays: Where arrays go.
    """
    if isinstance(kind, Images):
        raw: Any = items.raw
        found = kind.picture(raw.float() / kind.top)
        found = found[..., None] if found.ndim == 3 else found
        return {"form": "image", "pixels": arrays.add(found, "u1")}
    each = [one for batch in items.batches(1024) for one in shown(kind, batch.x, batch.c)]
    if isinstance(kind, Sequences):
        return {"form": "text", "texts": [one["text"] for one in each]}
    if isinstance(kind, Parts):
        return {"form": "parts", "items": each}
    return {"form": "cells", "cells": [one["cells"] for one in each]}
