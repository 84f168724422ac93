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
in_child(fn() => print(preg_replace('/"(pid|attachment)":\d+/', '"$1":N', thrown(fn() => $client->resize("log", 2))) . "\n"));
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
