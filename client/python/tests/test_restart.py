"""Restarts of the daemon: under a service manager that keeps its segments, and without one."""

import gc
import threading

import pytest

import shmd
from conftest import wait_for_connections
from shmd import _connection


@pytest.fixture
def manager(start_daemon):
    return start_daemon()


@pytest.fixture
def client(manager):
    with shmd.Client(manager.socket) as made:
        yield made


def restart(manager):
    manager.kill()
    manager.start()


def test_an_open_segment_goes_on(manager, client):
    segment = client.create("a", 100, capacity=200)
    staged = client.create("b", 10, staged=True)
    segment[0] = 7
    attachment = segment.attachment
    for _ in range(3):
        restart(manager)
        assert segment[0] == 7
        assert segment.remap().attachments == 1 and segment.attachment == attachment
    restart(manager)
    assert segment.resize(200).size_bytes == 200
    restart(manager)
    assert staged.publish().key == "b"
    restart(manager)
    segment.seal()
    assert [each.sealed for each in client.list()] == [True, False]
    with client.open("a") as view:
        assert view[0] == 7
    segment.close()
    staged.close()
    assert [each.attachments for each in client.list()] == [0, 0]


def test_what_is_closed_while_there_is_no_daemon_has_ended_afterwards(manager, client):
    kept, closed, dropped = (client.create(None, 10) for _ in range(3))
    ids = [kept.id, closed.id, dropped.id]
    manager.kill()
    closed.close()
    del dropped
    gc.collect()
    manager.start()
    kept.remap()
    assert [client.describe(id=each).attachments for each in ids] == [1, 0, 0]
    kept.close()
    assert client.describe(id=ids[0]).attachments == 0


def test_the_last_one_that_is_closed_while_there_is_no_daemon(manager, client):
    segment = client.create("a", 10)
    manager.kill()
    segment.close()
    manager.start()
    with client.watch("a") as watch:
        present = watch.next()
        while present.segment.attachments:  # the end of the grant may be on its way still
            event = watch.next(60)
            assert event is not None
            if event.kind == "detached":
                break
    assert client.describe("a").attachments == 0


def test_one_that_is_dropped_while_there_is_no_daemon_ends_with_the_next_call(manager, client):
    segment = client.create("a", 10)
    manager.kill()
    del segment
    gc.collect()
    manager.start()
    client.list()
    assert client.describe("a").attachments == 0


def test_many_are_taken_up_in_several_calls(manager, client, monkeypatch):
    monkeypatch.setattr(_connection, "MAX_RESUMED", 7)
    segments = client.create_many([shmd.NewSegment(f"m/{number}", 1) for number in range(30)])
    restart(manager)
    assert all(each.remap().attachments == 1 for each in segments)
    for each in segments:
        each.close()
    assert {each.attachments for each in client.list()} == {0}


def test_segments_outlive_their_client_over_a_restart(manager, client):
    with shmd.Client(manager.socket) as brief:
        segment = brief.create("a", 10)
    restart(manager)
    assert segment.remap().attachments == 1
    segment.close()
    assert client.describe("a").attachments == 0


def test_a_call_waits_for_the_daemon(manager, client):
    client.create("a", 10).close()
    manager.kill()
    found = []
    thread = threading.Thread(target=lambda: found.append(client.describe("a")))
    thread.start()
    manager.start()
    thread.join(60)
    assert found[0].key == "a"


def test_a_wait_outlives_a_restart(manager, client):
    opened = []
    thread = threading.Thread(target=lambda: opened.append(client.open("late", wait=1000)))
    thread.start()
    with shmd.Client(manager.control_socket) as control:
        wait_for_connections(control, 3)
    restart(manager)
    with shmd.Client(manager.socket) as other:
        other.create("late", 10).close()
    thread.join(60)
    assert opened[0].key == "late"
    opened.pop().close()


def test_a_watch_ends(manager, client):
    with client.watch() as watch:
        assert watch.next().kind == "ready"
        restart(manager)
        with pytest.raises(shmd.Disconnected):
            watch.next()
        with pytest.raises(shmd.Disconnected):
            watch.next()
    with client.watch() as watch:
        assert watch.next().kind == "ready"


def test_threads_over_restarts(manager, client):
    segments = [client.create(f"t/{number}", 10) for number in range(8)]
    failures, ends = [], threading.Event()

    def work(segment):
        try:
            while not ends.is_set():
                try:
                    assert segment.remap().attachments == 1
                except shmd.Disconnected as error:
                    assert "open or create it again" not in str(error)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=[each]) for each in segments]
    for each in threads:
        each.start()
    for _ in range(5):
        restart(manager)
    ends.set()
    for each in threads:
        each.join(60)
    assert not failures
    for each in segments:
        each.close()
    assert {each.attachments for each in client.list()} == {0}


def test_without_a_store_segments_end_and_memory_stays(start_daemon):
    manager = start_daemon(store=0)
    with shmd.Client(manager.socket) as client:
        segment = client.create("a", 10)
        segment[0] = 7
        restart(manager)
        for call in (segment.remap, lambda: segment.resize(5)):
            with pytest.raises(shmd.Disconnected, match="open or create it again"):
                call()
        with pytest.raises(shmd.NoSuchSegment):
            client.open("a")
        segment[1] = 8
        assert bytes(segment[:2]) == b"\x07\x08"
        segment.close()
        client.create("a", 10).close()
