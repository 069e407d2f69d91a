"""Cells of a text file: where each one begins and ends in its bytes, every row held to the same count."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vaekit.errors import DataError

DELIMITERS = (",", "\t", ";", "|")
WIDEST = 64  # bytes; a longer cell is no number and no date
SAMPLE = 1 << 16  # the delimiter is found in so much
PART = 1 << 22
NEWLINE, QUOTE, BLANKS = 10, 34, b" \t"
AROUND = 64  # so many blanks around cells are taken off in whole columns, more of them cell by cell


def delimiter_of(content: bytes, tabs: bool) -> str:
    """What stands between the cells: what the header has, and the first lines as often as the header.

    Args:
        content: The file.
        tabs: Whether its name promises tabs.

    Example:
        >>> delimiter_of(b"a;b\\n1,5;2,5\\n", tabs=False)
        ';'
    """
    lines = re.sub(rb'"[^"]*"', b"", content[:SAMPLE].lstrip(b"\n")).split(b"\n")
    lines = [line for line in (lines[:-1] if len(content) > SAMPLE else lines) if line.strip()] or lines

    def fit(mark: str) -> tuple[float, bool, int]:
        counts = [line.count(mark.encode()) for line in lines]
        same = sum(count == counts[0] for count in counts) / len(counts)
        return same if counts[0] else -1.0, tabs and mark == "\t", counts[0]

    best = max(DELIMITERS, key=fit)  # the first of them where none is better
    return best if fit(best)[0] >= 0 else "\t" if tabs else ","


@dataclass
class Column:
    """The cells of one column.

    Attributes:
        content: The file.
        starts, ends: (N,) where each cell begins and ends in it, blanks around it and quotes left out.
        quoted: (N,) whether it stood in quotes.
        name: The column's name.
        delimiter: What stands between the cells.
        path: The file's path.
    """

    content: bytes
    starts: np.ndarray
    ends: np.ndarray
    quoted: np.ndarray
    name: str
    delimiter: str
    path: Path

    def matrix(self) -> np.ndarray:
        """(N, W) the cells' bytes, zeros after their ends; W is the longest's length, `WIDEST` at most."""
        lengths = self.ends - self.starts
        width = min(WIDEST, max(1, int(lengths.max())))
        windows = np.lib.stride_tricks.sliding_window_view(np.frombuffer(self.content, np.uint8), width)
        cells = windows[self.starts]
        cells *= np.arange(width) < lengths[:, None]
        cells[lengths > WIDEST, 0] = 1  # what was cut off shall not pass for a number
        return cells

    def raw(self) -> list[bytes]:
        """The cells as they stand, doubled quotes made single."""
        pairs = zip(self.starts.tolist(), self.ends.tolist(), strict=True)
        cells = [self.content[start:end] for start, end in pairs]
        for row in np.flatnonzero(self.quoted).tolist():
            cells[row] = cells[row].replace(b'""', b'"')
        return cells

    def wrong(self, code: str, message: str, row: int, hint: str) -> DataError:
        """What is wrong with one cell, with the place where it stands.

        Args:
            code: One of the codes of errors.
            message: A sentence, in which {cell} becomes what the cell holds.
            row: The data row, counted from 0.
            hint: What to do.
        """
        cell = self.content[self.starts[row] : self.ends[row]].decode()
        shown = repr(cell if len(cell) <= 40 else f"{cell[:39]}…")
        line = line_of(self.content, int(self.starts[row]))
        where = f"{self.path}, line {line}, row {row}, column {self.name!r}"
        return DataError(code, message.format(cell=shown), where=where, hint=hint)


def line_of(content: bytes, position: int) -> int:
    """The line, counted from 1, in which a byte stands."""
    return content.count(b"\n", 0, position) + 1


class Grid:
    """The cells of a file in rows and columns.

    Args:
        content: UTF-8 text with "\\n" at its lines' ends; the last line too, and `WIDEST` zero bytes after it.
        delimiter: What stands between the cells.
        path: The file's path, for messages.

    Raises:
        DataError: E218, a row with another number of cells than the first one has, or a quote that is not closed.

    Example:
        >>> Grid(b"a,b\\n1,2\\n" + bytes(WIDEST), ",", Path("x.csv")).shape
        (2, 2)
    """

    def __init__(self, content: bytes, delimiter: str, path: Path) -> None:
        self.content, self.delimiter, self.path = content, delimiter, path
        self._data = np.frombuffer(content, np.uint8)
        quotes = self._quotes()
        ends = np.concatenate(list(self._places(ord(delimiter), NEWLINE)))
        if len(quotes):  # an odd number of quotes before it: inside a pair
            ends = ends[np.searchsorted(quotes, ends) % 2 == 0]
        starts = np.concatenate([np.zeros(1, ends.dtype), ends[:-1] + 1])
        self._starts, self._ends = self._in_rows(starts, ends)

    @property
    def shape(self) -> tuple[int, ...]:
        return self._starts.shape

    def line(self, row: int) -> int:
        """The line in which a row begins."""
        return line_of(self.content, int(self._starts[row, 0]))

    def column(self, number: int, name: str = "", first: int = 0) -> Column:
        """One column, from the row `first` on."""
        return self._cut(self._starts[first:, number], self._ends[first:, number], name)

    def row(self, number: int) -> list[str]:
        """The cells of one row."""
        cells = self._cut(self._starts[number], self._ends[number])
        return [cell.decode() for cell in cells.raw()]

    def _cut(self, starts: np.ndarray, ends: np.ndarray, name: str = "") -> Column:
        starts, ends = self._trimmed(starts, ends)
        quoted = (ends - starts > 1) & (self._data[starts] == QUOTE) & (self._data[ends - 1] == QUOTE)
        if quoted.any():
            starts, ends = self._trimmed(starts + quoted, ends - quoted)
        return Column(self.content, starts, ends, quoted, name, self.delimiter, self.path)

    def _places(self, *bytes_: int) -> Iterator[np.ndarray]:
        """Where any of these bytes stand."""
        small = np.int32 if len(self._data) < 2**31 else np.int64
        for start in range(0, len(self._data), PART):
            part = self._data[start : start + PART]
            hits = part == bytes_[0]
            for byte in bytes_[1:]:
                hits |= part == byte
            yield (np.flatnonzero(hits) + start).astype(small)

    def _quotes(self) -> np.ndarray:
        """(2 Q,) where quotes open and close; a doubled one inside a pair may count as closing and opening again."""
        quotes = np.concatenate(list(self._places(QUOTE)))
        around = np.zeros(256, bool)
        around[[ord(self.delimiter), NEWLINE, QUOTE]] = True
        opens, closes = quotes[::2], quotes[1::2]
        plain = len(opens) == len(closes) and bool(
            (around[self._data[opens - 1]] | (opens == 0)).all() and around[self._data[closes + 1]].all()
        )
        return quotes if plain else self._quotes_by_hand(quotes.tolist())

    def _quotes_by_hand(self, quotes: list[int]) -> np.ndarray:
        """The pairs one by one: quotes inside of a cell that does not begin with one are part of its text."""
        content, pairs, opened, escaped = self.content, [], -1, -1
        for place in quotes:
            if opened < 0:
                opened = place if self._begins_a_cell(place) else -1
            elif place == escaped:
                continue
            elif content[place + 1] == QUOTE:
                escaped = place + 1
            else:
                self._check_closing(opened, place)
                pairs += [opened, place]
                opened = -1
        if opened >= 0:
            raise self._bad_quote(opened, "a quote opens here and is never closed.")
        return np.array(pairs, np.int64)

    def _begins_a_cell(self, place: int) -> bool:
        content, before = self.content, place - 1
        while before >= 0 and content[before] in BLANKS and chr(content[before]) != self.delimiter:
            before -= 1
        return before < 0 or content[before] == NEWLINE or chr(content[before]) == self.delimiter

    def _check_closing(self, opened: int, place: int) -> None:
        after = place + 1
        while self.content[after] in BLANKS and chr(self.content[after]) != self.delimiter:
            after += 1
        if self.content[after] != NEWLINE and chr(self.content[after]) != self.delimiter:
            raise self._bad_quote(
                opened, "the cell in quotes that begins here goes on after its closing quote."
            )

    def _bad_quote(self, opened: int, message: str) -> DataError:
        where = f"{self.path}, line {line_of(self.content, opened)}"
        hint = 'close it, or write "" for a quote inside of quotes'
        return DataError("E218", message, where=where, hint=hint)

    def _in_rows(self, starts: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(R, C) and (R, C), blank lines left out; their lines are counted in `blank_lines`."""
        last = np.flatnonzero(self._data[ends] == NEWLINE)
        counts = np.diff(last, prepend=-1)
        alone = last[counts == 1]
        begin, end = self._trimmed(starts[alone], ends[alone])
        blank = np.zeros(len(ends), bool)
        blank[alone[begin == end]] = True
        self.blank_lines = int(blank.sum())
        if self.blank_lines:
            counts, starts, ends = counts[~blank[last]], starts[~blank], ends[~blank]
        if len(counts) and (counts != counts[0]).any():
            raise self._ragged(counts, starts)
        return starts.reshape(len(counts), -1), ends.reshape(len(counts), -1)

    def _ragged(self, counts: np.ndarray, starts: np.ndarray) -> DataError:
        record = int(np.flatnonzero(counts != counts[0])[0])
        line = line_of(self.content, int(starts[counts[:record].sum()]))
        message = f"line {line} has {counts[record]} cells, the first line {counts[0]}."
        hint = "give every line as many cells; text that holds the delimiter needs quotes"
        return DataError("E218", message, where=f"{self.path}, line {line}", hint=hint)

    def _trimmed(self, starts: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Begins and ends with the blanks around the cells left out."""
        starts, ends = starts.copy(), ends.copy()
        for edge, step, reach in ((starts, 1, 0), (ends, -1, -1)):
            rows: np.ndarray = np.flatnonzero((starts < ends) & self._blank(edge + reach))
            for _ in range(AROUND):
                edge[rows] += step
                rows = rows[(starts[rows] < ends[rows]) & self._blank(edge[rows] + reach)]
                if not len(rows):
                    break
            for row in rows.tolist():
                cell = self.content[starts[row] : ends[row]]
                edge[row] += step * (
                    len(cell) - len(cell.lstrip(BLANKS) if step > 0 else cell.rstrip(BLANKS))
                )
        return starts, ends

    def _blank(self, places: np.ndarray) -> np.ndarray:
        found = self._data[places]
        return (found == BLANKS[0]) | (found == BLANKS[1])
