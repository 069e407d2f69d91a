"""How items are shown on the page, and how what is given on the page becomes an item.

`reading` is told to the page, which shows and reads items by it where there is no server; `shown` and `values` are the
same things done here.

    image   x (C, H, W) = pixel / 255, of `levels` L rounded to k / (L − 1), of `bits` to 0 and 1
    open    the same beyond [0, 1], for pictures with noise on them: where `x` says so
    cells   each column as `cell_texts` says; NaN where nothing was observed
    text    token i + 1 for `characters[i]`, 0 after the end
    parts   the above at `at` and `width` of a row; NaN over a part that is missing
"""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vaekit.data import Images, Items, Kind, Parts, Sequences, Table
from vaekit.data.columns import Column
from vaekit.distributions import Noise
from vaekit.errors import DataError
from vaekit.explorer.cell_texts import columns, described, number, texts


def reading(kind: Kind) -> dict[str, Any]:
    """How x is shown and read; of a conditional kind with `condition`, the c of each label and of none."""
    if not kind.conditional:
        return _form(kind, [])
    each = [condition(kind, label) for label in [*range(len(kind.labels)), None]]
    c = torch.cat([one for one in each if one is not None])
    given = (
        [one["cells"] for one in shown(kind, torch.zeros(len(c), *kind.shape), c)]
        if isinstance(kind, Table)
        else []
    )
    *labels, none = c.tolist()
    return {**_form(kind, given), "condition": {"labels": labels, "none": none}}


def _form(kind: Kind, given: list[list[str]]) -> dict[str, Any]:
    if isinstance(kind, Images):
        bits = kind.binarize != "none" or kind.levels == 2
        return {
            "form": "image", "shape": [kind.height, kind.width, kind.channels],
            "x": "unit" if kind.white is None else "open", "levels": 0 if kind.white is not None else kind.levels,
            "bits": bits,
        }  # fmt: skip
    if isinstance(kind, Sequences):
        return {"form": "text", "characters": list(kind.characters), "length": kind.length}
    if isinstance(kind, Parts):
        parts = [
            {"name": name, "at": kind.place(name).start, "width": width, "reading": reading(part)}
            for (name, part), width in zip(kind.parts.items(), kind.widths, strict=True)
        ]
        return {"form": "parts", "parts": parts}
    return {"form": "cells", "columns": described(kind, given)}


def condition(kind: Kind, label: int | None, rows: int = 1) -> Tensor | None:
    """The condition of some rows, (rows, A): a label's, or the one that came most often; None without any.

    Args:
        kind: A kind.
        label: Place in `kind.labels`, or None.
        rows: How many.
    """
    if not kind.conditional:
        return None
    if isinstance(kind, Table):
        where = None if label is None else {str(kind.label): kind.labels[label]}
        one = kind.conditions(1, where, Noise(0, "explore"))
    else:
        shares = kind.frequencies
        usual = max(range(len(shares)), key=shares.__getitem__) if shares else 0
        one = kind.condition(torch.tensor([usual if label is None else label]))
    return None if one is None else one.expand(rows, -1)


# ---------------------------------------------------------------------- from x to what is shown


def shown(kind: Kind, x: Tensor, c: Tensor | None = None) -> list[dict[str, Any]]:
    """Values of the model's space (N, *shape) as the page shows them; NaN is what is not there."""
    if isinstance(kind, Images):
        return [image(picture) for picture in kind.picture(x.nan_to_num())]
    if isinstance(kind, Parts):
        return _parts(kind, x)
    if isinstance(kind, Table):
        return [{"cells": list(row)} for row in zip(*_cells(kind, x, c), strict=True)]
    made = kind.decode(x.nan_to_num(), c)
    if isinstance(kind, Sequences):
        return [{"text": line} for line in made]
    rows = np.asarray(made, dtype=np.float64).reshape(len(x), -1)
    rows = np.where(x.isnan().flatten(1).numpy(), np.nan, rows)
    digits = 0 if np.asarray(made).dtype.kind in "iu" else None
    return [{"cells": [number(float(value), digits) for value in row]} for row in rows]


def _cells(kind: Table, x: Tensor, c: Tensor | None) -> list[list[str]]:
    """Texts of each column of a table."""
    found = []
    for column, codes in kind.restored(x.nan_to_num(), c):
        codes = np.where(gone(kind, column, x), np.nan, codes)
        found.append(texts(column, codes))
    return found


def gone(kind: Table, column: Column, x: Tensor) -> np.ndarray:
    """Which rows' cell of a column is not there, for a part of it is NaN, (N,)."""
    found = torch.zeros(len(x), dtype=torch.bool)
    if column not in kind.modelled:
        return found.numpy()
    place = kind.places(column)
    level = None if place.head is None else x[:, place.head]
    found = found if level is None else level.isnan()
    if place.score is not None:
        counts = torch.ones_like(found) if level is None else level >= len(getattr(column, "special", ()))
        found = found | (x[:, place.score].isnan() & counts)
    return found.numpy()


def _parts(kind: Parts, x: Tensor) -> list[dict[str, Any]]:
    each = {
        name: shown(part, x[:, kind.place(name)].unflatten(1, part.shape))
        for name, part in kind.parts.items()
    }
    return [
        {"parts": [{"name": name, "shown": rows[i]} for name, rows in each.items()]} for i in range(len(x))
    ]


def image(picture: np.ndarray) -> dict[str, Any]:
    """A picture (H, W[, C]) of bytes."""
    picture = picture[..., None] if picture.ndim == 2 else picture
    content = base64.b64encode(picture.tobytes()).decode()
    return {"image": {"shape": list(picture.shape), "pixels": content}}


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
    each = [one for batch in items.batches(1024) for one in shown(kind, batch.with_holes, batch.c)]
    if isinstance(kind, Sequences):
        return {"form": "text", "texts": [one["text"] for one in each]}
    if isinstance(kind, Parts):
        return {"form": "parts", "items": each}
    return {"form": "cells", "cells": [one["cells"] for one in each]}


# ---------------------------------------------------------------------- from what is given to items


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
    if isinstance(kind, Parts) and isinstance(given.get("parts"), list):
        told = {str(one.get("name")): one.get("given") for one in given["parts"] if isinstance(one, dict)}
        return {name: values(part, told[name]) for name, part in kind.parts.items() if name in told}
    if isinstance(given.get("cells"), list) and not isinstance(kind, Images | Sequences | Parts):
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
    if kind.white is not None or not kind.levels:
        return scaled.astype(np.float32)
    return np.rint(scaled).astype(np.uint8 if kind.levels <= 256 else np.uint16)


def cells(told: list[Any], kind: Kind) -> Any:
    """A row given as texts."""
    import pandas as pd

    names = columns(kind)
    if len(told) != len(names) or not all(isinstance(one, str) for one in told):
        raise DataError("E212", f"{len(names)} cells of text are expected.")
    if isinstance(kind, Table):
        return pd.DataFrame([[one if one.strip() else None for one in told]], columns=names, dtype=object)
    try:
        return np.array([[float(one) if one.strip() else np.nan for one in told]])
    except ValueError as error:
        raise DataError("E212", f"numbers are expected ({error}).") from None
