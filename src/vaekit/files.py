"""The one writer of every file: a temporary beside it, flushed to disk, renamed, and the folder flushed too.

A reader therefore sees the old file or the new one, never half of one, whenever the machine stops.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import math
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from vaekit.errors import FileError, ResourceError

MANIFEST = "MANIFEST.json"


def write(path: str | Path, data: bytes | str) -> Path:
    """Write a whole file so that it is there completely or not at all.

    Args:
        path: Where; the folder is made if it is missing.
        data: The content.

    Returns:
        The path.

    Raises:
        ResourceError: The disk is full, or the place cannot be written.
    """
    with writing(path) as file:
        file.write(data.encode() if isinstance(data, str) else data)
    return Path(path)


@contextlib.contextmanager
def writing(path: str | Path) -> Iterator[BinaryIO]:
    """Write a file bit by bit, which is there completely or not at all in the end.

    Yields:
        The temporary file, which takes the name when everything went well.

    Raises:
        ResourceError: The disk is full, or the place cannot be written.
    """
    path = Path(path)
    temporary = path.parent / f".{path.name}.{os.getpid()}.tmp"
    with _loud(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(temporary, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _flush_folder(path.parent)


def write_json(path: str | Path, value: Any) -> Path:
    """Write strict JSON (no NaN: a number that is not finite becomes null)."""
    return write(path, _json(value))


def _json(value: Any) -> str:
    return json.dumps(finite(value), indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def finite(value: Any) -> Any:
    """The same value with every number that is not finite replaced by None.

    Example:
        >>> finite({"elbo": float("nan"), "n": [1, 2.5]})
        {'elbo': None, 'n': [1, 2.5]}
    """
    if isinstance(value, dict):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_json(path: str | Path) -> Any:
    """Read strict JSON.

    Raises:
        FileError: The file is missing or is not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"), parse_constant=_no_constant)
    except FileNotFoundError:
        raise FileError("E301", f"there is no {Path(path).name} here.", where=Path(path).parent) from None
    except (ValueError, RecursionError) as error:
        raise FileError("E303", f"this is not valid JSON ({error}).", where=path) from None


def read_yaml(path: str | Path) -> dict[str, Any]:
    """A YAML file of ours that holds names and values, of plain types only.

    Raises:
        FileError: There is none, or it is not a mapping.
    """
    import yaml

    path = Path(path)
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileError("E301", "there is no such configuration.", where=path) from None
    except OSError as error:
        raise FileError("E301", f"this cannot be read ({error.strerror or error}).", where=path) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise FileError("E303", f"this is not YAML ({str(error).splitlines()[0]}).", where=path) from None
    if not isinstance(found, dict):
        raise FileError("E303", "a configuration is a mapping of names to values.", where=path)
    return found


@contextlib.contextmanager
def folder(path: str | Path) -> Iterator[Path]:
    """Write a whole folder at once: files go into a temporary one, which then takes the name.

    A manifest of SHA-256 hashes is added. An older folder of that name is replaced.

    Yields:
        The temporary folder to write into.
    """
    path = Path(path)
    temporary = path.parent / f".{path.name}.{os.getpid()}.tmp"
    with _loud(path):
        _tidy(path)
        temporary.mkdir(parents=True)
        try:
            yield temporary
            write_json(temporary / MANIFEST, {"files": hashes(temporary)})
            _flush_folder(temporary)
            _take_name(temporary, path)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        _flush_folder(path.parent)


def hashes(place: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder by its path in it, but for the manifest itself."""
    names = sorted(p.relative_to(place).as_posix() for p in place.rglob("*") if p.is_file())
    return {name: sha256(place / name) for name in names if name != MANIFEST}


def sha256(path: Path) -> str:
    """SHA-256 of one file's bytes, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check(place: str | Path) -> Path:
    """Hold a folder's files against its manifest.

    Raises:
        FileError: There is no manifest, a file is missing, or its bytes have changed.
    """
    place = Path(place)
    written = read_json(place / MANIFEST)
    expected = written.get("files") if isinstance(written, dict) else None
    as_written = _json({"files": expected})  # a manifest in any other form is not one that we wrote
    if not isinstance(expected, dict) or as_written != (place / MANIFEST).read_text(encoding="utf-8"):
        raise FileError("E303", "the manifest has changed since it was written.", where=place / MANIFEST)
    for name, digest in expected.items():
        if not _within(name) or not (place / name).is_file():
            raise FileError("E303", f"the manifest names {name}, which is not there.", where=place)
        if sha256(place / name) != digest:
            hint = "copy it again from where it was made, or train again with --fresh"
            raise FileError(
                "E303", f"{name} has changed since it was written.", where=place / name, hint=hint
            )
    return place


def _within(name: str) -> bool:
    """Whether a path of a manifest stays below the manifest's folder."""
    return not name.startswith("/") and all(
        part not in ("", ".", "..") for part in re.split(r"[/\\]|^\w:", name)
    )


def _tidy(path: Path) -> None:
    """What a killed process left: a folder that had stepped aside gets its name back, the rest goes."""
    ours = re.compile(rf"\.{re.escape(path.name)}\.\d+\.(tmp|old)")
    left = [p for p in path.parent.glob(".*") if ours.fullmatch(p.name)] if path.parent.is_dir() else []
    for place in left:
        if place.suffix == ".old" and not path.exists():
            os.replace(place, path)
        else:
            shutil.rmtree(place, ignore_errors=True)


def _take_name(temporary: Path, path: Path) -> None:
    """Rename a folder over another; a folder in the way steps aside first, so that one of them always exists."""
    aside = path.parent / f".{path.name}.{os.getpid()}.old"
    stood = path.exists()
    if stood:
        os.replace(path, aside)
    try:
        os.replace(temporary, path)
    except BaseException:
        if stood:
            os.replace(aside, path)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _flush_folder(place: Path) -> None:
    with contextlib.suppress(OSError):  # some file systems cannot flush a folder
        descriptor = os.open(place, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


@contextlib.contextmanager
def _loud(path: Path) -> Iterator[None]:
    """Say what the operating system refused, in our words."""
    try:
        yield
    except ResourceError:
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            hint = "free some space, or choose another place with --out"
            raise ResourceError(
                "E401", "the disk is full; nothing was lost.", where=path, hint=hint
            ) from error
        hint = "choose another place with --out"
        reason = error.strerror or str(error)
        raise ResourceError(
            "E402", f"this place cannot be written ({reason}).", where=path, hint=hint
        ) from error
