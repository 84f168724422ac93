"""A service manager with an fd store for tests in Python, as systemd is one.

It holds the listening sockets and what the daemon gives it to keep (sd_notify(3): FDSTORE=1, FDSTOREREMOVE=1, BARRIER=1), and
starts the daemon with all of it (sd_listen_fds(3)): a daemon that is killed and started again has its segments back.

    with ServiceManager("/usr/bin/shmd") as manager:
        manager.start()
        ... manager.socket, manager.control_socket ...
        manager.kill()
        manager.start()

Standard library alone. service_manager.hpp is the same in C++.
"""

import fcntl
import os
import select
import shutil
import signal
import socket
import tempfile
import threading

PATIENCE = 60  # seconds for what happens at once


class ServiceManager:
    """arguments: more of the daemon's command line. config: the text of its configuration. store: how many descriptors."""

    def __init__(self, daemon, arguments=(), config=None, store=4096):
        self.daemon, self.arguments, self.store_size = daemon, list(arguments), store
        self.pid, self._pidfd = None, None
        self._store = []  # (name, descriptor)
        self._lock = threading.Lock()
        self._ready, self._ready_end = os.pipe()
        os.set_blocking(self._ready, False)
        self.directory = tempfile.mkdtemp(prefix="shmd-test-")
        os.chmod(self.directory, 0o755)
        self.socket = os.path.join(self.directory, "io.shmd.Segments")
        self.control_socket = os.path.join(self.directory, "io.shmd.Control")
        self.state = os.path.join(self.directory, "state")
        os.mkdir(self.state, 0o700)
        self._listening = [self._bind(self.socket, 0o666), self._bind(self.control_socket, 0o660)]
        if config is not None:
            path = os.path.join(self.directory, "shmd.conf")
            with open(path, "w", encoding="utf-8") as file:
                file.write(config)
            self.arguments += ["--config", path]
        self._notify = self._bind(os.path.join(self.directory, "notify"), 0o777, socket.SOCK_DGRAM)
        self._wake, self._wake_end = os.pipe()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Ends the daemon and leaves nothing behind."""
        if self._wake_end is None:
            return
        self.kill()
        os.close(self._wake_end)
        self._wake_end = None
        self._thread.join()
        os.close(self._wake)
        os.close(self._ready)
        os.close(self._ready_end)
        self.empty_store()
        for each in [*self._listening, self._notify]:
            each.close()
        shutil.rmtree(self.directory)

    def start(self):
        """Starts the daemon and waits until it says READY=1. RuntimeError, with its log, when it ends before."""
        try:
            os.read(self._ready, 4096)
        except BlockingIOError:
            pass
        with self._lock:
            names = ["io.shmd.Segments", "io.shmd.Control", *(name for name, _ in self._store)]
            passed = [each.fileno() for each in self._listening] + [fd for _, fd in self._store]
            environment = {
                **os.environ,
                "NOTIFY_SOCKET": os.path.join(self.directory, "notify"),
                "LISTEN_FDS": str(len(passed)),
                "LISTEN_FDNAMES": ":".join(names),
                "RUNTIME_DIRECTORY": self.state,
                "FDSTORE": str(self.store_size),
            }
            self.pid = self._spawn(passed, environment)
        self._pidfd = os.pidfd_open(self.pid)
        told, _, _ = select.select([self._ready, self._pidfd], [], [], PATIENCE)
        if not told:
            raise RuntimeError(f"the daemon did not become ready:\n{self.log()}")
        if self._ready not in told:
            raise RuntimeError(f"the daemon ended with status {self._reap()} before it was ready:\n{self.log()}")

    def kill(self):
        """SIGKILL. Its segments are in the store."""
        self._end(signal.SIGKILL)

    def stop(self):
        """SIGTERM. Its exit status."""
        return self._end(signal.SIGTERM)

    def empty_store(self):
        """As a manager does when the service is stopped."""
        with self._lock:
            for _, fd in self._store:
                os.close(fd)
            self._store.clear()

    def log(self):
        try:
            with open(os.path.join(self.directory, "log"), encoding="utf-8", errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    @staticmethod
    def _bind(path, mode, kind=socket.SOCK_STREAM):
        bound = socket.socket(socket.AF_UNIX, kind)
        bound.bind(path)
        os.chmod(path, mode)
        if kind == socket.SOCK_STREAM:
            bound.listen(socket.SOMAXCONN)
        return bound

    def _spawn(self, passed, environment):
        # The shell knows the pid that $LISTEN_PID has to name. The daemon goes with the test that started it.
        command = ["setpriv", "--pdeathsig", "KILL", "sh", "-c", 'LISTEN_PID=$$ exec "$@"', "sh", self.daemon,
                   *self.arguments]
        log = os.path.join(self.directory, "log")
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3 + len(passed)) for fd in passed]
        actions = [(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                   (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644),
                   (os.POSIX_SPAWN_DUP2, 1, 2)]
        actions += [(os.POSIX_SPAWN_DUP2, fd, 3 + place) for place, fd in enumerate(high)]
        try:
            return os.posix_spawnp(command[0], command, environment, file_actions=actions)
        finally:
            for fd in high:
                os.close(fd)

    def _end(self, signal_number):
        if self.pid is None:
            return None
        signal.pidfd_send_signal(self._pidfd, signal_number)
        if not select.select([self._pidfd], [], [], PATIENCE)[0]:
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        return self._reap()

    def _reap(self):
        _, status = os.waitpid(self.pid, 0)
        os.close(self._pidfd)
        self.pid, self._pidfd = None, None
        return os.waitstatus_to_exitcode(status)

    def _listen(self):
        while True:
            readable, _, _ = select.select([self._notify, self._wake], [], [])
            if self._wake in readable:
                return
            text, fds, _, _ = socket.recv_fds(self._notify, 4096, 16)
            self._handle(text.decode(), fds)

    def _handle(self, text, fds):
        fields = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
        with self._lock:
            if "FDSTOREREMOVE" in fields:
                for name, fd in self._store:
                    if name == fields.get("FDNAME"):
                        os.close(fd)
                self._store = [each for each in self._store if each[0] != fields.get("FDNAME")]
            if "FDSTORE" in fields:
                kept = fds[: max(0, self.store_size - len(self._store))]
                self._store += [(fields.get("FDNAME", "stored"), fd) for fd in kept]
                fds = fds[len(kept):]
        for fd in fds:  # to close what comes with a barrier is the answer to it
            os.close(fd)
        if "READY" in fields:
            os.write(self._ready_end, b"1")
