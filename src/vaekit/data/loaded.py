"""What was read: the values as they came, with all that is known about them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

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
        if self.labels is not None:
            digest.update(
                "/".join(self.label_names).encode() + np.asarray(self.labels, dtype="<i8").tobytes()
            )
        return digest.hexdigest()

    def rows(self, start: int, stop: int) -> Source:
        """Some consecutive rows, as a source of their own."""
        labels = None if self.labels is None else self.labels[start:stop]
        names = None if self.names is None else self.names[start:stop]
        return Source(self.values[start:stop], labels, self.label_names, names, self.path, list(self.notes))
