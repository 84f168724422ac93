--TEST--
setAttributes(), renew(), describe(), list() and delete()
--EXTENSIONS--
shmd
posix
--SKIPIF--
<?php if (posix_getuid() !== 0) die("skip needs root, to give segments away"); ?>
--FILE--
<?php
use Shmd\{Access, AclEntry, Client, Lifetime};
require __DIR__ . "/daemon.inc";
$daemon = new Daemon;
$client = new Client($daemon->socket);
$segment = $client->create("app/a", 10, labels: ["one" => "1", "two" => "2"]);
$client->create("app/b", 10);
$client->create("else", 10);

echo "-- changes\n";
$info = $client->setAttributes("app/a", mode: 0664, ownerUid: 1000, ownerGid: 50, evictable: true,
                               labels: ["three" => "3"], removeLabels: ["one", "none"],
                               acl: [AclEntry::group(7, Access::Write)]);
var_dump(decoct($info->mode), $info->ownerUid, $info->ownerGid, $info->evictable, json_encode($info->labels), json_encode($info->acl));
var_dump(json_encode($client->setAttributes(id: $info->id, acl: [])->acl), decoct($client->setAttributes("app/a")->mode));
$info = $client->setAttributes("app/a", lifetime: Lifetime::Lease, leaseUsec: 3_600_000_000);
var_dump($info->lifetime, $info->leaseUsec, $client->renew("app/a")->expiresUsec >= $info->expiresUsec);
var_dump($client->renew(id: $info->id)->id === $info->id);
foreach ([fn() => $client->setAttributes("app/a", mode: 01000), fn() => $client->setAttributes("app/a", ownerUid: -1),
          fn() => $client->setAttributes("app/a", leaseUsec: 5), fn() => $client->setAttributes("app/a", labels: ["x" => 5]),
          fn() => $client->setAttributes("app/a", labels: ["x\0" => "5"]), fn() => $client->setAttributes("app/a", labels: ["x" => "\0"]),
          fn() => $client->setAttributes("app/a", removeLabels: [1]), fn() => $client->setAttributes("app/a", acl: ["root"]),
          fn() => $client->setAttributes("none"), fn() => $client->setAttributes("app/a", lifetime: Lifetime::Lease)] as $call) {
    echo thrown($call), "\n";
}

echo "-- list\n";
$keys = fn(array $infos) => implode(" ", array_map(fn($info) => $info->key, $infos));
var_dump($keys($client->list()), $keys($client->list("app/")), $client->list("nothing"));
echo thrown(fn() => $client->list("\0")), "\n";

echo "-- delete\n";
$client->delete("app/b");
$client->delete(id: $info->id);
echo thrown(fn() => $client->delete("app/b")), "\n", thrown(fn() => $client->delete()), "\n";
var_dump($keys($client->list()), $segment->read(0, 1) === "\0");

echo "-- as JSON\n";
exec(escapeshellcmd(getenv("SHMDCTL") ?: "shmdctl") . " --socket $daemon->socket --json stat else", $lines);
var_dump(json_decode(implode("\n", $lines)) == json_decode(json_encode($client->describe("else"))));
echo json_encode($client->describe("else")->labels), " ", preg_match('/"labels":\{\}.*"acl":null.*"numaNodes":null/', json_encode($client->describe("else"))), "\n";
?>
--EXPECT--
-- changes
string(3) "664"
int(1000)
int(50)
bool(true)
string(23) "{"three":"3","two":"2"}"
string(28) "[{"gid":7,"access":"write"}]"
string(2) "[]"
string(3) "664"
enum(Shmd\Lifetime::Lease)
int(3600000000)
bool(true)
bool(true)
ValueError: Shmd\Client::setAttributes(): Argument #3 ($mode) must be between 0 and 511
ValueError: Shmd\Client::setAttributes(): Argument #4 ($ownerUid) must be between 0 and 4294967295
ValueError: Shmd\Client::setAttributes(): Argument #7 ($leaseUsec) must be 0 without a $lifetime
TypeError: Shmd\Client::setAttributes(): Argument #9 ($labels) must have texts as its values, int found
ValueError: Shmd\Client::setAttributes(): Argument #9 ($labels) must not contain texts with null bytes
ValueError: Shmd\Client::setAttributes(): Argument #9 ($labels) must not contain texts with null bytes
TypeError: Shmd\Client::setAttributes(): Argument #10 ($removeLabels) must be a list of texts, int found
TypeError: Shmd\Client::setAttributes(): Argument #11 ($acl) must be a list of Shmd\AclEntry, string found
Shmd\NoSuchSegment 2 io.shmd.Segments.NoSuchSegment {"key":"none"}
Shmd\InvalidParameter 22 org.varlink.service.InvalidParameter {"parameter":"leaseUsec"}
-- list
string(16) "app/a app/b else"
string(11) "app/a app/b"
array(0) {
}
ValueError: Shmd\Client::list(): Argument #1 ($prefix) must not contain any null bytes
-- delete
Shmd\NoSuchSegment 2 io.shmd.Segments.NoSuchSegment {"key":"app/b"}
ValueError: Exactly one of $key and $id must be given
string(4) "else"
bool(true)
-- as JSON
bool(true)
[] 1
