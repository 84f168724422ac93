--TEST--
shmop under php-fpm: workers share segments of shmd, with one connection each, over a restart of the daemon
--EXTENSIONS--
shmd
posix
--SKIPIF--
<?php
require __DIR__ . "/fpm.inc";
if ($why = fpm_obstacle()) die("skip $why");
?>
--FILE--
<?php
use Shmd\Client;
require __DIR__ . "/daemon.inc";
require __DIR__ . "/fpm.inc";
$daemon = new Daemon;
$client = new Client($daemon->socket);
// The settings of PHP name the socket: no word of shmd in the application.
$fpm = new Fpm(2, <<<'PHP'
    <?php
    $s = @shmop_open(0xff3, "c", 0644, 100);
    if (!$s) die(error_get_last()["message"]);
    $pids = array_filter(explode(" ", rtrim(shmop_read($s, 0, 0), "\0")));
    if (!in_array(getmypid(), $pids)) $pids[] = getmypid();
    shmop_write($s, implode(" ", $pids), 0);
    echo implode(" ", $pids);
    PHP, ["php_admin_value[shmd.socket] = $daemon->socket"]);

function all_workers(Fpm $fpm): array
{
    until(function () use ($fpm, &$pids) { return count($pids = explode(" ", $fpm->ask(""))) >= 2; });
    sort($pids);
    return $pids;
}

$pids = all_workers($fpm);
echo "connections: ", connections_of($fpm, $pids), "\n";
var_dump(array_diff($pids, explode(" ", rtrim($client->open(0xff3)->read(), "\0"))), $client->describe(0xff3)->attachments);

echo "-- the daemon is killed\n";
$daemon->kill();
echo $fpm->ask(""), "\n";
$daemon->start();
var_dump(all_workers($fpm) === $pids);
echo "connections: ", connections_of($fpm, $pids), "\n";
?>
--EXPECT--
connections: 1 1
array(0) {
}
int(0)
-- the daemon is killed
shmop_open(): Unable to attach or create shared memory segment "Function not implemented"
bool(true)
connections: 1 1
