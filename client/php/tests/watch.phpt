--TEST--
Events come one by one, by foreach, through a stream, and let signals through
--EXTENSIONS--
shmd
pcntl
--FILE--
<?php
use Shmd\{Client, EventKind};
require __DIR__ . "/daemon.inc";
$daemon = new Daemon;
$client = new Client($daemon->socket);
$there = $client->create("w/there", 1);
$show = fn(?Shmd\Event $event) => print(($event?->kind->value ?? "none") . " " . ($event?->segment?->key ?? "-") . "\n");

$watch = $client->watch("w/");
$show($watch->nextEvent());
$show($watch->nextEvent());
$show($watch->nextEvent(0));
$show($watch->nextEvent(1000));
$client->create("elsewhere", 1);
$segment = $client->create("w/new", 1);
$client->setAttributes("w/new", mode: 0640);
$client->delete("w/new");
foreach ($watch as $number => $event) {
    echo "$number ";
    $show($event);
    if ($event->kind === EventKind::Deleted) break;
}

echo "-- a stream to wait on\n";
$stream = $watch->getStream();
$ready = fn(int $usec) => stream_select($read, $write, $except, 0, $usec);
$select = function (int $seconds) use ($stream) {
    $read = [$stream];
    $none = null;
    return stream_select($read, $none, $none, $seconds);
};
while ($watch->nextEvent(0));
var_dump($select(0));
$client->create("w/streamed", 1);
var_dump($select(10));
$show($watch->nextEvent(0));

echo "-- the iterator of it\n";
$iterator = $client->watch("w/streamed")->getIterator();
$iterator->rewind();
$show($iterator->current());
$iterator->next();
var_dump($iterator->valid(), $iterator->key(), $iterator->current()->kind);
try {
    foreach ($watch as &$event);
} catch (Error $e) {
    echo $e->getMessage(), "\n";
}

echo "-- signals\n";
pcntl_async_signals(true);
pcntl_signal(SIGALRM, function () use ($client) { echo "handled\n"; $client->create("w/by-signal", 1); });
while ($watch->nextEvent(0));
pcntl_alarm(1);
do $event = $watch->nextEvent(); while ($event->kind !== EventKind::Created);
$show($event);
pcntl_signal(SIGALRM, fn() => throw new DomainException("from the handler"));
pcntl_alarm(1);
try {
    while (true) $watch->nextEvent();
} catch (DomainException $e) {
    echo $e->getMessage(), "\n";
}
pcntl_signal(SIGALRM, function () use ($watch, $client) {
    echo thrown(fn() => $watch->nextEvent(0)), "\n";
    echo thrown(function () use ($watch) { foreach ($watch as $event); }), "\n";
    $client->create("w/meanwhile", 1);
});
while ($watch->nextEvent(0));
pcntl_alarm(1);
do $event = $watch->nextEvent(); while ($event->kind !== EventKind::Created);
$show($event);
pcntl_signal(SIGALRM, fn() => $watch->close());
while ($watch->nextEvent(0));
pcntl_alarm(1);
echo thrown(function () use ($watch) { while (true) $watch->nextEvent(); }), "\n";
echo thrown(fn() => $watch->nextEvent()), "\n";

echo "-- closed, and without a daemon\n";
$watch->close();
echo thrown(fn() => $watch->getStream()), "\n", thrown(function () use ($watch) { foreach ($watch as $event); }), "\n";
$watch = $client->watch("none/");
$show($watch->nextEvent());
echo thrown(fn() => $watch->nextEvent(-5)), "\n";
$daemon->kill();
echo thrown(fn() => $watch->nextEvent()), "\n";
echo thrown(fn() => $client->watch("none/")), "\n";
?>
--EXPECT--
present w/there
ready -
none -
none -
0 created w/new
1 attached w/new
2 changed w/new
3 deleted w/new
-- a stream to wait on
int(0)
int(1)
created w/streamed
-- the iterator of it
present w/streamed
bool(true)
int(1)
enum(Shmd\EventKind::Ready)
An iterator cannot be used with foreach by reference
-- signals
handled
created w/by-signal
from the handler
Shmd\Exception 16 - []
Shmd\Exception 16 - []
created w/meanwhile
Shmd\Closed 9 - []
Shmd\Closed 9 - []
-- closed, and without a daemon
Shmd\Closed 9 - []
Shmd\Closed 9 - []
ready -
ValueError: Shmd\Watch::nextEvent(): Argument #1 ($timeoutUsec) must be between -1 and 9007199254740991
Shmd\Disconnected 104 - []
Shmd\ConnectionFailed 111 - []
