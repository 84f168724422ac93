// How a caller names a segment.

/** @typedef {import("../index.js").Key} Key */
/** @typedef {import("../index.js").Target} Target */

/**
 * The key that stands for a System V integer key: 0xff3 gives "sysv:0x00000ff3", -1 "sysv:0xffffffff".
 * @param {number} key
 */
export function systemVKey(key) {
  if (!Number.isInteger(key) || key < -(2 ** 31) || key >= 2 ** 32) {
    throw new RangeError(`${key} is not a System V key: an integer of 32 bits`);
  }
  return `sysv:0x${(key >>> 0).toString(16).padStart(8, "0")}`;
}

/**
 * A key as the daemon knows it.
 * @param {Key} key
 */
export function keyOf(key) {
  if (typeof key === "string") return key;
  if (typeof key === "number") return systemVKey(key);
  throw new TypeError("a key is a string, or an integer that is a System V key");
}

/**
 * {key} or {id} for a call.
 * @param {Target} target
 * @returns {{key: string} | {id: number}}
 */
export function targetOf(target) {
  if (typeof target !== "object" || target === null) return { key: keyOf(target) };
  if ("key" in target && target.key !== undefined) return { key: keyOf(target.key) };
  const { id } = /** @type {{id: number}} */ (target);
  if (!Number.isSafeInteger(id)) throw new TypeError("a segment is named by its key, or by {id} with an integer");
  return { id };
}

/**
 * For people.
 * @param {{key?: string, id?: number}} target
 */
export function named(target) {
  return target.key === undefined ? `segment ${target.id}` : `segment '${target.key}'`;
}

/**
 * What an open tries, for people.
 * @param {{key?: string, id?: number}} target
 * @param {import("../index.js").Access} access
 */
export function opening(target, access) {
  return `open ${named(target)} for ${access === "write" ? "writing" : "reading"}`;
}
