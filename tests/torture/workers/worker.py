#!/usr/bin/env python3
"""A worker of the torture, in Python. README.md has the contract."""

import random
import struct
import sys
import time

import shmd

WORDS, STEP, PATIENCE = 14, 16, 60
M, S, R, REPAIRS = 0, 128, 256, 384
LAYOUT = struct.Struct("=16Q")


class Violation(Exception):
    pass


class Worker:
    def __init__(self, segment, me):
        self.segment, self.me = segment, me
        self.memory = memoryview(segment).cast("B").cast("Q")
        self.random = random.Random(me)

    def dawdle(self):
        if self.random.randrange(50) == 0:
            time.sleep(self.random.randrange(300) / 1e6)

    @staticmethod
    def verify(seen, what, inside=0):
        counter = seen[1]
        if seen[0] != inside or list(seen[2:]) != [STEP * counter + word for word in range(WORDS)]:
            raise Violation(f"{what}: inside {seen[0]} counter {counter} words {' '.join(map(str, seen[2:]))}")

    def look(self, at):
        return self.memory[at // 8:at // 8 + 16].tolist()

    def check(self, at, what, inside=0):
        self.verify(self.look(at), what, inside)

    def change(self, at, what):
        words = self.memory[at // 8:at // 8 + 16]
        words[0] = self.me
        counter = words[1] + 1
        if self.random.randrange(2):
            words[1] = counter
        first = self.random.randrange(WORDS)
        for word in [*range(first, WORDS), *range(first)]:
            words[2 + word] = STEP * counter + word
            self.dawdle()
        words[1] = counter
        self.check(at, what, self.me)
        if words[1] != counter:
            raise Violation(f"{what}: counter {words[1]} after {counter}")
        words[0] = 0

    def repair(self, at):
        self.change(at, "somebody else wrote during a repair")
        self.memory[REPAIRS // 8 + at // 128] += 1

    def repair_both(self, held):
        """S is rewritten only where it is torn: snapshots may be reading it if the dead was in no section."""
        self.repair(M)
        try:
            self.check(S, "S")
        except Violation:
            self.repair(S)
        held.make_consistent()

    def lock(self):
        with self.segment.lock(PATIENCE) as held:
            if held.owner_died:
                self.repair_both(held)
            self.check(M, "M is torn under the mutex")
            self.check(S, "S is torn under the mutex")
            self.change(M, "M: somebody else is inside")

    def write_section(self):
        with self.segment.writing(PATIENCE) as held:
            if held.owner_died:
                self.repair_both(held)
            self.check(M, "M is torn in a write section")
            self.check(S, "S is torn in a write section")
            self.change(S, "S: somebody else is inside")

    def snapshot(self):
        try:
            if self.random.randrange(2):
                copy = LAYOUT.unpack(self.segment.snapshot(S, LAYOUT.size, PATIENCE))
            else:
                copy = self.segment.read_consistent(self.slow_copy, PATIENCE)
        except shmd.OwnerDied:
            self.random.choice([self.lock, self.write_section])()
        else:
            self.verify(copy, "a snapshot of S is torn")

    def slow_copy(self, memory):
        """So that writers come in between."""
        half = S + LAYOUT.size // 2
        first = bytes(memory[S:half])
        time.sleep(self.random.randrange(1000) / 1e6)
        return LAYOUT.unpack(first + memory[half:S + LAYOUT.size])

    def read_lock(self):
        with self.segment.read_lock(PATIENCE) as held:
            if not held.owner_died:
                self.check(R, "R is torn under the read lock")
                if self.random.randrange(2):
                    time.sleep(self.random.randrange(1000) / 1e6)  # so that some die as readers
                self.check(R, "R changes under the read lock")

    def write_lock(self):
        with self.segment.write_lock(PATIENCE) as held:
            if held.owner_died:
                self.repair(R)
                held.make_consistent()
            self.check(R, "R is torn under the write lock")
            self.change(R, "R: somebody else is inside")

    def notify(self):
        self.segment.notify()

    def wait(self):
        before = self.segment.version
        try:
            after = self.segment.wait(before, 0.05)
        except shmd.TimedOut:
            return
        if after <= before:
            raise Violation("wait: an old version")

    def act(self):
        self.random.choice([self.lock, self.write_section, self.snapshot, self.read_lock, self.write_lock, self.notify, self.wait])()

    def pair(self, ping, peer):
        """Nothing but the peer's wake-ups lets this go on."""
        mine = self.segment
        locked = peer if ping else mine
        while True:
            own = peer.version
            needed = own if ping else own + 1
            if needed > 0:
                mine.wait(needed - 1, PATIENCE)
            if self.random.randrange(4) == 0:
                time.sleep(self.random.randrange(500) / 1e6)  # leaves the others some of the machine
            kind = (needed if ping else own) // 2 % 4
            reads = ping if kind == 2 else not ping if kind == 3 else False
            with (locked.lock if kind == 0 else locked.read_lock if reads else locked.write_lock)(PATIENCE) as held:
                if held.owner_died and not reads:
                    held.make_consistent()
                peer.notify()
                # So that some die while the peer waits for the lock.
                time.sleep(self.random.randrange(300 if self.random.randrange(8) else 5000) / 1e6)


def opened(path, key):
    """Opens it, and its sync area with it, while the daemon may come and go."""
    for _ in range(1000):
        try:
            segment = shmd.Client(path).open(key, access="write")
            segment.version
            return segment
        except (shmd.Disconnected, shmd.NoDaemon):
            time.sleep(0.01)
    raise Violation("open: no daemon")


def main():
    if len(sys.argv) not in (4, 6):
        return 2
    path, key, seed = sys.argv[1:4]
    try:
        segment = opened(path, key)
        worker = Worker(segment, int(seed))
        peer = opened(path, sys.argv[5]) if len(sys.argv) == 6 else None
        print("ready", flush=True)
        if peer is not None:
            worker.pair(sys.argv[4] == "ping", peer)
        while True:
            try:
                worker.act()
            except shmd.NoDaemon:
                pass
    except (Violation, shmd.Error) as wrong:
        print(f"{type(wrong).__name__}: {wrong}", file=sys.stderr)
        return 3


if __name__ == "__main__":
    sys.exit(main())
