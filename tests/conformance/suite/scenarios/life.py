"""A segment's life: staged, published, replaced, sealed, deleted, and ended with its process."""

from ..cell import Cell
from . import scenario


@scenario
def publication(cell: Cell):
    """A staged segment is invisible; published, it is there whole; replaced, it stays whole for those who have it."""
    key = cell.key()
    first, segment = cell.create(cell.writer, key=key, sizeBytes=64, staged=True)
    cell.fields(cell.writer, segment, key=None, state="staged")
    cell.refused(cell.reader, "NoSuchSegment", {"key": key}, "open", key=key, access="read")
    cell.equal("the list while it is staged", [], cell.reader.call("list", prefix=cell.prefix)["segments"])
    cell.write(cell.writer, first, 0, b"first edition")
    segment = cell.writer.call("publish", handle=first)["segment"]
    cell.fields(cell.writer, segment, key=key, state="live")
    old, opened = cell.open(cell.reader, key=key, access="read")
    cell.fields(cell.reader, opened, id=segment["id"], state="live")
    cell.content(cell.reader, old, 0, b"first edition")

    second, segment = cell.create(cell.writer, key=key, sizeBytes=128, staged=True)
    cell.write(cell.writer, second, 0, b"second edition")
    cell.refused(cell.writer, "SegmentExists", {"key": key}, "publish", handle=second)
    segment = cell.writer.call("publish", handle=second, replace=True)["segment"]
    cell.fields(cell.writer, segment, key=key, sizeBytes=128, state="live")
    cell.content(cell.reader, old, 0, b"first edition", ", whose segment was replaced")
    new, reopened = cell.open(cell.reader, key=key, access="read")
    cell.fields(cell.reader, reopened, id=segment["id"], sizeBytes=128)
    cell.content(cell.reader, new, 0, b"second edition")
    cell.fields(cell.reader, cell.reader.call("describe", id=opened["id"])["segment"], key=None)

    third, _ = cell.create(cell.writer, key=key, sizeBytes=1, staged=True)
    cell.fields(cell.writer, cell.writer.call("publish", handle=third, key=cell.key("b"))["segment"], key=cell.key("b"))
    cell.close_all(cell.reader)
    cell.open(cell.reader, key=cell.key("b"), access="read")


@scenario
def sealing(cell: Cell):
    """A sealed segment can be read and never written again; whoever still has it for writing is named."""
    key = cell.key()
    writer, _ = cell.create(cell.writer, key=key, sizeBytes=4096)
    cell.write(cell.writer, writer, 0, b"for ever")
    cell.refused(cell.reader, "NotSealed", {"key": key}, "open", key=key, access="read", sealed=True)
    other, _ = cell.open(cell.reader, key=key, access="write")
    refused = cell.refused(cell.writer, "SegmentBusy", None, "seal", handle=writer)
    cell.true(f"{cell.reader.name} is among the holders", cell.reader.pid in
              [each["pid"] for each in refused.parameters["holders"] if each["access"] == "write"], refused.parameters)
    cell.write(cell.writer, writer, 0, b"For ever")  # what was refused has changed nothing
    cell.close(cell.reader, other)
    segment = cell.writer.call("seal", handle=writer)["segment"]
    cell.fields(cell.writer, segment, key=key, sealed=True)
    cell.refused_here(cell.writer, "write", handle=writer, offset=0, hex="00")
    cell.content(cell.writer, writer, 0, b"For ever")
    for more in ({}, {"sealed": True}):
        reader, segment = cell.open(cell.reader, key=key, access="read", **more)
        cell.fields(cell.reader, segment, sealed=True)
        cell.content(cell.reader, reader, 0, b"For ever")
        cell.refused_here(cell.reader, "write", handle=reader, offset=0, hex="00")
    cell.refused(cell.reader, "SegmentSealed", {"key": key}, "open", key=key, access="write")


@scenario
def deletion(cell: Cell):
    """Deleting frees the key at once; who has it open keeps the memory; the same key is another segment."""
    key = cell.key()
    old, first = cell.create(cell.writer, key=key, sizeBytes=16)
    cell.write(cell.writer, old, 0, b"old")
    reader, _ = cell.open(cell.reader, key=key, access="read")
    cell.writer.call("delete", key=key)
    cell.refused(cell.reader, "NoSuchSegment", {"key": key}, "open", key=key, access="read")
    cell.refused(cell.reader, "NoSuchSegment", {"key": key}, "delete", key=key)
    new, second = cell.create(cell.writer, key=key, sizeBytes=32)
    cell.true("another id under the same key", first["id"] != second["id"], second["id"])
    cell.write(cell.writer, new, 0, b"new")
    cell.write(cell.writer, old, 0, b"OLD")
    cell.content(cell.reader, reader, 0, b"OLD")
    again, segment = cell.open(cell.reader, key=key, access="read")
    cell.fields(cell.reader, segment, id=second["id"], sizeBytes=32)
    cell.content(cell.reader, again, 0, b"new")
    by_id, segment = cell.open(cell.reader, id=first["id"], access="read")
    cell.fields(cell.reader, segment, id=first["id"], key=None, state="deleted")
    cell.content(cell.reader, by_id, 0, b"OLD")
    for handle in (reader, by_id):
        cell.close(cell.reader, handle)
    # Closing waits for no answer. What is asked after it does.
    cell.reader.call("describe", id=first["id"])
    cell.close(cell.writer, old)
    cell.refused(cell.writer, "NoSuchSegment", {"id": first["id"]}, "describe", id=first["id"])
    cell.reader.call("delete", key=key)
    cell.content(cell.reader, again, 0, b"new", " after it has deleted it itself")


@scenario
def going_on(cell: Cell):
    """Keys that are opened again, one by one and in one trip, name what they name then; what is open stays what it was."""
    keys = [cell.key(name) for name in "abcd"]
    made = [cell.create(cell.writer, key=key, sizeBytes=16) for key in keys]
    for key, (handle, _) in zip(keys, made):
        cell.write(cell.writer, handle, 0, key[-1].encode())
    before = open_many(cell, keys)
    cell.writer.call("delete", key=keys[0])
    cell.writer.call("delete", key=keys[1])
    anew, second = cell.create(cell.writer, key=keys[1], sizeBytes=32)
    cell.write(cell.writer, anew, 0, b"2")
    staged, _ = cell.create(cell.writer, key=keys[2], sizeBytes=64, staged=True)
    cell.write(cell.writer, staged, 0, b"3")
    third = cell.writer.call("publish", handle=staged, replace=True)["segment"]

    after = open_many(cell, keys)
    cell.equal("the error of what was deleted", "io.shmd.Segments.NoSuchSegment", after[0].get("error", {}).get("name"))
    expected = [(1, second["id"], b"2"), (2, third["id"], b"3"), (3, made[3][1]["id"], b"d")]
    for place, segment_id, content in expected:
        cell.fields(cell.reader, after[place]["segment"], id=segment_id)
        cell.content(cell.reader, after[place]["handle"], 0, content, ", opened again with others")
        handle, segment = cell.open(cell.reader, key=keys[place], access="read")
        cell.fields(cell.reader, segment, id=segment_id)
        cell.content(cell.reader, handle, 0, content, ", opened again")
    for result, content in zip(before, (b"a", b"b", b"c", b"d")):
        cell.content(cell.reader, result["handle"], 0, content, ", opened before")


def open_many(cell, keys):
    return cell.call(cell.reader, "openMany", keys=keys, access="read")["results"]


@scenario
def attachments(cell: Cell):
    """Each open is one grant; closing ends it, which the others see."""
    key = cell.key()
    cell.create(cell.writer, key=key, sizeBytes=1)
    one, segment = cell.open(cell.reader, key=key, access="read")
    cell.fields(cell.reader, segment, attachments=2)
    two, segment = cell.open(cell.reader, key=key, access="read")
    cell.fields(cell.reader, segment, attachments=3)
    watch, present = cell.watch(cell.writer, cell.prefix)
    cell.equal("events of what is there", ["present"], [event for event, _ in present])
    for handle, left in ((one, 2), (two, 1)):
        cell.close(cell.reader, handle)
        event, segment = cell.next_event(cell.writer, watch, past=())
        cell.equal("the event of closing", "detached", event)
        cell.fields(cell.writer, segment, key=key, attachments=left)


@scenario
def lifetimes(cell: Cell):
    """When a writer is killed, "attached" lasts as long as the reader, "creator" and staged ones are gone, memory stays."""
    cell.fresh()
    watch, _ = cell.watch(cell.reader, cell.prefix)
    keys = {lifetime: cell.key(lifetime) for lifetime in ("persistent", "attached", "creator")}
    handles = {}
    for lifetime, key in keys.items():
        handle, segment = cell.create(cell.writer, key=key, sizeBytes=16, lifetime=lifetime)
        cell.fields(cell.writer, segment, lifetime=lifetime)
        cell.write(cell.writer, handle, 0, lifetime.encode())
        handles[lifetime], segment = cell.open(cell.reader, key=key, access="read")
        cell.fields(cell.reader, segment, lifetime=lifetime, attachments=2)
        cell.equal("the event", ("created", key), told(cell, watch))
    cell.create(cell.writer, key=cell.key("staged"), sizeBytes=16, staged=True)
    cell.writer.kill()
    cell.gone(cell.writer)
    cell.equal("the event of the end of the creator", ("expired", keys["creator"]), told(cell, watch))
    cell.refused(cell.reader, "NoSuchSegment", {"key": keys["creator"]}, "describe", key=keys["creator"])
    for lifetime, handle in handles.items():
        cell.content(cell.reader, handle, 0, lifetime.encode(), " after the writer was killed")
    for lifetime in ("persistent", "attached"):
        cell.until(f"the writer's grant of {keys[lifetime]} ends",
                   lambda key=keys[lifetime]: cell.daemon.describe(key=key)["attachments"] == 1)
    cell.close(cell.reader, handles["attached"])
    cell.equal("the event of the last one's closing", ("expired", keys["attached"]), told(cell, watch))
    cell.close(cell.reader, handles["persistent"])
    cell.fields(cell.reader, cell.reader.call("describe", key=keys["persistent"])["segment"], attachments=0)
    cell.refused(cell.reader, "NoSuchSegment", {"key": cell.key("staged")}, "open", key=cell.key("staged"), access="read")


def told(cell, watch):
    event, segment = cell.next_event(cell.reader, watch)
    return event, (segment or {}).get("key")


@scenario
def leases(cell: Cell):
    """A lease has its length and its end; the reader renews it, the writer takes it away."""
    hour = 3_600_000_000
    key = cell.key()
    _, made = cell.create(cell.writer, key=key, sizeBytes=1, lifetime="lease", leaseUsec=hour)
    cell.fields(cell.writer, made, lifetime="lease")
    before = cell.daemon.describe(key=key)
    cell.equal("the lease", hour, before["leaseUsec"])
    renewed = cell.reader.call("renew", key=key)["segment"]
    cell.fields(cell.reader, renewed, key=key, lifetime="lease")
    after = cell.daemon.describe(key=key)
    cell.true("the end has moved", after["expiresUsec"] > before["expiresUsec"], (before, after))
    for segment, true in ((made, before), (renewed, after)):
        cell.equal("leaseUsec", hour, segment.get("leaseUsec", hour))
        if "expiresUsec" in segment:
            cell.same_end(true["expiresUsec"], segment["expiresUsec"])
    segment = cell.writer.call("setAttributes", key=key, lifetime="lease", leaseUsec=2 * hour)["segment"]
    cell.fields(cell.writer, segment, lifetime="lease")
    cell.equal("the new lease", 2 * hour, cell.daemon.describe(key=key)["leaseUsec"])
    segment = cell.writer.call("setAttributes", key=key, lifetime="persistent")["segment"]
    cell.fields(cell.writer, segment, lifetime="persistent")
    cell.refused(cell.reader, "NoLease", {"key": key}, "renew", key=key)
    segment = cell.writer.call("setAttributes", id=segment["id"], mode=0o644, evictable=True)["segment"]
    cell.fields(cell.reader, cell.daemon.describe(key=key), mode=0o644, evictable=True, lifetime="persistent")


@scenario
def batch(cell: Cell):
    """openMany opens what is there and tells of each that is not, in order, more than go into one message."""
    names = [cell.key(f"{i}") for i in range(4)]
    for i, key in enumerate(names):
        handle, _ = cell.create(cell.writer, key=key, sizeBytes=8)
        cell.write(cell.writer, handle, 0, bytes([i]) * 8)
    asked = [names[i % 4] if i % 3 else cell.key(f"none-{i}") for i in range(300)]
    results = cell.call(cell.reader, "openMany", keys=asked, access="read")["results"]
    cell.equal("the number of results", len(asked), len(results))
    for i, (key, result) in enumerate(zip(asked, results)):
        if i % 3:
            cell.true(f"result {i} is a segment", "handle" in result, result)
            cell.fields(cell.reader, result["segment"], key=key)
            cell.content(cell.reader, result["handle"], 0, bytes([i % 4]) * 8)
        else:
            error = result.get("error", {})
            cell.equal(f"the error of result {i}", "io.shmd.Segments.NoSuchSegment", error.get("name"))
            if "parameters" in error:
                cell.equal(f"the parameters of result {i}", {"key": key}, error["parameters"])
    cell.equal("attachments of the first", 1 + asked.count(names[0]), cell.daemon.describe(key=names[0])["attachments"])
    cell.close_all(cell.reader)
    cell.fields(cell.reader, cell.reader.call("describe", key=names[0])["segment"], attachments=1)
