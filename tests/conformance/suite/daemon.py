"""The one daemon of a run: a real shmd under a service manager that keeps its segments."""

import json
import os
import sys

from . import varlink

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../support"))
from service_manager import ServiceManager  # noqa: E402

STAGED_LIMIT = 8 << 20
# Bytes are not limited, so that the machine's memory is what OutOfMemory tells of; staged ones are, for QuotaExceeded.
CONFIG = {"limits": {"bytes": 1 << 52, "stagedBytes": STAGED_LIMIT,
                     "perUid": {"bytes": 1 << 52, "stagedBytes": STAGED_LIMIT}}}


class Daemon:
    def __init__(self, program):
        self.manager = ServiceManager(program, config=json.dumps(CONFIG))
        try:
            self.manager.start()
        except BaseException:
            self.manager.close()
            raise
        self.socket, self.control_socket = self.manager.socket, self.manager.control_socket

    def kill(self):
        self.manager.kill()

    def start(self):
        self.manager.start()

    def running(self):
        return self.manager.pid is not None

    def forget(self):
        """While it is killed: what it kept is gone, as after the end of a service that is not kept."""
        self.manager.empty_store()
        for name in os.listdir(self.manager.state):
            os.unlink(os.path.join(self.manager.state, name))

    def control(self, method, **parameters):
        return varlink.call(self.control_socket, f"io.shmd.Control.{method}", **parameters)

    def describe(self, **target):
        """A segment as the daemon tells it, by the suite's own call."""
        return varlink.call(self.socket, "io.shmd.Segments.Describe", **target)["segment"]

    def segments(self, prefix):
        """All segments below prefix, of every state that has a key, with their attachments."""
        replies = varlink.call_many(self.control_socket, "io.shmd.Control.ListSegments", prefix=prefix)
        return [reply["segment"] for reply in replies if reply["segment"]]

    def close(self):
        self.manager.close()
