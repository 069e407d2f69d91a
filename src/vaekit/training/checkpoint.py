"""Training state on disk: tensors and JSON in a folder each, the newest named by LATEST, the one before kept."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load as parse_tensors
from safetensors.torch import save as tensors_to_bytes
from torch import Tensor

from vaekit import files
from vaekit.errors import FileError

KEPT = 2


def save_checkpoint(place: Path, step: int, tensors: dict[str, Tensor], facts: dict[str, Any]) -> Path:
    """Write a checkpoint, then point to it, then remove all but the last two.

    Args:
        place: The `checkpoints` folder.
        step: Optimizer steps done.
        tensors: What `State.tensors` gives, and whatever else must be kept.
        facts: JSON values.
    """
    path = place / f"step-{step:08d}"
    with files.folder(path) as temporary:
        copies = {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}
        files.write(temporary / "state.safetensors", tensors_to_bytes(copies))
        files.write_json(temporary / "state.json", {"step": step, **facts})
    files.write(place / "LATEST", path.name + "\n")
    for old in _written(place)[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    return path


def load_checkpoint(place: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """The newest checkpoint that is whole: tensors and facts; None if there is none.

    Raises:
        FileError: There are checkpoints, and not one of them is whole.
    """
    found, problem = _written(place), None
    for path in reversed(found):
        try:
            files.check(path)
            tensors = parse_tensors((path / "state.safetensors").read_bytes())
            return tensors, files.read_json(path / "state.json")
        except (FileError, SafetensorError, OSError) as error:
            problem = error
    if problem is not None:
        message = f"none of the {len(found)} checkpoints is whole ({problem.args[0]})"
        raise FileError("E303", message, where=place, hint="start again with --fresh")
    return None


def _written(place: Path) -> list[Path]:
    return sorted(path for path in place.glob("step-*") if path.is_dir())
