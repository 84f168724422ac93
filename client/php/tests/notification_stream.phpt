--TEST--
A stream tells of notifications, for stream_select()
--EXTENSIONS--
shmd
pcntl
--SKIPIF--
<?php if (getenv("USE_ZEND_ALLOC") === "0") die("skip valgrind does not know futex_waitv(2)"); ?>
--FILE--
<?php
use Shmd\{Access, Client};
require __DIR__ . "/daemon.inc";
$daemon = new Daemon;
$client = new Client($daemon->socket);
$segment = $client->create("s", 8);
$reader = $client->open("s");
$segment->notify();

$stream = $reader->getNotificationStream();
$select = function (int $seconds, ...$streams) {
    $none = null;
    return stream_select($streams, $none, $none, $seconds);
};
var_dump($select(0, $stream), fread($stream, 8), feof($stream));
for ($round = 0; $round < 3; $round++) {
    $segment->notify();
    $segment->notify();
    var_dump($select(10, $stream), strlen(fread($stream, 8)), feof($stream));
    // The second may be told of later than the first.
    while (fread($stream, 8));
}
[$pid] = begin_child(function () use ($daemon) { (new Client($daemon->socket))->open("s", Access::Write)->notify(); });
while ($reader->version() < 8) {
    $select(10, $stream);
    fread($stream, 8);
}
var_dump(end_of($pid), $reader->version());
$again = $reader->getNotificationStream();
while (fread($stream, 8));
$segment->notify();
var_dump($select(10, $again), $select(10, $stream), strlen(fread($again, 8)));
$reader->close();
while (fread($stream, 8));
$segment->notify();
var_dump($select(0, $stream));
?>
--EXPECT--
int(0)
string(0) ""
bool(false)
int(1)
int(8)
bool(false)
int(1)
int(8)
bool(false)
int(1)
int(8)
bool(false)
int(0)
int(8)
int(1)
int(1)
int(8)
int(0)
