"""A socket whose queue of new connections is full until {"op": "accept"}: it then accepts everybody."""

import json
import socket
import sys
import threading

listening = socket.socket(socket.AF_UNIX)
listening.bind(sys.argv[1])
listening.listen(1)
accepted = []


def accept():
    while True:
        accepted.append(listening.accept())


print(json.dumps({"done": True}), flush=True)
for _ in sys.stdin:
    threading.Thread(target=accept, daemon=True).start()
    print(json.dumps({"done": True}), flush=True)
