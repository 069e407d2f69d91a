"""CSV and TSV files, packed or not: every cell is read as text first, and each column is typed as a whole."""

from __future__ import annotations

import bz2
import codecs
import gzip
import lzma
import re
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vaekit.data.cell_types import are_numbers, typed
from vaekit.data.cells import WIDEST, Grid, delimiter_of, line_of
from vaekit.data.checks import check_room, listed
from vaekit.data.loaded import TableSource
from vaekit.errors import DataError

PACKED: tuple[tuple[bytes, Any], ...] = (
    (b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ\0", lzma.open),
)  # fmt: skip
DAMAGE = (EOFError, zlib.error, gzip.BadGzipFile, lzma.LZMAError, OSError)
READ_BYTES = 1 << 22
PEAK = 4  # reading needs about so many times the text's size
CONTROL = bytes(set(range(32)) - set(b"\t\n\v\f\r\x1a\x1b"))
MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
NAMES = {"\t": "a tab", ",": "a comma", ";": "a semicolon", "|": "a bar"}


def read_csv(path: Path) -> TableSource:
    """A text file of cells, with the names of the columns in its first line.

    Args:
        path: A file that ends in .csv or .tsv, or in one of these and .gz, .bz2 or .xz.

    Returns:
        Each column as what all of its cells are; the notes say what was not plain to see.

    Raises:
        DataError: E202 no rows, E204 no text or damaged, E206 an infinite number, E210 larger than the memory,
            E215 a word among numbers, E218 rows of several lengths, E219 two columns of one name.
    """
    import pandas

    notes: list[str] = []
    content = _clean(_unpacked(path), path, notes)
    usual = "\t" if ".tsv" in path.name.lower() else ","
    delimiter = delimiter_of(content, tabs=usual == "\t")
    if delimiter != usual:
        notes.append(f"the cells are separated by {NAMES[delimiter]}.")
    grid = Grid(content, delimiter, path)
    if grid.blank_lines:
        notes.append(f"{grid.blank_lines} blank lines are skipped.")
    names, first = _header(grid, path, notes)
    if grid.shape[0] == first:
        raise DataError("E202", "there are no rows: the file ends after its header.", where=path)
    columns = [typed(grid.column(number, name, first)) for number, name in enumerate(names)]
    said: dict[str, list[str]] = {}
    for name, column in zip(names, columns, strict=True):
        said.setdefault(column.note, []).append(name)
    notes += [f"column {listed(which)}: {note}" for note, which in said.items() if note]
    frame = pandas.DataFrame({name: column.values for name, column in zip(names, columns, strict=True)})
    formats = {name: column.format for name, column in zip(names, columns, strict=True) if column.format}
    return TableSource(frame, formats=formats, path=str(path), notes=notes)


def text_of(path: Path, notes: list[str]) -> str:
    """A text file, packed or not, in any encoding that can be told, with a line feed at the end of each line.

    Args:
        path: The file.
        notes: What the user should know is added to these.

    Raises:
        DataError: E202 nothing in it, E204 no text or damaged, E210 larger than the memory.
    """
    return _clean(_unpacked(path), path, notes).rstrip(b"\0").decode()


def column_names(names: Sequence[Any], where: object, notes: list[str]) -> list[str]:
    """The names of columns as text, each there and none twice.

    Args:
        names: As they came.
        where: What to call the table in a message.
        notes: What the user should know is added to these.

    Raises:
        DataError: E219, two of them are the same.

    Example:
        >>> column_names(["a", ""], "", [])
        ['a', 'column 2']
    """
    words = [str(name).strip() for name in names]
    unnamed = [number for number, word in enumerate(words, 1) if not word]
    words = [word or f"column {number}" for number, word in enumerate(words, 1)]
    if unnamed:
        notes.append(
            f"there is no name over column {listed(unnamed)}; it is called {words[unnamed[0] - 1]!r}."
        )
    seen: set[str] = set()
    twice = [word for word in words if word in seen or seen.add(word)]  # type: ignore[func-returns-value]
    if twice:
        several = listed([repr(word) for word in dict.fromkeys(twice)])
        raise DataError("E219", f"several columns are named {several}.", where=where, hint="rename them")
    return words


def _header(grid: Grid, path: Path, notes: list[str]) -> tuple[list[str], int]:
    """The names of the columns, and the number of the first row of data."""
    cells = grid.row(0)
    counted = len(cells) > 2 and cells == [
        str(number) for number in range(len(cells))
    ]  # as numpy and pandas count
    if are_numbers(cells) and not counted:
        notes.append("the first line holds numbers, so there is no header; the columns are x0, x1, ….")
        return [f"x{number}" for number in range(len(cells))], 0
    return column_names(cells, f"{path}, line {grid.line(0)}", notes), 1


def _unpacked(path: Path) -> bytes:
    """The bytes of the file, unpacked if they are packed, as long as the memory lasts."""
    with open(path, "rb") as plain:
        start = plain.read(6)
    opener = next((opener for mark, opener in PACKED if start.startswith(mark)), None)
    if opener is None:
        _check_room(path.stat().st_size, path)
        return path.read_bytes()
    parts: list[bytes] = []
    size = 0
    try:
        with opener(path) as file:
            while part := file.read(READ_BYTES):
                size += len(part)
                _check_room(size, path)
                parts.append(part)
    except DAMAGE as error:
        message = f"this file is damaged or cut short ({str(error)[:100] or type(error).__name__})."
        raise DataError("E204", message, where=path, hint="copy or write the file again") from None
    return b"".join(parts)


def _check_room(size: int, path: Path) -> None:
    try:
        check_room((PEAK * size,), np.dtype(np.uint8), path)
    except DataError:
        message = (
            f"this table is at least {size / 2**20:,.0f} MiB of text, more than this machine can take in."
        )
        raise DataError("E210", message, where=path, hint="use part of it") from None


def _clean(content: bytes, path: Path, notes: list[str]) -> bytes:
    """The text as UTF-8, with a line feed at the end of each line, and zeros after the last for `Grid`."""
    content = _utf8(content, path, notes)
    if b"\r" in content:
        content = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    content = content.rstrip(b"\n\x1a")
    if not content.strip():
        raise DataError("E202", "there is nothing in this file.", where=path)
    return b"".join([content, b"\n", bytes(WIDEST)])


def _utf8(content: bytes, path: Path, notes: list[str]) -> bytes:
    mark, encoding = next((mark for mark in MARKS if content.startswith(mark[0])), (b"", "utf-8"))
    content = content[len(mark) :]
    if encoding != "utf-8":
        try:
            content = content.decode(encoding).encode()
        except UnicodeError:
            message = "this file begins as UTF-16 and does not go on as that."
            raise DataError("E204", message, where=path, hint="save it as UTF-8") from None
    zero = content.find(0)
    if zero >= 0:
        where = f"{path}, line {line_of(content, zero)}"
        message = "there is a zero byte: this is no text, or text in UTF-16 without its mark."
        raise DataError("E204", message, where=where, hint="save it as UTF-8")
    try:
        if not content.isascii():
            content.decode()
    except UnicodeDecodeError as error:
        return _western(content, path, error.start, notes)
    return content


def _western(content: bytes, path: Path, place: int, notes: list[str]) -> bytes:
    """Text in the one-byte encodings of old programs, if it is text at all."""
    line = line_of(content, place)
    if len(content.translate(None, CONTROL)) < len(content):
        where = f"{path}, line {line}"
        message = "this is no text: there are bytes in it that no text has."
        raise DataError("E204", message, where=where, hint="save the table as CSV in UTF-8")
    try:
        text, name = content.decode("cp1252"), "Windows-1252"
    except UnicodeDecodeError:
        text, name = content.decode("latin-1"), "Latin-1"
    example = re.search(r"\S*[^\x00-\x7f]\S*", text)
    shown = "" if example is None else f", as in {example[0][:20]!r}"
    notes.append(f"this is no UTF-8 (line {line}); it is read as {name}{shown}.")
    return text.encode()
