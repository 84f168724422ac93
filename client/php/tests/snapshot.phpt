--TEST--
Snapshots are never torn by another process's write sections, and take no lock
--EXTENSIONS--
shmd
pcntl
--FILE--
<?php
use Shmd\{Access, Client};
require __DIR__ . "/daemon.inc";
const SIZE = 64 * 1024, ROUNDS = 500;
$daemon = new Daemon;
$client = new Client($daemon->socket);
$client->create("s", SIZE, capacityBytes: 2 * SIZE)->write(str_repeat("a", SIZE));
$reader = $client->open("s");

echo "-- what read() gives\n";
var_dump($reader->snapshot() === $reader->read(), $reader->snapshot(SIZE - 3), $reader->snapshot(5, 2), $reader->snapshot(SIZE), $reader->snapshot(0, 0, 0));
foreach ([fn() => $reader->snapshot(-1), fn() => $reader->snapshot(1, SIZE), fn() => $reader->snapshot(0, -1), fn() => $reader->snapshot(0, 1, -2)] as $call) {
    echo thrown($call), "\n";
}
// Not shared with anybody: it can be changed in place.
$one = $reader->snapshot(0, 1);
$one[0] = "b";
var_dump($reader->snapshot(0, 1), $one);

echo "-- while another process writes\n";
[$writer, $stream] = begin_child(function ($stream) use ($daemon) {
    stream_set_blocking($stream, false);
    $segment = (new Client($daemon->socket))->open("s", Access::Write);
    for ($round = 0; !feof($stream); $round++) {
        $segment->writeSection(function () use ($segment, $round) {
            for ($part = 0; $part < 8; $part++) $segment->write(str_repeat(chr(65 + $round % 26), SIZE / 8), $part * SIZE / 8);
        });
        // Outside of the section for as long as a reader needs.
        if (strlen(count_chars($segment->snapshot(), 3)) !== 1) throw new Exception("its own snapshot is torn");
        if ($round === 0) fwrite($stream, "begun\n");
        fread($stream, 1);
    }
});
fgets($stream);
$torn = 0;
$seen = [];
for ($round = 0; $round < ROUNDS || count($seen) < 2; $round++) {
    $bytes = count_chars($reader->snapshot(), 3);
    if (strlen($bytes) !== 1) $torn++;
    $seen[$bytes] = true;
}
fclose($stream);
var_dump($torn, end_of($writer));

echo "-- while a section is open\n";
$segment = $client->open("s", Access::Write);
$section = $segment->beginWrite();
$segment->write("half");
echo thrown(fn() => $reader->snapshot(0, 4, 0)), ", ", thrown(fn() => $reader->snapshot(0, 4, 1000)), "\n";
pcntl_async_signals(true);
pcntl_signal(SIGALRM, fn() => $section->unlock());
pcntl_alarm(1);
var_dump($reader->snapshot(0, 4));

echo "-- a lock keeps nobody from it\n";
$lock = $segment->lock();
$writing = $segment->writeLock();
var_dump($reader->snapshot(0, 4), $segment->snapshot(0, 4));
unset($lock, $writing);

echo "-- of another size, and sealed\n";
$segment->resize(2 * SIZE);
$segment->write("end", 2 * SIZE - 3);
var_dump(strlen($reader->snapshot()), $reader->remap()->snapshot(2 * SIZE - 3));
$segment->seal();
var_dump($segment->snapshot(2 * SIZE - 3), $client->open("s", sealed: true)->snapshot(0, 4));
?>
--EXPECT--
-- what read() gives
bool(true)
string(3) "aaa"
string(2) "aa"
string(0) ""
string(0) ""
ValueError: Shmd\Segment::snapshot(): Argument #1 ($offset) must be between 0 and 65536
ValueError: Shmd\Segment::snapshot(): Argument #2 ($length) must be between 0 and 65535
ValueError: Shmd\Segment::snapshot(): Argument #2 ($length) must be between 0 and 65536
ValueError: Shmd\Segment::snapshot(): Argument #3 ($timeoutUsec) must be between -1 and 9007199254740991
string(1) "a"
string(1) "b"
-- while another process writes
int(0)
int(0)
-- while a section is open
Shmd\TimedOut 110 - [], Shmd\TimedOut 110 - []
string(4) "half"
-- a lock keeps nobody from it
string(4) "half"
string(4) "half"
-- of another size, and sealed
int(65536)
string(3) "end"
string(3) "end"
string(4) "half"
