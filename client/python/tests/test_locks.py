"""Locks between threads and processes."""

import errno
import json
import os
import struct
import threading
import time

import pytest

import shmd
from children import Child
from conftest import ROOT
from fake_daemon import FakeDaemon, memory, reply

pytestmark = [
    pytest.mark.skipif(shmd._locks._missing is not None, reason="the C part was not built"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning"),
]

EXCLUSIVE = ["lock", "write_lock", "writing"]
ALL = [*EXCLUSIVE, "read_lock"]


@pytest.fixture
def segment(client):
    with client.create("a", 100) as made:
        yield made


@pytest.fixture
def other(client, segment):
    """Another grant of the same segment, as another process has it."""
    with client.open("a", "write") as opened:
        yield opened


def increase(segment, kind, turns):
    for _ in range(turns):
        with getattr(segment, kind)():
            number = struct.unpack_from("<q", segment)[0]
            time.sleep(0)
            struct.pack_into("<q", segment, 0, number + 1)


@pytest.mark.parametrize("kind", EXCLUSIVE)
def test_threads_exclude_each_other(client, segment, kind):
    failures = []
    grants = [segment, segment, client.open("a", "write"), client.open("a", "write")]

    def work(grant):
        try:
            increase(grant, kind, 500)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=[each]) for each in grants]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert not failures
    assert struct.unpack_from("<q", segment)[0] == 2000
    for each in grants[2:]:
        each.close()


@pytest.mark.parametrize("kind", EXCLUSIVE)
def test_processes_exclude_each_other(segment, kind):
    program = f"""
import struct
with client.open("a", "write") as segment:
    say("ready")
    hear()
    for _ in range(2000):
        with segment.{kind}():
            struct.pack_into("<q", segment, 0, struct.unpack_from("<q", segment)[0] + 1)
"""
    with Child(program) as one, Child(program) as two:
        for each in (one, two):
            assert each.hear() == "ready"
        for each in (one, two):
            each.say()
        increase(segment, kind, 500)
        assert [one.wait(), two.wait()] == [0, 0]
    assert struct.unpack_from("<q", segment)[0] == 4500


def test_the_mutex_and_the_readers_writer_lock_are_two(segment, other):
    with segment.lock(), other.write_lock(0), pytest.raises(shmd.TimedOut), other.lock(0):
        pass
    with segment.writing(), pytest.raises(shmd.TimedOut), other.lock(0):
        pass


def test_readers_share_and_a_writer_is_alone(segment, other):
    with segment.read_lock(), other.read_lock(0):
        with pytest.raises(shmd.TimedOut), segment_of(other).write_lock(0):
            pass
        with pytest.raises(shmd.TimedOut), segment_of(other).write_lock(0.01):
            pass
    with segment.write_lock(0):
        for kind in ("read_lock", "write_lock"):
            with pytest.raises(shmd.TimedOut), getattr(other, kind)(0):
                pass


def segment_of(segment):
    """Not of this thread's: it has a grant of its own."""
    return shmd.Client(segment._grant.connection.path).open(id=segment.id, access="write")


@pytest.mark.parametrize("kind", ALL)
def test_in_the_style_of_threading(segment, other, kind):
    lock = getattr(segment, kind)()
    against = other.write_lock() if "_lock" in kind else other.lock()
    assert lock.acquire()
    assert not against.acquire(blocking=False) and not against.acquire(timeout=0) and not against.acquire(True, 0.01)
    lock.release()
    assert against.acquire(False)
    against.release()
    assert lock.acquire(timeout=0)
    lock.release()
    with lock as held:
        assert held is lock and not held.owner_died
    with pytest.raises(shmd.NotHeld) as raised:
        lock.release()
    assert isinstance(raised.value, RuntimeError) and isinstance(raised.value, OSError)
    assert "segment 'a'" in str(raised.value) and "key='a'" in repr(lock)


def test_it_is_given_back_after_an_exception(segment, other):
    for kind in ALL:
        with pytest.raises(KeyError), getattr(segment, kind)():
            raise KeyError
        with other.lock(0), other.write_lock(0):
            pass


def test_a_threading_condition_takes_it(segment):
    condition = threading.Condition(segment.lock())
    heard = []

    def listen():
        with condition:
            heard.append(1)
            condition.notify()
            condition.wait_for(lambda: len(heard) == 2)

    thread = threading.Thread(target=listen)
    with condition:
        thread.start()
        condition.wait_for(lambda: heard)
        heard.append(2)
        condition.notify()
    thread.join(60)
    assert not thread.is_alive()


def test_a_thread_does_not_wait_for_itself(segment):
    for outer, inner in [("lock", "lock"), ("lock", "writing"), ("writing", "lock"), ("read_lock", "read_lock"),
                         ("read_lock", "write_lock"), ("write_lock", "read_lock"), ("write_lock", "write_lock")]:
        with getattr(segment, outer)():
            with pytest.raises(shmd.Deadlock), getattr(segment, inner)():
                pass
            with pytest.raises(shmd.Deadlock), getattr(segment, inner)(100):
                pass
            assert not getattr(segment, inner)().acquire(False)
        with getattr(segment, inner)():
            pass


def test_another_thread_may_give_it_back(segment):
    for kind in ALL:
        lock = getattr(segment, kind)()
        thread = threading.Thread(target=lock.acquire)
        thread.start()
        thread.join()
        lock.release()
        with lock:
            pass


def test_threads_read_by_one_segment(segment):
    inside = threading.Barrier(4)

    def read():
        with segment.read_lock():
            inside.wait(60)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert not inside.broken
    with segment.write_lock(0):
        pass


def test_timeouts(segment, other):
    for kind in ALL:
        with segment.lock(), segment.write_lock(), pytest.raises(TimeoutError) as raised, getattr(other, kind)(0.001):
            pass
        assert isinstance(raised.value, shmd.TimedOut) and "somebody else has held the lock" in str(raised.value)
    with pytest.raises(ValueError):
        segment.lock(float("nan"))


def test_segments_that_are_open_for_reading(client, segment):
    with client.open("a") as view:
        for kind in ALL:
            with pytest.raises(shmd.ReadOnly), getattr(view, kind)():
                pass
    with client.create("b", 1) as sealed:
        lock = sealed.lock()
        with lock, pytest.raises(shmd.SegmentBusy, match="holds a lock"):
            sealed.seal()
        with sealed.read_lock(), pytest.raises(shmd.SegmentBusy):
            sealed.seal()
        sealed.seal()
        with pytest.raises(shmd.ReadOnly):
            lock.acquire()
        with pytest.raises(shmd.ReadOnly):
            sealed.lock()


def test_a_lock_from_before_a_seal_that_failed(segment, other):
    lock = segment.lock()
    with pytest.raises(shmd.SegmentBusy):
        segment.seal()
    with pytest.raises(shmd.Closed, match="ask for it again"):
        lock.acquire()
    with segment.lock():
        assert not other.lock().acquire(False)


def work(segment, turns):
    increase(segment, "lock", turns)


@pytest.mark.parametrize("method", ["spawn", "fork", "forkserver"])
def test_processes_of_multiprocessing(segment, method):
    import multiprocessing

    context = multiprocessing.get_context(method)
    with context.Pool(2) as pool:
        pool.starmap(work, [(segment, 100)] * 4)
        pool.close()
        pool.join()
    assert struct.unpack_from("<q", segment)[0] == 400


def test_a_daemon_without_locks(client, segment, monkeypatch):
    """One that is older, or a package without its C part."""
    with monkeypatch.context() as patch:
        patch.setattr(shmd._locks, "SEGMENTS", "io.shmd.Elder.")
        with pytest.raises(shmd.NotSupported):
            segment.lock()
    with monkeypatch.context() as patch:
        patch.setattr(shmd._locks, "_missing", "No module named 'shmd._sync'")
        with pytest.raises(shmd.Error, match="gcc and python3-dev") as raised:
            segment.lock()
    assert type(raised.value) is shmd.Error


GRANT = json.loads((ROOT / "protocol" / "vectors" / "client" / "grant.json").read_text())["reply"]


def test_areas_that_are_none():
    areas = []

    def answer(call, connection):
        if call.get("oneway"):
            return
        if call["method"].endswith("OpenSyncArea"):
            descriptors = [areas.pop()]
            reply(connection, json.dumps({"parameters": {"fileDescriptor": 0}}), descriptors)
        elif call["method"].endswith("Resume"):
            reply(connection, json.dumps({"parameters": {"attachments": call["parameters"]["attachments"]}}))
            return
        else:
            descriptors = [memory(4097)]
            reply(connection, json.dumps(GRANT), descriptors)
        for each in descriptors:
            os.close(each)

    with FakeDaemon(answer) as fake, shmd.Client(fake.path) as client, client.create("a", 4097) as segment:
        for descriptor in (memory(100), memory(4097), os.open("/dev/null", os.O_RDWR)):
            areas.append(descriptor)
            with pytest.raises(shmd.ProtocolError, match="not a sync area"):
                segment.lock()
        shrinks = os.memfd_create("shrinks")
        os.ftruncate(shrinks, 4096)
        areas.append(shrinks)
        with pytest.raises(shmd.ProtocolError, match="may shrink"):
            segment.lock()
        areas.append(memory(4096))  # all of it is 0
        with pytest.raises(shmd.Error, match="format 0, which this version does not know") as raised:
            segment.lock()
        assert raised.value.errno == errno.ENOTSUP
