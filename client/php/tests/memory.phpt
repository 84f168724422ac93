--TEST--
read() and write() stay within the segment
--EXTENSIONS--
shmd
--FILE--
<?php
use Shmd\{Access, Client};
require __DIR__ . "/daemon.inc";
$daemon = new Daemon;
$client = new Client($daemon->socket);
$own = $client->create("memory", 10);
$other = $client->open("memory");

echo "-- what is written is there for everybody\n";
var_dump($own->write("0123456789"), $other->read());
var_dump($own->write("AB", 8), $own->write("", 10), $other->read(7), $other->read(8, 2), $other->read(10), $other->read(3, 0));
var_dump($other->read(length: 2), $own->write("x\0y"), $other->read(0, 4) === "x\0y3");

echo "-- what does not fit\n";
foreach ([[-1, null], [11, null], [0, 11], [0, -1], [10, 1], [5, PHP_INT_MAX], [PHP_INT_MIN, 1]] as [$offset, $length]) {
    echo thrown(fn() => $other->read($offset, $length)), "\n";
}
foreach ([["x", 10], ["x", -1], ["x", 11], ["01234567890", 0], ["xy", 9]] as [$data, $offset]) {
    echo thrown(fn() => $own->write($data, $offset)), "\n";
}
var_dump($other->read() === "x\0y34567AB");

echo "-- for reading alone\n";
echo thrown(fn() => $other->write("x", 100)), "\n";

echo "-- closed\n";
$own->close();
$own->close();
var_dump($own->isClosed());
foreach (["read", "size", "access", "created", "attachment", "info", "publish", "seal", "remap"] as $method) {
    echo $method, ": ", thrown(fn() => $own->$method()), "\n";
}
echo thrown(fn() => $own->write("x")), "\n", thrown(fn() => $own->resize(5)), "\n";
var_dump($other->read(7), $client->describe("memory")->attachments);
$other = null;
var_dump($client->describe("memory")->attachments);

echo "-- outlives its client\n";
$segment = (new Client($daemon->socket))->open("memory", Access::Write);
unset($client);
gc_collect_cycles();
var_dump($segment->write("still", 0), $segment->read(0, 5));
?>
--EXPECT--
-- what is written is there for everybody
int(10)
string(10) "0123456789"
int(2)
int(0)
string(3) "7AB"
string(2) "AB"
string(0) ""
string(0) ""
string(2) "01"
int(3)
bool(true)
-- what does not fit
ValueError: Shmd\Segment::read(): Argument #1 ($offset) must be between 0 and 10
ValueError: Shmd\Segment::read(): Argument #1 ($offset) must be between 0 and 10
ValueError: Shmd\Segment::read(): Argument #2 ($length) must be between 0 and 10
ValueError: Shmd\Segment::read(): Argument #2 ($length) must be between 0 and 10
ValueError: Shmd\Segment::read(): Argument #2 ($length) must be between 0 and 0
ValueError: Shmd\Segment::read(): Argument #2 ($length) must be between 0 and 5
ValueError: Shmd\Segment::read(): Argument #1 ($offset) must be between 0 and 10
ValueError: Shmd\Segment::write(): Argument #1 ($data) must have at most 0 bytes to fit behind the offset, it has 1
ValueError: Shmd\Segment::write(): Argument #2 ($offset) must be between 0 and 10
ValueError: Shmd\Segment::write(): Argument #2 ($offset) must be between 0 and 10
ValueError: Shmd\Segment::write(): Argument #1 ($data) must have at most 10 bytes to fit behind the offset, it has 11
ValueError: Shmd\Segment::write(): Argument #1 ($data) must have at most 1 bytes to fit behind the offset, it has 2
bool(true)
-- for reading alone
Shmd\NotWritable 13 - []
-- closed
bool(true)
read: Shmd\Closed 9 - []
size: Shmd\Closed 9 - []
access: Shmd\Closed 9 - []
created: Shmd\Closed 9 - []
attachment: Shmd\Closed 9 - []
info: Shmd\Closed 9 - []
publish: Shmd\Closed 9 - []
seal: Shmd\Closed 9 - []
remap: Shmd\Closed 9 - []
Shmd\Closed 9 - []
Shmd\Closed 9 - []
string(3) "7AB"
int(1)
int(0)
-- outlives its client
int(5)
string(5) "still"
