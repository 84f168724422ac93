"""The suite's own calls, which go through no client under test."""

import json
import mmap
import os
import socket


class Refused(Exception):
    """An error reply."""

    def __init__(self, name, parameters):
        super().__init__(f"{name} {json.dumps(parameters)}")
        self.name, self.parameters = name, parameters


def _conversation(path, message):
    """Sends one call on a connection of its own and yields the replies."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(60)
        connection.connect(path)
        connection.sendall(json.dumps(message).encode() + b"\0")
        received = b""
        while True:
            while b"\0" not in received:
                part = connection.recv(65536)
                if not part:
                    raise ConnectionError(f"the daemon closed the connection at {message['method']}")
                received += part
            text, received = received.split(b"\0", 1)
            reply = json.loads(text)
            if "error" in reply:
                raise Refused(reply["error"], reply.get("parameters") or {})
            yield reply.get("parameters") or {}
            if not reply.get("continues"):
                return


def call(path, method, **parameters):
    """The reply's parameters."""
    (reply,) = _conversation(path, {"method": method, "parameters": parameters})
    return reply


def call_many(path, method, **parameters):
    """The parameters of all replies."""
    return list(_conversation(path, {"method": method, "parameters": parameters, "more": True}))


def create(path, key, size, content):
    """Makes a segment with this content at its beginning."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(60)
        connection.connect(path)
        message = {"method": "io.shmd.Segments.Create", "parameters": {"key": key, "sizeBytes": size}}
        connection.sendall(json.dumps(message).encode() + b"\0")
        received, (fd, *_), _, _ = socket.recv_fds(connection, 1 << 20, 253)
        reply = json.loads(received.rstrip(b"\0"))
        with mmap.mmap(fd, reply["parameters"]["segment"]["sizeBytes"]) as memory:
            memory[: len(content)] = content
        os.close(fd)
