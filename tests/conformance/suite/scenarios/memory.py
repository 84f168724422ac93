"""What is in memory: the writer's bytes, sizes, and what a client gives back."""

import os

from ..cell import Cell
from . import scenario

MIB = 1 << 20


@scenario
def content(cell: Cell):
    """The reader sees the writer's bytes, of segments of 1, 4095 and 1 MiB + 1 bytes, and zeros where nobody wrote."""
    for size in (1, 4095, MIB + 1):
        key = cell.key(str(size))
        writer, segment = cell.create(cell.writer, key=key, sizeBytes=size)
        cell.fields(cell.writer, segment, key=key, sizeBytes=size, state="live", attachments=1, mode=0o600)
        reader, segment = cell.open(cell.reader, key=key, access="read")
        cell.fields(cell.reader, segment, key=key, sizeBytes=size, attachments=2)
        cell.content(cell.reader, reader, 0, bytes(min(size, 5000)))
        for offset in sorted({0, size // 2, max(0, size - 1)}):
            piece = os.urandom(min(size - offset, 5000))
            cell.write(cell.writer, writer, offset, piece)
            cell.content(cell.reader, reader, offset, piece)
        cell.refused_here(cell.reader, "read", handle=reader, offset=size, length=1)
        cell.refused_here(cell.writer, "write", handle=writer, offset=size, hex="00")
        cell.write(cell.writer, writer, 0, bytes(range(256))[:size])
        cell.close(cell.writer, writer)
        cell.content(cell.reader, reader, 0, bytes(range(256))[:size], " after the writer has closed")


@scenario
def beyond_4_gib(cell: Cell):
    """Sizes and offsets above 4 GiB are what they are, and nothing is copied or touched that nobody asked for."""
    size, offset = (5 << 30) + 1, (9 << 29) + 3
    writer, segment = cell.create(cell.writer, key=cell.key(), sizeBytes=size, reserve="lazy")
    cell.fields(cell.writer, segment, sizeBytes=size)
    cell.write(cell.writer, writer, offset, b"far away")
    cell.write(cell.writer, writer, size - 1, b"!")
    reader, segment = cell.open(cell.reader, key=cell.key(), access="read")
    cell.fields(cell.reader, segment, sizeBytes=size)
    cell.content(cell.reader, reader, offset - 1, b"\0far away\0")
    cell.content(cell.reader, reader, offset - (4 << 30), bytes(8))
    cell.content(cell.reader, reader, size - 1, b"!")
    cell.refused_here(cell.reader, "read", handle=reader, offset=size, length=1)


@scenario
def both_write(cell: Cell):
    """Two that have opened it for writing see each other's bytes."""
    one, _ = cell.create(cell.writer, key=cell.key(), sizeBytes=8192)
    other, _ = cell.open(cell.reader, key=cell.key(), access="write")
    cell.write(cell.reader, other, 4096, b"from the reader")
    cell.write(cell.writer, one, 10, b"from the writer")
    cell.content(cell.writer, one, 4096, b"from the reader")
    cell.content(cell.reader, other, 10, b"from the writer")


@scenario
def read_only(cell: Cell):
    """A write to what was opened for reading is an error in every language, and nothing is written."""
    writer, _ = cell.create(cell.writer, key=cell.key(), sizeBytes=4096)
    cell.write(cell.writer, writer, 0, b"kept")
    reader, _ = cell.open(cell.reader, key=cell.key(), access="read")
    cell.refused_here(cell.reader, "write", handle=reader, offset=0, hex="ff")
    cell.content(cell.writer, writer, 0, b"kept")
    cell.content(cell.reader, reader, 0, b"kept")
    own, _ = cell.create(cell.writer, key=cell.key("own"), sizeBytes=1, access="read")
    cell.refused_here(cell.writer, "write", handle=own, offset=0, hex="ff")


@scenario
def resize(cell: Cell):
    """The reader learns of a new size without mapping anew; making it smaller takes nobody's memory away."""
    key = cell.key()
    writer, segment = cell.create(cell.writer, key=key, sizeBytes=4096, capacityBytes=65536)
    cell.fields(cell.writer, segment, sizeBytes=4096, capacityBytes=65536)
    cell.write(cell.writer, writer, 0, b"before")
    reader, _ = cell.open(cell.reader, key=key, access="read")
    cell.refused_here(cell.reader, "read", handle=reader, offset=60000, length=5)
    segment = cell.writer.call("resize", handle=writer, sizeBytes=65536)["segment"]
    cell.fields(cell.writer, segment, sizeBytes=65536, capacityBytes=65536)
    cell.write(cell.writer, writer, 60000, b"after")
    segment = cell.reader.call("remap", handle=reader)["segment"]
    cell.fields(cell.reader, segment, key=key, sizeBytes=65536)
    cell.content(cell.reader, reader, 60000, b"after")
    cell.content(cell.reader, reader, 0, b"before")
    refused = cell.refused(cell.writer, "SegmentBusy", None, "resize", handle=writer, sizeBytes=100)
    cell.equal("the pids of the holders", [cell.reader.pid], [each["pid"] for each in refused.parameters["holders"]])
    cell.close(cell.reader, reader)
    segment = cell.writer.call("resize", handle=writer, sizeBytes=100)["segment"]
    cell.fields(cell.writer, segment, sizeBytes=100)
    cell.refused_here(cell.writer, "read", handle=writer, offset=100, length=1)
    again, segment = cell.open(cell.reader, key=key, access="read")
    cell.fields(cell.reader, segment, sizeBytes=100, capacityBytes=65536)
    cell.content(cell.reader, again, 0, b"before")


@scenario
def use_after_close(cell: Cell):
    """What is closed is an error, not a crash; the other one's mapping stays."""
    writer, _ = cell.create(cell.writer, key=cell.key(), sizeBytes=4096)
    reader, _ = cell.open(cell.reader, key=cell.key(), access="read")
    cell.write(cell.writer, writer, 0, b"still")
    cell.close(cell.writer, writer)
    for op, more in (("read", {"offset": 0, "length": 1}), ("write", {"offset": 0, "hex": "00"}), ("remap", {}),
                     ("publish", {}), ("seal", {}), ("resize", {"sizeBytes": 1})):
        cell.refused_here(cell.writer, op, handle=writer, **more)
    cell.content(cell.reader, reader, 0, b"still")
    again, _ = cell.open(cell.writer, key=cell.key(), access="write")
    cell.write(cell.writer, again, 0, b"STILL")
    cell.content(cell.reader, reader, 0, b"STILL")


@scenario
def closing(cell: Cell):
    """Closing ends the grant, the mapping and the descriptor: 40 rounds leave nothing in the process."""
    key = cell.key()
    cell.create(cell.writer, key=key, sizeBytes=4096, lifetime="persistent")
    cell.close_all(cell.writer)

    def one_round():
        reader, _ = cell.open(cell.reader, key=key, access="read")
        cell.content(cell.reader, reader, 0, b"\0")
        cell.close(cell.reader, reader)

    one_round()
    before = cell.reader.descriptors()
    for _ in range(40):
        one_round()
    after = cell.reader.descriptors()
    segment = cell.reader.call("describe", key=key)["segment"]
    cell.fields(cell.reader, segment, attachments=0)
    cell.true(f"descriptors and mappings of {cell.reader.name}, at most as many as before: {before}",
              after[0] <= before[0] and after[1] <= before[1], after)
