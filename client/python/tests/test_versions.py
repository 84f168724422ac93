"""Versions: notify and wait, between processes, by descriptor and in an event loop."""

import asyncio
import os
import select
import threading

import pytest

import shmd
from children import Child
from conftest import open_descriptors
from test_processes import in_child

pytestmark = [
    pytest.mark.skipif(shmd._locks._missing is not None, reason="the C part was not built"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning"),
]


@pytest.fixture
def segment(client):
    with client.create("a", 100) as made:
        yield made


@pytest.fixture
def view(client, segment):
    with client.open("a") as opened:
        yield opened


def test_versions_go_up(segment, view):
    assert segment.version == view.version == 0
    assert [segment.notify() for _ in range(3)] == [1, 2, 3]
    assert segment.version == view.version == 3
    for each in (segment, view):
        assert each.wait(0) == each.wait(2, 0) == each.wait(-1) == each.wait(after=0, timeout=100) == 3
        for timeout in (0, 0.001):
            for after in (None, 3, 4, 2**63, 2**64, 2**100):
                with pytest.raises(shmd.TimedOut, match="nobody has notified") as raised:
                    each.wait(after, timeout)
                assert isinstance(raised.value, TimeoutError)
    with pytest.raises(shmd.ReadOnly):
        view.notify()


PING = """
with client.open("a", {access!r}) as segment, client.open("b", "write") as other:
    version = 0
    say("ready")
    for turn in range(200):
        version = segment.wait(version)
        other[0] = segment[0]
        other.notify()
"""


@pytest.mark.parametrize("access", ["read", "write"])
def test_two_processes_take_turns(client, segment, access):
    with client.create("b", 1) as answers, Child(PING.format(access=access)) as child:
        assert child.hear() == "ready"
        for turn in range(200):
            segment[0] = turn
            segment.notify()
            assert answers.wait(turn) == turn + 1
            assert answers[0] == turn
        assert child.wait() == 0


def test_all_who_wait_are_woken(segment, view):
    came, waiting = [], threading.Barrier(7)

    def wait(each):
        waiting.wait()
        came.append(each.wait(0))

    threads = [threading.Thread(target=wait, args=[each]) for each in (segment, view) * 3]
    for each in threads:
        each.start()
    waiting.wait()
    segment.notify()
    for each in threads:
        each.join(60)
    assert came == [1] * 6


def test_who_waits_learns_that_its_grant_has_ended(client, view, control):
    program = """
with client.open("a") as segment:
    say("waits")
    try:
        segment.wait()
    except shmd.Disconnected:
        say("disconnected")
    with client.open("a") as segment, segment.notifications() as notifications:
        say("waits")
        for turn in range(2):
            try:
                notifications.next()
            except shmd.Disconnected:
                say("disconnected")
"""
    with Child(program) as child:
        assert child.hear() == "waits"
        control.call("io.shmd.Control.Disconnect", {"pid": child.pid})
        assert child.hear() == "disconnected"
        assert child.hear() == "waits"
        control.call("io.shmd.Control.Disconnect", {"pid": child.pid})
        assert [child.hear() for _ in range(2)] == ["disconnected"] * 2


def test_a_descriptor(segment, view):
    with view.notifications() as one, segment.notifications(0) as two:
        assert not select.select([one, two], [], [], 0)[0]
        for turn in range(1, 4):
            assert segment.notify() == turn
            for each in (one, two):
                assert select.select([each], [], [], 60)[0] == [each]
                assert each.next(0) == turn and each.next(0) is None
        segment.notify()
        segment.notify()
        latest = one.next()
        assert latest == 5 or one.next() == 5
    for each in (one, two):
        each.close()
        for call in (each.next, each.fileno):
            with pytest.raises(shmd.Closed):
                call()
    with segment.notifications(4) as late:
        assert late.next() == 5 and late.next(0.001) is None
    for after in (2**64, 2**100):
        with segment.notifications(after) as never:
            assert never.next(0) is None
    with pytest.raises(ValueError):
        segment.notifications(-1)


def test_epoll(segment):
    with segment.notifications() as notifications, select.epoll() as epoll:
        epoll.register(notifications, select.EPOLLIN)
        assert epoll.poll(0) == []
        segment.notify()
        assert epoll.poll(60) == [(notifications.fileno(), select.EPOLLIN)]


def test_iterating_ends_when_it_is_closed(segment):
    notifications = segment.notifications()
    came = []

    def iterate():
        for version in notifications:
            came.append(version)
            if version == 3:
                threading.Thread(target=notifications.close).start()

    thread = threading.Thread(target=iterate)
    thread.start()
    for _ in range(3):
        segment.notify()
    thread.join(60)
    assert not thread.is_alive() and came[-1] == 3 and came == sorted(set(came))


def test_notifications_of_a_segment_that_is_closed(client):
    segment = client.create("b", 1)
    with segment.notifications() as notifications:
        segment.close()
        for _ in range(2):
            with pytest.raises(shmd.Closed):
                notifications.next()
        with pytest.raises(shmd.Closed):
            next(iter(notifications))


def test_notifications_that_are_dropped(segment):
    before = open_descriptors()
    dropped = segment.notifications()
    assert len(open_descriptors()) == len(before) + 1
    del dropped
    assert open_descriptors() == before


def test_notifications_in_a_child(segment):
    with segment.notifications() as notifications:
        number = notifications.fileno()

        def child():
            for call in (notifications.next, notifications.fileno):
                with pytest.raises(shmd.Inherited):
                    call()
            with pytest.raises(OSError):
                os.fstat(number)
            notifications.close()

        in_child(child)
        segment.notify()
        assert notifications.next() == 1


def test_asyncio_waits(segment, view):
    async def main():
        for each in (segment, view):
            before = each.version
            waits = [asyncio.ensure_future(each.wait_async(timeout=timeout)) for timeout in (None, 100)]
            for _ in range(3):
                await asyncio.sleep(0)
            assert not any(wait.done() for wait in waits)
            while not all(wait.done() for wait in waits):
                segment.notify()
                await asyncio.sleep(0)
            assert all(wait.result() > before for wait in waits)
        version = view.version
        assert await view.wait_async(0) == version
        for timeout in (0, 0.01):
            with pytest.raises(shmd.TimedOut):
                await view.wait_async(timeout=timeout)
        cancelled = asyncio.ensure_future(view.wait_async())
        await asyncio.sleep(0)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled

    asyncio.run(main())


def test_asyncio_iterates(segment, view):
    async def main():
        came = []
        notifications = view.notifications()

        async def iterate():
            async for version in notifications:
                came.append(version)

        task = asyncio.ensure_future(iterate())
        while len(came) < 5:
            segment.notify()
            await asyncio.sleep(0)
        notifications.close()
        await asyncio.wait_for(task, 60)
        assert came == sorted(set(came))

        readable = asyncio.Event()
        with view.notifications() as again:
            asyncio.get_running_loop().add_reader(again, readable.set)
            segment.notify()
            await asyncio.wait_for(readable.wait(), 60)
            asyncio.get_running_loop().remove_reader(again)
            assert again.next(0) == view.version

    asyncio.run(main())


def test_asyncio_locks(client, segment):
    with client.open("a", "write") as other:

        async def take(turns):
            for _ in range(turns):
                async with segment.lock() as held:
                    assert not held.owner_died
                    number = segment[0]
                    await asyncio.sleep(0)
                    segment[0] = number + 1

        async def main():
            await asyncio.gather(*(take(20) for _ in range(5)))
            assert segment[0] == 100
            for kind in ("lock", "write_lock", "read_lock", "writing"):
                with other.lock(), other.write_lock():
                    for timeout in (0, 0.01):
                        with pytest.raises(shmd.TimedOut):
                            async with getattr(segment, kind)(timeout):
                                pass
                    waiting = asyncio.ensure_future(getattr(segment, kind)().__aenter__())
                    await asyncio.sleep(0)
                    cancelled = asyncio.ensure_future(getattr(segment, kind)().__aenter__())
                    await asyncio.sleep(0)
                    cancelled.cancel()
                    with pytest.raises(asyncio.CancelledError):
                        await cancelled
                (await waiting).release()
                async with other.lock(60), other.write_lock(60):  # who was cancelled holds it no more, soon
                    pass

        asyncio.run(main())
    with client.open("a") as view:

        async def refused():
            async with view.lock():
                pass

        with pytest.raises(shmd.ReadOnly):
            asyncio.run(refused())


def test_asyncio_tells_of_the_end(client, segment):
    async def main():
        closed = client.open("a", "write")
        with segment.lock():
            waiting = asyncio.ensure_future(closed.lock().__aenter__())
            await asyncio.sleep(0)
            closed.close()
            with pytest.raises(shmd.Closed):
                await waiting

    asyncio.run(main())
