"""Being asked to stop: finish the step, save, and say with which signal."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any


class Interrupted(KeyboardInterrupt):
    """Training was asked to stop, and everything is saved.

    Attributes:
        signum: The signal; a program ends with 128 + signum.
        path: The run folder.
    """

    def __init__(self, signum: int, path: Path) -> None:
        self.signum, self.path = signum, path
        super().__init__(f"stopped and saved; the same command goes on with {path}")


@dataclass
class Stop:
    """Whether a signal has come; 0 while none has."""

    signum: int = 0


@contextlib.contextmanager
def noted() -> Iterator[Stop]:
    """Inside, SIGINT and SIGTERM are noted, and nothing else comes of them."""
    stop = Stop()

    def note(signum: int, frame: FrameType | None) -> None:
        stop.signum = signum

    with _handled(note, {}):
        yield stop


@contextlib.contextmanager
def stops() -> Iterator[Stop]:
    """Inside, the first SIGINT or SIGTERM is noted and the second one acts at once."""
    stop = Stop()
    before: dict[int, Any] = {}

    def note(signum: int, frame: FrameType | None) -> None:
        stop.signum = signum
        ignored = before[signum] in (signal.SIG_IGN, None)  # a background job's; whoever sends two means it
        at_once = signal.default_int_handler if signum == signal.SIGINT else signal.SIG_DFL
        signal.signal(signum, at_once if ignored else before[signum])

    with _handled(note, before):
        yield stop


@contextlib.contextmanager
def _handled(note: Callable[[int, FrameType | None], None], before: dict[int, Any]) -> Iterator[None]:
    """Inside, SIGINT and SIGTERM go to a handler; what handled them before is written down and put back.

    Only the main thread may handle signals; elsewhere (a notebook's worker) they stay as they are.
    """
    if threading.current_thread() is threading.main_thread():
        for signum in (signal.SIGINT, signal.SIGTERM):
            before[signum] = signal.getsignal(signum)
            signal.signal(signum, note)
    try:
        yield
    finally:
        for caught, handler in before.items():
            signal.signal(caught, signal.SIG_DFL if handler is None else handler)  # None: one not of Python's
