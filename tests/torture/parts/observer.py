"""Looks at a segment and its sync area without being a client: it has mapped both, for reading."""

import json
import mmap
import os
import socket
import struct

HOLDER, WAITERS, OWNER_DIED = 0xFFFFFFFF, 1 << 32, 1 << 33
SLOTS_AT, SLOTS = 512, 896
STRUCTURES = {"M": 0, "S": 128, "R": 256}
REPAIRS = 384


def _call(connection, method, parameters):
    """The reply's parameters and the descriptor that came with it."""
    message = {"method": f"io.shmd.Segments.{method}", "parameters": parameters}
    connection.sendall(json.dumps(message).encode() + b"\0")
    received, fds = b"", []
    while not received.endswith(b"\0"):
        part, more, _, _ = socket.recv_fds(connection, 1 << 16, 1)
        if not part:
            raise ConnectionError("the daemon closed the connection")
        received += part
        fds += more
    reply = json.loads(received[:-1])
    if "error" in reply:
        raise RuntimeError(f"{method}: {reply}")
    return reply["parameters"], fds[0]


def _mapped(fd):
    try:
        return mmap.mmap(fd, 4096, mmap.MAP_SHARED, mmap.PROT_READ)
    finally:
        os.close(fd)


class Observer:
    """Its grant ends at once; what is mapped stays."""

    def __init__(self, path, key):
        self.key = key
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(60)
            connection.connect(path)
            opened, fd = _call(connection, "Open", {"key": key, "access": "read"})
            self.content = _mapped(fd)
            _, fd = _call(connection, "OpenSyncArea", {"attachment": opened["attachment"]})
            self.area = _mapped(fd)

    def _number(self, memory, at, form="=Q"):
        return struct.unpack_from(form, memory, at)[0]

    def counters(self):
        return {name: self._number(self.content, at + 8) for name, at in STRUCTURES.items()}

    def repairs(self):
        return [self._number(self.content, REPAIRS + 8 * i) for i in range(3)]

    def version(self):
        return self._number(self.area, 256) // 2

    def readers(self):
        """The attachments in slots."""
        return [slot for slot in struct.unpack_from(f"={SLOTS}I", self.area, SLOTS_AT) if slot]

    def free(self):
        """Nobody holds any lock, dead or alive."""
        return not (self._number(self.area, 64) & HOLDER or self._number(self.area, 128) & HOLDER or self.readers())

    def text(self):
        """For people: everything that is in both."""
        lines = [f"segment {self.key}"]
        for name, at in (("mutex", 64), ("rwlock", 128)):
            word = self._number(self.area, at)
            flags = [flag for bit, flag in ((WAITERS, "WAITERS"), (OWNER_DIED, "OWNER_DIED")) if word & bit]
            lines.append(f"  {name}: holder {word & HOLDER} {' '.join(flags)}".rstrip())
        lines.append(f"  drain {self._number(self.area, 136, '=I')}, high_water {self._number(self.area, 140, '=I')}, sequence "
                     f"{self._number(self.area, 192)}, version {self.version()}, read_only {self._number(self.area, 4, '=I')}")
        lines.append(f"  readers: {' '.join(map(str, self.readers())) or 'none'}")
        for name, at in STRUCTURES.items():
            inside, counter, *words = struct.unpack_from("=16Q", self.content, at)
            lines.append(f"  {name}: inside {inside} counter {counter} words {' '.join(map(str, words))}")
        return "\n".join(lines)
