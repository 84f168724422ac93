"""A ring buffer in a segment, between processes: producers append records of any size, and every consumer sees every record.

    from shmd import ring

    with ring.Producer(client.create("log", 1 << 20, mode=0o644)) as producer:
        producer.push(b"hello")

In other processes, in whatever language, which need not be allowed to write:

    for record in ring.Consumer(client.open("log")):
        print(record.data)

A producer never waits for consumers, and consumers write nothing. One that is too slow loses the oldest records: Record.lost
says how many. Producers and consumers are for one thread at a time. protocol/RING.md has the layout, and what happens when
somebody dies. Beside what locks and waits raise there are these, all of them shmd.Error:

    errno.EBADFD    there is no ring in the segment, or something else
    errno.ENOTSUP   a ring of a format that this version does not know
    errno.EBADMSG   the ring is corrupted: somebody has written into it who should not have
    errno.EMSGSIZE  the record is larger than max_record_size
    errno.EINVAL    the segment is too small for a ring; reserve() and commit() out of order
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import time
from typing import TYPE_CHECKING, Any, Iterator, NamedTuple, Optional, Tuple

from ._errors import Closed, Error, Inherited, TimedOut
from ._locks import limit
from ._options import Seconds
from ._ring import ALIGNMENT, HEAD_BYTES, OLDEST, PAD, PATIENCE, PUBLISHED, Ring, corrupted, fail, record_bytes
from ._segment import Segment

if TYPE_CHECKING:
    from typing import Literal

    if sys.version_info >= (3, 12):
        from collections.abc import Buffer
    else:
        Buffer = Any

    Start = Literal["oldest", "newest"]

__all__ = ["Consumer", "Producer", "Record", "RecordView"]


class Record(NamedTuple):
    """What a consumer reads. sequence: 0 for the ring's first record, then always one more. lost: so many records before this
    one were overwritten before they were read."""

    data: bytes
    sequence: int
    lost: int


class RecordView(NamedTuple):
    """A record in place: see Consumer.peek(). The view keeps the segment's memory."""

    data: memoryview
    sequence: int
    lost: int


class Producer:
    """Appends records to the ring in a segment that is open for writing; makes a ring of one that is all zeros.

    It is the only producer until close(), or the end of `with`, and takes no lock for a record. shared: it is one of many,
    and holds the segment's mutex for each record or batch. timeout: how many seconds it waits for another producer, here or,
    if shared, at every push, before it raises TimedOut; None for as long as it takes.
    """

    def __init__(self, segment: Segment, *, shared: bool = False, timeout: Optional[Seconds] = None) -> None:
        self._ring: Optional[Ring] = None
        self._segment = segment
        self._shared = shared
        self._pid = os.getpid()
        self._mutex = segment.lock(timeout)
        self._locked = self._told = False
        self._reserved: Optional[memoryview] = None
        self._batches = 0
        self._oldest = self._published = self._position = self._sequence = self._mark = 0
        self._ring = Ring(segment)
        try:
            self._lock()
            if shared:
                self._unlock()
        except BaseException:
            self._let_go()
            raise

    @property
    def max_record_size(self) -> int:
        """Bytes of the largest record."""
        return self._checked().max_record_size

    def push(self, data: "Buffer") -> None:
        """Appends a record, anything that has contiguous bytes, and wakes the consumers that wait."""
        with memoryview(data) as given, given.cast("B") as content:
            to = self.reserve(len(content))
            try:
                to[:] = content
            except BaseException:
                self.cancel()
                raise
            self.commit()

    def reserve(self, size: int) -> memoryview:
        """Room for a record of so many bytes, to be written in place; what is there is undefined. commit() or cancel() must
        follow, which end the view. A shared producer keeps the others out until then."""
        ring = self._checked()
        if self._reserved is not None:
            fail(errno.EINVAL, "a record is reserved already")
        if size < 0:
            raise ValueError("a record has no negative size")
        if size > ring.max_record_size:
            fail(errno.EMSGSIZE, f"the record has {size} bytes, the ring takes {ring.max_record_size}")
        if not self._locked:
            self._lock()
        needed, left = record_bytes(size), ring.left_behind(self._position)
        if left < needed:
            self._make_room(ring, left)
            ring.write_head(self._position, left - HEAD_BYTES, PAD, self._sequence)
            self._position += left
        self._make_room(ring, needed)
        self._reserved = ring.content(self._position, size)
        return self._reserved

    def commit(self, size: Optional[int] = None) -> None:
        """Appends what was reserved, or only so many bytes of it."""
        ring, reserved = self._checked(), self._reserved
        if reserved is None:
            fail(errno.EINVAL, "no record is reserved")
        if size is None:
            size = len(reserved)
        if not 0 <= size <= len(reserved):
            fail(errno.EINVAL, "more than was reserved")
        self._drop()
        ring.write_head(self._position, size, 0, self._sequence)
        self._position += record_bytes(size)
        self._sequence = (self._sequence + 1) % 2**64
        if self._batches == 0:
            self._finish()

    def cancel(self) -> None:
        """Drops what was reserved."""
        self._checked()
        self._drop()
        if self._batches == 0:
            self._finish()

    @contextlib.contextmanager
    def batch(self) -> Iterator[None]:
        """`with producer.batch():` many records are published, and consumers woken, at its end, all in one step as far as the
        ring is large enough. A shared producer keeps the others out meanwhile. An exception ends it as well."""
        self._checked()
        self._batches += 1
        try:
            yield
        finally:
            self._batches -= 1
            if self._batches == 0 and self._reserved is None and self._ring is not None:
                self._finish()

    def close(self) -> None:
        """Publishes what a batch holds, drops what is reserved, and lets another producer in. The segment stays open."""
        if self._ring is None:
            return
        try:
            if self._pid == os.getpid() and self._locked:
                self._drop()
                self._finish()
        finally:
            self._let_go()

    def __enter__(self) -> "Producer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_ring", None) is not None:
            with contextlib.suppress(Error):
                self.close()

    def _checked(self) -> Ring:
        if self._ring is None:
            raise Closed("the producer is closed")
        if self._pid != os.getpid():
            raise Inherited("the producer belongs to the process that this one was forked from")
        return self._ring

    def _lock(self) -> None:
        """Takes the mutex and learns where the ring is."""
        ring = self._ring
        assert ring is not None
        self._mutex.__enter__()
        self._locked = True
        try:
            ring.format_or_check()
            self._oldest, self._published = ring.word(OLDEST), ring.word(PUBLISHED)
            mark = ring.mark_of(self._published)
            if mark is None or not ring.possible(self._oldest, self._published):
                corrupted()
            self._mark, self._sequence = mark
            self._position = self._published
            if self._mutex.owner_died:
                self._mutex.make_consistent()
                self._segment.notify()  # it may have died before it could
        except BaseException:
            self._unlock()
            raise

    def _unlock(self) -> None:
        if self._locked:
            self._locked = False
            self._mutex.release()

    def _make_room(self, ring: Ring, needed: int) -> None:
        """So that so many bytes from the position on are nobody's."""
        if self._position + needed - self._oldest <= ring.capacity:
            return
        if self._position + needed - self._published > ring.capacity:
            self._publish(ring)
        while self._position + needed - self._oldest > ring.capacity:
            head = ring.head_at(self._oldest, self._published)
            self._oldest = self._published if head is None else self._oldest + record_bytes(head[0])
        ring.set_word(OLDEST, self._oldest)

    def _publish(self, ring: Ring) -> None:
        self._mark = 1 - self._mark
        ring.write_mark(self._mark, self._position, self._sequence)
        ring.set_word(PUBLISHED, self._position)
        self._published = self._position
        self._told = False

    def _finish(self) -> None:
        """Not in a batch, or at its end."""
        ring = self._ring
        assert ring is not None
        if not self._locked:
            return
        if self._position != self._published:
            self._publish(ring)
        if self._shared:
            self._unlock()
        if not self._told:
            self._told = True
            self._segment.notify()

    def _drop(self) -> None:
        reserved, self._reserved = self._reserved, None
        if reserved is not None:
            reserved.release()

    def _let_go(self) -> None:
        ring, self._ring = self._ring, None
        try:
            if self._pid == os.getpid():
                self._unlock()
        finally:
            self._reserved = None
            if ring is not None:
                with contextlib.suppress(BufferError):
                    ring.view.release()


class Consumer:
    """Reads the records of the ring in a segment, which may be open for reading only, and changes nothing in it. It begins
    with the oldest record that is there, or with the first one that comes (start="newest")."""

    def __init__(self, segment: Segment, start: "Start" = "oldest") -> None:
        self._segment = segment
        self._ring: Optional[Ring] = Ring(segment)
        self._position = self._expected = 0  # and the number of the record that begins there if none is lost
        self._overtaken = False  # since the last record that was read
        self._laps = 0  # in a row
        self._peeked: Optional[Tuple[int, int]] = None
        try:
            self._ring.check()
            self.seek(start)
        except BaseException:
            self.close()
            raise

    def next(self, timeout: Optional[Seconds] = None) -> Optional[Record]:
        """The next record; None when none has come within so many seconds, 0 for one that is there. Without a timeout it waits
        without an end."""
        record = self._read()
        end = _end(timeout)
        while record is None and self._wait(end):
            record = self._read()
        return record

    def __iter__(self) -> Iterator[Record]:
        """Waits for one after the other, without an end."""
        while True:
            record = self.next()
            if record is not None:
                yield record

    def peek(self) -> Optional[RecordView]:
        """The next record in place, without a copy; None when there is none. A producer may overwrite it meanwhile: believe
        nothing of what was seen until advance() has said that it was still there."""
        found = self._find()
        if found is None:
            return None
        length, sequence = found
        data = self._checked().content(self._position, length).toreadonly()
        return RecordView(data, sequence, sequence - self._expected)

    def advance(self) -> bool:
        """Goes beyond what peek() gave. False when it was, or may have been, overwritten since: what was seen of it is worth
        nothing, and it counts as lost."""
        peeked, self._peeked = self._peeked, None
        if peeked is None:
            fail(errno.EINVAL, "there is no record to go beyond")
        if self._was_overtaken(self._checked()):
            return False
        length, sequence = peeked
        self._position += record_bytes(length)
        self._expected = (sequence + 1) % 2**64
        self._overtaken = False
        self._laps = 0
        return True

    def wait(self, timeout: Optional[Seconds] = None) -> bool:
        """Waits until there is something to read, and says whether there is."""
        return self._wait(_end(timeout))

    def seek(self, start: "Start") -> None:
        """Goes to the oldest record that is there, or behind the newest. What is passed over is not lost."""
        if start not in ("oldest", "newest"):
            raise ValueError(f"a consumer begins with 'oldest' or 'newest', not with {start!r}")
        ring = self._checked()
        self._peeked = None
        self._overtaken = False
        self._laps = 0
        for turn in range(PATIENCE):
            oldest = start == "oldest" and turn < PATIENCE // 2
            begin = ring.word(OLDEST if oldest else PUBLISHED)
            published = ring.word(PUBLISHED)
            head, mark = ring.head_at(begin, published), ring.mark_of(begin)
            # The one or the other, of what is there still.
            if head is not None and ring.word(OLDEST) <= begin:
                self._expected = head[2]
            elif mark is not None and ring.word(PUBLISHED) == begin:
                self._expected = mark[1]
            else:
                continue
            self._position = begin
            return
        corrupted()

    def close(self) -> None:
        """Lets the memory go. The segment stays open."""
        ring, self._ring = self._ring, None
        self._peeked = None
        if ring is not None:
            with contextlib.suppress(BufferError):
                ring.view.release()

    def __enter__(self) -> "Consumer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _checked(self) -> Ring:
        if self._ring is None:
            raise Closed("the consumer is closed")
        return self._ring

    def _read(self) -> Optional[Record]:
        while True:
            found = self._find()
            if found is None:
                return None
            length, sequence = found
            with self._checked().content(self._position, length) as content:
                data = bytes(content)
            lost = sequence - self._expected
            if self.advance():
                return Record(data, sequence, lost)
            if self._laps == 0:
                return None

    def _find(self) -> Optional[Tuple[int, int]]:
        """Length and number of the record at the position, once there is one."""
        ring = self._checked()
        while True:
            self._peeked = None
            published = ring.word(PUBLISHED)
            if published == self._position:
                return None
            head = ring.head_at(self._position, published)
            if self._was_overtaken(ring):
                if self._laps == 0:
                    return None
                continue
            if head is None:
                corrupted()
            length, flags, sequence = head
            if sequence < self._expected or (sequence != self._expected and not self._overtaken):
                corrupted()
            if flags == PAD:
                self._position += record_bytes(length)
                continue
            self._peeked = length, sequence
            return self._peeked

    def _was_overtaken(self, ring: Ring) -> bool:
        """Whether the record at the position was, or may have been, overwritten. The position is that of the oldest one
        then."""
        oldest = ring.word(OLDEST)
        if oldest <= self._position:
            return False
        published = ring.word(PUBLISHED)
        if oldest % ALIGNMENT or published % ALIGNMENT or oldest > published:
            corrupted()
        self._overtaken = True
        # After so many times it would never read one before that is overwritten.
        self._laps = (self._laps + 1) % PATIENCE
        self._position = oldest if self._laps else published
        return True

    def _wait(self, end: Optional[float]) -> bool:
        while True:
            if end == 0:
                return self._find() is not None
            version = self._segment.version
            if self._find() is not None:
                return True
            # Not longer than a second: a producer may have died between publishing and notifying.
            left = 1.0 if end is None else min(end - time.monotonic(), 1.0)
            if left <= 0:
                return False
            with contextlib.suppress(TimedOut):
                self._segment.wait(version, left)


def _end(timeout: Optional[Seconds]) -> Optional[float]:
    """Of time.monotonic(); None: never; 0: it has been."""
    usec = limit(timeout)
    return None if usec < 0 else time.monotonic() + usec / 1e6 if usec else 0
