"""The ring buffer: what is written is what every consumer reads, or is told that it has lost."""

import contextlib
import errno
import os
import random
import re
import struct
import subprocess
import sys
import threading
import zlib

import pytest

import shmd
from children import Child
from conftest import ROOT
from shmd import _ring, ring

pytestmark = [
    pytest.mark.skipif(shmd._locks._missing is not None, reason="the C part was not built"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning"),
]


def content(number, size):
    return random.Random(number).randbytes(size)


@pytest.fixture
def make(client):
    """Makes a segment that has so many bytes of data in its ring, and opens it."""
    with contextlib.ExitStack() as stack:

        def made(capacity=4096, mode=0o600):
            return stack.enter_context(client.create("ring", 256 + capacity, mode=mode))

        yield made


@pytest.fixture
def consume(client):
    """Opens consumers for reading only."""
    with contextlib.ExitStack() as stack:

        def made(start="oldest", access="read"):
            segment = stack.enter_context(client.open("ring", access))
            return stack.enter_context(ring.Consumer(segment, start))

        yield made


@contextlib.contextmanager
def raises(code):
    with pytest.raises(shmd.Error) as caught:
        yield
    assert caught.value.errno == code and type(caught.value) is shmd.Error and str(caught.value)


def test_every_consumer_sees_every_record(make, consume):
    with ring.Producer(make()) as producer:
        first, writable = consume(), consume(access="write")
        assert first.next(0) is None and first.peek() is None
        for number in range(5):
            producer.push(content(number, 10 * number))
        newest, late = consume("newest"), consume()
        producer.push(bytearray(content(5, 50)))
        for consumer in (first, writable, late):
            assert [consumer.next(0) for _ in range(6)] == [(content(i, 10 * i), i, 0) for i in range(6)]
            assert consumer.next(0) is None
        assert newest.next(0) == (content(5, 50), 5, 0) and newest.next(0) is None
        newest.seek("oldest")
        assert newest.next(0).sequence == 0
        newest.seek("newest")
        assert newest.next(0.001) is None and not newest.wait(0) and not newest.wait(0.001)
        with pytest.raises(ValueError):
            newest.seek("last")


def test_sizes_at_every_offset(make, consume):
    with ring.Producer(make(192)) as producer:
        consumer = consume()
        assert producer.max_record_size == 176
        number = 0
        for size in range(0, 177):
            for _ in range(12):
                for data in (content(number, size), b""):
                    producer.push(data)
                    assert consumer.next(0) == (data, number, 0)
                    number += 1


def test_refusals(client, make, consume):
    segment = make(1024)
    with raises(errno.EBADFD):
        consume()
    with ring.Producer(segment) as producer:
        consumer = consume()
        with raises(errno.EMSGSIZE):
            producer.push(bytes(1009))
        producer.push(bytes(1008))
        producer.push(b"x")
        assert consumer.next(0) == (b"x", 1, 1)
        with pytest.raises(TypeError):
            producer.push("text")
        with pytest.raises(ValueError):
            producer.reserve(-1)
        with raises(errno.EINVAL):
            producer.commit()
        with raises(errno.EINVAL):
            consumer.advance()
    for call in (lambda: producer.push(b""), lambda: producer.reserve(1), producer.commit, producer.cancel):
        with pytest.raises(shmd.Closed):
            call()
    consumer.close()
    with pytest.raises(shmd.Closed):
        consumer.next(0)
    with client.open("ring") as view, pytest.raises(shmd.ReadOnly):
        ring.Producer(view)
    for size in (1, 287):
        with client.create(None, size) as small, raises(errno.EINVAL):
            ring.Producer(small)
    struct.pack_into("=I", segment, 8, 2)
    with raises(errno.ENOTSUP):
        ring.Producer(segment)
    segment[0] = 0
    for opened in (ring.Producer, ring.Consumer):
        with raises(errno.EBADFD):
            opened(segment)


def test_layout(make):
    """Of RING.md."""
    segment = make(64)
    with ring.Producer(segment) as producer:
        for number, size in enumerate((8, 1, 16)):
            producer.push(content(number, size))
    assert bytes(segment[:16]) == b"shmdring" + struct.pack("=II", 1, 0)
    assert struct.unpack_from("=Q", segment, 16) == (64,)
    assert struct.unpack_from("=QQ", segment, 64) == (32, 96)
    assert struct.unpack_from("=QQQQ", segment, 128) == (64, 2, 96, 3)
    assert struct.unpack_from("=IIQ", segment, 256) == (16, 0, 2) and segment[272:288] == content(2, 16)
    with ring.Producer(segment) as producer:
        producer.push(b"")
        producer.push(bytes(17))
    assert struct.unpack_from("=IIQ", segment, 304) == (0, 1, 4)


def test_a_slow_consumer_is_told_what_it_lost(make, consume):
    with ring.Producer(make(320)) as producer:
        consumer, newest = consume(), consume("newest")
        for number in range(37):
            producer.push(content(number, 16))
        assert consumer.next(0) == (content(27, 16), 27, 27)
        assert [consumer.next(0).lost for _ in range(9)] == [0] * 9
        producer.push(bytes(300))
        assert newest.next(0) == (bytes(300), 37, 37)


def test_what_was_read_and_what_was_lost_is_what_there_was(make, consume):
    seed = random.randrange(1 << 32)
    print("seed", seed)
    chance = random.Random(seed)
    with ring.Producer(make(16 * chance.randrange(8, 64)), shared=chance.random() < 0.5) as producer:
        consumers = [consume() for _ in range(3)]
        following = [0] * 3
        sizes = []
        for _ in range(2000):
            with producer.batch() if chance.random() < 0.3 else contextlib.nullcontext():
                for _ in range(chance.randrange(4)):
                    sizes.append(chance.randrange(producer.max_record_size + 1 if chance.random() < 0.1 else 40))
                    producer.push(content(len(sizes) - 1, sizes[-1]))
            for i, consumer in enumerate(consumers):
                for _ in range(chance.randrange(2 if i == 2 else 6)):
                    in_place = chance.random() < 0.5
                    record = consumer.peek() if in_place else consumer.next(0)
                    if record is None:
                        assert following[i] == len(sizes)
                        break
                    assert record.sequence == following[i] + record.lost
                    assert record.data == content(record.sequence, sizes[record.sequence])
                    assert not in_place or consumer.advance()
                    following[i] = record.sequence + 1


def test_in_place(make, consume):
    with ring.Producer(make(256)) as producer:
        consumer = consume()
        view = producer.reserve(100)
        view[:] = content(0, 100)
        assert consumer.next(0) is None
        with raises(errno.EINVAL):
            producer.reserve(1)
        with raises(errno.EINVAL):
            producer.commit(101)
        producer.commit()
        with pytest.raises(ValueError):
            view[0] = 1
        producer.reserve(50)
        producer.cancel()
        producer.reserve(50)[:16] = content(1, 16)
        producer.commit(16)
        record = consumer.peek()
        assert record.data == content(0, 100) and record.data.readonly
        assert consumer.advance()
        record = consumer.peek()
        for number in range(2, 12):
            producer.push(content(number, 16))
        assert record.data != content(1, 16)
        assert not consumer.advance()
        assert consumer.next(0) == (content(4, 16), 4, 3)
        producer.reserve(10)
    assert consumer.next(0).sequence == 5


def test_batches(client, make, consume):
    with ring.Producer(make(1024), shared=True) as producer:
        consumer = consume()
        with client.open("ring", "write") as other:
            before = other.version
            with producer.batch(), producer.batch():
                for number in range(10):
                    producer.push(content(number, 20))
                assert consumer.next(0) is None and other.version == before
                assert not other.lock().acquire(False)
            assert other.version == before + 1
            assert [record.sequence for record in iter(lambda: consumer.next(0), None)] == list(range(10))
            with producer.batch():
                for number in range(10, 100):
                    producer.push(content(number, 20))
            assert other.version == before + 2
            record = consumer.next(0)
            assert record.lost + 10 == record.sequence
            assert {record.lost for record in iter(lambda: consumer.next(0), None)} == {0}
            with pytest.raises(KeyError), producer.batch():
                producer.push(b"whole")
                raise KeyError
            assert consumer.next(0).data == b"whole" and other.lock().acquire(False)


def test_one_exclusive_producer(client, make, consume):
    segment = make()
    with client.open("ring", "write") as other:
        first = ring.Producer(segment)
        first.push(b"0")
        with pytest.raises(shmd.TimedOut):
            ring.Producer(other, timeout=0)
        del first  # gives it back as well
        shared = ring.Producer(other, shared=True, timeout=0)
        shared.push(b"1")
        with ring.Producer(segment) as first:
            with pytest.raises(shmd.TimedOut):
                shared.push(b"")
            first.push(b"2")
        shared.push(b"3")
        shared.close()
        shared.close()
    assert [record.data for _, record in zip(range(4), consume())] == [b"0", b"1", b"2", b"3"]


@pytest.mark.parametrize("access", ["read", "write"])
def test_waiting(make, consume, access):
    with ring.Producer(make()) as producer:
        consumer = consume("newest", access)
        for number in range(100):
            pushing = threading.Thread(target=producer.push, args=[content(number, 8)])
            pushing.start()
            record = consumer.next() if number % 2 else consumer.next(60)
            pushing.join()
            assert record == (content(number, 8), number, 0)
        # Published by one that died before it notified.
        memory = _ring.Ring(producer._segment)
        memory.check()
        position = memory.word(_ring.PUBLISHED)
        memory.write_head(position, 0, 0, 100)
        pushing = threading.Thread(target=memory.set_word, args=[_ring.PUBLISHED, position + 16])
        pushing.start()
        assert consumer.next(60).sequence == 100
        pushing.join()
        memory.view.release()


def test_a_closed_segment(client):
    segment = client.create("a", 1000)
    producer, consumer = ring.Producer(segment), ring.Consumer(segment)
    producer.push(b"x")
    kept = consumer.peek()
    segment.close()
    assert kept.data == b"x" and consumer.next(0).data == b"x"
    with pytest.raises(shmd.Closed):
        consumer.next(1)
    consumer.close()
    with contextlib.suppress(shmd.Error):
        producer.close()
    kept.data.release()


PRODUCER = """
import random, zlib
from shmd import ring
producer = ring.Producer(client.open("ring", "write"), shared={shared})
say("ready")
number = 0
while {count} is None or number < {count}:
    many = random.choice([1, 1, 5])
    with producer.batch():
        for _ in range(many):
            data = random.randbytes(random.choice([0, 10, 100, 5000, 60000]))
            body = b"%d %d " % ({id}, number) + data
            producer.push(zlib.crc32(body).to_bytes(4, "big") + body)
            number += 1
say("done")
"""


class Reader:
    """Every record must be whole, and each producer's in their order."""

    def __init__(self, consumer):
        self._consumer = consumer
        self._numbers = {}
        self.sequence = -1

    def read(self):
        record = self._consumer.next(60)
        assert record.sequence == self.sequence + 1 + record.lost
        self.sequence = record.sequence
        assert zlib.crc32(record.data[4:]) == int.from_bytes(record.data[:4], "big")
        id, number = map(int, record.data[4:].split(b" ", 2)[:2])
        if record.lost:
            self._numbers.clear()
        assert self._numbers.setdefault(id, number - 1) == number - 1
        self._numbers[id] = number
        return record


def test_producers_in_processes(make, consume):
    ring.Producer(make(1 << 18)).close()
    reader = Reader(consume())
    with contextlib.ExitStack() as stack:
        children = [stack.enter_context(Child(PRODUCER.format(shared=True, count=500, id=id))) for id in range(3)]
        assert [child.hear() for child in children] == ["ready"] * 3
        while reader.sequence < 3 * 500 - 1:
            reader.read()
        assert [child.hear() for child in children] == ["done"] * 3


@pytest.mark.parametrize("shared", [True, False])
def test_producers_are_killed(make, consume, shared):
    seed = random.randrange(1 << 32)
    print("seed", seed)
    chance = random.Random(seed)
    ring.Producer(make(1 << 18)).close()
    reader = Reader(consume())
    with contextlib.ExitStack() as stack:
        waiting = stack.enter_context(Child(PRODUCER.format(shared=shared, count=None, id=0)))
        for id in range(1, 8):
            # The other one goes on, or begins.
            killed, waiting = waiting, stack.enter_context(Child(PRODUCER.format(shared=shared, count=None, id=id)))
            for _ in range(chance.randrange(1, 40)):
                reader.read()
            killed.kill()
    with ring.Producer(consume(access="write")._segment, timeout=60) as producer:
        producer.push(b"the end")
    record = reader._consumer.next(60)
    while record.data != b"the end":
        record = reader._consumer.next(60)


def test_a_consumer_is_killed(make, consume):
    program = """
from shmd import ring
consumer = ring.Consumer(client.open("ring", {access!r}))
say(consumer.next().sequence)
consumer.peek()
consumer.next(), consumer.next()
"""
    with ring.Producer(make()) as producer:
        other = consume()
        producer.push(b"0")
        for access in ("read", "write"):
            with Child(program.format(access=access)) as child:
                assert child.hear() == "0"
                child.kill()
            producer.push(b"1")
        assert [other.next(0).data for _ in range(3)] == [b"0", b"1", b"1"] and other.next(0) is None


def test_a_spoiled_ring_gives_errors_or_records(client):
    seed = random.randrange(1 << 32)
    print("seed", seed)
    chance = random.Random(seed)
    words = [0, 1, 7, 8, 16, 32, 255, 3840, 3841, 3856, 0xFFFFFFF0, 0xFFFFFFFF, 1 << 61, 2**64 - 1, 2**64 - 16]
    codes = set()
    with client.create("ring", 4096) as segment, client.open("ring") as view:
        for turn in range(500):
            segment[:] = bytes(4096)
            with ring.Producer(segment) as producer:
                for number in range(chance.randrange(60)):
                    producer.push(content(number, chance.randrange(300)))
            for _ in range(chance.randrange(1, 5)):
                word = chance.choice([chance.choice(words), chance.getrandbits(64)])
                struct.pack_into("=Q", segment, chance.choice([chance.randrange(20) * 8, chance.randrange(1022) * 4]), word)
            if turn % 50 == 0:
                segment[16:] = chance.randbytes(4080)
            for attempt in (lambda: ring.Producer(segment), None):
                try:
                    if attempt is not None:
                        with attempt() as producer:
                            producer.push(b"more")
                            producer.push(bytes(300))
                    with ring.Consumer(view, chance.choice(["oldest", "newest"])) as consumer:
                        while consumer.next(0) is not None:
                            pass
                except shmd.Error as error:
                    codes.add(error.errno)
    # EMSGSIZE: what is spoiled may look like a ring that is too small for the record.
    assert errno.EBADMSG in codes and codes <= {errno.EBADMSG, errno.EBADFD, errno.ENOTSUP, errno.EMSGSIZE}


def test_the_example_between_two_languages(daemon):
    """client/examples: a producer in C++, consumers in Python."""
    examples = os.environ.get("SHMD_EXAMPLES")
    if not examples:
        pytest.skip("the examples of this build are not known: name their directory in $SHMD_EXAMPLES")
    consumer = [sys.executable, ROOT / "client" / "examples" / "readings.py", "readings"]
    # One that waits for the ring, and one that comes when all has been said.
    with subprocess.Popen(consumer, stdout=subprocess.PIPE, text=True) as early:
        try:
            subprocess.run([f"{examples}/readings", "readings", "20000"], check=True)
            late = subprocess.run(consumer, capture_output=True, text=True, check=True)
            told = [early.communicate(timeout=100)[0], late.stdout]
            assert early.returncode == 0
        finally:
            early.kill()
    for text in told:
        count, lost = map(int, re.match(r"(\d+) readings, (\d+) lost, the highest is 1.000$", text).groups())
        assert count + lost == 20000 and count > 0
    assert subprocess.run([f"{examples}/readings"], stderr=subprocess.PIPE).returncode == 2


def test_a_child_after_fork(make, consume):
    from test_processes import in_child

    with ring.Producer(make()) as producer:
        producer.push(b"0")
        consumer = consume()

        def child():
            with pytest.raises(shmd.Inherited):
                producer.push(b"1")
            producer.close()
            assert consumer.next(0).data == b"0"
            with pytest.raises(shmd.Inherited):
                consumer.next(1)

        in_child(child)
        producer.push(b"1")
        assert [consumer.next(0).data, consumer.next(0).data] == [b"0", b"1"]
