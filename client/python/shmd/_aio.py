"""Waits, watches and locks for asyncio. Sockets are read when the event loop says that something has come; calls to the daemon,
which are short but may have to wait for others, are made in a thread. Who waits for a lock has a thread of its own: those of an
executor could all be taken by such, and its holder need one."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import threading
import time
from typing import TYPE_CHECKING, Any, AsyncIterator, Callable, Dict, Optional, TypeVar

from . import _decode, _options
from ._connection import SEGMENTS, Connection
from ._decode import Access, Event
from ._errors import Closed, Disconnected, NoSuchSegment, TimedOut
from ._locks import VERSION, Lock, Synchronized, limit
from ._watch import TRIED

if TYPE_CHECKING:
    from ._client import Client
    from ._segment import Segment

T = TypeVar("T")


async def _in_thread(function: Callable[..., T], *arguments: Any) -> T:
    return await asyncio.get_running_loop().run_in_executor(None, function, *arguments)


async def _next(connection: Connection, read: Callable[[Dict[str, Any]], T], tried: str) -> T:
    """The next reply of a stream."""
    loop = asyncio.get_running_loop()
    while True:
        value = connection.next_of_stream(read, tried, 0)
        if value is not None:
            return value
        readable = asyncio.Event()
        descriptor = connection.fileno()
        loop.add_reader(descriptor, readable.set)
        try:
            await readable.wait()
        finally:
            loop.remove_reader(descriptor)


def _begin_wait(path: str, parameters: Dict[str, Any], tried: str) -> Connection:
    connection = Connection(path)
    connection.begin_stream(SEGMENTS + "Open", parameters, tried, more=False)
    return connection


async def open_async(client: "Client", key: _options.Key, access: Access, wait: _options.Seconds, sealed: bool) -> "Segment":
    from ._client import MAX_LOST_WAITS

    name = _options.key_text(key)
    tried = f"open segment {name!r} for {'writing' if access == 'write' else 'reading'}"
    end = time.monotonic_ns() // 1000 + _options.usec(wait)
    waited: Optional[Connection] = None  # keeps the segment that has come until we have opened it
    lost = 0
    while True:
        try:
            return await _in_thread(lambda: client.open(name, access, sealed=sealed))
        except NoSuchSegment:
            left = end - time.monotonic_ns() // 1000
            if left <= 0:
                raise
        parameters = {"key": name, "access": access, "sealed": sealed or None, "waitUsec": left}
        try:
            waited = await _in_thread(_begin_wait, client.path, parameters, tried)
            await _next(waited, _decode.grant, tried)
        except Disconnected:
            lost += 1
            if lost > MAX_LOST_WAITS:
                raise


# How long a thread goes on for a task that was cancelled, at most.
PATIENCE_USEC = 1_000_000


def _take_for(lock: Lock, wanted: Callable[[], bool]) -> bool:
    """In a thread: takes the lock, as long as that is wanted."""
    end = time.monotonic_ns() // 1000 + lock._timeout_usec
    while True:
        left = PATIENCE_USEC
        if lock._timeout_usec >= 0:
            left = min(left, max(0, end - time.monotonic_ns() // 1000))
        if lock._take(left, False):
            return True
        if left < PATIENCE_USEC or not wanted():
            return False
        lock._segment._recover_locks()


async def acquire(lock: Lock) -> None:
    """For `async with`. It is no thread's lock: tasks take turns in one."""
    if lock._take(0, False):
        return
    loop = asyncio.get_running_loop()
    ended: "asyncio.Future[None]" = loop.create_future()
    handing = threading.Lock()  # of the three below
    abandoned = False
    taken = False
    failure: Optional[BaseException] = None

    def settle() -> None:
        if not ended.done():
            ended.set_result(None)

    def work() -> None:
        nonlocal taken, failure
        try:
            got = _take_for(lock, lambda: not abandoned)
        except BaseException as error:
            failure = error
        else:
            with handing:
                if got and abandoned:  # here and not in the loop, which may be waiting for this very lock
                    lock.release()
                else:
                    taken = got
        try:
            loop.call_soon_threadsafe(settle)
        except RuntimeError:  # the loop is closed
            with handing:
                if taken and not abandoned:
                    lock.release()

    threading.Thread(target=work, name="shmd.Lock", daemon=True).start()
    try:
        await ended
    except asyncio.CancelledError:
        with handing:
            abandoned = True
            if taken:
                lock.release()
        raise
    if failure is not None:
        raise failure
    if not taken:
        lock._segment._sync_error(-errno.ETIMEDOUT, lock._kind)


async def wait(segment: Synchronized, after: Optional[int], timeout: Optional[_options.Seconds]) -> int:
    usec = limit(timeout)
    if segment._area is None:
        await _in_thread(segment._open_area, VERSION)
    if after is None:
        after = segment.version
    with contextlib.suppress(TimedOut):
        return segment.wait(after, 0)
    with segment.notifications(after) as notifications:
        try:
            return await asyncio.wait_for(notifications.__anext__(), None if usec < 0 else usec / 1e6)
        except asyncio.TimeoutError:
            segment._sync_error(-errno.ETIMEDOUT, VERSION)


class AsyncWatch:
    """As Watch, for asyncio: `async for event in watch`, within `async with` or with aclose() at the end."""

    def __init__(self, path: str, prefix: Optional[str]) -> None:
        self._path = path
        self._prefix = prefix
        self._connection: Optional[Connection] = None
        self._closed = False

    def _begin(self) -> Connection:
        connection = Connection(self._path)
        connection.begin_stream(SEGMENTS + "Watch", {"prefix": self._prefix}, TRIED)
        return connection

    async def next(self) -> Event:
        """The next event. To be awaited by one task at a time."""
        if self._closed:
            raise Closed("the watch is closed")
        if self._connection is None:
            self._connection = await _in_thread(self._begin)
        return await _next(self._connection, _decode.event, TRIED)

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        if self._closed:
            raise StopAsyncIteration
        return await self.next()

    async def aclose(self) -> None:
        self._closed = True
        connection, self._connection = self._connection, None
        if connection is not None and connection.ours:
            connection.give_up()
            connection.retire()

    async def __aenter__(self) -> "AsyncWatch":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
