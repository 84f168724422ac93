"""Memory: from a descriptor that came with a grant to a mapping that is there as long as anybody looks at it."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import mmap
import os
import stat
import sys
from typing import TYPE_CHECKING, Any, Optional, Union

from ._buffer import address_of
from ._decode import Access, Nonsense, SegmentInfo
from ._errors import Error

try:
    from . import _sync
except ImportError:
    NATIVE = False
else:
    NATIVE = True

if TYPE_CHECKING:
    Memory = Union[mmap.mmap, _sync.Memory]

F_GET_SEALS = 1034
F_SEAL_SHRINK = 2
PAGE_BYTES = 4096
_MADV_HUGEPAGE = 14
_MAP_FIXED = 0x10
_MAP_NORESERVE = getattr(mmap, "MAP_NORESERVE", 0x4000)

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
_MAP_FAILED = ctypes.c_void_p(-1).value


def _size_of(descriptor: int, info: SegmentInfo) -> int:
    """It must be as large as we were told, and stay so: touching what is not there is a SIGBUS. Huge pages round up."""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise Nonsense("its descriptor is not memory")
    rounded = info.huge_pages in ("huge2M", "huge1G")
    fits = status.st_size >= info.capacity_bytes if rounded else status.st_size == info.capacity_bytes
    if info.size_bytes > info.capacity_bytes or not fits:
        raise Nonsense(f"it tells of {info.size_bytes} of {info.capacity_bytes} bytes and passes memory of {status.st_size}")
    if not _stays(descriptor):
        raise Nonsense("its memory may shrink")
    return status.st_size


def is_lasting_page(descriptor: int) -> bool:
    """Of what the daemon shares beside segments."""
    status = os.fstat(descriptor)
    return stat.S_ISREG(status.st_mode) and status.st_size == PAGE_BYTES and _stays(descriptor)


def _stays(descriptor: int) -> bool:
    try:
        return bool(fcntl.fcntl(descriptor, F_GET_SEALS) & F_SEAL_SHRINK)
    except OSError:
        return False


def _map_without_descriptor(descriptor: int, size: int, writable: bool) -> mmap.mmap:
    """Before 3.13 an mmap keeps a copy of its descriptor, so that a process could have no more segments open than files. An
    anonymous one has none; then the segment's memory takes its place."""
    protection = mmap.PROT_READ | (mmap.PROT_WRITE if writable else 0)
    made = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | _MAP_NORESERVE, prot=protection)
    address = address_of(made)
    if _libc.mmap(address, size, protection, mmap.MAP_SHARED | _MAP_FIXED, descriptor, 0) == _MAP_FAILED:
        number = ctypes.get_errno()
        made.close()
        raise OSError(number, os.strerror(number))
    return made


def bury(memory: "Memory", content: Optional[int]) -> None:
    """Puts other memory in the place of a mapping's: zeros, or a private copy of what a descriptor has. Whoever still has an
    address reads that, and what is written there is nobody's."""
    flags = mmap.MAP_PRIVATE | _MAP_FIXED | _MAP_NORESERVE | (mmap.MAP_ANONYMOUS if content is None else 0)
    descriptor = -1 if content is None else content
    if _libc.mmap(address_of(memory), len(memory), mmap.PROT_READ | mmap.PROT_WRITE, flags, descriptor, 0) == _MAP_FAILED:
        number = ctypes.get_errno()
        raise OSError(number, f"cannot unmap a segment: {os.strerror(number)}")


def map_memory(descriptor: int, info: SegmentInfo, access: Access) -> "Memory":
    """Maps the whole capacity and closes the descriptor. Nonsense when it is not what info says."""
    try:
        return _map_natively(descriptor, info, access) if NATIVE else _map(descriptor, info, access)
    except (OSError, OverflowError, ValueError) as error:
        raise Error(f"its memory cannot be mapped: {error}", code=getattr(error, "errno", None) or 12) from None
    finally:
        os.close(descriptor)


def _map_natively(descriptor: int, info: SegmentInfo, access: Access) -> "Memory":
    huge = info.huge_pages
    try:
        if info.size_bytes <= info.capacity_bytes:
            return _sync.Memory(descriptor, info.capacity_bytes, huge in ("huge2M", "huge1G"), access == "write",
                                huge == "transparent")
    except ValueError:
        pass
    _size_of(descriptor, info)  # tells what is wrong
    raise Nonsense("its memory has changed meanwhile")


def _map(descriptor: int, info: SegmentInfo, access: Access) -> mmap.mmap:
    writable = access == "write"
    size = _size_of(descriptor, info)
    kind: Any = mmap.ACCESS_WRITE if writable else mmap.ACCESS_READ
    if sys.version_info >= (3, 13):
        made = mmap.mmap(descriptor, size, access=kind, trackfd=False)
    elif info.huge_pages == "none":
        made = _map_without_descriptor(descriptor, size, writable)
    else:  # huge pages have addresses of their own
        made = mmap.mmap(descriptor, size, access=kind)
    if info.huge_pages == "transparent":
        with contextlib.suppress(OSError):
            made.madvise(_MADV_HUGEPAGE)
    return made
