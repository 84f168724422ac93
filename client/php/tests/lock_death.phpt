--TEST--
Whoever takes a lock after its holder was killed is told so, until the content is called consistent
--EXTENSIONS--
shmd
pcntl
posix
--FILE--
<?php
use Shmd\{Access, Client};
require __DIR__ . "/daemon.inc";
$daemon = new Daemon;
$client = new Client($daemon->socket);
$segment = $client->create("s", 8);
$reader = $client->open("s");

/** Has a child take it and killed with it. */
function die_with(Daemon $daemon, string $take): void
{
    [$pid, $stream] = begin_child(function ($stream) use ($daemon, $take) {
        $segment = (new Client($daemon->socket))->open("s", Access::Write);
        $lock = $segment->$take();
        $segment->write("half");
        fwrite($stream, "held\n");
        fgets($stream);
    });
    if (fgets($stream) !== "held\n") echo "it was not taken\n";
    posix_kill($pid, SIGKILL);
    if (end_of($pid) !== -SIGKILL) echo "it was not killed\n";
}

foreach (["lock", "writeLock"] as $take) {
    echo "-- $take\n";
    die_with($daemon, $take);
    for ($round = 0; $round < 3; $round++) {
        $lock = $segment->$take();
        var_dump($lock->ownerDied);
        if ($round === 1) $lock->makeConsistent();
        $lock->unlock();
        echo thrown(fn() => $lock->makeConsistent()), "\n";
    }
    echo $reader->snapshot(0, 4), "\n";
}

echo "-- readLock\n";
die_with($daemon, "readLock");
var_dump($segment->writeLock()->ownerDied);
die_with($daemon, "writeLock");
$lock = $segment->readLock();
var_dump($lock->ownerDied);
echo thrown(fn() => $lock->makeConsistent()), "\n";
$lock->unlock();
$segment->writeLock()->makeConsistent();

echo "-- beginWrite\n";
$segment->write("whole");
die_with($daemon, "beginWrite");
echo thrown(fn() => $reader->snapshot()), "\n";
$segment->writeSection(fn($lock) => var_dump($lock->ownerDied));
echo thrown(fn() => $reader->snapshot()), "\n";
$segment->writeSection(function ($lock) use ($segment) {
    $segment->write("repaired");
    $lock->makeConsistent();
});
echo $reader->snapshot(), "\n";
$segment->writeSection(fn($lock) => var_dump($lock->ownerDied));

echo "-- a wait goes on after the death\n";
[$pid, $stream] = begin_child(function ($stream) use ($daemon) {
    $lock = (new Client($daemon->socket))->open("s", Access::Write)->lock();
    fwrite($stream, "held\n");
    fgets($stream);
});
fgets($stream);
pcntl_async_signals(true);
pcntl_signal(SIGALRM, fn() => posix_kill($pid, SIGKILL));
pcntl_alarm(1);
var_dump($segment->lock()->ownerDied, end_of($pid) === -SIGKILL);

echo "-- of the daemon, too\n";
pcntl_alarm(45);
pcntl_signal(SIGALRM, SIG_DFL);
$segment->lock()->makeConsistent();
$other = $client->open("s", Access::Write);
$other->version();
$lock = $segment->lock();
// What has begun without the daemon goes on without it, until somebody has waited for a second.
$daemon->kill();
echo thrown(fn() => $other->lock(0)), "\n", thrown(fn() => $other->wait(0, 0)), "\n";
$daemon->start();
echo thrown(fn() => $other->lock()), "\n", thrown(fn() => $other->wait()), "\n";
?>
--EXPECT--
-- lock
bool(true)
Shmd\Exception 1 - []
bool(true)
Shmd\Exception 1 - []
bool(false)
Shmd\Exception 1 - []
half
-- writeLock
bool(true)
Shmd\Exception 1 - []
bool(true)
Shmd\Exception 1 - []
bool(false)
Shmd\Exception 1 - []
half
-- readLock
bool(false)
bool(true)
Shmd\Exception 1 - []
-- beginWrite
Shmd\OwnerDied 130 - []
bool(true)
Shmd\OwnerDied 130 - []
repaired
bool(false)
-- a wait goes on after the death
bool(true)
bool(true)
-- of the daemon, too
Shmd\TimedOut 110 - []
Shmd\TimedOut 110 - []
Shmd\Disconnected 104 - []
Shmd\Disconnected 104 - []
