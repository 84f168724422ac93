"""Plays the daemon at a socket, for answers that a real one does not give.

Told on stdin, a JSON object a line: {"op": "answer", "text" or "base64": what to send, "fds": how many memfds with it,
"size": of each, "unsealed": true for such that may shrink, "pieces": send it in so many, "hangUp": close then, "unasked": true
to send it as soon as somebody connects}. Each is used once, in order; {"done": true} answers. Tells {"call": ...} for every
call, and {"closed": true} when a client has closed its connection.
"""

import base64
import collections
import fcntl
import json
import os
import selectors
import socket
import sys


def memory(size, unsealed):
    fd = os.memfd_create("shmd-fake", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, size)
    if not unsealed:
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
    return fd


def tell(what):
    print(json.dumps(what), flush=True)


class Fake:
    def __init__(self, path):
        self.answers = collections.deque()
        self.selector = selectors.DefaultSelector()
        self.listening = socket.socket(socket.AF_UNIX)
        self.listening.bind(path)
        self.listening.listen()
        self.buffers = {}
        self.selector.register(self.listening, selectors.EVENT_READ, self.accept)
        self.selector.register(sys.stdin, selectors.EVENT_READ, self.command)
        self.commands = b""

    def run(self):
        tell({"done": True})
        while True:
            for key, _ in self.selector.select():
                if key.data(key.fileobj) is False:
                    return

    def command(self, stdin):
        some = os.read(stdin.fileno(), 65536)
        if not some:
            return False
        *lines, self.commands = (self.commands + some).split(b"\n")
        for line in lines:
            self.answers.append(json.loads(line))
            tell({"done": True})
        return True

    def accept(self, listening):
        peer, _ = listening.accept()
        self.buffers[peer] = b""
        self.selector.register(peer, selectors.EVENT_READ, self.read)
        if self.answers and self.answers[0].get("unasked"):
            self.send(peer)
        return True

    def read(self, peer):
        try:
            some = peer.recv(65536)
        except ConnectionResetError:
            some = b""
        if not some:
            self.drop(peer)
            tell({"closed": True})
            return True
        *calls, self.buffers[peer] = (self.buffers[peer] + some).split(b"\0")
        for call in calls:
            tell({"call": json.loads(call)})
            if self.answers and not json.loads(call).get("oneway"):
                self.send(peer)
        return True

    def drop(self, peer):
        self.selector.unregister(peer)
        del self.buffers[peer]
        peer.close()

    def send(self, peer):
        answer = self.answers.popleft()
        data = base64.b64decode(answer["base64"]) if "base64" in answer else answer.get("text", "").encode()
        fds = [memory(answer.get("size", 4096), answer.get("unsealed")) for _ in range(answer.get("fds", 0))]
        try:
            step = max(1, len(data) // answer.get("pieces", 1))
            for begin in range(0, len(data), step):
                piece = data[begin : begin + step]
                if fds and begin == 0:
                    sent = socket.send_fds(peer, [piece], fds)
                    peer.sendall(piece[sent:])
                else:
                    peer.sendall(piece)
        except BrokenPipeError:
            pass  # it has read enough
        finally:
            for fd in fds:
                os.close(fd)
        if answer.get("hangUp"):
            self.drop(peer)


Fake(sys.argv[1]).run()
