"""What a model folder may hold, and whether one is whole: the files that are shared, none of which can run code."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from vaekit import files
from vaekit.errors import FileError

REFERENCE = "reference.safetensors"
FILES = (
    "recipe.json", "weights.safetensors", "kind.json", "calibration.json", REFERENCE, "README.md", files.MANIFEST,
)  # fmt: skip
NEEDED = ("recipe.json", "weights.safetensors", "README.md")  # those that no model can do without
THEIRS = (".gitattributes", ".cache")  # what the hub adds; never taken


def model_folder(path: Path) -> Path:
    """The model folder in a run folder, or the folder itself if it is one.

    Raises:
        FileError: E301, there is none.
    """
    place = path / "model" if (path / "model").is_dir() else path
    if not (place / files.MANIFEST).is_file():
        raise FileError(
            "E301", "this is not a run of vaekit with a model.", where=path, hint="vaekit train first"
        )
    return place


def check_whole(place: Path, name: str = "") -> None:
    """See to it that a folder holds plain files of a model and no others, each as its manifest says.

    Args:
        place: The folder.
        name: Of the repository that it comes from, which an error then names.

    Raises:
        FileError: E303, it does not.
    """
    where = name or place
    entries = sorted(place.iterdir())
    odd = [entry.name for entry in entries if entry.is_symlink() or not entry.is_file()]
    if odd:
        raise FileError("E303", f"{odd[0]!r} is no plain file; nothing was taken.", where=where)
    check_names([entry.name for entry in entries], str(where))
    if not (place / files.MANIFEST).is_file():
        raise FileError("E303", f"there is no {files.MANIFEST}: it cannot be checked.", where=where)
    written = files.read_json(place / files.MANIFEST)
    expected = written.get("files") if isinstance(written, dict) else None
    if not isinstance(expected, dict):
        raise FileError("E303", f"{files.MANIFEST} names no files.", where=where)
    extra = sorted({entry.name for entry in entries} - set(expected) - {files.MANIFEST})
    if extra:
        raise FileError("E303", f"the manifest does not name {extra[0]}.", where=where)
    missing = sorted(set(NEEDED) - set(expected))
    if missing:
        raise FileError("E303", f"this is no model folder: it lacks {missing[0]}.", where=where)
    try:
        files.check(place)
    except FileError as error:
        error.where = f"{where}: {Path(error.where).name}" if name else error.where
        raise


def check_names(names: Iterable[str], where: str) -> None:
    """See to it that all of these are names of a model folder's files, or of what the hub adds.

    Raises:
        FileError: E303, one is not.
    """
    odd = sorted(name for name in names if name not in FILES and name.partition("/")[0] not in THEIRS)
    if odd:
        message = f"{odd[0][:80]!r} is no file of a model folder; nothing was taken."
        raise FileError("E303", message, where=where, hint="share it with vaekit push")
