"""What another user may and may not do."""

import os

from ..cell import Cell, Skipped
from . import scenario

NOBODY = (65534, 65534)


@scenario
def permission(cell: Cell):
    """A reader of another uid gets what mode and owner allow, and PermissionDenied for the rest."""
    if os.geteuid() != 0:
        raise Skipped("only root can be another user")
    key, denied = cell.key(), ("PermissionDenied", {})
    writer, _ = cell.create(cell.writer, key=key, sizeBytes=4096)
    cell.write(cell.writer, writer, 0, b"for some")
    reader = cell.agent("reader", user=NOBODY)
    cell.refused(reader, *denied, "open", key=key, access="read")
    cell.refused(reader, *denied, "describe", key=key)
    cell.refused(reader, *denied, "delete", key=key)
    cell.equal("the list of what others hide", [], reader.call("list", prefix=cell.prefix)["segments"])
    cell.writer.call("setAttributes", key=key, mode=0o644)
    handle, segment = cell.open(reader, key=key, access="read")
    cell.fields(reader, segment, mode=0o644, ownerUid=0)
    cell.content(reader, handle, 0, b"for some")
    cell.refused_here(reader, "write", handle=handle, offset=0, hex="ff")
    cell.content(cell.writer, writer, 0, b"for some")
    cell.refused(reader, *denied, "open", key=key, access="write")
    cell.refused(reader, *denied, "setAttributes", key=key, mode=0o666)
    cell.refused(reader, *denied, "delete", key=key)
    cell.refused(reader, *denied, "create", key="user/0/conformance", sizeBytes=1)
    results = cell.call(reader, "openMany", keys=[key], access="write")["results"]
    cell.equal("the error in openMany", "org.varlink.service.PermissionDenied", results[0].get("error", {}).get("name"))
    cell.writer.call("setAttributes", key=key, mode=0o666)
    shared, _ = cell.open(reader, key=key, access="write")
    cell.write(reader, shared, 0, b"FOR")
    cell.content(cell.writer, writer, 0, b"FOR some")
    cell.writer.call("setAttributes", key=key, mode=0o600)
    cell.refused(reader, *denied, "open", key=key, access="read")
    results = cell.call(reader, "openMany", keys=[key, key], access="read")["results"]
    cell.equal("the errors in openMany of what was taken away", 2 * ["org.varlink.service.PermissionDenied"],
               [each.get("error", {}).get("name") for each in results])
    cell.content(reader, shared, 0, b"FOR some", ", mapped before it was taken away")
    own, segment = cell.create(reader, key=f"user/{NOBODY[0]}/{cell.prefix}own", sizeBytes=8)
    cell.fields(reader, segment, ownerUid=NOBODY[0])
    cell.write(reader, own, 0, b"own")
    seen, _ = cell.open(cell.writer, key=segment["key"], access="read")
    cell.content(cell.writer, seen, 0, b"own")
    reader.call("delete", key=segment["key"])
