--TEST--
The functions shmop_... do what PHP's own do, to the byte
--EXTENSIONS--
shmd
pcntl
posix
--SKIPIF--
<?php if (!glob(ini_get("extension_dir") . "/shmop.so") && !file_exists(PHP_EXTENSION_DIR . "/shmop.so")) die("skip ext/shmop is not there to compare with"); ?>
--FILE--
<?php
require __DIR__ . "/daemon.inc";
$daemon = new Daemon;
chmod($daemon->directory, 0755);

function output(string $socket, string ...$settings): string
{
    $command = [PHP_BINARY, "-n", "-d", "error_reporting=-1", "-d", "display_errors=1", "-d", "html_errors=0", "-d", "log_errors=0", "-d", "pcre.jit=0",
                "-d", "extension=" . PHP_EXTENSION_DIR . "/posix.so"];
    foreach ($settings as $setting) array_push($command, "-d", $setting);
    array_push($command, __DIR__ . "/shmop_calls.inc", (string)(0x20000000 + getmypid() * 256));
    $process = proc_open($command, [["file", "/dev/null", "r"], ["pipe", "w"], ["redirect", 1]], $pipes, null,
                         ["SHMD_SOCKET" => $socket] + getenv());
    $output = stream_get_contents($pipes[1]);
    return $output . "exit " . proc_close($process) . "\n";
}

$kernel = output("/nonexistent", "extension=" . PHP_EXTENSION_DIR . "/shmop.so");
$shmd = output($daemon->socket, "extension=" . ini_get("extension_dir") . "/shmd.so");
file_put_contents("$daemon->directory/kernel", $kernel);
file_put_contents("$daemon->directory/shmd", $shmd);
var_dump($kernel === $shmd, substr_count($kernel, "\n") > 300);
if ($kernel !== $shmd) passthru("diff $daemon->directory/kernel $daemon->directory/shmd");
// The one was served by the kernel and the other by the daemon.
var_dump(array_map(fn($info) => $info->key, (new Shmd\Client($daemon->socket))->list()), str_ends_with($shmd, "exit 0\n"));
?>
--EXPECT--
bool(true)
bool(true)
array(0) {
}
bool(true)
