"""A folder of exported graphs: the three files, what they are, and how far they are from the model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from vaekit import files
from vaekit.data import Items, Kind
from vaekit.distributions import Noise
from vaekit.errors import UsageError
from vaekit.export.graphs import Graph, graphs, with_holes
from vaekit.export.inputs import probe
from vaekit.export.parity import BATCHES, parity
from vaekit.export.programs import archive, called, onnx, session, traced
from vaekit.model import VAE
from vaekit.operations import packed

FORMATS = {"onnx": ".onnx", "torch": ".pt2"}
FACTS = "export.json"


def export(
    model: VAE,
    kind: Kind,
    path: str | Path,
    format: str = "onnx",
    heldout: Items | None = None,
    seed: int = 0,
    said: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Write encoder, decoder and score of a model into a folder, each held against the model itself.

    Args:
        model: A trained model.
        kind: Of its data.
        path: The folder; an older one of this name is replaced once the new one is whole.
        format: onnx or torch.
        heldout: Items to hold the graphs against; by default draws from the model.
        seed: Of those draws.
        said: Told of each file in a line.

    Returns:
        What export.json says: `format`, `latent`, `files` with inputs, outputs and the largest difference.

    Raises:
        UsageError: E110, the model computes something that no graph can hold.
        FileError: E306, a graph differs from the model by more than 1e-4; nothing is left behind.
    """
    if format not in FORMATS:
        raise UsageError("E103", f"format is one of {', '.join(FORMATS)}, not {format!r}.")
    with files.folder(path) as place:
        found = write(model, kind, place, format, heldout, seed, said)
        files.write_json(place / FACTS, found)
    return found


def write(
    model: VAE,
    kind: Kind,
    place: Path,
    format: str,
    heldout: Items | None = None,
    seed: int = 0,
    said: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """As `export`, into a folder that is there already, without export.json."""
    model = model.eval()
    batches = {rows: probe(model, kind, rows, heldout, seed) for rows in BATCHES}
    c = kind.conditions(1, None, Noise(seed, "like"))
    with torch.no_grad():
        like = model.encode(torch.zeros(1, *kind.shape), c)
        codes = {rows: packed(model.encode(b.x, b.c, b.mask)) for rows, b in batches.items()}
    described = {}
    for graph in graphs(model, kind, like).values():
        inputs = {
            rows: tuple(
                t
                for t in (codes[rows] if graph.name == "decoder" else with_holes(b, kind), b.c)
                if t is not None
            )
            for rows, b in batches.items()
        }
        name = graph.name + FORMATS[format]
        data, difference = _written(graph, inputs, format)
        files.write(place / name, data)
        described[name] = {
            "inputs": list(graph.inputs), "outputs": list(graph.outputs), "bytes": len(data), "difference": difference,
        }  # fmt: skip
        said(f"{name}  {len(data):,} bytes  differs from the model by {difference:.1g} at most")
    return {
        "format": format, "kind": kind.name, "shape": list(kind.shape), "latent": packed(like).shape[1],
        "condition": kind.condition_width if kind.conditional else 0, "batches": list(BATCHES), "files": described,
    }  # fmt: skip


def _written(graph: Graph, inputs: dict[int, tuple[torch.Tensor, ...]], format: str) -> tuple[bytes, float]:
    """A graph's bytes, and how far what they compute is from the model."""
    program = traced(graph, inputs[max(inputs)])
    data = archive(program) if format == "torch" else onnx(program, graph)
    return data, parity(graph, (called if format == "torch" else session)(data), inputs)
