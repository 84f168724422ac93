--TEST--
Nothing connects before it must; all clients of a socket share one connection, which finds a restarted daemon
--EXTENSIONS--
shmd
--FILE--
<?php
use Shmd\Client;
require __DIR__ . "/daemon.inc";

function sockets(): int
{
    return count(array_filter(array_map(fn($fd) => @readlink($fd), glob("/proc/self/fd/*")), fn($to) => str_starts_with((string)$to, "socket:")));
}

$daemon = new Daemon;
$before = sockets();
$one = new Client($daemon->socket);
$two = new Client($daemon->socket);
var_dump(sockets() - $before);
$one->list();
$two->list();
(new Client($daemon->socket))->list();
var_dump(sockets() - $before);
unset($one);
var_dump(sockets() - $before);
$control = Client::control($daemon->control);
var_dump($control->call("io.shmd.Control.GetStatus")["connections"], sockets() - $before);

echo "-- the daemon is killed and started again\n";
$segment = $two->create("s", 5);
$segment->write("bytes");
$daemon->kill();
echo thrown(fn() => $two->list()), "\n";
var_dump($segment->read());
$daemon->start();
var_dump($two->list());
echo thrown(fn() => $two->open("s")), "\n", thrown(fn() => $segment->publish()), "\n";
var_dump($two->create("s", 5)->created(), $segment->read());
unset($segment);
var_dump(sockets() - $before, $daemon->status()["connections"]);

echo "-- found by the environment\n";
putenv("SHMD_SOCKET=$daemon->socket");
var_dump((new Client)->getSocketPath() === $daemon->socket, Client::control()->getSocketPath() === $daemon->control);
putenv("SHMD_SOCKET=/nonexistent/one");
echo thrown(fn() => (new Client)->list()), "\n";
putenv("SHMD_SOCKET=$daemon->socket");
var_dump((new Client)->list()[0]->key, (new Client(""))->list()[0]->key);
?>
--EXPECT--
int(0)
int(1)
int(1)
int(2)
int(2)
-- the daemon is killed and started again
Shmd\ConnectionFailed 111 - []
string(5) "bytes"
array(0) {
}
Shmd\NoSuchSegment 2 io.shmd.Segments.NoSuchSegment {"key":"s"}
Shmd\Disconnected 104 - []
bool(true)
string(5) "bytes"
int(2)
int(2)
-- found by the environment
bool(true)
bool(true)
Shmd\ConnectionFailed 111 - []
string(1) "s"
string(1) "s"
