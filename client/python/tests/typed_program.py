"""A program as users write it, for mypy --strict: it is not run."""

import asyncio
import math
from datetime import timedelta
from typing import List, Optional, Union

import shmd
from shmd import ring


def use(client: shmd.Client) -> None:
    segment: shmd.Segment = client.create("a", 100, mode=0o640, create_mode="any", lease=timedelta(hours=1), labels={"a": "b"},
                                          acl=[shmd.AclEntry("read", uid=1)])
    segment[:3] = b"abc"
    first: int = segment[0]
    part: memoryview = segment[1:3]
    info: shmd.SegmentInfo = segment.resize(50)
    key: Optional[str] = info.key
    opened: List[Union[shmd.Segment, shmd.Error]] = client.open_many(["a", 0xFF3], "write")
    with client.open("a", wait=math.inf, sealed=True) as view, client.watch() as watch:
        bytes(view)
        print(first, part, key, opened, view.ndarray("f8", (1, 2)).sum())
        for event in watch:
            if event.kind == "ready" and event.segment is None:
                break


def use_locks(segment: shmd.Segment) -> None:
    with segment.lock(timeout=timedelta(seconds=1)) as held:
        died: bool = held.owner_died
        held.make_consistent()
    lock: shmd.Lock = segment.write_lock()
    if lock.acquire(timeout=0.5) or lock.acquire(False):
        lock.release()
    with segment.read_lock(), segment.writing(math.inf):
        copy: bytes = segment.snapshot(1, 2, timeout=3)
    total: int = segment.read_consistent(lambda memory: memory[0] + 1)
    version: int = segment.notify() + segment.version + segment.wait(0, timeout=1)
    with segment.notifications(version) as notifications:
        new: Optional[int] = notifications.next(0)
        for version in notifications:
            print(died, copy, total, version, new, notifications.fileno())


async def use_async_locks(segment: shmd.Segment) -> None:
    async with segment.lock() as held:
        print(held.owner_died, await segment.wait_async(timeout=1) + 1)
    async for version in segment.notifications():
        print(version + 1)


async def use_asyncio(client: shmd.Client) -> None:
    segment: shmd.Segment = await client.open_async("a", wait=1.5)
    async with client.watch_async() as watch:
        async for event in watch:
            print(event.kind, segment.size)


def replace_the_standard_library() -> None:
    block = shmd.SharedMemory(create=True, size=10)
    buf: memoryview = block.buf
    items: "shmd.ShareableList[int]" = shmd.ShareableList([1, 2])
    number: int = items[0] + items.count(1)
    print(buf, number)


try:
    with shmd.Client() as a_client:
        use(a_client)
        use_locks(a_client.open("a", "write"))
        asyncio.run(use_async_locks(a_client.open("a", "write")))
        asyncio.run(use_asyncio(a_client))
except shmd.SegmentExists as error:
    print(error.name, error.parameters["key"], error.errno)


def use_ring(segment: shmd.Segment, view: shmd.Segment) -> None:
    with ring.Producer(segment, shared=True, timeout=timedelta(seconds=1)) as producer:
        producer.push(bytearray(producer.max_record_size))
        with producer.batch():
            place: memoryview = producer.reserve(8)
            place[:] = bytes(8)
            producer.commit(4)
    with ring.Consumer(view, "newest") as consumer:
        record: Optional[ring.Record] = consumer.next(timeout=0.5)
        in_place: Optional[ring.RecordView] = consumer.peek()
        if consumer.wait(0) and record is not None and in_place is not None and consumer.advance():
            data: bytes = record.data
            print(data, in_place.data, record.sequence + record.lost)
        consumer.seek("oldest")
        for each in consumer:
            print(each.data)
