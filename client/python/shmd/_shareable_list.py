"""A list of fixed length in shared memory, with the interface of multiprocessing.shared_memory.ShareableList.

The segment begins with a header: MAGIC, the number of items, and for each item one record: what it is, the bytes it has now,
where its room begins, and how large that is. The rooms follow. Numbers are 64 bits, little-endian.
"""

from __future__ import annotations

import struct
from functools import partial
from typing import Any, Dict, Generic, Iterable, Iterator, List, Optional, Tuple, TypeVar

from ._shared_memory import SharedMemory

T = TypeVar("T")

_MAGIC = b"shmdlist"
_HEAD = struct.Struct("<8sQ")
_RECORD = struct.Struct("<QQQQ")  # kind, length, offset, room
_NONE, _BOOL, _INT, _FLOAT, _STR, _BYTES = range(6)
_KINDS: Dict[type, int] = {type(None): _NONE, bool: _BOOL, int: _INT, float: _FLOAT, str: _STR, bytes: _BYTES}
_NUMBERS = {_INT: struct.Struct("<q"), _FLOAT: struct.Struct("<d"), _BOOL: struct.Struct("<?")}
# What the standard library's calls these.
_FORMATS = {_NONE: "xxxxxx?x", _BOOL: "xxxxxxx?", _INT: "q", _FLOAT: "d"}
_ALIGNMENT = 8


def _encoded(value: Any) -> Tuple[int, bytes]:
    try:
        kind = _KINDS[type(value)]
    except KeyError:
        raise TypeError(f"a ShareableList holds int, float, bool, str, bytes and None, not {type(value).__name__}") from None
    if kind == _NONE:
        return kind, b""
    if kind in _NUMBERS:
        return kind, _NUMBERS[kind].pack(value)
    return kind, value.encode() if kind == _STR else value


def _decoded(kind: int, data: bytes) -> Any:
    if kind == _NONE:
        return None
    if kind in _NUMBERS:
        return _NUMBERS[kind].unpack(data)[0]
    return data.decode() if kind == _STR else data


class ShareableList(Generic[T]):
    """A list whose items are int (of 64 bits), float, bool, str, bytes or None. Its length is fixed; an item may be changed, to
    a str or bytes no longer than its room: that of the item it was made with, rounded up to whole 8 bytes.

    With a sequence it is made, under this name or one that is made up; with a name alone, the one that is there is opened.
    Items are not changed in one step: who reads while somebody writes needs a lock. Unlike the standard library's, a str or
    bytes may end in NULs.
    """

    def __init__(self, sequence: Optional[Iterable[T]] = None, *, name: Optional[str] = None) -> None:
        if name is None or sequence is not None:
            self.shm = self._make(list(sequence or ()), name)
        else:
            self.shm = SharedMemory(name)
        self._length: int
        magic, self._length = _HEAD.unpack_from(self.shm.buf) if self.shm.size >= _HEAD.size else (b"", 0)
        if magic != _MAGIC or _HEAD.size + self._length * _RECORD.size > self.shm.size:
            self.shm.close()
            raise ValueError(f"segment {name!r} holds no ShareableList")

    @staticmethod
    def _make(items: List[Any], name: Optional[str]) -> SharedMemory:
        records, data = [], []
        offset = _HEAD.size + len(items) * _RECORD.size
        for kind, encoded in map(_encoded, items):
            room = _ALIGNMENT * (len(encoded) // _ALIGNMENT + 1) if kind in (_STR, _BYTES) else _ALIGNMENT
            records.append((kind, len(encoded), offset, room))
            data.append(encoded)
            offset += room
        shm = SharedMemory(name, create=True, size=offset)
        for place, record in enumerate(records):
            _RECORD.pack_into(shm.buf, _HEAD.size + place * _RECORD.size, *record)
            shm.buf[record[2] : record[2] + record[1]] = data[place]
        _HEAD.pack_into(shm.buf, 0, _MAGIC, len(items))
        return shm

    def _place(self, position: int) -> int:
        """Where the item's record is."""
        index = position + self._length if position < 0 else position
        if not 0 <= index < self._length:
            raise IndexError("index out of range")
        return _HEAD.size + index * _RECORD.size

    def _record(self, position: int) -> Tuple[int, int, int, int]:
        kind, length, offset, room = _RECORD.unpack_from(self.shm.buf, self._place(position))
        # Whoever may write may write anything.
        if kind > _BYTES or length > room or offset + room > self.shm.size or (kind in _NUMBERS and length > _ALIGNMENT):
            raise ValueError("the list is damaged")
        return kind, length, offset, room

    def __getitem__(self, position: int) -> T:
        kind, length, offset, _ = self._record(position)
        value: T = _decoded(kind, bytes(self.shm.buf[offset : offset + length]))
        return value

    def __setitem__(self, position: int, value: T) -> None:
        place = self._place(position)
        _, _, offset, room = self._record(position)
        kind, encoded = _encoded(value)
        if len(encoded) > room:
            raise ValueError("bytes/str item exceeds available storage")
        self.shm.buf[offset : offset + len(encoded)] = encoded
        _RECORD.pack_into(self.shm.buf, place, kind, len(encoded), offset, room)

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[T]:
        return (self[position] for position in range(self._length))

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}({list(self)}, name={self.shm.name!r})"

    def __reduce__(self) -> Tuple[Any, ...]:
        return partial(self.__class__, name=self.shm.name), ()

    @property
    def format(self) -> str:
        """What the items are, in the struct module's letters."""
        records = (self._record(position) for position in range(self._length))
        return "".join(_FORMATS.get(kind, f"{room}s") for kind, _, _, room in records)

    def count(self, value: T) -> int:
        return sum(value == each for each in self)

    def index(self, value: T) -> int:
        """The first position of the value. ValueError when it is not there."""
        for position, each in enumerate(self):
            if value == each:
                return position
        raise ValueError(f"{value!r} not in this container")


