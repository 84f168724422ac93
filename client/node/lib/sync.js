// A segment's sync area: opened at its first use, and asked about by the daemon when somebody has waited long.
import { encodeCall } from "./calls.js";
import {
  ClosedError, ConnectError, DisconnectedError, MemoryError, NotLockedError, OwnerDiedError, ProtocolError, ReadOnlyError, ShmdError,
  codeOf, inContext,
} from "./errors.js";
import * as limits from "./limits.js";
import { descriptorOf } from "./memory.js";
import { native } from "./native.js";
import { LockQueue, VersionQueue, failure, startWait, timedOut } from "./queues.js";
import * as replies from "./replies.js";
import { Waiter } from "./waiter.js";

/** @typedef {import("./attachment.js").Attachment} Attachment */
/** @typedef {import("./lock.js").Kind} Kind */
/** @typedef {import("./memory.js").Memory} Memory */
/** @typedef {import("./native.js").Descriptor} Descriptor */
/** @typedef {import("./native.js").SyncArea} SyncArea */
/** @typedef {import("./waiter.js").WaitOptions} WaitOptions */
/** @typedef {{area: SyncArea, locks: LockQueue[], versions: VersionQueue}} Opened */

// The numbers that native/sync_area.hpp has for them.
const [mutex, read, write] = [0, 1, 2];

/** @satisfies {Record<string, Kind>} */
export const kinds = {
  lock: { lock: mutex, section: false, lockWords: "lock", unlockWords: "unlock" },
  readLock: { lock: read, section: false, lockWords: "lock for reading", unlockWords: "unlock for reading" },
  writeLock: { lock: write, section: false, lockWords: "lock for writing", unlockWords: "unlock for writing" },
  section: { lock: mutex, section: true, lockWords: "begin to write", unlockWords: "end the write section of" },
};

// Copying more than that is for a thread.
const copiedAtOnce = 256 * 1024;

// How often a call outlives the end of its connection, as a restart of the daemon is one.
const mostLostCalls = 16;

// How often a daemon may be away when it is asked, one time after the other.
const mostRefusals = 4;

/**
 * @param {Descriptor} descriptor
 * @param {number} attachment
 * @param {boolean} writable
 */
function mapped(descriptor, attachment, writable) {
  const { errno, size, regular, fixed } = descriptor.inspect();
  if (errno !== 0) throw new ProtocolError(`its sync area cannot be looked at: ${codeOf(errno)}`);
  if (!regular || !fixed || size !== limits.syncAreaBytes) throw new ProtocolError("its descriptor is not a sync area");
  let area;
  try {
    area = new native.SyncArea(descriptor, attachment, writable);
  } catch (error) {
    const code = codeOf(/** @type {{errno?: number}} */ (error).errno ?? 0);
    throw new MemoryError(`its sync area cannot be mapped: ${code}`, { code });
  }
  const { format } = area;
  if (format === limits.syncAreaFormat) return area;
  area.close();
  throw new ProtocolError(`its sync area has the format ${format}, which this version does not know`);
}

export class Sync {
  /** Of the segment, for people. */
  name;
  #memory;
  #attachment;
  #access;
  #closed = false;
  /** @type {Opened | undefined} */
  #opened;
  /** @type {Promise<Opened> | undefined} */
  #opening;
  #recovering = false;
  #refusals = 0;
  /** @type {Set<(why: (tried: string) => Error) => void>} what ends a snapshot that is being taken */
  #snapshots = new Set();

  /**
   * @param {Memory} memory
   * @param {Attachment} attachment
   * @param {import("../index.js").Access} access
   * @param {string} name of the segment, for people
   */
  constructor(memory, attachment, access, name) {
    this.#memory = memory;
    this.#attachment = attachment;
    this.#access = access;
    this.name = name;
  }

  /** @param {string} [tried] */
  async open(tried = "open the sync area of") {
    this.#check(tried, false);
    return this.#opened ?? (this.#opening ??= this.#open().finally(() => (this.#opening = undefined)));
  }

  /**
   * What can be done at once, in an area that is open.
   * @param {string} tried
   * @param {boolean} changes
   */
  #now(tried, changes) {
    this.#check(tried, changes);
    if (this.#opened) return this.#opened;
    const why = `cannot ${tried} ${this.name}: its sync area is not open yet: await openSyncArea() before`;
    throw new ShmdError(why, { code: "ERR_SHMD_SYNC_AREA_NOT_OPEN" });
  }

  // ---- Locks ----

  /**
   * @template T
   * @param {Kind} kind
   * @param {WaitOptions | undefined} options
   * @param {(ownerDied: boolean) => T} make
   * @returns {Promise<T>}
   */
  lock(kind, options, make) {
    return this.#wait(kind.lockWords, true, options, ({ area, locks }, waiter) => {
      locks[kind.lock]?.add(waiter, (ownerDied) => {
        if (kind.section) area.openSection();
        return make(ownerDied);
      });
    });
  }

  /**
   * @template T
   * @param {Kind} kind
   * @param {(ownerDied: boolean) => T} make
   */
  tryLock(kind, make) {
    const result = this.#now(kind.lockWords, true).area.tryLock(kind.lock, false);
    if (result === timedOut) return null;
    if (result < 0) throw failure(result, `${kind.lockWords} ${this.name}`);
    return make(result > 0);
  }

  /** @param {Kind} kind */
  unlock({ lock, section, unlockWords }) {
    const { area } = this.#now(unlockWords, false);
    if ((section ? area.endSection() : area.unlock(lock)) < 0) throw this.#lost(unlockWords);
  }

  /** @param {Kind} kind */
  makeConsistent({ lock, section }) {
    const tried = "make consistent";
    const { area } = this.#now(tried, false);
    if (lock === read) {
      throw inContext(new NotLockedError("only who holds the write lock says that it is"), `${tried} ${this.name}`);
    }
    if (area.makeConsistent(lock, section) < 0) throw this.#lost(tried);
  }

  /** @param {string} tried */
  #lost(tried) {
    const why = "this process does not hold it any more: its grant has ended, or another has come in its place";
    return inContext(new NotLockedError(why), `${tried} ${this.name}`);
  }

  // ---- Snapshots and versions ----

  /**
   * @param {number} offset
   * @param {Buffer} target
   * @param {WaitOptions} options
   * @returns {Promise<Buffer>}
   */
  snapshot(offset, target, options) {
    return this.#wait("take a snapshot of", false, options, ({ area }, waiter) => {
      const settle = (/** @type {number} */ result) => {
        if (result === 0) waiter.resolve(target);
        else if (result === -native.ownerDead) waiter.reject(inContext(new OwnerDiedError(), waiter.tried));
        else waiter.reject(failure(result, waiter.tried));
      };
      const begun = waiter.begin();
      if (!begun || target.length <= copiedAtOnce) {
        const result = this.#memory.snapshot(area, offset, target);
        if (result !== timedOut) return settle(result);
        if (!begun) return waiter.timeOut();
      }
      this.#snapshotInThread(area, waiter, offset, target, settle);
    });
  }

  /**
   * @param {SyncArea} area
   * @param {Waiter<Buffer>} waiter
   * @param {number} offset
   * @param {Buffer} target
   * @param {(result: number) => void} settle
   */
  #snapshotInThread(area, waiter, offset, target, settle) {
    const onEnd = (/** @type {number} */ result) => {
      this.#snapshots.delete(fail);
      settle(result);
    };
    const wait = startWait(waiter.tried, this.#onLong, onEnd, (begun) => {
      // A thread writes there until the end.
      begun.target = target;
      return this.#memory.beginSnapshot(begun, area, offset, target);
    });
    waiter.onGiveUp = () => {
      this.#snapshots.delete(fail);
      wait.cancel();
    };
    const fail = (/** @type {(tried: string) => Error} */ why) => {
      wait.cancel();
      waiter.reject(why(waiter.tried));
    };
    this.#snapshots.add(fail);
  }

  get version() {
    return this.#now("tell the version of", false).area.version;
  }

  /** At once when the area is open. */
  async notify() {
    const tried = "notify those who wait for";
    this.#check(tried, true);
    const { area } = this.#opened ?? (await this.open(tried));
    this.#check(tried, true);
    return area.notify();
  }

  /**
   * @param {number} after
   * @param {WaitOptions} [options]
   * @returns {Promise<number>}
   */
  waitForVersion(after, options) {
    return this.#wait("wait for a version of", false, options, ({ versions }, waiter) => versions.add(waiter, after));
  }

  // ---- Changes of the attachment ----

  /**
   * Another attachment takes the place of this one.
   * @param {import("../index.js").Access} access
   * @param {() => void} exchange
   */
  exchange(access, exchange) {
    this.#access = access;
    for (const queue of this.#opened?.locks ?? []) {
      queue.fail((tried) => inContext(new ReadOnlyError("it is sealed, or is being sealed"), tried));
    }
    exchange();
    this.#opened?.area.setAttachment(this.#attachment.id);
  }

  /** May be repeated. */
  close() {
    this.#closed = true;
    this.#fail((tried) => inContext(new ClosedError("it was closed meanwhile"), tried));
    this.#opened?.area.close();
    this.#opened = undefined;
  }

  // ---- The daemon ----

  /** @returns {Promise<Opened>} */
  async #open() {
    const writable = this.#access === "write";
    const area = await this.#call("open the sync area of", "OpenSyncArea", async (connection, message) => {
      const { body, descriptors, lost } = await connection.call(message, replies.syncArea);
      try {
        if (this.#closed) throw new ClosedError("it was closed meanwhile");
        return mapped(descriptorOf({ descriptor: descriptors[body.fileDescriptor], lost }), this.#attachment.id, writable);
      } catch (error) {
        if (error instanceof ProtocolError) connection.giveUp();
        throw error;
      } finally {
        for (const each of descriptors) each.close();
      }
    });
    const locks = [mutex, read, write].map((lock) => new LockQueue(area, this.#onLong, lock, lock === read));
    return (this.#opened = { area, locks, versions: new VersionQueue(area, this.#onLong) });
  }

  /** Somebody has waited for long: are those still there for whom he waits? */
  #onLong = async () => {
    if (this.#recovering) return;
    this.#recovering = true;
    try {
      const recover = "go on waiting for";
      await this.#call(recover, "RecoverLocks", (connection, message) => connection.call(message, replies.nothing));
      this.#refusals = 0;
    } catch (error) {
      // A daemon that is restarted may be away for a while.
      const away = error instanceof ConnectError && error.code === "ECONNREFUSED" && ++this.#refusals < mostRefusals;
      if (!away) this.#fail(() => /** @type {Error} */ (error));
    } finally {
      this.#recovering = false;
    }
  };

  /**
   * A call that may be made any number of times.
   * @template T
   * @param {string} tried for all who wait
   * @param {string} method
   * @param {(connection: import("./connection.js").Connection, message: Buffer) => Promise<T>} attempt
   * @returns {Promise<T>}
   */
  async #call(tried, method, attempt) {
    for (let left = mostLostCalls; ; left--) {
      try {
        if (this.#closed) throw new ClosedError("it is closed");
        const connection = await this.#attachment.connection();
        return await attempt(connection, encodeCall(`io.shmd.Segments.${method}`, { attachment: this.#attachment.id }));
      } catch (error) {
        if (!(error instanceof DisconnectedError) || left === 0) throw inContext(error, `${tried} ${this.name}`);
      }
    }
  }

  // ---- Waiting ----

  /**
   * @template T
   * @param {string} words
   * @param {boolean} changes
   * @param {WaitOptions | undefined} options
   * @param {(opened: Opened, waiter: Waiter<T>) => void} add
   * @returns {Promise<T>}
   */
  async #wait(words, changes, options, add) {
    this.#check(words, changes);
    /** @type {Waiter<T>} */
    const waiter = new Waiter(`${words} ${this.name}`, options);
    try {
      let opened = this.#opened;
      if (!opened) {
        waiter.begin();
        opened = await Promise.race([this.open(words), waiter.promise.then(() => undefined)]);
        this.#check(words, changes);
      }
      if (opened) add(opened, waiter);
    } catch (error) {
      // Unless it has given up meanwhile.
      if (waiter.pending) waiter.reject(error);
    }
    return waiter.promise;
  }

  /** @param {(tried: string) => Error} why */
  #fail(why) {
    for (const queue of this.#opened ? [...this.#opened.locks, this.#opened.versions] : []) queue.fail(why);
    for (const fail of this.#snapshots) fail(why);
    this.#snapshots.clear();
  }

  /**
   * @param {string} tried
   * @param {boolean} changes
   */
  #check(tried, changes) {
    if (this.#closed) throw new ClosedError(`cannot ${tried} ${this.name}: it is closed`);
    if (changes && this.#access !== "write") throw inContext(new ReadOnlyError(), `${tried} ${this.name}`);
  }
}
