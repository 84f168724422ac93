"""SharedMemory and ShareableList: what programs expect of the standard library's, by the same names."""

import inspect
import multiprocessing
import pickle
import subprocess
import sys
from multiprocessing import shared_memory as standard

import pytest

import shmd


@pytest.fixture
def block(client):
    made = shmd.SharedMemory(create=True, size=100)
    yield made
    made.close()


def test_it_has_the_interface_of_the_standard_library(client, block):
    theirs = {name for name in dir(standard.SharedMemory) if not name.startswith("_")}
    assert theirs <= set(dir(shmd.SharedMemory))
    assert list(inspect.signature(shmd.SharedMemory).parameters)[:4] == ["name", "create", "size", "track"]
    assert {name for name in dir(standard.ShareableList) if not name.startswith("_")} <= set(dir(shmd.ShareableList))


def test_two_see_the_same_block(client, block):
    assert block.size == 100 and isinstance(block.name, str) and isinstance(block.buf, memoryview)
    block.buf[0] = 42
    other = shmd.SharedMemory(block.name)
    assert other.size == 100 and other.buf[0] == 42 and not other.buf.readonly
    other.buf[99] = 7
    assert block.buf[99] == 7
    with pytest.raises(IndexError):
        block.buf[100] = 1
    other.close()
    assert block.buf[0] == 42
    assert f"{block!r}" == f"SharedMemory({block.name!r}, size=100)"
    assert block.segment.info.lifetime == "persistent"


def test_wrong_use(client, block):
    for arguments in ({"create": True}, {"create": True, "size": -1}, {"size": -1, "name": "x"}, {}):
        with pytest.raises(ValueError):
            shmd.SharedMemory(**arguments)
    with pytest.raises(FileNotFoundError):
        shmd.SharedMemory("none")
    with pytest.raises(FileExistsError):
        shmd.SharedMemory(block.name, create=True, size=1)
    named = shmd.SharedMemory("named", True, 10, track=False)
    named.unlink()
    with pytest.raises(FileNotFoundError):
        named.unlink()
    named.close()
    named.close()
    assert named.buf is None and named.name == "named" and named.size == 10
    with pytest.raises(TypeError):
        named.buf[0] = 1
    with pytest.raises(shmd.Closed):
        _ = named.segment


def test_what_is_unlinked_lasts_as_long_as_it_is_used(client, block):
    block.buf[0] = 1
    block.unlink()
    assert block.buf[0] == 1
    with pytest.raises(FileNotFoundError):
        shmd.SharedMemory(block.name)


def test_views_stay_good(client):
    block = shmd.SharedMemory("b", True, 100)
    block.buf[10] = 3
    view = block.buf[10:20]
    block.close()
    assert view[0] == 3 and client.describe("b").attachments == 1
    del view
    assert client.describe("b").attachments == 0


def attach(block, name):
    block.buf[0] += 1
    other = shmd.SharedMemory(name=name)
    other.buf[1] += 1
    other.close()


def test_it_goes_to_other_processes_and_stays_when_they_end(client, block):
    """The standard library's resource tracker destroys what an unrelated process attaches to."""
    copy = pickle.loads(pickle.dumps(block))
    copy.close()
    for _ in range(2):
        process = multiprocessing.get_context("spawn").Process(target=attach, args=(block, block.name))
        process.start()
        process.join()
        assert process.exitcode == 0
    program = f"import shmd; s = shmd.SharedMemory({block.name!r}); s.buf[1] += 1"
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert (block.buf[0], block.buf[1]) == (2, 3)
    shmd.SharedMemory(block.name).close()


def test_a_block_may_go_with_its_process(client):
    program = "import shmd; print(shmd.SharedMemory(create=True, size=1, lifetime='creator').name)"
    with client.watch() as watch:
        watch.next()
        name = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip()
        while True:
            event = watch.next(60)
            assert event is not None
            if event.kind == "expired":
                break
        assert event.segment.key == name


ITEMS = ["howdy", b"HoWdY", -273.154, 100, None, True, 42, "", b"", "größe", 2**63 - 1, -(2**63)]


@pytest.fixture
def items(client):
    made = shmd.ShareableList(ITEMS)
    yield made
    made.shm.close()


def test_a_list(items):
    assert list(items) == ITEMS and len(items) == len(ITEMS)
    assert [type(each) for each in items] == [type(each) for each in ITEMS]
    assert items[-1] == ITEMS[-1] and items.index(100) == 3 and items.count(True) == 1
    assert (items[3], items[-12]) == (100, "howdy")
    items[2] = 78.5
    items[0] = "dry ice"
    items[4] = "8 bytes."
    items[3] = None
    assert [items[0], items[2], items[3], items[4]] == ["dry ice", 78.5, None, "8 bytes."]
    for wrong in (12, -13):
        with pytest.raises(IndexError):
            items[wrong]
        with pytest.raises(IndexError):
            items[wrong] = 1
    with pytest.raises(ValueError):
        items[0] = "nine bytes"[:9]
    with pytest.raises(ValueError):
        items.index("none")
    for odd in ([1], object()):
        with pytest.raises(TypeError):
            items[0] = odd
    assert items[0] == "dry ice"
    assert repr(items).startswith("ShareableList(['dry ice', ")


def test_formats_are_those_of_the_standard_library(client):
    values = ["howdy", b"HoWdY", -273.154, 100, None, True, "eight..."]
    theirs = standard.ShareableList(values)
    try:
        ours = shmd.ShareableList(values)
        assert ours.format == theirs.format
        ours.shm.close()
    finally:
        theirs.shm.close()
        theirs.shm.unlink()


def test_nuls_at_the_end_are_kept(client):
    made = shmd.ShareableList(["a\0", b"b\0\0"])
    assert list(made) == ["a\0", b"b\0\0"]
    made.shm.close()


def test_a_list_by_its_name(client, items):
    other = shmd.ShareableList(name=items.shm.name)
    copy = pickle.loads(pickle.dumps(items))
    items[0] = "seen"
    assert other[0] == copy[0] == "seen" and len(copy) == len(ITEMS)
    other.shm.close()
    copy.shm.close()
    named = shmd.ShareableList(range(3), name="numbers")
    assert client.open("numbers").size == named.shm.size and list(named) == [0, 1, 2]
    with pytest.raises(FileExistsError):
        shmd.ShareableList([1], name="numbers")
    named.shm.unlink()
    named.shm.close()
    empty = shmd.ShareableList()
    assert len(empty) == 0 and list(empty) == []
    empty.shm.close()
    assert shmd.ShareableList[int]


def test_what_is_no_list_or_is_damaged_is_refused(client, items):
    client.create("other", 100).close()
    client.create("tiny", 1).close()
    for name in ("other", "tiny"):
        with pytest.raises(ValueError, match="no ShareableList"):
            shmd.ShareableList(name=name)
    good = bytes(items.shm.buf[16:48])  # the first item's kind, length, offset and room
    for at, value in ((16, 99), (24, 9), (32, items.shm.size - 7), (40, 1 << 40), (32, 2**64 - 1)):
        items.shm.buf[16:48] = good
        items.shm.buf[at : at + 8] = value.to_bytes(8, "little")
        with pytest.raises(ValueError, match="damaged"):
            items[0]
        with pytest.raises(ValueError, match="damaged"):
            items[0] = "x"
    items.shm.buf[16:48] = good
    assert items[0] == ITEMS[0]
