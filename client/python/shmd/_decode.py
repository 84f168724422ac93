"""Replies: from bytes to checked values. Whatever does not follow the interface description is Nonsense."""

from __future__ import annotations

import itertools
import json
import operator
from dataclasses import dataclass, field, fields
from typing import Any, Callable, Dict, List, Literal, Mapping, NamedTuple, Optional, Tuple, Type, TypeVar, Union, get_args

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


class Grant(NamedTuple):
    info: SegmentInfo
    created: bool
    attachment: int
    descriptor: int  # an index


@dataclass(frozen=True)
class Refusal:
    """An error reply, or one among the results of OpenMany."""

    name: str
    parameters: Dict[str, Any]


class Message(NamedTuple):
    parameters: Dict[str, Any]
    error: Optional[str]
    continues: bool


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
        if _nests_too_deep(text):
            raise Nonsense("it is nested too deep")
        value, end = _decoder.raw_decode(text) if text.startswith("{") else (None, -1)
        if end != len(text):  # white space, or worse
            value = _decoder.decode(text)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode("utf-8")  # half a surrogate pair is no text
    except (ValueError, RecursionError) as failure:
        raise Nonsense(f"it is not JSON: {failure}") from None
    if not isinstance(value, dict):
        raise Nonsense("it is not an object")
    parameters, error, continues = value.get("parameters"), value.get("error"), value.get("continues")
    if parameters is not None and not isinstance(parameters, dict):
        raise Nonsense("its parameters are not an object")
    if error is not None and not isinstance(error, str):
        raise Nonsense("its error has no name")
    if continues is not None and not isinstance(continues, bool):
        raise Nonsense("it does not tell whether it continues")
    return Message(parameters or {}, error, bool(continues))


def _integer(low: int, high: int) -> Callable[[Any, str], int]:
    def read(value: Any, name: str) -> int:
        if type(value) is not int or not low <= value <= high:
            raise Nonsense(f"{name} is {value!r}")
        return value

    return read


def _one_of(literal: Any) -> Callable[[Any, str], Any]:
    values = get_args(literal)

    def read(value: Any, name: str) -> Any:
        if not isinstance(value, str) or value not in values:
            raise Nonsense(f"{name} is {value!r}")
        return value

    return read


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise Nonsense(f"{name} is no text")
    return value


def _boolean(value: Any, name: str) -> bool:
    if not isinstance(value, bool):
        raise Nonsense(f"{name} is neither true nor false")
    return value


def _optional(read: Callable[[Any, str], T]) -> Callable[[Any, str], Optional[T]]:
    return lambda value, name: None if value is None else read(value, name)


def _list(read: Callable[[Any, str], T]) -> Callable[[Any, str], Tuple[T, ...]]:
    def read_all(value: Any, name: str) -> Tuple[T, ...]:
        if value is None:
            return ()
        if not isinstance(value, list):
            raise Nonsense(f"{name} is no array")
        return tuple(read(each, name) for each in value)

    return read_all


def _labels(value: Any, name: str) -> Dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
        raise Nonsense(f"{name} are no texts")
    return dict(value)


def _acl_entry(value: Any, name: str) -> AclEntry:
    if not isinstance(value, dict):
        raise Nonsense(f"{name} has an entry that is no object")
    uid, gid = _optional_id32(value.get("uid"), name), _optional_id32(value.get("gid"), name)
    if (uid is None) == (gid is None):
        raise Nonsense(f"{name} has an entry that is not for one of a user and a group")
    return AclEntry(_access(value.get("access"), name), uid, gid)


_access = _one_of(Access)
_event_kind = _one_of(EventKind)
_number = _integer(0, MAX_INTEGER)
_optional_number = _optional(_number)
_id32 = _integer(0, 2**32 - 1)
_optional_id32 = _optional(_id32)
_attachment = _integer(1, 2**32 - 1)
_descriptor = _integer(0, 252)
_optional_boolean = _optional(_boolean)

_READERS: Dict[str, Callable[[Any, str], Any]] = {
    "id": _number, "key": _optional(_text), "size_bytes": _integer(1, MAX_INTEGER), "mode": _integer(0, 0o777),
    "owner_uid": _id32, "owner_gid": _id32, "creator_uid": _id32, "creator_gid": _id32,
    "creator_pid": _integer(0, 2**31 - 1), "state": _one_of(State), "sealed": _boolean, "attachments": _number,
    "created_usec": _number, "attached_usec": _optional_number, "detached_usec": _optional_number,
    "changed_usec": _number, "expires_usec": _optional_number, "evictable": _boolean,
    "lifetime": _one_of(Lifetime), "lease_usec": _optional_number, "capacity_bytes": _integer(1, MAX_INTEGER),
    "huge_pages": _one_of(HugePages), "labels": _labels, "acl": _list(_acl_entry), "numa_nodes": _list(_id32),
}
_STATES, _LIFETIMES, _HUGE_PAGES = (frozenset(get_args(each)) for each in (State, Lifetime, HugePages))
_FIELDS = tuple((name, _wire_name(name), read) for name, read in _READERS.items())


# A reader a field takes long. So what most segments are like is looked at here, all at once: every field there, of one of these
# types, without entries and nodes.
_USUAL_NAMES = tuple(name for name, _, _ in _FIELDS)
_usual_values = operator.itemgetter(*(wire for _, wire, _ in _FIELDS))
_NULL = type(None)
_USUAL_TYPES = frozenset(itertools.product(*(
    (str, _NULL) if name == "key" else (int, _NULL) if read is _optional_number else (dict,) if read is _labels
    else (_NULL,) if name in ("acl", "numa_nodes") else (bool,) if read is _boolean
    else (str,) if name in ("state", "lifetime", "huge_pages") else (int,)
    for name, _, read in _FIELDS)))


def _usual_segment(value: Any) -> Optional[SegmentInfo]:
    """None: the readers are to find out what it is, or what is wrong with it."""
    try:
        values = _usual_values(value)
    except (KeyError, TypeError):
        return None
    if tuple(map(type, values)) not in _USUAL_TYPES:
        return None
    (id, _, size, mode, owner, owner_group, creator, creator_group, pid, state, _, attachments, created, attached, detached,
     changed, expires, _, lifetime, lease, capacity, huge_pages, labels, _, _) = values
    # Numbers that are or-ed are below 0 when one is, and above a limit whose bits are all 1 when one is.
    if (0 <= id | attachments | created | changed | (attached or 0) | (detached or 0) | (expires or 0) | (lease or 0) | size
            | capacity <= MAX_INTEGER and size and capacity and 0 <= mode <= 0o777
            and 0 <= owner | owner_group | creator | creator_group <= 0xFFFFFFFF and 0 <= pid <= 0x7FFFFFFF
            and state in _STATES and lifetime in _LIFETIMES and huge_pages in _HUGE_PAGES
            and (not labels or all(type(each) is str for each in labels.values()))):
        info = _new_object(SegmentInfo)
        own = vars(info)
        own.update(zip(_USUAL_NAMES, values))
        own["acl"] = own["numa_nodes"] = ()
        return info
    return None


_new_object: Callable[[Type[T]], T] = object.__new__


def segment(value: Any) -> SegmentInfo:
    info = _usual_segment(value)
    if info is not None:
        return info
    if not isinstance(value, dict):
        raise Nonsense("it describes no segment")
    return SegmentInfo(**{name: read(value.get(wire), wire) for name, wire, read in _FIELDS})


def segment_reply(parameters: Mapping[str, Any]) -> SegmentInfo:
    return segment(parameters.get("segment"))


def listed(parameters: Mapping[str, Any]) -> Optional[SegmentInfo]:
    return None if parameters.get("segment") is None else segment(parameters["segment"])


def event(parameters: Mapping[str, Any]) -> Event:
    return Event(_event_kind(parameters.get("event"), "event"), listed(parameters))


def grant(parameters: Any) -> Grant:
    if not isinstance(parameters, dict):
        raise Nonsense("a grant is no object")
    return Grant(segment(parameters.get("segment")), bool(_optional_boolean(parameters.get("created"), "created")),
                 _attachment(parameters.get("attachment"), "attachment"),
                 _descriptor(parameters.get("fileDescriptor"), "fileDescriptor"))


def grants(parameters: Mapping[str, Any]) -> List[Grant]:
    if not isinstance(parameters.get("grants"), list):
        raise Nonsense("it has no grants")
    return [grant(each) for each in parameters["grants"]]


def open_results(parameters: Mapping[str, Any]) -> List[Union[Grant, Refusal]]:
    if not isinstance(parameters.get("results"), list):
        raise Nonsense("it has no results")
    return [_open_result(each) for each in parameters["results"]]


def _open_result(value: Any) -> Union[Grant, Refusal]:
    if not isinstance(value, dict):
        raise Nonsense("a result is no object")
    if value.get("error") is None:
        return grant(value.get("grant"))
    parameters = value.get("parameters")
    if parameters is not None and not isinstance(parameters, dict):
        raise Nonsense("an error's parameters are no object")
    return Refusal(_text(value["error"], "error"), dict(parameters or {}))


def resumed(parameters: Mapping[str, Any]) -> Tuple[int, ...]:
    if not isinstance(parameters.get("attachments"), list):
        raise Nonsense("it has no attachments")
    return _list(_attachment)(parameters["attachments"], "attachments")


def page(parameters: Mapping[str, Any]) -> int:
    """A sync area or a detach queue: the descriptor's index."""
    return _descriptor(parameters.get("fileDescriptor"), "fileDescriptor")


def raw(parameters: Dict[str, Any]) -> Dict[str, Any]:
    return parameters


def nothing(parameters: Mapping[str, Any]) -> None:
    return None
