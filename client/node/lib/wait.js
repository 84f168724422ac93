// Waiting for a key: on a connection of its own, so that other calls go on meanwhile.
import { encodeCall } from "./calls.js";
import { Connection } from "./connection.js";
import { DisconnectedError, NoSuchSegmentError, inContext } from "./errors.js";
import { opening } from "./keys.js";
import * as replies from "./replies.js";

/** @typedef {import("./segment.js").Segment} Segment */
/**
 * @typedef {{
 *   target: {key?: string, id?: number},
 *   access: import("../index.js").Access,
 *   waitUsec: number,
 *   signal: AbortSignal | undefined,
 * }} Wait
 */

// How often a wait outlives the end of its connection, as a restart of the daemon is one. A bound, lest a daemon that hangs up on
// every such call be called for ever.
const mostLostWaits = 16;

/**
 * Opens the segment as soon as it is there.
 * @param {string} path the daemon's socket
 * @param {Wait} wait
 * @param {() => Promise<Segment>} open does that, once
 */
export async function openWhenThere(path, wait, open) {
  const end = performance.now() + wait.waitUsec / 1000;
  for (let lostWaits = 0; ; ) {
    /** @type {Connection | undefined} */
    let waited;
    try {
      const left = Math.min(Math.ceil((end - performance.now()) * 1000), Number.MAX_SAFE_INTEGER);
      const present = await open().catch((error) => {
        if (error instanceof NoSuchSegmentError && left > 0 && wait.target.key !== undefined) return undefined;
        throw error;
      });
      if (present) return present;
      waited = await waitFor(path, wait, left);
      return await open();
    } catch (error) {
      // The daemon was restarted, or the segment came and went.
      const lost = error instanceof DisconnectedError && ++lostWaits <= mostLostWaits;
      const gone = error instanceof NoSuchSegmentError && waited !== undefined;
      if (!lost && !gone) throw error;
    } finally {
      // Kept until now: what has come lasts until it is opened here.
      waited?.giveUp();
    }
  }
}

/**
 * The connection on which the wait was answered, with a grant.
 * @param {string} path
 * @param {Wait} wait
 * @param {number} waitUsec
 */
async function waitFor(path, { target, access, signal }, waitUsec) {
  try {
    const connection = await Connection.open(path, signal);
    const message = encodeCall("io.shmd.Segments.Open", { ...target, access, waitUsec });
    const { descriptors } = await connection.call(message, replies.grant, signal);
    for (const descriptor of descriptors) descriptor.close();
    return connection;
  } catch (error) {
    throw inContext(error, opening(target, access));
  }
}
