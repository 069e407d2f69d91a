"""Array files, .npy, .npz and IDX: nothing in them is ever run, and no header is believed before it is checked."""

from __future__ import annotations

import gzip
import math
import os
import struct
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from vaekit.data.checks import check_dtype, check_room, listed
from vaekit.data.labels import index_labels
from vaekit.data.loaded import Source
from vaekit.errors import DataError, nearest

DATA_NAMES = {"x", "data", "images", "image", "imgs", "features", "values", "samples", "inputs"}
TRAIN_NAMES = {"train", "x_train", "train_x", "train_images", "train_data", "images_train", "data_train"}
LABEL_NAMES = ("y", "labels", "label", "targets", "target")
IDX_TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
GZIP_RATIO = 1100  # deflate cannot squeeze harder than 1032 : 1
READ_BYTES = 1 << 20
BROKEN_ZIP = (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile)
# the last two: encrypted, unknown packing
DAMAGE = (*BROKEN_ZIP, struct.error, RuntimeError, NotImplementedError)


def read_npy(path: Path) -> Source:
    """A .npy file, memory-mapped.

    Raises:
        DataError: E204 damaged, E209 it holds objects, E202 or E211 nothing usable in it.
    """
    with open(path, "rb") as file:
        shape, dtype = _header(file, path)
        held = os.fstat(file.fileno()).st_size - file.tell()
    _check_declared(shape, dtype, held, path)
    if 0 in shape:
        raise DataError("E202", f"there is nothing in this array: its shape is {shape}.", where=path)
    return Source(np.load(path, allow_pickle=False), path=str(path))


def read_npz(path: Path, key: str | None = None, labels: str | None = None) -> Source:
    """One array of a .npz file, and its labels where they are beside it.

    Args:
        path: The file.
        key: Name of the array; None takes the only one, or the one with a usual name.
        labels: Name of the array of labels; None looks for the usual names.

    Raises:
        DataError: E213 which array is meant is not clear, E214 no such labels, and as in `read_npy`.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _from_archive(archive, path, key, labels)
    except DAMAGE as error:
        raise _damaged(path, error) from None


def read_parts(path: Path) -> dict[str, np.ndarray]:
    """Every array of a .npz file by its name.

    Raises:
        DataError: As in `read_npy`; E202 there are none.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = [info for info in archive.infolist() if info.filename.endswith(".npy")]
            found = {info.filename[:-4]: _member(archive, info, path) for info in members}
    except DAMAGE as error:
        raise _damaged(path, error) from None
    if not found:
        raise DataError("E202", "there are no arrays in this file.", where=path)
    return found


def _from_archive(archive: zipfile.ZipFile, path: Path, key: str | None, labels: str | None) -> Source:
    members = {info.filename[:-4]: info for info in archive.infolist() if info.filename.endswith(".npy")}
    headers = {}
    for name, info in members.items():
        with archive.open(info) as file:
            headers[name] = _header(file, f"{path}:{name}")
    notes: list[str] = []
    chosen = _choose(headers, path, key, notes)
    source = Source(_member(archive, members[chosen], path), path=str(path), notes=notes)
    beside = _label_name(chosen, headers, path, labels)
    if beside is not None:
        add_labels(source, _member(archive, members[beside], path), beside, insist=labels is not None)
    return source


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> np.ndarray:
    where = f"{path}:{info.filename[:-4]}"
    with archive.open(info) as file:
        shape, dtype = _header(file, where)
        _check_declared(shape, dtype, info.file_size - file.tell(), where)
    with archive.open(info) as file:
        try:
            return npy.read_array(file, allow_pickle=False)
        except ValueError as error:
            raise _damaged(where, error) from None


def _header(file: IO[bytes], where: object) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type of an array in numpy's format; the file then stands at its first value."""
    try:
        version = npy.read_magic(file)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = read(file)
    except Exception as error:  # a damaged header can break its parser in any way
        raise _damaged(where, error) from None
    return shape, dtype


def _check_declared(shape: tuple[int, ...], dtype: np.dtype, held: int, where: object) -> None:
    """Hold what a header declares against the bytes that follow it, before anything is reserved."""
    if dtype.kind not in "US":
        check_dtype(dtype, where)
    declared = math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or declared > held:
        message = f"the header declares {declared:,} bytes of values, but {held:,} follow."
        raise DataError("E204", message, where=where, hint="copy or write the file again")
    check_room(shape, dtype, where)


def _damaged(where: object, error: Exception | str) -> DataError:
    reason = str(error).split("\n")[0][:100] or type(error).__name__
    hint = "copy or write the file again"
    return DataError("E204", f"this file is damaged or cut short ({reason}).", where=where, hint=hint)


def _choose(headers: dict[str, Any], path: Path, key: str | None, notes: list[str]) -> str:
    """Which array is the data."""
    if key is not None:
        if key not in headers:
            raise DataError("E213", f"there is no array {key!r}; {nearest(key, headers)}", where=path)
        return key
    if not headers:
        raise DataError("E202", "there are no arrays in this file.", where=path)
    if {"indptr", "indices", "data"} <= set(headers):
        hint = "save its .toarray() if that fits into memory"
        raise DataError("E211", "this is a sparse matrix; a dense array is needed.", where=path, hint=hint)
    usable = [name for name, (shape, dtype) in headers.items() if len(shape) > 1 and dtype.kind in "buif"]
    groups = (list(headers), usable, _named(usable, DATA_NAMES), _named(usable, TRAIN_NAMES))
    found = next((group[0] for group in groups if len(group) == 1), None)
    if found is None:
        shapes = [f"{name} {shape}" for name, (shape, _) in headers.items()]
        message = f"there are {len(headers)} arrays and which one to take is not clear: {listed(shapes, 8)}."
        raise DataError("E213", message, where=path, hint=f"--key {usable[0]}" if usable else "")
    if len(headers) > 1:
        notes.append(f"the array {found} is taken, of {listed(sorted(headers), 8)}; --key takes another.")
    return found


def _named(names: Iterable[str], known: set[str]) -> list[str]:
    return [name for name in names if name.lower() in known]


def _label_name(key: str, headers: dict[str, Any], path: Path, labels: str | None) -> str | None:
    """Which array holds the labels of the array `key`."""
    if labels is not None:
        if labels not in headers:
            raise DataError("E214", f"there is no array {labels!r}; {nearest(labels, headers)}", where=path)
        return labels
    count = headers[key][0][:1]
    names = {name.lower(): name for name, (shape, _) in headers.items() if name != key and shape[:1] == count}
    return next((names[usual] for usual in _usual_labels(key.lower()) if usual in names), None)


def _usual_labels(key: str) -> list[str]:
    """The names that labels of an array usually have.

    Example:
        >>> _usual_labels("x_train")[:3]
        ['x_train_y', 'y_train', 'x_train_labels']
    """
    words = key.split("_")
    swapped = lambda label: "_".join(label if word in DATA_NAMES else word for word in words)  # noqa: E731
    beside = [name for label in LABEL_NAMES for name in (f"{key}_{label}", swapped(label)) if name != key]
    return [*beside, *LABEL_NAMES]


def add_labels(source: Source, values: np.ndarray, name: str, insist: bool) -> None:
    """Labels found by their name are taken where they can be; labels asked for must be."""
    try:
        source.labels, source.label_names = index_labels(values, len(source.values), f"{source.path}:{name}")
        source.notes.append(f"{name} holds the labels, {len(source.label_names)} classes.")
    except DataError as error:
        if insist:
            raise
        source.notes.append(f"{name} is not used as labels: {error.message}")


def read_idx(path: Path, labels: str | None = None) -> Source:
    """An IDX file (the format of MNIST), gzipped or not, and the labels from the file beside it.

    Args:
        path: The file.
        labels: Path of the IDX file of labels; None looks for `labels-idx1` beside `images-idx3`.

    Raises:
        DataError: E204 damaged or cut short, E210 it would not fit into memory, E214 unusable labels.
    """
    source = Source(_idx_values(path), path=str(path))
    beside = Path(labels) if labels is not None else _idx_labels(path)
    if beside is not None:
        if not beside.is_file():
            raise DataError("E214", "there is no such file of labels.", where=beside)
        add_labels(source, _idx_values(beside), beside.name, insist=labels is not None)
    return source


def _idx_labels(path: Path) -> Path | None:
    for mark in ("-", "."):
        name = path.name.replace(f"images{mark}idx3", f"labels{mark}idx1")
        others = (name, name.removesuffix(".gz"), f"{name}.gz")
        found = [path.with_name(other) for other in others if path.with_name(other).is_file()]
        if name != path.name and found:
            return found[0]
    return None


def _idx_values(path: Path) -> np.ndarray:
    try:
        with open(path, "rb") as plain:
            zipped = plain.read(2) == b"\x1f\x8b"
        ratio = GZIP_RATIO if zipped else 1
        with gzip.open(path) if zipped else open(path, "rb") as file:
            return _read_idx(file, path, ratio * path.stat().st_size)
    except DAMAGE as error:
        raise _damaged(path, error) from None


def _read_idx(file: Any, path: Path, most: int) -> np.ndarray:
    zeros, code, axes = struct.unpack(">HBB", file.read(4))
    if zeros != 0 or code not in IDX_TYPES or axes == 0:
        raise DataError("E211", "this is not an IDX file.", where=path)
    shape, dtype = struct.unpack(f">{axes}I", file.read(4 * axes)), np.dtype(IDX_TYPES[code])
    _check_declared(shape, dtype, most, path)
    values = np.empty(shape, dtype)
    _fill(file, values)
    if file.read(1):  # at the end of a gzip file this also checks its checksum
        raise _damaged(path, "more bytes follow than its header declares")
    return values if dtype.isnative else values.byteswap(inplace=True).view(dtype.newbyteorder("="))


def _fill(file: Any, values: np.ndarray) -> None:
    """Read straight into the array, so that no second copy ever exists."""
    room, done = values.reshape(-1).view(np.uint8).data, 0
    while done < len(room):
        count = file.readinto(room[done : done + READ_BYTES])
        if not count:
            raise EOFError(f"it ends after {done:,} of {len(room):,} bytes")
        done += count
