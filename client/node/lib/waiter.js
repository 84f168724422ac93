// Somebody who waits: until there is what is waited for, the time is over, or a signal comes.
import { TimeoutError, inContext } from "./errors.js";

/** @typedef {import("../index.js").WaitOptions} WaitOptions */

/** More than that Node takes for a moment. */
const longestTimer = 2 ** 31 - 1;

/** @template T */
export class Waiter {
  /** @type {Promise<T>} */
  promise;
  /** @type {() => void} called when it gives up by itself */
  onGiveUp = () => {};
  #tried;
  #timeout;
  #signal;
  #pending = true;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** @type {(value: T) => void} */
  #fulfill = () => {};
  /** @type {(error: unknown) => void} */
  #refuse = () => {};
  #abort = () => this.#giveUp(this.#signal?.reason);

  /**
   * @param {string} tried for people
   * @param {WaitOptions} [options]
   */
  constructor(tried, { timeout = Infinity, signal } = {}) {
    if (typeof timeout !== "number" || Number.isNaN(timeout) || timeout < 0) {
      throw new RangeError(`timeout is no time: ${timeout}`);
    }
    signal?.throwIfAborted();
    this.#tried = tried;
    this.#timeout = timeout;
    this.#signal = signal;
    this.promise = new Promise((fulfill, refuse) => {
      this.#fulfill = fulfill;
      this.#refuse = refuse;
    });
  }

  get tried() {
    return this.#tried;
  }

  get pending() {
    return this.#pending;
  }

  /** Time passes from here on. False when there is none. */
  begin() {
    if (this.#timer || !this.#pending) return this.#pending;
    if (this.#timeout === 0) return false;
    if (this.#timeout <= longestTimer) this.#timer = setTimeout(() => this.timeOut(), this.#timeout);
    this.#signal?.addEventListener("abort", this.#abort, { once: true });
    return true;
  }

  /** @param {T} value */
  resolve(value) {
    this.#end();
    this.#fulfill(value);
  }

  /** @param {unknown} error */
  reject(error) {
    this.#end();
    this.#refuse(error);
  }

  timeOut() {
    this.#giveUp(inContext(new TimeoutError(), this.#tried));
  }

  /** @param {unknown} error */
  #giveUp(error) {
    this.reject(error);
    this.onGiveUp();
  }

  #end() {
    this.#pending = false;
    clearTimeout(this.#timer);
    this.#signal?.removeEventListener("abort", this.#abort);
  }
}
