"""What can go wrong at the border, as data: a code, a name, one sentence, where, and what to do.

The library below raises `ValueError` and `TypeError`; whatever a user's files, arguments or machine cause is one of
these. The first digit of a code is its family: 1 usage, 2 data, 3 files of ours, 4 resources, 5 training,
6 the hub.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

CODES = {
    "E101": "unknown-preset",
    "E102": "unknown-option",
    "E103": "bad-value",
    "E104": "unknown-key",
    "E105": "preset-needs",
    "E106": "no-prior",
    "E107": "bad-output",
    "E108": "other-kind",
    "E109": "unknown-command",
    "E110": "cannot-export",
    "E201": "no-such-path",
    "E202": "empty-source",
    "E203": "bad-scale",
    "E204": "corrupt-items",
    "E205": "mixed-sizes",
    "E206": "not-finite",
    "E207": "too-few",
    "E208": "constant",
    "E209": "object-array",
    "E210": "too-large",
    "E211": "unknown-format",
    "E212": "bad-shape",
    "E213": "several-arrays",
    "E214": "bad-labels",
    "E215": "bad-cell",
    "E216": "other-columns",
    "E217": "unknown-category",
    "E218": "bad-rows",
    "E219": "duplicate-columns",
    "E301": "not-a-run",
    "E302": "other-version",
    "E303": "corrupt",
    "E304": "unknown-class",
    "E305": "unfinished",
    "E306": "export-differs",
    "E401": "disk-full",
    "E402": "not-writable",
    "E403": "out-of-memory",
    "E404": "missing-package",
    "E405": "no-device",
    "E406": "in-use",
    "E501": "diverged",
    "E601": "hub-unreachable",
    "E602": "hub-refused",
}


class VaekitError(Exception):
    """An error with a code, for people: `code name: message`, then where it is and what to try.

    Args:
        code: One of `CODES`.
        message: One sentence: what came and what was expected.
        where: File, row and column, if known.
        hint: One line to paste or one thing to do.

    Example:
        >>> print(DataError("E203", "values look like 0..255.", where="a.npy", hint="--likelihood auto"))
        E203 bad-scale: values look like 0..255.
          where: a.npy
          try: --likelihood auto
    """

    exit_code = 1

    def __init__(self, code: str, message: str, where: object = "", hint: str = "") -> None:
        self.code, self.name = code, CODES[code]
        self.message, self.where, self.hint = message, str(where), hint
        super().__init__(message)

    def __str__(self) -> str:
        lines = [f"{self.code} {self.name}: {self.message}"]
        lines += [f"  where: {self.where}"] if self.where else []
        lines += [f"  try: {self.hint}"] if self.hint else []
        return "\n".join(lines)


class UsageError(VaekitError, ValueError):
    """What was typed cannot be done (exit code 2)."""

    exit_code = 2


class DataError(VaekitError, ValueError):
    """The data cannot be used as they are (exit code 3)."""

    exit_code = 3


class FileError(VaekitError, ValueError):
    """A file of ours is missing, damaged or of another version (exit code 4)."""

    exit_code = 4


class ResourceError(VaekitError, OSError):
    """The machine has no room, no right or no package for it (exit code 5)."""

    exit_code = 5


class DivergedError(VaekitError, ArithmeticError):
    """Training left the finite numbers (exit code 6)."""

    exit_code = 6


class HubError(VaekitError, OSError):
    """The hub cannot be reached, or it refused (exit code 9)."""

    exit_code = 9


def nearest(word: str, known: Iterable[str]) -> str:
    """The known words most like `word`, as the end of a sentence; a number is like no other.

    Example:
        >>> nearest("beta-vea", ["vae", "beta_vae"])
        'did you mean beta_vae?'
        >>> nearest("xyz", ["vae", "beta_vae"])
        'known: beta_vae, vae'
        >>> nearest("99", ["9", "10"])
        'known: 10, 9'
    """
    names = sorted(known)
    if word.lstrip("+-").replace(".", "", 1).isdecimal():
        return f"known: {', '.join(names)}"
    close = difflib.get_close_matches(word.replace("-", "_"), names, n=3, cutoff=0.6)
    return f"did you mean {' or '.join(close)}?" if close else f"known: {', '.join(names)}"
