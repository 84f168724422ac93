"""The calls of a client, against the real daemon."""

import contextlib
import math
import os
import threading
from datetime import timedelta

import pytest

import shmd
from conftest import open_descriptors, wait_for_connections


def test_five_lines_work(daemon):
    with shmd.Client() as client:
        table = client.create("table", 100)
        table[:5] = b"hello"
        with shmd.Client() as other, other.open("table") as view:
            assert bytes(view[:5]) == b"hello"
        table.close()


def test_create_takes_all_options(client):
    entry = shmd.AclEntry("read", uid=4242)
    segment = client.create("a", 5000, mode=0o640, create_mode="new", access="write", reserve="populate", staged=True,
                            lifetime="lease", lease=timedelta(minutes=1), evictable=True, sealable=False,
                            labels={"codec": "h264", "größe": "…"}, acl=[entry, shmd.AclEntry("write", gid=7)], capacity=9000,
                            huge_pages="none", numa_nodes=[0], placement_fallback=True)
    info = segment.info
    assert (info.key, info.size_bytes, info.mode, info.state, info.lifetime) == (None, 5000, 0o640, "staged", "lease")
    assert (info.lease_usec, info.evictable, info.capacity_bytes, info.huge_pages) == (60_000_000, True, 9000, "none")
    assert info.labels == {"codec": "h264", "größe": "…"}
    assert info.acl == (entry, shmd.AclEntry("write", gid=7))
    assert (info.owner_uid, info.owner_gid, info.creator_pid) == (os.geteuid(), os.getegid(), os.getpid())
    assert segment.created and segment.attachment > 0 and not segment.readonly
    assert bytes(segment) == bytes(5000)
    segment.close()


def test_a_key_is_made_up_when_none_is_given(client):
    with client.create(None, 1) as one, client.create(None, 1) as other:
        assert one.key and other.key and one.key != other.key


def test_an_integer_is_a_system_v_key(client):
    with client.create(0xFF3, 10) as segment, client.open("sysv:0x00000ff3") as same, client.open(0xFF3) as again:
        assert segment.key == "sysv:0x00000ff3"
        assert segment.id == same.id == again.id
        assert client.describe(0xFF3).id == segment.id
    client.delete(0xFF3)
    assert shmd.sysv_key(-1) == shmd.sysv_key(0xFFFFFFFF) == "sysv:0xffffffff"
    for bad in (2**32, -(2**31) - 1):
        with pytest.raises(ValueError):
            shmd.sysv_key(bad)
    with pytest.raises(TypeError):
        client.open(1.5)


def test_create_any_opens_what_is_there(client):
    with client.create("a", 100, create_mode="any") as first, client.create("a", 50, create_mode="any") as second:
        assert first.created and not second.created
        assert (second.id, second.size) == (first.id, 100)
    with pytest.raises(shmd.SizeMismatch) as raised:
        client.create("a", 101, create_mode="any")
    assert raised.value.parameters == {"sizeBytes": 100}


def test_create_many_makes_all_or_none(client):
    made = client.create_many([shmd.NewSegment("a/1", 10, labels={"n": "1"}), shmd.NewSegment(None, 20, access="read")])
    assert [each.size for each in made] == [10, 20]
    assert made[0].labels == {"n": "1"} and made[1].readonly
    with pytest.raises(shmd.SegmentExists):
        client.create_many([shmd.NewSegment("a/2", 10), shmd.NewSegment("a/1", 10)])
    assert [each.key for each in client.list("a/")] == ["a/1"]
    for each in made:
        each.close()


def test_open_many_tells_of_each(client):
    keys = [f"m/{number}" for number in range(300)]
    for begin in range(0, 300, 100):
        for each in client.create_many([shmd.NewSegment(key, 8) for key in keys[begin : begin + 100]]):
            each[:] = each.id.to_bytes(8, "little")
            each.close()
    keys.insert(260, "m/none")
    opened = client.open_many(keys)
    assert len(opened) == 301
    failed = opened.pop(260)
    assert isinstance(failed, shmd.NoSuchSegment) and "'m/none'" in str(failed)
    for segment in opened:
        assert isinstance(segment, shmd.Segment) and segment.readonly
        assert int.from_bytes(segment, "little") == segment.id
    assert [each.key for each in opened[:260]] == keys[:260]
    for each in opened:
        each.close()
    assert client.open_many([]) == []


def test_more_segments_are_open_than_files_may_be(client):
    import resource

    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    in_use = len(os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (in_use + 120, limits[1]))
    try:
        many = [client.create(None, 1) for _ in range(300)]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert len({each.id for each in many}) == 300
    for each in many:
        each.close()


def test_a_process_without_descriptors_is_told_so_and_goes_on(client):
    import resource

    client.create("a", 1).close()
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(each) for each in os.listdir("/proc/self/fd"))
    blockers = []
    with contextlib.suppress(OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, limits[1]))
        while True:
            blockers.append(os.dup(0))
    try:
        with pytest.raises(shmd.Error, match="open no more files"):
            client.open("a")
        with pytest.raises(shmd.Error, match="open no more files"):
            client.create("b", 1)
    finally:
        for each in blockers:
            os.close(each)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert client.describe("a").attachments == 0
    assert [each.key for each in client.list()] == ["a"]  # what cannot be mapped is deleted again
    client.open("a").close()


def test_describe_and_list(client):
    with client.create("l/1", 10), client.create("l/2", 20), client.create("other", 30):
        assert client.describe("l/2").size_bytes == 20
        assert client.describe(id=client.describe("l/2").id).key == "l/2"
        assert [each.key for each in client.list("l/")] == ["l/1", "l/2"]
        assert [each.key for each in client.list()] == ["l/1", "l/2", "other"]
        assert client.list("none/") == []
    for wrong in ({}, {"key": "a", "id": 1}):
        with pytest.raises(TypeError):
            client.describe(**wrong)


def test_a_description_as_plain_values_has_the_names_of_the_interface(client):
    with client.create("a", 10, acl=[shmd.AclEntry("read", uid=1)]) as segment:
        plain = segment.info.to_dict()
        raw = client.call("io.shmd.Segments.Describe", {"key": "a"})["segment"]
        assert plain == {**raw, "attachments": 1}


def test_delete_frees_the_key_and_keeps_the_memory(client):
    segment = client.create("a", 10)
    segment[0] = 7
    client.delete("a")
    with client.create("a", 10) as other:
        assert other.id != segment.id and other[0] == 0
    assert segment[0] == 7 and segment.remap().state == "deleted"
    with client.open(id=segment.id) as again:
        assert again[0] == 7
    segment.close()
    with pytest.raises(shmd.NoSuchSegment):
        client.open(id=segment.id)
    other = client.create("b", 1)
    other.delete()
    other.close()


def test_attributes(client):
    with client.create("a", 10, labels={"x": "1", "y": "2"}) as segment:
        info = client.set_attributes("a", mode=0o644, labels={"z": "3"}, remove_labels=["x"], evictable=True)
        assert (info.mode, info.labels, info.evictable) == (0o644, {"y": "2", "z": "3"}, True)
        info = segment.set_attributes(lease=60, acl=[shmd.AclEntry("write", gid=5)])
        assert (info.lifetime, info.lease_usec, info.acl) == ("lease", 60_000_000, (shmd.AclEntry("write", gid=5),))
        before = info.expires_usec
        assert client.renew("a").expires_usec >= before and segment.renew().expires_usec >= before
        assert segment.set_attributes(acl=[]).acl == ()
        assert segment.set_attributes(lifetime="persistent").expires_usec is None
        with pytest.raises(TypeError):
            segment.set_attributes(remove_labels="x")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give segments away")
def test_a_segment_is_given_away(client):
    with client.create("a", 1):
        info = client.set_attributes("a", owner_uid=4242, owner_gid=4343)
        assert (info.owner_uid, info.owner_gid, info.creator_uid) == (4242, 4343, os.geteuid())


def test_lifetimes(client):
    client.create("attached", 1, lifetime="attached").close()
    assert client.list() == []
    with client.create("creator", 1, lifetime="creator") as segment:
        assert segment.info.lifetime == "creator"
    assert [each.key for each in client.list()] == ["creator"]


def test_publish_and_replace(client):
    with client.create("table", 4) as old, client.create("table", 4, staged=True) as new:
        old[:] = b"old."
        new[:] = b"new."
        with pytest.raises(shmd.SegmentExists):
            new.publish()
        assert new.key is None
        assert new.publish(replace=True).state == "live"
        assert new.key == "table"
        with client.open("table") as view:
            assert bytes(view) == b"new."
        assert bytes(old) == b"old." and old.remap().key is None
    with client.create(None, 1, staged=True) as named_late:
        assert named_late.publish("late").key == "late"


def test_wait_for_a_key(client):
    with pytest.raises(shmd.NoSuchSegment):
        client.open("soon", wait=0.01)
    with pytest.raises(TypeError):
        client.open(id=1, wait=1)
    opened = []
    with shmd.Client() as other, other.watch() as watch:
        assert watch.next().kind == "ready"
        waiting = threading.Thread(target=lambda: opened.append(client.open("soon", "write", wait=math.inf)))
        waiting.start()
        # Until it waits there is nothing to see of it but its connection.
        with shmd.Client(control=True) as control:
            wait_for_connections(control, 5)
        other.create("soon", 10).close()
        waiting.join(60)
        assert watch.next(60).kind == "created"
    assert opened[0].key == "soon" and not opened[0].readonly
    opened.pop().close()


def test_watch(client):
    client.create("w/old", 1).close()
    client.create("other", 1).close()
    with client.watch("w/") as watch:
        assert (lambda event: (event.kind, event.segment.key))(watch.next()) == ("present", "w/old")
        ready = watch.next()
        assert (ready.kind, ready.segment) == ("ready", None)
        assert watch.next(0) is None
        assert watch.next(timeout=0.01) is None
        segment = client.create("w/new", 1, staged=True, capacity=2)
        segment.publish()
        segment.resize(2)
        segment.set_attributes(labels={"a": "b"})
        segment.seal()
        segment.delete()
        segment.close()
        client.delete("w/old")
        kinds = []
        for event in watch:
            kinds.append(event.kind)
            if event.kind == "deleted" and event.segment.key == "w/old":
                break
        assert kinds[0] == "published"
        assert [kind for kind in kinds if kind not in ("attached", "detached")] == [
            "published", "resized", "changed", "sealed", "deleted", "deleted"]
        assert watch.fileno() >= 0
    assert list(watch) == []
    with pytest.raises(shmd.Closed):
        watch.next()


def test_a_watch_is_ended_by_another_thread(client):
    watch = client.watch()
    assert watch.next().kind == "ready"
    seen = []
    thread = threading.Thread(target=lambda: seen.extend(watch))
    thread.start()
    client.create("a", 1).close()
    client.delete("a")
    watch.close()
    thread.join(60)
    assert not thread.is_alive()


def test_a_watch_is_ended_while_it_waits(client):
    watch = client.watch()
    assert watch.next().kind == "ready"
    inbox = watch._connection._inbox
    read = inbox.read
    inbox.read = lambda source: watch.close() or read(source)
    assert list(watch) == []
    del inbox.read


def test_any_method_can_be_called(client, control):
    assert client.call("org.varlink.service.GetInfo")["product"] == "shmd"
    with client.create("a", 1):
        assert [each["segment"]["key"] for each in client.call_many("io.shmd.Segments.List")] == ["a"]
    assert control.call("io.shmd.Control.GetStatus")["pid"] > 0
    assert control.call("io.shmd.Control.Evict", {"bytes": 1})["segments"] == 0


def test_a_closed_client_makes_no_calls_and_its_segments_live_on(daemon):
    client = shmd.Client()
    segment = client.create("a", 10)
    client.close()
    client.close()
    for call in (client.list, lambda: client.open("a"), client.watch, client.watch_async):
        with pytest.raises(shmd.Closed):
            call()
    segment[0] = 1
    assert segment.remap().attachments == 1
    segment.close()
    assert "closed" in repr(client) and "closed" in repr(segment)


def test_a_client_that_is_closed_leaves_no_socket_though_an_exception_is_kept(daemon):
    before = open_descriptors()
    client = shmd.Client()
    with pytest.raises(shmd.NoSuchSegment) as kept:
        client.open("none")
    client.close()
    assert open_descriptors() == before
    assert kept.value.parameters == {"key": "none"}


def test_descriptors_are_not_leaked(client):
    client.create("a", 4096).close()
    before = sorted(os.listdir("/proc/self/fd"))
    for _ in range(2000):
        client.open("a").close()
        with contextlib.suppress(shmd.Error):
            client.open("none")
    assert sorted(os.listdir("/proc/self/fd")) == before
    assert client.describe("a").attachments == 0
