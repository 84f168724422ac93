"""Waits and watches for asyncio."""

import asyncio

import pytest

import shmd


async def connections(control, count):
    """Until the daemon has so many."""
    while control.call("io.shmd.Control.GetStatus")["connections"] != count:
        await asyncio.sleep(0)


def test_open_waits_without_holding_up_the_loop(client, control):
    async def main():
        await connections(control, 2)
        waits = [asyncio.ensure_future(client.open_async("late", wait=1000)) for _ in range(3)]
        await connections(control, 5)
        assert not any(each.done() for each in waits)
        client.create("late", 10).close()
        segments = await asyncio.gather(*waits)
        assert [each.key for each in segments] == ["late"] * 3
        for each in segments:
            each.close()
        with await client.open_async("late", "write") as segment:
            segment[0] = 1
        with pytest.raises(shmd.NoSuchSegment):
            await client.open_async("none")
        with pytest.raises(shmd.NoSuchSegment):
            await client.open_async("none", wait=0.01)
        with pytest.raises(shmd.NotSealed):
            await client.open_async("late", wait=1, sealed=True)

    asyncio.run(main())


def test_a_wait_is_cancelled(client, control):
    async def main():
        await connections(control, 2)
        wait = asyncio.ensure_future(client.open_async("never", wait=1000))
        await connections(control, 3)
        wait.cancel()
        with pytest.raises(asyncio.CancelledError):
            await wait
        del wait
        await connections(control, 2)

    asyncio.run(main())


def test_watch(client):
    client.create("w/old", 1).close()

    async def change():
        client.create("w/new", 1).close()
        client.delete("w/new")

    async def main():
        seen = []
        async with client.watch_async("w/") as watch:
            async for event in watch:
                seen.append((event.kind, event.segment.key if event.segment else None))
                if event.kind == "ready":
                    changing = asyncio.ensure_future(change())
                if event.kind == "deleted":
                    break
            await changing
        assert seen[:2] == [("present", "w/old"), ("ready", None)]
        assert [each for each in seen[2:] if each[0] not in ("attached", "detached")] == [
            ("created", "w/new"), ("deleted", "w/new")]
        assert [event async for event in watch] == []
        with pytest.raises(shmd.Closed):
            await watch.next()

    asyncio.run(main())


def test_a_watch_whose_next_event_does_not_come_in_time(client):
    async def main():
        async with client.watch_async() as watch:
            assert (await watch.next()).kind == "ready"
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(watch.next(), 0.01)
            client.create("a", 1).close()
            assert (await watch.next()).kind == "created"

    asyncio.run(main())


def test_a_watch_of_a_daemon_that_goes(start_daemon):
    manager = start_daemon()

    async def main():
        with shmd.Client(manager.socket) as client:
            async with client.watch_async() as watch:
                assert (await watch.next()).kind == "ready"
                manager.stop()
                with pytest.raises(shmd.Disconnected):
                    await watch.next()

    asyncio.run(main())
