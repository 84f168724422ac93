// Messages on a socket: text ended by a NUL, and beside them the descriptors that came. Knows nothing of JSON or methods.
import { isUtf8 } from "node:buffer";
import { setTimeout as sleep } from "node:timers/promises";

import { ConnectError, DisconnectedError, ProtocolError, codeOf } from "./errors.js";
import * as limits from "./limits.js";
import { native } from "./native.js";

// A stream whose reader is slow: beyond so many messages nothing more is read, and the daemon notices.
const mostWaiting = 256;

const goneAway = () => new DisconnectedError("the daemon has gone away", true);
const tooLarge = () => new ProtocolError("it is too large");

/** @param {number} errno @param {string} path */
function cannotConnect(errno, path) {
  const code = codeOf(errno);
  if (code === "ECONNREFUSED" || code === "ENOENT") {
    const why = `no daemon answers at ${path} (${code}): start shmd, or name its socket in $SHMD_SOCKET`;
    return new ConnectError(why, { code: "ECONNREFUSED" });
  }
  if (code === "ENAMETOOLONG") {
    return new ConnectError(`cannot connect to ${path}: a socket's path has at most ${limits.pathBytes} bytes`, { code });
  }
  return new ConnectError(`cannot connect to the daemon at ${path}: ${code}`, { code });
}

/**
 * @typedef {{resolve: (message: string) => void, reject: (error: Error) => void}} Waiting
 */
export class Transport {
  #channel = new native.Channel();
  /** @type {Buffer[]} the beginning of a message whose end has not come */
  #partial = [];
  #partialBytes = 0;
  /** @type {string[]} */
  #messages = [];
  /** @type {Waiting | undefined} */
  #waiting;
  /** @type {(() => Error) | undefined} why nothing more comes */
  #end;
  #sent = 0;

  /**
   * @param {string} path
   * @param {AbortSignal} [signal]
   */
  static async open(path, signal) {
    signal?.throwIfAborted();
    const transport = new Transport();
    for (let delay = 1; ; delay = Math.min(delay * 2, 50)) {
      const errno = transport.#channel.connect(path);
      if (errno === 0) return transport;
      // Its queue of those who wait to be accepted is full; the kernel does not tell when there is room.
      if (codeOf(errno) !== "EAGAIN") throw cannotConnect(errno, path);
      await sleep(delay, undefined, { signal }).catch(() => signal?.throwIfAborted());
    }
  }

  constructor() {
    this.#channel.onData = (bytes) => this.#take(bytes);
    this.#channel.onEnd = (errno) => {
      if (errno === 0) return this.#finish(goneAway);
      this.#finish(() => new ProtocolError(`it cannot be received (${codeOf(errno)})`));
    };
  }

  /** True once nothing more comes, though messages that came may wait still. */
  get ended() {
    return this.#end !== undefined;
  }

  /** True when a message, or a part of one, waits. */
  get buffered() {
    return this.#messages.length > 0 || this.#partialBytes > 0;
  }

  /** True when a whole message waits. */
  get hasMessage() {
    return this.#messages.length > 0;
  }

  /** True once descriptors were lost: this process may open no more files. */
  get lostDescriptors() {
    return this.#channel.lostDescriptors;
  }

  /**
   * @param {Uint8Array} bytes
   * @returns {number} a position, for arrived()
   */
  send(bytes) {
    this.#channel.send(bytes);
    this.#sent += bytes.length;
    return this.#sent;
  }

  /**
   * Whether the kernel has taken all that was sent up to this position.
   * @param {number} position
   */
  arrived(position) {
    return this.#channel.written >= position;
  }

  /**
   * The next message. Rejects once no more comes. One caller at a time.
   * @param {AbortSignal} [signal] the message then stays for the next caller
   * @returns {Promise<string>}
   */
  receive(signal) {
    const message = this.#messages.shift();
    if (message !== undefined) {
      if (this.#messages.length === mostWaiting / 2) this.#channel.resume();
      return Promise.resolve(message);
    }
    if (this.#end) return Promise.reject(this.#end());
    return new Promise((resolve, reject) => {
      const abort = () => {
        this.#waiting = undefined;
        reject(signal?.reason);
      };
      if (signal?.aborted) return abort();
      signal?.addEventListener("abort", abort, { once: true });
      const settled = () => signal?.removeEventListener("abort", abort);
      this.#waiting = {
        resolve: (text) => (settled(), resolve(text)),
        reject: (error) => (settled(), reject(error)),
      };
    });
  }

  /** The oldest descriptor that came and was not taken. */
  takeDescriptor() {
    return this.#channel.takeDescriptor();
  }

  dropDescriptors() {
    this.#channel.dropDescriptors();
  }

  ref() {
    this.#channel.ref();
  }

  unref() {
    this.#channel.unref();
  }

  /**
   * Ends it. Whoever waits for a message gets this error.
   * @param {() => Error} [why]
   */
  close(why = goneAway) {
    this.#channel.close();
    this.#messages = [];
    this.#finish(why);
  }

  /** @param {Buffer} bytes */
  #take(bytes) {
    let begin = 0;
    for (let end; (end = bytes.indexOf(0, begin)) >= 0; begin = end + 1) {
      if (!this.#deliver(bytes.subarray(begin, end))) return;
    }
    if (begin === bytes.length) return;
    this.#partial.push(bytes.subarray(begin));
    this.#partialBytes += bytes.length - begin;
    if (this.#partialBytes > limits.messageBytes) this.close(tooLarge);
  }

  /** @param {Buffer} last the end of a message */
  #deliver(last) {
    const bytes = this.#partialBytes === 0 ? last : Buffer.concat([...this.#partial, last]);
    this.#partial = [];
    this.#partialBytes = 0;
    if (bytes.length > limits.messageBytes) return this.close(tooLarge);
    if (!isUtf8(bytes)) return this.close(() => new ProtocolError("it is not UTF-8"));
    const message = bytes.toString();
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting) {
      waiting.resolve(message);
    } else if (this.#messages.push(message) === mostWaiting) {
      this.#channel.pause();
    }
    return true;
  }

  /** @param {() => Error} why */
  #finish(why) {
    this.#end ??= why;
    this.#waiting?.reject(this.#end());
    this.#waiting = undefined;
  }
}
