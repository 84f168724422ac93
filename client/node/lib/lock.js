// Locks and write sections that this process holds.
import { NotLockedError } from "./errors.js";

/** @typedef {import("./segment.js").Segment} Segment */
/** @typedef {import("./sync.js").Sync} Sync */
/** @typedef {{lock: number, section: boolean, lockWords: string, unlockWords: string}} Kind */

/** Only lockOf() and sectionOf() have it. */
const inside = Symbol("shmd");

export class Lock {
  // A lock that is held keeps the segment open.
  #segment;
  #sync;
  #kind;
  #ownerDied;
  #held = true;

  /**
   * @param {symbol} key
   * @param {Segment} segment
   * @param {Sync} sync
   * @param {Kind} kind
   * @param {boolean} ownerDied
   */
  constructor(key, segment, sync, kind, ownerDied) {
    if (key !== inside) throw new TypeError("a lock is made by Segment.lock() and its like");
    this.#segment = /** @type {Segment | undefined} */ (segment);
    this.#sync = sync;
    this.#kind = kind;
    this.#ownerDied = ownerDied;
  }

  get held() {
    return this.#held;
  }

  get ownerDied() {
    return this.#ownerDied;
  }

  makeConsistent() {
    if (!this.#held) throw new NotLockedError(`cannot make ${this.#sync.name} consistent: it is unlocked already`);
    this.#sync.makeConsistent(this.#kind);
    this.#ownerDied = false;
  }

  unlock() {
    if (!this.#held) {
      throw new NotLockedError(`cannot ${this.#kind.unlockWords} ${this.#sync.name}: that has been done already`);
    }
    this.#held = false;
    this.#segment = undefined;
    this.#sync.unlock(this.#kind);
  }

  [Symbol.dispose ?? Symbol.for("Symbol.dispose")]() {
    if (this.#held) this.unlock();
  }

  async [Symbol.asyncDispose ?? Symbol.for("Symbol.asyncDispose")]() {
    if (this.#held) this.unlock();
  }
}

export class WriteSection {
  #lock;

  /**
   * @param {symbol} key
   * @param {Lock} lock
   */
  constructor(key, lock) {
    if (key !== inside) throw new TypeError("a write section is made by Segment.beginWrite() and withWriteSection()");
    this.#lock = lock;
  }

  get held() {
    return this.#lock.held;
  }

  get ownerDied() {
    return this.#lock.ownerDied;
  }

  makeConsistent() {
    this.#lock.makeConsistent();
  }

  end() {
    this.#lock.unlock();
  }

  [Symbol.dispose ?? Symbol.for("Symbol.dispose")]() {
    if (this.held) this.end();
  }

  async [Symbol.asyncDispose ?? Symbol.for("Symbol.asyncDispose")]() {
    if (this.held) this.end();
  }
}

/**
 * A lock that has just been taken.
 * @param {Segment} segment
 * @param {Sync} sync
 * @param {Kind} kind
 * @param {boolean} ownerDied
 */
export const lockOf = (segment, sync, kind, ownerDied) => new Lock(inside, segment, sync, kind, ownerDied);

/** @param {Lock} lock */
export const sectionOf = (lock) => new WriteSection(inside, lock);
