"""A socket that plays the daemon: it answers one method as it is told, and makes what else a client says harmless."""

import fcntl
import json
import os
import selectors
import socket
import threading


def memory(size, content):
    """A descriptor of memory as the daemon grants it."""
    fd = os.memfd_create("shmd:vectors", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, size)
    os.pwrite(fd, content, 0)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
    return fd


class FakeDaemon:
    """answer: for calls of method. Others get what ends grants and connections well."""

    def __init__(self, path):
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        os.chmod(path, 0o666)
        self._listener.listen(16)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._wake, self._wake_end = os.pipe()
        self._selector.register(self._wake, selectors.EVENT_READ)
        self._buffers = {}
        self._changed = threading.Condition()
        self.method, self._reply, self._fds = None, None, []
        self.calls = []  # of the method, since answer()
        self.connections = 0
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def answer(self, method, text, fds):
        """From now on calls of this method get this text and these descriptors, which stay the caller's."""
        with self._changed:
            self.method, self._reply, self._fds, self.calls = method, text, fds, []

    def closed(self, deadline_seconds):
        """Waits until every client has closed its connection. False when that does not come."""
        with self._changed:
            return self._changed.wait_for(lambda: self.connections == 0, deadline_seconds)

    def close(self):
        os.close(self._wake_end)
        self._thread.join()
        for connection in self._buffers:
            connection.close()
        self._listener.close()
        self._selector.close()
        os.close(self._wake)

    def _serve(self):
        while True:
            for key, _ in self._selector.select():
                if key.fileobj == self._wake:
                    return
                if key.fileobj is self._listener:
                    connection, _ = self._listener.accept()
                    connection.settimeout(30)
                    with self._changed:
                        self._buffers[connection] = b""
                        self.connections += 1
                    self._selector.register(connection, selectors.EVENT_READ)
                else:
                    self._read(key.fileobj)

    def _read(self, connection):
        try:
            part = connection.recv(1 << 20)
        except OSError:
            part = b""
        if not part:
            self._selector.unregister(connection)
            connection.close()
            with self._changed:
                del self._buffers[connection]
                self.connections -= 1
                self._changed.notify_all()
            return
        *messages, rest = (self._buffers[connection] + part).split(b"\0")
        self._buffers[connection] = rest
        for message in messages:
            self._dispatch(connection, json.loads(message))

    def _dispatch(self, connection, call):
        name = call["method"].rsplit(".", 1)[-1]
        with self._changed:
            if call["method"] == self.method:
                self.calls.append(call)
                text, fds = self._reply, list(self._fds)
            else:
                harmless = {"Resume": {"attachments": []}}
                text, fds = json.dumps({"parameters": harmless.get(name, {})}), []
        if call.get("oneway"):
            return
        try:
            data = text.encode() + b"\0"
            if fds:
                socket.send_fds(connection, [data[:1]], fds)
                connection.sendall(data[1:])
            else:
                connection.sendall(data)
        except OSError:  # the client has closed: the next read tells
            pass
