--TEST--
A staged segment is published, takes over a key, and is sealed
--EXTENSIONS--
shmd
--FILE--
<?php
use Shmd\{Access, Client, State};
require __DIR__ . "/daemon.inc";
$daemon = new Daemon;
$client = new Client($daemon->socket);

function swap(Client $client, string $data): void
{
    $next = $client->create("table", strlen($data), staged: true, mode: 0644);
    $next->write($data);
    $next->seal()->publish(replace: true);
}

swap($client, "version 1");
$reader = $client->open("table");
swap($client, "the second version");
var_dump($reader->read(), $client->open("table", sealed: true)->read());
var_dump($client->describe(id: $reader->info()->id)->key, $client->open("table")->info()->state);

echo "-- invisible before\n";
$staged = $client->create("other", 3, staged: true);
echo thrown(fn() => $client->open("other")), "\n";
var_dump($staged->info()->state, $staged->publish("named/here") === $staged, $staged->info()->key, $staged->info()->state);
echo thrown(fn() => $staged->publish("again")), "\n";
echo thrown(fn() => $client->create(null, 1, staged: true)->publish("table")), "\n";
var_dump($client->create(null, 1, staged: true)->publish(0x10)->info()->key);
echo thrown(fn() => $client->create(null, 1, staged: true)->publish("a\0b")), "\n";

echo "-- sealed\n";
$writer = $client->open("named/here", Access::Write);
echo get_debug_type(rescue(fn() => $staged->seal())), "\n";
$writer->close();
var_dump($staged->seal()->access(), $staged->info()->sealed, $client->seal("named/here")->sealed);
echo thrown(fn() => $staged->write("x")), "\n";

function rescue(callable $function): Throwable
{
    try {
        $function();
    } catch (Throwable $e) {
        return $e;
    }
}
?>
--EXPECT--
string(9) "version 1"
string(18) "the second version"
NULL
enum(Shmd\State::Live)
-- invisible before
Shmd\NoSuchSegment 2 io.shmd.Segments.NoSuchSegment {"key":"other"}
enum(Shmd\State::Staged)
bool(true)
string(10) "named/here"
enum(Shmd\State::Live)
Shmd\InvalidParameter 22 org.varlink.service.InvalidParameter {"parameter":"attachment"}
Shmd\SegmentExists 17 io.shmd.Segments.SegmentExists {"key":"table"}
string(15) "sysv:0x00000010"
ValueError: Shmd\Segment::publish(): Argument #1 ($key) must not contain any null bytes
-- sealed
Shmd\SegmentBusy
enum(Shmd\Access::Read)
bool(true)
bool(true)
Shmd\NotWritable 13 - []
