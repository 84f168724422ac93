--TEST--
Workers of php-fpm share a table that is replaced under them, with one connection each, over a restart of the daemon
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
use Shmd\{Client, EventKind};
require __DIR__ . "/daemon.inc";
require __DIR__ . "/fpm.inc";

const WORKERS = 4;
$daemon = new Daemon;
$client = new Client($daemon->socket);

// One byte all over, so that a mixture of two versions shows.
function publish(Client $client, int $version): void
{
    $next = $client->create("app/table", 256 * 1024, mode: 0644, staged: true);
    $next->write(str_repeat(chr($version % 256), 256 * 1024));
    $next->seal()->publish(replace: true);
}

$fpm = new Fpm(WORKERS, <<<'PHP'
    <?php
    $client = new Shmd\Client;
    function version(): string
    {
        $table = (new Shmd\Client)->open("app/table", sealed: true)->read();
        return count_chars($table, 3) === $table[0] ? (string)ord($table[0]) : "torn";
    }
    try {
        switch ($_GET["do"] ?? "") {
            case "version":
                $version = version();
                echo getmypid(), " $version";
                break;
            case "meet":
                $held = $client->open("app/table");
                $before = version();
                $client->create("here/" . getmypid(), 1, lifetime: Shmd\Lifetime::Attached);
                $mine = $client->create("here/" . getmypid() . "/waits", 1, lifetime: Shmd\Lifetime::Attached);
                $client->open("go/$_GET[round]", waitUsec: -1);
                echo getmypid(), " ", $before, " ", version(), " ", ord($held->read(0, 1));
                break;
            case "nothing":
                echo getmypid();
        }
    } catch (Shmd\Exception $e) {
        echo get_class($e);
    }
    PHP, ["php_admin_value[shmd.socket] = $daemon->socket"]);

// All workers at once in a request, and the table replaced meanwhile.
function meet(Fpm $fpm, Client $client, int $round, int $before, int $after): array
{
    $watch = $client->watch("here/");
    $requests = [];
    for ($i = 0; $i < WORKERS; $i++) $requests[] = $fpm->begin("do=meet&round=$round");
    for ($here = 0; $here < WORKERS;) {
        $event = $watch->nextEvent();
        if ($event->kind === EventKind::Created && str_ends_with($event->segment->key, "/waits")) $here++;
    }
    publish($client, $after);
    $client->create("go/$round", 1, mode: 0444);
    $pids = [];
    foreach ($requests as $request) {
        [$pid, $saw, $sees, $holds] = explode(" ", $fpm->its_answer($request));
        if ([$saw, $sees, $holds] != [$before, $after, $before]) echo "worker $pid saw $saw, then $sees, and held $holds\n";
        $pids[] = (int)$pid;
    }
    sort($pids);
    return $pids;
}

$own = $daemon->status()["connections"];
$connections = function () use ($daemon, &$own) { return $daemon->status()["connections"] - $own; };

echo "-- nothing connects before the first request that uses it\n";
var_dump($fpm->ask("do=nothing") > 0, $connections());

echo "-- all workers\n";
publish($client, 1);
$own = $daemon->status()["connections"];
$pids = meet($fpm, $client, 1, 1, 2);
var_dump(count(array_unique($pids)));
// The watch of meet() and the waits have ended with their connections; the daemon sees that when it comes to them.
until(fn() => $connections() <= WORKERS);
var_dump($connections());
echo "of each worker: ", connections_of($fpm, $pids), "\n";

echo "-- many requests while another process replaces the table\n";
[$tell, $told] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
$swapper = pcntl_fork();
if ($swapper === 0) {
    stream_set_blocking($told, false);
    for ($version = 3; fgets($told) === false; $version++) publish($client, $version);
    publish($client, 200);
    exit(0);
}
$torn = 0;
$versions = [];
for ($n = 0; $n < 50 || count($versions) < 2; $n++) {
    $requests = [];
    for ($i = 0; $i < WORKERS; $i++) $requests[] = $fpm->begin("do=version");
    foreach ($requests as $request) {
        [, $version] = explode(" ", $fpm->its_answer($request)) + [1 => "nothing"];
        if (!is_numeric($version)) $torn++;
        $versions[$version] = true;
    }
}
fwrite($tell, "\n");
pcntl_waitpid($swapper, $status);
var_dump($torn, count($versions) > 1, pcntl_wexitstatus($status));
until(fn() => $connections() <= WORKERS);
var_dump($connections(), meet($fpm, $client, 2, 200, 201) === $pids);

echo "-- the daemon is killed\n";
$daemon->kill();
var_dump($fpm->ask("do=version"), $fpm->ask("do=nothing") > 0);
$daemon->start();
echo $fpm->ask("do=version"), "\n";
publish($client, 7);
$own = $daemon->status()["connections"];
var_dump(meet($fpm, $client, 3, 7, 8) === $pids);
until(fn() => $connections() <= WORKERS);
var_dump($connections() <= WORKERS);
echo "of each worker: ", connections_of($fpm, $pids), "\n";
?>
--EXPECT--
-- nothing connects before the first request that uses it
bool(true)
int(0)
-- all workers
int(4)
int(4)
of each worker: 1 1 1 1
-- many requests while another process replaces the table
int(0)
bool(true)
int(0)
int(4)
bool(true)
-- the daemon is killed
string(21) "Shmd\ConnectionFailed"
bool(true)
Shmd\NoSuchSegment
bool(true)
bool(true)
of each worker: 1 1 1 1
