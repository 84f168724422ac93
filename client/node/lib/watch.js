// What happens to segments, as an async iterator with a connection of its own.
import { encodeCall } from "./calls.js";
import { Connection } from "./connection.js";
import { ClosedError, inContext } from "./errors.js";
import * as replies from "./replies.js";

/** @typedef {import("../index.js").WatchEvent} WatchEvent */

export class Watch {
  /** @type {Promise<{connection: Connection, first: WatchEvent}>} */
  #opening;
  /** @type {Connection | undefined} */
  #connection;
  #first = true;
  /** @type {Promise<unknown>} the calls of next() before, one after the other */
  #turn = Promise.resolve();
  #over = false;
  /** @type {(() => Error) | undefined} */
  #why;
  #signal;
  #abort = () => this.#end(() => this.#signal?.reason);

  /**
   * @param {string} path
   * @param {string | undefined} prefix
   * @param {AbortSignal | undefined} signal
   */
  constructor(path, prefix, signal) {
    this.#signal = signal;
    const message = encodeCall("io.shmd.Segments.Watch", { prefix }, { more: true });
    this.#opening = this.#open(path, message);
    // Whoever calls next() hears of it.
    this.#opening.catch(() => {});
    if (signal?.aborted) this.#abort();
    signal?.addEventListener("abort", this.#abort, { once: true });
  }

  /**
   * @param {string} path
   * @param {Buffer} message
   */
  async #open(path, message) {
    try {
      const connection = await Connection.open(path, this.#signal);
      this.#connection = connection;
      if (this.#over) connection.giveUp();
      return { connection, first: await connection.startStream(message, replies.watchEvent) };
    } catch (error) {
      throw this.#why?.() ?? inContext(error, "watch segments");
    }
  }

  /** @returns {Promise<void>} */
  async opened() {
    await this.#opening;
  }

  /** @returns {Promise<IteratorResult<WatchEvent, undefined>>} */
  next() {
    const result = this.#turn.then(() => this.#next());
    this.#turn = result.catch(() => {});
    return result;
  }

  /** @returns {Promise<IteratorResult<WatchEvent, undefined>>} */
  async #next() {
    const aborted = this.#takeWhy();
    if (aborted) throw aborted();
    if (this.#over) return { done: true, value: undefined };
    try {
      const { connection, first } = await this.#opening;
      if (!this.#first) return { done: false, value: await connection.nextOfStream(replies.watchEvent) };
      this.#first = false;
      return { done: false, value: first };
    } catch (error) {
      // Closed while it waited: that is an end. Aborted: the signal's reason, once.
      const why = this.#takeWhy();
      if (!why && this.#over) return { done: true, value: undefined };
      this.#end();
      throw why?.() ?? inContext(error, "watch segments");
    }
  }

  #takeWhy() {
    const why = this.#why;
    this.#why = undefined;
    return why;
  }

  /** @returns {Promise<IteratorResult<WatchEvent, undefined>>} */
  async return() {
    await this.close();
    return { done: true, value: undefined };
  }

  /** Not async: all is done when it returns. */
  close() {
    this.#end();
    return Promise.resolve();
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  [Symbol.asyncDispose ?? Symbol.for("Symbol.asyncDispose")]() {
    return this.close();
  }

  /** @param {() => Error} [why] */
  #end(why) {
    if (this.#over) return;
    this.#over = true;
    this.#why = why;
    this.#signal?.removeEventListener("abort", this.#abort);
    this.#connection?.giveUp(why ?? (() => new ClosedError("the watch is closed")));
  }
}
