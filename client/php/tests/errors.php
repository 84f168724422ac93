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
