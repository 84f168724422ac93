"""What the reader learns as it happens: waiting for a key, watching."""

from ..cell import Cell
from . import scenario

MINUTE = 60_000_000  # microseconds


@scenario
def wait(cell: Cell):
    """The reader waits for a key that the writer creates, or publishes, later; a wait in vain ends."""
    for staged in (False, True):
        reader = cell.agent("reader", fresh=True)  # whose connection the daemon has not yet
        key = cell.key("staged" if staged else "plain")
        cell.writer.call("list", prefix=key)
        before = cell.daemon.control("GetStatus")["connections"]
        reader.begin("open", key=key, access="read", waitUsec=MINUTE)
        cell.until(f"{reader.name} has connected", lambda: cell.daemon.control("GetStatus")["connections"] > before)
        writer, segment = cell.create(cell.writer, key=key, sizeBytes=16, staged=staged)
        if staged:
            cell.write(cell.writer, writer, 0, b"whole")
            cell.writer.call("publish", handle=writer)
        answer = cell.result(reader)
        cell.fields(reader, answer["segment"], id=segment["id"], key=key)
        if not staged:
            cell.write(cell.writer, writer, 0, b"whole")
        cell.content(reader, answer["handle"], 0, b"whole")
        for more in ({"waitUsec": 1}, {"waitUsec": MINUTE}):
            found, _ = cell.open(reader, key=key, access="read", **more)
            cell.content(reader, found, 0, b"whole")
        cell.refused(reader, "NoSuchSegment", {"key": cell.key("never")}, "open", key=cell.key("never"), access="read",
                     waitUsec=1000)
        cell.done_with(reader)


@scenario
def watch(cell: Cell):
    """The reader's watch tells of all that the writer does, in its order, and of nothing outside its prefix."""
    inside = cell.prefix + "in/"
    there, outside = inside + "there", cell.prefix + "out"
    cell.create(cell.writer, key=there, sizeBytes=1, labels={"was": "here"})
    watch, present = cell.watch(cell.reader, inside)
    cell.equal("what is told before ready", [("present", there)],
               [(event, segment.get("key")) for event, segment in present])
    cell.fields(cell.reader, present[0][1], labels={"was": "here"}, sizeBytes=1)

    a, b = inside + "a", inside + "b"
    cell.create(cell.writer, key=outside, sizeBytes=1)
    made, _ = cell.create(cell.writer, key=a, sizeBytes=4096, capacityBytes=8192)
    cell.writer.call("setAttributes", key=a, labels={"größe": "1"})
    cell.writer.call("resize", handle=made, sizeBytes=8192)
    cell.writer.call("seal", handle=made)
    staged, _ = cell.create(cell.writer, key=b, sizeBytes=1, staged=True)
    cell.writer.call("publish", handle=staged)
    staged, _ = cell.create(cell.writer, key=b, sizeBytes=2, staged=True)
    cell.writer.call("publish", handle=staged, replace=True)
    for key in (outside, a, b, there):
        cell.writer.call("delete", key=key)
    expected = [("created", a), ("changed", a), ("resized", a), ("sealed", a), ("published", b), ("replaced", b),
                ("published", b), ("deleted", a), ("deleted", b), ("deleted", there)]
    got = []
    while not got or got[-1] != expected[-1]:
        event, segment = cell.next_event(cell.reader, watch)
        got.append((event, (segment or {}).get("key")))
        detail = {"changed": {"labels": {"größe": "1"}}, "resized": {"sizeBytes": 8192}, "sealed": {"sealed": True}}
        cell.fields(cell.reader, segment, **detail.get(event, {}))
    cell.equal("the events", expected, got)

    # A watch does not stand in the way of the client's other calls, and another one is apart from it.
    cell.equal("the list beside a watch", [], cell.reader.call("list", prefix=cell.prefix)["segments"])
    other, present = cell.watch(cell.reader, cell.prefix)
    cell.equal("what a second watch tells", [], present)
    cell.reader.call("unwatch", watch=watch)
    cell.unwatched(cell.reader, watch)
    cell.refused_here(cell.reader, "nextEvent", watch=watch)
    cell.create(cell.writer, key=a, sizeBytes=1)
    event, segment = cell.next_event(cell.reader, other)
    cell.equal("the event in the second watch", ("created", a), (event, segment["key"]))
