"""Detach queues (protocol/PROTOCOL.md): where a connection puts the grants that it is done with, so that it need not wake the
daemon for each. The order of what is written there and read takes the C part of this package: without it there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, List, Optional

from ._memory import is_lasting_page

try:
    from . import _sync
except ImportError:
    AVAILABLE = False
else:
    AVAILABLE = True

if TYPE_CHECKING:
    from ._sync import Queue


def opened(descriptor: int) -> "Optional[Queue]":
    """None when it is none that this version knows. The descriptor stays the caller's."""
    if not is_lasting_page(descriptor):
        return None
    try:
        return _sync.open_queue(descriptor)
    except (OSError, ValueError):
        return None


def put(queue: "Queue", attachment: int) -> bool:
    """False when the daemon must be called all the same. Not for two threads at a time."""
    return _sync.put(queue, attachment)


def left(queue: "Optional[Queue]") -> List[int]:
    """What the daemon has not said to have ended."""
    return [] if queue is None else _sync.left(queue)
