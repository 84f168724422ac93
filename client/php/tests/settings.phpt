--TEST--
shmd.socket names the socket, shmd.shmop switches the functions off
--EXTENSIONS--
shmd
--FILE--
<?php
require __DIR__ . "/daemon.inc";
$daemon = new Daemon;

function run(array $settings, string $code): string
{
    $command = [PHP_BINARY, "-n", "-d", "display_errors=1", "-d", "extension=" . ini_get("extension_dir") . "/shmd.so"];
    foreach ($settings as $setting) array_push($command, "-d", $setting);
    array_push($command, "-r", $code);
    $process = proc_open($command, [["file", "/dev/null", "r"], ["pipe", "w"], ["redirect", 1]], $pipes, null,
                         ["SHMD_SOCKET" => "/nonexistent/socket"] + getenv());
    $output = stream_get_contents($pipes[1]);
    proc_close($process);
    return $output;
}

echo run(["shmd.socket=$daemon->socket"], 'var_dump((new Shmd\Client)->list());');
echo run([], 'try { (new Shmd\Client)->list(); } catch (Shmd\ConnectionFailed $e) { echo get_class($e), "\n"; }');
echo run(["shmd.socket=$daemon->socket"], 'try { (new Shmd\Client("/nonexistent/other"))->list(); } catch (Shmd\Exception $e) { var_dump(str_contains($e->getMessage(), "/nonexistent/other")); }');
echo run(["shmd.socket=$daemon->socket"], '$s = shmop_open(5, "n", 0600, 3); shmop_write($s, "abc", 0); echo (new Shmd\Client)->open(5)->read(), "\n";');
echo run([], 'shmop_open(5, "a", 0, 0);');
echo run(["shmd.socket=$daemon->socket"], 'var_dump(ini_set("shmd.socket", "/x"), ini_set("shmd.shmop", "0"));');
echo run(["shmd.shmop=0"], 'var_dump(function_exists("shmop_open"), class_exists("Shmop"), extension_loaded("shmop"));');
echo run([], 'var_dump(function_exists("shmop_open"), class_exists("Shmop"), extension_loaded("shmop"));');
?>
--EXPECT--
array(0) {
}
Shmd\ConnectionFailed
bool(true)
abc
libshmd-sysv: no daemon answers at /nonexistent/socket (No such file or directory), so shared memory calls fail with ENOSYS: start shmd, name its socket in SHMD_SOCKET, or set SHMD_SYSV_FALLBACK=kernel

Warning: shmop_open(): Unable to attach or create shared memory segment "Function not implemented" in Command line code on line 1
bool(false)
bool(false)
bool(false)
bool(false)
bool(false)
bool(true)
bool(true)
bool(true)
