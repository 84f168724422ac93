"""Every error that a client can meet has the same name and parameters in all languages."""

from ..agent import Refused
from ..cell import Cell
from ..daemon import STAGED_LIMIT
from . import scenario


@scenario
def errors(cell: Cell):
    """The reader meets every error of the interface but those that take another user or other hardware."""
    key, none = cell.key(), cell.key("none")
    writer, segment = cell.create(cell.writer, key=key, sizeBytes=100, sealable=False)
    free_id = segment["id"] + 1_000_000
    reader = cell.reader

    for op, more in (("open", {"access": "read"}), ("describe", {}), ("delete", {}), ("renew", {}),
                     ("setAttributes", {"mode": 0o600})):
        cell.refused(reader, "NoSuchSegment", {"key": none}, op, key=none, **more)
        cell.refused(reader, "NoSuchSegment", {"id": free_id}, op, id=free_id, **more)
    cell.refused(reader, "SegmentExists", {"key": key}, "create", key=key, sizeBytes=1)
    cell.refused(reader, "SizeMismatch", {"sizeBytes": 100}, "create", key=key, sizeBytes=101, createMode="any")
    for wrong in ("!", "a b", "größe", "x" * 256):
        cell.refused(reader, "InvalidKey", {"key": wrong}, "create", key=wrong, sizeBytes=1)
    cell.refused(reader, "InvalidKey", {"key": "."}, "open", key=".", access="read")
    cell.refused(reader, "InvalidParameter", {"parameter": "leaseUsec"}, "create", key=none, sizeBytes=1, lifetime="lease",
                 leaseUsec=999_999)
    cell.refused(reader, "InvalidParameter", {"parameter": "leaseUsec"}, "setAttributes", key=key, lifetime="lease",
                 leaseUsec=999_999)
    cell.refused(reader, "QuotaExceeded", {"resource": "stagedBytes", "limit": STAGED_LIMIT}, "create", key=none,
                 sizeBytes=STAGED_LIMIT + 1, staged=True)
    cell.refused(reader, "OutOfMemory", {"sizeBytes": 1 << 50}, "create", key=none, sizeBytes=1 << 50)
    cell.refused(reader, "NotSealed", {"key": key}, "open", key=key, access="read", sealed=True)
    cell.refused(reader, "NoLease", {"key": key}, "renew", key=key)
    cell.refused(reader, "NoLease", {"id": segment["id"]}, "renew", id=segment["id"])
    cell.close(cell.writer, writer)
    opened, _ = cell.open(reader, key=key, access="write")
    cell.refused(reader, "NotSealable", None, "seal", handle=opened)
    cell.refused(reader, "CapacityExceeded", {"capacityBytes": 100}, "resize", handle=opened, sizeBytes=101)
    staged, _ = cell.create(reader, key=key, sizeBytes=1, staged=True)
    cell.refused(reader, "SegmentExists", {"key": key}, "publish", handle=staged)
    cell.refused(reader, "InvalidKey", {"key": "?"}, "publish", handle=staged, key="?")
    cell.writer.call("delete", key=key)
    cell.fields(reader, reader.call("publish", handle=staged)["segment"], key=key)

    busy, _ = cell.create(cell.writer, key=cell.key("busy"), sizeBytes=1)
    other, _ = cell.open(reader, key=cell.key("busy"), access="write")
    refused = cell.refused(reader, "SegmentBusy", None, "seal", handle=other)
    cell.true("the writer is named as a holder",
              cell.writer.pid in [each["pid"] for each in refused.parameters["holders"]], refused.parameters)
    cell.close(reader, other)
    cell.writer.call("seal", handle=busy)
    cell.refused(reader, "SegmentSealed", {"key": cell.key("busy")}, "open", key=cell.key("busy"), access="write")

    cell.daemon.control("Drain", enable=True)
    try:
        cell.refused(reader, "Draining", {}, "create", key=none, sizeBytes=1)
    finally:
        cell.daemon.control("Drain", enable=False)
    # After all of these the client is as good as new.
    made, _ = cell.create(reader, key=none, sizeBytes=1)
    cell.write(reader, made, 0, b"x")


@scenario
def wrong_use(cell: Cell):
    """Sizes, modes, keys and options that cannot be are errors, whether client or daemon sees it, and never a crash."""
    for arguments in ({"sizeBytes": 0}, {"sizeBytes": 2**53}, {"mode": 0o1000}, {"capacityBytes": 99}, {"lifetime": "lease"},
                      {"staged": True, "createMode": "any"}):
        cell.refused_somehow(cell.reader, "create", **{"key": cell.key(), "sizeBytes": 100, **arguments})
    try:
        made = cell.call(cell.reader, "create", key="", sizeBytes=1)["segment"]
    except Refused:
        pass
    else:  # an empty text is no key where that is the language's way, and then one is made up
        cell.true("a key is made up", len(made["key"]) > 15, made["key"])
        cell.reader.call("delete", id=made["id"])
    cell.refused_somehow(cell.reader, "open", key="", access="read")
    cell.refused_somehow(cell.reader, "describe", key="nul\0inside")
    cell.refused_somehow(cell.reader, "open", key=cell.key("none"), access="read", waitUsec=0)
    cell.create(cell.writer, key=cell.key(), sizeBytes=1)
    reader, _ = cell.open(cell.reader, key=cell.key(), access="read")
    cell.content(cell.reader, reader, 0, b"\0")
