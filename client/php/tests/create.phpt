--TEST--
create() makes what it is told to
--EXTENSIONS--
shmd
--FILE--
<?php
use Shmd\{Access, AclEntry, Client, CreateMode, HugePages, Lifetime, Reserve};
require __DIR__ . "/daemon.inc";
$daemon = new Daemon;
$client = new Client($daemon->socket);

echo "-- by default\n";
$plain = $client->create("plain", 5000);
var_dump($plain->size(), $plain->access(), $plain->created(), $plain->isClosed(), $plain->read() === str_repeat("\0", 5000));
$info = $plain->info();
var_dump($info->key, decoct($info->mode), $info->state, $info->lifetime, $info->evictable, $info->labels, $info->acl,
         $info->capacityBytes, $info->hugePages, $info->numaNodes, $info->leaseUsec, $info->ownerUid === posix_getuid(),
         $info->creatorPid === getmypid(), $plain->attachment() > 0);

echo "-- all options\n";
$full = $client->create("full", 100, 0640, CreateMode::New, Access::Read, Reserve::Populate, Lifetime::Lease, false,
                        ["team" => "billing", "7" => "seven"], 60_000_000, true, false,
                        [AclEntry::user(1000, Access::Read), AclEntry::group(50, Access::Write)], 9000,
                        HugePages::None, [], true);
$info = $full->info();
var_dump($full->access(), decoct($info->mode), $info->lifetime, $info->leaseUsec, $info->labels, $info->evictable,
         $info->capacityBytes, $info->expiresUsec > $info->createdUsec);
echo json_encode($info->acl), "\n";

echo "-- named options, any, staged, without a key\n";
$any = $client->create("plain", 100, createMode: CreateMode::Any);
var_dump($any->created(), $any->size());
$staged = $client->create("later", 10, staged: true, reserve: Reserve::Lazy);
var_dump($staged->info()->state, $staged->info()->key);
$unnamed = $client->create(null, 10);
var_dump(preg_match('/^anon:[0-9a-f]{32}$/', $unnamed->info()->key));

echo "-- integers are System V keys\n";
$client->create(0xff3, 10)->write("by number");
var_dump($client->open("sysv:0x00000ff3")->read(0, 9), $client->open(0xff3)->info()->key);
var_dump($client->create(-1, 1)->info()->key, $client->create("17", 1)->info()->key);
?>
--EXPECT--
-- by default
int(5000)
enum(Shmd\Access::Write)
bool(true)
bool(false)
bool(true)
string(5) "plain"
string(3) "600"
enum(Shmd\State::Live)
enum(Shmd\Lifetime::Persistent)
bool(false)
array(0) {
}
array(0) {
}
int(5000)
enum(Shmd\HugePages::None)
array(0) {
}
NULL
bool(true)
bool(true)
bool(true)
-- all options
enum(Shmd\Access::Read)
string(3) "640"
enum(Shmd\Lifetime::Lease)
int(60000000)
array(2) {
  [7]=>
  string(5) "seven"
  ["team"]=>
  string(7) "billing"
}
bool(true)
int(9000)
bool(true)
[{"uid":1000,"access":"read"},{"gid":50,"access":"write"}]
-- named options, any, staged, without a key
bool(false)
int(5000)
enum(Shmd\State::Staged)
NULL
int(1)
-- integers are System V keys
string(9) "by number"
string(15) "sysv:0x00000ff3"
string(15) "sysv:0xffffffff"
string(2) "17"
