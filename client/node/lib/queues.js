// Those of this process who wait in a sync area for the same thing: one thread waits for all of them. Knows the native part; what
// is locked, and the daemon, are sync.js's.
import { constants } from "node:os";

import { MemoryError, codeOf, inContext } from "./errors.js";
import { native } from "./native.js";

/** @typedef {import("./native.js").SyncArea} SyncArea */
/** @typedef {import("./native.js").Wait} Wait */
/**
 * @template T
 * @typedef {import("./waiter.js").Waiter<T>} Waiter
 */

export const timedOut = -constants.errno.ETIMEDOUT;

/**
 * What the native part could not do, which is none of what a caller expects.
 * @param {number} result negative
 * @param {string} tried
 */
export function failure(result, tried) {
  const code = codeOf(-result);
  const why = code === "EAGAIN" ? "this process may have no more threads" : `its sync area fails with ${code}`;
  return inContext(new MemoryError(why, { code }), tried);
}

/**
 * A wait in a thread of its own.
 * @param {string} tried
 * @param {() => void} onLong
 * @param {(result: number, version: number) => void} onEnd
 * @param {(wait: Wait) => number} begin
 */
export function startWait(tried, onLong, onEnd, begin) {
  const wait = new native.Wait();
  wait.onLong = onLong;
  wait.onEnd = onEnd;
  const error = begin(wait);
  if (error !== 0) throw failure(-error, tried);
  return wait;
}

/**
 * What the two have in common.
 * @template {{waiter: Waiter<any>}} T
 */
class Queue {
  /** @protected @type {T[]} */
  entries = [];
  /** @protected @type {Wait | undefined} */
  wait;
  /** @protected */
  area;
  #onLong;

  /**
   * @param {SyncArea} area
   * @param {() => void} onLong called when somebody has waited for long
   */
  constructor(area, onLong) {
    this.area = area;
    this.#onLong = onLong;
  }

  /**
   * Ends all waits.
   * @param {(tried: string) => Error} why
   */
  fail(why) {
    this.#stop();
    for (const { waiter } of this.entries.splice(0)) waiter.reject(why(waiter.tried));
  }

  /** @protected @param {T} entry */
  append(entry) {
    if (!entry.waiter.begin()) return entry.waiter.timeOut();
    entry.waiter.onGiveUp = () => {
      this.entries.splice(this.entries.indexOf(entry), 1);
      if (this.entries.length === 0) this.#stop();
    };
    this.entries.push(entry);
    this.pump();
  }

  /** Sees to it that a thread waits as long as somebody does. @protected */
  pump() {
    if (this.wait) return;
    this.look();
    const [first] = this.entries;
    if (!first) return;
    const onEnd = (/** @type {number} */ result, /** @type {number} */ version) => {
      this.wait = undefined;
      if (result < 0) return this.fail((tried) => failure(result, tried));
      this.take(result, version);
      this.pump();
    };
    try {
      this.wait = startWait(first.waiter.tried, this.#onLong, onEnd, (wait) => this.start(wait));
    } catch (error) {
      this.fail(() => /** @type {Error} */ (error));
    }
  }

  /** Before a wait begins. @protected */
  look() {}

  /** @protected @param {Wait} _wait @returns {number} */
  start(_wait) {
    return 0;
  }

  /** @protected @param {number} _result @param {number} _version */
  take(_result, _version) {}

  #stop() {
    this.wait?.cancel();
    this.wait = undefined;
  }
}

/**
 * Those who wait for one of the locks, in their order. make: of whether an owner died, what the waiter gets.
 * @extends {Queue<{waiter: Waiter<any>, make: (ownerDied: boolean) => unknown}>}
 */
export class LockQueue extends Queue {
  #lock;
  #shared;

  /**
   * @param {SyncArea} area
   * @param {() => void} onLong
   * @param {number} lock
   * @param {boolean} shared many can have it at once
   */
  constructor(area, onLong, lock, shared) {
    super(area, onLong);
    this.#lock = lock;
    this.#shared = shared;
  }

  /**
   * @template T
   * @param {Waiter<T>} waiter
   * @param {(ownerDied: boolean) => T} make
   */
  add(waiter, make) {
    // Who comes later stands behind the others.
    const result = this.entries.length === 0 ? this.area.tryLock(this.#lock, true) : timedOut;
    if (result >= 0) waiter.resolve(make(result > 0));
    else if (result === timedOut) this.append({ waiter, make });
    else waiter.reject(failure(result, waiter.tried));
  }

  /** @protected @override @param {Wait} wait */
  start(wait) {
    return wait.lock(this.area, this.#lock);
  }

  /** There is somebody: with the last one the wait is cancelled. @protected @override @param {number} result */
  take(result) {
    do {
      const first = this.entries.shift();
      first?.waiter.resolve(first.make(result > 0));
    } while (this.#shared && this.entries.length > 0 && (result = this.area.tryLock(this.#lock, false)) >= 0);
  }
}

/**
 * Those who wait for a version.
 * @extends {Queue<{waiter: Waiter<number>, after: number}>}
 */
export class VersionQueue extends Queue {
  #seen = 0;

  /**
   * @param {Waiter<number>} waiter
   * @param {number} after
   */
  add(waiter, after) {
    const { version } = this.area;
    if (version > after) waiter.resolve(version);
    else this.append({ waiter, after });
  }

  /** @protected @override */
  look() {
    this.#seen = this.area.version;
    this.take(0, this.#seen);
  }

  /**
   * For any later one: nobody here waits for what has been seen, nor does who comes meanwhile.
   * @protected @override @param {Wait} wait
   */
  start(wait) {
    return wait.version(this.area, this.#seen);
  }

  /** @protected @override @param {number} _result @param {number} version */
  take(_result, version) {
    const there = this.entries.filter(({ after }) => version > after);
    this.entries = this.entries.filter(({ after }) => version <= after);
    for (const { waiter } of there) waiter.resolve(version);
  }
}
