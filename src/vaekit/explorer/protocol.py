"""HTTP as uvicorn speaks it, with a limit on the time that a request's line and headers may take."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

LATE = b"HTTP/1.1 408 Request Timeout\r\ncontent-type: text/plain\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class Protocol(H11Protocol):
    """A connection that is closed with 408 where a request has begun, or none has, and its headers do not come."""

    seconds = 10.0
    _late: asyncio.TimerHandle | None = None

    @classmethod
    def within(cls, seconds: float) -> type[Protocol]:
        """The same with another limit."""
        return type(cls.__name__, (cls,), {"seconds": seconds})

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._expect()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:  # the headers are there
            self._forget()
        elif self._late is None and not self.transport.is_closing():  # the next request has begun
            self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        super().connection_lost(exc)

    def _expect(self) -> None:
        self._forget()
        self._late = self.loop.call_later(self.seconds, self._end)

    def _forget(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _end(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(LATE)
            self.transport.close()
