--TEST--
Every error of the service is an exception of its own
--EXTENSIONS--
shmd
pcntl
posix
--SKIPIF--
<?php if (posix_getuid() !== 0) die("skip needs root, to act as other users"); ?>
--FILE--
<?php
use Shmd\{Access, Client, HugePages, NewSegment};
require __DIR__ . "/daemon.inc";
$daemon = new Daemon(["limits" => ["segments" => 4]]);
$client = new Client($daemon->socket);
$segment = $client->create("there", 100, capacityBytes: 200);

$calls = [
    "missing" => fn() => $client->describe("missing"),
    "exists" => fn() => $client->create("there", 100),
    "size" => fn() => $client->create("there", 101, createMode: Shmd\CreateMode::Any),
    "key" => fn() => $client->open("no blanks"),
    "long key" => fn() => $client->open(str_repeat("k", 256)),
    "parameter" => fn() => $client->call("io.shmd.Segments.Describe", ["nonsense" => 1]),
    "capacity" => fn() => $segment->resize(201),
    "lease" => fn() => $client->renew("there"),
    "busy" => fn() => $client->seal("there"),
    "not sealed" => fn() => $client->open("there", sealed: true),
    "memory" => fn() => $client->create("large", 1 << 52),
    "placement" => fn() => $client->create("huge", 1 << 30, hugePages: HugePages::Huge1G),
    "method" => fn() => $client->call("io.shmd.Segments.Nothing"),
    "interface" => fn() => $client->call("io.nothing.Here.Do"),
    "more" => fn() => $client->call("io.shmd.Segments.List"),
];
$masked = fn(string $line) => preg_replace('/"(pid|attachment|id)":\d+/', '"$1":N', $line);
foreach ($calls as $name => $call) echo "$name: ", $masked(thrown($call)), "\n";

$client->create("unsealable", 10, sealable: false)->close();
echo "sealable: ", thrown(fn() => $client->seal("unsealable")), "\n";
$segment->seal();
echo "sealed: ", thrown(fn() => $client->open("there", Access::Write)), ", ", $masked(thrown(fn() => $segment->resize(50))), "\n";
in_child(fn() => print("denied: " . thrown(fn() => $client->open("there")) . "\n"), 65534);
echo "quota: ", thrown(fn() => $client->createMany(array_map(fn($n) => new NewSegment("q$n", 1), range(1, 5)))), "\n";
$control = Client::control($daemon->control);
$control->call("io.shmd.Control.Drain", ["enable" => true]);
echo "draining: ", thrown(fn() => $client->create("new", 1)), "\n";
echo "process: ", thrown(fn() => $control->call("io.shmd.Control.Disconnect", ["pid" => 0x7fffffff])), "\n";

echo "-- that do not come from the daemon\n";
echo "no daemon: ", thrown(fn() => (new Client("/nonexistent/socket"))->list()), "\n";
echo "long path: ", thrown(fn() => (new Client("/" . str_repeat("x", 200)))->list()), "\n";
chmod($daemon->socket, 0600);
in_child(fn() => print("socket denied: " . thrown(fn() => (new Client($daemon->socket))->list()) . "\n"), 65534);

echo "-- all of them\n";
$e = new Shmd\NoSuchSegment("text", 7);
var_dump($e instanceof Shmd\Exception, $e instanceof RuntimeException, $e->getMessage(), $e->getCode(), $e->getName(), $e->getParameters());
try {
    $client->describe("gone");
} catch (Shmd\NoSuchSegment $e) {
    echo $e->getMessage(), " at line ", $e->getLine(), "\n";
}
?>
--EXPECT--
missing: Shmd\NoSuchSegment 2 io.shmd.Segments.NoSuchSegment {"key":"missing"}
exists: Shmd\SegmentExists 17 io.shmd.Segments.SegmentExists {"key":"there"}
size: Shmd\SizeMismatch 34 io.shmd.Segments.SizeMismatch {"sizeBytes":100}
key: Shmd\InvalidKey 22 io.shmd.Segments.InvalidKey {"key":"no blanks"}
long key: Shmd\InvalidKey 22 io.shmd.Segments.InvalidKey {"key":"kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"}
parameter: Shmd\InvalidParameter 22 org.varlink.service.InvalidParameter {"parameter":"key"}
capacity: Shmd\CapacityExceeded 27 io.shmd.Segments.CapacityExceeded {"capacityBytes":200}
lease: Shmd\NoLease 77 io.shmd.Segments.NoLease {"key":"there"}
busy: Shmd\SegmentBusy 16 io.shmd.Segments.SegmentBusy {"holders":[{"pid":N,"uid":0,"attachment":N,"access":"write"}]}
not sealed: Shmd\NotSealed 77 io.shmd.Segments.NotSealed {"key":"there"}
memory: Shmd\OutOfMemory 12 io.shmd.Segments.OutOfMemory {"sizeBytes":4503599627370496}
placement: Shmd\PlacementUnavailable 19 io.shmd.Segments.PlacementUnavailable {"setting":"/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages"}
method: Shmd\Exception 95 org.varlink.service.MethodNotFound {"method":"io.shmd.Segments.Nothing"}
interface: Shmd\Exception 95 org.varlink.service.InterfaceNotFound {"interface":"io.nothing.Here"}
more: Shmd\Exception 22 org.varlink.service.ExpectedMore []
sealable: Shmd\NotSealable 77 io.shmd.Segments.NotSealable {"key":"unsealable"}
sealed: Shmd\SegmentSealed 30 io.shmd.Segments.SegmentSealed {"key":"there"}, Shmd\SegmentSealed 30 io.shmd.Segments.SegmentSealed {"id":N}
denied: Shmd\PermissionDenied 13 org.varlink.service.PermissionDenied []
quota: Shmd\QuotaExceeded 122 io.shmd.Segments.QuotaExceeded {"resource":"segments","limit":4}
draining: Shmd\Draining 108 io.shmd.Segments.Draining []
process: Shmd\Exception 3 io.shmd.Control.NoSuchProcess {"pid":2147483647}
-- that do not come from the daemon
no daemon: Shmd\ConnectionFailed 111 - []
long path: Shmd\Exception 36 - []
socket denied: Shmd\PermissionDenied 13 - []
-- all of them
bool(true)
bool(true)
string(4) "text"
int(7)
string(0) ""
array(0) {
}
cannot describe segment 'gone': no segment has this key at line 49
