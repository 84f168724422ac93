--TEST--
A request of php-fpm gives its locks back however it ends, and the next one is told when its worker was killed
--EXTENSIONS--
shmd
pcntl
posix
--SKIPIF--
<?php
require __DIR__ . "/fpm.inc";
if ($why = fpm_obstacle()) die("skip $why");
?>
--FILE--
<?php
use Shmd\{Access, Client};
require __DIR__ . "/daemon.inc";
require __DIR__ . "/fpm.inc";

$daemon = new Daemon;
$client = new Client($daemon->socket);
$segment = $client->create("s", 8, mode: 0666);

$fpm = new Fpm(1, <<<'PHP'
    <?php
    // At the end of a request objects are freed by their number, the lowest last: it is the lock's, not the segment's.
    $lowest = new stdClass;
    $client = new Shmd\Client;
    $segment = $client->open("s", Shmd\Access::Write);
    unset($lowest);
    $take = $_GET["take"] ?? "lock";
    echo getmypid(), " ";
    function here(): void
    {
        global $client, $here;
        $here = $client->create("here/" . getmypid(), 1, lifetime: Shmd\Lifetime::Attached);
    }
    function leave(): void
    {
        switch ($_GET["end"]) {
            case "exit": exit("exit");
            case "exception": throw new Exception("exception");
            case "fatal": eval("function twice() {} function twice() {}");
            case "time": here(); while (true);
            case "return": echo "return";
        }
    }
    switch ($_GET["do"]) {
        case "hold":
            // Kept in ways that the end of the request meets in different order.
            if ($_GET["kept"] === "global") {
                $lock = $segment->$take();
                $segment = null;
            } elseif ($_GET["kept"] === "static") {
                final class Keeper { public static array $all; }
                Keeper::$all = [$segment->$take(), $segment];
            } elseif ($_GET["kept"] === "cycle") {
                $cycle = new stdClass;
                $cycle->lock = $segment->$take();
                $cycle->cycle = $cycle;
                unset($cycle);
            } else {
                $segment->{$take === "lock" ? "synchronized" : "writeSection"}(leave(...));
            }
            leave();
            break;
        case "die":
            $lock = $segment->$take();
            here();
            $client->open("never", waitUsec: -1);
        case "wait":
            here();
            $segment->$take();
            echo "got it";
            break;
        case "nothing":
            break;
    }
    PHP, ["php_admin_value[shmd.socket] = $daemon->socket"]);

/** Begins a request and waits until it says where it is. */
function meet(Fpm $fpm, Client $client, string $query): array
{
    $watch = $client->watch("here/");
    $request = $fpm->begin($query);
    do $event = $watch->nextEvent(); while ($event->kind->value !== "created");
    return [(int)substr($event->segment->key, 5), $request];
}

/** What the last holder has left. A death is the daemon's to tell; all else is there when the request is over. */
function left(Shmd\Segment $segment, string $take, bool $fatal): string
{
    if ($take === "readLock") $take = "writeLock";
    try {
        $lock = $segment->$take($take === "beginWrite" && $fatal ? -1 : 0);
    } catch (Shmd\TimedOut) {
        return "not free";
    }
    if (!$lock->ownerDied) return "free";
    $lock->makeConsistent();
    return "owner died";
}

$pid = (int)$fpm->ask("do=nothing");
foreach (["lock", "readLock", "writeLock", "beginWrite"] as $take) {
    $callable = in_array($take, ["lock", "beginWrite"]);
    foreach (["return" => "return", "exit" => "exit", "exception" => "exception", "fatal" => "Cannot redeclare",
              "time" => "Maximum execution time"] as $end => $words) {
        foreach (["global", "static", "cycle", "call"] as $kept) {
            if ($kept === "call" ? !$callable : $kept !== "global" && ($take !== "lock" || $end === "exit")) continue;
            $query = "do=hold&take=$take&kept=$kept&end=$end";
            if ($end === "time") {
                [$worker, $request] = meet($fpm, $client, $query);
                posix_kill($worker, SIGPROF);
                $answer = $fpm->its_answer($request);
            } else {
                $answer = $fpm->ask($query);
            }
            if (!str_contains($answer, $words) || (int)$answer !== $pid) echo "NOT SO: $answer\n";
            echo "$take, $kept, $end: ", left($segment, $take, in_array($end, ["fatal", "time"])), "\n";
        }
    }
}

echo "-- a worker that is killed\n";
foreach (["lock", "writeLock", "beginWrite"] as $take) {
    [$worker, $request] = meet($fpm, $client, "do=die&take=$take");
    posix_kill($worker, SIGKILL);
    $fpm->its_answer($request);
    $lock = $segment->$take();
    var_dump($lock->ownerDied);
    $lock->makeConsistent();
    unset($lock);
}

echo "-- a worker that waits, until its time is over\n";
$lock = $segment->lock();
[$worker, $request] = meet($fpm, $client, "do=wait");
posix_kill($worker, SIGPROF);
var_dump(str_contains($fpm->its_answer($request), "Maximum execution time"));
[$worker, $request] = meet($fpm, $client, "do=wait");
$lock->unlock();
var_dump(str_contains($fpm->its_answer($request), "got it"));
echo left($segment, "lock", false), "\n";
?>
--EXPECT--
lock, global, return: free
lock, static, return: free
lock, cycle, return: free
lock, call, return: free
lock, global, exit: free
lock, call, exit: free
lock, global, exception: free
lock, static, exception: free
lock, cycle, exception: free
lock, call, exception: free
lock, global, fatal: free
lock, static, fatal: free
lock, cycle, fatal: free
lock, call, fatal: free
lock, global, time: free
lock, static, time: free
lock, cycle, time: free
lock, call, time: free
readLock, global, return: free
readLock, global, exit: free
readLock, global, exception: free
readLock, global, fatal: free
readLock, global, time: free
writeLock, global, return: free
writeLock, global, exit: free
writeLock, global, exception: free
writeLock, global, fatal: free
writeLock, global, time: free
beginWrite, global, return: free
beginWrite, call, return: free
beginWrite, global, exit: free
beginWrite, call, exit: free
beginWrite, global, exception: free
beginWrite, call, exception: free
beginWrite, global, fatal: owner died
beginWrite, call, fatal: owner died
beginWrite, global, time: owner died
beginWrite, call, time: owner died
-- a worker that is killed
bool(true)
bool(true)
bool(true)
-- a worker that waits, until its time is over
bool(true)
bool(true)
free
