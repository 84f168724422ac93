"""Bytes and descriptors: however they come, and whatever interrupts a call."""

import errno
import json
import os
import signal
import socket
import threading

import pytest

import fake_daemon
import shmd
from conftest import ROOT, open_descriptors, wait_for_connections
from shmd import _paths

VECTOR = json.loads((ROOT / "protocol" / "vectors" / "client" / "grant.json").read_text())
GRANT = VECTOR["reply"]
SEGMENT = GRANT["parameters"]["segment"]


def send_grant(connection, pieces=(1 << 20,)):
    descriptor = fake_daemon.memory(4097)
    data = json.dumps(GRANT).encode() + b"\0"
    try:
        first = pieces[0]
        socket.send_fds(connection, [data[:first]], [descriptor])
        for begin in range(first, len(data), first):
            connection.sendall(data[begin : begin + first])
    finally:
        os.close(descriptor)


def test_a_reply_that_comes_byte_by_byte():
    with fake_daemon.FakeDaemon(lambda call, connection: call.get("oneway") or send_grant(connection, [1])) as fake, \
            shmd.Client(fake.path) as client, client.create("a", 4097) as segment:
        assert len(bytes(segment)) == 4097


def test_several_replies_in_one_read():
    events = [{"event": "present", "segment": SEGMENT}, {"event": "ready"}, {"event": "attached", "segment": SEGMENT}]
    data = b"\0".join(json.dumps({"parameters": each, "continues": True}).encode() for each in events)
    with fake_daemon.FakeDaemon(lambda call, connection: fake_daemon.reply(connection, data)) as fake, \
            shmd.Client(fake.path) as client, client.watch() as watch:
        assert [watch.next().kind for _ in events] == ["present", "ready", "attached"]


def test_descriptors_are_taken_in_their_order_whichever_message_brought_them():
    """The kernel glues a message without descriptors to a following one with some."""
    batch = {"parameters": {"results": [{"error": "io.shmd.Segments.NoSuchSegment", "parameters": {"key": "x"}},
                                        {"grant": {**GRANT["parameters"], "fileDescriptor": 1}},
                                        {"grant": {**GRANT["parameters"], "attachment": 10, "fileDescriptor": 0}}]}}

    def answer(call, connection):
        if call.get("oneway"):
            return
        descriptors = [fake_daemon.memory(4097) for _ in range(3)]
        os.pwrite(descriptors[0], b"0", 0)
        os.pwrite(descriptors[1], b"1", 0)
        fake_daemon.reply(connection, json.dumps(batch), descriptors)
        for each in descriptors:
            os.close(each)

    before = open_descriptors()
    with fake_daemon.FakeDaemon(answer) as fake, shmd.Client(fake.path) as client:
        missing, one, other = client.open_many(["x", "y", "z"])
        assert isinstance(missing, shmd.NoSuchSegment)
        assert (one[0], other[0]) == (ord("1"), ord("0"))
        one.close()
        other.close()
    assert open_descriptors() == before


@pytest.mark.parametrize("text", [
    '{"parameters": {}}\0{"parameters": {}}', '{"parameters": {}, "continues": true}', '{"parameters": {}, "continues": 1}',
    '{"parameters": {"a": NaN}}', '{"parameters": {"a": "\\ud800"}}', b'{"parameters": {"a": "\xff"}}', " " * ((1 << 20) + 1),
    '{"parameters": {"a": ' + "[" * 40 + "]" * 40 + "}}", '{"parameters": {"a": ' + "[" * 100_000 + "]" * 100_000 + "}}",
], ids=["two replies", "it continues", "continues is a number", "NaN", "half a pair", "no UTF-8", "too large",
        "40 levels", "100,000 levels"])
def test_nonsense_ends_the_connection(text):
    with fake_daemon.FakeDaemon(lambda call, connection: fake_daemon.reply(connection, text)) as fake, \
            shmd.Client(fake.path) as client:
        with pytest.raises(shmd.ProtocolError) as raised:
            client.delete("a")
        assert raised.value.name == ""
        assert fake.closed.wait(60)


def test_memory_that_is_not_what_it_should_be():
    def small():
        return fake_daemon.memory(4096)

    def unsealed():
        descriptor = os.memfd_create("test", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(descriptor, 4097)
        return descriptor

    def no_memory():
        return os.open("/dev/zero", os.O_RDWR)

    for make in (small, unsealed, no_memory):
        def answer(call, connection, make=make):
            descriptor = make()
            fake_daemon.reply(connection, json.dumps(GRANT), [descriptor])
            os.close(descriptor)

        with fake_daemon.FakeDaemon(answer) as fake, shmd.Client(fake.path) as client:
            with pytest.raises(shmd.ProtocolError):
                client.create("a", 4097)
            assert fake.closed.wait(60)


def test_memory_that_cannot_be_mapped():
    """It has no more addresses than that: the grant is given back, and the connection goes on."""
    size = 1 << 47
    told = {**GRANT["parameters"], "created": False, "segment": {**SEGMENT, "sizeBytes": size, "capacityBytes": size}}

    def answer(call, connection):
        if call.get("oneway"):
            return
        if call["method"].endswith("Open"):
            descriptor = fake_daemon.memory(size)
            fake_daemon.reply(connection, json.dumps({"parameters": told}), [descriptor])
            os.close(descriptor)
        else:
            fake_daemon.reply(connection, '{"parameters": {}}')

    before = open_descriptors()
    with fake_daemon.FakeDaemon(answer) as fake, shmd.Client(fake.path) as client:
        with pytest.raises(shmd.Error, match="its memory cannot be mapped") as raised:
            client.open("a")
        assert raised.value.errno == errno.ENOMEM and type(raised.value) is shmd.Error
        client.delete("a")
        assert [(each["method"].rpartition(".")[2], each.get("oneway", False)) for each in fake.calls] == [
            ("Open", False), ("Detach", True), ("Delete", False)]
    assert open_descriptors() == before


def test_brackets_within_texts_are_no_levels():
    text = json.dumps({"parameters": {"a": "[" * 100, 'b"': '"{\\' * 100, "c": ["]"] * 100}})
    with fake_daemon.FakeDaemon(lambda call, connection: fake_daemon.reply(connection, text)) as fake, \
            shmd.Client(fake.path) as client:
        client.delete("a")


class Interruption(Exception):
    pass


@pytest.fixture
def interruptions():
    def interrupt(*_):
        raise Interruption

    before = signal.signal(signal.SIGUSR1, interrupt)
    yield
    signal.signal(signal.SIGUSR1, before)


def test_a_call_that_is_interrupted_mixes_up_nothing(interruptions):
    """What it was owed is thrown away, and given back if it was a grant."""
    first = threading.Event()

    def answer(call, connection):
        if call.get("oneway"):
            return
        if call["method"].endswith("Create"):
            signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)
            first.wait(60)
            send_grant(connection)
        else:
            fake_daemon.reply(connection, json.dumps({"parameters": {"segment": SEGMENT}}))

    before = open_descriptors()
    with fake_daemon.FakeDaemon(answer) as fake, shmd.Client(fake.path) as client:
        with pytest.raises(Interruption):
            client.create("a", 4097)
        first.set()
        assert client.describe("a").id == SEGMENT["id"]
        assert client.describe("a").id == SEGMENT["id"]
        assert [(call["method"].rpartition(".")[2], call.get("oneway", False)) for call in fake.calls[:3]] == [
            ("Create", False), ("Detach", True), ("Describe", False)]
        assert fake.calls[1]["parameters"] == {"attachment": 9}
    assert open_descriptors() == before


def test_a_wait_that_is_interrupted(client, control, interruptions):
    def interrupt_when_it_waits():
        wait_for_connections(control, 3)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)

    wait_for_connections(control, 2)
    thread = threading.Thread(target=interrupt_when_it_waits)
    thread.start()
    with pytest.raises(Interruption):
        client.open("never", wait=1000)
    thread.join()
    client.create("a", 1).close()


def test_where_the_socket_is_found(monkeypatch, tmp_path):
    monkeypatch.setenv("SHMD_SOCKET", "/x/io.shmd.Segments")
    assert _paths.find_socket() == "/x/io.shmd.Segments"
    assert _paths.find_socket(control=True) == "/x/io.shmd.Control"
    monkeypatch.setenv("SHMD_SOCKET", "/x/y")
    assert _paths.find_socket(control=True) == "/x/y.control"
    monkeypatch.setenv("SHMD_CONTROL_SOCKET", "/z")
    assert _paths.find_socket(control=True) == "/z"
    monkeypatch.setenv("SHMD_SOCKET", "")
    monkeypatch.delenv("SHMD_CONTROL_SOCKET")
    system = tmp_path / "system"
    system.mkdir()
    (system / "io.shmd.Segments").touch()
    monkeypatch.setattr(_paths, "SYSTEM_DIRECTORY", str(system))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert _paths.find_socket() == str(system / "io.shmd.Segments")
    (system / "io.shmd.Segments").unlink()
    own = tmp_path / "shmd"
    assert _paths.find_socket() == str(own / "io.shmd.Segments")
    own.mkdir(mode=0o700)
    assert _paths.find_socket() == str(own / "io.shmd.Segments")
    own.chmod(0o720)
    with pytest.raises(shmd.NoDaemon, match="not trusted"):
        shmd.Client()
    own.rmdir()
    own.symlink_to(tmp_path)
    with pytest.raises(shmd.NoDaemon):
        _paths.find_socket()
    own.unlink()
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert _paths.user_directory() == f"/tmp/shmd-{os.geteuid()}"
