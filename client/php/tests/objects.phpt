--TEST--
What the classes do not allow, and what their arguments must be
--EXTENSIONS--
shmd
--FILE--
<?php
use Shmd\{Access, AclEntry, Client, NewSegment, Reserve};
require __DIR__ . "/daemon.inc";
$daemon = new Daemon;
$client = new Client($daemon->socket);
$segment = $client->create("s", 5);
$watch = $client->watch();
$objects = [$client, $segment, $segment->info(), $watch, $watch->nextEvent(), new NewSegment("n", 1), AclEntry::user(1, Access::Read), $segment->lock()];
foreach ($objects as $object) {
    echo "-- ", get_class($object), "\n";
    if (!$object instanceof Shmd\SegmentInfo && !$object instanceof Shmd\Event && !$object instanceof AclEntry) {
        echo thrown(fn() => clone $object), "\n";
    }
    echo thrown(fn() => serialize($object)), "\n", thrown(function () use ($object) { $object->nothing = 1; }), "\n";
    if (!$object instanceof Client && !$object instanceof NewSegment) echo thrown(fn() => new $object), "\n";
    var_dump((new ReflectionClass($object))->isFinal());
}
echo "-- made without a constructor\n";
foreach (["Client", "Segment", "Lock", "SegmentInfo", "NewSegment", "AclEntry", "Watch", "Event"] as $class) {
    echo thrown(fn() => (new ReflectionClass("Shmd\\$class"))->newInstanceWithoutConstructor()), "\n";
}
echo "-- read-only\n";
echo thrown(function () use ($segment) { $segment->info()->id = 5; }), "\n";
var_dump($segment->info() == $segment->info(), $client == $client, count((array)$segment));

echo "-- arguments\n";
foreach ([fn() => $client->create("x"), fn() => $client->create("x", 0), fn() => $client->create("x", -1),
          fn() => $client->create("x", 1 << 53), fn() => $client->create("x", 1, 01000), fn() => $client->create("x", 1, -1),
          fn() => $client->create("x", 1, access: Reserve::Lazy), fn() => $client->create("x", 1, labels: ["a" => []]),
          fn() => $client->create("x", 1, labels: "a"), fn() => $client->create("x", 1, leaseUsec: -1),
          fn() => $client->create("x", 1, acl: [1]), fn() => $client->create("x", 1, capacityBytes: -1),
          fn() => $client->create("x", 1, numaNodes: ["0"]), fn() => $client->create("x", 1, numaNodes: [-1]),
          fn() => $client->create([], 1), fn() => $client->create("x", 1, nonsense: 1), fn() => new NewSegment("x", -1),
          fn() => new NewSegment(1 << 40, 1), fn() => new Client("a\0b"), fn() => AclEntry::user(-1, Access::Read),
          fn() => AclEntry::group(1 << 32, Access::Read), fn() => AclEntry::user(1, "read")] as $call) {
    echo thrown($call), "\n";
}
echo "-- nothing came of it\n";
var_dump(array_map(fn($info) => $info->key, $client->list()));

echo "-- constructed twice\n";
$new = new NewSegment("first", 1, labels: ["a" => "b"]);
$new->__construct("second", 2);
var_dump($client->createMany([$new])[0]->info()->key);
$client->__construct("/nonexistent");
echo thrown(fn() => $client->list()), "\n";

echo "-- defaults as reflection sees them\n";
foreach ((new ReflectionMethod(Client::class, "create"))->getParameters() as $parameter) {
    if ($parameter->isOptional()) echo $parameter->getName(), "=", json_encode($parameter->getDefaultValue()), " ";
}
echo "\n";
?>
--EXPECT--
-- Shmd\Client
Error: Trying to clone an uncloneable object of class Shmd\Client
Exception: Serialization of 'Shmd\Client' is not allowed
Error: Cannot create dynamic property Shmd\Client::$nothing
bool(true)
-- Shmd\Segment
Error: Trying to clone an uncloneable object of class Shmd\Segment
Exception: Serialization of 'Shmd\Segment' is not allowed
Error: Cannot create dynamic property Shmd\Segment::$nothing
Error: Call to private Shmd\Segment::__construct() from global scope
bool(true)
-- Shmd\SegmentInfo
Exception: Serialization of 'Shmd\SegmentInfo' is not allowed
Error: Cannot create dynamic property Shmd\SegmentInfo::$nothing
Error: Call to private Shmd\SegmentInfo::__construct() from global scope
bool(true)
-- Shmd\Watch
Error: Trying to clone an uncloneable object of class Shmd\Watch
Exception: Serialization of 'Shmd\Watch' is not allowed
Error: Cannot create dynamic property Shmd\Watch::$nothing
Error: Call to private Shmd\Watch::__construct() from global scope
bool(true)
-- Shmd\Event
Exception: Serialization of 'Shmd\Event' is not allowed
Error: Cannot create dynamic property Shmd\Event::$nothing
Error: Call to private Shmd\Event::__construct() from global scope
bool(true)
-- Shmd\NewSegment
Error: Trying to clone an uncloneable object of class Shmd\NewSegment
Exception: Serialization of 'Shmd\NewSegment' is not allowed
Error: Cannot create dynamic property Shmd\NewSegment::$nothing
bool(true)
-- Shmd\AclEntry
Exception: Serialization of 'Shmd\AclEntry' is not allowed
Error: Cannot create dynamic property Shmd\AclEntry::$nothing
Error: Call to private Shmd\AclEntry::__construct() from global scope
bool(true)
-- Shmd\Lock
Error: Trying to clone an uncloneable object of class Shmd\Lock
Exception: Serialization of 'Shmd\Lock' is not allowed
Error: Cannot create dynamic property Shmd\Lock::$nothing
Error: Call to private Shmd\Lock::__construct() from global scope
bool(true)
-- made without a constructor
ReflectionException: Class Shmd\Client is an internal class marked as final that cannot be instantiated without invoking its constructor
ReflectionException: Class Shmd\Segment is an internal class marked as final that cannot be instantiated without invoking its constructor
ReflectionException: Class Shmd\Lock is an internal class marked as final that cannot be instantiated without invoking its constructor
nothing thrown
ReflectionException: Class Shmd\NewSegment is an internal class marked as final that cannot be instantiated without invoking its constructor
nothing thrown
ReflectionException: Class Shmd\Watch is an internal class marked as final that cannot be instantiated without invoking its constructor
nothing thrown
-- read-only
Error: Cannot modify readonly property Shmd\SegmentInfo::$id
bool(true)
bool(true)
int(0)
-- arguments
ArgumentCountError: Shmd\Client::create() expects at least 2 arguments, 1 given
Shmd\InvalidParameter 22 org.varlink.service.InvalidParameter {"parameter":"sizeBytes"}
ValueError: Shmd\Client::create(): Argument #2 ($sizeBytes) must be between 0 and 9007199254740991
ValueError: Shmd\Client::create(): Argument #2 ($sizeBytes) must be between 0 and 9007199254740991
ValueError: Shmd\Client::create(): Argument #3 ($mode) must be between 0 and 511
ValueError: Shmd\Client::create(): Argument #3 ($mode) must be between 0 and 511
TypeError: Shmd\Client::create(): Argument #5 ($access) must be of type Shmd\Access, Shmd\Reserve given
TypeError: Shmd\Client::create(): Argument #9 ($labels) must have texts as its values, array found
TypeError: Shmd\Client::create(): Argument #9 ($labels) must be of type array, string given
ValueError: Shmd\Client::create(): Argument #10 ($leaseUsec) must be between 0 and 9007199254740991
TypeError: Shmd\Client::create(): Argument #13 ($acl) must be a list of Shmd\AclEntry, int found
ValueError: Shmd\Client::create(): Argument #14 ($capacityBytes) must be between 0 and 9007199254740991
TypeError: Shmd\Client::create(): Argument #16 ($numaNodes) must be a list of int, string found
ValueError: Shmd\Client::create(): Argument #16 ($numaNodes) must be a list of numbers of nodes, -1 found
TypeError: Shmd\Client::create(): Argument #1 ($key) must be of type string|int|null, array given
Error: Unknown named parameter $nonsense
ValueError: Shmd\NewSegment::__construct(): Argument #2 ($sizeBytes) must be between 0 and 9007199254740991
ValueError: Shmd\NewSegment::__construct(): Argument #1 ($key) must be between -2147483648 and 4294967295
ValueError: Shmd\Client::__construct(): Argument #1 ($socket) must not contain any null bytes
ValueError: Shmd\AclEntry::user(): Argument #1 ($uid) must be between 0 and 4294967295
ValueError: Shmd\AclEntry::group(): Argument #1 ($gid) must be between 0 and 4294967295
TypeError: Shmd\AclEntry::user(): Argument #2 ($access) must be of type Shmd\Access, string given
-- nothing came of it
array(1) {
  [0]=>
  string(1) "s"
}
-- constructed twice
string(6) "second"
Shmd\ConnectionFailed 111 - []
-- defaults as reflection sees them
mode=384 createMode="new" access="write" reserve="allocate" lifetime="persistent" staged=false labels=[] leaseUsec=0 evictable=false sealable=true acl=[] capacityBytes=0 hugePages="none" numaNodes=[] placementFallback=false
