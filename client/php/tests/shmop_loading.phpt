--TEST--
With ext/shmop, in whatever order, its functions stay; nothing is said and nothing fails
--EXTENSIONS--
shmd
--SKIPIF--
<?php if (!file_exists(PHP_EXTENSION_DIR . "/shmop.so")) die("skip ext/shmop is not there"); ?>
--FILE--
<?php
$shmop = "extension=" . PHP_EXTENSION_DIR . "/shmop.so";
$shmd = "extension=" . ini_get("extension_dir") . "/shmd.so";
$code = 'ob_start(); phpinfo(INFO_MODULES); preg_match("/^Functions shmop.*/m", ob_get_clean(), $m); echo $m[0], "; ",
         (new ReflectionFunction("shmop_open"))->getExtensionName(), "; ", implode(" ", get_extension_funcs("shmop")), "\n";';
foreach (["shmop first" => [$shmop, $shmd], "shmd first" => [$shmd, $shmop], "shmd alone" => [$shmd],
          "switched off, shmop first" => [$shmop, $shmd, "shmd.shmop=0"], "switched off, shmd first" => [$shmd, $shmop, "shmd.shmop=0"]] as $name => $settings) {
    // As files that are read one after the other, too.
    $directory = sys_get_temp_dir() . "/shmd-php-" . bin2hex(random_bytes(6));
    mkdir($directory);
    foreach ($settings as $number => $setting) file_put_contents("$directory/20-$number.ini", "$setting\n");
    $options = implode(" ", array_map(fn($setting) => "-d " . escapeshellarg($setting), $settings));
    $common = "-d display_errors=1 -d display_startup_errors=1 -d error_reporting=-1 -r " . escapeshellarg($code) . " 2>&1";
    echo "-- $name\n";
    passthru("SHMD_SOCKET=/nonexistent " . PHP_BINARY . " -n $options $common");
    passthru("SHMD_SOCKET=/nonexistent PHP_INI_SCAN_DIR=$directory " . PHP_BINARY . " -c /dev/null $common");
    array_map(unlink(...), glob("$directory/*"));
    rmdir($directory);
}
?>
--EXPECT--
-- shmop first
Functions shmop_... => served by the kernel: ext/shmop is loaded; shmop; shmop_open shmop_read shmop_close shmop_size shmop_write shmop_delete
Functions shmop_... => served by the kernel: ext/shmop is loaded; shmop; shmop_open shmop_read shmop_close shmop_size shmop_write shmop_delete
-- shmd first
Functions shmop_... => served by the kernel: ext/shmop is loaded; shmop; shmop_open shmop_read shmop_close shmop_size shmop_write shmop_delete
Functions shmop_... => served by the kernel: ext/shmop is loaded; shmop; shmop_open shmop_read shmop_close shmop_size shmop_write shmop_delete
-- shmd alone
Functions shmop_... => served by shmd; shmop; shmop_open shmop_read shmop_close shmop_size shmop_write shmop_delete
Functions shmop_... => served by shmd; shmop; shmop_open shmop_read shmop_close shmop_size shmop_write shmop_delete
-- switched off, shmop first
Functions shmop_... => served by the kernel: ext/shmop is loaded; shmop; shmop_open shmop_read shmop_close shmop_size shmop_write shmop_delete
Functions shmop_... => served by the kernel: ext/shmop is loaded; shmop; shmop_open shmop_read shmop_close shmop_size shmop_write shmop_delete
-- switched off, shmd first
Functions shmop_... => served by the kernel: ext/shmop is loaded; shmop; shmop_open shmop_read shmop_close shmop_size shmop_write shmop_delete
Functions shmop_... => served by the kernel: ext/shmop is loaded; shmop; shmop_open shmop_read shmop_close shmop_size shmop_write shmop_delete
