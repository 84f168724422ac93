<?php
// A worker of the torture, in PHP. README.md has the contract. PHP has no view of the memory: what it reads and writes are copies.
use Shmd\{Access, Client, Lock, Segment};

const WORDS = 14, STEP = 16, PATIENCE = 60_000_000;
const M = 0, S = 128, R = 256, REPAIRS = 384;

final class Violation extends Exception {}

final class Worker
{
    public function __construct(private Segment $segment, private int $me)
    {
        mt_srand($me);
    }

    private static function dawdle(): void
    {
        if (mt_rand(0, 49) === 0) usleep(mt_rand(0, 300));
    }

    /** @return list<int> */
    private function look(int $at): array
    {
        return array_values(unpack("Q16", $this->segment->read($at, 128)));
    }

    private function put(int $at, int $word, int $value): void
    {
        $this->segment->write(pack("Q", $value), $at + 8 * $word);
    }

    private static function holds(array $seen, int $inside): bool
    {
        return $seen[0] === $inside && array_slice($seen, 2) === array_map(fn($word) => STEP * $seen[1] + $word, range(0, WORDS - 1));
    }

    private static function verify(array $seen, string $what, int $inside = 0): void
    {
        if (!self::holds($seen, $inside)) throw new Violation("$what: inside, counter, words: " . implode(" ", $seen));
    }

    private function change(int $at, string $what): void
    {
        $this->put($at, 0, $this->me);
        $counter = $this->look($at)[1] + 1;
        if (mt_rand(0, 1)) $this->put($at, 1, $counter);
        $first = mt_rand(0, WORDS - 1);
        for ($i = 0; $i < WORDS; $i++) {
            $word = ($first + $i) % WORDS;
            $this->put($at, 2 + $word, STEP * $counter + $word);
            self::dawdle();
        }
        $this->put($at, 1, $counter);
        self::verify($this->look($at), $what, $this->me);
        $this->put($at, 0, 0);
    }

    private function repair(int $at): void
    {
        $this->change($at, "somebody else wrote during a repair");
        $which = intdiv($at, 128);
        $this->put(REPAIRS, $which, $this->look(REPAIRS)[$which] + 1);
    }

    /** S is rewritten only where it is torn: snapshots may be reading it if the dead was in no section. */
    private function repairBoth(Lock $lock): void
    {
        $this->repair(M);
        if (!self::holds($this->look(S), 0)) $this->repair(S);
        $lock->makeConsistent();
    }

    private function lock(): void
    {
        $lock = $this->segment->lock(PATIENCE);
        if ($lock->ownerDied) $this->repairBoth($lock);
        self::verify($this->look(M), "M is torn under the mutex");
        self::verify($this->look(S), "S is torn under the mutex");
        $this->change(M, "M: somebody else is inside");
        $lock->unlock();
    }

    private function writeSection(): void
    {
        $this->segment->writeSection(function (Lock $lock) {
            if ($lock->ownerDied) $this->repairBoth($lock);
            self::verify($this->look(M), "M is torn in a write section");
            self::verify($this->look(S), "S is torn in a write section");
            $this->change(S, "S: somebody else is inside");
        }, PATIENCE);
    }

    private function snapshot(): void
    {
        try {
            $copy = $this->segment->snapshot(S, 128, PATIENCE);
        } catch (Shmd\OwnerDied) {
            mt_rand(0, 1) ? $this->lock() : $this->writeSection();
            return;
        }
        self::verify(array_values(unpack("Q16", $copy)), "a snapshot of S is torn");
    }

    private function readLock(): void
    {
        $lock = $this->segment->readLock(PATIENCE);
        if (!$lock->ownerDied) {
            self::verify($this->look(R), "R is torn under the read lock");
            self::dawdle();
            self::verify($this->look(R), "R changes under the read lock");
        }
        $lock->unlock();
    }

    private function writeLock(): void
    {
        $lock = $this->segment->writeLock(PATIENCE);
        if ($lock->ownerDied) {
            $this->repair(R);
            $lock->makeConsistent();
        }
        self::verify($this->look(R), "R is torn under the write lock");
        $this->change(R, "R: somebody else is inside");
        $lock->unlock();
    }

    private function notify(): void
    {
        $this->segment->notify();
    }

    private function wait(): void
    {
        $before = $this->segment->version();
        try {
            if ($this->segment->wait($before, 50_000) <= $before) throw new Violation("wait: an old version");
        } catch (Shmd\TimedOut) {
        }
    }

    public function act(): void
    {
        $acts = ["lock", "writeSection", "snapshot", "readLock", "writeLock", "notify", "wait"];
        $this->{$acts[mt_rand(0, 6)]}();
    }
}

/** Opens it, and its sync area with it, while the daemon may come and go. */
function opened(string $socket, string $key): Segment
{
    for ($attempt = 0; $attempt < 1000; $attempt++) {
        try {
            $segment = (new Client($socket))->open($key, Access::Write);
            $segment->version();
            return $segment;
        } catch (Shmd\ConnectionFailed | Shmd\Disconnected) {
            usleep(10_000);
        }
    }
    throw new Violation("open: no daemon");
}

if ($argc !== 4) exit(2);
try {
    $worker = new Worker(opened($argv[1], $argv[2]), (int)$argv[3]);
    fwrite(STDOUT, "ready\n");
    for (;;) {
        try {
            $worker->act();
        } catch (Shmd\ConnectionFailed) {
        }
    }
} catch (Throwable $wrong) {
    fwrite(STDERR, get_class($wrong) . ": " . $wrong->getMessage() . "\n");
    exit(3);
}
