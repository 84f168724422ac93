"""What calls raise: one class for each error of the interface descriptions. All are OSErrors too, with an errno."""

from __future__ import annotations

import errno
import json
import os
from typing import Any, Dict, List, Mapping, Optional, Type


class Error(OSError):
    """What went wrong with a call.

    name: the Varlink error, such as "io.shmd.Segments.NoSuchSegment"; "" when it arose in this process.
    parameters: those of the Varlink error, as the daemon sent them.
    errno: the number that stands for it; str() tells what was tried and why it failed.
    """

    code = errno.EREMOTEIO

    def __init__(self, message: str, name: str = "", parameters: Optional[Mapping[str, Any]] = None, code: int = 0) -> None:
        super().__init__(code or self.code, message)
        self.message = message
        self.name = name
        self.parameters: Dict[str, Any] = dict(parameters or {})

    def __str__(self) -> str:
        return f"{self.message} ({self.name.rpartition('.')[2]})" if self.name else self.message

    def __reduce__(self) -> Any:
        return type(self), (self.message, self.name, self.parameters, self.errno)


class NoSuchSegment(Error, FileNotFoundError):
    """No segment has this key or id, or the time to wait for it is over."""

    code = errno.ENOENT


class SegmentExists(Error, FileExistsError):
    """The key is taken."""

    code = errno.EEXIST


class SizeMismatch(Error, ValueError):
    """The existing segment is smaller than asked for: parameters["sizeBytes"] tells its size."""

    code = errno.ERANGE


class InvalidKey(Error, ValueError):
    """The key is not one: 1 to 255 bytes of A-Z a-z 0-9 . _ : / @ + = -, the first one a letter or a digit."""

    code = errno.EINVAL


class QuotaExceeded(Error):
    """A limit is reached: parameters["resource"] and parameters["limit"]."""

    code = errno.EDQUOT


class OutOfMemory(Error, MemoryError):
    """The machine has not so much memory to give."""

    code = errno.ENOMEM


class SegmentSealed(Error):
    """It is immutable: it cannot be opened for writing, nor resized."""

    code = errno.EROFS


class NotSealed(Error):
    """It can still be written, and the caller asked for one that cannot."""

    code = errno.EBADFD


class NotSealable(Error):
    """It was created so that it can never be sealed."""

    code = errno.EBADFD


class SegmentBusy(Error):
    """Somebody has it open: parameters["holders"] tells who."""

    code = errno.EBUSY


class CapacityExceeded(Error, ValueError):
    """It cannot grow so far: parameters["capacityBytes"]."""

    code = errno.EFBIG


class PlacementUnavailable(Error):
    """No huge pages or no such binding now: parameters["setting"] names what decides that."""

    code = errno.ENODEV


class NoLease(Error):
    """It has no lease to renew."""

    code = errno.EBADFD


class Draining(Error):
    """The daemon makes no new segments."""

    code = errno.ESHUTDOWN


class PermissionDenied(Error, PermissionError):
    """The segment's owner and mode, or the administrator's policy, do not allow it."""

    code = errno.EACCES


class InvalidParameter(Error, ValueError):
    """The daemon does not accept parameters["parameter"]."""

    code = errno.EINVAL


class ExpectedMore(Error):
    """The method answers more than once: call_many()."""

    code = errno.EINVAL


class NotSupported(Error):
    """The daemon has no such interface or method; it may be older than this package."""

    code = errno.EOPNOTSUPP


class NoSuchProcess(Error, ProcessLookupError):
    """Control: no process of this id is connected."""

    code = errno.ESRCH


class InvalidConfiguration(Error, ValueError):
    """Control: the configuration file cannot be used: parameters["reason"]."""

    code = errno.EINVAL


class NoDaemon(Error, ConnectionRefusedError):
    """No daemon answers at the socket."""

    code = errno.ECONNREFUSED


class Disconnected(Error, ConnectionResetError):
    """The daemon went away. What was under way may or may not have been done."""

    code = errno.ECONNRESET


class Unsent(Disconnected):
    """The same, and the daemon has not got the call."""


class ProtocolError(Error):
    """The daemon's answer makes no sense. The connection is closed, and the grants made on it have ended."""

    code = errno.EPROTO


class Inherited(Error, PermissionError):
    """The segment's grant, or the watch, belongs to the process that this one was forked from."""

    code = errno.EPERM


class Closed(Error, ValueError):
    """The client, segment or watch is closed."""

    code = errno.EBADF


class ReadOnly(Error, TypeError):
    """The segment was opened for reading, or is sealed: it cannot be written through this object."""

    code = errno.EROFS


class TimedOut(Error, TimeoutError):
    """The time to wait for a lock, a version or a snapshot is over."""

    code = errno.ETIMEDOUT


class OwnerDied(Error):
    """A writer died in its write section, and nobody has repaired the content since."""

    code = errno.EOWNERDEAD


class NotHeld(Error, RuntimeError):
    """The lock is not held by this segment, or not any more."""

    code = errno.EPERM


class Deadlock(Error, RuntimeError):
    """This thread holds the lock already, and would wait for itself."""

    code = errno.EDEADLK


_SEGMENTS = "io.shmd.Segments."
_CONTROL = "io.shmd.Control."
_SERVICE = "org.varlink.service."

_CLASSES: Dict[str, Type[Error]] = {
    **{
        _SEGMENTS + each.__name__: each
        for each in (NoSuchSegment, SegmentExists, SizeMismatch, InvalidKey, QuotaExceeded, OutOfMemory, SegmentSealed,
                     NotSealed, NotSealable, SegmentBusy, CapacityExceeded, PlacementUnavailable, NoLease, Draining)
    },
    _CONTROL + "NoSuchProcess": NoSuchProcess,
    _CONTROL + "InvalidConfiguration": InvalidConfiguration,
    _SERVICE + "PermissionDenied": PermissionDenied,
    _SERVICE + "InvalidParameter": InvalidParameter,
    _SERVICE + "InterfaceNotFound": NotSupported,
    _SERVICE + "MethodNotFound": NotSupported,
    _SERVICE + "MethodNotImplemented": NotSupported,
    _SERVICE + "ExpectedMore": ExpectedMore,
}

# {name} stands for a parameter of the error.
_WORDS: Dict[Type[Error], str] = {
    SegmentExists: "the key {key!r} is taken: open that segment, or choose another key",
    SizeMismatch: "the existing segment has only {sizeBytes} bytes",
    InvalidKey: "{key!r} is not a key: 1 to 255 bytes of A-Z a-z 0-9 . _ : / @ + = -, the first one a letter or a digit",
    QuotaExceeded: "the limit of {limit} on {resource} is reached: close or delete something, or have the limit raised",
    OutOfMemory: "this machine has not {sizeBytes} bytes of memory to give",
    SegmentSealed: "it is sealed: its content cannot be changed any more",
    NotSealed: "it is not sealed: its content may still change",
    NotSealable: "it was created so that it can never be sealed",
    CapacityExceeded: "its capacity is {capacityBytes} bytes, and it cannot grow further",
    PlacementUnavailable: "this machine has no such memory to give now; {setting} decides that",
    NoLease: "it has no lease",
    ExpectedMore: "the method answers more than once",
    Draining: "the daemon is being drained and makes no new segments",
    NoSuchProcess: "process {pid} is not connected",
    InvalidConfiguration: "the configuration cannot be used: {reason}",
    InvalidParameter: "the daemon does not accept the parameter {parameter!r}",
}


class _Lenient(Dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "?"


def _busy(holders: Any) -> str:
    named: List[str] = [
        f"process {each.get('pid')} of user {each.get('uid')}"
        for each in (holders if isinstance(holders, list) else [])
        if isinstance(each, dict)
    ]
    if named:
        return "it is open in " + ", ".join(named)
    return "somebody is resizing it, or has it mapped for writing though detached from it"


def _words(kind: Type[Error], name: str, parameters: Mapping[str, Any]) -> str:
    if kind is NoSuchSegment:
        return "no segment has this id" if "id" in parameters else "no segment has this key"
    if kind is SegmentBusy:
        return _busy(parameters.get("holders"))
    if kind is PermissionDenied:
        return f"user {os.geteuid()} is not allowed to: the segment's owner and mode decide"
    if kind is NotSupported:
        wanted = parameters.get("method", parameters.get("interface", "?"))
        return f"the daemon does not have {wanted!r} at this socket"
    if kind in _WORDS:
        return _WORDS[kind].format_map(_Lenient(parameters))
    return f"the daemon answered {name} {json.dumps(dict(parameters))}"


def remote_error(name: str, parameters: Mapping[str, Any], tried: str) -> Error:
    """The error that a reply tells of."""
    kind = _CLASSES.get(name, Error)
    return kind(f"cannot {tried}: {_words(kind, name, parameters)}", name, parameters)
