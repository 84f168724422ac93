/// <reference types="node" />

/**
 * Shared memory segments by key, from the shmd service of this machine.
 *
 * A {@link Client} is one connection to the daemon, a {@link Segment} one piece of memory mapped into this process. After
 * opening, `segment.buffer` is plain memory: no call, no copy, no daemon.
 *
 * Sizes are bytes. Times are microseconds, those of day since 1970; a `timeout` is milliseconds, as Node's own. Modes are permission
 * bits as in chmod(2).
 *
 * Nothing here blocks the event loop. A client, a segment or a watch that waits for nothing does not keep the process alive;
 * a call that is under way does.
 *
 * **Errors.** Whatever the daemon refuses is a {@link RemoteError} with the Varlink error's name and parameters; every known one
 * has a class of its own. What arises here is another {@link ShmdError}. Wrong arguments are TypeError and RangeError; what an
 * AbortSignal ends is rejected with its reason.
 *
 * **Restarts.** When the daemon was restarted, the next call connects anew, and takes up the grants of this process where a
 * service manager keeps segments: an open segment then goes on as if nothing had happened. Elsewhere its grant and the segment
 * have ended with the daemon, and calls on it are a {@link DisconnectedError}. A call that is under way then is made again,
 * once, if the daemon did not get it or if it may be carried out twice; any other is a DisconnectedError. Mapped memory stays
 * mapped throughout.
 *
 * **Threads.** Every worker thread loads this package for itself: open a segment by key or id where you need it. Objects of this
 * package cannot be posted to another thread, and posting a buffer copies it. A process made by `child_process` or `cluster`
 * inherits nothing.
 *
 * @packageDocumentation
 */

import type { Lock, WaitOptions, WriteSection } from "./sync.js";
import type { ShmdError } from "./errors.js";

export * from "./errors.js";
export * from "./sync.js";

/** 1 to 255 bytes of `A-Z a-z 0-9 . _ : / @ + = -`, the first one a letter or a digit. An integer is a System V key. */
export type Key = string | number;

/** Names a segment: by its key, or by `{ id }`. */
export type Target = Key | { readonly key: Key; readonly id?: undefined } | { readonly id: number; readonly key?: undefined };

/** What a grant allows; "write" allows reading too. The kernel enforces it. */
export type Access = "read" | "write";

/**
 * What happens when this process writes to a buffer that it has open for reading, which JavaScript cannot refuse. "private": the
 * page of 4096 bytes that was written becomes this process's own: others never see the write, and this process does not see what
 * they write there from then on. "crash": SIGSEGV ends the process. Memory of `huge2M` and `huge1G` pages always has "crash", and so has
 * what a limit on private memory (RLIMIT_DATA, vm.overcommit_memory=2) does not allow to be copied.
 */
export type StrayWrites = "private" | "crash";

/** How long a segment lasts: until deleted; until the last grant ends; until the process that created it is gone; until its lease
 * runs out. */
export type Lifetime = "persistent" | "attached" | "creator" | "lease";

/** Pages of which memory is made: the usual ones; huge ones where the kernel finds them; huge ones alone, from the pool that the
 * administrator has set aside. */
export type HugePages = "none" | "transparent" | "huge2M" | "huge1G";

/** Access beyond what the mode allows, for exactly one of a user and a group. */
export type AclEntry =
  | { readonly uid: number; readonly gid?: undefined; readonly access: Access }
  | { readonly gid: number; readonly uid?: undefined; readonly access: Access };

/** A segment as the daemon saw it when it answered. */
export interface SegmentInfo {
  /** Never reused. */
  readonly id: number;
  /** Null while staged, after deletion, and when another segment took the key over. */
  readonly key: string | null;
  readonly sizeBytes: number;
  readonly mode: number;
  readonly ownerUid: number;
  readonly ownerGid: number;
  readonly creatorUid: number;
  readonly creatorGid: number;
  readonly creatorPid: number;
  readonly state: "staged" | "live" | "deleted";
  /** True when the kernel refuses every further write. */
  readonly sealed: boolean;
  /** Grants that have not ended. */
  readonly attachments: number;
  readonly createdUsec: number;
  /** The last grant, and the last end of one. Null before the first. */
  readonly attachedUsec: number | null;
  readonly detachedUsec: number | null;
  readonly changedUsec: number;
  /** Null: it has no lease. */
  readonly expiresUsec: number | null;
  /** May be dropped when memory runs short and nobody has it open. */
  readonly evictable: boolean;
  readonly labels: Readonly<Record<string, string>>;
  readonly lifetime: Lifetime;
  readonly leaseUsec: number | null;
  readonly acl: readonly AclEntry[] | null;
  /** How far it can grow. */
  readonly capacityBytes: number;
  readonly hugePages: HugePages;
  readonly numaNodes: readonly number[] | null;
}

/** One grant, and the process that has it. pid is 0 when the daemon cannot see the process. */
export interface Holder {
  readonly pid: number;
  readonly uid: number;
  readonly attachment: number;
  readonly access: Access;
}

export interface CreateOptions {
  /** Permission bits; only r and w count. Default 0o600, or what the daemon's policy says for this key. */
  mode?: number;
  /** "new" (default) fails with {@link SegmentExistsError} if the key is taken; "any" then opens that segment, whose size must
   * suffice. */
  createMode?: "new" | "any";
  /** Default "write". */
  access?: Access;
  /** How much of the memory is there at once: "allocate" (default): all of it, reserved. "populate": also zeroed already.
   * "lazy": pages come when they are first touched. */
  reserve?: "lazy" | "allocate" | "populate";
  /** Invisible until {@link Segment.publish}. Default false. */
  staged?: boolean;
  /** Default "persistent". */
  lifetime?: Lifetime;
  /** With lifetime "lease": at least 1,000,000, a second. */
  leaseUsec?: number;
  /** May be dropped when memory runs short and nobody has it open. Default false. */
  evictable?: boolean;
  /** False: nobody can ever make it immutable. Default true. */
  sealable?: boolean;
  /** At most 32 entries. */
  acl?: readonly AclEntry[];
  /** At most 32; names 1 to 63 bytes, values up to 1024, 4096 in all. */
  labels?: Readonly<Record<string, string>>;
  /** How far {@link Segment.resize} can grow it; all of it counts against the quota. Default: its size. */
  capacityBytes?: number;
  /** Default "none". */
  hugePages?: HugePages;
  /** Its memory comes from these alone. */
  numaNodes?: readonly number[];
  /** Do without huge pages or nodes that the machine has not, instead of failing. Default false. */
  placementFallback?: boolean;
  /** With access "read". Default "private". */
  strayWrites?: StrayWrites;
}

/** One of the segments of {@link Client.createMany}. */
export interface CreateRequest extends CreateOptions {
  /** Left out or null, one is made up that cannot be guessed. */
  key?: Key | null;
  sizeBytes: number;
}

export interface OpenOptions {
  /** Default "read". */
  access?: Access;
  /** Only what is sealed: nobody can write it any more, so it needs no lock and no second look. */
  sealed?: boolean;
  /** How long to wait for the key to appear; Infinity waits without an end. Other calls go on meanwhile: the wait has a
   * connection of its own. Default 0. */
  waitUsec?: number;
  /** Ends the wait. */
  signal?: AbortSignal;
  /** With access "read". Default "private". */
  strayWrites?: StrayWrites;
}

/** What {@link Client.setAttributes} changes; what is left out stays. */
export interface Attributes {
  mode?: number;
  ownerUid?: number;
  ownerGid?: number;
  lifetime?: Lifetime;
  /** With lifetime "lease", which begins now. */
  leaseUsec?: number;
  evictable?: boolean;
  /** To be added, or changed where the name is there. */
  labels?: Readonly<Record<string, string>>;
  /** Names of labels to take away. */
  removeLabels?: readonly string[];
  /** Takes the place of all entries. */
  acl?: readonly AclEntry[];
}

export interface ConnectOptions {
  /** The path of the daemon's socket. Left out: $SHMD_SOCKET, the system instance if it is there, the user instance. */
  socket?: string;
  /** The control socket, for {@link Client.call}: $SHMD_CONTROL_SOCKET, and so on. */
  control?: boolean;
  /** Ends the attempt to connect. */
  signal?: AbortSignal;
}

/** Connects to the daemon. Rejects with a {@link ConnectError} when none answers. */
export function connect(options?: ConnectOptions): Promise<Client>;

/** The key that stands for a System V integer key: 0xff3 gives "sysv:0x00000ff3", -1 "sysv:0xffffffff". */
export function systemVKey(key: number): string;

/** The daemon. Made by {@link connect}. Calls on one client wait for each other, except waits and watches. */
export class Client implements AsyncDisposable {
  private constructor(path: string);
  /** As {@link connect}. */
  static connect(options?: ConnectOptions): Promise<Client>;

  /** The path of the socket. */
  readonly socketPath: string;

  /**
   * Creates a segment of zeros and maps it.
   * @param key null or undefined makes up one that cannot be guessed
   * @throws {SegmentExistsError} {@link SizeMismatchError} {@link InvalidKeyError} {@link QuotaExceededError}
   * {@link OutOfMemoryError} {@link PermissionDeniedError} {@link PlacementUnavailableError} {@link DrainingError}
   */
  create(key: Key | null | undefined, sizeBytes: number, options?: CreateOptions): Promise<Segment>;

  /** Creates 1 to 250 segments in one trip to the daemon, or none of them. No key twice. */
  createMany(requests: readonly CreateRequest[]): Promise<Segment[]>;

  /**
   * Maps an existing segment.
   * @throws {NoSuchSegmentError} {@link PermissionDeniedError} {@link SegmentSealedError} {@link NotSealedError}
   */
  open(target: Target, options?: OpenOptions): Promise<Segment>;

  /** Opens many segments, 250 in one trip to the daemon. Tells of each what became of it, in the same order. */
  openMany(
    targets: readonly Target[],
    options?: { access?: Access; strayWrites?: StrayWrites },
  ): Promise<(Segment | ShmdError)[]>;

  /** @throws {NoSuchSegmentError} {@link PermissionDeniedError} */
  describe(target: Target): Promise<SegmentInfo>;

  /** The live segments that this user may describe and whose key begins with prefix, in the order of their creation: as they
   * were when the first one was asked for. */
  list(prefix?: string): AsyncGenerator<SegmentInfo, undefined, undefined>;

  /**
   * Tells what happens to the live segments that this user may describe and whose key begins with prefix. First every segment
   * that is there ("present"), then "ready", then everything as it happens.
   */
  watch(prefix?: string, options?: { signal?: AbortSignal }): Watch;

  /** Changes mode, owner, lifetime, labels and entries. Only the owner, the creator and root may. */
  setAttributes(target: Target, attributes: Attributes): Promise<SegmentInfo>;

  /** Begins the segment's lease anew. @throws {NoLeaseError} */
  renew(target: Target): Promise<SegmentInfo>;

  /** Makes the content immutable for ever, by the kernel. {@link Segment.seal} for one that this process has open for writing.
   * @throws {SegmentBusyError} while somebody has it open for writing. {@link NotSealableError} */
  seal(target: Target): Promise<SegmentInfo>;

  /** Changes the size within the capacity. It is made smaller only while nobody else has it open.
   * @throws {CapacityExceededError} {@link SegmentBusyError} {@link SegmentSealedError} */
  resize(target: Target, sizeBytes: number): Promise<SegmentInfo>;

  /** The key is free at once; whoever has it mapped keeps the memory. Only its owner, its creator and root may. */
  delete(target: Target): Promise<void>;

  /** Any Varlink call that answers once: for methods that this package has no function for. The reply's parameters. */
  call(method: string, parameters?: object): Promise<Record<string, unknown>>;

  /** The same for a call that answers many times, as lists do. Not for calls that never end. */
  callMany(method: string, parameters?: object): AsyncGenerator<Record<string, unknown>, undefined, undefined>;

  /** Its open segments stay open; the connection ends with the last of them. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** A segment mapped into this process. Made by {@link Client}. */
export class Segment implements AsyncDisposable, Disposable {
  private constructor();

  /** The daemon's description at the time of the grant, or of the last call on this object that learned more. */
  readonly info: SegmentInfo;
  readonly id: number;
  readonly key: string | null;
  /** Bytes, as this process last heard of it: see {@link Segment.remap}. */
  readonly size: number;
  readonly access: Access;
  /** True when create() made the segment, false when it or open() found it. */
  readonly created: boolean;
  /** The grant's number, 1 to 2^32-1. */
  readonly attachment: number;
  readonly closed: boolean;

  /**
   * The memory itself, `size` bytes: always the same object until the size changes. It keeps the segment open. When the segment is
   * closed, and when its size changes, it is detached: its byteLength and that of all its views is 0 then.
   *
   * With access "read", do not write to it: see {@link StrayWrites}. `view` and `write()` refuse that.
   *
   * Atomics.load, store, add and the like work on it and are seen by other processes; Atomics.wait does not, since this is no
   * SharedArrayBuffer. It cannot be transferred, and structuredClone() and postMessage() copy it.
   * @throws {ClosedError} {@link MemoryError} in a runtime that has no such buffer: none over memory that is not its own, as
   * Electron, or none so large, as Node.js 20 above 4 GiB. read() and write() work there
   */
  readonly buffer: ArrayBuffer;

  /** The same as a DataView; with access "read" one whose setters throw a {@link ReadOnlyError}. */
  readonly view: DataView;

  /** A copy of some of the memory. Default: all from offset on. @throws {RangeError} {@link ClosedError} */
  read(offset?: number, length?: number): Buffer;

  /** Copies data into the memory; a string as UTF-8. Returns the number of bytes.
   * @throws {RangeError} when they are not all inside. {@link ReadOnlyError} {@link ClosedError} */
  write(data: string | ArrayBuffer | ArrayBufferView, offset?: number): number;

  /**
   * Gives a staged segment its key and makes it visible with all that was written before.
   * @param options key: default, the one named at create(). replace: takes the key over from the segment that has it, whose
   * holders keep its memory.
   * @throws {SegmentExistsError} {@link PermissionDeniedError}
   */
  publish(options?: { key?: Key | null; replace?: boolean }): Promise<SegmentInfo>;

  /**
   * Makes the content immutable for ever, by the kernel. The segment is open for reading from then on, with the same buffer;
   * when somebody else has it open for writing, it stays as it was.
   * @throws {SegmentBusyError} {@link NotSealableError}
   */
  seal(): Promise<SegmentInfo>;

  /** Changes the size, within the capacity: the content stays, what is new is zeros, the buffer is another one.
   * @throws {CapacityExceededError} {@link SegmentBusyError} {@link SegmentSealedError} */
  resize(sizeBytes: number): Promise<SegmentInfo>;

  /** Learns of a new size that somebody else gave the segment. */
  remap(): Promise<SegmentInfo>;

  /**
   * Locks the segment's mutex, which is one for all who have the segment open for writing. What it protects is their agreement.
   * That a holder died is no failure: see {@link Lock.ownerDied}.
   *
   * Nobody else holding it, that is done at once. Otherwise a thread of this package waits, and keeps the process alive;
   * who has waited for a second asks the daemon, then and from time to time, whether the holder is still there, and gets that
   * call's error.
   * @throws {TimeoutError} {@link ReadOnlyError} {@link ClosedError} also when the segment is closed meanwhile.
   * {@link DisconnectedError} when the grant has ended with the daemon
   */
  lock(options?: WaitOptions): Promise<Lock>;
  /** Locks the readers-writer lock, another one than the mutex, together with other readers. A writer that waits keeps new readers
   * out. It needs the permission to write, too. @throws as {@link Segment.lock} */
  readLock(options?: WaitOptions): Promise<Lock>;
  /** Locks the readers-writer lock against all others. @throws as {@link Segment.lock} */
  writeLock(options?: WaitOptions): Promise<Lock>;

  /** Locks it if that can be done at once, else gives null. Needs {@link Segment.openSyncArea}, or any use of the locks before:
   * without, it throws a {@link ShmdError} with the code ERR_SHMD_SYNC_AREA_NOT_OPEN. */
  tryLock(): Lock | null;
  /** The same for {@link Segment.readLock}. */
  tryReadLock(): Lock | null;
  /** The same for {@link Segment.writeLock}. */
  tryWriteLock(): Lock | null;

  /** Runs an action while it holds the lock; the result is the action's. Unlocks also when it fails. */
  withLock<T>(action: (lock: Lock) => T | PromiseLike<T>, options?: WaitOptions): Promise<T>;
  /** The same with {@link Segment.readLock}. */
  withReadLock<T>(action: (lock: Lock) => T | PromiseLike<T>, options?: WaitOptions): Promise<T>;
  /** The same with {@link Segment.writeLock}. */
  withWriteLock<T>(action: (lock: Lock) => T | PromiseLike<T>, options?: WaitOptions): Promise<T>;

  /**
   * Begins a write section: what is written in it is seen by {@link Segment.snapshot} as a whole or not at all. It holds the mutex.
   * Keep it short, since snapshots wait for its end.
   * @throws as {@link Segment.lock}
   */
  beginWrite(options?: WaitOptions): Promise<WriteSection>;
  /** Runs an action in a write section, which ends also when the action fails: what must be whole, put back before. */
  withWriteSection<T>(action: (section: WriteSection) => T | PromiseLike<T>, options?: WaitOptions): Promise<T>;

  /**
   * A copy of some of the memory as it was between two write sections. It takes no lock, so that a segment that is open for reading
   * will do. Default: all from offset on. The time covers also the copying of more than 256 KiB, which a thread does.
   * @throws {OwnerDiedError} when a writer died in its section. {@link TimeoutError} also when there was always somebody writing.
   * {@link RangeError} {@link ClosedError}
   */
  snapshot(options?: { offset?: number; length?: number } & WaitOptions): Promise<Buffer>;

  /** How often somebody has called notify(). Needs openSyncArea(), as {@link Segment.tryLock}. Exact below 2^53. */
  readonly version: number;
  /** Adds 1 to the version and wakes all who wait for it, in all processes. Done before it returns when the sync area is open. The
   * new version. @throws {ReadOnlyError} {@link ClosedError} */
  notify(): Promise<number>;
  /**
   * The version, once it is higher than `after`; notifications that come close together may be one. Works with access "read". To
   * miss nothing, look at the version, then at the memory, then wait with that version.
   * @throws {TimeoutError} {@link ClosedError} {@link DisconnectedError}
   */
  waitForVersion(after: number, options?: WaitOptions): Promise<number>;
  /** Versions as they come, higher than `after`: by default, than the one there is when the loop begins. It goes on until the
   * loop is left; what ends it otherwise is thrown, as by waitForVersion(). */
  notifications(options?: { after?: number; signal?: AbortSignal }): AsyncGenerator<number, never, undefined>;

  /** Opens the sync area, as the first use of the locks and of the version does by itself: what is not a promise needs it before.
   * @throws {QuotaExceededError} {@link OutOfMemoryError} {@link ClosedError} */
  openSyncArea(): Promise<void>;

  /**
   * Detaches the buffer, unmaps, and ends the grant; may be repeated. The daemon is told without waiting for it. A segment that
   * is dropped without this is closed some time after it was collected.
   *
   * First let end what works on a view in the background: a write of `fs` or `crypto` that goes on is lost and harms nobody, but
   * zlib ends the process when the buffer is taken from it, whoever does that.
   */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
  [Symbol.dispose](): void;
}

/** A DataView whose setters throw a {@link ReadOnlyError}. */
export class ReadOnlyDataView extends DataView<ArrayBuffer> {}

/**
 * What happened. "created", "published": it is live now. "replaced": its key went to another. "changed": its mode, owner, labels,
 * lifetime or entries. "deleted", "expired" (its lifetime or lease is over), "evicted": its key is free, and the segment still
 * tells which it was. "present": it was there already. "ready": all that were there have been told. "lost": this watch was read
 * too slowly and events are left out; what is there now follows as "present", and "ready".
 */
export type WatchEvent =
  | { readonly event: "ready"; readonly segment: null }
  | { readonly event: "lost"; readonly segment: null }
  | {
      readonly event:
        | "present"
        | "created"
        | "published"
        | "replaced"
        | "sealed"
        | "resized"
        | "changed"
        | "attached"
        | "detached"
        | "deleted"
        | "expired"
        | "evicted";
      readonly segment: SegmentInfo;
    };

/**
 * Made by {@link Client.watch}; begins at once, on a connection of its own. Ends with `break` out of the loop, with close(), or with
 * the signal, whose reason is thrown. Once the daemon has gone it is over with a {@link DisconnectedError}: begin another.
 */
export class Watch implements AsyncIterableIterator<WatchEvent>, AsyncDisposable {
  private constructor();
  /** Fulfilled once the daemon has begun to tell: what happens from then on will be told. Rejects when it refuses. */
  opened(): Promise<void>;
  next(): Promise<IteratorResult<WatchEvent, undefined>>;
  return(): Promise<IteratorResult<WatchEvent, undefined>>;
  close(): Promise<void>;
  [Symbol.asyncIterator](): this;
  [Symbol.asyncDispose](): Promise<void>;
}
