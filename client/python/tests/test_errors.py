"""Every error, produced by the real daemon, with its name and its parameters."""

import errno
import json
import os
import pathlib
import pickle
import resource
import socket
import tempfile

import pytest

import shmd
from fake_daemon import FakeDaemon

S = "io.shmd.Segments."
V = "org.varlink.service."


def check(call, kind, name, parameters, number, *also):
    with pytest.raises(kind) as raised:
        call()
    error = raised.value
    assert type(error) is kind
    assert error.name == name
    assert parameters is None or error.parameters == parameters
    assert error.errno == number
    assert isinstance(error, (shmd.Error, *also)) and all(isinstance(error, each) for each in also)
    assert str(error).startswith("cannot ") and "?" not in str(error)
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), copy.name, copy.parameters, copy.errno, str(copy)) == (kind, name, error.parameters, number, str(error))
    return error


def test_what_the_daemon_refuses(client):
    with client.create("a", 10, sealable=False, capacity=20) as a, client.create("s", 1) as s:
        s.seal()
        check(lambda: client.open("none"), shmd.NoSuchSegment, S + "NoSuchSegment", {"key": "none"}, errno.ENOENT,
              FileNotFoundError)
        check(lambda: client.describe(id=1), shmd.NoSuchSegment, S + "NoSuchSegment", {"id": 1}, errno.ENOENT)
        check(lambda: client.create("a", 1), shmd.SegmentExists, S + "SegmentExists", {"key": "a"}, errno.EEXIST,
              FileExistsError)
        check(lambda: client.create("a", 11, create_mode="any"), shmd.SizeMismatch, S + "SizeMismatch", {"sizeBytes": 10},
              errno.ERANGE)
        check(lambda: client.create("-x", 1), shmd.InvalidKey, S + "InvalidKey", {"key": "-x"}, errno.EINVAL, ValueError)
        check(lambda: client.create("b", 2**53 - 1), shmd.OutOfMemory, S + "OutOfMemory", {"sizeBytes": 2**53 - 1},
              errno.ENOMEM, MemoryError)
        check(lambda: client.open("s", "write"), shmd.SegmentSealed, S + "SegmentSealed", {"key": "s"}, errno.EROFS)
        check(lambda: client.open("a", sealed=True), shmd.NotSealed, S + "NotSealed", {"key": "a"}, errno.EBADFD)
        check(lambda: client.seal("a"), shmd.NotSealable, S + "NotSealable", {"key": "a"}, errno.EBADFD)
        check(lambda: client.renew("a"), shmd.NoLease, S + "NoLease", {"key": "a"}, errno.EBADFD)
        check(lambda: a.resize(21), shmd.CapacityExceeded, S + "CapacityExceeded", {"capacityBytes": 20}, errno.EFBIG)
        check(lambda: client.create("b", 0), shmd.InvalidParameter, V + "InvalidParameter", {"parameter": "sizeBytes"},
              errno.EINVAL, ValueError)
        check(lambda: client.call(S + "List"), shmd.ExpectedMore, V + "ExpectedMore", {}, errno.EINVAL)
        check(lambda: client.call(S + "Frob"), shmd.NotSupported, V + "MethodNotFound", {"method": S + "Frob"},
              errno.EOPNOTSUPP)
        check(lambda: client.call("org.none.Frob"), shmd.NotSupported, V + "InterfaceNotFound", {"interface": "org.none"},
              errno.EOPNOTSUPP)
    with client.create("w", 1) as writer:
        error = check(lambda: client.seal("w"), shmd.SegmentBusy, S + "SegmentBusy", None, errno.EBUSY)
        assert error.parameters["holders"] == [
            {"pid": os.getpid(), "uid": os.geteuid(), "attachment": writer.attachment, "access": "write"}]
        assert f"process {os.getpid()}" in str(error)


def test_huge_pages_that_the_machine_has_not(client):
    pool = pathlib.Path("/sys/kernel/mm/hugepages/hugepages-1048576kB/free_hugepages")
    if pool.exists() and int(pool.read_text()) > 0:
        pytest.skip("this machine has huge pages of 1 GiB")
    error = check(lambda: client.create("h", 1 << 30, huge_pages="huge1G"), shmd.PlacementUnavailable,
                  S + "PlacementUnavailable", None, errno.ENODEV)
    assert error.parameters["setting"] in str(error)


def test_limits(start_daemon):
    manager = start_daemon(config=json.dumps({"limits": {"segments": 1, "connections": 3}}))
    with shmd.Client(manager.socket) as client:
        client.create("a", 1).close()
        check(lambda: client.create("b", 1), shmd.QuotaExceeded, S + "QuotaExceeded", {"resource": "segments", "limit": 1},
              errno.EDQUOT)
        with shmd.Client(manager.socket) as second, shmd.Client(manager.socket) as third:
            second.list(), third.list()
            fourth = shmd.Client(manager.socket)
            check(fourth.list, shmd.QuotaExceeded, S + "QuotaExceeded", {"resource": "connections", "limit": 3},
                  errno.EDQUOT)
            fourth.close()


def test_draining_and_administration(control, client):
    C = "io.shmd.Control."
    control.call(C + "Drain", {"enable": True})
    try:
        check(lambda: client.create("a", 1), shmd.Draining, S + "Draining", {}, errno.ESHUTDOWN)
    finally:
        control.call(C + "Drain", {"enable": False})
    check(lambda: control.call(C + "Disconnect", {"pid": 1}), shmd.NoSuchProcess, C + "NoSuchProcess", {"pid": 1},
          errno.ESRCH, ProcessLookupError)


def test_a_configuration_that_cannot_be_used(start_daemon):
    manager = start_daemon(config="{}")
    path = pathlib.Path(manager.arguments[manager.arguments.index("--config") + 1])
    path.write_text("{ nonsense", encoding="utf-8")
    with shmd.Client(manager.control_socket) as control:
        error = check(lambda: control.call("io.shmd.Control.Reload"), shmd.InvalidConfiguration,
                      "io.shmd.Control.InvalidConfiguration", None, errno.EINVAL)
    assert error.parameters["reason"] in str(error)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_is_denied_and_let_in_again_with_the_next_call(client):
    """The effective user of the next call counts, and grants of before stay."""
    with client.create("private", 10, mode=0o600) as segment:
        os.seteuid(65534)
        try:
            error = check(lambda: client.open("private"), shmd.PermissionDenied, V + "PermissionDenied", {}, errno.EACCES,
                          PermissionError)
            assert "65534" in str(error)
            mine = client.create("user/65534/a", 1)
            assert mine.info.owner_uid == 65534
            mine.close()
        finally:
            os.seteuid(0)
        client.open("private").close()
        assert segment.remap().attachments == 1
        segment[0] = 1


def test_no_daemon():
    with pytest.raises(shmd.NoDaemon, match="start shmd") as raised:
        shmd.Client("/nowhere/io.shmd.Segments")
    assert raised.value.errno == errno.ECONNREFUSED and raised.value.name == ""
    with pytest.raises(shmd.Error) as raised:
        shmd.Client("/" + "x" * 200)
    assert raised.value.errno == errno.ENAMETOOLONG


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_socket_that_is_not_for_this_user(tmp_path):
    with FakeDaemon(lambda call, connection: None) as fake:
        os.chmod(os.path.dirname(fake.path), 0o755)
        os.chmod(fake.path, 0o600)
        os.seteuid(65534)
        try:
            with pytest.raises(shmd.PermissionDenied) as raised:
                shmd.Client(fake.path)
        finally:
            os.seteuid(0)
        assert (raised.value.name, raised.value.errno) == ("", errno.EACCES) and fake.path in str(raised.value)


def test_a_process_that_may_open_no_more_files(daemon):
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
    try:
        with pytest.raises(shmd.Error) as raised:
            shmd.Client()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert raised.value.errno == errno.EMFILE


def test_a_daemon_that_goes_away_before_it_answers():
    def hang_up(call, connection):
        connection.close()

    with FakeDaemon(hang_up) as fake, shmd.Client(fake.path) as client:
        check(lambda: client.delete("a"), shmd.Disconnected, "", {}, errno.ECONNRESET, ConnectionResetError)
        assert len(fake.calls) == 1, "a call that may have been carried out is not repeated"
        check(lambda: client.describe("a"), shmd.Disconnected, "", {}, errno.ECONNRESET)
        assert len(fake.calls) == 3, "one that changes nothing is, once"


def test_a_message_that_is_too_large(client):
    with pytest.raises(shmd.Error) as raised:
        client.list("x" * (1 << 20))
    assert raised.value.errno == errno.EMSGSIZE
    assert client.list() == []


def test_a_refusal_at_the_door_is_read_though_the_call_cannot_be_sent():
    refusal = {"error": S + "QuotaExceeded", "parameters": {"resource": "connections", "limit": 7}}
    with tempfile.TemporaryDirectory(prefix="shmd-test-") as directory, socket.socket(socket.AF_UNIX) as listening:
        path = pathlib.Path(directory) / "socket"
        listening.bind(str(path))
        listening.listen()
        client = shmd.Client(path)
        accepted, _ = listening.accept()
        accepted.sendall(json.dumps(refusal).encode() + b"\0")
        accepted.close()
        check(client.list, shmd.QuotaExceeded, S + "QuotaExceeded", refusal["parameters"], errno.EDQUOT)
        client.close()
