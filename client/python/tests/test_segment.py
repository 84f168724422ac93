"""The memory of a segment: views, read-only ones, and what becomes of them at the end."""

import gc
import io
import pathlib
import struct
import threading

import pytest

import shmd
from shmd._connection import Connection


@pytest.fixture
def segment(client):
    with client.create("a", 5000, capacity=10000) as made:
        yield made


def test_it_has_the_buffer_protocol(segment):
    segment[:3] = b"abc"
    view = memoryview(segment)
    assert (view.nbytes, view.readonly, view.format, view.shape) == (5000, False, "B", (5000,))
    view[0] = ord("x")
    assert bytes(segment)[:3] == bytearray(segment)[:3] == b"xbc"
    struct.pack_into("<I", segment, 8, 0xDEADBEEF)
    assert struct.unpack_from("<I", segment, 8) == (0xDEADBEEF,)
    assert io.BytesIO(b"file").readinto(segment) == 4
    assert bytes(segment[:4]) == b"file"
    assert b"".join([memoryview(segment)[:2], b"le"]) == b"file"[:2] + b"le"
    del view


def test_it_is_indexed_as_a_memoryview_is(segment):
    segment[4999] = 9
    assert segment[-1] == segment[4999] == 9
    assert isinstance(segment[1:3], memoryview) and segment[1:3].nbytes == 2
    assert len(segment) == 5000 and sum(segment) == 9
    for wrong in (5000, -5001):
        with pytest.raises(IndexError):
            segment[wrong]
    with pytest.raises(ValueError):
        segment[4998:] = b"abc"
    with pytest.raises(ValueError):
        segment[0] = 256


def test_what_is_above_its_size_is_not_handed_out(segment):
    assert memoryview(segment).nbytes == segment.buf.nbytes == 5000


def test_what_was_opened_for_reading_raises_on_writes(client, segment):
    with client.open("a") as view:
        assert view.readonly and view.access == "read"
        with pytest.raises(shmd.ReadOnly):
            view[0] = 1
        with pytest.raises(TypeError):
            view[0:1] = b"x"
        for buffer in (view.buf, memoryview(view), view[0:10]):
            assert buffer.readonly
            with pytest.raises(TypeError):
                buffer[0] = 1
        with pytest.raises(TypeError):
            struct.pack_into("B", view, 0, 1)
        with pytest.raises(TypeError):
            io.BytesIO(b"x").readinto(view)
        with pytest.raises(shmd.Error):
            client.open("a", "write", sealed=True)
        segment[0] = 5
        assert view[0] == 5
        del buffer


def test_nothing_touches_what_is_closed(client):
    segment = client.create("a", 100)
    buf = segment.buf
    segment.close()
    segment.close()
    assert segment.closed and isinstance(segment, shmd.Segment)
    for touch in (lambda: segment[0], lambda: segment.buf, lambda: memoryview(segment), lambda: bytes(segment),
                  lambda: len(segment), lambda: bytearray(segment), lambda: next(iter(segment)), lambda: buf[0],
                  lambda: segment.__setitem__(0, 1), segment.remap, segment.seal, segment.ndarray,
                  lambda: struct.unpack_from("B", segment)):
        with pytest.raises(ValueError):
            touch()
    assert segment.size == 100 and segment.key == "a"


def test_views_that_are_left_keep_the_memory_and_its_grant(client):
    segment = client.create("a", 100)
    view = segment[10:20]
    whole = memoryview(segment)
    segment.close()
    view[0] = 7
    assert whole[10] == 7
    assert client.describe("a").attachments == 1
    view.release()
    assert client.describe("a").attachments == 1
    del whole, segment
    assert client.describe("a").attachments == 0


def test_a_view_of_buf_keeps_the_memory(client):
    segment = client.create("a", 100)
    view = memoryview(segment.buf)
    parts = segment.buf[3:5]
    view[3] = 1
    segment.close()
    assert view[3] == parts[0] == 1
    view.release()
    del parts
    assert client.describe("a").attachments == 0


def test_what_is_dropped_is_given_back(client):
    segment = client.create("a", 100)
    assert client.describe("a").attachments == 1
    del segment
    gc.collect()
    assert client.describe("a").attachments == 0


@pytest.mark.parametrize("drop", [False, True])
def test_it_is_unmapped_before_its_grant_ends(client, monkeypatch, drop):
    def mapped():
        return pathlib.Path("/proc/self/maps").read_text().count("/memfd:")

    client.create("a", 100).close()
    seen = []
    release = Connection.release
    monkeypatch.setattr(Connection, "release", lambda *given: seen.append(mapped()) or release(*given))
    before = mapped()
    segment = client.open("a")
    assert mapped() == before + 1
    if drop:
        del segment
        gc.collect()
    else:
        segment.close()
    assert seen == [before]


def test_a_finalizer_in_the_middle_of_a_call_does_not_block(client):
    """The grant of what is collected while this thread sends is told by whoever is sending."""
    segment = client.create("a", 1)
    connection = client._connection()
    with connection._send_lock:
        del segment
        gc.collect()
        assert connection._released
    assert client.describe("a").attachments == 0
    assert not connection._released


def test_resize_within_the_capacity(client, segment):
    neighbour = shmd.Client()
    other = neighbour.open("a")
    old = memoryview(segment)
    segment[4999] = 1
    assert segment.resize(8000).size_bytes == 8000
    assert len(segment) == len(memoryview(segment)) == 8000 and segment[4999] == 1 and segment[7999] == 0
    segment[7999] = 2
    assert old.nbytes == 5000 and old[4999] == 1
    assert other.size == 5000
    with pytest.raises(IndexError):
        other[7999]
    other.remap()
    assert other.size == 8000 and other[7999] == 2
    with pytest.raises(shmd.SegmentBusy) as raised:
        segment.resize(100)
    assert raised.value.parameters["holders"][0]["attachment"]
    del old
    other.close()
    neighbour.list()  # the daemon has heard of the end of the grant then
    neighbour.close()
    assert client.describe("a").attachments == 1
    with pytest.raises(shmd.CapacityExceeded):
        segment.resize(10001)
    assert client.resize("a", 10000).size_bytes == 10000
    assert segment.size == 8000
    segment.remap()
    assert segment.size == 10000


def test_seal_makes_it_read_only_for_ever(client, segment):
    segment[:4] = b"fact"
    view = segment[:2]
    with pytest.raises(BufferError):
        segment.seal()
    assert client.describe("a").attachments == 1
    segment[0] = ord("F")
    assert view[0] == ord("F")
    view.release()
    with pytest.raises(shmd.NotSealed):
        client.open("a", sealed=True)
    assert segment.seal().sealed
    assert segment.readonly and memoryview(segment).readonly and bytes(segment[:4]) == b"Fact"
    with pytest.raises(shmd.ReadOnly):
        segment[0] = 1
    with client.open("a", sealed=True) as sealed:
        assert sealed.buf.readonly and bytes(sealed[:4]) == b"Fact"
    with pytest.raises(shmd.SegmentSealed):
        client.open("a", "write")
    assert segment.seal().sealed
    assert client.seal("a").sealed
    assert client.describe("a").attachments == 1


def test_a_seal_that_somebody_is_in_the_way_of_leaves_it_as_it_was(client, segment):
    with client.open("a", "write") as other:
        with pytest.raises(shmd.SegmentBusy) as raised:
            segment.seal()
        holders = raised.value.parameters["holders"]
        assert [each["attachment"] for each in holders] == [other.attachment]
        segment[0] = 9
        assert other[0] == 9 and not segment.readonly
        assert client.describe("a").attachments == 2


def test_a_segment_that_cannot_be_sealed(client):
    with client.create("b", 1, sealable=False) as segment:
        with pytest.raises(shmd.NotSealable):
            segment.seal()
        segment[0] = 1


def test_grants_end_in_another_thread(client):
    segments = [client.create(None, 10) for _ in range(50)]
    ids = [each.id for each in segments]
    threads = [threading.Thread(target=each.close) for each in segments]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert [client.describe(id=each).attachments for each in ids] == [0] * 50
