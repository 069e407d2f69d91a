"""One thread that does all work with the model, one call after the other."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class Worker:
    """A thread that ends with the program, whatever it is doing.

    Args:
        first: What the thread does before all else.

    Example:
        >>> worker = Worker()
        >>> worker.submit(lambda: 2 + 3).result()
        5
    """

    def __init__(self, first: Callable[[], object] | None = None) -> None:
        self._calls: queue.SimpleQueue[tuple[Future, Callable[[], Any]]] = queue.SimpleQueue()
        threading.Thread(target=self._run, args=(first,), name="vaekit explorer: worker", daemon=True).start()

    def _run(self, first: Callable[[], object] | None) -> None:
        if first is not None:
            first()
        while True:
            future, call = self._calls.get()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(call())
            except BaseException as error:
                future.set_exception(error)

    def submit(self, call: Callable[[], T]) -> Future[T]:
        """Have a call made in its turn; one that is cancelled before its turn is left out."""
        future: Future[T] = Future()
        self._calls.put((future, call))
        return future

    async def done(self, call: Callable[[], T]) -> T:
        """The result of a call, once it is there."""
        return await asyncio.wrap_future(self.submit(call))
