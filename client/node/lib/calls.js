// Calls as messages. The daemon closes the connection on what is no call, which would end every grant of it: so that is
// refused here. What is a call but asks for nonsense, the daemon answers.
import { Buffer } from "node:buffer";

import * as limits from "./limits.js";

/**
 * Refuses what JSON, or the daemon's reader of it, cannot take.
 * @param {unknown} value
 * @param {string} name for people
 * @param {number} depth
 */
function check(value, name, depth) {
  if (typeof value === "number" && !Number.isFinite(value)) throw new RangeError(`${name} is ${value}`);
  if (typeof value === "bigint" || typeof value === "function" || typeof value === "symbol") {
    throw new TypeError(`${name} is a ${typeof value}`);
  }
  if (typeof value === "string" && !value.isWellFormed()) throw new TypeError(`${name} is not well-formed Unicode`);
  if (typeof value !== "object" || value === null) return;
  if (depth >= limits.messageDepth) throw new RangeError(`${name} is nested too deeply`);
  for (const [key, item] of Object.entries(value)) {
    if (!key.isWellFormed()) throw new TypeError(`a name in ${name} is not well-formed Unicode`);
    check(item, depth < 2 ? key : name, depth + 1);
  }
}

/**
 * A call, ready to be sent.
 * @param {string} method
 * @param {object} parameters what is undefined or null counts as left out
 * @param {{oneway?: true, more?: true}} [flags]
 * @returns {Buffer}
 */
export function encodeCall(method, parameters, flags) {
  check(method, "the method", 0);
  check(parameters, "the parameters", 1);
  const bytes = Buffer.from(`${JSON.stringify({ method, parameters, ...flags })}\0`);
  if (bytes.length - 1 > limits.messageBytes) {
    throw new RangeError(`the call has ${bytes.length - 1} bytes: the daemon takes ${limits.messageBytes} at most`);
  }
  return bytes;
}
