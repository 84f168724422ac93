"""What becomes of locks when their holders die, close, fork or are interrupted."""

import gc
import os
import signal
import sys
import threading
from functools import partial

import pytest

import shmd
from children import Child
from test_processes import in_child

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


HOLDER = """
with client.open("a", "write") as segment:
    with segment.{}() as held:
        say(held.owner_died)
        hear()
"""


@pytest.mark.parametrize("kind", EXCLUSIVE)
def test_the_next_holder_learns_of_a_death(segment, kind):
    again = getattr(segment, "write_lock" if kind == "write_lock" else "lock")
    with Child(HOLDER.format(kind)) as child:
        assert child.hear() == "False"
        assert not again().acquire(False)
        child.kill()
        with again() as held:
            assert held.owner_died
    with Child(HOLDER.format(kind)) as child:
        assert child.hear() == "True"  # nobody has called it consistent
    with again() as held:
        held.make_consistent()
        assert not held.owner_died
    with Child(HOLDER.format(kind)) as child:
        assert child.hear() == "False"


def test_readers_learn_of_a_death(segment):
    with Child(HOLDER.format("write_lock")) as child:
        assert child.hear() == "False"
    with segment.read_lock() as held:
        assert held.owner_died
        with pytest.raises(shmd.NotHeld):
            held.make_consistent()
    with segment.write_lock() as held:
        held.make_consistent()
    with segment.read_lock() as held:
        assert not held.owner_died


def test_a_dead_reader_blocks_no_writer(segment):
    with Child(HOLDER.format("read_lock")) as one, Child(HOLDER.format("read_lock")) as two:
        assert one.hear() == two.hear() == "False"
        one.kill()
        assert not segment.write_lock().acquire(False)  # the other one reads on
        two.kill()
        with segment.write_lock() as held:
            assert not held.owner_died


def test_a_waiter_goes_on_when_the_holder_dies(segment):
    for kind in ALL:
        with Child(HOLDER.format("write_lock" if "_lock" in kind else "lock")) as child:
            assert child.hear() == "False"
            taken = []

            def wait(kind=kind, taken=taken):
                with getattr(segment, kind)() as held:
                    taken.append(held.owner_died)
                if kind != "read_lock":
                    with getattr(segment, kind)() as held:
                        held.make_consistent()

            thread = threading.Thread(target=wait)
            thread.start()
            child.kill()
            thread.join(60)
            assert taken == [True]
        with segment.write_lock() as held:
            held.make_consistent()


def test_make_consistent_is_about_one_lock(segment):
    for kind in ("lock", "write_lock"):
        with Child(HOLDER.format(kind)) as child:
            assert child.hear() == "False"
    with segment.lock() as mutex, segment.write_lock() as writer:
        assert mutex.owner_died and writer.owner_died
        writer.make_consistent()
        assert mutex.owner_died and not writer.owner_died
        mutex.make_consistent()
    with segment.lock() as mutex:
        assert not mutex.owner_died
    with pytest.raises(shmd.NotHeld):
        mutex.make_consistent()


def test_what_an_administrator_has_taken_away(client, segment, control):
    with client.create("brief", 10) as brief:
        lock = brief.lock()
        assert lock.acquire()
        control.call("io.shmd.Control.Disconnect", {"pid": os.getpid()})
        with pytest.raises(shmd.Disconnected):
            brief.remap()
        with client.open("brief", "write") as again, again.lock() as held:
            assert held.owner_died
        with pytest.raises(shmd.NotHeld):
            lock.release()


WAITER = """
with client.open("a", "write") as segment:
    say("waits")
    try:
        with segment.lock():
            pass
    except shmd.Disconnected:
        say("disconnected")
"""


def test_who_waits_learns_that_its_grant_has_ended(client, segment, control):
    with Child(HOLDER.format("lock")) as holder:
        assert holder.hear() == "False"
        with Child(WAITER) as waiter:
            assert waiter.hear() == "waits"
            control.call("io.shmd.Control.Disconnect", {"pid": waiter.pid})
            assert waiter.hear() == "disconnected"


def test_closed(client, segment):
    closed = client.open("a", "write")
    lock = closed.lock()
    assert lock.acquire()
    closed.close()
    for use in (lock.acquire, lock.release, lambda: lock.__exit__(None, None, None), closed.lock, closed.notify,
                closed.snapshot, lambda: closed.version, lambda: closed.wait(0)):
        with pytest.raises(shmd.Closed):
            use()
    with segment.lock() as held:
        assert held.owner_died


def test_closed_while_there_are_views(client, segment):
    closed = client.open("a", "write")
    view = memoryview(closed)
    with closed.lock() as held:
        closed.close()
        with pytest.raises(shmd.Closed):
            held.acquire()
    with segment.lock() as held:
        assert not held.owner_died
    view.release()


def test_closed_while_a_thread_waits(client, segment):
    closed = client.open("a", "write")
    raised = []

    def wait():
        waiting.set()
        with pytest.raises(shmd.Closed) as error, closed.lock():
            pass
        raised.append(error)

    waiting = threading.Event()
    with segment.lock():
        thread = threading.Thread(target=wait)
        thread.start()
        waiting.wait()
        closed.close()
        thread.join(60)
    assert raised
    with segment.lock() as held:
        assert not held.owner_died


def test_a_dropped_holder(client, segment):
    lock = client.open("a", "write").lock()
    assert lock.acquire()
    lock._segment.lock_of_its_own = lock
    del lock
    gc.collect()
    with segment.lock() as held:
        assert held.owner_died


class Interruption(Exception):
    pass


@pytest.mark.parametrize("kind", [*ALL, "wait", "snapshot", "read_consistent", "next"])
def test_a_signal_handler_runs_in_the_middle_of_a_wait(segment, other, kind):
    main, handled, calls = threading.get_ident(), threading.Event(), []

    def handle(number, frame):
        calls.append(number)
        if len(calls) == 3:
            handled.set()
            raise Interruption

    def send():
        while not handled.wait(0.001):
            signal.pthread_kill(main, signal.SIGUSR1)

    segment._recover_locks = [].clear  # runs no Python code, in which handlers would be called as well
    before = signal.signal(signal.SIGUSR1, handle)
    thread = threading.Thread(target=send)
    try:
        with other.writing(), other.write_lock(), segment.notifications() as notifications, pytest.raises(Interruption):
            thread.start()
            if kind in ALL:
                with getattr(segment, kind)():
                    pass
            elif kind == "next":
                notifications.next()
            elif kind == "read_consistent":
                segment.read_consistent(bytes)
            else:
                getattr(segment, kind)()
    finally:
        handled.set()
        thread.join()
        signal.signal(signal.SIGUSR1, before)
    with segment.lock(0), segment.write_lock(0):
        pass


@pytest.mark.skipif(sys.version_info < (3, 10), reason="this interpreter loses any lock so")
@pytest.mark.parametrize("kind", ALL)
def test_interruptions_lose_no_lock(segment, other, kind):
    def interrupt(number, frame):
        raise Interruption

    assert segment.version == other.version == 0  # no call is made from here on
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        interrupted = 0
        while interrupted < 300:
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.0002)
                while True:
                    with getattr(segment, kind)():
                        pass
            except Interruption:
                interrupted += 1
            with other.lock(0), other.write_lock(0):
                pass
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_a_child_has_no_lock_of_its_parents(client, segment):
    untouched = client.open("a", "write")

    def child():
        for each in (segment, untouched):
            for call in (each.lock, each.read_lock, each.write_lock, each.writing, each.notify, each.wait, each.snapshot,
                         each.notifications, partial(getattr, each, "version")):
                with pytest.raises(shmd.Inherited):
                    call()
        for call in (held.release, held.acquire, held.make_consistent):
            with pytest.raises(shmd.Inherited):
                call()
        held.__exit__(None, None, None)
        with shmd.Client().open("a", "write") as own:
            assert not own.lock().acquire(False)
            with own.write_lock():
                pass

    with segment.lock() as held:
        in_child(child)
        with client.open("a", "write") as other:
            assert not other.lock().acquire(False)
    untouched.close()
