// The daemon as an object. Knows when to connect anew, and which calls may be made twice.
import { encodeCall } from "./calls.js";
import { Connection } from "./connection.js";
import { ClosedError, DisconnectedError, ProtocolError, ShmdError, inContext } from "./errors.js";
import { keyOf, named, opening, targetOf } from "./keys.js";
import * as limits from "./limits.js";
import { findSocket } from "./paths.js";
import * as replies from "./replies.js";
import { openSegment } from "./segment.js";
import { openWhenThere } from "./wait.js";
import { Watch } from "./watch.js";

/** @typedef {import("./native.js").Descriptor} Descriptor */
/** @typedef {import("./replies.js").Grant} Grant */
/** @typedef {import("./replies.js").Fields} Fields */
/** @typedef {import("../index.js").Access} Access */
/** @typedef {import("../index.js").Key} Key */
/** @typedef {import("../index.js").Target} Target */
/** @typedef {import("../index.js").CreateOptions} CreateOptions */
/** @typedef {import("../index.js").CreateRequest} CreateRequest */
/** @typedef {import("../index.js").OpenOptions} OpenOptions */
/** @typedef {import("../index.js").SegmentInfo} SegmentInfo */
/** @typedef {import("./segment.js").Segment} Segment */
/** @typedef {{key?: string, id?: number}} Named */

/**
 * What Create takes.
 * @param {Key | null | undefined} key
 * @param {number} sizeBytes
 * @param {CreateOptions} options
 */
function creation(key, sizeBytes, { strayWrites: _, ...options }) {
  if (!Number.isSafeInteger(sizeBytes)) throw new RangeError(`sizeBytes is no size: ${sizeBytes}`);
  return { key: key === undefined || key === null ? undefined : keyOf(key), sizeBytes, ...options };
}

/**
 * One of the grants of a reply that has many.
 * @param {Grant} grant
 * @param {{descriptors: Descriptor[], lost: boolean}} answer
 */
const oneOf = (grant, { descriptors, lost }) => ({ grant, descriptor: descriptors[grant.fileDescriptor], lost });

/** @param {{descriptors: Descriptor[]}} answer */
function closeAll({ descriptors }) {
  for (const descriptor of descriptors) descriptor.close();
}

export class Client {
  #path;
  /** @type {Connection | undefined} */
  #current;
  /** @type {Promise<Connection> | undefined} */
  #connecting;
  #closed = false;

  /** @param {string} path of the daemon's socket */
  constructor(path) {
    this.#path = path;
  }

  /** @param {{socket?: string, control?: boolean, signal?: AbortSignal}} [options] */
  static async connect({ socket, control = false, signal } = {}) {
    const client = new Client(socket ?? (await findSocket(control ? "control" : "segments")));
    client.#current = await Connection.open(client.#path, signal);
    return client;
  }

  get socketPath() {
    return this.#path;
  }

  /**
   * @param {Key | null | undefined} key
   * @param {number} sizeBytes
   * @param {CreateOptions} [options]
   * @returns {Promise<Segment>}
   */
  async create(key, sizeBytes, options = {}) {
    const parameters = creation(key, sizeBytes, options);
    const access = options.access ?? "write";
    // The second time it finds what the first one made.
    const repeatable = parameters.key !== undefined && options.createMode === "any" && !options.staged;
    const what = parameters.key === undefined ? "a segment" : `segment '${parameters.key}'`;
    const message = encodeCall("io.shmd.Segments.Create", parameters);
    return this.#carryOut(`create ${what} of ${sizeBytes} bytes`, repeatable, async (connection) => {
      const answer = await connection.call(message, replies.grant);
      return this.#openOne(connection, answer, access, options.strayWrites);
    });
  }

  /**
   * @param {readonly CreateRequest[]} requests
   * @returns {Promise<Segment[]>}
   */
  async createMany(requests) {
    const segments = requests.map(({ key, sizeBytes, ...options }) => creation(key, sizeBytes, options));
    const message = encodeCall("io.shmd.Segments.CreateMany", { segments });
    return this.#carryOut(`create ${segments.length} segments`, false, async (connection) => {
      const answer = await connection.call(message, replies.grants);
      try {
        const count = answer.body.length;
        if (count !== requests.length) throw new ProtocolError("it has not as many grants as it should");
        return this.#openAll(connection, answer, requests);
      } catch (error) {
        if (error instanceof ProtocolError) connection.giveUp();
        throw error;
      } finally {
        closeAll(answer);
      }
    });
  }

  /**
   * @param {Target} target
   * @param {OpenOptions} [options]
   * @returns {Promise<Segment>}
   */
  async open(target, { access = "read", sealed, waitUsec = 0, signal, strayWrites } = {}) {
    signal?.throwIfAborted();
    const segment = targetOf(target);
    if (Number.isNaN(waitUsec) || waitUsec < 0) throw new RangeError(`waitUsec is no time: ${waitUsec}`);
    const open = () => this.#open(segment, access, sealed, strayWrites);
    return waitUsec > 0 ? openWhenThere(this.#path, { target: segment, access, waitUsec, signal }, open) : open();
  }

  /**
   * @param {readonly Target[]} targets
   * @param {{access?: Access, strayWrites?: import("../index.js").StrayWrites}} [options]
   * @returns {Promise<(Segment | ShmdError)[]>}
   */
  async openMany(targets, { access = "read", strayWrites } = {}) {
    const segments = targets.map(targetOf);
    /** @type {(Segment | ShmdError)[]} */
    const all = [];
    try {
      while (all.length < segments.length) {
        const some = segments.slice(all.length, all.length + limits.batch);
        all.push(...(await this.#openSome(some, access, strayWrites)));
      }
    } catch (error) {
      for (const each of all) if (!(each instanceof Error)) each.close();
      throw error;
    }
    return all;
  }

  /** @param {Target} target @returns {Promise<SegmentInfo>} */
  async describe(target) {
    return this.#segmentFrom("describe", "Describe", target);
  }

  /**
   * @param {string} [prefix]
   * @returns {AsyncGenerator<SegmentInfo, undefined, undefined>}
   */
  async *list(prefix) {
    // All at once: the connection is free for other calls before the first is told.
    const message = encodeCall("io.shmd.Segments.List", { prefix }, { more: true });
    const all = await this.#carryOut("list segments", true, (connection) =>
      connection.callForMany(message, replies.maybeSegment),
    );
    for (const segment of all) if (segment) yield segment;
    return undefined;
  }

  /**
   * @param {string} [prefix]
   * @param {{signal?: AbortSignal}} [options]
   */
  watch(prefix, { signal } = {}) {
    if (this.#closed) throw new ClosedError("the client is closed");
    return new Watch(this.#path, prefix, signal);
  }

  /**
   * @param {Target} target
   * @param {import("../index.js").Attributes} attributes
   * @returns {Promise<SegmentInfo>}
   */
  async setAttributes(target, attributes) {
    return this.#segmentFrom("change", "SetAttributes", target, attributes);
  }

  /** @param {Target} target @returns {Promise<SegmentInfo>} */
  async renew(target) {
    return this.#segmentFrom("renew the lease of", "Renew", target);
  }

  /** @param {Target} target @returns {Promise<SegmentInfo>} */
  async seal(target) {
    return this.#segmentFrom("seal", "Seal", target);
  }

  /**
   * @param {Target} target
   * @param {number} sizeBytes
   * @returns {Promise<SegmentInfo>}
   */
  async resize(target, sizeBytes) {
    if (!Number.isSafeInteger(sizeBytes)) throw new RangeError(`sizeBytes is no size: ${sizeBytes}`);
    return this.#segmentFrom("resize", "Resize", target, { sizeBytes });
  }

  /** @param {Target} target @returns {Promise<void>} */
  async delete(target) {
    const segment = targetOf(target);
    const message = encodeCall("io.shmd.Segments.Delete", segment);
    await this.#carryOut(`delete ${named(segment)}`, false, (connection) => connection.call(message, replies.nothing));
  }

  /**
   * @param {string} method
   * @param {object} [parameters]
   * @returns {Promise<Fields>}
   */
  async call(method, parameters = {}) {
    const message = encodeCall(method, parameters);
    const answer = await this.#carryOut(`call ${method}`, false, (connection) => connection.call(message, replies.raw));
    closeAll(answer);
    return answer.body;
  }

  /**
   * @param {string} method
   * @param {object} [parameters]
   * @returns {AsyncGenerator<Fields, undefined, undefined>}
   */
  async *callMany(method, parameters = {}) {
    const message = encodeCall(method, parameters, { more: true });
    yield* await this.#carryOut(`call ${method}`, false, (connection) => connection.callForMany(message, replies.raw));
    return undefined;
  }

  /** Not async: all is done when it returns. */
  close() {
    this.#closed = true;
    this.#current?.retire();
    this.#current = undefined;
    return Promise.resolve();
  }

  [Symbol.asyncDispose ?? Symbol.for("Symbol.asyncDispose")]() {
    return this.close();
  }

  // ---- Connections ----

  /** @returns {Promise<Connection>} */
  async #connection() {
    if (this.#closed) throw new ClosedError("the client is closed");
    if (this.#current?.usable) return this.#current;
    this.#connecting ??= this.#connectAnew().finally(() => (this.#connecting = undefined));
    return this.#connecting;
  }

  async #connectAnew() {
    let current = this.#current;
    // Whoever this process is now, it may take up what it had.
    while (current?.ended) current = await current.successor();
    if (!current?.usable) current = await Connection.open(this.#path);
    if (this.#closed) {
      current.retire();
      throw new ClosedError("the client is closed");
    }
    return (this.#current = current);
  }

  /**
   * Makes a call. One that has not reached a daemon is made again, once, and so is one that was not answered when the second
   * time changes nothing more.
   * @template T
   * @param {string} tried for people
   * @param {boolean} repeatable
   * @param {(connection: Connection) => Promise<T>} attempt
   * @returns {Promise<T>}
   */
  async #carryOut(tried, repeatable, attempt) {
    for (let last = false; ; last = true) {
      try {
        return await attempt(await this.#connection());
      } catch (error) {
        const again = error instanceof DisconnectedError && (!error.maybeDone || repeatable) && !last;
        if (!again) throw inContext(error, tried);
      }
    }
  }

  /**
   * All of these may be carried out twice: the second time changes nothing more.
   * @param {string} tried
   * @param {string} method
   * @param {Target} target
   * @param {object} [parameters]
   */
  async #segmentFrom(tried, method, target, parameters) {
    const segment = targetOf(target);
    const message = encodeCall(`io.shmd.Segments.${method}`, { ...parameters, ...segment });
    const answer = await this.#carryOut(`${tried} ${named(segment)}`, true, (connection) =>
      connection.call(message, replies.oneSegment),
    );
    return answer.body;
  }

  // ---- Opening ----

  /**
   * @param {Connection} connection
   * @param {{body: Grant, descriptors: Descriptor[], lost: boolean}} answer
   * @param {Access} access
   * @param {import("../index.js").StrayWrites} [strayWrites]
   */
  #openOne(connection, answer, access, strayWrites) {
    try {
      return openSegment(connection, oneOf(answer.body, answer), access, strayWrites);
    } finally {
      closeAll(answer);
    }
  }

  /**
   * All or none of those that were created.
   * @param {Connection} connection
   * @param {{body: Grant[], descriptors: Descriptor[], lost: boolean}} answer
   * @param {readonly CreateRequest[]} requests
   */
  #openAll(connection, answer, requests) {
    /** @type {Segment[]} */
    const made = [];
    let failure;
    for (const [i, grant] of answer.body.entries()) {
      const { access = "write", strayWrites } = /** @type {CreateRequest} */ (requests[i]);
      try {
        made.push(openSegment(connection, oneOf(grant, answer), access, strayWrites));
      } catch (error) {
        failure = error;
      }
    }
    if (!failure) return made;
    for (const segment of made) {
      const { id } = segment;
      if (segment.created) connection.notify(encodeCall("io.shmd.Segments.Delete", { id }, { oneway: true }));
      segment.close();
    }
    throw failure;
  }

  /**
   * @param {Named} target
   * @param {Access} access
   * @param {boolean | undefined} sealed
   * @param {import("../index.js").StrayWrites} [strayWrites]
   */
  async #open(target, access, sealed, strayWrites) {
    const message = encodeCall("io.shmd.Segments.Open", { ...target, access, sealed });
    return this.#carryOut(opening(target, access), true, async (connection) =>
      this.#openOne(connection, await connection.call(message, replies.grant), access, strayWrites),
    );
  }

  /**
   * One batch.
   * @param {Named[]} targets
   * @param {Access} access
   * @param {import("../index.js").StrayWrites} [strayWrites]
   */
  async #openSome(targets, access, strayWrites) {
    const message = encodeCall("io.shmd.Segments.OpenMany", { targets, access });
    return this.#carryOut("open segments", true, async (connection) => {
      const answer = await connection.call(message, replies.openResults);
      try {
        if (answer.body.length !== targets.length) {
          connection.giveUp();
          throw new ProtocolError("it has not as many results as it was asked for");
        }
        return answer.body.map((result, i) => {
          const tried = opening(/** @type {Named} */ (targets[i]), access);
          if (result instanceof Error) return inContext(result, tried);
          try {
            return openSegment(connection, oneOf(result, answer), access, strayWrites);
          } catch (error) {
            return inContext(/** @type {ShmdError} */ (error), tried);
          }
        });
      } finally {
        closeAll(answer);
      }
    });
  }
}
