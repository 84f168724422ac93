"""New versions of a segment as a file descriptor becoming readable. Nothing but a thread can sleep on them."""

from __future__ import annotations

import asyncio
import ctypes
import os
import select
import sys
import threading
import time
from typing import TYPE_CHECKING, AsyncIterator, Callable, Iterator, Optional

from . import _fork, _options
from ._errors import Closed, Error, Inherited
from ._locks import limit

if TYPE_CHECKING:
    from . import _sync
    from ._locks import Synchronized

_libc = ctypes.CDLL(None, use_errno=True)
_ONE = (1).to_bytes(8, sys.byteorder)


def _make_event() -> int:
    # os.eventfd() is there since 3.10.
    descriptor: int = _libc.eventfd(0, os.O_CLOEXEC | os.O_NONBLOCK)
    if descriptor < 0:
        number = ctypes.get_errno()
        raise Error(f"cannot make a descriptor for notifications: {os.strerror(number)}", code=number)
    return descriptor


class _Waiter:
    """What the thread has. It does not keep the Notifications, so that these can be dropped."""

    def __init__(self, segment: "Synchronized", area: "_sync.Area", after: int) -> None:
        from . import _sync

        self.segment = segment
        self.area = area
        self.after = after
        self.stop = _sync.new_stop()
        self.failure: Optional[BaseException] = None
        self._abandon()
        with _fork.guard:
            self.descriptor = _make_event()
            _fork.register(self)

    def _abandon(self) -> None:
        """For a child after fork(2), which has no such thread."""
        self.lock = threading.Lock()
        self.taken = threading.Event()
        descriptor, self.descriptor = getattr(self, "descriptor", -1), -1
        if descriptor >= 0:
            os.close(descriptor)

    def run(self) -> None:
        from . import _sync

        try:
            while _sync.wait(self.area, self.segment, self.after, -1, self.stop) is not None:
                self._tell()
                # The next one is looked for when this one has been taken.
                self.taken.wait()
                self.taken.clear()
        except BaseException as error:
            self._fail(error.with_traceback(None))  # which would keep all this

    def _fail(self, error: BaseException) -> None:
        self.failure = error
        self._tell()

    def _tell(self) -> None:
        with self.lock:
            if self.descriptor >= 0:
                os.write(self.descriptor, _ONE)

    def take(self) -> Optional[int]:
        """The version, if the descriptor was readable."""
        from . import _sync

        with self.lock:
            if self.descriptor < 0:
                raise Closed("the notifications are closed")
            try:
                os.read(self.descriptor, 8)
            except BlockingIOError:
                return None
            if self.failure is not None:
                os.write(self.descriptor, _ONE)  # for every further call, too
                raise self.failure
        try:
            version = self.after = _sync.version(self.area, self.segment)
        except Error as error:
            self._fail(error)
            raise
        self.taken.set()
        return version

    def end(self) -> None:
        from . import _sync

        _sync.cancel(self.stop)
        self.taken.set()
        with self.lock:
            descriptor, self.descriptor = self.descriptor, -1
            if descriptor >= 0:
                os.write(descriptor, _ONE)  # ends a wait of another thread
                os.close(descriptor)


class Notifications:
    """Tells of new versions of a segment. Made by Segment.notifications().

    fileno() is readable when there is one that next() has not given yet. Versions that come faster than they are taken are one:
    next() gives the latest. Iterating, by `for` and by `async for`, ends when it is closed; Disconnected and other errors when
    the segment's grant has ended. For one thread or task at a time.
    """

    def __init__(self, segment: "Synchronized", area: "_sync.Area", after: int) -> None:
        if after < 0:
            raise ValueError(f"versions are not negative: {after}")
        self._pid = os.getpid()
        self._wake: Optional[Callable[[], object]] = None
        self._closed = False
        self._waiter = _Waiter(segment, area, min(after, 2**64 - 1))
        threading.Thread(target=self._waiter.run, name="shmd.Notifications", daemon=True).start()

    def _checked(self) -> _Waiter:
        if self._pid != os.getpid():
            raise Inherited("the notifications belong to the process that this one was forked from")
        if self._closed:
            raise Closed("the notifications are closed")
        return self._waiter

    def next(self, timeout: Optional[_options.Seconds] = None) -> Optional[int]:
        """The latest version, once there is a new one; None when none has come within so many seconds. Without a timeout it
        waits as long as it takes."""
        usec = limit(timeout)
        end = time.monotonic_ns() // 1000 + usec
        while True:
            waiter = self._checked()
            version = waiter.take()
            if version is not None:
                return version
            left = 1000.0 if usec < 0 else max(0.0, (end - time.monotonic_ns() // 1000) / 1000)
            poll = select.poll()
            poll.register(self.fileno(), select.POLLIN)
            if not poll.poll(left) and usec >= 0 and time.monotonic_ns() // 1000 >= end:
                return None

    def fileno(self) -> int:
        """For select() and the like: readable when next() has something. Whenever it is, call next(0)."""
        return self._checked().descriptor

    def __iter__(self) -> Iterator[int]:
        return self

    def __next__(self) -> int:
        try:
            version = self.next()
        except Closed:
            if self._closed:
                raise StopIteration from None
            raise
        assert version is not None
        return version

    def __aiter__(self) -> AsyncIterator[int]:
        return self

    async def __anext__(self) -> int:
        loop = asyncio.get_running_loop()
        while not self._closed:
            version = self.next(0)
            if version is not None:
                return version
            readable = asyncio.Event()
            self._wake = lambda: loop.call_soon_threadsafe(readable.set)  # noqa: B023
            descriptor = self.fileno()
            loop.add_reader(descriptor, readable.set)
            try:
                await readable.wait()
            finally:
                self._wake = None
                loop.remove_reader(descriptor)
        raise StopAsyncIteration

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._pid == os.getpid():
            self._waiter.end()
            wake = self._wake
            if wake is not None:
                wake()

    def __del__(self) -> None:
        if hasattr(self, "_waiter"):
            self.close()

    def __enter__(self) -> "Notifications":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
