--TEST--
The module, its functions and its section of phpinfo()
--EXTENSIONS--
shmd
--FILE--
<?php
var_dump(extension_loaded("shmd"), preg_match('/^\d+\.\d+\.\d+$/', Shmd\version()) === 1);
var_dump(Shmd\sysv_key(0xff3), Shmd\sysv_key(-1), Shmd\sysv_key(0xffffffff), Shmd\sysv_key(-0x80000000));
foreach ([0x100000000, -0x80000001] as $number) {
    try {
        Shmd\sysv_key($number);
    } catch (ValueError $e) {
        echo $e->getMessage(), "\n";
    }
}
ob_start();
phpinfo(INFO_MODULES);
preg_match('/^shmd\n\n.*?shmd.socket[^\n]*/ms', ob_get_clean(), $section);
echo $section[0], "\n";
?>
--EXPECTF--
bool(true)
bool(true)
string(15) "sysv:0x00000ff3"
string(15) "sysv:0xffffffff"
string(15) "sysv:0xffffffff"
string(15) "sysv:0x80000000"
Shmd\sysv_key(): Argument #1 ($key) must be between -2147483648 and 4294967295
Shmd\sysv_key(): Argument #1 ($key) must be between -2147483648 and 4294967295
shmd

shmd support => enabled
Extension version => %d.%d.%d
libshmd version => %d.%d.%d
Functions shmop_... => served by shmd
Connected to => nothing yet

Directive => Local Value => Master Value
shmd.shmop => On => On
shmd.socket => no value => no value
