--TEST--
Locks exclude other processes, end with their objects, and tell who would wait for itself
--EXTENSIONS--
shmd
pcntl
--FILE--
<?php
use Shmd\{Access, Client, Lock, Segment};
require __DIR__ . "/daemon.inc";
$daemon = new Daemon;
$client = new Client($daemon->socket);
$mine = $client->create("s", 8);
$other = $client->open("s", Access::Write);
$nothing = fn() => null;
$free = fn(string $lock) => thrown(function () use ($other, $lock) { $other->$lock(0); });

echo "-- until unlock(), or the last reference\n";
foreach (["lock", "writeLock", "beginWrite"] as $take) {
    $lock = $mine->$take();
    echo "$take: ", get_class($lock), " ", json_encode($lock->ownerDied), "\n", $free($take), ", ";
    $lock->unlock();
    $lock->unlock();
    echo $free($take), "\n";
    $lock = $mine->$take();
    $lock = null;
    echo $free($take), ", ", thrown(fn() => $mine->$take(0)), "\n";
}
function takes(Segment $segment): void
{
    $lock = $segment->lock();
    throw new DomainException("it is left");
}
echo thrown(fn() => takes($mine)), ", ", $free("lock"), "\n";

echo "-- also where only the lock refers to the segment\n";
$lock = $client->open("s", Access::Write)->lock();
echo $free("lock"), ", ";
unset($lock);
echo $free("lock"), "\n";

echo "-- readers together, a writer alone\n";
$first = $mine->readLock();
$second = $other->readLock();
$third = $other->readLock();
unset($second);
echo $free("readLock"), ", ", thrown(fn() => $mine->writeLock(0)), ", ", $free("writeLock"), "\n";
$first->unlock();
echo thrown(fn() => $mine->writeLock(1000)), ", ";
$third->unlock();
$lock = $mine->writeLock();
echo $free("readLock"), ", ", $free("lock"), "\n";
$lock->unlock();

echo "-- waiting for oneself\n";
$lock = $mine->lock();
echo thrown(fn() => $mine->lock()), "\n", thrown(fn() => $mine->beginWrite(0)), "\n";
$writing = $mine->writeLock();
echo thrown(fn() => $mine->writeLock()), "\n", thrown(fn() => $mine->readLock()), "\n";
$writing->unlock();
$reading = $mine->readLock();
echo thrown(fn() => $mine->writeLock()), "\n";
unset($lock, $writing, $reading);
$section = $mine->beginWrite();
echo thrown(fn() => $mine->snapshot()), "\n", thrown(fn() => $other->snapshot(0, null, 0)), "\n";
$section->unlock();

echo "-- calling a function\n";
var_dump($mine->synchronized(fn(Lock $lock) => [$lock->ownerDied, $free("lock")]));
var_dump($mine->writeSection(function () use ($mine) { $mine->write("section"); return strlen($mine->read()); }));
echo thrown(fn() => $mine->synchronized(fn() => throw new DomainException("from inside"))), ", ", $free("lock"), "\n";
echo thrown(fn() => $mine->writeSection(fn() => throw new DomainException("from inside"))), ", ", $free("lock"), "\n";
$mine->synchronized(fn(Lock $lock) => $lock->unlock());
echo $free("lock"), "\n";
function &reference() { static $value = 5; return $value; }
var_dump($mine->synchronized("reference"), $mine->synchronized(function () {}));
$kept = $mine->synchronized(fn(Lock $lock) => $lock);
echo $free("lock"), "\n";
$lock = $mine->lock();
echo thrown(fn() => $other->synchronized($nothing, 1000)), ", ", thrown(fn() => $other->writeSection($nothing, 0)), "\n";

echo "-- closing the segment ends it\n";
$reading = $mine->readLock();
$mine->close();
echo $free("lock"), ", ", $free("writeLock"), ", ", thrown(fn() => $lock->unlock()), "\n";
echo thrown(fn() => $lock->makeConsistent()), ", ", thrown(fn() => $mine->lock()), "\n";
$lock = $other->lock();
var_dump($lock->ownerDied);
Client::closeMany([$other]);
unset($lock);
$other = $client->open("s", Access::Write);
var_dump($other->lock()->ownerDied);

echo "-- without the permission to write\n";
$reader = $client->open("s");
foreach (["lock", "readLock", "writeLock", "beginWrite", "notify"] as $method) echo "$method: ", thrown(fn() => $reader->$method()), "\n";
echo thrown(fn() => $reader->synchronized($nothing)), ", ", thrown(fn() => $reader->writeSection($nothing)), "\n";

echo "-- arguments\n";
foreach ([fn() => $other->lock(-2), fn() => $other->beginWrite(PHP_INT_MAX), fn() => $other->synchronized("no such"), fn() => $other->synchronized($nothing, -2),
          fn() => $other->synchronized(), fn() => new Lock, fn() => clone $other->lock(), fn() => serialize($other->lock()),
          function () use ($other) { $lock = $other->lock(); $lock->ownerDied = true; }] as $call) {
    echo thrown($call), "\n";
}

echo "-- many processes add to one number\n";
const PROCESSES = 4, ROUNDS = 2000;
$counter = $client->create("counter", 16);
$counter->write(pack("P2", 0, 0));
for ($children = []; count($children) < PROCESSES;) {
    $children[] = begin_child(function () use ($daemon) {
        $counter = (new Client($daemon->socket))->open("counter", Access::Write);
        $add = fn(int $offset) => $counter->write(pack("P", unpack("P", $counter->read($offset, 8))[1] + 1), $offset);
        for ($i = 0; $i < ROUNDS; $i++) {
            $counter->synchronized(fn() => $add(0));
            $lock = $counter->writeLock();
            $add(8);
            $lock->unlock();
        }
    });
}
echo implode(" ", array_map(fn($child) => end_of($child[0]), $children)), ": ", implode(" ", unpack("P2", $counter->read())), "\n";

echo "-- a child of fork has no part in its parent's locks\n";
$lock = $other->lock();
$reading = $other->readLock();
echo in_child(function () use ($other, $lock) {
    foreach (["lock", "readLock", "writeLock", "beginWrite", "snapshot", "version", "notify", "wait", "getNotificationStream"] as $method) {
        echo thrown(fn() => $other->$method()), "\n";
    }
    echo thrown(fn() => $lock->makeConsistent()), "\n", thrown(fn() => $lock->unlock()), "\n";
    $other->close();
}), "\n";
$another = $client->open("s", Access::Write);
echo thrown(fn() => $another->lock(0)), ", ", thrown(fn() => $another->writeLock(0)), "\n";
$lock->unlock();
$reading->unlock();
echo thrown(fn() => $another->lock(0)), ", ", thrown(fn() => $another->writeLock(0)), "\n";
?>
--EXPECT--
-- until unlock(), or the last reference
lock: Shmd\Lock false
Shmd\TimedOut 110 - [], nothing thrown
nothing thrown, nothing thrown
writeLock: Shmd\Lock false
Shmd\TimedOut 110 - [], nothing thrown
nothing thrown, nothing thrown
beginWrite: Shmd\Lock false
Shmd\TimedOut 110 - [], nothing thrown
nothing thrown, nothing thrown
DomainException: it is left, nothing thrown
-- also where only the lock refers to the segment
Shmd\TimedOut 110 - [], nothing thrown
-- readers together, a writer alone
nothing thrown, Shmd\Deadlock 35 - [], Shmd\Deadlock 35 - []
Shmd\TimedOut 110 - [], Shmd\TimedOut 110 - [], nothing thrown
-- waiting for oneself
Shmd\Deadlock 35 - []
Shmd\Deadlock 35 - []
Shmd\Deadlock 35 - []
Shmd\Deadlock 35 - []
Shmd\Deadlock 35 - []
Shmd\Deadlock 35 - []
Shmd\TimedOut 110 - []
-- calling a function
array(2) {
  [0]=>
  bool(false)
  [1]=>
  string(22) "Shmd\TimedOut 110 - []"
}
int(8)
DomainException: from inside, nothing thrown
DomainException: from inside, nothing thrown
nothing thrown
int(5)
NULL
nothing thrown
Shmd\TimedOut 110 - [], Shmd\TimedOut 110 - []
-- closing the segment ends it
nothing thrown, nothing thrown, nothing thrown
Shmd\Exception 1 - [], Shmd\Closed 9 - []
bool(false)
bool(false)
-- without the permission to write
lock: Shmd\NotWritable 13 - []
readLock: Shmd\NotWritable 13 - []
writeLock: Shmd\NotWritable 13 - []
beginWrite: Shmd\NotWritable 13 - []
notify: Shmd\NotWritable 13 - []
Shmd\NotWritable 13 - [], Shmd\NotWritable 13 - []
-- arguments
ValueError: Shmd\Segment::lock(): Argument #1 ($timeoutUsec) must be between -1 and 9007199254740991
ValueError: Shmd\Segment::beginWrite(): Argument #1 ($timeoutUsec) must be between -1 and 9007199254740991
TypeError: Shmd\Segment::synchronized(): Argument #1 ($function) must be a valid callback, function "no such" not found or invalid function name
ValueError: Shmd\Segment::synchronized(): Argument #2 ($timeoutUsec) must be between -1 and 9007199254740991
ArgumentCountError: Shmd\Segment::synchronized() expects at least 1 argument, 0 given
Error: Call to private Shmd\Lock::__construct() from global scope
Error: Trying to clone an uncloneable object of class Shmd\Lock
Exception: Serialization of 'Shmd\Lock' is not allowed
Error: Cannot modify readonly property Shmd\Lock::$ownerDied
-- many processes add to one number
0 0 0 0: 8000 8000
-- a child of fork has no part in its parent's locks
Shmd\Exception 1 - []
Shmd\Exception 1 - []
Shmd\Exception 1 - []
Shmd\Exception 1 - []
Shmd\Exception 1 - []
Shmd\Exception 1 - []
Shmd\Exception 1 - []
Shmd\Exception 1 - []
Shmd\Exception 1 - []
Shmd\Exception 1 - []
Shmd\Exception 1 - []
0
Shmd\TimedOut 110 - [], Shmd\TimedOut 110 - []
nothing thrown, nothing thrown
