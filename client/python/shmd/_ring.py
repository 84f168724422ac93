"""What lies in a ring, to the byte, as protocol/RING.md has it."""

from __future__ import annotations

import errno
import struct
import sys
from typing import NoReturn, Optional, Tuple

from . import _locks
from ._buffer import address_of
from ._errors import Error
from ._segment import Segment

if _locks._missing is None:
    from ._sync import load, store

ALIGNMENT = HEAD_BYTES = 16
DATA = 256
FORMAT, CAPACITY, OLDEST, PUBLISHED, MARKS = 8, 16, 64, 72, 128
MAGIC = int.from_bytes(b"shmdring", sys.byteorder)
PAD = 1
NO_POSITION = 1 << 62
PATIENCE = 64  # how often a consumer may be overtaken in a row before it goes on with the newest record
_head = struct.Struct("=IIQ")


def fail(code: int, message: str) -> NoReturn:
    raise Error(message, code=code)


def corrupted() -> NoReturn:
    fail(errno.EBADMSG, "the ring is corrupted: somebody has written into it who should not have")


def record_bytes(length: int) -> int:
    """All bytes of the record with a content of this length."""
    return (HEAD_BYTES + length + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT


class Ring:
    """A ring's memory. What is copied and looked at may change meanwhile; load and store keep that between the positions."""

    def __init__(self, segment: Segment) -> None:
        if _locks._missing is not None:
            segment.version  # noqa: B018  # raises what is to be done about it
        self.view = segment._view()
        self.size = len(self.view)
        self.address = address_of(self.view)
        self.capacity = 2 * ALIGNMENT

    def check(self) -> None:
        if self.size < DATA + 2 * ALIGNMENT:
            fail(errno.EBADFD, "the segment is too small to have a ring")
        magic = self.word(0)
        if magic != MAGIC:
            fail(errno.EBADFD, "there is something else than a ring in the segment" if magic else
                  "there is no ring in the segment yet")
        its_format: int = struct.unpack_from("=I", self.view, FORMAT)[0]
        if its_format != 1:
            fail(errno.ENOTSUP, f"the ring has format {its_format}, which this version does not know")
        capacity = self.word(CAPACITY)
        if capacity < 2 * ALIGNMENT or capacity % ALIGNMENT or capacity > self.size - DATA:
            corrupted()
        self.capacity = capacity

    def format_or_check(self) -> None:
        """The mutex is held."""
        if self.size < DATA + 2 * ALIGNMENT:
            fail(errno.EINVAL, "the segment is too small for a ring")
        if self.word(0) == 0:
            struct.pack_into("=I", self.view, FORMAT, 1)
            self.set_word(CAPACITY, (self.size - DATA) // ALIGNMENT * ALIGNMENT)
            for at in (OLDEST, PUBLISHED, *range(MARKS, MARKS + 32, 8)):
                self.set_word(at, 0)
            self.set_word(0, MAGIC)
        self.check()

    def word(self, offset: int) -> int:
        return load(self.address + offset)

    def set_word(self, offset: int, value: int) -> None:
        store(self.address + offset, value)

    @property
    def max_record_size(self) -> int:
        return min(self.capacity - HEAD_BYTES, 0xFFFFFFFF - 2 * ALIGNMENT + 1)

    def left_behind(self, position: int) -> int:
        return self.capacity - position % self.capacity

    def possible(self, oldest: int, published: int) -> bool:
        return (0 <= published - oldest <= self.capacity and published < NO_POSITION and oldest % ALIGNMENT == 0
                and published % ALIGNMENT == 0)

    def mark_of(self, published: int) -> Optional[Tuple[int, int]]:
        """Which mark is in use, and the number of the record that begins there."""
        for number in range(2):
            if self.word(MARKS + 16 * number) == published:
                return number, self.word(MARKS + 16 * number + 8)
        return None

    def write_mark(self, number: int, position: int, sequence: int) -> None:
        self.set_word(MARKS + 16 * number, position)
        self.set_word(MARKS + 16 * number + 8, sequence)

    def write_head(self, position: int, length: int, flags: int, sequence: int) -> None:
        _head.pack_into(self.view, DATA + position % self.capacity, length, flags, sequence)

    def head_at(self, position: int, published: int) -> Optional[Tuple[int, int, int]]:
        """Length, flags and sequence of what lies between position and published; None when there cannot be one such."""
        if position % ALIGNMENT or position == published or not self.possible(position, published):
            return None
        length, flags, sequence = _head.unpack_from(self.view, DATA + position % self.capacity)
        size, left = record_bytes(length), self.left_behind(position)
        if size > published - position or size > left or flags > PAD:
            return None
        # A pad ends where the data ends, and something is before it.
        if flags == PAD and (size != left or left == self.capacity):
            return None
        return length, flags, sequence

    def content(self, position: int, length: int) -> memoryview:
        begin = DATA + position % self.capacity + HEAD_BYTES
        return self.view[begin : begin + length]
