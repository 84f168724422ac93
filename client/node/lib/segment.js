// A segment that this process has open: its memory, its grant, and what can be done to it.
import { Buffer } from "node:buffer";

import { Attachment, detach } from "./attachment.js";
import { encodeCall } from "./calls.js";
import { ClosedError, DisconnectedError, ProtocolError, ReadOnlyError, inContext } from "./errors.js";
import { keyOf, named } from "./keys.js";
import { lockOf, sectionOf } from "./lock.js";
import { Memory, descriptorOf } from "./memory.js";
import * as replies from "./replies.js";
import { Sync, kinds } from "./sync.js";
import { ReadOnlyDataView } from "./views.js";

/** @typedef {import("./connection.js").Connection} Connection */
/** @typedef {import("./native.js").Descriptor} Descriptor */
/** @typedef {import("./memory.js").StrayWrites} StrayWrites */
/** @typedef {import("./replies.js").Grant} Grant */
/** @typedef {import("../index.js").SegmentInfo} SegmentInfo */
/** @typedef {import("../index.js").Access} Access */
/** @typedef {import("./lock.js").Kind} Kind */
/** @typedef {import("./lock.js").Lock} Lock */
/** @typedef {import("./lock.js").WriteSection} WriteSection */
/** @typedef {import("./waiter.js").WaitOptions} WaitOptions */
/** @typedef {{grant: Grant, descriptor: Descriptor | undefined, lost: boolean}} Granted */

/** Ends the grants of segments that were dropped without being closed. @type {FinalizationRegistry<Attachment>} */
const dropped = new FinalizationRegistry((attachment) => attachment.end());

/** A buffer keeps its segment: what can be touched is open. @type {WeakMap<ArrayBuffer, Segment>} */
const owners = new WeakMap();

/** @param {unknown} value @param {string} name */
function size(value, name) {
  if (!Number.isSafeInteger(value) || /** @type {number} */ (value) < 0) throw new RangeError(`${name} is no size: ${value}`);
  return /** @type {number} */ (value);
}

/** Only openSegment() has it: a segment is made by a client. */
const inside = Symbol("shmd");

export class Segment {
  #memory;
  #attachment;
  /** @type {SegmentInfo} */
  #info;
  /** @type {Access} */
  #access;
  #created;
  #sync;
  /** @type {DataView | undefined} */
  #view;

  /**
   * @param {symbol} key
   * @param {Memory} memory
   * @param {Attachment} attachment
   * @param {Grant} grant
   * @param {Access} access
   */
  constructor(key, memory, attachment, grant, access) {
    if (key !== inside) throw new TypeError("a segment is made by Client.create() and Client.open()");
    this.#memory = memory;
    this.#attachment = attachment;
    this.#info = grant.segment;
    this.#access = access;
    this.#created = grant.created;
    this.#sync = new Sync(memory, attachment, access, this.#named);
    dropped.register(this, attachment, this);
  }

  get info() {
    return this.#info;
  }

  get id() {
    return this.#info.id;
  }

  get key() {
    return this.#info.key;
  }

  get size() {
    return this.#info.sizeBytes;
  }

  get access() {
    return this.#access;
  }

  get created() {
    return this.#created;
  }

  get attachment() {
    return this.#attachment.id;
  }

  get closed() {
    return this.#memory.closed;
  }

  get buffer() {
    const buffer = this.#memory.buffer(this.size);
    if (!owners.has(buffer)) owners.set(buffer, this);
    return buffer;
  }

  get view() {
    const { buffer } = this;
    const View = this.#access === "write" ? DataView : ReadOnlyDataView;
    if (this.#view?.buffer !== buffer || this.#view.constructor !== View) this.#view = new View(buffer);
    return this.#view;
  }

  /**
   * @param {number} [offset]
   * @param {number} [length]
   */
  read(offset = 0, length = this.size - offset) {
    this.#range(offset, length);
    const target = Buffer.allocUnsafeSlow(length);
    this.#memory.read(offset, target);
    return target;
  }

  /**
   * @param {string | ArrayBuffer | ArrayBufferView} data
   * @param {number} [offset]
   */
  write(data, offset = 0) {
    const source = bytesOf(data);
    if (this.#access !== "write") throw new ReadOnlyError();
    this.#range(offset, source.length);
    this.#memory.write(offset, source);
    return source.length;
  }

  /** @param {{key?: import("../index.js").Key, replace?: boolean}} [options] */
  async publish({ key, replace } = {}) {
    return this.#change(() => "publish", (attachment) => ["Publish", {
      attachment,
      key: key === undefined || key === null ? undefined : keyOf(key),
      replace,
    }]);
  }

  /** @param {number} sizeBytes */
  async resize(sizeBytes) {
    size(sizeBytes, "sizeBytes");
    return this.#change(() => "resize", () => ["Resize", { id: this.id, sizeBytes }]);
  }

  async remap() {
    return this.#change(() => "describe", () => ["Describe", { id: this.id }]);
  }

  /** The kernel counts every mapping made from a descriptor for writing as one that writes, so ours goes first. */
  async seal() {
    const wasWritable = this.#access === "write";
    if (wasWritable) {
      // Also finds out whether the connection has ended.
      await this.remap();
      await this.#reopen("read").catch((error) => Promise.reject(inContext(error, `seal ${this.#named}`)));
    }
    try {
      return await this.#change(() => "seal", () => ["Seal", { id: this.id }]);
    } catch (error) {
      if (wasWritable) await this.#reopen("write").catch(() => {});
      throw error;
    }
  }

  // ---- The sync area ----

  async openSyncArea() {
    await this.#sync.open();
  }

  /** @param {WaitOptions} [options] */
  lock(options) {
    return this.#lock(kinds.lock, options);
  }

  /** @param {WaitOptions} [options] */
  readLock(options) {
    return this.#lock(kinds.readLock, options);
  }

  /** @param {WaitOptions} [options] */
  writeLock(options) {
    return this.#lock(kinds.writeLock, options);
  }

  tryLock() {
    return this.#tryLock(kinds.lock);
  }

  tryReadLock() {
    return this.#tryLock(kinds.readLock);
  }

  tryWriteLock() {
    return this.#tryLock(kinds.writeLock);
  }

  /** @param {WaitOptions} [options] */
  async beginWrite(options) {
    return sectionOf(await this.#lock(kinds.section, options));
  }

  /**
   * @template T
   * @param {(lock: Lock) => T | PromiseLike<T>} action
   * @param {WaitOptions} [options]
   */
  async withLock(action, options) {
    return during(await this.#lock(kinds.lock, options), action);
  }

  /**
   * @template T
   * @param {(lock: Lock) => T | PromiseLike<T>} action
   * @param {WaitOptions} [options]
   */
  async withReadLock(action, options) {
    return during(await this.#lock(kinds.readLock, options), action);
  }

  /**
   * @template T
   * @param {(lock: Lock) => T | PromiseLike<T>} action
   * @param {WaitOptions} [options]
   */
  async withWriteLock(action, options) {
    return during(await this.#lock(kinds.writeLock, options), action);
  }

  /**
   * @template T
   * @param {(section: WriteSection) => T | PromiseLike<T>} action
   * @param {WaitOptions} [options]
   */
  async withWriteSection(action, options) {
    const lock = await this.#lock(kinds.section, options);
    return during(lock, () => action(sectionOf(lock)));
  }

  /** @param {WaitOptions & {offset?: number, length?: number}} [options] */
  async snapshot({ offset = 0, length = this.size - offset, ...options } = {}) {
    this.#range(offset, length);
    return this.#sync.snapshot(offset, Buffer.allocUnsafeSlow(length), options);
  }

  get version() {
    return this.#sync.version;
  }

  notify() {
    return this.#sync.notify();
  }

  /**
   * @param {number} after
   * @param {WaitOptions} [options]
   */
  async waitForVersion(after, options) {
    return this.#sync.waitForVersion(size(after, "after"), options);
  }

  /**
   * @param {{after?: number, signal?: AbortSignal}} [options]
   * @returns {AsyncGenerator<number, never, undefined>}
   */
  async *notifications({ after, signal } = {}) {
    signal?.throwIfAborted();
    if (after === undefined) await this.openSyncArea();
    let last = after ?? this.version;
    for (;;) yield (last = await this.waitForVersion(last, { signal }));
  }

  /** Not async: all is done when it returns. */
  close() {
    this.#end();
    return Promise.resolve();
  }

  [Symbol.dispose ?? Symbol.for("Symbol.dispose")]() {
    this.#end();
  }

  [Symbol.asyncDispose ?? Symbol.for("Symbol.asyncDispose")]() {
    return this.close();
  }

  [Symbol.for("nodejs.util.inspect.custom")]() {
    const { id, key, size, access, closed } = this;
    return Object.assign(Object.create({ constructor: Segment }), { id, key, size, access, closed });
  }

  #end() {
    this.#sync.close();
    this.#memory.close();
    this.#attachment.end();
    this.#view = undefined;
    dropped.unregister(this);
  }

  get #named() {
    return named(this.key === null ? { id: this.id } : { key: this.key });
  }

  /**
   * @param {Kind} kind
   * @param {WaitOptions | undefined} options
   */
  #lock(kind, options) {
    return this.#sync.lock(kind, options, (ownerDied) => lockOf(this, this.#sync, kind, ownerDied));
  }

  /** @param {Kind} kind */
  #tryLock(kind) {
    return this.#sync.tryLock(kind, (ownerDied) => lockOf(this, this.#sync, kind, ownerDied));
  }

  /**
   * @param {number} offset
   * @param {number} length
   */
  #range(offset, length) {
    if (this.closed) throw new ClosedError("the segment is closed");
    if (size(offset, "offset") > this.size || size(length, "length") > this.size - offset) {
      throw new RangeError(`${length} bytes at ${offset} are not all inside of the segment's ${this.size}`);
    }
  }

  /**
   * A call that answers with what the segment is then. One that has not reached a daemon is made again, once.
   * @param {() => string} tried
   * @param {(attachment: number) => [method: string, parameters: object]} call
   * @returns {Promise<SegmentInfo>}
   */
  async #change(tried, call) {
    for (let last = false; ; last = true) {
      if (this.closed) throw new ClosedError(`cannot ${tried()} ${this.#named}: it is closed`);
      try {
        const connection = await this.#attachment.connection();
        const [method, parameters] = call(this.#attachment.id);
        const message = encodeCall(`io.shmd.Segments.${method}`, parameters);
        const { body } = await connection.call(message, replies.oneSegment);
        return this.#take(body);
      } catch (error) {
        const again = error instanceof DisconnectedError && !error.maybeDone && !last;
        if (!again) throw inContext(error, `${tried()} ${this.#named}`);
      }
    }
  }

  /**
   * The buffer has another length when the size is another one: the old one is detached.
   * @param {SegmentInfo} info
   */
  #take(info) {
    if (info.sizeBytes !== this.#info.sizeBytes) this.#memory.detach();
    this.#info = info;
    this.#sync.name = this.#named;
    return info;
  }

  /**
   * Another grant in place of the one there is, at the same address.
   * @param {Access} access
   */
  async #reopen(access) {
    const connection = await this.#attachment.connection();
    const message = encodeCall("io.shmd.Segments.Open", { id: this.id, access });
    const { body: grant, descriptors, lost } = await connection.call(message, replies.grant);
    const descriptor = descriptors[grant.fileDescriptor];
    try {
      if (this.closed) throw new ClosedError("it was closed meanwhile");
      this.#memory.replace(descriptorOf({ descriptor, lost }), grant.segment, access);
    } catch (error) {
      connection.notify(detach(grant.attachment));
      throw error;
    } finally {
      for (const each of descriptors) each.close();
    }
    this.#sync.exchange(access, () => this.#attachment.exchange(grant.attachment));
    this.#access = access;
  }
}

/**
 * Maps what a Create or an Open on this connection was answered with. A grant that cannot be mapped is given back, and a
 * segment that was created for it is deleted.
 * @param {Connection} connection
 * @param {Granted} granted
 * @param {Access} access
 * @param {StrayWrites} [strayWrites]
 */
export function openSegment(connection, granted, access, strayWrites = "private") {
  const { grant } = granted;
  try {
    const memory = new Memory(descriptorOf(granted), grant.segment, access, strayWrites);
    return new Segment(inside, memory, new Attachment(connection, grant.attachment), grant, access);
  } catch (error) {
    if (error instanceof ProtocolError) {
      connection.giveUp();
    } else {
      const { id } = grant.segment;
      if (grant.created) connection.notify(encodeCall("io.shmd.Segments.Delete", { id }, { oneway: true }));
      connection.notify(detach(grant.attachment));
    }
    throw error;
  } finally {
    granted.descriptor?.close();
  }
}

/**
 * @template T
 * @param {Lock} lock unlocked when the action is over, unless it has done that itself
 * @param {(lock: Lock) => T | PromiseLike<T>} action
 */
async function during(lock, action) {
  let result;
  try {
    result = await action(lock);
  } catch (error) {
    // What went wrong first is told.
    try {
      if (lock.held) lock.unlock();
    } catch {}
    throw error;
  }
  if (lock.held) lock.unlock();
  return result;
}

/** @param {string | ArrayBuffer | ArrayBufferView} data */
function bytesOf(data) {
  if (typeof data === "string") return Buffer.from(data);
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  if (data instanceof ArrayBuffer) return new Uint8Array(data);
  throw new TypeError("data is a string, an ArrayBuffer, or a view of one");
}
