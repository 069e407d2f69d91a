"""Whether a written graph says what the model says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vaekit.errors import FileError
from vaekit.export.graphs import Graph

TOLERANCE = 1e-4  # of each number; of those above 1, as a share of them
BATCHES = (1, 7)

Call = Callable[[dict[str, np.ndarray]], list[np.ndarray]]  # inputs by name → outputs in order


def parity(graph: Graph, call: Call, inputs: Mapping[int, tuple[Tensor, ...]]) -> float:
    """The largest difference between a written graph and the model, over batches of several sizes.

        max |written − model| / max(1, |model|)

    Args:
        graph: What was written.
        call: Runs what was written.
        inputs: Batch size → inputs, in the order of the graph.

    Returns:
        The difference.

    Raises:
        FileError: E306, it is above 1e-4, or a shape differs, or a number is not finite where the model's is.
    """
    worst = 0.0
    for rows, given in inputs.items():
        with torch.no_grad():
            wanted = graph.module(*given)
        named = {name: t.numpy() for name, t in zip(graph.inputs, given, strict=True)}
        outputs = wanted if isinstance(wanted, tuple) else (wanted,)
        for name, expected, found in zip(graph.outputs, outputs, call(named), strict=True):
            worst = max(worst, _difference(f"{graph.name}: {name} of {rows} rows", expected.numpy(), found))
    return worst


def _difference(said: str, expected: np.ndarray, found: Any) -> float:
    found = np.asarray(found)
    hint = "report it, with the preset and its options; --format torch may write this model"
    if found.shape != expected.shape:
        message = f"{said}: the written graph gives shape {found.shape}, the model {expected.shape}."
        raise FileError("E306", message, hint=hint)
    wide, own = expected.astype(np.float64), found.astype(np.float64)
    with np.errstate(invalid="ignore"):
        apart = np.abs(own - wide) / np.maximum(1.0, np.abs(wide))
    apart[(wide == own) | (np.isnan(wide) & np.isnan(own))] = 0.0  # infinities and holes that agree
    most = float(np.nan_to_num(apart, nan=np.inf).max(initial=0.0))
    if most > TOLERANCE:
        message = f"{said}: the written graph differs from the model by {most:.2g}, and by {TOLERANCE:g} at most may."
        raise FileError("E306", message, hint=hint)
    return most
