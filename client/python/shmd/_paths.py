"""Where the daemon's sockets are. What is looked at, and in which order, is in PROTOCOL.md."""

from __future__ import annotations

import os
import stat
from typing import Optional

from ._errors import NoDaemon

SEGMENTS = "io.shmd.Segments"
CONTROL = "io.shmd.Control"
SYSTEM_DIRECTORY = "/run/shmd"


def _environment(name: str) -> Optional[str]:
    # As secure_getenv(3): a set-uid program does not look here.
    if os.getuid() != os.geteuid() or os.getgid() != os.getegid():
        return None
    return os.environ.get(name) or None


def user_directory() -> str:
    base = _environment("XDG_RUNTIME_DIR")
    return base + "/shmd" if base else f"/tmp/shmd-{os.geteuid()}"


def _is_trusted(directory: str) -> bool:
    try:
        status = os.lstat(directory)
    except OSError:
        return True  # nothing is there, so nobody listens there either
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and status.st_mode & 0o022 == 0


def control_socket_of(segments: str) -> str:
    directory, name = os.path.split(segments)
    return os.path.join(directory, CONTROL) if name == SEGMENTS else segments + ".control"


def find_socket(control: bool = False) -> str:
    """The path that a client without one connects to. NoDaemon when only a user instance is left that is not to be trusted."""
    if control:
        given = _environment("SHMD_CONTROL_SOCKET")
        if given:
            return given
    given = _environment("SHMD_SOCKET")
    if given:
        return control_socket_of(given) if control else given
    name = CONTROL if control else SEGMENTS
    system = f"{SYSTEM_DIRECTORY}/{name}"
    if os.path.exists(system):
        return system
    directory = user_directory()
    if not _is_trusted(directory):
        raise NoDaemon(f"there is no system instance of shmd, and {directory} is not trusted: another user owns it or may "
                       "write to it")
    return f"{directory}/{name}"
