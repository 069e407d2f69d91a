"""What a folder or file of ours holds: sizes, hashes, shapes; nothing is loaded, built or run."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from vaekit import files
from vaekit.errors import FileError

MOST_HEADER = 100_000_000  # bytes; the limit of the safetensors format
BYTES = {
    "F64": 8,
    "I64": 8,
    "F32": 4,
    "I32": 4,
    "F16": 2,
    "BF16": 2,
    "I16": 2,
    "U16": 2,
    "U8": 1,
    "I8": 1,
    "BOOL": 1,
}


def inspected(path: Path) -> dict[str, Any]:
    """A run folder, a model folder, or one safetensors or JSON file.

    Raises:
        FileError: It is none of these, or damaged.
    """
    if not path.exists():
        raise FileError("E301", "there is nothing there.", where=path)
    if path.is_dir():
        return _folder(path)
    if path.suffix == ".safetensors":
        return {
            "file": path.name,
            "bytes": path.stat().st_size,
            "sha256": files.sha256(path),
            **tensors(path),
        }
    if path.suffix == ".json":
        return {"file": path.name, "bytes": path.stat().st_size, "content": files.read_json(path)}
    raise FileError(
        "E301", "this is not a file of vaekit.", where=path, hint="a run folder, .safetensors or .json"
    )


def tensors(path: Path) -> dict[str, Any]:
    """Names, types and shapes from a safetensors header, held against the file's length.

    Raises:
        FileError: The header is not one, or does not fit the file.
    """
    size = path.stat().st_size
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(size - 8, MOST_HEADER):
            raise FileError(
                "E303", "this is not a safetensors file: its header is longer than it.", where=path
            )
        try:
            header = json.loads(file.read(length))
            found = {
                name: (e["dtype"], list(e["shape"])) for name, e in header.items() if name != "__metadata__"
            }
            last = max((e["data_offsets"][1] for n, e in header.items() if n != "__metadata__"), default=0)
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            raise FileError(
                "E303", "this is not a safetensors file: its header cannot be read.", where=path
            ) from None
    if last != size - 8 - length:
        raise FileError(
            "E303", f"{last} bytes of tensors are declared, {size - 8 - length} are there.", where=path
        )
    numbers = sum(math.prod(shape) for _, shape in found.values())
    return {"numbers": numbers, "tensors": {name: f"{kind} {shape}" for name, (kind, shape) in found.items()}}


def _folder(path: Path) -> dict[str, Any]:
    model = path / "model" if (path / "model").is_dir() else path
    if not (model / files.MANIFEST).is_file() and not (path / "run.json").is_file():
        raise FileError("E301", "this is not a run of vaekit.", where=path)
    found: dict[str, Any] = {"path": str(path)}
    if (path / "run.json").is_file():
        facts = files.read_json(path / "run.json")
        found |= {
            name: facts.get(name) for name in ("status", "preset", "objective", "steps", "seconds", "metrics")
        }
        found |= {"prior": facts["prior"]} if facts.get("prior") else {}
    if (model / files.MANIFEST).is_file():
        files.check(model)
        found["files"] = {name: (model / name).stat().st_size for name in files.hashes(model)}
        found["sha256"] = files.hashes(model)
        found |= tensors(model / "weights.safetensors")
    return found
