"""Locks, snapshots, versions and waits: what a segment's sync area is for. What has to be atomic is in native/."""

from __future__ import annotations

import errno
import os
import time
from typing import TYPE_CHECKING, Callable, NoReturn, Optional, Tuple, TypeVar

from . import _decode, _options
from ._buffer import address_of
from ._connection import SEGMENTS, Connection
from ._errors import (
    Closed,
    Deadlock,
    Disconnected,
    Error,
    Inherited,
    NotHeld,
    OwnerDied,
    ProtocolError,
    ReadOnly,
    SegmentBusy,
    TimedOut,
)
from ._memory import is_lasting_page

try:
    from . import _sync
except ImportError as _error:
    _missing: Optional[str] = str(_error)
else:
    _missing = None

if TYPE_CHECKING:
    import threading

    from ._decode import Access, SegmentInfo
    from ._memory import Memory
    from ._notifications import Notifications
    from ._segment import HeldGrant

    _Base = _sync.Lock
else:
    _Base = object if _missing is not None else _sync.Lock

T = TypeVar("T")
Self = TypeVar("Self", bound="Lock")

# The numbers of native/sync_python.h.
MUTEX, SECTION, READ, WRITE, BEGIN_READ, SNAPSHOT, VERSION, NOTIFY = range(8)
_VERBS = {MUTEX: "lock", SECTION: "begin a write section of", READ: "lock for reading", WRITE: "lock for writing",
          BEGIN_READ: "read", SNAPSHOT: "take a snapshot of", VERSION: "wait for a version of", NOTIFY: "notify of"}


def limit(timeout: Optional[_options.Seconds]) -> int:
    """Microseconds, -1 for as long as it takes."""
    return -1 if timeout is None else _options.usec(timeout)


class Lock(_Base):
    """A lock of a segment: its mutex, its readers-writer lock for reading or for writing, or a write section. Made by
    Segment.lock(), read_lock(), write_lock() and writing().

    `with segment.lock() as held` holds it until the end of the block, and so does `async with`. An object may be used as
    often as you like, and by several threads, as a threading.Lock is; owner_died and make_consistent() are for who holds it.

    It is held by the segment's grant, thus by the process. When that ends, however it does, the lock is free, and its next
    holder sees owner_died.
    """

    __slots__ = ()

    def acquire(self, blocking: bool = True, timeout: Optional[_options.Seconds] = None) -> bool:
        """Takes it. False when somebody else has held it for so many seconds (None: as long as it takes), or holds it now,
        when it is not to block. Deadlock when this thread holds it already, and it is to wait."""
        return self._take(limit(timeout) if blocking else 0, True)

    if TYPE_CHECKING:

        def __enter__(self: Self) -> Self: ...

    async def __aenter__(self: Self) -> Self:
        from ._aio import acquire

        await acquire(self)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.__exit__()

    def __repr__(self) -> str:
        return f"<shmd.Lock to {_VERBS[self._kind]} {self._segment!r}>"


class Synchronized:
    """What a Segment does with its sync area, which it opens when it first needs it."""

    if TYPE_CHECKING:
        _lock: threading.RLock
        _grant: HeldGrant
        _memory: Optional[Memory]
        _info: SegmentInfo
        _access: Access

        def _connection(self, tried: str) -> Connection: ...
        def _name(self) -> str: ...
        def _view(self) -> memoryview: ...

    _area: Optional["_sync.Area"] = None
    _place: Tuple[int, int] = (0, 0)  # the id of the mmap that was last asked for its address, and that

    # ---- Locks ----

    def lock(self, timeout: Optional[_options.Seconds] = None) -> Lock:
        """Its mutex: `with segment.lock() as held`. timeout: seconds, after which `with` raises TimedOut; None for as long as
        it takes.

        held.owner_died: a holder died with it, so what it protects may be half changed: repair that and call
        held.make_consistent(). Not recursive: Deadlock when this thread holds it by this segment. ReadOnly when the segment
        is open for reading. Locks that are still held when the segment is closed end as if their holder had died.
        """
        return Lock(self, self._area or self._open_area(MUTEX), MUTEX, -1 if timeout is None else limit(timeout))

    def read_lock(self, timeout: Optional[_options.Seconds] = None) -> Lock:
        """Its readers-writer lock, for reading: for up to 896 at a time, while nobody holds it for writing. Otherwise as
        lock(), of which it is independent."""
        return Lock(self, self._area or self._open_area(READ), READ, -1 if timeout is None else limit(timeout))

    def write_lock(self, timeout: Optional[_options.Seconds] = None) -> Lock:
        """Its readers-writer lock, for writing: for one alone. Who waits for it keeps new readers out. Otherwise as lock(), of
        which it is independent."""
        return Lock(self, self._area or self._open_area(WRITE), WRITE, -1 if timeout is None else limit(timeout))

    def writing(self, timeout: Optional[_options.Seconds] = None) -> Lock:
        """A write section: `with segment.writing()`. It takes the mutex, as lock(), and tells those who read by snapshot() or
        read_consistent() that the content is being changed. An exception ends it as well: what is half written then is for
        the caller to repair."""
        return Lock(self, self._area or self._open_area(SECTION), SECTION, -1 if timeout is None else limit(timeout))

    # ---- Reading without a lock ----

    def snapshot(self, offset: int = 0, length: Optional[int] = None, timeout: Optional[_options.Seconds] = None) -> bytes:
        """A copy of its bytes from offset on, to its end without a length, as they were between two write sections. Takes no
        lock and keeps nobody waiting.

        TimedOut when somebody was writing for so many seconds (None: as long as it takes). OwnerDied when a writer died in
        its section, until somebody has repaired that: see writing() and Lock.make_consistent().
        """
        area = self._area or self._open_area(SNAPSHOT)
        memory = self._memory  # kept until it is copied
        if memory is None:
            self._sync_error(-errno.EBADF, SNAPSHOT)
        left = self._info.size_bytes - offset
        if length is None:
            length = left
        if offset < 0 or left < 0 or not 0 <= length <= left:
            raise ValueError(f"{length} bytes at {offset} are not within the {self._info.size_bytes} of the segment")
        place = self._place
        if place[0] != id(memory):
            place = self._place = id(memory), address_of(memory)
        return _sync.snapshot(area, self, place[1] + offset, length, -1 if timeout is None else limit(timeout))

    def read_consistent(self, function: Callable[[memoryview], T], timeout: Optional[_options.Seconds] = None) -> T:
        """The same without a copy: calls function with its bytes, and gives what that returns, once nobody has written
        meanwhile.

        function may be called several times, and may see what is half written, so it must believe no length and no index,
        and change nothing; what it raises in such a case is dropped. It must not keep the memoryview.
        """
        area = self._area or self._open_area(BEGIN_READ)
        usec = limit(timeout)
        end = time.monotonic_ns() // 1000 + usec
        while True:
            sequence = _sync.begin_read(area, self, usec)
            failure = None
            try:
                result = function(self._view().toreadonly())
            except Exception as error:
                failure = error
            if _sync.end_read(area, sequence):
                if failure is not None:
                    raise failure
                return result
            if usec >= 0:
                usec = end - time.monotonic_ns() // 1000
                if usec <= 0:
                    self._sync_error(-errno.ETIMEDOUT, BEGIN_READ)

    # ---- The version ----

    @property
    def version(self) -> int:
        """How often notify() was called, by anybody."""
        area = self._area or self._open_area(VERSION)
        return _sync.version(area, self)

    def notify(self) -> int:
        """Adds 1 to the version, wakes all who wait for it, and gives it. ReadOnly when the segment is open for reading."""
        area = self._area or self._open_area(NOTIFY)
        return _sync.notify(area, self)

    def wait(self, after: Optional[int] = None, timeout: Optional[_options.Seconds] = None) -> int:
        """Waits for a version above `after`, without it above the one there is now, and gives it; it may be higher by more than
        1. What was written before notify() is seen then. TimedOut after so many seconds (None: as long as it takes)."""
        area = self._area or self._open_area(VERSION)
        present = _sync.version(area, self)
        if after is None:
            after = present
        if present > after:
            return present
        came = _sync.wait(area, self, min(after, 2**64 - 1), limit(timeout), None)
        assert came is not None
        return came

    def notifications(self, after: Optional[int] = None) -> "Notifications":
        """New versions, for select(), epoll and event loops: see Notifications. The first is the one above `after`, without it
        above the one there is now."""
        from ._notifications import Notifications

        area = self._area or self._open_area(VERSION)
        return Notifications(self, area, self.version if after is None else after)

    async def wait_async(self, after: Optional[int] = None, timeout: Optional[_options.Seconds] = None) -> int:
        """As wait(), without holding up the event loop. Cancelling it ends the wait. For many in a row there is
        `async for version in segment.notifications()`."""
        from ._aio import wait

        return await wait(self, after, timeout)

    # ---- The area ----

    def _open_area(self, kind: int) -> "_sync.Area":
        tried = f"{_VERBS[kind]} {self._name()}"
        if _missing is not None:
            raise Error(f"cannot {tried}: the C part of this package is not there ({_missing}): install a C compiler and "
                        "Python's headers (gcc and python3-dev on Debian), and install the package again "
                        "(pip install --force-reinstall)", code=errno.ENOSYS)
        with self._lock:
            if self._area is None:
                self._area = self._repeat(lambda connection: self._map_area(connection, tried), tried)
            return self._area

    def _map_area(self, connection: Connection, tried: str) -> "_sync.Area":
        attachment = self._grant.attachment
        index, descriptors = connection.call(SEGMENTS + "OpenSyncArea", {"attachment": attachment}, _decode.page, tried)
        try:
            descriptor = descriptors.take(index)
            try:
                _check_area(descriptor)
                return _sync.open_area(descriptor, attachment, self._access == "write")
            finally:
                os.close(descriptor)
        except _decode.Nonsense as error:
            connection.give_up()
            raise ProtocolError(f"cannot {tried}: the daemon's answer makes no sense: {error}") from None
        except ValueError as error:
            raise Error(f"cannot {tried}: its locks have {error}, which this version does not know",
                        code=errno.ENOTSUP) from None
        except Error as error:
            raise Error(f"cannot {tried}: {error.message}", code=error.errno or 0) from None
        except OSError as error:
            raise Error(f"cannot {tried}: its locks cannot be mapped: {error.strerror}", code=error.errno or 0) from None
        finally:
            descriptors.close()

    def _repeat(self, attempt: Callable[[Connection], T], tried: str) -> T:
        """A call that may be made twice, as the daemon may go away in the middle of the first."""
        try:
            return attempt(self._connection(tried))
        except Disconnected:
            return attempt(self._connection(tried))

    def _recover_locks(self) -> None:
        """After a second of waiting: whoever holds up this process may be gone. The grant may have ended, too."""
        tried = f"recover the locks of {self._name()}"
        parameters = {"attachment": self._grant.attachment}
        self._repeat(lambda connection: connection.ask(SEGMENTS + "RecoverLocks", parameters, _decode.nothing, tried), tried)

    def _refuse_while_locked(self, tried: str) -> None:
        if self._area is not None and _sync.holds(self._area):
            raise SegmentBusy(f"cannot {tried}: this object holds a lock of it: release that first")

    def _end_area(self, released: bool) -> None:
        """No lock is taken by this grant any more. released: it has ended."""
        area, self._area = self._area, None
        if area is not None:
            _sync.end(area, released)

    def _sync_error(self, code: int, kind: int) -> NoReturn:
        tried = f"{_VERBS[kind]} {self._name()}"
        if code == -errno.ETIMEDOUT:
            raise TimedOut(f"cannot {tried}: {_TIMED_OUT.get(kind, 'somebody else has held the lock for all this time')}")
        if code == -errno.EPERM:
            raise NotHeld(f"cannot unlock {self._name()}: this object does not hold that lock, or not any more")
        if code == -errno.EACCES:
            raise NotHeld(f"cannot call {self._name()} consistent: this object does not hold that lock, or only for reading")
        if code == -errno.EDEADLK:
            raise Deadlock(f"cannot {tried}: this thread holds the lock already, and would wait for itself")
        if code == -errno.EOWNERDEAD:
            raise OwnerDied(f"cannot {tried}: a writer died in its write section, and nobody has repaired the content yet: "
                            "do that in a section, with make_consistent()")
        if code == -errno.EROFS or (code == -errno.EBADF and self._memory is not None and self._access != "write"):
            raise ReadOnly(f"cannot {tried}: the segment was opened for reading, or is sealed")
        if code == -errno.EBADF:
            why = "the segment is closed" if self._memory is None else "the lock is from before a seal(): ask for it again"
            raise Closed(f"cannot {tried}: {why}")
        if code == -errno.ECHILD:
            raise Inherited(f"cannot {tried}: its grant belongs to the process that this one was forked from")
        if code == -errno.EFAULT:
            raise Error(f"cannot {tried}: somebody who may write it has destroyed the memory of its locks", code=errno.EFAULT)
        raise Error(f"cannot {tried}: {os.strerror(-code)}", code=-code)


_TIMED_OUT = {BEGIN_READ: "somebody was writing all the time", SNAPSHOT: "somebody was writing all the time",
              VERSION: "nobody has notified in time"}


def _check_area(descriptor: int) -> None:
    """It must be there, and stay so: touching what is not is a SIGBUS."""
    if not is_lasting_page(descriptor):
        raise _decode.Nonsense("its descriptor is not a sync area, or one that may shrink")
