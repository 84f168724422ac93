"""Replies: from bytes to checked values. Whatever does not follow the interface description is Nonsense."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from typing import Any, Callable, Dict, List, Literal, Mapping, Optional, Tuple, TypeVar, Union, get_args

MAX_INTEGER = 2**53 - 1
MAX_DEPTH = 32

T = TypeVar("T")

Access = Literal["read", "write"]
State = Literal["staged", "live", "deleted"]
Lifetime = Literal["persistent", "attached", "creator", "lease"]
HugePages = Literal["none", "transparent", "huge2M", "huge1G"]
EventKind = Literal["present", "ready", "created", "published", "replaced", "sealed", "resized", "changed", "attached",
                    "detached", "deleted", "expired", "evicted", "lost"]


class Nonsense(Exception):
    """An answer that makes no sense."""


@dataclass(frozen=True)
class AclEntry:
    """Access for a user or a group beyond what the mode allows: exactly one of uid and gid; access "read" or "write"."""

    access: Access
    uid: Optional[int] = None
    gid: Optional[int] = None

    def to_dict(self) -> Dict[str, Any]:
        """The same as plain values, with the field names of the interface description."""
        return {name: value for name, value in (("uid", self.uid), ("gid", self.gid), ("access", self.access))
                if value is not None}


@dataclass(frozen=True)
class SegmentInfo:
    """A segment as the daemon described it. Sizes are bytes, times microseconds since 1970.

    key: None while staged, and once it is deleted or another segment took its key over.
    state: "staged", "live" or "deleted". lifetime: "persistent", "attached", "creator" or "lease".
    attachments: grants that have not ended. capacity_bytes: how far it can be resized.
    """

    id: int
    key: Optional[str]
    size_bytes: int
    mode: int
    owner_uid: int
    owner_gid: int
    creator_uid: int
    creator_gid: int
    creator_pid: int
    state: State
    sealed: bool
    attachments: int
    created_usec: int
    attached_usec: Optional[int]
    detached_usec: Optional[int]
    changed_usec: int
    expires_usec: Optional[int]
    evictable: bool
    lifetime: Lifetime
    lease_usec: Optional[int]
    capacity_bytes: int
    huge_pages: HugePages
    labels: Mapping[str, str] = field(default_factory=dict)
    acl: Tuple[AclEntry, ...] = ()
    numa_nodes: Tuple[int, ...] = ()

    def to_dict(self) -> Dict[str, Any]:
        """The same as plain values, with the field names of the interface description."""
        plain: Dict[str, Any] = {_wire_name(each.name): getattr(self, each.name) for each in fields(self)}
        plain["labels"] = dict(self.labels)
        plain["acl"] = [each.to_dict() for each in self.acl] or None
        plain["numaNodes"] = list(self.numa_nodes) or None
        return plain


@dataclass(frozen=True)
class Event:
    """What a watch tells. kind: "present", "ready", "created", "published", "replaced", "sealed", "resized", "changed",
    "attached", "detached", "deleted", "expired", "evicted" or "lost". segment: as it was then; None for "ready" and "lost"."""

    kind: EventKind
    segment: Optional[SegmentInfo]


def _wire_name(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(each.capitalize() for each in others)


@dataclass(frozen=True)
class Grant:
    info: SegmentInfo
    created: bool
    attachment: int
    descriptor: int  # an index


@dataclass(frozen=True)
class Refusal:
    """An error reply, or one among the results of OpenMany."""

    name: str
    parameters: Dict[str, Any]


@dataclass(frozen=True)
class Message:
    parameters: Dict[str, Any]
    error: Optional[str]
    continues: bool


def _check(condition: bool, what: str) -> None:
    if not condition:
        raise Nonsense(what)


def _nests_too_deep(text: str) -> bool:
    if text.count("{") + text.count("[") <= MAX_DEPTH:
        return False
    depth, in_string, escaped = 0, False, False
    for character in text:
        if in_string:
            if escaped:
                escaped = False
            elif character == "\\":
                escaped = True
            elif character == '"':
                in_string = False
        elif character == '"':
            in_string = True
        elif character in "{[":
            depth += 1
            if depth > MAX_DEPTH:
                return True
        elif character in "}]":
            depth -= 1
    return False


def _refuse_constant(name: str) -> None:
    raise Nonsense(f"{name} is not JSON")


_decoder = json.JSONDecoder(parse_constant=_refuse_constant)


def message(data: bytes) -> Message:
    """The reply in these bytes."""
    try:
        text = data.decode("utf-8")
        _check(not _nests_too_deep(text), "it is nested too deep")
        value = _decoder.decode(text)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode("utf-8")  # half a surrogate pair is no text
    except (ValueError, RecursionError) as failure:
        raise Nonsense(f"it is not JSON: {failure}") from None
    _check(isinstance(value, dict), "it is not an object")
    parameters, error, continues = value.get("parameters"), value.get("error"), value.get("continues")
    _check(parameters is None or isinstance(parameters, dict), "its parameters are not an object")
    _check(error is None or isinstance(error, str), "its error has no name")
    _check(continues is None or isinstance(continues, bool), "it does not tell whether it continues")
    return Message(parameters or {}, error, bool(continues))


def _integer(low: int, high: int) -> Callable[[Any, str], int]:
    def read(value: Any, name: str) -> int:
        _check(isinstance(value, int) and not isinstance(value, bool) and low <= value <= high, f"{name} is {value!r}")
        return int(value)

    return read


def _one_of(literal: Any) -> Callable[[Any, str], Any]:
    values = get_args(literal)

    def read(value: Any, name: str) -> Any:
        _check(isinstance(value, str) and value in values, f"{name} is {value!r}")
        return value

    return read


def _text(value: Any, name: str) -> str:
    _check(isinstance(value, str), f"{name} is no text")
    return str(value)


def _boolean(value: Any, name: str) -> bool:
    _check(isinstance(value, bool), f"{name} is neither true nor false")
    return bool(value)


def _optional(read: Callable[[Any, str], T]) -> Callable[[Any, str], Optional[T]]:
    return lambda value, name: None if value is None else read(value, name)


def _list(read: Callable[[Any, str], T]) -> Callable[[Any, str], Tuple[T, ...]]:
    def read_all(value: Any, name: str) -> Tuple[T, ...]:
        if value is None:
            return ()
        _check(isinstance(value, list), f"{name} is no array")
        return tuple(read(each, name) for each in value)

    return read_all


def _labels(value: Any, name: str) -> Dict[str, str]:
    if value is None:
        return {}
    _check(isinstance(value, dict) and all(isinstance(each, str) for each in value.values()), f"{name} are no texts")
    return dict(value)


def _acl_entry(value: Any, name: str) -> AclEntry:
    _check(isinstance(value, dict), f"{name} has an entry that is no object")
    uid, gid = _optional(_id32)(value.get("uid"), name), _optional(_id32)(value.get("gid"), name)
    _check((uid is None) != (gid is None), f"{name} has an entry that is not for one of a user and a group")
    return AclEntry(_access(value.get("access"), name), uid, gid)


_access = _one_of(Access)
_event_kind = _one_of(EventKind)
_number = _integer(0, MAX_INTEGER)
_id32 = _integer(0, 2**32 - 1)
_attachment = _integer(1, 2**32 - 1)

_READERS: Dict[str, Callable[[Any, str], Any]] = {
    "id": _number, "key": _optional(_text), "size_bytes": _integer(1, MAX_INTEGER), "mode": _integer(0, 0o777),
    "owner_uid": _id32, "owner_gid": _id32, "creator_uid": _id32, "creator_gid": _id32,
    "creator_pid": _integer(0, 2**31 - 1), "state": _one_of(State), "sealed": _boolean, "attachments": _number,
    "created_usec": _number, "attached_usec": _optional(_number), "detached_usec": _optional(_number),
    "changed_usec": _number, "expires_usec": _optional(_number), "evictable": _boolean,
    "lifetime": _one_of(Lifetime), "lease_usec": _optional(_number), "capacity_bytes": _integer(1, MAX_INTEGER),
    "huge_pages": _one_of(HugePages), "labels": _labels, "acl": _list(_acl_entry), "numa_nodes": _list(_id32),
}
_FIELDS = tuple((name, _wire_name(name), read) for name, read in _READERS.items())


def segment(value: Any) -> SegmentInfo:
    _check(isinstance(value, dict), "it describes no segment")
    return SegmentInfo(**{name: read(value.get(wire), wire) for name, wire, read in _FIELDS})


def segment_reply(parameters: Mapping[str, Any]) -> SegmentInfo:
    return segment(parameters.get("segment"))


def listed(parameters: Mapping[str, Any]) -> Optional[SegmentInfo]:
    return None if parameters.get("segment") is None else segment(parameters["segment"])


def event(parameters: Mapping[str, Any]) -> Event:
    return Event(_event_kind(parameters.get("event"), "event"), listed(parameters))


def grant(parameters: Any) -> Grant:
    _check(isinstance(parameters, dict), "a grant is no object")
    return Grant(segment(parameters.get("segment")), bool(_optional(_boolean)(parameters.get("created"), "created")),
                 _attachment(parameters.get("attachment"), "attachment"),
                 _integer(0, 252)(parameters.get("fileDescriptor"), "fileDescriptor"))


def grants(parameters: Mapping[str, Any]) -> List[Grant]:
    _check(isinstance(parameters.get("grants"), list), "it has no grants")
    return [grant(each) for each in parameters["grants"]]


def open_results(parameters: Mapping[str, Any]) -> List[Union[Grant, Refusal]]:
    _check(isinstance(parameters.get("results"), list), "it has no results")
    return [_open_result(each) for each in parameters["results"]]


def _open_result(value: Any) -> Union[Grant, Refusal]:
    _check(isinstance(value, dict), "a result is no object")
    if value.get("error") is None:
        return grant(value.get("grant"))
    parameters = value.get("parameters")
    _check(parameters is None or isinstance(parameters, dict), "an error's parameters are no object")
    return Refusal(_text(value["error"], "error"), dict(parameters or {}))


def resumed(parameters: Mapping[str, Any]) -> Tuple[int, ...]:
    _check(isinstance(parameters.get("attachments"), list), "it has no attachments")
    return _list(_attachment)(parameters["attachments"], "attachments")


def sync_area(parameters: Mapping[str, Any]) -> int:
    """The descriptor's index."""
    return _integer(0, 252)(parameters.get("fileDescriptor"), "fileDescriptor")


def raw(parameters: Dict[str, Any]) -> Dict[str, Any]:
    return parameters


def nothing(parameters: Mapping[str, Any]) -> None:
    return None
