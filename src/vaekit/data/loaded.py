"""What was read: the values as they came, with all that is known about them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vaekit.data.checks import chunks


@dataclass
class Source:
    """Values as they came, nothing changed that was not said.

    Attributes:
        values: (N, …) boolean, integer or floating; possibly a memory-mapped file.
        labels: (N,) class index, -1 where unknown, or None.
        label_names: Names of the classes, in the order of their index.
        names: (N,) names of the files, or None.
        path: Where they came from; empty for objects in memory.
        notes: What the user should know, a sentence each.

    Example:
        >>> Source(np.zeros((3, 2))).fingerprint()[:8]
        '73c3f779'
    """

    values: np.ndarray
    labels: np.ndarray | None = None
    label_names: tuple[str, ...] = ()
    names: list[str] | None = None
    path: str = ""
    notes: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.values)

    def fingerprint(self) -> str:
        """SHA-256 of type, shape, values and labels: two sources that train alike have the same one."""
        digest = hashlib.sha256(f"{self.values.dtype.str} {self.values.shape}".encode())
        for part in chunks(self.values):
            digest.update(np.ascontiguousarray(part).data)
        digest.update(label_bytes(self.labels, self.label_names))
        return digest.hexdigest()

    def rows(self, start: int, stop: int) -> Source:
        """Some consecutive rows, as a source of their own."""
        labels = None if self.labels is None else self.labels[start:stop]
        names = None if self.names is None else self.names[start:stop]
        return Source(self.values[start:stop], labels, self.label_names, names, self.path, list(self.notes))


def label_bytes(labels: np.ndarray | None, names: Sequence[str]) -> bytes:
    """Labels as what a fingerprint takes in: nothing where there are none."""
    return b"" if labels is None else "/".join(names).encode() + np.asarray(labels, dtype="<i8").tobytes()


@dataclass
class TextSource:
    """Lines of text as they came.

    Attributes:
        values: (N,) the lines, without what ends them.
        labels, label_names: As in `Source`.
        path: Where they came from; empty for objects in memory.
        notes: What the user should know, a sentence each.

    Example:
        >>> TextSource(["anna", "bob"]).fingerprint()[:8]
        '4a35c144'
    """

    values: list[str]
    labels: np.ndarray | None = None
    label_names: tuple[str, ...] = ()
    path: str = ""
    notes: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.values)

    def fingerprint(self) -> str:
        """SHA-256 of the lines and labels: two sources that train alike have the same one."""
        digest = hashlib.sha256(f"text {len(self.values)}".encode())
        for line in self.values:
            content = line.encode("utf-8", "surrogatepass")
            digest.update(len(content).to_bytes(8, "little") + content)
        digest.update(label_bytes(self.labels, self.label_names))
        return digest.hexdigest()

    def rows(self, start: int, stop: int) -> TextSource:
        """Some consecutive lines, as a source of their own."""
        labels = None if self.labels is None else self.labels[start:stop]
        return TextSource(self.values[start:stop], labels, self.label_names, self.path, list(self.notes))


@dataclass
class TableSource:
    """A table as it came: cells of mixed types, holes where nothing was given.

    Attributes:
        frame: A pandas DataFrame with unique text names, rows numbered from 0; each column numeric, boolean, dates,
            categories or text, with NaN, NaT or None in its holes.
        label_columns: Names of the columns that were asked for as labels.
        formats: How each column of dates was written, as `strftime` says it.
        path: Where it came from; empty for objects in memory.
        notes: What the user should know, a sentence each.
    """

    frame: Any
    label_columns: tuple[str, ...] = ()
    formats: dict[str, str] = field(default_factory=dict)
    path: str = ""
    notes: list[str] = field(default_factory=list)

    @property
    def values(self) -> Any:
        """The cells; by the name that other sources have for theirs."""
        return self.frame

    def __len__(self) -> int:
        return len(self.frame)

    def fingerprint(self) -> str:
        """SHA-256 of names, types and cells: two tables that train alike have the same one."""
        from pandas.util import hash_pandas_object

        names = "/".join(f"{name}:{dtype}" for name, dtype in self.frame.dtypes.items())
        digest = hashlib.sha256(f"{names} {self.label_columns}".encode())
        digest.update(hash_pandas_object(self.frame, index=False).to_numpy().astype("<u8").tobytes())
        return digest.hexdigest()

    def rows(self, start: int, stop: int) -> TableSource:
        """Some consecutive rows, as a source of their own."""
        part = self.frame.iloc[start:stop].reset_index(drop=True)
        return TableSource(part, self.label_columns, self.formats, self.path, list(self.notes))
