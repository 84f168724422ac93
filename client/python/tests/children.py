"""Processes of a test, which speak to it by lines."""

import contextlib
import subprocess
import sys

PRELUDE = """
import shmd, sys
client = shmd.Client()
say = lambda *what: print(*what, flush=True)
hear = lambda: sys.stdin.readline().strip()
"""


class Child:
    """Runs a program, with `client`, `say(...)` and `hear()`. Killed at the end of `with`, if it is still there."""

    def __init__(self, program):
        self._process = subprocess.Popen([sys.executable, "-c", PRELUDE + program], stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, text=True)
        self.pid = self._process.pid

    def hear(self):
        """Its next line; "" when it has ended."""
        return self._process.stdout.readline().strip()

    def say(self, line=""):
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def kill(self):
        self._process.kill()
        self._process.wait()

    def wait(self):
        """Its exit status, at its end."""
        self._process.stdin.close()
        return self._process.wait(100)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.stdout.close()
