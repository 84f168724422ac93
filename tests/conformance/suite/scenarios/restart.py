"""The daemon is killed and started again, with all that it kept and without."""

from ..agent import Refused
from ..cell import Cell, Mismatch
from . import restarting


@restarting
def reconnect(cell: Cell):
    """Over a restart of the daemon nothing is lost: open segments go on, calls connect anew, a waiting call is answered."""
    cell.fresh()
    key = cell.key()
    writer, segment = cell.create(cell.writer, key=key, sizeBytes=4096, capacityBytes=8192, labels={"kept": "yes"})
    cell.write(cell.writer, writer, 0, b"before")
    staged, _ = cell.create(cell.writer, key=cell.key("staged"), sizeBytes=16, staged=True)
    cell.write(cell.writer, staged, 0, b"staged before")
    early, _ = cell.open(cell.reader, key=key, access="read")
    watch, _ = cell.watch(cell.reader, cell.prefix)

    cell.daemon.kill()
    cell.write(cell.writer, writer, 6, b", while it was dead")
    cell.content(cell.reader, early, 0, b"before, while it was dead")
    cell.reader.begin("describe", key=key)
    cell.daemon.start()
    answer = cell.result(cell.reader)
    cell.fields(cell.reader, answer["segment"], id=segment["id"], key=key, sizeBytes=4096, labels={"kept": "yes"})

    late, _ = cell.open(cell.reader, key=key, access="read")
    cell.content(cell.reader, late, 0, b"before, while it was dead")
    cell.write(cell.writer, writer, 0, b"after!")
    cell.content(cell.reader, early, 0, b"after!")
    cell.content(cell.reader, late, 0, b"after!")
    cell.fields(cell.writer, cell.writer.call("publish", handle=staged)["segment"], state="live")
    published, _ = cell.open(cell.reader, key=cell.key("staged"), access="read")
    cell.content(cell.reader, published, 0, b"staged before")
    # The grants from before are the same processes' still: of the writer one, of the reader the early and the late one.
    cell.fields(cell.reader, cell.reader.call("describe", key=key)["segment"], attachments=3)
    segment = cell.writer.call("resize", handle=writer, sizeBytes=8192)["segment"]
    cell.fields(cell.writer, segment, sizeBytes=8192, attachments=3)
    cell.fields(cell.reader, cell.reader.call("remap", handle=early)["segment"], sizeBytes=8192)
    cell.close(cell.reader, early)
    cell.fields(cell.reader, cell.reader.call("describe", key=key)["segment"], attachments=2)

    ended(cell, watch)
    cell.unwatched(cell.reader, watch)
    again, present = cell.watch(cell.reader, key)
    cell.equal("what a new watch tells first", ["present"], [event for event, _ in present])
    cell.writer.call("delete", key=key)
    cell.equal("the event in the new watch", "deleted", cell.next_event(cell.reader, again)[0])


@restarting
def wait_over_restart(cell: Cell):
    """A wait goes on over a restart of the daemon."""
    cell.fresh()
    key = cell.key()
    cell.writer.call("list", prefix=key)
    before = cell.daemon.control("GetStatus")["connections"]
    cell.reader.begin("open", key=key, access="read", waitUsec=60_000_000)
    cell.until(f"{cell.reader.name} has connected", lambda: cell.daemon.control("GetStatus")["connections"] > before)
    cell.daemon.kill()
    cell.daemon.start()
    writer, _ = cell.create(cell.writer, key=key, sizeBytes=8)
    cell.write(cell.writer, writer, 0, b"in time")
    cell.content(cell.reader, cell.result(cell.reader)["handle"], 0, b"in time")


@restarting
def lost(cell: Cell):
    """Where the daemon has kept nothing, mappings go on, calls on them are errors, and new segments are made."""
    cell.fresh()
    key = cell.key()
    writer, segment = cell.create(cell.writer, key=key, sizeBytes=4096)
    reader, _ = cell.open(cell.reader, key=key, access="read")
    cell.daemon.kill()
    cell.daemon.forget()
    cell.daemon.start()
    cell.refused(cell.reader, "NoSuchSegment", {"key": key}, "describe", key=key)
    cell.write(cell.writer, writer, 0, b"still shared")
    cell.content(cell.reader, reader, 0, b"still shared")
    cell.refused_somehow(cell.writer, "resize", handle=writer, sizeBytes=1)
    cell.refused_somehow(cell.writer, "seal", handle=writer)
    new, again = cell.create(cell.writer, key=key, sizeBytes=4096)
    cell.true("a new id", again["id"] != segment["id"], again["id"])
    cell.write(cell.writer, new, 0, b"new")
    found, _ = cell.open(cell.reader, key=key, access="read")
    cell.content(cell.reader, found, 0, b"new")
    cell.content(cell.reader, reader, 0, b"still shared")
    for agent, handle in ((cell.writer, writer), (cell.reader, reader)):
        cell.close(agent, handle)
    cell.fields(cell.reader, cell.reader.call("describe", key=key)["segment"], attachments=2)


def ended(cell, watch):
    """A watch ends with the daemon: what it had is told, and then an error of the client's own."""
    try:
        while True:
            cell.reader.call("nextEvent", watch=watch)
    except Refused as refused:
        if refused.from_daemon():
            raise Mismatch("the end of a watch", "an error of the client's own", str(refused)) from None
