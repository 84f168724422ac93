--TEST--
A segment grows and shrinks within its capacity
--EXTENSIONS--
shmd
pcntl
--FILE--
<?php
use Shmd\{Access, Client};
require __DIR__ . "/daemon.inc";
$daemon = new Daemon;
$client = new Client($daemon->socket);
$writer = $client->create("log", 4, capacityBytes: 100_000);
$reader = $client->open("log");
$writer->write("full");
echo thrown(fn() => $writer->write("x", 4)), "\n";
var_dump($writer->resize(60_000)->size(), $writer->write("more", 59_996), $writer->info()->sizeBytes);
echo "-- who has not heard of it\n";
var_dump($reader->size(), $reader->read());
echo thrown(fn() => $reader->read(59_996)), "\n";
var_dump($reader->remap()->size(), $reader->read(59_996), $reader->read(0, 8) === "full\0\0\0\0");
echo "-- smaller, while nobody else has it\n";
in_child(fn() => print(preg_replace('/"(pid|uid|attachment)":\d+/', '"$1":N', thrown(fn() => $client->resize("log", 2))) . "\n"));
$reader->close();
var_dump($writer->resize(2)->read(), $writer->resize(6)->read() === "fu\0\0\0\0");
var_dump($client->resize("log", 9)->sizeBytes, $client->resize(null, 10, id: $writer->info()->id)->sizeBytes, $writer->size(), $writer->remap()->size());
echo "-- what cannot be\n";
foreach ([fn() => $writer->resize(0), fn() => $writer->resize(100_001), fn() => $client->resize("log", -1),
          fn() => $client->resize("none", 5), fn() => $client->resize(null, 5)] as $call) {
    echo thrown($call), "\n";
}
$client->delete("log");
$fresh = $client->open(id: $writer->info()->id, access: Access::Write);
var_dump($fresh->resize(20)->size());
?>
--EXPECT--
ValueError: Shmd\Segment::write(): Argument #1 ($data) must have at most 0 bytes to fit behind the offset, it has 1
int(60000)
int(4)
int(60000)
-- who has not heard of it
int(4)
string(4) "full"
ValueError: Shmd\Segment::read(): Argument #1 ($offset) must be between 0 and 4
int(60000)
string(4) "more"
bool(true)
-- smaller, while nobody else has it
Shmd\SegmentBusy 16 io.shmd.Segments.SegmentBusy {"holders":[{"pid":N,"uid":N,"attachment":N,"access":"write"},{"pid":N,"uid":N,"attachment":N,"access":"read"}]}
string(2) "fu"
bool(true)
int(9)
int(10)
int(6)
int(10)
-- what cannot be
Shmd\InvalidParameter 22 org.varlink.service.InvalidParameter {"parameter":"sizeBytes"}
Shmd\CapacityExceeded 27 io.shmd.Segments.CapacityExceeded {"capacityBytes":100000}
ValueError: Shmd\Client::resize(): Argument #2 ($sizeBytes) must be between 0 and 9007199254740991
Shmd\NoSuchSegment 2 io.shmd.Segments.NoSuchSegment {"key":"none"}
ValueError: Exactly one of $key and $id must be given
int(20)
