// One connection to the daemon: a call goes out, its answer comes back. Knows messages and descriptors; what they mean, and
// when to connect anew, is the client's.
import { encodeCall } from "./calls.js";
import { DisconnectedError, ProtocolError, RemoteError, fromRemote } from "./errors.js";
import * as limits from "./limits.js";
import * as replies from "./replies.js";
import { Transport } from "./transport.js";

/** @typedef {import("./native.js").Descriptor} Descriptor */
/** @typedef {import("./replies.js").Fields} Fields */
/** @typedef {import("./replies.js").Grant} Grant */
/**
 * @template T
 * @typedef {{body: T, descriptors: Descriptor[], lost: boolean}} Answer what came with it, in order; lost: some of it did not
 */

/** A call that the daemon has not seen the whole of: it did nothing. */
const unsent = () => new DisconnectedError("the daemon has gone away", false);

const unanswered = () =>
  new DisconnectedError("the daemon went away before it answered: this may or may not have been done", true);

/** The daemon knows by the kernel who connected, so another user connects anew. */
const identity = () => `${process.geteuid?.()}:${process.getegid?.()}`;

export class Connection {
  #path;
  #transport;
  #identity = identity();
  /** @type {Promise<unknown>} the calls before, one after the other */
  #calls = Promise.resolve();
  #pending = 0;
  // A reply has come: the daemon has accepted us.
  #proven = false;
  /** @type {Set<number>} what this connection holds: the grants of open segments */
  #grants = new Set();
  /** @type {Connection | undefined} */
  #successor;
  /** @type {Promise<Connection> | undefined} */
  #succession;
  #retired = false;

  /**
   * @param {string} path
   * @param {AbortSignal} [signal]
   */
  static async open(path, signal) {
    return new Connection(path, await Transport.open(path, signal));
  }

  /**
   * @param {string} path
   * @param {Transport} transport
   */
  constructor(path, transport) {
    this.#path = path;
    this.#transport = transport;
  }

  /** True once calls on it are in vain. */
  get ended() {
    return this.#transport.ended;
  }

  /** False once it has ended, and after a change of user: calls need another one. */
  get usable() {
    return !this.ended && this.#identity === identity();
  }

  /**
   * A call with one reply. read: makes of the reply's parameters what the caller gets. The descriptors that come with it are
   * the caller's.
   * @template T
   * @param {Buffer} message
   * @param {(parameters: Fields) => T} read
   * @param {AbortSignal} [signal] ends the connection
   * @returns {Promise<Answer<T>>}
   */
  call(message, read, signal) {
    return this.#oneAfterTheOther(async () => {
      const reply = await this.#firstReply(message, signal);
      if (reply.continues || this.#transport.buffered) throw new ProtocolError("there is more than one reply");
      const body = read(reply.parameters);
      return { body, descriptors: this.#takeDescriptors(body), lost: this.#transport.lostDescriptors };
    });
  }

  /**
   * A call that wants `more`: all its replies.
   * @template T
   * @param {Buffer} message
   * @param {(parameters: Fields) => T} read
   * @returns {Promise<T[]>}
   */
  callForMany(message, read) {
    return this.#oneAfterTheOther(async () => {
      const all = [];
      for (let reply = await this.#firstReply(message); ; reply = await this.#nextReply()) {
        all.push(read(reply.parameters));
        if (!reply.continues) break;
      }
      if (this.#transport.buffered) throw new ProtocolError("there are replies after the last one");
      return all;
    });
  }

  /**
   * A call that is answered without an end: this connection is for nothing else from then on. The first reply.
   * @template T
   * @param {Buffer} message
   * @param {(parameters: Fields) => T} read
   * @returns {Promise<T>}
   */
  startStream(message, read) {
    return this.#oneAfterTheOther(async () => read((await this.#firstReply(message)).parameters));
  }

  /**
   * The next reply of the stream.
   * @template T
   * @param {(parameters: Fields) => T} read
   * @returns {Promise<T>}
   */
  nextOfStream(read) {
    return this.#oneAfterTheOther(async () => read((await this.#nextReply()).parameters));
  }

  /**
   * Sends a oneway call. False when the connection has ended; true does not say that it arrives.
   * @param {Buffer} message
   */
  notify(message) {
    if (this.ended) return false;
    this.#transport.send(message);
    return true;
  }

  /** @param {() => Error} [why] what those get who wait for an answer */
  giveUp(why) {
    this.#transport.close(why);
  }

  /** Ends it as soon as it holds nothing and nobody waits for an answer. */
  retire() {
    this.#retired = true;
    this.#endIfIdle();
    if (this.ended) this.#successor?.retire();
  }

  // ---- Grants ----

  /** @param {number} attachment */
  hold(attachment) {
    this.#grants.add(attachment);
  }

  /** @param {number} attachment */
  letGo(attachment) {
    this.#grants.delete(attachment);
    this.#endIfIdle();
  }

  /** @param {number} attachment */
  holds(attachment) {
    return this.#grants.has(attachment);
  }

  /** The connection that took this one's place, if there is one already. */
  get presentSuccessor() {
    return this.#successor;
  }

  /** Settles with the making of one, if that is under way. */
  get succession() {
    return this.#succession;
  }

  /**
   * The connection that takes this one's place once it has ended, as by a restart of the daemon: made at the first call, with
   * those grants that the daemon has kept. It may have ended too.
   * @returns {Promise<Connection>}
   */
  async successor() {
    if (this.#successor) return this.#successor;
    this.#succession ??= this.#succeed().finally(() => (this.#succession = undefined));
    return this.#succession;
  }

  async #succeed() {
    const next = await Connection.open(this.#path);
    const left = [...this.#grants];
    while (left.length > 0) {
      const attachments = left.splice(-limits.resumed);
      const parameters = { attachments, partial: left.length > 0 ? true : undefined };
      try {
        const answer = await next.call(encodeCall("io.shmd.Segments.Resume", parameters), replies.resumed);
        for (const attachment of answer.body) next.hold(attachment);
      } catch (error) {
        // A daemon that refuses, as an older one does, has kept nothing.
        if (!(error instanceof RemoteError)) throw error;
        break;
      }
    }
    // Those that were let go meanwhile.
    for (const attachment of [...next.#grants].filter((each) => !this.#grants.has(each))) {
      next.letGo(attachment);
      next.notify(encodeCall("io.shmd.Segments.Detach", { attachment }, { oneway: true }));
    }
    this.#successor = next;
    if (this.#retired) next.retire();
    return next;
  }

  /**
   * Ends a grant of this ended connection, which the daemon may have kept: taken up by a connection that ends at once, it
   * ends with that.
   * @param {number} attachment
   */
  async giveBack(attachment) {
    try {
      const brief = await Transport.open(this.#path);
      const parameters = { attachments: [attachment], partial: true };
      brief.send(encodeCall("io.shmd.Segments.Resume", parameters, { oneway: true }));
      brief.close();
    } catch {
      // No daemon: it has kept nothing, or the grant ends with this process.
    }
  }

  // ---- Calls ----

  /**
   * Whatever goes wrong in the middle of an exchange ends the connection, except a refusal.
   * @template T
   * @param {() => Promise<T>} exchange
   * @returns {Promise<T>}
   */
  async #oneAfterTheOther(exchange) {
    if (this.#pending++ === 0) this.#transport.ref();
    const before = this.#calls;
    /** @type {() => void} */
    let done = () => {};
    this.#calls = new Promise((resolve) => (done = () => resolve(undefined)));
    await before;
    try {
      return await exchange();
    } catch (error) {
      if (!(error instanceof RemoteError)) this.giveUp();
      throw error;
    } finally {
      // Those that no reply has named.
      this.#transport.dropDescriptors();
      done();
      if (--this.#pending === 0) this.#transport.unref();
      this.#endIfIdle();
    }
  }

  /**
   * @param {Buffer} message
   * @param {AbortSignal} [signal]
   */
  async #firstReply(message, signal) {
    // A daemon that takes no more connections says why, unasked, and hangs up. That is as good as an answer.
    const refused = !this.#proven && this.#transport.hasMessage;
    if (!refused && this.ended) throw unsent();
    if (!refused && this.#transport.buffered) throw new ProtocolError("there is one that nobody asked for");
    const position = this.#transport.send(message);
    try {
      return await this.#nextReply(signal);
    } catch (error) {
      if (!(error instanceof DisconnectedError)) throw error;
      throw this.#transport.arrived(position) ? unanswered() : unsent();
    }
  }

  /** @param {AbortSignal} [signal] */
  async #nextReply(signal) {
    const reply = replies.decodeReply(await this.#transport.receive(signal));
    if (reply.error !== undefined) {
      if (reply.continues || this.#transport.buffered) throw new ProtocolError("there are replies after an error");
      this.#proven = true;
      throw fromRemote(reply.error, reply.parameters);
    }
    this.#proven = true;
    return reply;
  }

  /**
   * The kernel may credit a descriptor to another message than its own, so only their order counts.
   * @param {unknown} body a Grant or many, or something else
   */
  #takeDescriptors(body) {
    const all = Array.isArray(body) ? body : [body];
    const count = Math.max(0, ...all.map((each) => (each?.fileDescriptor ?? -1) + 1));
    /** @type {Descriptor[]} */
    const taken = [];
    for (let next; taken.length < count && (next = this.#transport.takeDescriptor()); ) taken.push(next);
    return taken;
  }

  #endIfIdle() {
    if (this.#retired && this.#pending === 0 && this.#grants.size === 0) this.giveUp();
  }
}
