"""Threads, fork(2), and segments that are handed to other processes."""

import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
import traceback

import pytest

import shmd
from conftest import wait_for_connections

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")


def in_child(function):
    """Runs it in a child; gives its traceback if it failed."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        text = ""
        try:
            function()
        except BaseException:
            text = traceback.format_exc()
        os.write(writing, text.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    assert not text, text


def test_threads_share_a_client(client):
    failures = []

    def work(number):
        try:
            for turn in range(50):
                key = f"t/{number}/{turn}"
                with client.create(key, 100) as segment:
                    segment[:4] = number.to_bytes(4, "big")
                    with client.open(key) as view:
                        assert bytes(view[:4]) == number.to_bytes(4, "big")
                        assert client.describe(key).attachments == 2
                client.delete(key)
        except BaseException:
            failures.append(traceback.format_exc())

    threads = [threading.Thread(target=work, args=[number]) for number in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert not failures, failures[0]
    assert client.list() == []


def test_a_child_connects_anew_and_grants_stay_with_the_parent(client):
    segment = client.create("a", 100)
    segment[0] = 1
    dropped = client.open("a")
    watch = client.watch()
    parent = os.getpid()

    def child():
        assert segment[0] == 1
        segment[1] = 2
        with client.open("a") as own:
            assert own[1] == 2
            assert client.describe("a").attachments == 3
        for call in (segment.remap, segment.publish, segment.seal, watch.next):
            with pytest.raises(shmd.Inherited):
                call()
        segment.close()
        with pytest.raises(shmd.Closed):
            segment[0]
        nonlocal dropped
        dropped = None
        assert client.describe("a").attachments == 2
        assert client.create("b", 1).info.creator_pid != parent

    in_child(child)
    assert segment[1] == 2 and segment.remap().attachments == 2
    assert watch.next().kind == "present" and watch.next().kind == "ready"
    watch.close()
    dropped.close()
    segment.close()


def test_arrays_in_a_child(client):
    numpy = pytest.importorskip("numpy", reason="numpy is not installed")
    with client.create("a", 80) as segment, client.open("a") as view:
        segment.ndarray("f8", 10)[:] = 1
        view.remap()

        def child():
            assert segment.ndarray().sum() == view.ndarray().sum() == 10
            segment.ndarray("i8", 5)[:] = 2  # kept in no label: the grant is the parent's

        in_child(child)
        assert numpy.frombuffer(view, "i8")[:5].tolist() == [2] * 5 and client.describe("a").labels["dtype"] == "<f8"


def test_a_program_that_leaves_everything_open_ends_quietly(daemon):
    program = ("import shmd; c = shmd.Client(); s = c.create('a', 10); v = s[1:3]; w = c.watch(); w.next(); b = s.buf;"
               "m = memoryview(s); k = shmd.SharedMemory(create=True, size=5); l = shmd.ShareableList([1])")
    done = subprocess.run([sys.executable, "-X", "dev", "-W", "error", "-c", program], capture_output=True, text=True,
                          check=True)
    assert done.stderr == "" and done.stdout == ""


def test_a_child_is_made_while_another_thread_is_in_a_call(client, control):
    """Its locks are held then, and nobody in the child will open them."""
    waiting = threading.Thread(target=lambda: client.open("late", wait=1000).close())
    waiting.start()
    wait_for_connections(control, 3)
    segment = client.create("a", 10, capacity=20)
    connection = client._connection()
    held, done = threading.Event(), threading.Event()

    def hold():
        with segment._lock, connection._call_lock, connection._send_lock, client._lock:
            held.set()
            done.wait(100)

    holding = threading.Thread(target=hold)
    holding.start()
    held.wait()

    def child():
        segment.buf[0] = 1
        with pytest.raises(shmd.Inherited):
            segment.resize(20)
        segment.close()
        client.create("late", 10).close()

    in_child(child)
    done.set()
    holding.join()
    waiting.join(60)
    assert not waiting.is_alive()
    segment.close()


def test_the_inherited_socket_is_closed_in_the_child(client):
    number = client._connection().fileno()
    with client.create("a", 1):  # it refers to the connection too

        def child():
            with pytest.raises(OSError):
                os.fstat(number)

        in_child(child)
        client.list()


def test_a_segment_is_pickled_as_a_handle(client):
    with client.create("a", 10) as segment, client.open("a") as view:
        segment[0] = 5
        copy = pickle.loads(pickle.dumps(segment))
        read_only = pickle.loads(pickle.dumps(view))
        assert (copy.id, copy[0], copy.readonly, read_only.readonly) == (segment.id, 5, False, True)
        assert copy.attachment != segment.attachment
        copy.close()
        read_only.close()
    with pytest.raises(shmd.Closed):
        pickle.dumps(segment)
    with client.create("staged", 1, staged=True) as staged, pytest.raises(TypeError):
        pickle.dumps(staged)
    with pickle.loads(pickle.dumps(client)) as other:
        assert other.path == client.path and [each.key for each in other.list()] == ["a"]


def increment(segment, client):
    segment[0] += 1
    return client.describe(segment.key).attachments


@pytest.mark.parametrize("method", ["spawn", "fork", "forkserver"])
def test_segments_go_to_processes_of_multiprocessing(client, method):
    context = multiprocessing.get_context(method)
    with client.create("a", 10) as segment:
        with context.Pool(2) as pool:
            assert pool.apply(increment, (segment, client)) >= 2
            pool.apply(increment, (segment, client))
            pool.close()
            pool.join()
        assert segment[0] == 2


def test_who_dies_lets_go(client):
    """A process that is killed in the middle of its work."""
    client.create("a", 10).close()
    program = "import shmd, sys; s = shmd.Client().open('a', 'write'); s[0] = 9; print(flush=True); sys.stdin.read()"
    with client.watch("a") as watch:
        assert [watch.next().kind for _ in range(2)] == ["present", "ready"]
        with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
            assert child.stdout.readline() == b"\n"
            child.kill()
        assert [watch.next(60).kind for _ in range(2)] == ["attached", "detached"]
    with client.open("a") as view:
        assert view[0] == 9
