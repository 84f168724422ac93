"""Bytes and descriptors: calls as bytes, and messages out of a socket with the descriptors that came with them."""

from __future__ import annotations

import array
import errno
import json
import os
import socket
from json.encoder import encode_basestring
from typing import Any, Dict, List, Mapping, Optional, Union

from ._decode import Nonsense
from ._errors import Error

MAX_MESSAGE = 1 << 20
MAX_DESCRIPTORS = 253
_READ_BYTES = 1 << 16
_CONTROL_BYTES = socket.CMSG_SPACE(MAX_DESCRIPTORS * array.array("i").itemsize)

# Plain numbers: an operation on the enumerations of socket takes longer than one of the kernel's.
_CLOEXEC = int(socket.MSG_CMSG_CLOEXEC)
_TRUNCATED = int(socket.MSG_CTRUNC)
_SOCKET = int(socket.SOL_SOCKET)
_RIGHTS = int(socket.SCM_RIGHTS)

_encoder = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def encode_call(method: str, parameters: Mapping[str, Any], **flags: bool) -> bytes:
    """A call as bytes. Parameters that are None are left out."""
    pieces = []
    for name, value in parameters.items():
        if type(name) is not str:
            break
        if type(value) is str:
            pieces.append(f"{encode_basestring(name)}:{encode_basestring(value)}")
        elif type(value) is int:
            pieces.append(f"{encode_basestring(name)}:{value}")
        elif value is not None:
            pieces.append(f"{encode_basestring(name)}:{_encoder.encode(value)}")
    else:
        if not flags:
            return f'{{"method":{encode_basestring(method)},"parameters":{{{",".join(pieces)}}}}}\0'.encode()
    # What the encoder prepares for each call takes longer than all of the above.
    call: Dict[str, Any] = {"method": method, "parameters": {k: v for k, v in parameters.items() if v is not None}, **flags}
    return _encoder.encode(call).encode("utf-8") + b"\0"


def encode_detach(attachment: int) -> bytes:
    """The call that ends a grant and has no reply."""
    return b'{"method":"io.shmd.Segments.Detach","parameters":{"attachment":%d},"oneway":true}\0' % attachment


class Descriptors:
    """Those that came with a reply. What is not taken is closed."""

    __slots__ = ("_all", "lost")

    def __init__(self, descriptors: List[Optional[int]], lost: bool) -> None:
        self._all = descriptors
        self.lost = lost

    def take(self, index: int) -> int:
        """The one at this index, owned by the caller."""
        descriptor = self._all[index] if index < len(self._all) else None
        if descriptor is None:
            if self.lost:
                raise Error("this process may open no more files: close some, or raise its limit", code=errno.EMFILE)
            raise Nonsense("the descriptor that it names did not come with it")
        self._all[index] = None
        return descriptor

    def copy(self, index: int) -> Optional[int]:
        """A copy of the one at this index, owned by the caller; None when it is not there."""
        descriptor = self._all[index] if index < len(self._all) else None
        return None if descriptor is None else os.dup(descriptor)

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        for descriptor in self._all:
            if descriptor is not None:
                os.close(descriptor)
        self._all.clear()


_NO_DESCRIPTORS = Descriptors([], False)


class Inbox:
    """What has come out of a socket and nobody has taken yet."""

    def __init__(self) -> None:
        self._bytes: Union[bytes, bytearray] = b""
        self._scanned = 0
        self._descriptors: List[Optional[int]] = []
        self._lost = False

    def read(self, source: socket.socket, flags: int = 0) -> bool:
        """Receives once. False at the end. Descriptors are kept in their order: the kernel may credit one to another message
        than its own."""
        data, control, told, _ = source.recvmsg(_READ_BYTES, _CONTROL_BYTES, flags | _CLOEXEC)
        for level, kind, content in control:
            if level == _SOCKET and kind == _RIGHTS:
                some = array.array("i")
                some.frombytes(content[: len(content) - len(content) % some.itemsize])
                self._descriptors.extend(some)
        if told & _TRUNCATED:
            self._lost = True
        if not self._bytes:
            self._bytes = data
        elif isinstance(self._bytes, bytearray):
            self._bytes += data
        else:
            self._bytes = bytearray(self._bytes + data)
        return bool(data)

    def next(self) -> Optional[bytes]:
        """The next message that is complete. Nonsense when one is too large."""
        end = self._bytes.find(b"\0", self._scanned)
        if end < 0:
            self._scanned = len(self._bytes)
            if self._scanned > MAX_MESSAGE:
                raise Nonsense("it is too large")
            return None
        data = bytes(self._bytes[:end])
        if end + 1 == len(self._bytes):
            self._bytes = b""
        elif isinstance(self._bytes, bytearray):
            del self._bytes[: end + 1]
        else:
            self._bytes = bytearray(self._bytes[end + 1 :])
        self._scanned = 0
        return data

    def has_more(self) -> bool:
        return bool(self._bytes)

    def take_descriptors(self) -> Descriptors:
        """All that have come."""
        if not self._descriptors and not self._lost:
            return _NO_DESCRIPTORS
        taken = Descriptors(self._descriptors, self._lost)
        self._descriptors, self._lost = [], False
        return taken

    def close_descriptors(self) -> None:
        self.take_descriptors().close()
