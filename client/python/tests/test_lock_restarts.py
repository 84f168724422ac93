"""Locks and versions over restarts of the daemon."""

import threading

import pytest

import shmd
from children import Child

pytestmark = pytest.mark.skipif(shmd._locks._missing is not None, reason="the C part was not built")

HOLDER = """
with client.open("a", "write") as segment:
    with segment.{}():
        say("holds")
        hear()
"""


def begin(start_daemon, monkeypatch, store):
    manager = start_daemon(store=store)
    monkeypatch.setenv("SHMD_SOCKET", manager.socket)
    return manager


@pytest.fixture
def manager(start_daemon, monkeypatch):
    return begin(start_daemon, monkeypatch, 4096)


@pytest.fixture
def segment(manager):
    with shmd.Client() as client, client.create("a", 10) as made:
        yield made


def restart(manager):
    manager.kill()
    manager.start()


def test_what_is_held_stays_held(manager, segment):
    with Child(HOLDER.format("lock")) as child:
        assert child.hear() == "holds"
        with segment.write_lock() as held:
            for _ in range(2):
                restart(manager)
                assert not segment.lock().acquire(False)
                assert segment.remap().key == "a"
                with shmd.Client() as late, late.open("a", "write") as other:
                    assert not other.lock().acquire(False) and not other.read_lock().acquire(False)
            assert not held.owner_died
        child.say()
        with segment.lock() as held:
            assert not held.owner_died
        assert child.wait() == 0


def test_who_waits_outlives_it(manager, segment):
    asked, came = threading.Event(), []
    ask = segment._recover_locks

    def recover():
        ask()
        asked.set()

    segment._recover_locks = recover

    def wait():
        with segment.lock():
            came.append(segment.wait(0))

    with Child(HOLDER.format("lock")) as child:
        assert child.hear() == "holds"
        thread = threading.Thread(target=wait)
        thread.start()
        for _ in range(2):
            restart(manager)
            asked.clear()
            assert asked.wait(60)  # of the daemon that is there now
        child.say()
        assert child.wait() == 0
    restart(manager)
    with shmd.Client() as client, client.open("a", "write") as other:
        other.notify()
    thread.join(60)
    assert came == [1]


@pytest.mark.parametrize("kind", ["lock", "write_lock", "read_lock"])
def test_who_dies_while_there_is_no_daemon(manager, segment, kind):
    with Child(HOLDER.format(kind)) as child:
        assert child.hear() == "holds"
        manager.kill()
        child.kill()
        manager.start()
        with segment.lock() as mutex, segment.write_lock() as writer:
            assert [mutex.owner_died, writer.owner_died] == [kind == "lock", kind == "write_lock"]


def test_where_nothing_is_kept_who_waits_learns_of_it(start_daemon, monkeypatch):
    manager = begin(start_daemon, monkeypatch, 0)
    with shmd.Client() as client, client.create("a", 10) as segment, client.open("a", "write") as other, other.lock(), \
            segment.notifications() as notifications:
        restart(manager)
        for call in (segment.lock().__enter__, segment.wait, notifications.next):
            with pytest.raises(shmd.Disconnected, match="open or create it again"):
                call()
