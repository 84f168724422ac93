<?php

/**
 * What the extension gives to PHP, beside enums.stub.php and errors.stub.php: the source of shmd_arginfo.h, and the
 * reference for readers. Run ./generate_arginfo after a change.
 *
 * A key is a text, or an integer for the System V key of that number. Sizes are bytes, times microseconds: those that
 * name a moment are of CLOCK_REALTIME since 1970. What takes both a key and an id wants exactly one of them.
 *
 * Whatever the service refuses is a Shmd\Exception; an argument that cannot be is a TypeError or a ValueError.
 *
 * @generate-class-entries
 */

namespace Shmd;

/**
 * Access beyond what the mode allows, for a user or a group.
 *
 * @strict-properties
 * @not-serializable
 */
final class AclEntry implements \JsonSerializable
{
    /** Null when it is for a group. */
    public readonly ?int $uid;
    /** Null when it is for a user. */
    public readonly ?int $gid;
    public readonly Access $access;

    private function __construct() {}

    public static function user(int $uid, Access $access): AclEntry {}

    public static function group(int $gid, Access $access): AclEntry {}

    public function jsonSerialize(): array {}
}

/**
 * A segment as the daemon described it at one moment. As JSON it has the field names and values of the interface
 * description.
 *
 * @strict-properties
 * @not-serializable
 */
final class SegmentInfo implements \JsonSerializable
{
    /** Never reused. */
    public readonly int $id;
    /** Null while staged, after deletion, and when the key was taken over. */
    public readonly ?string $key;
    public readonly int $sizeBytes;
    /** Permission bits, 0 to 0777. */
    public readonly int $mode;
    public readonly int $ownerUid;
    public readonly int $ownerGid;
    public readonly int $creatorUid;
    public readonly int $creatorGid;
    public readonly int $creatorPid;
    public readonly State $state;
    /** Nobody can write it any more. */
    public readonly bool $sealed;
    /** Grants that have not ended. */
    public readonly int $attachments;
    public readonly int $createdUsec;
    public readonly ?int $attachedUsec;
    public readonly ?int $detachedUsec;
    public readonly int $changedUsec;
    /** Null: it has no lease. */
    public readonly ?int $expiresUsec;
    public readonly bool $evictable;
    /** Texts by name. A name that is a decimal number is an int here, as in every array. */
    public readonly array $labels;
    public readonly Lifetime $lifetime;
    /** Null: it has no lease. */
    public readonly ?int $leaseUsec;
    /** A list of AclEntry. */
    public readonly array $acl;
    /** How far it can grow. */
    public readonly int $capacityBytes;
    public readonly HugePages $hugePages;
    /** A list of int. Empty: it is bound to none. */
    public readonly array $numaNodes;

    private function __construct() {}

    public function jsonSerialize(): array {}
}

/**
 * One of those that Client::createMany() makes. Takes what Client::create() takes.
 *
 * @strict-properties
 * @not-serializable
 */
final class NewSegment
{
    public function __construct(
        string|int|null $key,
        int $sizeBytes,
        int $mode = 0600,
        CreateMode $createMode = \Shmd\CreateMode::New,
        Access $access = \Shmd\Access::Write,
        Reserve $reserve = \Shmd\Reserve::Allocate,
        Lifetime $lifetime = \Shmd\Lifetime::Persistent,
        bool $staged = false,
        array $labels = [],
        int $leaseUsec = 0,
        bool $evictable = false,
        bool $sealable = true,
        array $acl = [],
        int $capacityBytes = 0,
        HugePages $hugePages = \Shmd\HugePages::None,
        array $numaNodes = [],
        bool $placementFallback = false
    ) {}
}

/**
 * The service. Connects when it is first used. All clients of a process that name the same socket share one connection,
 * which outlasts the request; a child of fork makes its own, and so does everybody after a restart of the daemon.
 *
 * @strict-properties
 * @not-serializable
 */
final class Client
{
    /**
     * socket: the daemon's socket. Null: the setting shmd.socket, or, where that is empty too, $SHMD_SOCKET, the system
     * instance, the user instance.
     */
    public function __construct(?string $socket = null) {}

    /** A client of the control socket, for call() and callMany(). Null: $SHMD_CONTROL_SOCKET, and so on. */
    public static function control(?string $socket = null): Client {}

    /** The path that it is connected to. Connects. */
    public function getSocketPath(): string {}

    /**
     * Creates a segment of zeros and maps it. A new segment is granted whatever its mode is; the mode decides for all
     * later opens.
     *
     * key: null makes up one that cannot be guessed.
     * staged: invisible until Segment::publish().
     * labels: texts by name that travel with the segment, at most 32.
     * leaseUsec: with Lifetime::Lease, at least a second.
     * evictable: may be dropped when memory runs short and nobody has it open.
     * sealable: false: nobody can ever make it immutable.
     * acl: AclEntry objects, at most 32.
     * capacityBytes: how far it can grow; all of it counts against the quota. 0: not at all.
     * numaNodes: its memory comes from these alone. Empty: from any.
     * placementFallback: do without huge pages or nodes that the machine has not.
     */
    public function create(
        string|int|null $key,
        int $sizeBytes,
        int $mode = 0600,
        CreateMode $createMode = \Shmd\CreateMode::New,
        Access $access = \Shmd\Access::Write,
        Reserve $reserve = \Shmd\Reserve::Allocate,
        Lifetime $lifetime = \Shmd\Lifetime::Persistent,
        bool $staged = false,
        array $labels = [],
        int $leaseUsec = 0,
        bool $evictable = false,
        bool $sealable = true,
        array $acl = [],
        int $capacityBytes = 0,
        HugePages $hugePages = \Shmd\HugePages::None,
        array $numaNodes = [],
        bool $placementFallback = false
    ): Segment {}

    /**
     * Creates 1 to 250 segments, given as NewSegment objects, in one trip to the daemon, or none of them. The Segment objects
     * that come back have the keys of the array given.
     */
    public function createMany(array $segments): array {}

    /**
     * Maps the segment that has this key or id.
     *
     * waitUsec: how long to wait for the key to appear; -1 waits without an end. Not with an id, nor with sealed. Signal
     * handlers run only afterwards: where that matters, use watch().
     * sealed: only what nobody can write any more, for reading.
     */
    public function open(
        string|int|null $key = null,
        Access $access = \Shmd\Access::Read,
        int $waitUsec = 0,
        bool $sealed = false,
        ?int $id = null
    ): Segment {}

    /**
     * Opens many segments, 250 in one trip to the daemon. What comes back has the keys of the array given, and for each what
     * open() would have returned or thrown: a Segment or an Exception.
     */
    public function openMany(array $keys, Access $access = \Shmd\Access::Read): array {}

    /** Closes many Segment objects at once. Those that are closed already are left alone. */
    public static function closeMany(array $segments): void {}

    public function describe(string|int|null $key = null, ?int $id = null): SegmentInfo {}

    /** SegmentInfo of the live segments that this user may describe and whose key begins with prefix. */
    public function list(string $prefix = ""): array {}

    /** Deletes a segment. The key is free at once; whoever has it mapped keeps the memory. */
    public function delete(string|int|null $key = null, ?int $id = null): void {}

    /**
     * Changes what is given, and nothing else.
     *
     * leaseUsec: with Lifetime::Lease, which begins now.
     * labels: added, or changed where the name is there; removeLabels: names to take away.
     * acl: takes the place of all entries.
     */
    public function setAttributes(
        string|int|null $key = null,
        ?int $id = null,
        ?int $mode = null,
        ?int $ownerUid = null,
        ?int $ownerGid = null,
        ?Lifetime $lifetime = null,
        int $leaseUsec = 0,
        ?bool $evictable = null,
        array $labels = [],
        array $removeLabels = [],
        ?array $acl = null
    ): SegmentInfo {}

    /** Begins the segment's lease anew, for its full length from now on. */
    public function renew(string|int|null $key = null, ?int $id = null): SegmentInfo {}

    /** Makes the content immutable. A segment that is open here for writing is sealed by Segment::seal(). */
    public function seal(string|int|null $key = null, ?int $id = null): SegmentInfo {}

    /** Changes a segment's size, within its capacity. One that is open here is resized by Segment::resize(). */
    public function resize(string|int|null $key, int $sizeBytes, ?int $id = null): SegmentInfo {}

    /** Tells what is there and then what happens to the segments whose key begins with prefix. Has a connection of its own. */
    public function watch(string $prefix = ""): Watch {}

    /** Any Varlink method that answers once and passes no descriptors. */
    public function call(string $method, array $parameters = []): array {}

    /** Any that answers many times, as lists do. Not for one that never ends. */
    public function callMany(string $method, array $parameters = []): array {}
}

/**
 * A segment mapped into this process. Ends with close(), or when nothing refers to it any more.
 *
 * @strict-properties
 * @not-serializable
 */
final class Segment
{
    private function __construct() {}

    /** A copy of length bytes from offset on; null: all the rest. */
    public function read(int $offset = 0, ?int $length = null): string {}

    /** Returns the number of bytes written, which is all of them: a ValueError when they do not fit. */
    public function write(string $data, int $offset = 0): int {}

    /** The size in bytes as this process last heard of it: see remap(). */
    public function size(): int {}

    public function access(): Access {}

    /** Whether create() made it, and not another process before. */
    public function created(): bool {}

    /** The grant's number, 1 to 4294967295. */
    public function attachment(): int {}

    /** The description at the time of the grant, or of the last call on this object that changed it. */
    public function info(): SegmentInfo {}

    /**
     * Gives a staged segment its key and makes it visible with all that was written before.
     *
     * key: null: the one named at create(). replace: takes the key over from the segment that has it, whose holders keep
     * its memory.
     */
    public function publish(string|int|null $key = null, bool $replace = false): Segment {}

    /** Makes the content immutable for ever. This object is for reading from then on. */
    public function seal(): Segment {}

    /** Changes the size, within the capacity: content stays, what is new is zeros. */
    public function resize(int $sizeBytes): Segment {}

    /** Learns of a new size that somebody else gave the segment. */
    public function remap(): Segment {}

    /** Unmaps it and ends the grant. Everything but closing it again throws Closed afterwards. */
    public function close(): void {}

    public function isClosed(): bool {}

    /**
     * Takes the segment's mutex. Segments have one each, beside their memory; it excludes all processes, in any
     * language, that take it too, and nobody else.
     *
     * A lock is not recursive, and held by this object: another Segment of the same key waits for it. It ends with the
     * Lock object, at the latest with the request; should the process be killed, the daemon gives it back, and the next
     * holder is told. A child of fork holds none of its parent's and can take none with an object that it inherited.
     *
     * For lock(), readLock(), writeLock(), beginWrite() and what calls a function:
     * timeoutUsec: -1 waits without an end, 0 not at all; TimedOut afterwards. With pcntl_async_signals() signal
     * handlers run while it waits.
     * Needs a segment that is open for writing: NotWritable. Deadlock: this object holds it already.
     */
    public function lock(int $timeoutUsec = -1): Lock {}

    /**
     * Takes the segment's readers-writer lock for reading, as up to 896 may at a time. A writer that waits keeps new
     * readers out, so who takes it twice may wait for itself. It has nothing to do with the mutex.
     */
    public function readLock(int $timeoutUsec = -1): Lock {}

    /** Takes the readers-writer lock for writing: alone. */
    public function writeLock(int $timeoutUsec = -1): Lock {}

    /** Calls function(Lock $lock) with the mutex held, and returns what it returns. Unlocks also when it throws. */
    public function synchronized(callable $function, int $timeoutUsec = -1): mixed {}

    /**
     * Begins a write section: takes the mutex, and keeps snapshots from being taken until unlock(). A request that a
     * fatal error ends in a write section counts as one that died there.
     */
    public function beginWrite(int $timeoutUsec = -1): Lock {}

    /**
     * Calls function(Lock $lock) in a write section, and returns what it returns. When it throws, the section ends too,
     * with what has been written by then.
     */
    public function writeSection(callable $function, int $timeoutUsec = -1): mixed {}

    /**
     * As read(), but as it was between two write sections. Takes no lock, keeps no writer waiting, and works on what is
     * open for reading.
     *
     * TimedOut: somebody was writing all the time. OwnerDied: a writer died in its section; it lasts until a section
     * has ended in which Lock::makeConsistent() was called.
     */
    public function snapshot(int $offset = 0, ?int $length = null, int $timeoutUsec = -1): string {}

    /** How often notify() was called, by anybody. */
    public function version(): int {}

    /**
     * Adds 1 to the version, wakes all who wait for it, and returns it. What was written before is seen by who is
     * woken. Needs a segment that is open for writing.
     */
    public function notify(): int {}

    /**
     * Waits for a version above after, and returns the one there is then. after: null: the version at the time of the
     * call; what came before it may be missed.
     *
     * timeoutUsec: as for lock().
     */
    public function wait(?int $after = null, int $timeoutUsec = -1): int {}

    /**
     * A stream for stream_select() and event loops, readable when notify() was called since it was made or last read.
     * Whenever it is, read eight bytes from it, whatever they are, and look at version(). It does not block: fread()
     * gives "" when there was nothing. All streams of one object are the same: what one reads, the others miss.
     *
     * @return resource
     */
    public function getNotificationStream() {}
}

/**
 * A lock that is held, or a write section. Ends with unlock(), when nothing refers to it any more, and when its segment
 * is closed.
 *
 * @strict-properties
 * @not-serializable
 */
final class Lock
{
    /**
     * Whether, when this was taken, a previous holder had died with the lock: what it protects may be half changed.
     * Repair that and call makeConsistent(); until somebody does, every next holder finds this true.
     */
    public readonly bool $ownerDied;

    private function __construct() {}

    /**
     * Says that what is protected is whole again: by all locks that the segment's object holds, but for those for
     * reading.
     */
    public function makeConsistent(): void {}

    /** Gives the lock back. The second time it does nothing. */
    public function unlock(): void {}
}

/**
 * @strict-properties
 * @not-serializable
 */
final class Event
{
    public readonly EventKind $kind;
    /** As it was then. Null for Ready and Lost. */
    public readonly ?SegmentInfo $segment;

    private function __construct() {}
}

/**
 * Events as they come. First what is there (Present), then Ready, then all that happens. With foreach it does not end.
 *
 * @strict-properties
 * @not-serializable
 */
final class Watch implements \IteratorAggregate
{
    private function __construct() {}

    /**
     * Waits for the next event: -1 without an end. Null when none has come in that time. With
     * pcntl_async_signals() signal handlers run meanwhile.
     * Disconnected when the daemon has gone: the watch is over, make another.
     */
    public function nextEvent(int $timeoutUsec = -1): ?Event {}

    public function getIterator(): \Iterator {}

    /**
     * A stream for stream_select() and event loops, never to be read: readable when more events have come. After opening,
     * and whenever it is readable, call nextEvent(0) until it returns null.
     *
     * @return resource
     */
    public function getStream() {}

    public function close(): void {}
}

/** The version of libshmd. */
function version(): string {}

/** The key that stands for a System V key: 0xff3 gives "sysv:0x00000ff3". */
function sysv_key(int $key): string {}
