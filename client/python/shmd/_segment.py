"""A segment mapped into this process: its memory, its grant, and the calls that are about it."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import weakref
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Dict,
    Iterator,
    List,
    Mapping,
    Optional,
    Sequence,
    Set,
    Tuple,
    TypeVar,
    Union,
    overload,
)

from . import _decode, _fork, _options
from ._buffer import NATIVE, Exporter, closed_type
from ._connection import SEGMENTS, Connection
from ._decode import Access, AclEntry, Lifetime, SegmentInfo
from ._errors import Closed, Disconnected, Error, Inherited, ProtocolError, ReadOnly, Unsent
from ._locks import Synchronized
from ._memory import bury, map_memory
from ._wire import Descriptors

if TYPE_CHECKING:
    import numpy

    from ._memory import Memory

    _Exporter = object
    _MemoryReference = weakref.ref[Memory]
else:
    _Exporter = Exporter
    _MemoryReference = weakref.ref


T = TypeVar("T")


LATE_BYTES = 1 << 20  # more than this is freed at once


class HeldGrant:
    """A grant, and the connection that has it: the one that gave it, or one that took it up after a restart of the daemon."""

    __slots__ = ("attachment", "connection", "released")

    def __init__(self, connection: Connection, attachment: int) -> None:
        self.connection = connection
        self.attachment = attachment
        self.released = False
        connection.grants.add(attachment)

    def release(self, late: bool = False) -> bool:
        """Ends it, once. False when its connection has ended and nobody can be told. Safe in a finalizer. late: as for
        Connection.release()."""
        if self.released or not self.connection.ours:
            return True
        self.released = True
        while True:
            self.connection.release(self.attachment, late)
            if not self.connection.ended:
                return True
            following = self.connection.present_successor
            if following is None:
                return False
            if self.attachment not in following.grants:
                return True
            self.connection = following


class _End(_MemoryReference):
    """Releases a grant once the memory is gone, whoever had that last, but not when the process ends: it does so itself."""

    __slots__ = ("_grant",)

    _grant: Optional[HeldGrant]

    def begin(self, grant: HeldGrant) -> None:
        self._grant = grant
        _ends.add(self)

    def detach(self) -> None:
        self._grant = None
        _ends.discard(self)

    def come(self) -> None:
        _ends.discard(self)
        grant, self._grant = self._grant, None
        if grant is not None and not sys.is_finalizing():
            grant.release()


_ends: "Set[_End]" = set()  # what keeps them: who had the memory last may have nothing else of the segment


def map_grant(connection: Connection, granted: _decode.Grant, descriptors: Descriptors, access: Access,
              tried: str) -> "Segment":
    """Maps what was granted. What cannot be mapped is given back, and deleted if it was made for us."""
    try:
        memory = map_memory(descriptors.take(granted.descriptor), granted.info, access)
    except _decode.Nonsense as error:
        connection.give_up()
        raise ProtocolError(f"cannot {tried}: the daemon's answer makes no sense: {error}") from None
    except BaseException as error:
        if granted.created:
            connection.notify(SEGMENTS + "Delete", {"id": granted.info.id})
        connection.release(granted.attachment)
        if isinstance(error, Error):
            raise Error(f"cannot {tried}: {error.message}", code=error.errno or 0) from None
        raise
    return Segment(HeldGrant(connection, granted.attachment), memory, granted.info, access, granted.created)


class Segment(Synchronized, _Exporter):
    """A segment mapped into this process. Made by Client.create() and Client.open().

    It has the buffer protocol: memoryview(), numpy.frombuffer(), pyarrow.py_buffer() and the like see its bytes without a
    copy, read-only ones where it was opened for reading. segment[3], segment[4:8] and slice assignment work as with a
    memoryview. May be used by several threads, and outlives its client.
    """

    def __init__(self, grant: HeldGrant, memory: "Memory", info: SegmentInfo, access: Access, created: bool) -> None:
        self._abandon()
        self._info = info
        self._access = access
        self._created = created
        self._buf: Optional[memoryview] = None
        self._handed_out = False
        self._graves: "List[Memory]" = []
        self._take(grant, memory)
        _fork.register(self)

    def _abandon(self) -> None:
        """For a child after fork(2): another thread may have held the lock."""
        self._lock = threading.RLock()
        self._area = None

    def _take(self, grant: HeldGrant, memory: "Memory") -> None:
        self._grant = grant
        self._place = 0, 0
        self._memory: "Optional[Memory]" = memory
        # The grant ends with the last view, whoever has that.
        self._end = _End(memory, _End.come)
        self._end.begin(grant)

    # ---- Memory ----

    def __buffer__(self, flags: int) -> memoryview:
        self._handed_out = True
        return self._view()

    def _view(self) -> memoryview:
        memory = self._memory
        if memory is None:
            raise Closed("the segment is closed")
        return memoryview(memory)[: self._info.size_bytes]

    @property
    def buf(self) -> memoryview:
        """Its bytes. Closed with the segment, as far as nobody has made views of it."""
        buf = self._buf
        if buf is None or self._memory is None:
            buf = self._buf = self._view()
        return buf

    def __bytes__(self) -> bytes:
        return bytes(self.buf)

    def __len__(self) -> int:
        if self._memory is None:
            raise Closed("the segment is closed")
        return self._info.size_bytes

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[int]:
        return iter(self.buf)

    @overload
    def __getitem__(self, index: int) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> memoryview: ...
    def __getitem__(self, index: Union[int, slice]) -> Union[int, memoryview]:
        return self.buf[index]

    def __setitem__(self, index: Union[int, slice], value: Any) -> None:
        buf = self.buf
        if buf.readonly:
            raise ReadOnly("the segment was opened for reading, or is sealed")
        buf[index] = value

    def ndarray(self, dtype: Any = None, shape: Union[int, Sequence[int], None] = None) -> "numpy.ndarray[Any, Any]":
        """A numpy array over its bytes, without a copy; not writeable where the segment is read-only.

        With a dtype, the array's dtype and shape are kept in the labels "dtype" and "shape" of the segment, if this process
        may write them, so that others call ndarray() without arguments. Without a shape it has as many items as fit.
        ValueError when it does not fit, or when there are no such labels; ImportError without numpy.
        """
        from ._ndarray import array_of

        return array_of(self, dtype, shape)

    # ---- What it is ----

    @property
    def info(self) -> SegmentInfo:
        """The daemon's description at the time of the grant, or of the last call on this object that changed it."""
        return self._info

    @property
    def id(self) -> int:
        return self._info.id

    @property
    def key(self) -> Optional[str]:
        """None while it is staged."""
        return self._info.key

    @property
    def size(self) -> int:
        """Bytes, as this process last heard of it: at the grant, or by resize() or remap()."""
        return self._info.size_bytes

    @property
    def labels(self) -> Mapping[str, str]:
        return self._info.labels

    @property
    def access(self) -> Access:
        """What was granted, "read" or "write"."""
        return self._access

    @property
    def readonly(self) -> bool:
        return self._access != "write"

    @property
    def created(self) -> bool:
        """True when create() made it, False when it was there."""
        return self._created

    @property
    def attachment(self) -> int:
        """The grant's number, 1 to 2^32-1."""
        return self._grant.attachment

    @property
    def closed(self) -> bool:
        return self._memory is None

    def __repr__(self) -> str:
        name = f"key={self.key!r}" if self.key is not None else f"id={self.id}"
        return f"<shmd.Segment {name} size={self.size} access={self.access!r}{' closed' if self.closed else ''}>"

    # ---- Calls ----

    def publish(self, key: Optional[_options.Key] = None, replace: bool = False) -> SegmentInfo:
        """Gives a staged segment its key, None for the one named at create(), and makes it visible with all that was written
        before. replace: takes the key over from the segment that has it, whose holders keep its memory."""
        return self._change("Publish", {"attachment": self._grant.attachment, "replace": replace or None,
                                        "key": None if key is None else _options.key_text(key)}, "publish")

    def resize(self, size: int) -> SegmentInfo:
        """Another size, within the capacity. Nothing moves, what is new is zeros. Views made before keep their length."""
        return self._change("Resize", {"id": self.id, "sizeBytes": size}, "resize")

    def remap(self) -> SegmentInfo:
        """Learns of a size, or of whatever else, that somebody else gave it."""
        return self._change("Describe", {"id": self.id}, "describe")

    def renew(self) -> SegmentInfo:
        """Begins its lease anew."""
        return self._change("Renew", {"id": self.id}, "renew the lease of")

    def set_attributes(self, *, mode: Optional[int] = None, owner_uid: Optional[int] = None, owner_gid: Optional[int] = None,
                       lifetime: Optional[Lifetime] = None, lease: Optional[_options.Seconds] = None,
                       evictable: Optional[bool] = None, labels: Optional[Mapping[str, str]] = None,
                       remove_labels: Sequence[str] = (), acl: Optional[Sequence[AclEntry]] = None) -> SegmentInfo:
        """As Client.set_attributes()."""
        return self._change("SetAttributes", {"id": self.id, **_options.attribute_parameters(
            mode, owner_uid, owner_gid, lifetime, lease, evictable, labels, remove_labels, acl)}, "change")

    def delete(self) -> None:
        """Deletes the segment: its key is free at once, and whoever has it mapped, as this object, keeps the memory."""
        tried = f"delete {self._name()}"
        self._call(lambda connection: connection.ask(SEGMENTS + "Delete", {"id": self.id}, _decode.nothing, tried), tried)

    def seal(self) -> SegmentInfo:
        """Makes the content immutable for ever, by the kernel. It is open for reading from then on.

        BufferError while there are views of it, numpy arrays for instance: what they show would turn read-only under them.
        SegmentBusy while somebody else has it open for writing, or while this object holds a lock; it stays as it was then.
        """
        tried = f"seal {self._name()}"
        with self._lock:
            was_writable = self._access == "write"
            if was_writable:
                self.remap()  # also finds out whether the connection has ended
                self._exchange("read", tried)
            try:
                return self._change("Seal", {"id": self.id}, "seal")
            except Error:
                if was_writable:
                    with contextlib.suppress(Error):
                        self._exchange("write", tried)
                raise

    def _exchange(self, access: Access, tried: str) -> None:
        """Takes another grant in place of the one there is: the kernel counts every mapping that was made for writing."""
        self._refuse_while_locked(tried)
        connection = self._connection(tried)
        granted, descriptors = connection.call(SEGMENTS + "Open", {"id": self.id, "access": access}, _decode.grant, tried)
        try:
            spare = descriptors.copy(granted.descriptor) if self._handed_out else None
            try:
                other = map_grant(connection, granted, descriptors, access, tried)
                self._let_go(tried, spare)
            except BufferError:
                other.close()
                raise
            finally:
                if spare is not None:
                    os.close(spare)
        finally:
            descriptors.close()
        self._end_area(released=True)
        self._grant.release()
        memory = other._memory
        assert memory is not None
        other._end.detach()
        other._memory = None
        self._access = access
        self._take(other._grant, memory)

    def _change(self, method: str, parameters: Dict[str, Any], verb: str) -> SegmentInfo:
        """A call that answers with what the segment is then."""
        tried = f"{verb} {self._name()}"
        info = self._call(lambda connection: connection.ask(SEGMENTS + method, parameters, _decode.segment_reply, tried), tried)
        if info.capacity_bytes != self._info.capacity_bytes or info.id != self.id:
            self._grant.connection.give_up()
            raise ProtocolError(f"cannot {tried}: the daemon's answer makes no sense: it is about another segment")
        with self._lock:
            if info.size_bytes != self._info.size_bytes:
                self._buf = None
            self._info = info
        return info

    def _call(self, attempt: Callable[[Connection], T], tried: str) -> T:
        """One that has not reached a daemon is made again, once."""
        try:
            return attempt(self._connection(tried))
        except Unsent:
            return attempt(self._connection(tried))

    def _connection(self, tried: str) -> Connection:
        with self._lock:
            if self._memory is None:
                raise Closed(f"cannot {tried}: the segment is closed")
            grant = self._grant
            if not grant.connection.ours:
                raise Inherited(f"cannot {tried}: its grant belongs to the process that this one was forked from")
            while grant.connection.ended:
                following = grant.connection.successor()
                if grant.attachment not in following.grants:
                    raise Disconnected(f"cannot {tried}: the connection that it was granted on has ended, and it with it: "
                                       "open or create it again")
                grant.connection = following
            return grant.connection

    def _name(self) -> str:
        return _options.named({"key": self.key} if self.key is not None else {"id": self.id})

    # ---- The end ----

    def close(self) -> None:
        """Ends this object's use of the memory, and the grant. Views of it that somebody still has, such as numpy arrays and
        slices, stay good; the grant ends with the last of them then, and so do locks that are held."""
        with self._lock:
            if self._memory is None:
                return
            alone = self._let_go()
            late = self._may_end_late()
            self._end_area(released=alone)
            if alone and not self._grant.release(late):
                self._grant.connection.give_back(self._grant.attachment)
            if not NATIVE and type(self) is Segment:
                self.__class__ = _ClosedSegment

    def _may_end_late(self) -> bool:
        """The end changes nothing else, and nobody would miss the memory for a second should it have been deleted meanwhile."""
        info = self._info
        return (self._area is None and info.state == "live" and info.lifetime == "persistent" and not info.evictable
                and info.capacity_bytes <= LATE_BYTES)

    def _let_go(self, refusing: str = "", content: Optional[int] = None) -> bool:
        """Lets the memory go. While there are views: False, and the memory is theirs; or BufferError, when this is for
        refusing. content: a descriptor of what is to be seen by those who may have an address without our knowing.

        Those are consumers who ask this object for its buffer, give it back at once and keep the address and this object, as
        numpy.ndarray(buffer=segment) does. So once it was asked, its addresses stay good as long as it lives."""
        if self._buf is not None:
            with contextlib.suppress(BufferError):
                self._buf.release()
            self._buf = None
        memory, self._memory = self._memory, None
        assert memory is not None
        alone = object()
        if sys.getrefcount(memory) > sys.getrefcount(alone):
            if refusing:
                self._memory = memory
                raise BufferError(f"cannot {refusing}: there are views of it; let go of them first")
            if self._handed_out:
                self._graves.append(memory)
            return False
        if self._handed_out:
            bury(memory, content)
            self._graves.append(memory)
        self._end.detach()
        return True

    def __enter__(self) -> "Segment":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> Tuple[Any, ...]:
        """A handle: it is opened anew, with the same access, where it is unpickled."""
        if self._memory is None:
            raise Closed("cannot pickle a segment that is closed")
        if self._info.state == "staged":
            raise TypeError("cannot pickle a segment that is staged: nobody else finds it before publish()")
        return _reopen, (self._grant.connection.path, self.id, self._access)


def _reopen(path: str, id: int, access: Access) -> Segment:
    from ._client import shared_client

    return shared_client(path).open(id=id, access=access)


_ClosedSegment: Any = Segment if NATIVE else closed_type(Segment)
