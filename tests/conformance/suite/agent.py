"""A conformance agent: a process that drives one language's client, one JSON object a line."""

import json
import os
import select
import signal
import subprocess
import tempfile
import time


class AgentFailed(Exception):
    """The agent hung, ended, or answered with what is no answer."""


class Missing(Exception):
    """The language's client cannot do this, as its agent says."""


class Refused(Exception):
    """The client reported an error. name is "" or a word of the agent's when it is not the daemon's."""

    def __init__(self, agent, request, error):
        self.agent, self.request = agent, request
        self.name = error.get("name", "")
        self.parameters = error.get("parameters") or {}
        self.type = error.get("class", "")
        self.message = error.get("message", "")
        super().__init__(f"{agent.name} refused {request}: {self}")

    def __str__(self):
        told = f": {self.message}" if self.message else ""
        return f"{self.name or 'an error of its own'} {json.dumps(self.parameters)} ({self.type}{told})"

    def from_daemon(self):
        return "." in self.name


class Agent:
    """command: its argument vector. user: (uid, gid) to run as, which takes root."""

    def __init__(self, language, role, command, environment, user=None):
        self.language, self.role = language, role
        self.name = f"{role} ({language})"
        self.deadline = time.monotonic() + 60
        self._buffer = b""
        self._waits_for = None
        self._stderr = tempfile.TemporaryFile()
        # An agent that hangs goes with the suite, however that ends.
        dressed = ["setpriv", "--pdeathsig=KILL"]
        if user is not None:
            # The capability lets that user read a client that lies in a directory of root's; it allows no writing.
            dressed += [f"--reuid={user[0]}", f"--regid={user[1]}", "--clear-groups",
                        "--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"]
        try:
            self.process = subprocess.Popen([*dressed, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                            stderr=self._stderr, env={**os.environ, **environment})
        except OSError as failed:
            raise AgentFailed(f"the agent of {language} does not start: {failed}") from failed
        self.pid = self.process.pid
        self.missing = dict(part.split(": ", 1) if ": " in part else (part, "no reason given")
                            for part in self.call("capabilities").get("missing", []))

    def call(self, op, **arguments):
        """The answer's "ok". Raises Refused for an error of the client, AgentFailed when there is no answer."""
        self.begin(op, **arguments)
        return self.result()

    def begin(self, op, **arguments):
        """Sends the request; result() takes the answer."""
        if op in getattr(self, "missing", {}):
            raise Missing(f"{self.language} has no {op}: {self.missing[op]}")
        request = {"op": op, **arguments}
        self._waits_for = shorten(json.dumps(request))
        try:
            self.process.stdin.write(json.dumps(request).encode() + b"\n")
            self.process.stdin.flush()
        except (BrokenPipeError, ValueError):
            raise self._ended() from None

    def result(self):
        while b"\n" not in self._buffer:
            left = self.deadline - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                raise AgentFailed(f"{self.name} gave no answer to {self._waits_for} in time")
            part = os.read(self.process.stdout.fileno(), 1 << 20)
            if not part:
                raise self._ended()
            self._buffer += part
        line, self._buffer = self._buffer.split(b"\n", 1)
        try:
            answer = json.loads(line)
            if "ok" in answer:
                return answer["ok"]
            error = answer["error"]
            error["name"]
        except (ValueError, KeyError, TypeError):
            raise AgentFailed(f"{self.name} answered {self._waits_for} with {shorten(repr(line))}") from None
        raise Refused(self, self._waits_for, error)

    def kill(self):
        """SIGKILL, as when a program dies. Returns when the process is gone."""
        self.process.kill()
        self.end()

    def end(self):
        """Ends it: end of file on its standard input, and SIGKILL should it not go. Its exit status."""
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        try:
            status = self.process.wait(max(0, min(10, self.deadline - time.monotonic())))
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGKILL)
            status = self.process.wait()
        self.process.stdout.close()
        self._stderr.close()
        return status

    def extend(self, seconds):
        """It has so long from now on."""
        self.deadline = time.monotonic() + seconds

    def descriptors(self):
        """How many descriptors the process has open, and how much memory of memfds it has mapped."""
        with open(f"/proc/{self.pid}/maps", encoding="utf-8", errors="replace") as maps:
            mapped = sum("/memfd:" in line for line in maps)
        return len(os.listdir(f"/proc/{self.pid}/fd")), mapped

    def _ended(self):
        status = self.process.wait()
        how = f"by signal {signal.Signals(-status).name}" if status < 0 else f"with status {status}"
        self._stderr.seek(0)
        tail = self._stderr.read().decode(errors="replace").strip().splitlines()[-12:]
        told = "\n".join(["", *tail]) if tail else ""
        return AgentFailed(f"{self.name} ended {how} at {self._waits_for}{told}")


def shorten(text, length=240):
    return text if len(text) <= length else f"{text[:length]}… ({len(text)} characters)"
