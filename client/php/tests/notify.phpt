--TEST--
Versions wake who waits for them, and signals come through
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

echo "-- versions\n";
var_dump($reader->version(), $segment->notify(), $segment->notify(), $reader->version(), $reader->wait(0), $reader->wait(1, 0));
echo thrown(fn() => $reader->wait(2, 0)), ", ", thrown(fn() => $segment->wait(timeoutUsec: 1000)), ", ", thrown(fn() => $reader->wait(PHP_INT_MAX, 150_000)), "\n";
foreach ([fn() => $reader->wait(-1), fn() => $reader->wait(0, -2)] as $call) echo thrown($call), "\n";

echo "-- between processes, in turns\n";
const TURNS = 500;
$ping = $client->create("ping", 8);
$pong = $client->create("pong", 8);
[$pid] = begin_child(function () use ($daemon) {
    $client = new Client($daemon->socket);
    // One that may write and one that may not.
    $ping = $client->open("ping");
    $pong = $client->open("pong", Access::Write);
    for ($turn = 1; $turn <= TURNS; $turn++) {
        if ($ping->wait($turn - 1) !== $turn) throw new Exception("another version than $turn");
        $pong->write($ping->read());
        $pong->notify();
    }
});
$wrong = 0;
for ($turn = 1; $turn <= TURNS; $turn++) {
    $ping->write(pack("P", $turn));
    $ping->notify();
    if ($pong->wait($turn - 1) !== $turn || unpack("P", $pong->read())[1] !== $turn) $wrong++;
}
var_dump($wrong, end_of($pid));

echo "-- signals\n";
pcntl_async_signals(true);
$by = $client->create("other", 8);
pcntl_signal(SIGALRM, function () use ($segment) { echo "handled\n"; $segment->notify(); });
$after = $reader->version();
pcntl_alarm(1);
var_dump($reader->wait($after));
pcntl_signal(SIGALRM, fn() => throw new DomainException("from the handler"));
$alarmed = fn(callable $wait) => thrown(function () use ($wait) { pcntl_alarm(1); $wait(); });
echo $alarmed(fn() => $reader->wait()), "\n";
$lock = $by->lock();
$waiting = $client->open("other", Access::Write);
echo $alarmed(fn() => $waiting->lock()), "\n";
pcntl_signal(SIGALRM, fn() => $waiting->close());
echo $alarmed(fn() => $waiting->beginWrite()), "\n", thrown(fn() => $waiting->lock()), "\n";
$waiting = $client->open("other", Access::Write);
pcntl_signal(SIGALRM, fn() => $lock->unlock());
pcntl_alarm(1);
$waiting->lock()->unlock();
var_dump($by->lock(0)->ownerDied);

echo "-- the end of the script's time\n";
$lock = $by->lock();
[$pid] = begin_child(function () use ($daemon) {
    ini_set("display_errors", "0");
    set_time_limit(100);
    $waiting = (new Client($daemon->socket))->open("other", Access::Write);
    pcntl_signal(SIGALRM, fn() => posix_kill(posix_getpid(), SIGPROF));
    pcntl_alarm(1);
    $waiting->lock();
});
var_dump(end_of($pid));
$lock->unlock();
var_dump($waiting->lock()->ownerDied);
?>
--EXPECT--
-- versions
int(0)
int(1)
int(2)
int(2)
int(2)
int(2)
Shmd\TimedOut 110 - [], Shmd\TimedOut 110 - [], Shmd\TimedOut 110 - []
ValueError: Shmd\Segment::wait(): Argument #1 ($after) must be between 0 and 9223372036854775807
ValueError: Shmd\Segment::wait(): Argument #2 ($timeoutUsec) must be between -1 and 9007199254740991
-- between processes, in turns
int(0)
int(0)
-- signals
handled
int(3)
DomainException: from the handler
DomainException: from the handler
Shmd\Closed 9 - []
Shmd\Closed 9 - []
bool(false)
-- the end of the script's time
int(255)
bool(false)
