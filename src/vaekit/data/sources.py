"""Where data come from: images, a file of arrays, a table, text, the built-in digits, an object in memory."""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path
from typing import Any

from vaekit.data import arrays, frames, matrix_files, pictures, text
from vaekit.data.checks import finite, listed, numbers
from vaekit.data.labels import index_labels
from vaekit.data.loaded import Source, TableSource, TextSource
from vaekit.data.matrices import SparseSource
from vaekit.data.objects import read_object
from vaekit.data.parts import PartsSource
from vaekit.errors import DataError, ResourceError, UsageError

KNOWN = (
    f"a folder of images, {' '.join(pictures.SUFFIXES)}, .npy, .npz, .mtx, IDX (.gz too), "
    f"tables {' '.join(frames.SUFFIXES)} (.csv.gz too), lines of text {' '.join(text.SUFFIXES)} (.gz too), digits"
)


Loaded = Source | SparseSource | TableSource | TextSource | PartsSource


def read(source: Any, key: str | None = None, labels: Any = None, image_size: int | None = None) -> Loaded:
    """Read data from anywhere.

    Args:
        source: "digits", a path, or an object in memory.
        key: Which array of a .npz file; "*" takes all of them, as parts.
        labels: "folders", the name of an array in a .npz file, the path of an IDX file, the names of a table's
            columns with commas between them, or (N,) labels themselves.
        image_size: Scale the shorter side of image files to this and crop the centre; None takes them as they are.

    Returns:
        The values, finite (but for NaN in the holes of rows and columns) and with 2 to 4 axes, a table, or lines of
        text, and what is known about them.

    Raises:
        DataError: What the data are cannot be used; the code says why.
        UsageError: E103, an option that does not go with this source.

    Example:
        >>> read("digits").values.shape
        (1797, 8, 8)
    """
    if isinstance(source, Loaded):
        return source
    words = labels if isinstance(labels, str) else None
    if isinstance(source, str | os.PathLike):
        loaded = _read_path(os.fspath(source), key, words, image_size)
    else:
        loaded = read_object(source, image_size)
        _refuse(
            words is not None and not isinstance(loaded, TableSource),
            "--labels names a column or file, and this is an object: hand over the labels",
        )
    if isinstance(loaded, TableSource):
        frames.refuse_options(key, labels, image_size)
        return frames.with_labels(loaded, words)
    if isinstance(loaded, Source):
        values = numbers(loaded.values, loaded.path)
        holes = values.ndim == 2  # NaN in rows and columns is a value that was not observed
        loaded.values = finite(values, loaded.path, loaded.names, holes)
    if labels is not None and words is None:
        loaded.labels, loaded.label_names = index_labels(labels, len(loaded), loaded.path)
    fits = image_size is None or getattr(loaded.values, "shape", ())[1:3] == (image_size, image_size)
    _refuse(not fits, "--image-size scales image files, and this is an array: scale it first")
    return loaded


def _refuse(wrong: bool, message: str) -> None:
    if wrong:
        raise UsageError("E103", f"{message}.")


def _read_path(text: str, key: str | None, labels: str | None, image_size: int | None) -> Loaded:
    path = Path(text)
    if text == "digits":
        return _digits()
    if not path.exists():
        raise _missing(path)
    try:
        form = "folder" if path.is_dir() else file_format(path)
        _refuse(key is not None and form != "npz", "--key chooses an array of a .npz file, and this is none")
        _refuse(labels == "folders" and form != "folder", "--labels folders needs a folder of images")
        _refuse(
            labels not in (None, "folders") and form == "folder", "the labels of images are --labels folders"
        )
        return _read_form(form, path, key, labels, image_size)
    except ResourceError:  # an OSError as well
        raise
    except OSError as error:
        raise DataError("E201", f"it cannot be read ({error.strerror or error}).", where=path) from None


def _read_form(form: str, path: Path, key: str | None, labels: str | None, image_size: int | None) -> Loaded:
    if form == "folder":
        return pictures.read_folder(path, labels, image_size)
    if form == "image":
        return pictures.read_files([path], [path.name], path, image_size)
    if form == "table":
        return frames.read_table(path)
    if form == "npz" and key == "*":
        return PartsSource(arrays.read_parts(path), path=str(path))
    if form == "npz":
        sparse = matrix_files.read_csr_npz(path, labels) if key is None else None
        return arrays.read_npz(path, key, labels) if sparse is None else sparse
    if form == "text":
        return text.read_text(path)
    if form == "mtx":
        return matrix_files.read_mtx(path)
    return arrays.read_idx(path, labels) if form == "idx" else arrays.read_npy(path)


def _digits() -> Source:
    from vaekit.datasets import digits

    images, labels = digits()
    notes = (
        ["a file or folder named digits is here too; ./digits reads it."] if Path("digits").exists() else []
    )
    return Source(images, labels, tuple(str(digit) for digit in range(10)), path="digits", notes=notes)


def file_format(path: Path) -> str:
    """What a file is, by its suffix for images and tables, else by its first bytes: image, table, text,
    mtx, npy, npz or idx.

    Raises:
        DataError: E211, it is none of these; E202, it is empty.
    """
    if not path.is_file():
        raise DataError("E211", "this is neither a file nor a folder.", where=path)
    if path.stat().st_size == 0:
        raise DataError("E202", "this file is empty.", where=path)
    if path.suffix.lower() in pictures.SUFFIXES:
        return "image"
    if path.name.lower().endswith((".mtx", ".mtx.gz")):
        return "mtx"
    with open(path, "rb") as file:
        start = file.read(6)
    if start.startswith(b"\x93NUMPY"):
        return "npy"
    if frames.is_table(path):
        return "table"
    if text.is_text(path):
        return "text"
    if start.startswith(b"PK\x03\x04") or start.startswith(b"PK\x05\x06"):
        return "npz"
    if (start[:2] == b"\0\0" and start[2] in arrays.IDX_TYPES) or (
        start[:2] == b"\x1f\x8b" and _named_idx(path)
    ):
        return "idx"
    raise _unknown(path)


def _named_idx(path: Path) -> bool:
    """Whether a gzip file is meant as IDX: its name says so, or no other name stands before .gz."""
    return "idx" in path.name or "ubyte" in path.name or Path(path.stem).suffix == ""


def _unknown(path: Path) -> DataError:
    if path.suffix.lower() in (".npy", ".npz"):
        hint = "write it again with np.save or np.savez"
        return DataError("E204", "this file does not begin as numpy's files do.", where=path, hint=hint)
    suffix = "".join(path.suffixes[-2:]) if path.suffix == ".gz" else path.suffix
    what = f"{suffix} files are not read" if suffix else "this file's format is not known"
    return DataError("E211", f"{what}.", where=path, hint=f"known: {KNOWN}")


def _missing(path: Path) -> DataError:
    """E201 with the names in the nearest folder that exists."""
    place = next(parent for parent in path.absolute().parents if parent.is_dir())
    wanted = path.absolute().relative_to(place).parts[0]
    try:
        names = sorted(name for name in os.listdir(place) if not name.startswith("."))
    except OSError:
        names = []
    close = difflib.get_close_matches(wanted, names, n=3, cutoff=0.6)
    hint = listed([place / name for name in close]) if close else ""
    message = f"there is no {wanted} in {place}; there are {listed(names, 6) or 'no files'}."
    return DataError("E201", message, where=path, hint=hint)


def split_row(text: str) -> tuple[str, int | None]:
    """SOURCE#row as the source and the row's number, which is None where no row is named.

    Example:
        >>> split_row("a.npy#3"), split_row("photos/7.png")
        (('a.npy', 3), ('photos/7.png', None))
    """
    found = re.fullmatch(r"(.+)#(\d+)", text)
    if found is None or Path(text).exists():  # a file may really be called a#3
        return text, None
    return found[1], int(found[2])


def item(
    source: Any, key: str | None = None, image_size: int | None = None, labels: str | None = None
) -> Loaded:
    """One row: of a file that holds one, or the one that SOURCE#row names.

    Args:
        source: A path, SOURCE#row, or an object in memory that holds one row.
        key, image_size, labels: As in `read`.

    Returns:
        A source of one row.

    Raises:
        UsageError: E103, there is no such row, or which one is meant is not said.

    Example:
        >>> item("digits#3").values.shape
        (1, 8, 8)
    """
    place, row = split_row(source) if isinstance(source, str) else (source, None)
    loaded = read(place, key=key, labels=labels, image_size=image_size)
    if row is None and len(loaded) > 1:
        raise UsageError(
            "E103", f"there are {len(loaded)} rows and one is needed.", where=place, hint=f"{place}#0"
        )
    row = row or 0
    if row >= len(loaded):
        message = f"there is no row {row}; the rows are 0 to {len(loaded) - 1}."
        raise UsageError("E103", message, where=place, hint=f"{place}#{len(loaded) - 1}")
    return loaded.rows(row, row + 1)
