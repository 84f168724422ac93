"""A client: the calls of io.shmd.Segments, each on the connection that fits, and when to connect anew."""

from __future__ import annotations

import os
import threading
import time
from functools import partial
from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple, TypeVar, Union

from . import _decode, _fork, _options
from ._aio import AsyncWatch, open_async
from ._connection import SEGMENTS, Connection
from ._decode import Access, AclEntry, HugePages, Lifetime, SegmentInfo
from ._errors import Closed, Disconnected, Error, NoSuchSegment, ProtocolError, Unsent, remote_error
from ._options import CreateMode, Key, NewSegment, Reserve, Seconds
from ._paths import find_socket
from ._segment import Segment, map_grant
from ._watch import Watch

T = TypeVar("T")

BATCH = 250
# How often a wait for a key outlives the end of its connection, as a restart of the daemon is one. A bound, lest a daemon
# that hangs up on every such call be called for ever.
MAX_LOST_WAITS = 16


class Client:
    """A connection to the daemon at this path, else at $SHMD_SOCKET, the system instance, or the user instance.

    Thread-safe: calls wait for each other, but open() with a wait and watches have connections of their own. After fork(2)
    the child connects anew, and so does a call after a change of the effective user or group, or when the daemon was
    restarted. control: the control socket, which call() and call_many() are for.

    Raises shmd.Error: NoDaemon when none answers.
    """

    def __init__(self, path: Union[str, "os.PathLike[str]", None] = None, *, control: bool = False) -> None:
        self._path = os.fspath(path) if path is not None else find_socket(control)
        self._lock = threading.Lock()
        self._closed = False
        self._current: Optional[Connection] = None
        _fork.register(self)
        self._connection()

    @property
    def path(self) -> str:
        """The socket's."""
        return self._path

    def _abandon(self) -> None:
        """For a child after fork(2)."""
        self._lock = threading.Lock()
        self._current = None

    def close(self) -> None:
        """No more calls. Open segments stay open."""
        with self._lock:
            self._closed = True
            current, self._current = self._current, None
        if current is not None:
            current.retire()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<shmd.Client {self._path!r}{' closed' if self._closed else ''}>"

    def __reduce__(self) -> Tuple[Any, ...]:
        return Client, (self._path,)

    # ---- Segments ----

    def create(self, key: Optional[Key], size: int, *, mode: Optional[int] = None, create_mode: Optional[CreateMode] = None,
               access: Access = "write", reserve: Optional[Reserve] = None, staged: bool = False,
               lifetime: Optional[Lifetime] = None, lease: Optional[Seconds] = None, evictable: bool = False,
               sealable: bool = True, labels: Optional[Mapping[str, str]] = None, acl: Sequence[AclEntry] = (),
               capacity: Optional[int] = None,
               huge_pages: Optional[HugePages] = None, numa_nodes: Sequence[int] = (),
               placement_fallback: bool = False) -> Segment:
        """Creates a segment of size bytes of zeros and maps it. The caller becomes its owner.

        key: text, or an int for a System V key. None makes one up that cannot be guessed.
        mode: permission bits as with files; default 0o600, or what the administrator's policy says for this key. The new
            segment is granted to its creator whatever they are.
        create_mode: "new" (default) fails with SegmentExists when the key is taken; "any" opens that segment then, of its own
            size, which must be at least this one: SizeMismatch.
        access: what this process is granted, "write" or "read".
        reserve: "allocate" (default): all memory is really there; "populate": zeroed already, too; "lazy": it comes when it is
            touched.
        staged: invisible until publish().
        lifetime: "persistent" (default): until it is deleted; "attached": until the last grant ends; "creator": until this
            process is gone; "lease": until the lease runs out.
        lease: seconds, at least 1, or a timedelta. Renewed by renew().
        evictable: may be dropped when memory runs short and nobody has it open.
        sealable: False: nobody can ever make it immutable.
        labels: names and texts, at most 32.
        acl: further users and groups.
        capacity: bytes, how far resize() can grow it. All of it counts against the quota.
        huge_pages: "none" (default), "transparent", "huge2M" or "huge1G". numa_nodes: the memory comes from these alone.
            PlacementUnavailable when the machine has no such memory, but with placement_fallback it is done without.
        """
        parameters = _options.create_parameters(
            key, size, mode, create_mode, access, reserve, staged, lifetime, lease, evictable, sealable, labels, acl, capacity,
            huge_pages, numa_nodes, placement_fallback)
        opens = key is not None and create_mode == "any" and not staged
        return self._granted("Create", parameters, access, _options.create_words(key, size), repeatable=opens)

    def create_many(self, segments: Iterable[NewSegment]) -> List[Segment]:
        """Creates up to 250 in one trip to the daemon, all of them or none: the first error is raised."""
        wanted = list(segments)
        tried = f"create {len(wanted)} segments"

        def attempt(connection: Connection) -> List[Segment]:
            parameters = {"segments": [each.parameters() for each in wanted]}
            grants, descriptors = connection.call(SEGMENTS + "CreateMany", parameters, _decode.grants, tried)
            try:
                _check_count(connection, len(grants), len(wanted), tried)
                return _map_all(connection, grants, descriptors, [each.access for each in wanted], tried)
            finally:
                descriptors.close()

        return self._carry_out(attempt, repeatable=False)

    def open(self, key: Optional[Key] = None, access: Access = "read", *, id: Optional[int] = None, wait: Seconds = 0,
             sealed: bool = False) -> Segment:
        """Maps the segment that has this key or this id.

        access: "read" or "write". The kernel refuses writes to memory that was granted for reading.
        wait: how many seconds to wait for the key to appear, math.inf for as long as it takes. Restarts of the daemon do not
            end it, as long as its socket stays, as it does under systemd.
        sealed: only what is immutable, which needs no lock and no second look: NotSealed when it can still be written.
        NoSuchSegment when there is none, or when the time is over.
        """
        wanted = _options.target(key, id)
        parameters = {**wanted, "access": access, "sealed": sealed or None}
        tried = f"open {_options.named(wanted)} for {'writing' if access == 'write' else 'reading'}"
        usec = _options.usec(wait) if wait else 0
        if not usec:
            return self._granted("Open", parameters, access, tried, repeatable=True)
        if "id" in wanted:
            raise TypeError("only a key can be waited for")
        return self._open_wait(parameters, access, tried, usec)

    def _open_wait(self, parameters: Dict[str, Any], access: Access, tried: str, usec: int) -> Segment:
        end = time.monotonic_ns() // 1000 + usec
        waited: Optional[Connection] = None  # keeps the segment that has come until we have opened it
        lost = 0
        while True:
            try:
                return self._granted("Open", parameters, access, tried, repeatable=True)
            except NoSuchSegment:
                left = end - time.monotonic_ns() // 1000
                if left <= 0:
                    raise
            try:
                waited = Connection(self._path)
                waited.begin_stream(SEGMENTS + "Open", {**parameters, "waitUsec": left}, tried, more=False)
                waited.next_of_stream(_decode.grant, tried, None)
            except Disconnected:
                lost += 1
                if lost > MAX_LOST_WAITS:
                    raise

    def open_many(self, keys: Iterable[Key], access: Access = "read") -> List[Union[Segment, Error]]:
        """Opens many, 250 in one trip to the daemon. For each, in the same order, the segment or the error."""
        names = [_options.key_text(key) for key in keys]
        opened: List[Union[Segment, Error]] = []
        for begin in range(0, len(names), BATCH):
            attempt = partial(_open_batch, names[begin : begin + BATCH], access)
            opened += self._carry_out(attempt, repeatable=True)
        return opened

    def describe(self, key: Optional[Key] = None, *, id: Optional[int] = None) -> SegmentInfo:
        """What a segment is, without opening it."""
        return self._info("Describe", _options.target(key, id), {}, "describe")

    def list(self, prefix: Optional[str] = None) -> "List[SegmentInfo]":
        """The live segments that this user may describe and whose key begins with prefix, in the order of their creation."""
        def attempt(connection: Connection) -> "List[Optional[SegmentInfo]]":
            return connection.call_many(SEGMENTS + "List", {"prefix": prefix}, _decode.listed, "list segments")

        return [each for each in self._carry_out(attempt, repeatable=True) if each is not None]

    def delete(self, key: Optional[Key] = None, *, id: Optional[int] = None) -> None:
        """Deletes a segment: its key is free at once, and whoever has it mapped keeps the memory."""
        wanted = _options.target(key, id)
        tried = f"delete {_options.named(wanted)}"
        self._carry_out(lambda connection: connection.ask(SEGMENTS + "Delete", wanted, _decode.nothing, tried),
                        repeatable=False)

    def set_attributes(self, key: Optional[Key] = None, *, id: Optional[int] = None, mode: Optional[int] = None,
                       owner_uid: Optional[int] = None, owner_gid: Optional[int] = None, lifetime: Optional[Lifetime] = None,
                       lease: Optional[Seconds] = None, evictable: Optional[bool] = None,
                       labels: Optional[Mapping[str, str]] = None, remove_labels: Sequence[str] = (),
                       acl: Optional[Sequence[AclEntry]] = None) -> SegmentInfo:
        """Changes a segment, and gives it as it is then; what is None stays. labels are added, or changed where the name is
        there; acl takes the place of all entries. For the owner, the creator and root."""
        changes = _options.attribute_parameters(mode, owner_uid, owner_gid, lifetime, lease, evictable, labels, remove_labels,
                                                acl)
        return self._info("SetAttributes", _options.target(key, id), changes, "change")

    def renew(self, key: Optional[Key] = None, *, id: Optional[int] = None) -> SegmentInfo:
        """Begins the segment's lease anew, for its full length from now on. NoLease when it has none."""
        return self._info("Renew", _options.target(key, id), {}, "renew the lease of")

    def seal(self, key: Optional[Key] = None, *, id: Optional[int] = None) -> SegmentInfo:
        """Makes the content immutable for ever. SegmentBusy while somebody, this process too, has it open for writing: see
        Segment.seal()."""
        return self._info("Seal", _options.target(key, id), {}, "seal")

    def resize(self, key: Optional[Key] = None, size: int = 0, *, id: Optional[int] = None) -> SegmentInfo:
        """Another size, within the capacity. Smaller only while nobody else has it open."""
        return self._info("Resize", _options.target(key, id), {"sizeBytes": size}, "resize")

    def watch(self, prefix: Optional[str] = None) -> Watch:
        """Tells what happens to the segments whose key begins with prefix: see Watch."""
        self._check_open()
        return Watch(self._path, prefix)

    # ---- asyncio ----

    async def open_async(self, key: Key, access: Access = "read", *, wait: Seconds = 0, sealed: bool = False) -> Segment:
        """As open(), without holding up the event loop. Cancelling it ends the wait."""
        return await open_async(self, key, access, wait, sealed)

    def watch_async(self, prefix: Optional[str] = None) -> AsyncWatch:
        """As watch(), for `async for` and `async with`."""
        self._check_open()
        return AsyncWatch(self._path, prefix)

    # ---- Any method ----

    def call(self, method: str, parameters: Optional[Mapping[str, Any]] = None) -> Dict[str, Any]:
        """Any Varlink call that answers once and passes no descriptors. Gives the reply's parameters."""
        return self._carry_out(
            lambda connection: connection.ask(method, parameters or {}, _decode.raw, f"call {method}"), repeatable=False)

    def call_many(self, method: str, parameters: Optional[Mapping[str, Any]] = None) -> "List[Dict[str, Any]]":
        """The same for a call that answers many times, as lists do. Not for calls that never end."""
        return self._carry_out(
            lambda connection: connection.call_many(method, parameters or {}, _decode.raw, f"call {method}"),
            repeatable=False)

    # ---- Within ----

    def _check_open(self) -> None:
        if self._closed:
            raise Closed("the client is closed")

    def _connection(self) -> Connection:
        """For a call by the caller as it is now."""
        current = self._current
        if current is not None and current.usable and not self._closed:
            return current
        with self._lock:
            self._check_open()
            while self._current is not None and not self._current.usable and self._current.ours:
                if not self._current.ended:
                    break
                # Whoever this process is now, it may take up what it had.
                self._current = self._current.successor()
            if self._current is None or not self._current.usable:
                self._current = None
                self._current = Connection(self._path)
            return self._current

    def _carry_out(self, attempt: Callable[[Connection], T], repeatable: bool) -> T:
        """Makes an attempt, and another on a new connection when the first one ended under it and nothing is done twice by
        that."""
        try:
            return attempt(self._connection())
        except Unsent:
            pass
        except Disconnected:
            if not repeatable:
                raise
        return attempt(self._connection())

    def _info(self, method: str, wanted: Dict[str, Any], changes: Dict[str, Any], verb: str) -> SegmentInfo:
        # All of these may be carried out twice: the second time changes nothing more.
        tried = f"{verb} {_options.named(wanted)}"
        return self._carry_out(
            lambda connection: connection.ask(SEGMENTS + method, {**wanted, **changes}, _decode.segment_reply, tried),
            repeatable=True)

    def _granted(self, method: str, parameters: Dict[str, Any], access: Access, tried: str, repeatable: bool) -> Segment:
        def attempt(connection: Connection) -> Segment:
            if connection.wants_queue:
                connection.open_queue()
            granted, descriptors = connection.call(SEGMENTS + method, parameters, _decode.grant, tried)
            try:
                return map_grant(connection, granted, descriptors, access, tried)
            finally:
                descriptors.close()

        return self._carry_out(attempt, repeatable)


def _check_count(connection: Connection, count: int, wanted: int, tried: str) -> None:
    if count != wanted:
        connection.give_up()
        raise ProtocolError(f"cannot {tried}: the daemon's answer makes no sense: it has not as many results as it was asked "
                            "for")


def _map_all(connection: Connection, grants: "List[_decode.Grant]", descriptors: Any, access: Sequence[Access],
             tried: str) -> List[Segment]:
    """All, or none."""
    made: List[Segment] = []
    failure: Optional[Error] = None
    for granted, each in zip(grants, access):
        try:
            made.append(map_grant(connection, granted, descriptors, each, tried))
        except Error as error:
            failure = error
    if failure is None:
        return made
    for segment in made:
        if segment.created:
            connection.notify(SEGMENTS + "Delete", {"id": segment.id})
        segment.close()
    raise failure


def _open_batch(keys: Sequence[str], access: Access, connection: Connection) -> List[Union[Segment, Error]]:
    tried = f"open {len(keys)} segments"
    parameters = {"targets": [{"key": key} for key in keys], "access": access}
    results, descriptors = connection.call(SEGMENTS + "OpenMany", parameters, _decode.open_results, tried)
    opened: List[Union[Segment, Error]] = []
    try:
        _check_count(connection, len(results), len(keys), tried)
        for key, result in zip(keys, results):
            tried = f"open segment {key!r} for {'writing' if access == 'write' else 'reading'}"
            if isinstance(result, _decode.Refusal):
                opened.append(remote_error(result.name, result.parameters, tried))
                continue
            try:
                opened.append(map_grant(connection, result, descriptors, access, tried))
            except ProtocolError:
                raise
            except Error as error:
                opened.append(error)
    finally:
        descriptors.close()
    return opened


_shared: Dict[str, Client] = {}
_shared_lock = threading.Lock()


def shared_client(path: Optional[str] = None) -> Client:
    """The one client of this process for this path: for what is unpickled, and for SharedMemory."""
    path = path if path is not None else find_socket()
    with _shared_lock:
        client = _shared.get(path)
        if client is None:
            client = _shared[path] = Client(path)
        return client


class _SharedLock:
    """Another thread may have held it at a fork."""

    @staticmethod
    def _abandon() -> None:
        global _shared_lock
        _shared_lock = threading.Lock()


_shared_lock_guard = _SharedLock()
_fork.register(_shared_lock_guard)
