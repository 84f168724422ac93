--TEST--
The examples of README.md work
--EXTENSIONS--
shmd
--SKIPIF--
<?php if (!file_exists(__DIR__ . "/../README.md")) die("skip README.md is not there"); ?>
--FILE--
<?php
require __DIR__ . "/daemon.inc";
$daemon = new Daemon(["limits" => ["bytes" => "64M"]]);
putenv("SHMD_SOCKET=$daemon->socket");
preg_match_all('/^```php\n(.*?)^```/ms', file_get_contents(__DIR__ . "/../README.md"), $examples);
$data = "a table";
(new Shmd\Client)->create("app/ready", 1);
$code = "";
foreach ($examples[1] as $example) {
    if (str_contains($example, "foreach (\$watch")) $example = preg_replace('/^foreach \(\$watch.*$/m', '', $example);
    $code .= preg_replace('/^<\?php/', '', $example) . "echo \"\\n\";\n";
}
var_dump(count($examples[1]));
ini_set("error_log", "/dev/stdout");
eval("use Shmd\\{Access, AclEntry, Client, CreateMode, Lifetime, NewSegment};\n" . preg_replace('/^use .*$/m', '', $code));
var_dump($table);
?>
--EXPECTF--
int(7)
hello
100200

3

[%s] bytes is limited to 67108864


string(7) "a table"
