// A grant that this process has, and the connection that has it now. Knows nothing of memory.
import { encodeCall } from "./calls.js";
import { DisconnectedError } from "./errors.js";

/** @typedef {import("./connection.js").Connection} Connection */

export class Attachment {
  #connection;
  #id;
  #ended = false;

  /**
   * @param {Connection} connection
   * @param {number} id
   */
  constructor(connection, id) {
    this.#connection = connection;
    this.#id = id;
    connection.hold(id);
  }

  /** Its number, 1 to 2^32-1. */
  get id() {
    return this.#id;
  }

  /**
   * The connection that has it: the one that gave it, or one that took it up after a restart of the daemon.
   * @returns {Promise<Connection>}
   */
  async connection() {
    while (this.#connection.ended) {
      const next = await this.#connection.successor();
      if (!next.holds(this.#id)) {
        const why = "the connection that it was granted on has ended, and it with it: open or create it again";
        throw new DisconnectedError(why, false);
      }
      this.#connection = next;
    }
    return this.#connection;
  }

  /**
   * Another grant of the same segment, by the same connection, takes its place; this one ends.
   * @param {number} id
   */
  exchange(id) {
    const before = this.#id;
    this.#connection.hold(id);
    this.#id = id;
    this.#connection.letGo(before);
    this.#connection.notify(detach(before));
  }

  /** Ends it. The daemon is told without waiting for it. May be repeated. */
  end() {
    if (this.#ended) return;
    this.#ended = true;
    while (!this.#connection.notify(detach(this.#id))) {
      const ended = this.#connection;
      const next = ended.presentSuccessor;
      ended.letGo(this.#id);
      if (!next) {
        // A successor that is being made sees that it was let go; without one nobody would tell the daemon.
        if (!ended.succession) return void ended.giveBack(this.#id);
        return void ended.succession.catch(() => ended.giveBack(this.#id));
      }
      if (!next.holds(this.#id)) return;
      this.#connection = next;
    }
    this.#connection.letGo(this.#id);
  }
}

/** @param {number} attachment */
export function detach(attachment) {
  return encodeCall("io.shmd.Segments.Detach", { attachment }, { oneway: true });
}
