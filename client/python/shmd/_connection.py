"""One connection to the daemon: calls and their replies, and the grants made on it.

A grant lasts as long as its connection. When the daemon was restarted, a successor takes up what its predecessor had. Who
the caller is now, and what may be repeated, is the client's business.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Callable, Deque, Dict, List, Mapping, Optional, Set, Tuple, TypeVar

from . import _decode, _fork, _queue
from ._errors import Closed, Disconnected, Error, NoDaemon, PermissionDenied, ProtocolError, Unsent, remote_error
from ._wire import MAX_MESSAGE, Descriptors, Inbox, encode_call, encode_detach

if TYPE_CHECKING:
    from . import _sync

T = TypeVar("T")

SEGMENTS = "io.shmd.Segments."
MAX_RESUMED = 4096
# A connection that ends this many grants has a detach queue from then on.
ENDS_BEFORE_QUEUE = 4
_GONE = "the daemon has gone away"
_NOSIGNAL = int(socket.MSG_NOSIGNAL)


class Connection:
    """Connects at once. Calls of several threads take turns. NoDaemon, PermissionDenied, or Error with the errno of socket(2)
    or connect(2)."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.identity = (os.getpid(), os.geteuid(), os.getegid())
        self._fresh()
        self.ended = False
        self.abandoned = False
        self.grants: Set[int] = set()
        self._inbox = Inbox()
        self._owed = False  # a reply whose caller was interrupted
        self._proven = False
        self._retired = False
        self._released: Deque[int] = deque()
        self._successor: Optional[Connection] = None
        self._queue: Optional[_sync.Queue] = None
        self._ends = 0
        self.wants_queue = False
        try:
            with _fork.guard:
                self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
                _fork.register(self)
        except OSError as error:
            raise Error(f"cannot make a socket: {error.strerror}", code=error.errno or 0) from None
        try:
            self._socket.connect(path)
        except (ConnectionRefusedError, FileNotFoundError) as error:
            self._socket.close()
            raise NoDaemon(f"no daemon answers at {path} ({error.strerror}): start shmd, or name its socket in "
                           "$SHMD_SOCKET") from None
        except OSError as error:
            self._socket.close()
            if error.errno is None:  # the path is too long
                raise Error(f"cannot connect to {path}: {error}", code=errno.ENAMETOOLONG) from None
            kind = PermissionDenied if error.errno == errno.EACCES else Error
            raise kind(f"cannot connect to the daemon at {path}: {error.strerror}", code=error.errno) from None

    def _fresh(self) -> None:
        self._call_lock = threading.Lock()
        self._send_lock = threading.Lock()
        self._succession_lock = threading.Lock()

    def __del__(self) -> None:
        if hasattr(self, "_socket"):
            self._socket.close()
            self._inbox.close_descriptors()

    # ---- State ----

    @property
    def ours(self) -> bool:
        """False in a child of the process that made it."""
        return not self.abandoned and self.identity[0] == os.getpid()

    @property
    def usable(self) -> bool:
        """For a call by the caller as it is now."""
        return not self.ended and not self.abandoned and self.identity == (os.getpid(), os.geteuid(), os.getegid())

    def _abandon(self) -> None:
        """For a child after fork(2)."""
        self._fresh()
        self.abandoned = True
        self._queue = None
        self._socket.close()
        self._inbox.close_descriptors()

    def give_up(self) -> None:
        """Ends it, also for a thread that waits on it."""
        self.ended = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def retire(self) -> None:
        """No calls but those about its grants will follow: it is closed with the last of them. Nothing but exceptions that
        somebody keeps may then refer to it."""
        self._retired = True
        self._close_if_done()

    def _close_if_done(self) -> None:
        done = self._successor is not None or (self._retired and not self.grants)
        if not done or self.abandoned or not self._call_lock.acquire(blocking=False):
            return
        try:
            if self._send_lock.acquire(blocking=False):
                try:
                    self.ended = True
                    self._socket.close()
                    self._inbox.close_descriptors()
                finally:
                    self._send_lock.release()
        finally:
            self._call_lock.release()

    def fileno(self) -> int:
        return self._socket.fileno()

    # ---- Calls ----

    def call(self, method: str, parameters: Mapping[str, Any], read: Callable[[Dict[str, Any]], T],
             tried: str) -> Tuple[T, Descriptors]:
        """Calls and gives the reply, read by `read`, and the descriptors that came with it. RemoteErrors, Disconnected,
        ProtocolError; tried: what the caller wanted, for their texts."""
        with self._call_lock:
            self._begin(encode_call(method, parameters), tried)
            try:
                answer, error, continues = _decode.message(self._await_message(tried))
                if continues or self._inbox.has_more():
                    raise _decode.Nonsense("there is more than one reply")
                descriptors = self._inbox.take_descriptors()
                self._owed = False
                self._proven = True
                try:
                    if error is not None:
                        raise remote_error(error, answer, tried)
                    return read(answer), descriptors
                except BaseException:
                    descriptors.close()
                    raise
            except (_decode.Nonsense, Disconnected) as failure:
                raise self._broken(failure, tried) from None

    def call_many(self, method: str, parameters: Mapping[str, Any], read: Callable[[Dict[str, Any]], T],
                  tried: str) -> List[T]:
        """The same for a call that answers many times, without descriptors."""
        values: List[T] = []
        with self._call_lock:
            self._begin(encode_call(method, parameters, more=True), tried)
            try:
                while True:
                    reply = _decode.message(self._await_message(tried))
                    self._inbox.close_descriptors()
                    if not reply.continues:
                        self._owed = False
                        self._proven = True
                        if self._inbox.has_more():
                            raise _decode.Nonsense("there are replies after the last one")
                    if reply.error is not None:
                        raise remote_error(reply.error, reply.parameters, tried)
                    values.append(read(reply.parameters))
                    if not reply.continues:
                        return values
            except (_decode.Nonsense, Disconnected) as failure:
                raise self._broken(failure, tried) from None

    def ask(self, method: str, parameters: Mapping[str, Any], read: Callable[[Dict[str, Any]], T], tried: str) -> T:
        """A call without descriptors."""
        value, descriptors = self.call(method, parameters, read, tried)
        descriptors.close()
        return value

    def begin_stream(self, method: str, parameters: Mapping[str, Any], tried: str, more: bool = True) -> None:
        """Sends a call whose replies next_of_stream() gives. For a connection that is used for nothing else."""
        with self._call_lock:
            self._begin(encode_call(method, parameters, more=True) if more else encode_call(method, parameters), tried)

    def next_of_stream(self, read: Callable[[Dict[str, Any]], T], tried: str, timeout: Optional[float]) -> Optional[T]:
        """The next reply, or None when none has come within so many seconds (None: waits without an end)."""
        with self._call_lock:
            if self.ended:
                raise Disconnected(f"cannot {tried}: {_GONE}")
            try:
                data = self._next_message(tried, None if timeout is None else time.monotonic() + timeout)
                if data is None:
                    return None
                reply = _decode.message(data)
                self._inbox.close_descriptors()
                if reply.error is not None:
                    self.give_up()
                    raise remote_error(reply.error, reply.parameters, tried)
                self._proven = True
                return read(reply.parameters)
            except (_decode.Nonsense, Disconnected) as failure:
                raise self._broken(failure, tried) from None

    # ---- Grants ----

    def release(self, attachment: int, late: bool = False) -> None:
        """Ends a grant, without waiting for the daemon. Never blocks on a lock: a finalizer may run in the middle of anything,
        also of what this thread does on this connection. Then whoever is sending sends this too.

        late: nobody minds when the daemon does it only once somebody could tell, or within a second."""
        self.grants.discard(attachment)
        if self._queue is None:
            self._count_end()
        if self._queue is None or not self._put(attachment) or not late:
            self._released.append(attachment)
        if self._released:
            self._send_released()
        if self._retired or self._successor is not None:
            self._close_if_done()

    def _put(self, attachment: int) -> bool:
        """Into the detach queue. False when the daemon must be called all the same."""
        if not self._send_lock.acquire(blocking=False):
            return False
        try:
            return self._queue is not None and not self.ended and _queue.put(self._queue, attachment)
        finally:
            self._send_lock.release()

    def _count_end(self) -> None:
        self._ends += 1
        if self._ends == ENDS_BEFORE_QUEUE:
            self.wants_queue = _queue.AVAILABLE

    def open_queue(self) -> None:
        """Gets a detach queue, if the daemon has one to give. It is asked once."""
        with self._send_lock:
            wanted, self.wants_queue = self.wants_queue, False
        if not wanted:
            return
        with contextlib.suppress(Error, OSError, _decode.Nonsense):
            index, descriptors = self.call(SEGMENTS + "OpenDetachQueue", {}, _decode.page, "open a detach queue")
            try:
                descriptor = descriptors.take(index)
            finally:
                descriptors.close()
            try:
                queue = _queue.opened(descriptor)
            finally:
                os.close(descriptor)
            with self._send_lock:
                self._queue = queue

    def _send_released(self) -> None:
        while self._released and not self.ended and not self.abandoned:
            if not self._send_lock.acquire(blocking=False):
                return
            try:
                self._send_locked(b"", False)
            finally:
                self._send_lock.release()

    def notify(self, method: str, parameters: Mapping[str, Any]) -> None:
        """A call without a reply, as far as the daemon is there."""
        with contextlib.suppress(Disconnected):
            self._send(encode_call(method, parameters, oneway=True), method)

    def successor(self) -> Connection:
        """The connection that has taken up what this one, which has ended, had."""
        with self._succession_lock:
            if self._successor is not None:
                return self._successor
            made = Connection(self.path)
            released = {*self._released, *_queue.left(self._queue)}
            left = list(self.grants | released)
            while left:
                some, left = left[:MAX_RESUMED], left[MAX_RESUMED:]
                try:
                    resumed = made.ask(SEGMENTS + "Resume", {"attachments": some, "partial": bool(left) or None},
                                       _decode.resumed, "take up what an earlier connection had")
                except (Disconnected, ProtocolError):
                    raise
                except Error:
                    break  # one that refuses, as an older daemon does, has kept nothing
                made.grants.update(resumed)
            self._successor = made
            for attachment in made.grants - self.grants:  # let go before or meanwhile
                made.release(attachment)
            self._close_if_done()
            return made

    def give_back(self, attachment: int) -> None:
        """Ends a grant of a connection that has ended and has no successor: taken up by one that ends at once, it ends too."""
        with contextlib.suppress(OSError):
            brief = Connection(self.path)
            brief.notify(SEGMENTS + "Resume", {"attachments": [attachment], "partial": True})
            brief._socket.close()

    @property
    def present_successor(self) -> Optional[Connection]:
        return self._successor

    # ---- Sending ----

    def _begin(self, message: bytes, tried: str) -> None:
        if len(message) > MAX_MESSAGE + 1:
            raise Error(f"cannot {tried}: the call has {len(message) - 1} bytes, and the daemon takes {MAX_MESSAGE}",
                        code=errno.EMSGSIZE)
        if self._owed:
            self._discard_owed()
        self._send(message, tried, owes=True)

    def _send(self, message: bytes, tried: str, owes: bool = False) -> None:
        if self.abandoned:
            raise Closed(f"cannot {tried}: the connection is closed")
        with self._send_lock:
            sent = self._send_locked(message, owes)
        if not sent:
            refusal = self._refusal(tried)
            self.give_up()
            raise refusal or Unsent(f"cannot {tried}: {_GONE}")
        if self._released:
            self._send_released()

    def _send_locked(self, message: bytes, owes: bool) -> bool:
        """Sends it behind the ends of grants that are still to be told. False when the connection has ended.

        owes: there will be a reply, whatever interrupts this thread from here on."""
        if self.ended:
            return False
        several: List[int] = []
        sent = False
        try:
            if self._released:
                while self._released and len(several) < 250:
                    several.append(self._released.popleft())
                message = b"".join(map(encode_detach, several)) + message
            if owes:
                self._owed = True
            self._socket.sendall(message, _NOSIGNAL)
            sent = True
        except (BrokenPipeError, ConnectionResetError):
            pass
        finally:
            if not sent:  # in the middle of a message nothing can follow
                self.ended = True
                self._released.extend(several)  # for the successor
        return sent

    def _refusal(self, tried: str) -> Optional[Error]:
        """A daemon that takes no more connections says why, unasked, and hangs up."""
        with contextlib.suppress(OSError, _decode.Nonsense):
            while not self._proven:
                data = self._inbox.next()
                if data is not None:
                    reply = _decode.message(data)
                    return remote_error(reply.error, reply.parameters, tried) if reply.error is not None else None
                if not self._inbox.read(self._socket, socket.MSG_DONTWAIT):
                    break
        return None

    # ---- Receiving ----

    def _broken(self, failure: Exception, tried: str) -> Error:
        """Ends it, and gives what is to be raised. After nonsense nothing that follows can be trusted."""
        self.give_up()
        self._inbox.close_descriptors()
        if isinstance(failure, Disconnected):
            return failure
        return ProtocolError(f"cannot {tried}: the daemon's answer makes no sense: {failure}")

    def _await_message(self, tried: str) -> bytes:
        data = self._next_message(tried, None)
        assert data is not None
        return data

    def _next_message(self, tried: str, deadline: Optional[float]) -> Optional[bytes]:
        while True:
            data = self._inbox.next()
            if data is not None:
                return data
            if deadline is not None and not self._readable(deadline):
                return None
            try:
                more = self._inbox.read(self._socket)
            except ConnectionResetError:
                more = False
            except OSError as error:
                self.give_up()
                raise Disconnected(f"cannot {tried}: cannot receive from the daemon: {error.strerror}") from None
            if not more:
                raise Disconnected(f"cannot {tried}: the daemon went away before it answered: this may or may not have been "
                                   "done")

    def _readable(self, deadline: float) -> bool:
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return bool(poll.poll(max(0.0, deadline - time.monotonic()) * 1000))

    def _discard_owed(self) -> None:
        """Takes the reply to a call whose caller was interrupted, by an exception of a signal handler, and gives back what was
        granted by it."""
        with contextlib.suppress(Disconnected):  # sending will tell
            while self._owed and not self.ended:
                try:
                    reply = _decode.message(self._await_message("take a reply"))
                    self._inbox.close_descriptors()
                    self._owed = reply.continues
                    self._release_all(reply.parameters)
                except (_decode.Nonsense, Disconnected) as failure:
                    raise self._broken(failure, "take a reply") from None

    def _release_all(self, parameters: Mapping[str, Any]) -> None:
        results = parameters.get("results") or []
        granted = parameters.get("grants") or [each.get("grant") for each in results if isinstance(each, dict)]
        for each in (parameters, *granted):
            attachment = each.get("attachment") if isinstance(each, dict) else None
            if isinstance(attachment, int):
                self.release(attachment)
