"""Arguments: from what is natural in Python to what goes over the wire."""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Dict, Literal, Mapping, Optional, Sequence, SupportsIndex, Union

from ._decode import MAX_INTEGER, Access, AclEntry, HugePages, Lifetime

Key = Union[str, SupportsIndex]
Seconds = Union[float, timedelta]
CreateMode = Literal["new", "any"]
Reserve = Literal["lazy", "allocate", "populate"]


def sysv_key(number: SupportsIndex) -> str:
    """The key that stands for a System V integer key: 0xff3 gives "sysv:0x00000ff3"."""
    value = operator.index(number)
    if not -(2**31) <= value < 2**32:
        raise ValueError(f"a System V key has 32 bits: {value}")
    return f"sysv:0x{value & 0xFFFFFFFF:08x}"


def key_text(key: Key) -> str:
    if isinstance(key, str):
        return key
    try:
        return sysv_key(key)
    except TypeError:
        raise TypeError(f"a key is a str, or an int for a System V key, not {type(key).__name__}") from None


def target(key: Optional[Key], id: Optional[int]) -> Dict[str, Any]:
    """Parameters that name a segment."""
    if (key is None) == (id is None):
        raise TypeError("name the segment by exactly one of key and id")
    return {"key": key_text(key)} if key is not None else {"id": operator.index(id)}  # type: ignore[arg-type]


def named(wanted: Mapping[str, Any]) -> str:
    return f"segment {wanted['key']!r}" if "key" in wanted else f"segment {wanted['id']}"


def usec(seconds: Seconds) -> int:
    """Microseconds, as many as go over the wire at most."""
    value = seconds.total_seconds() if isinstance(seconds, timedelta) else seconds
    if math.isnan(value):
        raise ValueError("a time is no number")
    return int(min(max(value, 0.0) * 1e6, MAX_INTEGER))


def lifetime_parameters(lifetime: Optional[Lifetime], lease: Optional[Seconds]) -> Dict[str, Any]:
    if lease is None:
        return {"lifetime": lifetime}
    return {"lifetime": lifetime or "lease", "leaseUsec": usec(lease)}


@dataclass(frozen=True)
class NewSegment:
    """A segment to be created. The options are those of Client.create(), where they are described."""

    key: Optional[Key]
    size: int
    mode: Optional[int] = None
    create_mode: Optional[CreateMode] = None
    access: Access = "write"
    reserve: Optional[Reserve] = None
    staged: bool = False
    lifetime: Optional[Lifetime] = None
    lease: Optional[Seconds] = None
    evictable: bool = False
    sealable: bool = True
    labels: Optional[Mapping[str, str]] = None
    acl: Sequence[AclEntry] = ()
    capacity: Optional[int] = None
    huge_pages: Optional[HugePages] = None
    numa_nodes: Sequence[int] = ()
    placement_fallback: bool = False

    def parameters(self) -> Dict[str, Any]:
        """Those of Create, without what is left out."""
        return create_parameters(
            self.key, self.size, self.mode, self.create_mode, self.access, self.reserve, self.staged, self.lifetime, self.lease,
            self.evictable, self.sealable, self.labels, self.acl, self.capacity, self.huge_pages, self.numa_nodes,
            self.placement_fallback)


def create_parameters(key: Optional[Key], size: int, mode: Optional[int], create_mode: Optional[CreateMode], access: Access,
                      reserve: Optional[Reserve], staged: bool, lifetime: Optional[Lifetime], lease: Optional[Seconds],
                      evictable: bool, sealable: bool, labels: Optional[Mapping[str, str]], acl: Sequence[AclEntry],
                      capacity: Optional[int], huge_pages: Optional[HugePages], numa_nodes: Sequence[int],
                      placement_fallback: bool) -> Dict[str, Any]:
    """Those of Create, without what is left out."""
    given: Dict[str, Any] = {
        "key": None if key is None else key_text(key),
        "sizeBytes": operator.index(size),
        "mode": mode,
        "createMode": create_mode,
        "access": None if access == "write" else access,
        "reserve": reserve,
        "staged": staged or None,
        "lifetime": lifetime,
        "evictable": evictable or None,
        "sealable": None if sealable else False,
        "labels": dict(labels) if labels else None,
        "acl": [each.to_dict() for each in acl] or None,
        "capacityBytes": capacity,
        "hugePages": huge_pages,
        "numaNodes": list(numa_nodes) or None,
        "placementFallback": placement_fallback or None,
    }
    if lease is not None:
        given.update(lifetime_parameters(lifetime, lease))
    return {name: value for name, value in given.items() if value is not None}


def create_words(key: Optional[Key], size: int) -> str:
    """For the texts of errors."""
    what = "a segment" if key is None else f"segment {key_text(key)!r}"
    return f"create {what} of {size} bytes"


def attribute_parameters(mode: Optional[int], owner_uid: Optional[int], owner_gid: Optional[int], lifetime: Optional[Lifetime],
                         lease: Optional[Seconds], evictable: Optional[bool], labels: Optional[Mapping[str, str]],
                         remove_labels: Sequence[str], acl: Optional[Sequence[AclEntry]]) -> Dict[str, Any]:
    """Those of SetAttributes, beside what names the segment."""
    if isinstance(remove_labels, str):
        raise TypeError("remove_labels is a sequence of names")
    return {
        "mode": mode, "ownerUid": owner_uid, "ownerGid": owner_gid, **lifetime_parameters(lifetime, lease),
        "evictable": evictable, "labels": dict(labels) if labels else None, "removeLabels": list(remove_labels) or None,
        "acl": None if acl is None else [each.to_dict() for each in acl],
    }
