"""Shared memory segments by key, from the shmd service of this machine.

    import shmd

    with shmd.Client() as client:
        table = client.create("table", 1 << 20)
        table[:5] = b"hello"

In another process:

    with shmd.Client() as client, client.open("table") as table:
        print(bytes(table[:5]))

After opening, the memory is plain memory: no call, no copy, no daemon. Everything that fails raises shmd.Error, which is an
OSError.
"""

from ._aio import AsyncWatch
from ._client import Client
from ._decode import AclEntry, Event, SegmentInfo
from ._errors import (
    CapacityExceeded,
    Closed,
    Deadlock,
    Disconnected,
    Draining,
    Error,
    ExpectedMore,
    Inherited,
    InvalidConfiguration,
    InvalidKey,
    InvalidParameter,
    NoDaemon,
    NoLease,
    NoSuchProcess,
    NoSuchSegment,
    NotHeld,
    NotSealable,
    NotSealed,
    NotSupported,
    OutOfMemory,
    OwnerDied,
    PermissionDenied,
    PlacementUnavailable,
    ProtocolError,
    QuotaExceeded,
    ReadOnly,
    SegmentBusy,
    SegmentExists,
    SegmentSealed,
    SizeMismatch,
    TimedOut,
)
from ._locks import Lock
from ._notifications import Notifications
from ._options import NewSegment, sysv_key
from ._segment import Segment
from ._shareable_list import ShareableList
from ._shared_memory import SharedMemory
from ._watch import Watch

__version__ = "0.1.0"

__all__ = [
    "AclEntry",
    "AsyncWatch",
    "CapacityExceeded",
    "Client",
    "Closed",
    "Deadlock",
    "Disconnected",
    "Draining",
    "Error",
    "Event",
    "ExpectedMore",
    "Inherited",
    "InvalidConfiguration",
    "InvalidKey",
    "InvalidParameter",
    "Lock",
    "NewSegment",
    "NoDaemon",
    "NoLease",
    "NoSuchProcess",
    "NoSuchSegment",
    "NotHeld",
    "NotSealable",
    "NotSealed",
    "NotSupported",
    "Notifications",
    "OutOfMemory",
    "OwnerDied",
    "PermissionDenied",
    "PlacementUnavailable",
    "ProtocolError",
    "QuotaExceeded",
    "ReadOnly",
    "Segment",
    "SegmentBusy",
    "SegmentExists",
    "SegmentInfo",
    "SegmentSealed",
    "ShareableList",
    "SharedMemory",
    "SizeMismatch",
    "TimedOut",
    "Watch",
    "sysv_key",
]

# What tracebacks and help() call them.
for _name in __all__:
    globals()[_name].__module__ = __name__
del _name
