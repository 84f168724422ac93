"""Watches: what happens to segments, on a connection of their own."""

from __future__ import annotations

import os
from typing import Iterator, Optional

from . import _decode
from ._connection import SEGMENTS, Connection
from ._decode import Event
from ._errors import Closed, Disconnected, Inherited

TRIED = "watch segments"


class Watch:
    """Tells of the live segments that this user may describe and whose keys begin with a prefix. Made by Client.watch().

    First every segment that is there ("present"), then "ready", then everything as it happens. A watch that is read too
    slowly loses events: then comes "lost", and "present" and "ready" anew. Iterating ends when the watch is closed;
    Disconnected when the daemon has gone: open another. For one thread at a time.
    """

    def __init__(self, path: str, prefix: Optional[str]) -> None:
        self._pid = os.getpid()
        self._connection: Optional[Connection] = Connection(path)
        self._connection.begin_stream(SEGMENTS + "Watch", {"prefix": prefix}, TRIED)
        self._first = self._connection.next_of_stream(_decode.event, TRIED, None)

    def next(self, timeout: Optional[float] = None) -> Optional[Event]:
        """The next event; None when none has come within so many seconds. Without a timeout it waits without an end."""
        connection = self._checked()
        if self._first is not None:
            first, self._first = self._first, None
            return first
        return connection.next_of_stream(_decode.event, TRIED, timeout)

    def _checked(self) -> Connection:
        if self._connection is None:
            raise Closed("the watch is closed")
        if self._pid != os.getpid():
            raise Inherited("the watch belongs to the process that this one was forked from")
        return self._connection

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        if self._connection is None:
            raise StopIteration
        try:
            event = self.next()
        except Disconnected:
            if self._connection is None:  # another thread has closed it
                raise StopIteration from None
            raise
        assert event is not None
        return event

    def fileno(self) -> int:
        """For select() and the like: readable when more events have come. After opening, and whenever it is readable, call
        next(0) until it gives None."""
        return self._checked().fileno()

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None and connection.ours:
            connection.give_up()
            connection.retire()

    def __enter__(self) -> "Watch":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
