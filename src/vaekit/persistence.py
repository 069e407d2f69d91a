"""Save and open: a recipe, the weights, the kind of data; JSON and safetensors, never code.

A model folder is complete by itself: recipe.json, weights.safetensors, kind.json, calibration.json and
reference.safetensors if there are any, README.md, and a manifest of hashes that is checked before anything is read.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as parse_tensors
from safetensors.torch import save as tensors_to_bytes
from torch import Tensor

from vaekit import files
from vaekit.data import Kind
from vaekit.errors import FileError
from vaekit.model import VAE
from vaekit.recipes import build, foreign, recipe

FORMAT = 1  # of the model folder; a reader refuses a newer one


def save(
    path: str | Path,
    model: VAE,
    kind: Kind | None = None,
    calibration: Mapping[str, Any] | None = None,
    about: Mapping[str, Any] | None = None,
    card: str = "",
    reference: Mapping[str, Tensor] | None = None,
) -> Path:
    """Write a model folder, whole or not at all.

    Args:
        path: The folder.
        model: What to save; parts of your own must be marked `@vaekit.configurable`.
        kind: The kind of data it was trained on.
        calibration: What scores are held against.
        about: Facts for `inspect`: preset, objective, versions.
        card: Text of the model card.
        reference: Items in coded form, whose neighbours new items are to be.

    Returns:
        The path.

    Raises:
        TypeError: A part is not configurable.
        ValueError: A weight is not finite.

    Example:
        >>> import tempfile
        >>> from vaekit import presets
        >>> from vaekit.data import Vectors
        >>> model, _ = presets.vae(Vectors(4), latent=2)
        >>> again, kind, _ = load(save(tempfile.mkdtemp() + "/model", model, Vectors(4)))
        >>> bool((again.encode(torch.ones(1, 4)) == model.encode(torch.ones(1, 4))).all())
        True
    """
    written = {"format": FORMAT, "model": recipe(model), "about": dict(about or {})}
    weights = tensors_to_bytes(unique(model.state_dict()), metadata={"format": "pt"})
    with files.folder(path) as place:
        files.write_json(place / "recipe.json", written)
        files.write(place / "weights.safetensors", weights)
        if kind is not None:
            files.write_json(place / "kind.json", {"format": FORMAT, "kind": recipe(kind)})
        if calibration is not None:
            files.write_json(place / "calibration.json", dict(calibration))
        if reference:
            tensors = {name: t.contiguous() for name, t in reference.items()}
            files.write(place / "reference.safetensors", tensors_to_bytes(tensors, metadata={"format": "pt"}))
        files.write(place / "README.md", card or "A model saved by vaekit.\n")
    return Path(path)


def describe(path: str | Path, card: str) -> Path:
    """Give a model folder another model card, and a manifest that covers it.

    Args:
        path: A folder that `save` wrote.
        card: The new README.md.

    Raises:
        FileError: A file has changed since it was written.
    """
    path = files.check(path)
    with files.folder(path) as place:
        for name in files.hashes(path):
            if name != "README.md":
                with (
                    open(path / name, "rb") as old,
                    files.writing(place / name) as new,
                ):  # on the disk when it ends
                    shutil.copyfileobj(old, new)
        files.write(place / "README.md", card)
    return path


def load(path: str | Path, classes: Iterable[type] = ()) -> tuple[VAE, Kind | None, dict[str, Any]]:
    """Open a model folder.

    Args:
        path: The folder.
        classes: Classes of your own that the recipe names, unless they are imported already.

    Returns:
        The model in evaluation mode, its kind if it has one, and what was saved about it (`about`, `calibration`).

    Raises:
        FileError: A file is missing, changed, of another version, or names a class that is not known.
    """
    path = Path(path)
    if not (path / files.MANIFEST).is_file():
        raise FileError("E301", "this is not a model that vaekit saved: it has no manifest.", where=path)
    files.check(path)
    written = version_checked(files.read_json(path / "recipe.json"), path)
    tensors = read_tensors(path / "weights.safetensors")
    _no_larger(written.get("model"), classes, tensors, path)
    model = built(written.get("model"), classes, path / "recipe.json")
    if not isinstance(model, VAE):
        raise FileError("E303", "the recipe makes no model.", where=path / "recipe.json")
    if any(t.dtype == torch.float64 for t in tensors.values()):
        model.double()  # as it was saved
    place(tensors, model, path / "weights.safetensors")
    kind = None
    if (path / "kind.json").is_file():
        found = version_checked(files.read_json(path / "kind.json"), path / "kind.json")
        kind = built(found.get("kind"), classes, path / "kind.json")
        if not isinstance(kind, Kind):
            raise FileError("E303", "this is no kind of data.", where=path / "kind.json")
    calibration = (
        files.read_json(path / "calibration.json") if (path / "calibration.json").is_file() else None
    )
    return model.eval(), kind, {**written.get("about", {}), "calibration": calibration}


def load_reference(path: str | Path) -> dict[str, Tensor]:
    """Items in coded form that lie in a model folder; none where they were left out.

    Raises:
        FileError: The file is damaged.
    """
    place = Path(path) / "reference.safetensors"
    return read_tensors(place) if place.is_file() else {}


def _no_larger(written: Any, classes: Iterable[type], tensors: Mapping[str, Tensor], path: Path) -> None:
    """Follow the recipe without taking memory, and hold every shape against the weights that are there."""
    with torch.device("meta"):
        try:
            skeleton = built(written, classes, path / "recipe.json")
        except FileError as error:
            # a part of a user's own may need real numbers to be made; ours never do
            if isinstance(error.__cause__, RuntimeError) and foreign(written):
                return
            raise
    saved = {tuple(t.shape) for t in tensors.values()}
    for name, t in skeleton.state_dict().items() if isinstance(skeleton, VAE) else ():
        found = tuple(tensors[name].shape) if name in tensors else None
        if found != t.shape and (found is not None or tuple(t.shape) not in saved):
            message = f"{name} has shape {found}, but the recipe makes {tuple(t.shape)}."
            raise FileError("E303", message, where=path / "weights.safetensors")


def built(written: Any, classes: Iterable[type], where: Path) -> Any:
    """Rebuild a part; whatever a damaged or hostile recipe does wrong becomes one error."""
    try:
        return build(written, classes)
    except FileError as error:
        error.where = error.where or str(where)
        raise
    except (
        TypeError,
        ValueError,
        KeyError,
        AttributeError,
        RuntimeError,
        IndexError,
        OverflowError,
    ) as error:
        raise FileError("E303", f"the recipe cannot be followed ({error}).", where=where) from error


def version_checked(written: Any, where: Path) -> dict[str, Any]:
    """A folder's description, unless a newer vaekit wrote it.

    Raises:
        FileError: It is of another version.
    """
    found = written.get("format") if isinstance(written, dict) else None
    if found != FORMAT:
        message = f"this was written in format {found}, and this vaekit reads format {FORMAT}."
        raise FileError("E302", message, where=where, hint="pip install --upgrade vaekit, or train again")
    return written


def unique(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Each tensor once, by its first name, contiguous and on the CPU; parts that are shared are saved once.

    Raises:
        ValueError: One of them is not finite.
    """
    for name, t in tensors.items():
        if t.is_floating_point() and not bool(torch.isfinite(t).all()):
            raise ValueError(f"{name} holds values that are not finite; nothing was saved")
    return {name: tensors[name].detach().cpu().contiguous() for name in unique_names(tensors)}


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file.

    Raises:
        FileError: It is not one.
    """
    try:
        return parse_tensors(path.read_bytes())
    except SafetensorError as error:
        raise FileError(
            "E303", f"these are not tensors in safetensors form ({error}).", where=path
        ) from error


@torch.no_grad()
def place(tensors: Mapping[str, Tensor], model: torch.nn.Module, where: Path) -> None:
    """Put saved tensors into a model that has the same ones.

    Raises:
        FileError: Names or shapes do not match.
    """
    own = model.state_dict()
    expected = unique_names(own)
    if set(tensors) != expected:
        odd = sorted(set(tensors) ^ expected)
        raise FileError(
            "E303", f"the weights do not fit the recipe: {odd[0]} is missing or too many.", where=where
        )
    for name, t in tensors.items():
        if own[name].shape != t.shape:
            message = f"{name} has shape {tuple(t.shape)}, but the recipe makes {tuple(own[name].shape)}."
            raise FileError("E303", message, where=where)
        own[name].copy_(t)


def unique_names(tensors: Mapping[str, Tensor]) -> set[str]:
    """The first name of each tensor; those without elements have no address and are all kept."""
    seen: dict[object, str] = {}
    keys = {name: (t.data_ptr(), tuple(t.shape)) if t.numel() else name for name, t in tensors.items()}
    return {name for name, key in keys.items() if seen.setdefault(key, name) == name}
