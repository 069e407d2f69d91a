"""Files of sparse matrices: Matrix Market, and .npz archives of compressed rows."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from vaekit.data.arrays import GZIP_RATIO, LABEL_NAMES, add_labels
from vaekit.data.checks import check_room
from vaekit.data.matrices import (
    WRITE_AGAIN,
    SparseSource,
    compressed,
    damaged,
    from_sparse,
    refuse_non_counts,
)
from vaekit.errors import DataError

ORIENTED = ("csr", "csc")
PARTS = ("data", "indices", "indptr", "shape")
# which say nothing about what is in a file
UNREADABLE = (FileNotFoundError, IsADirectoryError, PermissionError)


def read_csr_npz(path: Path, labels: str | None = None) -> SparseSource | None:
    """A .npz file of compressed sparse rows (or columns), as scipy.sparse.save_npz writes them or without a format.

    Args:
        path: The file.
        labels: Name of the array of labels; None looks for the usual names.

    Returns:
        The source; None where the file holds no such matrix.

    Raises:
        DataError: E204 damaged, E211 another sparse format, E214 no such labels, and as in `from_sparse`.
    """
    path = Path(path)
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = {info.filename[:-4]: info.file_size for info in archive.infolist()}
        if not set(PARTS) <= set(sizes):
            return None
        check_room((sum(sizes[name] for name in PARTS),), np.dtype(np.uint8), path)
        with np.load(path, allow_pickle=False) as held:
            parts = {name: held[name] for name in PARTS}
            form = _format(held["format"]) if "format" in sizes else "csr"
            beside = _labels(held, sizes, labels, path)
    except (DataError, *UNREADABLE):
        raise
    except Exception as error:  # a damaged archive or header can break its parser in any way
        raise damaged(path, error) from None
    if form not in ORIENTED:
        hint = "save it with scipy.sparse.save_npz(path, matrix.tocsr())"
        raise DataError("E211", f"this is a sparse matrix in the format {form!r}.", where=path, hint=hint)
    shape = _shape(parts["shape"], path)
    order = shape if form == "csr" else shape[::-1]
    rows = compressed(parts["data"], parts["indices"], parts["indptr"], order, path, turned=form == "csc")
    source = SparseSource(rows, path=str(path))
    if beside is not None:
        add_labels(source, *beside, insist=labels is not None)  # type: ignore[arg-type]
    return source


def read_mtx(path: Path) -> SparseSource:
    """A Matrix Market file, gzipped or not; one of genes by cells with barcodes.tsv beside it is turned.

    Args:
        path: The file, .mtx or .mtx.gz.

    Raises:
        DataError: E203 a negative entry in a file of integers, E204 damaged, and as in `from_sparse`.
    """
    from scipy.io import mminfo, mmread

    path = Path(path)
    try:
        height, width, entries, _, values, _ = mminfo(path)
        _check_claims(path, (height, width), entries)
        if values == "complex":
            raise DataError("E211", "this matrix holds complex numbers, not real ones.", where=path)
        matrix = mmread(path)
    except (DataError, *UNREADABLE):
        raise
    except Exception as error:  # the parser raises what it likes
        raise damaged(path, error) from None
    found = _coordinates(matrix)
    notes = []
    if _names_columns(path, found.shape):
        found = found.T
        notes.append("its columns are the items, as the barcodes beside it say: the matrix is turned.")
    source = from_sparse(found, path)
    source.notes = notes
    if values in ("integer", "unsigned-integer"):
        refuse_non_counts(source.values, path)
    return source


def _shape(values: np.ndarray, where: object) -> tuple[int, int]:
    if values.shape != (2,) or values.dtype.kind not in "iu":
        raise DataError("E204", f"the shape of the sparse matrix is given as {values!r}.", where=where)
    return int(values[0]), int(values[1])


def _format(value: np.ndarray) -> str:
    word = value.reshape(-1)[0] if value.dtype.kind in "SU" and value.size == 1 else "unknown"
    return word.decode("ascii", "replace") if isinstance(word, bytes) else str(word)


def _labels(held: Any, sizes: dict[str, int], asked: str | None, path: Path) -> tuple[np.ndarray, str] | None:
    """The labels in a file, with their name."""
    if asked is not None and asked not in sizes:
        raise DataError("E214", f"there is no array {asked!r} in this file.", where=path)
    name = asked or next((name for name in LABEL_NAMES if name in sizes), None)
    return None if name is None else (held[name], name)


def _check_claims(path: Path, shape: tuple[int, int], entries: int) -> None:
    """Hold what a Matrix Market header claims against the size of the file, before anything is reserved."""
    with open(path, "rb") as file:
        ratio = GZIP_RATIO if file.read(2) == b"\x1f\x8b" else 1
    if entries > ratio * path.stat().st_size:
        message = f"its header claims {entries:,} entries, more than fit into the file."
        raise DataError("E204", message, where=path, hint=WRITE_AGAIN)
    check_room((sum(shape),), np.dtype(np.int64), path)


def _coordinates(matrix: Any) -> Any:
    """What SciPy read, sparse: it answers with an array where the file holds every entry."""
    from scipy.sparse import csr_array

    return matrix if hasattr(matrix, "tocsr") else csr_array(matrix)


def _names_columns(path: Path, shape: tuple[int, int]) -> bool:
    """Whether a list of barcodes beside the file (10x Genomics) has one for each column and not for each row."""
    for name in ("barcodes.tsv.gz", "barcodes.tsv"):
        beside = path.with_name(name)
        if beside.is_file():
            with gzip.open(beside) if name.endswith(".gz") else open(beside, "rb") as file:
                count = sum(1 for line in file if line.strip())
            return count == shape[1] != shape[0]
    return False
