"""A folder of exported graphs: the three files, what they are, and how far they are from the model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vaekit import files
from vaekit.data import Batch, Items, Kind
from vaekit.distributions import Noise
from vaekit.errors import UsageError
from vaekit.export.graphs import Graph, graphs, likelihood, with_holes
from vaekit.export.inputs import probe
from vaekit.export.parity import BATCHES, parity
from vaekit.export.programs import archive, called, onnx, session, traced
from vaekit.model import VAE
from vaekit.operations import packed

FORMATS = {"onnx": ".onnx", "torch": ".pt2"}
FACTS = "export.json"
FEW = (1, 2)  # rows of the batches that a likelihood is held against the model with


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
    of_items = _inputs({rows: with_holes(b, kind) for rows, b in batches.items()}, batches)
    of_codes = _inputs(codes, batches)
    described: dict[str, Any] = {}
    for graph in graphs(model, kind, like).values():
        inputs = of_codes if graph.name == "decoder" else of_items
        described |= _kept(graph, inputs, place, format, said)
    return {
        "format": format, "kind": kind.name, "shape": list(kind.shape), "latent": packed(like).shape[1],
        "condition": kind.condition_width if kind.conditional else 0, "batches": list(BATCHES), "files": described,
    }  # fmt: skip


def write_likelihood(
    model: VAE,
    kind: Kind,
    place: Path,
    samples: int,
    heldout: Items | None = None,
    said: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Write a model's likelihood as ONNX beside its other graphs.

    Args:
        model, kind, heldout, said: As in `export`.
        place: A folder that is there already.
        samples: Importance draws for each item.

    Returns:
        What export.json says of the file, by its name.

    Raises:
        UsageError: E110, there is no likelihood, or no graph can hold it.
        FileError: E306, the graph differs from the model by more than 1e-4.
    """
    graph = likelihood(model.eval(), kind, samples)
    batches = {rows: probe(model, kind, rows, heldout) for rows in FEW}  # of which each is drawn many times
    inputs = _inputs({rows: with_holes(b, kind) for rows, b in batches.items()}, batches)
    return _kept(graph, inputs, place, "onnx", said)


def _inputs(values: dict[int, Tensor], batches: dict[int, Batch]) -> dict[int, tuple[Tensor, ...]]:
    """What a graph is given: values, and the condition of a conditional model."""
    return {rows: (x,) if (c := batches[rows].c) is None else (x, c) for rows, x in values.items()}


def _kept(
    graph: Graph,
    inputs: dict[int, tuple[Tensor, ...]],
    place: Path,
    format: str,
    said: Callable[[str], None],
) -> dict[str, Any]:
    """Write a graph; what export.json says of it, by the file's name."""
    name = graph.name + FORMATS[format]
    data, difference = _written(graph, inputs, format)
    files.write(place / name, data)
    said(f"{name}  {len(data):,} bytes  differs from the model by {difference:.1g} at most")
    told = {
        "inputs": list(graph.inputs), "outputs": list(graph.outputs), "bytes": len(data), "difference": difference,
    }  # fmt: skip
    return {name: told}


def _written(graph: Graph, inputs: dict[int, tuple[Tensor, ...]], format: str) -> tuple[bytes, float]:
    """A graph's bytes, and how far what they compute is from the model."""
    program = traced(graph, inputs[max(inputs)])
    data = archive(program) if format == "torch" else onnx(program, graph)
    return data, parity(graph, (called if format == "torch" else session)(data), inputs)
