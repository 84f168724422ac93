"""Write sections, and reading without a lock while somebody else writes."""

import threading
from functools import partial

import pytest

import shmd
from children import Child

pytestmark = pytest.mark.skipif(shmd._locks._missing is not None, reason="the C part was not built")

SIZE = 200_000  # more than is copied at a time


@pytest.fixture
def segment(client):
    with client.create("a", SIZE) as made:
        yield made


@pytest.fixture
def view(client, segment):
    with client.open("a") as opened:
        yield opened


WRITER = """
import threading
with client.open("a", "write") as segment:
    ends = threading.Thread(target=hear)
    ends.start()
    say("writes")
    number = 0
    while ends.is_alive():
        number = (number + 1) % 256
        with segment.writing():
            for begin in range(0, segment.size, 50_000):
                segment[begin:begin + 50_000] = bytes([number]) * 50_000
"""


@pytest.mark.parametrize("length", [SIZE, 10_000])
def test_a_snapshot_is_never_torn(view, length):
    with Child(WRITER) as writer:
        assert writer.hear() == "writes"
        seen = set()
        while len(seen) < 20:
            part = view.snapshot(SIZE - 2 * length if length < SIZE else 0, length)
            assert len(part) == length and len(set(part)) == 1
            seen.add(part[0])
            first, last = view.read_consistent(lambda memory: (memory[0], memory[SIZE - 1]))
            assert first == last
        writer.say()
        assert writer.wait() == 0


def test_parts(segment, view):
    segment[:4] = b"abcd"
    for each in (segment, view):
        assert each.snapshot() == bytes(segment)
        assert each.snapshot(1, 2) == b"bc" and each.snapshot(length=3) == b"abc" and each.snapshot(SIZE - 1) == b"\0"
        assert each.snapshot(SIZE) == each.snapshot(5, 0) == b"" and each.snapshot(0, 4, 0) == b"abcd"
        for offset, length in [(-1, 1), (0, SIZE + 1), (SIZE + 1, None), (SIZE + 1, 0), (1, SIZE), (0, -1), (2**64, 1)]:
            with pytest.raises(ValueError):
                each.snapshot(offset, length)
        with pytest.raises(TypeError):
            each.snapshot(0.5)
        assert each.read_consistent(bytes) == bytes(segment)
    with pytest.raises(TypeError):
        segment.read_consistent(lambda memory: memory.__setitem__(0, 1))


def test_after_another_size(client):
    with client.create("b", 10, capacity=1000) as segment:
        segment[9] = 1
        segment.resize(1000)
        segment[999] = 2
        assert segment.snapshot()[-1] == 2 and segment.snapshot(9, 1) == b"\1"
        segment.seal()
        assert segment.snapshot()[-1] == 2 and segment.snapshot(9, 1) == b"\1"


def test_while_somebody_writes(segment, view):
    with segment.writing():
        for read in (view.snapshot, partial(view.snapshot, 0, 1), partial(view.read_consistent, bytes)):
            for timeout in (0, 0.01):
                with pytest.raises(shmd.TimedOut, match="somebody was writing"):
                    read(timeout=timeout)
    with segment.lock(), segment.write_lock():
        view.snapshot(0, 1, 0)  # are no sections


def test_a_read_waits_for_the_end_of_a_section(segment, view):
    seen = []
    with segment.writing():
        segment[0] = 1
        thread = threading.Thread(target=lambda: seen.append(view.snapshot(0, 2)))
        thread.start()
        segment[1] = 1
    thread.join(60)
    assert seen == [b"\1\1"]


def test_in_place_it_is_read_again(segment, view):
    calls = []

    def read(memory):
        calls.append(memory.readonly)
        if len(calls) < 3:
            with segment.writing():
                segment[0] += 1
        if len(calls) == 1:
            raise IndexError  # of what was half written
        return memory[0]

    assert view.read_consistent(read) == 2 and calls == [True] * 3

    def fail(memory):
        raise KeyError(memory[0])

    with pytest.raises(KeyError, match="2"):
        view.read_consistent(fail)

    def write(memory):
        with segment.writing():
            segment[0] = 0

    with pytest.raises(shmd.TimedOut):
        view.read_consistent(write, 0.01)


HALF = """
with client.open("a", "write") as segment, segment.writing():
    segment[0] = 1
    say("half")
    hear()
"""


def test_a_writer_that_dies(segment, view):
    with Child(HALF) as child:
        assert child.hear() == "half"
        child.kill()
    for read in (view.snapshot, segment.snapshot, lambda: view.read_consistent(bytes)):
        with pytest.raises(shmd.OwnerDied, match="a writer died") as raised:
            read()
        assert isinstance(raised.value, shmd.Error)
    with segment.writing() as held:
        assert held.owner_died  # and looks away
    with pytest.raises(shmd.OwnerDied):
        view.snapshot()
    with segment.writing() as held:
        assert held.owner_died
        segment[0] = segment[1] = 2
        held.make_consistent()
        assert not held.owner_died
        with pytest.raises(shmd.TimedOut):
            view.snapshot(0, 2, 0)  # only with its end
    assert view.snapshot(0, 2) == b"\2\2"
    with segment.writing() as held:
        assert not held.owner_died


def test_repaired_outside_of_a_section(segment, view):
    with Child(HALF) as child:
        assert child.hear() == "half"
    with segment.lock() as held:
        assert held.owner_died
        segment[0] = 0
        held.make_consistent()
        assert view.snapshot(0, 2, 0) == b"\0\0"
    assert view.snapshot(0, 2) == b"\0\0"


def test_a_reader_learns_of_a_death_while_it_waits(segment, view):
    with Child(HALF) as child:
        assert child.hear() == "half"
        raised = []

        def read():
            with pytest.raises(shmd.OwnerDied) as error:
                view.snapshot()
            raised.append(error)

        thread = threading.Thread(target=read)
        thread.start()
        child.kill()
        thread.join(60)
        assert raised
