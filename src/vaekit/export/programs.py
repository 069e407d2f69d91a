"""A graph as a torch program and as ONNX, with a batch of any size."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.export import ExportedProgram

from vaekit.errors import ResourceError, UsageError
from vaekit.export.graphs import Graph
from vaekit.export.operators import translations
from vaekit.export.parity import Call

MOST = 10_000  # operations of a graph; the simplifier's time grows with their square: 4 000 take 20 seconds


def traced(graph: Graph, inputs: tuple[Tensor, ...]) -> ExportedProgram:
    """A graph as a torch program whose first axis is a batch of any size.

    Raises:
        UsageError: E110, the model computes something that no graph can hold.
    """
    rows = torch.export.Dim("batch", min=1)
    try:
        with quiet(), torch.no_grad():
            program = torch.export.export(
                graph.module, inputs, dynamic_shapes=tuple({0: rows} for _ in inputs), strict=False
            )
    except Exception as error:  # torch's own errors have no common class
        message = f"the {graph.name} of this model cannot be traced ({_reason(error)})."
        raise UsageError("E110", message, hint="another preset, or --format torch") from error
    program._example_inputs = None  # they would be written as a pickle
    return program


def _reason(error: BaseException) -> str:
    """What an error goes back to, in a line."""
    while error.__cause__ is not None:
        error = error.__cause__
    first = next(iter(str(error).strip().splitlines()), "")
    return f"{type(error).__name__}: {first}"[:200]


def archive(program: ExportedProgram) -> bytes:
    """A torch program as the bytes of a .pt2 file: a zip of JSON and of raw tensors."""
    file = io.BytesIO()
    with quiet():
        torch.export.save(program, file)
    return file.getvalue()


def called(data: bytes) -> Call:
    """What runs a .pt2 file."""
    with quiet():
        module = torch.export.load(io.BytesIO(data)).module()

    def call(inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        with torch.no_grad():
            found = module(*map(torch.from_numpy, inputs.values()))
        return [t.numpy() for t in (found if isinstance(found, tuple | list) else (found,))]

    return call


def onnx(program: ExportedProgram, graph: Graph) -> bytes:
    """A torch program as the bytes of an ONNX file.

    Raises:
        ResourceError: E404, the packages for it are missing.
        UsageError: E110, ONNX has no such operation, or there are so many that writing them would take an hour.
    """
    _needs("onnxscript", "onnx")
    operations = len(program.graph.nodes)
    if operations > MOST:
        message = f"the {graph.name} of this model has {operations} operations, and more than {MOST} take ONNX an hour."
        raise UsageError("E110", message, hint="--format torch")
    try:
        with quiet(), torch.no_grad():
            made: Any = torch.onnx.export(
                program, dynamo=True, verbose=False, optimize=True,
                input_names=list(graph.inputs), output_names=list(graph.outputs),
                custom_translation_table=translations(),
            )  # fmt: skip
            return made.model_proto.SerializeToString()
    except Exception as error:
        message = f"the {graph.name} of this model cannot be written as ONNX ({_reason(error)})."
        raise UsageError("E110", message, hint="--format torch") from error


def session(data: bytes) -> Call:
    """What runs an ONNX file.

    Raises:
        ResourceError: E404, onnxruntime is missing.
    """
    _needs("onnxruntime")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 3, 1
    running = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return lambda inputs: running.run(None, inputs)


def _needs(*packages: str) -> None:
    import importlib.util

    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        message = f"writing ONNX needs {' and '.join(missing)}."
        raise ResourceError("E404", message, hint="pip install 'vaekit[export]'")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Inside, the exporters say nothing: neither warnings, nor log lines, nor what they print."""
    names = ("torch.onnx", "torch.export", "torch._export", "onnxscript", "onnx_ir", "torch.fx")
    loggers = [logging.getLogger(name) for name in names]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    disabled = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with contextlib.ExitStack() as stack:
            nowhere = stack.enter_context(open(os.devnull, "w"))
            stack.enter_context(contextlib.redirect_stdout(nowhere))
            stack.enter_context(contextlib.redirect_stderr(nowhere))
            stack.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
