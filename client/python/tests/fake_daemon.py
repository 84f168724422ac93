"""A socket of the test that plays the daemon."""

import contextlib
import json
import os
import pathlib
import shutil
import socket
import tempfile
import threading


class FakeDaemon:
    """answer(call, connection): called for every message that comes, with the parsed call."""

    def __init__(self, answer):
        self._answer = answer
        self._directory = tempfile.mkdtemp(prefix="shmd-test-")
        self.path = str(pathlib.Path(self._directory) / "socket")
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(self.path)
        self._listening.listen()
        self.calls = []
        self.closed = threading.Event()  # a connection of the client's has ended
        self._connections = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self._connections.append(connection)
            thread = threading.Thread(target=self._serve, args=[connection])
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection):
        received = b""
        while True:
            try:
                part = connection.recv(1 << 16)
            except OSError:
                part = b""
            if not part:
                self.closed.set()
                return
            received += part
            while b"\0" in received:
                message, received = received.split(b"\0", 1)
                self.calls.append(json.loads(message))
                with contextlib.suppress(OSError):
                    self._answer(self.calls[-1], connection)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for each in [self._listening, *self._connections]:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for each in [self._listening, *self._connections]:
            each.close()
        shutil.rmtree(self._directory)


def memory(size):
    """As a grant passes it."""
    descriptor = os.memfd_create("test", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(descriptor, size)
    import fcntl

    fcntl.fcntl(descriptor, 1033, 2 | 4)  # F_ADD_SEALS: F_SEAL_SHRINK, F_SEAL_GROW
    return descriptor


def reply(connection, text, descriptors=()):
    data = text if isinstance(text, bytes) else text.encode()
    if descriptors:
        socket.send_fds(connection, [data + b"\0"], descriptors)
    else:
        connection.sendall(data + b"\0")
