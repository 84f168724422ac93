#!/usr/bin/env python3
"""Objects from one process to another, through the Python client of shmd and, in turns with it, what others offer
Python programs: multiprocessing.shared_memory, Arrow Plasma and vineyard. Servers are started here, and ended.

What is measured is as in put_get_case.cpp, but that the reader copies the object into memory of its own. ./python_peers
makes the environment that this runs in. A peer that cannot be had is a row that says why.
"""

import argparse
import contextlib
import ctypes
import json
import multiprocessing
import os
import pathlib
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

import shmd

SIZES = [  # bytes, name, operations in a block, rounds, processors
    (64, "64 B", 20, 60, 1),
    (4 << 10, "4 KiB", 20, 60, 1),
    (1 << 20, "1 MiB", 5, 60, 2),
    (64 << 20, "64 MiB", 1, 20, 2),
]
STORE_BYTES = 512 << 20
KEY = "bench/object"
PR_SET_PDEATHSIG = 1
START_SECONDS = 60
libc = ctypes.CDLL(None)


def die_with_parent():
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Server:
    """A program with a Unix socket in a directory of its own; gone at the end of `with`."""

    def __init__(self, make_arguments):
        self.make_arguments = make_arguments

    def __enter__(self):
        self.directory = tempfile.TemporaryDirectory(prefix="shmd-bench-")
        self.socket = os.path.join(self.directory.name, "socket")
        self.log = open(os.path.join(self.directory.name, "log"), "w+")
        self.process = None
        try:
            arguments = self.make_arguments(self.socket)
            self.process = subprocess.Popen(arguments, stdout=self.log, stderr=self.log, preexec_fn=die_with_parent)
            self.await_socket()
        except BaseException:
            self.__exit__()
            raise
        return self

    def await_socket(self):
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            with socket.socket(socket.AF_UNIX) as probe, contextlib.suppress(OSError):
                probe.connect(self.socket)
                return
            # It does not say when it is ready, so this waits for its end, and looks again and again.
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(0.01)
                raise RuntimeError(f"{self.process.args[0]} ended: {self.last_line()}")
        raise RuntimeError(f"{self.process.args[0]} does not listen: {self.last_line()}")

    def last_line(self):
        self.log.seek(0)
        return (self.log.read().strip().splitlines() or ["it said nothing"])[-1]

    def __exit__(self, *_):
        if self.process:
            self.process.terminate()
            try:
                self.process.wait(START_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()
        self.directory.cleanup()


# A peer: put(data) gives what its reader needs to know, get(that, into) copies the object out, remove(that) ends it.


class New:
    """A segment that is created, and deleted again."""

    name = "shmd"

    def __init__(self, server, size):
        self.path = server.socket

    def connect_writer(self):
        self.client = shmd.Client(self.path)

    connect_reader = connect_writer

    def put(self, data):
        with self.client.create(KEY, len(data)) as segment:
            segment.buf[:] = data

    def get(self, _, into):
        with self.client.open(KEY) as segment:
            into[:] = segment.buf

    def remove(self, _):
        self.client.delete(KEY)


class Kept:
    """A segment that is there, mapped on both sides."""

    name = "shmd, kept"

    def __init__(self, server, size):
        self.path, self.size = server.socket, size

    def connect_writer(self):
        self.client = shmd.Client(self.path)
        self.segment = self.client.create("bench/kept", self.size, create_mode="any")
        self.view = self.segment.buf

    def connect_reader(self):
        self.client = shmd.Client(self.path)
        self.segment = self.client.open("bench/kept", wait=START_SECONDS)
        self.view = self.segment.buf

    def put(self, data):
        self.view[:] = data

    def get(self, _, into):
        into[:] = self.view

    def remove(self, _):
        pass


class SharedMemory:
    name = "shared_memory"

    def __init__(self, server, size):
        from multiprocessing import resource_tracker, shared_memory

        self.make = shared_memory.SharedMemory
        resource_tracker.ensure_running()  # one for both processes, as in a program that uses multiprocessing

    def connect_writer(self):
        pass

    connect_reader = connect_writer

    def put(self, data):
        self.block = self.make(create=True, size=len(data))
        self.block.buf[: len(data)] = data
        self.block.close()
        return self.block.name

    def get(self, name, into):
        block = self.make(name)
        into[:] = block.buf[: len(into)]
        block.close()

    def remove(self, _):
        self.block.unlink()


class Plasma:
    name = "Plasma"

    @staticmethod
    def arguments(path):
        return [os.path.join(os.path.dirname(sys.executable), "plasma_store"), "-m", str(STORE_BYTES), "-s", path]

    def __init__(self, server, size):
        from pyarrow import plasma

        self.plasma, self.path = plasma, server.socket

    def connect_writer(self):
        self.client = self.plasma.connect(self.path)

    connect_reader = connect_writer

    def put(self, data):
        name = os.urandom(20)
        self.id = self.plasma.ObjectID(name)
        memoryview(self.client.create(self.id, len(data))).cast("B")[:] = data
        self.client.seal(self.id)
        return name

    def get(self, name, into):
        [buffer] = self.client.get_buffers([self.plasma.ObjectID(name)])
        into[:] = memoryview(buffer).cast("B")

    def remove(self, _):
        self.client.delete([self.id])


class Vineyard:
    name = "vineyard"

    @staticmethod
    def arguments(path):
        from vineyard.deploy.utils import find_vineyardd_path

        return [find_vineyardd_path(), "--socket", path, "--norpc", "--meta", "local", "--size", str(STORE_BYTES)]

    def __init__(self, server, size):
        import vineyard

        self.vineyard, self.path = vineyard, server.socket

    def connect_writer(self):
        self.client = self.vineyard.connect(self.path)

    connect_reader = connect_writer

    def put(self, data):
        builder = self.client.create_blob(len(data))
        memoryview(builder).cast("B")[:] = data
        self.id = builder.seal(self.client).id
        return repr(self.id)

    def get(self, name, into):
        blob = self.client.get_blob(self.vineyard.ObjectID(name))
        into[:] = memoryview(blob).cast("B")

    def remove(self, _):
        self.client.delete([self.id])


class Trade:
    """This process puts, another one gets. What they say to each other in between is not measured."""

    def __init__(self, peer, size):
        self.peer, self.name, self.times = peer, peer.name, []
        self.pipe, theirs = multiprocessing.Pipe()
        self.reader = multiprocessing.get_context("fork").Process(target=self.serve, args=(theirs, size), daemon=True)
        self.reader.start()
        theirs.close()
        peer.connect_writer()
        self.pipe.send(None)
        self.receive()

    def receive(self):
        answer = self.pipe.recv()
        if isinstance(answer, str):
            raise RuntimeError(f"{self.name}: {answer}")
        return answer

    def serve(self, pipe, size):
        die_with_parent()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        self.pipe.close()
        into = memoryview(bytearray(size))
        try:
            pipe.recv()
            self.peer.connect_reader()
            pipe.send(0)
            while True:
                known, mark = pipe.recv()
                begin = time.perf_counter_ns()
                self.peer.get(known, into)
                took = time.perf_counter_ns() - begin
                pipe.send(took if into[:8] == mark == into[-8:] else "not what was put")
        except EOFError:
            pass
        except Exception as error:
            pipe.send(f"{type(error).__name__}: {error}")

    def run(self, data):
        """The nanoseconds of one object's life."""
        mark = (int.from_bytes(data[:8], "little") + 1).to_bytes(8, "little")
        data[:8] = data[-8:] = mark
        begin = time.perf_counter_ns()
        known = self.peer.put(data)
        put = time.perf_counter_ns() - begin
        self.pipe.send((known, mark))
        got = self.receive()
        begin = time.perf_counter_ns()
        self.peer.remove(known)
        return put + got + time.perf_counter_ns() - begin

    def close(self):
        self.reader.kill()
        self.reader.join()


def place(processors, servers):
    """As placement.cpp does: all on the last processor, or the servers on another one."""
    allowed = sorted(ALLOWED, reverse=True)
    os.sched_setaffinity(0, allowed[:1])
    for server in servers:
        for thread in os.listdir(f"/proc/{server.process.pid}/task"):
            os.sched_setaffinity(int(thread), allowed[:1] if processors == 1 else allowed[1:2] or allowed[:1])


def race(trades, data, rounds, block):
    for number in range(rounds + 1):
        for i in range(len(trades)):
            trade = trades[(i + number) % len(trades)]
            took = [trade.run(data) for _ in range(block)]
            if number > 0:  # the first one is for warming up
                trade.times += took


def quantile(times, part):
    return float(sorted(times)[int(part * (len(times) - 1))])


def compare(case, ours, reference, quick):
    row = {"case": case, "ours": statistics.median(ours.times), "reference": statistics.median(reference.times)}
    row |= {"referenceName": reference.name, "ratio": row["ours"] / row["reference"], "unit": "ns"}
    row |= {"oursP99": quantile(ours.times, 0.99), "referenceP99": quantile(reference.times, 0.99)}
    row["ratioP99"] = row["oursP99"] / row["referenceP99"]
    # Ahead of whatever has a server, as shmd has. The numbers of a quick run mean nothing.
    return row if quick or reference.name == "shared_memory" else row | {"goal": 1.0, "goalMet": row["ratio"] <= 1}


def quantity(ns):
    return f"{ns / 1e3:8.2f} µs" if ns < 1e6 else f"{ns / 1e6:8.2f} ms"


def tell(row):
    if "skipped" in row:
        print(f"{row['case']:28} skipped: {row['referenceName']}: {row['skipped']}", flush=True)
        return
    case, reference = row["case"], row["referenceName"]
    goal = f"≤ {row['goal']:.2f}  {'met' if row['goalMet'] else 'MISSED'}" if "goal" in row else ""
    if len(case) > 28:  # then it has a line of its own
        print(case)
        case = ""
    for name, ending in (("median", ""), ("p99", "P99")):
        ours, theirs, ratio = quantity(row["ours" + ending]), quantity(row["reference" + ending]), row["ratio" + ending]
        print(f"{case:28} {name:7} {ours}   {reference:20} {theirs}   {ratio:6.3f}   {goal}".rstrip(), flush=True)
        case = reference = goal = ""


def rows_of(size, name, rounds, block, peers, quick):
    with contextlib.ExitStack() as stack:
        trades = {}
        for peer, server in peers:
            trade = Trade(peer(server, size), size)
            stack.callback(trade.close)
            trades[peer] = trade
        race(list(trades.values()), bytearray(os.urandom(8) * (size // 8)), rounds, block)
        for peer, trade in trades.items():
            if peer not in (New, Kept):
                yield compare(f"Python, put and get, {name}", trades[New], trade, quick)
        for peer in (Plasma, Vineyard):
            if peer in trades:
                yield compare(f"Python, put again and get, {name}", trades[Kept], trades[peer], quick)


def started(stack, peer, skipped):
    """The server of a peer, or why there is none."""
    if peer.name in skipped:
        return None, skipped[peer.name]
    try:
        return stack.enter_context(Server(peer.arguments)), None
    except Exception as error:
        return None, f"{type(error).__name__}: {error}"


def measure(given):
    skipped = dict(each.split("=", 1) for each in given.skip)
    with contextlib.ExitStack() as stack:
        daemon = stack.enter_context(Server(lambda path: [given.daemon, "--socket", path]))
        peers, servers = [(New, daemon), (Kept, daemon), (SharedMemory, None)], [daemon]
        for peer in (Plasma, Vineyard):
            server, why = started(stack, peer, skipped)
            if server:
                peers.append((peer, server))
                servers.append(server)
            else:
                yield {"case": "Python, put and get", "referenceName": peer.name, "skipped": why}
        for size, name, block, rounds, processors in SIZES:
            place(processors, servers)
            if given.quick:
                size, block, rounds = min(size, 4 << 20), 2, 2
            yield from rows_of(size, name, rounds, block, peers, given.quick)
            with shmd.Client(daemon.socket) as client:
                client.delete("bench/kept")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--daemon", required=True, help="the program shmd")
    parser.add_argument("--json", help="writes the rows to this file")
    parser.add_argument("--quick", action="store_true", help="only shows that it works: the numbers mean nothing")
    parser.add_argument("--skip", action="append", default=[], metavar="PEER=REASON", help="leaves it out")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # servers end with their `with`
    rows = []
    for row in measure(given):
        tell(row)
        rows.append(row)
    if given.json:
        pathlib.Path(given.json).write_text(json.dumps(rows, indent=2) + "\n")


ALLOWED = os.sched_getaffinity(0)

if __name__ == "__main__":
    main()
