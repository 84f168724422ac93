--TEST--
A preloaded script that uses shmd leaves no connection in the process that forks the workers
--EXTENSIONS--
shmd
posix
--SKIPIF--
<?php
require __DIR__ . "/fpm.inc";
if ($why = fpm_obstacle()) die("skip $why");
if (getenv("USE_ZEND_ALLOC") === "0") die("skip valgrind cannot follow a program to another user");
if (!file_exists(PHP_EXTENSION_DIR . "/opcache.so")) die("skip opcache is not there");
?>
--FILE--
<?php
use Shmd\Client;
require __DIR__ . "/daemon.inc";
require __DIR__ . "/fpm.inc";
$daemon = new Daemon;
$client = new Client($daemon->socket);
$client->create("config", 5, mode: 0644)->write("ready");
file_put_contents("$daemon->directory/preload.php", <<<PHP
    <?php
    define("SEEN", (new Shmd\Client("$daemon->socket"))->open("config")->read());
    file_put_contents("$daemon->directory/preloaded", getmypid() . " " . SEEN);
    PHP);
// As another user than root, for whom preloading is done in the master itself.
$uid = posix_getuid() === 0 ? 65534 : 0;
if ($uid !== 0) chown($daemon->directory, $uid);
$before = $daemon->status()["connections"];
$fpm = new Fpm(2, '<?php echo (new Shmd\Client)->open("config")->read();', ["php_admin_value[shmd.socket] = $daemon->socket"],
               ["zend_extension=" . PHP_EXTENSION_DIR . "/opcache.so", "opcache.preload=$daemon->directory/preload.php"], $uid);
[$pid, $seen] = explode(" ", file_get_contents("$daemon->directory/preloaded"));
var_dump((int)$pid === $fpm->master, $seen, $daemon->status()["connections"] - $before);
var_dump($fpm->ask(""), $client->describe("config")->attachments);
?>
--EXPECT--
bool(true)
string(5) "ready"
int(0)
string(5) "ready"
int(0)
