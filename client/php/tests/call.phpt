--TEST--
call() and callMany() make any call, also at the control socket
--EXTENSIONS--
shmd
--FILE--
<?php
use Shmd\Client;
require __DIR__ . "/daemon.inc";
$daemon = new Daemon;
$client = new Client($daemon->socket);
$client->create("a/1", 5);
$client->create("a/2", 6);
var_dump(in_array("io.shmd.Segments", $client->call("org.varlink.service.GetInfo")["interfaces"]));
var_dump($client->call("io.shmd.Segments.Describe", ["key" => "a/1"])["segment"]["sizeBytes"]);
var_dump(array_map(fn($reply) => $reply["segment"]["key"], $client->callMany("io.shmd.Segments.List", ["prefix" => "a/"])));
$control = Client::control($daemon->control);
var_dump($control->getSocketPath() === $daemon->control, $client->getSocketPath() === $daemon->socket);
var_dump($control->call("io.shmd.Control.GetStatus")["segments"], count($control->callMany("io.shmd.Control.ListSegments")));
echo thrown(fn() => $client->call("io.shmd.Control.GetStatus")), "\n";
echo thrown(fn() => $client->call("io.shmd.Segments.Describe", ["key" => "\xff"])), "\n";
echo thrown(fn() => $client->call("io.shmd.Segments.Describe", ["key" => new class implements JsonSerializable {
    function jsonSerialize(): mixed { throw new LogicException("not to be had"); }
}])), "\n";
echo thrown(fn() => $client->call("io.shmd.Segments.Describe", ["x"])), "\n";
echo thrown(fn() => $client->call("nul\0")), "\n";
?>
--EXPECT--
bool(true)
int(5)
array(2) {
  [0]=>
  string(3) "a/1"
  [1]=>
  string(3) "a/2"
}
bool(true)
bool(true)
int(2)
int(2)
Shmd\Exception 95 org.varlink.service.InterfaceNotFound {"interface":"io.shmd.Control"}
ValueError: Shmd\Client::call(): Argument #2 ($parameters) must be something that JSON can express
LogicException: not to be had
ValueError: Shmd\Client::call(): Argument #2 ($parameters) must have the names of parameters as its keys
ValueError: Shmd\Client::call(): Argument #1 ($method) must not contain any null bytes
