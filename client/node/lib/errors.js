// What goes wrong: one class for every error of the interface descriptions, and a few for what arises in this process.
import { constants } from "node:os";
import { getSystemErrorName } from "node:util";

/** @typedef {import("../index.js").Holder} Holder */

/** The base of all errors of this package but wrong arguments, which are TypeError and RangeError. */
export class ShmdError extends Error {
  /**
   * @param {string} message
   * @param {{code: string, varlinkName?: string, parameters?: Record<string, unknown>, cause?: unknown}} details
   */
  constructor(message, { code, varlinkName = "", parameters = {}, cause }) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.varlinkName = varlinkName;
    this.parameters = parameters;
  }

  get name() {
    return this.constructor.name;
  }
}

/** No daemon answers, or it cannot be connected to. */
export class ConnectError extends ShmdError {}

/** The daemon went away. */
export class DisconnectedError extends ShmdError {
  /**
   * @param {string} message
   * @param {boolean} maybeDone
   */
  constructor(message, maybeDone) {
    super(message, { code: "ECONNRESET" });
    this.maybeDone = maybeDone;
  }
}

/** The daemon's answer makes no sense. */
export class ProtocolError extends ShmdError {
  /** @param {string} why */
  constructor(why) {
    super(`the daemon's answer makes no sense: ${why}`, { code: "EPROTO" });
  }
}

/** The client, the segment or the watch is closed. */
export class ClosedError extends ShmdError {
  /** @param {string} message */
  constructor(message) {
    super(message, { code: "ERR_SHMD_CLOSED" });
  }
}

/** The time to wait is over. */
export class TimeoutError extends ShmdError {
  constructor(message = "the time is over") {
    super(message, { code: "ETIMEDOUT" });
  }
}

/** This process does not hold the lock, or not any more. */
export class NotLockedError extends ShmdError {
  /** @param {string} message */
  constructor(message) {
    super(message, { code: "EPERM" });
  }
}

/** A writer died in its write section, and nobody has made the content consistent since. */
export class OwnerDiedError extends ShmdError {
  constructor() {
    const why = "it is half written: a writer died in its write section, and nobody has made the content consistent since";
    super(why, { code: "EOWNERDEAD" });
  }
}

/** The segment is open for reading. */
export class ReadOnlyError extends ShmdError {
  constructor(message = "the segment is open for reading: open it with access \"write\"") {
    super(message, { code: "ERR_SHMD_READ_ONLY" });
  }
}

/** The memory cannot be mapped, or not as an ArrayBuffer. */
export class MemoryError extends ShmdError {}

/** The daemon refused. Errors that this version does not know are of this very class. */
export class RemoteError extends ShmdError {}

export class NoSuchSegmentError extends RemoteError {}
export class SegmentExistsError extends RemoteError {}
export class SizeMismatchError extends RemoteError {}
export class InvalidKeyError extends RemoteError {}
export class QuotaExceededError extends RemoteError {}
export class OutOfMemoryError extends RemoteError {}
export class SegmentSealedError extends RemoteError {}
export class NotSealedError extends RemoteError {}
export class NotSealableError extends RemoteError {}
export class SegmentBusyError extends RemoteError {}
export class NoLeaseError extends RemoteError {}
export class CapacityExceededError extends RemoteError {}
export class PlacementUnavailableError extends RemoteError {}
export class DrainingError extends RemoteError {}
export class NoSuchProcessError extends RemoteError {}
export class InvalidConfigurationError extends RemoteError {}
export class SystemVFailedError extends RemoteError {}
export class PermissionDeniedError extends RemoteError {}
export class InvalidParameterError extends RemoteError {}
export class InterfaceNotFoundError extends RemoteError {}
export class MethodNotFoundError extends RemoteError {}
export class MethodNotImplementedError extends RemoteError {}
export class ExpectedMoreError extends RemoteError {}

/** @param {unknown} holders */
function busy(holders) {
  if (!Array.isArray(holders) || holders.length === 0) {
    return "somebody is resizing it, or has it mapped for writing though detached from it";
  }
  return `it is open in ${holders.map((/** @type {Holder} */ { pid, uid }) => `process ${pid} of user ${uid}`).join(", ")}`;
}

/** @typedef {[name: string, type: typeof RemoteError, code: string, words: (p: Record<string, any>) => string]} Known */

/** @type {Known[]} */
const segments = [
  ["NoSuchSegment", NoSuchSegmentError, "ENOENT", ({ key }) => `no segment has this ${key === undefined ? "id" : "key"}`],
  ["SegmentExists", SegmentExistsError, "EEXIST",
    ({ key }) => `the key '${key}' is taken: open that segment, or choose another key`],
  ["SizeMismatch", SizeMismatchError, "ERANGE", ({ sizeBytes }) => `the existing segment has only ${sizeBytes} bytes`],
  ["InvalidKey", InvalidKeyError, "EINVAL",
    ({ key }) => `'${key}' is not a key: 1 to 255 bytes of A-Z a-z 0-9 . _ : / @ + = -, the first one a letter or a digit`],
  ["QuotaExceeded", QuotaExceededError, "EDQUOT", ({ resource, limit }) =>
    `the limit of ${limit} on ${resource} is reached: close or delete something, or have the limit raised`],
  ["OutOfMemory", OutOfMemoryError, "ENOMEM",
    ({ sizeBytes }) => `this machine has not ${sizeBytes} bytes of memory to give`],
  ["SegmentSealed", SegmentSealedError, "EROFS", () => "it is sealed: its content cannot be changed any more"],
  ["NotSealed", NotSealedError, "EBADFD", () => "it is not sealed: its content may still change"],
  ["NotSealable", NotSealableError, "EBADFD", () => "it was created so that it can never be sealed"],
  ["SegmentBusy", SegmentBusyError, "EBUSY", ({ holders }) => busy(holders)],
  ["NoLease", NoLeaseError, "EBADFD", () => "it has no lease"],
  ["CapacityExceeded", CapacityExceededError, "EFBIG",
    ({ capacityBytes }) => `its capacity is ${capacityBytes} bytes, and it cannot grow further`],
  ["PlacementUnavailable", PlacementUnavailableError, "ENODEV",
    ({ setting }) => `this machine has no such memory to give now; ${setting} decides that`],
  ["Draining", DrainingError, "ESHUTDOWN", () => "the daemon is being drained and makes no new segments"],
];

/** @type {Known[]} */
const control = [
  ["NoSuchProcess", NoSuchProcessError, "ESRCH", ({ pid }) => `process ${pid} is not connected`],
  ["InvalidConfiguration", InvalidConfigurationError, "EINVAL", ({ reason }) => `the configuration cannot be used: ${reason}`],
];

/** @type {Known[]} */
const systemV = [
  ["Failed", SystemVFailedError, "", ({ name }) => `the call of System V shared memory fails with ${name}`],
];

/** @type {Known[]} */
const service = [
  ["PermissionDenied", PermissionDeniedError, "EACCES",
    () => `user ${process.geteuid?.()} is not allowed to: the segment's owner and mode decide`],
  ["InvalidParameter", InvalidParameterError, "EINVAL",
    ({ parameter }) => `the daemon does not accept the parameter '${parameter}'`],
  ["InterfaceNotFound", InterfaceNotFoundError, "ENOTSUP",
    (p) => `the daemon has no interface '${p.interface}' at this socket`],
  ["MethodNotFound", MethodNotFoundError, "ENOTSUP", ({ method }) => `the daemon has no method '${method}'`],
  ["MethodNotImplemented", MethodNotImplementedError, "ENOTSUP", ({ method }) => `the daemon does not do '${method}'`],
  ["ExpectedMore", ExpectedMoreError, "ENOTSUP", () => "the method answers more than once"],
];

/** @type {Map<string, Known>} */
const known = new Map();
for (const [prefix, group] of /** @type {[string, Known[]][]} */ ([
  ["io.shmd.Segments.", segments],
  ["io.shmd.Control.", control],
  ["io.shmd.SystemV.", systemV],
  ["org.varlink.service.", service],
])) {
  for (const each of group) known.set(prefix + each[0], each);
}

/** The names of all errors that have a class of their own. */
export const knownErrors = [...known.keys()];

/**
 * An error reply, in our words.
 * @param {string} varlinkName
 * @param {Record<string, unknown>} parameters
 */
export function fromRemote(varlinkName, parameters) {
  const [, Type, code, words] = known.get(varlinkName) ?? [
    "", RemoteError, "EREMOTEIO", () => `the daemon answered ${varlinkName} ${JSON.stringify(parameters)}`,
  ];
  return new Type(words(parameters), { code: code || String(parameters.name), varlinkName, parameters });
}

/**
 * "cannot TRIED: why". Changes the error.
 * @template E
 * @param {E} error
 * @param {string} tried
 * @returns {E}
 */
export function inContext(error, tried) {
  if (error instanceof ShmdError) error.message = `cannot ${tried}: ${error.message}`;
  return error;
}

/**
 * The name of an errno value, such as "ENOENT".
 * @param {number} errno
 */
export function codeOf(errno) {
  try {
    return getSystemErrorName(-errno);
  } catch {
    return Object.entries(constants.errno).find(([, value]) => value === errno)?.[0] ?? `E${errno}`;
  }
}
