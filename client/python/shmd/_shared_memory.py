"""multiprocessing.shared_memory, on shmd: the same interface, and no resource tracker that destroys what others still use."""

from __future__ import annotations

from typing import Any, Optional, Tuple

from ._client import shared_client
from ._decode import Lifetime
from ._errors import Closed
from ._segment import Segment


class SharedMemory:
    """A block of shared memory that has a name: the key of a segment of exactly this size. A name is what a key may be, so it
    begins with a letter or a digit.

    create: makes it; FileExistsError when the name is taken. Without a name one is made up. Otherwise it attaches to the block
    of this name: FileNotFoundError when there is none. size is asked for when it is created.
    track is taken for the sake of programs that name it, and means nothing: nobody but unlink() destroys a block.
    lifetime: beyond the standard library, as for Client.create(): "creator" has the block go with this process, "attached" with
    the last one that uses it.
    """

    _segment: Optional[Segment] = None
    _buf: Optional[memoryview] = None

    def __init__(self, name: Optional[str] = None, create: bool = False, size: int = 0, *, track: bool = True,
                 lifetime: Optional[Lifetime] = None) -> None:
        if not size >= 0:
            raise ValueError("'size' must be a positive integer")
        if create and size == 0:
            raise ValueError("'size' must be a positive number different from zero")
        if name is None and not create:
            raise ValueError("'name' can only be None if create=True")
        client = shared_client()
        if create:
            self._segment = client.create(name, size, lifetime=lifetime)
        else:
            self._segment = client.open(name, "write")
        self._name: str = self._segment.key or ""
        self._size = self._segment.size
        self._path = client.path
        self._buf = self._segment.buf

    def __del__(self) -> None:
        if self._segment is not None:
            self._segment.close()

    def __reduce__(self) -> Tuple[Any, ...]:
        return self.__class__, (self.name, False, self.size)

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}({self.name!r}, size={self.size})"

    @property
    def buf(self) -> memoryview:
        """Its bytes. None once it is closed."""
        return self._buf  # type: ignore[return-value]

    @property
    def name(self) -> str:
        """The segment's key."""
        return self._name

    @property
    def size(self) -> int:
        """Bytes, as asked for when it was created."""
        return self._size

    @property
    def segment(self) -> Segment:
        """The segment itself, for all else that shmd does. Closed once it is closed."""
        if self._segment is None:
            raise Closed("the shared memory is closed")
        return self._segment

    def close(self) -> None:
        """Ends this object's access. Views of buf, such as numpy arrays, stay good, unlike with the standard library, where
        close() fails for some and others are left without memory."""
        if self._segment is not None:
            self._buf = None
            self._segment.close()
            self._segment = None

    def unlink(self) -> None:
        """Destroys the block once nobody uses it any more; the name is free at once. FileNotFoundError when there is none."""
        shared_client(self._path).delete(self._name)
