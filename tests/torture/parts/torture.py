"""The torture itself: who is killed when, and what must hold all the while."""

import collections
import threading
import time

from .observer import Observer
from .workers import PATIENCE, Failure, Worker, asleep

CHECK_EVERY = 25  # kills
MAIN, PING, PONG = "torture", "torture/ping", "torture/pong"


class Torture:
    """manager: the daemon's. launchers: (language, identity, command, environment) of all that can be; pairs: those for the pair.
    shmd: Python's client."""

    def __init__(self, manager, random, seed, launchers, pairs, workers, shmd, say):
        self.manager, self.random, self.seed, self.shmd, self.say = manager, random, seed, shmd, say
        self.launchers, self.pairs = launchers, pairs
        self.languages = list(dict.fromkeys(each[0] for each in launchers))
        self.slots, self.ping_pong, self.dying = [None] * workers, {}, []
        self.started, self.kills, self.daemon_kills, self.without_daemon, self.pair_kills = 0, 0, 0, 0, 0
        self.deaths = collections.Counter()
        self.suspicion = None
        with shmd.Client(manager.socket) as client:
            for key in (MAIN, PING, PONG):
                with client.create(key, 4096, mode=0o666) as segment:
                    if key == MAIN:
                        words = memoryview(segment).cast("B").cast("Q")
                        for at in (0, 16, 32):
                            for word in range(14):
                                words[at + 2 + word] = word
                        words.release()
        self.main, self.ping, self.pong = (Observer(manager.socket, key) for key in (MAIN, PING, PONG))
        self.last = self.progress()

    # ---- Who there is ----

    def worker(self, launchers, *arguments):
        language, identity, command, environment = self.random.choice(launchers)
        self.started += 1
        # A number of 48 bits, which every language can count with; its low half names the worker.
        number = (self.seed & 0xFFFF) << 32 | self.started
        return Worker(number, language, identity, [*command, self.manager.socket, arguments[0], str(number), *arguments[1:]],
                      environment)

    def fill(self, slot):
        language = self.languages[slot % len(self.languages)]
        self.slots[slot] = self.worker([each for each in self.launchers if each[0] == language], MAIN)

    def fill_pair(self, role):
        keys = (PONG, "ping", PING) if role == "ping" else (PING, "pong", PONG)
        self.ping_pong[role] = self.worker(self.pairs, *keys)

    def everybody(self):
        return [each for each in [*self.slots, *self.ping_pong.values()] if each is not None]

    # ---- What must hold ----

    def progress(self):
        return {**self.main.counters(), "the pair": self.ping.version() + self.pong.version()}

    def look(self):
        """At everything that can be seen at once."""
        for each in self.everybody():
            each.check()
            each.look()
        self.dying = [each for each in self.dying if not each.gone()]
        self.look_for_lost_wake_up()

    def look_for_lost_wake_up(self):
        """It is always the turn of one of the pair. When both sleep on futexes, no lock is held and the daemon sleeps too, then
        nobody is left who could wake the one whose turn it is. It wakes by itself after a second, so this is looked for all the
        time. What is seen the same twice has been so in between; the daemon, which may be at it, is looked at last."""
        pair = list(self.ping_pong.values())
        pids = [each.inner for each in pair if each.ready and each.inner is not None]
        seen = None
        if len(pids) == 2 and self.manager.pid is not None:
            sleeping = [asleep(pid) for pid in pids]
            free = self.ping.free() and self.pong.free()
            idle = asleep(self.manager.pid) is not None
            if None not in sleeping and sleeping[0][1] and sleeping[1][1] and free and idle:
                seen = pids, sleeping, self.ping.version(), self.pong.version()
        if seen is not None and seen == self.suspicion:
            raise Failure(f"a wake-up is lost: {pair[0].name()} and {pair[1].name()} both sleep, and nothing is locked\n"
                          f"{seen[1]}\n{self.ping.text()}\n{self.pong.text()}")
        self.suspicion = seen

    def wait_for(self, what, condition):
        end = time.monotonic() + PATIENCE
        while not condition():
            self.look()
            if time.monotonic() > end:
                raise Failure(f"stuck: {what}, for {PATIENCE} s\n{self.main.text()}\n{self.ping.text()}\n{self.pong.text()}")
            time.sleep(0.002)

    def check_progress(self):
        before = self.last

        def stuck():
            now = self.progress()
            return [name for name in before if now[name] <= before[name]]

        self.wait_for("M, S, R or the pair does not go on", lambda: not stuck())
        self.last = self.progress()

    # ---- Deaths ----

    def kill(self, worker):
        worker.check()
        worker.kill(self.random)
        self.kills += 1
        self.deaths[worker.language] += 1

    def kill_one(self):
        """One that works, but for one in ten, which may be in the middle of opening. Without a daemon no other begins to work."""
        slots = range(len(self.slots))
        if self.random.randrange(10):
            if self.manager.pid is not None:
                self.wait_for("no worker works", lambda: any(each.ready for each in self.slots))
            slots = [i for i in slots if self.slots[i].ready] or slots
        language = self.random.choice(sorted({self.slots[i].language for i in slots}))  # slow ones are ready less often
        slot = self.random.choice([i for i in slots if self.slots[i].language == language])
        worker = self.slots[slot]
        self.kill(worker)
        self.dying.append(worker)
        self.slots[slot] = None
        self.fill(slot)

    def kill_of_pair(self):
        """Only when the old one is gone comes the new one: there must be one for each role."""
        role = self.random.choice(["ping", "pong"])
        worker = self.ping_pong[role]
        self.wait_for(f"{worker.name()} is not ready", lambda: worker.ready)
        self.kill(worker)
        del self.ping_pong[role]
        self.pair_kills += 1
        worker.await_gone()
        self.fill_pair(role)

    def kill_daemon(self):
        self.check_progress()
        self.manager.kill()
        self.daemon_kills += 1
        for _ in range(self.random.randrange(4)):
            self.without_daemon += 1
            self.pause()
            if self.random.randrange(4) == 0:
                self.kill_of_pair_unless_starting()
            else:
                self.kill_one()
        self.pause()
        self.manager.start()

    def kill_of_pair_unless_starting(self):
        """It may need the daemon to be ready."""
        if all(each.ready for each in self.ping_pong.values()):
            self.kill_of_pair()

    def pause(self):
        time.sleep(self.random.random() * 0.02)
        self.look()

    def run(self, kills):
        for slot in range(len(self.slots)):
            self.fill(slot)
        for role in ("ping", "pong"):
            self.fill_pair(role)
        next_daemon = self.random.randrange(10, 40)
        next_check, next_pair = CHECK_EVERY, self.random.randrange(3, 12)
        while self.kills < kills:
            self.pause()
            self.kill_one()
            if self.kills >= next_check:
                self.check_progress()
                next_check = self.kills + CHECK_EVERY
            if self.kills >= next_pair:
                self.kill_of_pair()
                next_pair = self.kills + self.random.randrange(3, 12)
            if self.kills >= next_daemon:
                self.kill_daemon()
                next_daemon = self.kills + self.random.randrange(10, 60)
        self.check_progress()

    # ---- The end ----

    def close(self):
        """Ends all workers, however this went."""
        for each in [*self.everybody(), *self.dying]:
            each.kill_all()
            each.process.wait()
            each.close()
        self.slots, self.ping_pong, self.dying = [], {}, []

    def last_look(self):
        """All workers are killed at once; then everything must be free, and whole or known to be torn."""
        for each in self.everybody():
            self.kill(each)
            self.dying.append(each)
        self.slots, self.ping_pong = [], {}
        self.wait_for("the killed do not end", lambda: not self.dying)
        with self.shmd.Client(self.manager.socket) as client:
            with client.open(MAIN, access="write") as segment:
                self.take_all(segment)
                self.wake(segment)
                self.wait_for("the daemon takes dead processes for attached", lambda: segment_attachments(client) == 1)
            for key in (MAIN, PING, PONG):
                client.delete(key)

    def take_all(self, segment):
        words = memoryview(segment).cast("B").cast("Q")
        try:
            with segment.writing(PATIENCE) as held:
                self.whole(words, held, "M", 0)
                self.whole(words, held, "S", 16)
                if held.owner_died:
                    held.make_consistent()
            segment.snapshot(128, 128, PATIENCE)
            with segment.write_lock(PATIENCE) as held:
                self.whole(words, held, "R", 32)
                if held.owner_died:
                    held.make_consistent()
            with segment.lock(0) as mutex, segment.read_lock(0) as read:
                if mutex.owner_died or read.owner_died:
                    raise Failure("a death is told of after it was made consistent")
        except self.shmd.Error as wrong:
            raise Failure(f"at the end: {wrong}\n{self.main.text()}") from wrong
        finally:
            words.release()

    def whole(self, words, held, name, at):
        """It is; or somebody died with it, and it is repaired."""
        inside, counter, *content = words[at:at + 16].tolist()
        good = inside == 0 and content == [16 * counter + word for word in range(14)]
        if not good and not held.owner_died:
            raise Failure(f"{name} is torn at the end, and nobody died with it\n{self.main.text()}")

    def wake(self, segment):
        """Somebody who waits is woken."""
        woken = []
        after = segment.version
        waiter = threading.Thread(target=lambda: woken.append(segment.wait(after, PATIENCE)))
        waiter.start()
        segment.notify()
        waiter.join()
        if woken != [after + 1]:
            raise Failure(f"a waiter for a version above {after} got {woken}\n{self.main.text()}")


def segment_attachments(client):
    return client.describe(MAIN).attachments
