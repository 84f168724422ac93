"""Processes that work and are killed: who they are, and how they end."""

import contextlib
import os
import select
import signal
import subprocess
import tempfile
import time

PATIENCE = 60  # seconds for what happens soon


class Failure(Exception):
    """What the torture has found."""


class Identity:
    """As whom, and in which namespaces, a process runs."""

    def __init__(self, name, user=None, namespaces=()):
        self.name, self.user, self.namespaces = name, user, list(namespaces)

    def command(self, command):
        prefix = ["setpriv", "--pdeathsig", "KILL"]  # it goes with the runner
        if self.user:
            prefix += ["--reuid", str(self.user), "--regid", str(self.user), "--clear-groups"]
        if self.namespaces:
            prefix += ["unshare", *self.namespaces, "--fork", "--kill-child=SIGKILL", "--"]
        return prefix + command

    def attempt(self, command, environment):
        """Starts it, to see whether it can be; obstacle() tells."""
        return subprocess.Popen(self.command(command), env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True)


def obstacle(attempt, expected):
    """Why that cannot be run; None when it ended with the expected status."""
    try:
        said, _ = attempt.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        attempt.kill()
        attempt.communicate()
        return f"no end after {PATIENCE} s"
    if attempt.returncode == expected:
        return None
    lines = said.strip().splitlines()
    return lines[-1] if lines else f"status {attempt.returncode}"


def identities():
    """All that this machine may have; one in two in namespaces of its own."""
    if os.geteuid() == 0:
        return [Identity("root"), Identity("uid 2001", 2001), Identity("root in a pid namespace", None, ["--pid"]),
                Identity("uid 2002 in a user and pid namespace", 2002, ["--user", "--pid"])]
    return [Identity("the own user"), Identity("the own user in a user and pid namespace", None, ["--user", "--pid"])]


class Worker:
    """One process, with unshare(1) above it if it is in namespaces."""

    def __init__(self, number, language, identity, command, environment):
        self.number, self.language, self.identity = number, language, identity
        self.ready, self.inner, self._pidfd = False, None, None  # inner: the pid of the worker itself
        self.errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen(identity.command(command), env=environment, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=self.errors)
        os.set_blocking(self.process.stdout.fileno(), False)

    def name(self):
        return f"worker {self.number} ({self.language}, {self.identity.name})"

    def look(self):
        """Whether it has begun to work."""
        if not self.ready and self.process.stdout.read(6):
            self.ready, self.inner = True, self.process.pid
            if self.identity.namespaces:
                self._find_child()
        return self.ready

    def _children(self):
        pid = self.process.pid
        try:
            with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
                return [int(child) for child in file.read().split()]
        except OSError:
            return []

    def _find_child(self):
        self.inner = next(iter(self._children()), None)
        if self.inner is not None:
            with contextlib.suppress(ProcessLookupError):
                self._pidfd = os.pidfd_open(self.inner)

    def kill(self, random):
        """SIGKILL: itself, or unshare(1), whose end is the end of its child."""
        if not self.ready:
            self.kill_all()
        elif self._pidfd is not None and random.random() < 0.7:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        else:
            self.process.kill()

    def kill_all(self):
        """Also while it starts: unshare(1) may have a child that does not follow it yet, but makes none while it is stopped."""
        if self.identity.namespaces and self.process.poll() is None:
            self.process.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
            for child in self._children():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
        self.process.kill()

    def gone(self):
        """After kill(): whether every process of it has ended. Failure when it ended before, by itself."""
        if self.process.poll() is None:
            return False
        rest = self.process.stdout.read(1)
        while rest:
            rest = self.process.stdout.read(1)
        if rest is None:  # somebody still has the other end
            return False
        # unshare(1) may say that it cannot end itself as its child was ended.
        killed = self.process.returncode == -signal.SIGKILL or self.identity.namespaces and self.process.returncode == 1
        if not killed or self.said() and not self.said().startswith("unshare: "):
            raise self.failure()
        self.close()
        return True

    def await_gone(self):
        end = time.monotonic() + PATIENCE
        while not self.gone():
            if time.monotonic() > end:
                raise Failure(f"{self.name()} does not end by SIGKILL")
            select.select([self.process.stdout] if self.process.poll() is None else [], [], [], 0.01)

    def said(self):
        self.errors.seek(0)
        return self.errors.read().decode(errors="replace").strip()

    def failure(self):
        return Failure(f"{self.name()} ended with status {self.process.returncode}: {self.said() or 'it said nothing'}")

    def check(self):
        """Failure when it has ended, which it never does by itself."""
        if self.process.poll() is not None:
            raise self.failure()

    def close(self):
        self.process.stdout.close()
        self.errors.close()
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None


def asleep(pid):
    """Tells whether the process sleeps now, as a value that stays the same for as long as it goes on sleeping; None when it is
    awake. futex: it sleeps on one."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
            fields = dict(line.split(":", 1) for line in file)
        with open(f"/proc/{pid}/syscall", encoding="ascii") as file:
            call = file.read()
        with open(f"/proc/{pid}/wchan", encoding="ascii") as file:
            where = file.read()
    except OSError:
        return None
    if not fields["State"].strip().startswith("S") or call.startswith("running"):
        return None
    return fields["voluntary_ctxt_switches"].strip(), "futex" in where, call
