"""Grants that end without a message: nobody is told of one that has ended, whatever becomes of the queue."""

import json
import mmap
import os
import struct
import threading

import pytest

import fake_daemon
import shmd
from conftest import ROOT
from shmd import _connection, _queue

GRANT = json.loads((ROOT / "protocol" / "vectors" / "client" / "grant.json").read_text())["reply"]
PLACES = 64

needs_queue = pytest.mark.skipif(not _queue.AVAILABLE, reason="the C part of this package is not there")


def warm_up(client, key="a"):
    """The connection has a queue from here on."""
    for _ in range(_connection.ENDS_BEFORE_QUEUE + 1):
        client.open(key).close()
    connection = client._connection()
    assert (connection._queue is not None) == _queue.AVAILABLE
    return connection


@pytest.fixture
def asking(daemon):
    with shmd.Client() as made:
        yield made


@pytest.fixture
def warm(client):
    client.create("a", 100).close()
    warm_up(client)
    return client


def test_who_asks_is_told_of_no_grant_that_has_ended(warm, asking, control):
    for _ in range(100):
        one, two = warm.open("a"), warm.open("a", "write")
        assert asking.describe("a").attachments == 2
        one.close()
        assert asking.describe("a").attachments == 1
        two.close()
        assert [each.attachments for each in asking.list()] == [0]
        warm.open("a").close()
        assert control.call("io.shmd.Control.GetStatus")["attachments"] == 0
        warm.open("a").close()
        with asking.open("a") as opened:
            assert opened.info.attachments == 1


def test_more_ends_than_the_queue_has_places(warm):
    opened = warm.open_many(["a"] * (3 * PLACES))
    for each in opened:
        each.close()
    assert warm.describe("a").attachments == 0
    for _ in range(3 * PLACES):
        warm.open("a").close()
    assert warm.describe("a").attachments == 0


def test_ends_of_several_threads(warm):
    def work():
        for _ in range(200):
            warm.open("a").close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert warm.describe("a").attachments == 0


def test_a_watch_hears_of_ends_at_once(warm, asking):
    with asking.watch("a") as watch:
        while watch.next().kind != "ready":
            pass
        warm.open("a").close()
        assert [watch.next(60).kind for _ in range(2)] == ["attached", "detached"]


def test_a_segment_that_lives_for_its_grants_goes_with_the_last_one(warm, asking):
    segment = warm.create("b", 100, lifetime="attached")
    with asking.watch("b") as watch:
        while watch.next().kind != "ready":
            pass
        segment.close()
        assert [watch.next(60).kind for _ in range(2)] == ["detached", "expired"]


@needs_queue
def test_what_is_held_by_who_has_closed_is_free_at_once(warm, asking):
    for _ in range(20):
        segment = warm.open("a", "write")
        segment.lock().__enter__()
        segment.close()
        with asking.open("a", "write") as other, other.lock(timeout=60) as held:
            assert held.owner_died
            held.make_consistent()


def test_the_client_is_closed_first(warm, asking):
    segment = warm.open("a")
    warm.close()
    segment.close()
    with asking.watch("a") as watch:  # the end of the connection may be on its way still
        present = watch.next()
        while present.segment.attachments:
            present = watch.next(60)
    assert asking.describe("a").attachments == 0


def test_a_child_leaves_the_queue_to_its_parent(warm):
    kept = warm.open("a")
    child = os.fork()
    if child == 0:
        status = 1
        try:
            kept.close()
            for _ in range(20):
                warm.open("a").close()
            status = 0 if warm.describe("a").attachments == 1 else 2
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    kept.close()
    for _ in range(2 * PLACES):
        warm.open("a").close()
    assert warm.describe("a").attachments == 0


@pytest.mark.parametrize("kept", [0, 1])
def test_what_was_put_there_when_the_daemon_was_killed_ends_with_the_next_call(start_daemon, kept):
    manager = start_daemon()
    with shmd.Client(manager.socket) as client:
        client.create("a", 100).close()
        connection = warm_up(client)
        opened = [client.open("a") for _ in range(2 + kept)]
        manager.kill()
        opened.pop().close()
        opened.pop().close()
        if _queue.AVAILABLE:
            assert len(_queue.left(connection._queue)) >= 2
        manager.start()
        client.list()
        assert client.describe("a").attachments == kept
        for each in opened:
            each.close()
        assert client.describe("a").attachments == 0


# ---- A daemon that shows what came, and lies ----


class Fake:
    """Hands out grants and the page that it is told to."""

    def __init__(self, page=None, **changes):
        self.page, self.changes, self.attachment = page, changes, 0
        self.fake = fake_daemon.FakeDaemon(self.answer)

    def answer(self, call, connection):
        if call.get("oneway"):
            return
        if call["method"].endswith("OpenDetachQueue"):
            if self.page is None:
                fake_daemon.reply(connection, json.dumps({
                    "error": "org.varlink.service.MethodNotFound", "parameters": {"method": call["method"]}}))
            else:
                fake_daemon.reply(connection, '{"parameters":{"fileDescriptor":0}}', [self.page])
        elif call["method"].endswith("Open"):
            self.attachment += 1
            grant = {**GRANT["parameters"], "attachment": self.attachment}
            grant["segment"] = {**grant["segment"], **self.changes}
            memory = fake_daemon.memory(grant["segment"]["capacityBytes"])
            fake_daemon.reply(connection, json.dumps({"parameters": grant}), [memory])
            os.close(memory)
        else:
            fake_daemon.reply(connection, '{"parameters":{}}')

    def detached(self):
        """All of which a message has told, once a call has been answered."""
        return [each["parameters"]["attachment"] for each in self.fake.calls if each["method"].endswith("Detach")]

    def asked(self):
        return [each["method"] for each in self.fake.calls].count("io.shmd.Segments.OpenDetachQueue")


def page_of(form=1):
    descriptor = fake_daemon.memory(4096)
    os.pwrite(descriptor, struct.pack("=I", form), 0)
    return descriptor


def open_and_close(fake, count):
    with fake.fake, shmd.Client(fake.fake.path) as client:
        for _ in range(count):
            client.open("a").close()
        client.delete("b")
    return fake.detached()


BEFORE = list(range(1, _connection.ENDS_BEFORE_QUEUE + 1))


@needs_queue
def test_ends_are_put_into_the_queue_and_not_told():
    page = page_of()
    count = len(BEFORE) + PLACES
    assert open_and_close(Fake(page), count + 2) == [*BEFORE, count + 1, count + 2]  # where there is no place
    with mmap.mmap(page, 4096) as view:
        assert struct.unpack_from("=I", view, 64) == (PLACES,)
        assert struct.unpack_from("=64I", view, 256) == tuple(range(len(BEFORE) + 1, count + 1))
    os.close(page)


@needs_queue
def test_places_are_used_again_when_the_daemon_has_taken_what_was_there():
    fake = Fake(page_of())
    count = len(BEFORE) + PLACES
    with fake.fake, shmd.Client(fake.fake.path) as client, mmap.mmap(fake.page, 4096) as view:
        for _ in range(count):
            client.open("a").close()
        struct.pack_into("=I", view, 128, 2)
        for _ in range(3):
            client.open("a").close()
        client.delete("b")
        assert fake.detached() == [*BEFORE, count + 3]
        assert struct.unpack_from("=I", view, 64) == (PLACES + 2,)
        assert struct.unpack_from("=3I", view, 256) == (count + 1, count + 2, len(BEFORE) + 3)
    os.close(fake.page)


@needs_queue
def test_who_watches_is_told_as_well():
    page = page_of()
    os.pwrite(page, struct.pack("=I", 1), 192)
    assert open_and_close(Fake(page), 7) == list(range(1, 8))
    assert struct.unpack("=I", os.pread(page, 4, 64)) == (7 - len(BEFORE),)
    os.close(page)


@needs_queue
@pytest.mark.parametrize("changes", [
    {"lifetime": "attached"}, {"lifetime": "creator"}, {"lifetime": "lease"}, {"evictable": True}, {"state": "staged"},
    {"state": "deleted"}, {"capacityBytes": (1 << 20) + 1},
], ids=str)
def test_ends_that_change_something_are_told_as_well(changes):
    page = page_of()
    assert open_and_close(Fake(page, **changes), 7) == list(range(1, 8))
    assert struct.unpack("=I", os.pread(page, 4, 64)) == (7 - len(BEFORE),)
    os.close(page)


@needs_queue
def test_pages_that_are_none():
    small = fake_daemon.memory(4095)
    shrinks = os.memfd_create("shrinks")
    os.ftruncate(shrinks, 4096)
    for page in (None, small, shrinks, page_of(0), page_of(2), os.open("/dev/null", os.O_RDWR)):
        fake = Fake(page)
        assert open_and_close(fake, 7) == list(range(1, 8))
        assert fake.asked() == 1
        if page is not None:
            os.close(page)


def test_without_the_c_part_there_is_none(monkeypatch):
    monkeypatch.setattr(_queue, "AVAILABLE", False)
    fake = Fake(page_of())
    assert open_and_close(fake, 7) == list(range(1, 8))
    assert fake.asked() == 0
    os.close(fake.page)
