--TEST--
A child of fork has connections of its own, and its parent's memory
--EXTENSIONS--
shmd
pcntl
posix
--FILE--
<?php
use Shmd\Client;
require __DIR__ . "/daemon.inc";
$daemon = new Daemon;
$client = new Client($daemon->socket);
$segment = $client->create("s", 10);
$staged = $client->create("later", 1, staged: true);
$watch = $client->watch();
$segment->write("parent");
$pid = posix_getpid();

echo "exit status ", in_child(function () use ($client, $segment, $staged, $watch, $pid) {
    var_dump(posix_getpid() !== $pid, $segment->read(0, 6));
    $segment->write("child ");
    $mine = $client->create("child", 1);
    var_dump($mine->info()->creatorPid === posix_getpid(), $client->open("s")->read(0, 5));
    echo thrown(fn() => $staged->publish()), "\n", thrown(fn() => $watch->nextEvent(0)), "\n";
    $segment->close();
}), "\n";
var_dump($segment->read(0, 6), $client->describe("s")->attachments, $client->describe("child")->attachments);
var_dump($staged->publish()->info()->key);
// What the child has closed, and its end, took nothing from the parent.
var_dump($client->describe("s")->creatorPid === $pid, $segment->write("still"));
?>
--EXPECT--
exit status bool(true)
string(6) "parent"
bool(true)
string(5) "child"
Shmd\Exception 1 - []
Shmd\Exception 1 - []
0
string(6) "child "
int(1)
int(0)
string(5) "later"
bool(true)
int(5)
