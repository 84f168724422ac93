#!/usr/bin/env python3
"""Measures the Python client beside multiprocessing.shared_memory and multiprocessing.Lock, in the same run and in turns with
them.

Prints a JSON object a line: {"case", "language", "median_us"} for times, {"case", "language", "ratio"} of ours to the
standard library's. Times say as much about the machine as about shmd; the ratios are what counts. Needs a running daemon.
"""

import argparse
import inspect
import json
import multiprocessing
import os
import random
import statistics
import sys
import time
from multiprocessing import shared_memory

# Where the package is installed it has its C part, which the one beside this file lacks.
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.sort(key=lambda each: os.path.abspath(each) == HERE)

import shmd  # noqa: E402

LANGUAGE = "python"
# Without the resource tracker where that can be said, since 3.13: it is no part of opening.
UNTRACKED = {"track": False} if "track" in inspect.signature(shared_memory.SharedMemory).parameters else {}

LOCKS = 1000


def measure(cases, rounds, block):
    """Runs blocks of each case in an order that changes; gives the median of each in microseconds."""
    times = {name: [] for name in cases}
    for name in cases:
        cases[name]()
    for _ in range(rounds):
        for name in random.sample(sorted(cases), len(cases)):
            function = cases[name]
            for _ in range(block):
                begin = time.perf_counter_ns()
                function()
                times[name].append((time.perf_counter_ns() - begin) / 1000)
    return {name: statistics.median(each) for name, each in times.items()}


def tell(case, medians):
    for name, median in medians.items():
        row = {"case": case if name == "shmd" else f"{case}, {name}", "language": LANGUAGE, "median_us": round(median, 2)}
        print(json.dumps(row))
    for name, median in medians.items():
        if name != "shmd":
            print(json.dumps({"case": f"{case}, to {name}", "language": LANGUAGE, "ratio": round(medians["shmd"] / median, 3)}))
    sys.stdout.flush()


def opening(client, rounds):
    theirs = shared_memory.SharedMemory(create=True, size=4096)
    client.create("bench/open", 4096, create_mode="any").close()

    def shmd_opens():
        with client.open("bench/open", "write") as segment:
            segment.buf[0] = 1

    def standard_opens():
        block = shared_memory.SharedMemory(theirs.name, **UNTRACKED)
        block.buf[0] = 1
        block.close()

    try:
        return measure({"shmd": shmd_opens, "standard library": standard_opens}, rounds, 50)
    finally:
        client.delete("bench/open")
        theirs.close()
        theirs.unlink()


def creating(client, rounds):
    def shmd_creates():
        with client.create(None, 4096) as segment:
            segment.delete()

    def standard_creates():
        block = shared_memory.SharedMemory(create=True, size=4096)
        block.close()
        block.unlink()

    return measure({"shmd": shmd_creates, "standard library": standard_creates}, rounds, 20)


def locking(client, rounds):
    theirs = multiprocessing.Lock()
    ours = client.create(None, 8)
    ours.delete()

    def shmd_locks():
        for _ in range(LOCKS):
            with ours.lock():
                pass

    def standard_locks():
        for _ in range(LOCKS):
            with theirs:
                pass

    try:
        return measure({"shmd": shmd_locks, "standard library": standard_locks}, rounds, 5)
    finally:
        ours.close()


def data(client, size, rounds):
    import numpy

    source = numpy.arange(size // 8, dtype="i8")
    size = source.nbytes
    theirs = shared_memory.SharedMemory(create=True, size=size)
    ours = client.create(None, size)
    ours.delete()
    arrays = {"shmd": ours.ndarray("i8"), "standard library": numpy.ndarray(source.shape, "i8", theirs.buf)}
    try:
        copies = {name: (lambda array=array: numpy.copyto(array, source)) for name, array in arrays.items()}
        yield "copy in", measure(copies, rounds, 1)
        assert (arrays["shmd"] == source).all()
        sums = {name: array.sum for name, array in arrays.items()}
        yield "sum over", measure(sums, rounds, 1)
    finally:
        arrays.clear()
        copies = sums = None
        ours.close()
        theirs.close()
        theirs.unlink()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--socket", help="the daemon's; default: as every client finds it")
    parser.add_argument("--size", type=int, default=64 << 20, help="bytes to copy and to sum; default: 64 MiB")
    parser.add_argument("--rounds", type=int, default=20, help="default: 20")
    given = parser.parse_args()
    with shmd.Client(given.socket) as client:
        tell("open, map, close", opening(client, given.rounds))
        tell("create, map, close, delete", creating(client, given.rounds))
        try:
            tell(f"lock, unlock {LOCKS} times", locking(client, given.rounds))
        except shmd.Error as error:  # without its C part
            print(error, file=sys.stderr)
        try:
            for case, medians in data(client, given.size, given.rounds):
                tell(f"{case} {given.size} bytes", medians)
        except ImportError:
            print("without numpy there is nothing that copies or sums at memory speed", file=sys.stderr)


if __name__ == "__main__":
    main()
