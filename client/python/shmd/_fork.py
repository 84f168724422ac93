"""fork(2): what a child must forget. The daemon's answers to two processes on one socket would get mixed up, so the child
closes what it inherited and connects anew; locks that other threads held at the fork are made anew too."""

from __future__ import annotations

import os
import threading
import weakref
from typing import Any, Set

# Held while a descriptor comes into being that a child has to close.
guard = threading.RLock()

# Changed by nothing but single operations of set, so that no lock is needed for that: a WeakSet's take several.
_registered: "Set[weakref.ref[Any]]" = set()


def register(thing: Any) -> None:
    """thing._abandon() is called in every child."""
    _registered.add(weakref.ref(thing, _registered.discard))


def _in_child() -> None:
    for reference in _registered.copy():
        thing = reference()
        if thing is not None:
            thing._abandon()
    guard.release()


os.register_at_fork(before=guard.acquire, after_in_parent=guard.release, after_in_child=_in_child)
