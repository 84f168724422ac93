--TEST--
open() by key and id, waiting, sealed; openMany() and closeMany()
--EXTENSIONS--
shmd
pcntl
--FILE--
<?php
use Shmd\{Access, Client, NewSegment, Segment};
require __DIR__ . "/daemon.inc";
$daemon = new Daemon;
$client = new Client($daemon->socket);
$first = $client->create("first", 10);
$first->write("first");

echo "-- by key and id\n";
var_dump($client->open("first")->read(0, 5), $client->open("first")->access());
var_dump($client->open(id: $first->info()->id, access: Access::Write)->write("F"), $first->read(0, 5));
$id = $first->info()->id;
$client->delete("first");
var_dump($client->open(id: $id)->read(0, 5), $client->describe(id: $id)->state);
echo thrown(fn() => $client->open("first")), "\n", thrown(fn() => $client->open(id: 1)), "\n";
foreach ([fn() => $client->open(), fn() => $client->open("a", id: 1), fn() => $client->open(waitUsec: 1, id: 1),
          fn() => $client->open("a", waitUsec: -2), fn() => $client->open("a", waitUsec: 1, sealed: true),
          fn() => $client->open("a", Access::Write, sealed: true), fn() => $client->open("nul\0byte"),
          fn() => $client->open(1 << 32), fn() => $client->open("a", "read")] as $call) {
    echo thrown($call), "\n";
}

echo "-- waiting\n";
echo thrown(fn() => $client->open("late", waitUsec: 1000)), "\n";
[$tell, $told] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
$pid = pcntl_fork();
if ($pid === 0) {
    fgets($told);
    (new Client($daemon->socket))->create("late", 4)->write("late");
    fgets($told);
    exit(0);
}
fwrite($tell, "\n");
$late = $client->open("late", waitUsec: -1);
var_dump($late->size());
fwrite($tell, "\n");
pcntl_waitpid($pid, $status);
var_dump($late->read());

echo "-- sealed\n";
echo thrown(fn() => $client->open("late", sealed: true)), "\n";
$client->seal("late");
var_dump($client->open("late", sealed: true)->info()->sealed);
echo thrown(fn() => $client->open("late", Access::Write)), "\n";

echo "-- many\n";
$made = $client->createMany(["x" => new NewSegment("many/1", 1), 5 => new NewSegment("many/2", 2), new NewSegment(null, 3)]);
echo json_encode(array_map(fn($segment) => $segment->size(), $made)), "\n";
echo thrown(fn() => $client->createMany([new NewSegment("many/3", 1), new NewSegment("many/1", 1)])), "\n";
echo thrown(fn() => $client->open("many/3")), "\n";
echo thrown(fn() => $client->createMany([])), "\n";
foreach ($client->openMany(["a" => "many/1", "none", "!", 0xff3, "b" => "many/2"]) as $key => $result) {
    echo $key, ": ", $result instanceof Segment ? "Segment of " . $result->size() : thrown(fn() => throw $result), "\n";
}
echo json_encode($client->openMany([])), "\n";
var_dump($client->openMany(["late"], Access::Write)[0]->getParameters());
foreach ($client->openMany(["none", "nothing", "many/1"]) as $result) if ($result instanceof Shmd\Exception) echo $result->getMessage(), "\n";
unset($result);
$opened = $client->openMany(array_fill(0, 600, "many/1"));
var_dump(count($opened), $client->describe("many/1")->attachments);
$opened[3]->close();
Client::closeMany($opened);
var_dump($opened[599]->isClosed(), $client->describe("many/1")->attachments);
foreach ([fn() => $client->createMany(["x"]), fn() => $client->openMany([null]), fn() => $client->openMany(["a\0"]),
          fn() => Client::closeMany([$made["x"], 1])] as $call) {
    echo thrown($call), "\n";
}
var_dump($made["x"]->isClosed());
?>
--EXPECT--
-- by key and id
string(5) "first"
enum(Shmd\Access::Read)
int(1)
string(5) "First"
string(5) "First"
enum(Shmd\State::Deleted)
Shmd\NoSuchSegment 2 io.shmd.Segments.NoSuchSegment {"key":"first"}
Shmd\NoSuchSegment 2 io.shmd.Segments.NoSuchSegment {"id":1}
ValueError: Exactly one of $key and $id must be given
ValueError: Exactly one of $key and $id must be given
ValueError: Shmd\Client::open(): Argument #3 ($waitUsec) must be 0 with an id and with $sealed
ValueError: Shmd\Client::open(): Argument #3 ($waitUsec) must be between -1 and 9007199254740991
ValueError: Shmd\Client::open(): Argument #3 ($waitUsec) must be 0 with an id and with $sealed
ValueError: Shmd\Client::open(): Argument #4 ($sealed) must be false to open for writing: what is sealed cannot be written
ValueError: Shmd\Client::open(): Argument #1 ($key) must not contain any null bytes
ValueError: Shmd\Client::open(): Argument #1 ($key) must be between -2147483648 and 4294967295
TypeError: Shmd\Client::open(): Argument #2 ($access) must be of type Shmd\Access, string given
-- waiting
Shmd\NoSuchSegment 2 io.shmd.Segments.NoSuchSegment {"key":"late"}
int(4)
string(4) "late"
-- sealed
Shmd\NotSealed 77 io.shmd.Segments.NotSealed {"key":"late"}
bool(true)
Shmd\SegmentSealed 30 io.shmd.Segments.SegmentSealed {"key":"late"}
-- many
{"x":1,"5":2,"6":3}
Shmd\SegmentExists 17 io.shmd.Segments.SegmentExists {"key":"many/1"}
Shmd\NoSuchSegment 2 io.shmd.Segments.NoSuchSegment {"key":"many/3"}
ValueError: Shmd\Client::createMany(): Argument #1 ($segments) must have 1 to 250 elements, it has 0
a: Segment of 1
0: Shmd\NoSuchSegment 2 io.shmd.Segments.NoSuchSegment {"key":"none"}
1: Shmd\InvalidKey 22 io.shmd.Segments.InvalidKey {"key":"!"}
2: Shmd\NoSuchSegment 2 io.shmd.Segments.NoSuchSegment {"key":"sysv:0x00000ff3"}
b: Segment of 2
[]
array(1) {
  ["key"]=>
  string(4) "late"
}
cannot open segment 'none': no segment has this key
cannot open segment 'nothing' for reading: no segment has this key
int(600)
int(601)
bool(true)
int(1)
TypeError: Shmd\Client::createMany(): Argument #1 ($segments) must be an array of Shmd\NewSegment, string found
TypeError: Shmd\Client::openMany(): Argument #1 ($keys) must be an array of string or int, null found
ValueError: Shmd\Client::openMany(): Argument #1 ($keys) must not contain any null bytes
TypeError: Shmd\Client::closeMany(): Argument #1 ($segments) must be an array of Shmd\Segment, int found
bool(false)
