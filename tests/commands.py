"""Commands, run in this process."""

from __future__ import annotations

import contextlib
import io
from typing import Any, NamedTuple

import pytest


class Answer(NamedTuple):
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str


def call(*words: Any) -> Answer:
    """A command in this process."""
    from vaekit import cli

    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as end:
        cli.main([str(word) for word in words])
    return Answer(int(end.value.code or 0), out.getvalue(), err.getvalue())
