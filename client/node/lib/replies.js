// Replies from messages: whatever comes is looked at before it is believed. Every function here throws a ProtocolError for
// what makes no sense, and passes over fields that it does not know.
import { ProtocolError, fromRemote } from "./errors.js";

/** @typedef {import("../index.js").SegmentInfo} SegmentInfo */
/** @typedef {import("../index.js").WatchEvent} WatchEvent */
/** @typedef {Record<string, unknown>} Fields */
/**
 * @typedef {{segment: SegmentInfo, created: boolean, attachment: number, fileDescriptor: number}} Grant
 * @typedef {{parameters: Fields, error?: string, continues: boolean}} Reply
 */

const uint32 = 2 ** 32 - 1;

/** @returns {never} */
function broken() {
  throw new ProtocolError("it is not a reply to this call");
}

/** @param {unknown} value @returns {value is Fields} */
const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

/** @param {unknown} value @returns {Fields} */
const object = (value) => (isObject(value) ? value : broken());

/**
 * @param {unknown} value
 * @param {number} least
 * @param {number} most
 */
function integer(value, least = Number.MIN_SAFE_INTEGER, most = Number.MAX_SAFE_INTEGER) {
  if (typeof value !== "number" || !Number.isInteger(value) || value < least || value > most) return broken();
  return value;
}

/** @param {unknown} value */
const boolean = (value) => (typeof value === "boolean" ? value : broken());

/** @param {unknown} value */
const text = (value) => (typeof value === "string" ? value : broken());

/**
 * @template {string} T
 * @param {unknown} value
 * @param {readonly T[]} names
 * @returns {T}
 */
const oneOf = (value, names) => (names.includes(/** @type {T} */ (value)) ? /** @type {T} */ (value) : broken());

/**
 * Null and missing are the same.
 * @template T
 * @param {unknown} value
 * @param {(value: unknown) => T} read
 */
const nullable = (value, read) => (value === undefined || value === null ? null : read(value));

/**
 * @template T
 * @param {unknown} value
 * @param {(value: unknown) => T} read
 * @returns {T[]}
 */
const array = (value, read) => (Array.isArray(value) ? value.map(read) : broken());

const states = /** @type {const} */ (["staged", "live", "deleted"]);
const lifetimes = /** @type {const} */ (["persistent", "attached", "creator", "lease"]);
const hugePages = /** @type {const} */ (["none", "transparent", "huge2M", "huge1G"]);
const accesses = /** @type {const} */ (["read", "write"]);
const events = /** @type {const} */ ([
  "present", "ready", "created", "published", "replaced", "sealed", "resized", "changed", "attached", "detached", "deleted",
  "expired", "evicted", "lost",
]);

/** @param {unknown} value @returns {Readonly<Record<string, string>>} */
function labels(value) {
  const all = object(value ?? {});
  for (const label of Object.values(all)) text(label);
  return Object.freeze(/** @type {Record<string, string>} */ (all));
}

/** @param {unknown} value @returns {import("../index.js").AclEntry} */
function aclEntry(value) {
  const entry = object(value);
  const access = oneOf(entry.access, accesses);
  const uid = nullable(entry.uid, (id) => integer(id, 0, uint32));
  const gid = nullable(entry.gid, (id) => integer(id, 0, uint32));
  if (uid !== null && gid === null) return { uid, access };
  if (gid !== null && uid === null) return { gid, access };
  return broken();
}

/** @param {unknown} value @returns {SegmentInfo} */
export function segmentInfo(value) {
  const from = object(value);
  const info = {
    id: integer(from.id),
    key: nullable(from.key, text),
    sizeBytes: integer(from.sizeBytes, 1),
    mode: integer(from.mode),
    ownerUid: integer(from.ownerUid, 0, uint32),
    ownerGid: integer(from.ownerGid, 0, uint32),
    creatorUid: integer(from.creatorUid, 0, uint32),
    creatorGid: integer(from.creatorGid, 0, uint32),
    creatorPid: integer(from.creatorPid),
    state: oneOf(from.state, states),
    sealed: boolean(from.sealed),
    attachments: integer(from.attachments, 0),
    createdUsec: integer(from.createdUsec),
    attachedUsec: nullable(from.attachedUsec, integer),
    detachedUsec: nullable(from.detachedUsec, integer),
    changedUsec: integer(from.changedUsec),
    expiresUsec: nullable(from.expiresUsec, integer),
    evictable: boolean(from.evictable),
    labels: labels(from.labels),
    lifetime: oneOf(from.lifetime, lifetimes),
    leaseUsec: nullable(from.leaseUsec, integer),
    acl: nullable(from.acl, (acl) => array(acl, aclEntry)),
    capacityBytes: integer(from.capacityBytes, 1),
    hugePages: oneOf(from.hugePages, hugePages),
    numaNodes: nullable(from.numaNodes, (nodes) => array(nodes, (node) => integer(node, 0, uint32))),
  };
  if (info.capacityBytes < info.sizeBytes) broken();
  return Object.freeze(info);
}

/** @param {unknown} value @returns {Grant} */
export function grant(value) {
  const from = object(value);
  return {
    segment: segmentInfo(from.segment),
    created: nullable(from.created, boolean) ?? false,
    attachment: integer(from.attachment, 1, uint32),
    fileDescriptor: integer(from.fileDescriptor, 0, 2 ** 31 - 1),
  };
}

/** @param {Fields} parameters */
export const syncArea = (parameters) => ({ fileDescriptor: integer(parameters.fileDescriptor, 0, 2 ** 31 - 1) });

/** @param {Fields} parameters @returns {Grant[]} */
export const grants = (parameters) => array(parameters.grants, grant);

/** @param {Fields} parameters @returns {(Grant | import("./errors.js").RemoteError)[]} */
export function openResults(parameters) {
  return array(parameters.results, (value) => {
    const result = object(value);
    const error = nullable(result.error, text);
    const granted = nullable(result.grant, grant);
    if (error !== null && granted === null) return fromRemote(error, object(result.parameters ?? {}));
    return error === null && granted !== null ? granted : broken();
  });
}

/** @param {Fields} parameters @returns {SegmentInfo} */
export const oneSegment = (parameters) => segmentInfo(parameters.segment);

/** A listing of none answers with null. @param {Fields} parameters @returns {SegmentInfo | null} */
export const maybeSegment = (parameters) => nullable(parameters.segment, segmentInfo);

/** @param {Fields} parameters @returns {number[]} */
export const resumed = (parameters) => array(parameters.attachments, (attachment) => integer(attachment, 1, uint32));

/** @param {Fields} parameters @returns {WatchEvent} */
export function watchEvent(parameters) {
  const event = oneOf(parameters.event, events);
  const segment = nullable(parameters.segment, segmentInfo);
  return /** @type {WatchEvent} */ ({ event, segment });
}

/** @param {Fields} parameters */
export const nothing = (parameters) => void parameters;

/** @param {Fields} parameters */
export const raw = (parameters) => parameters;

/**
 * The envelope of a reply.
 * @param {string} message
 * @returns {Reply}
 */
export function decodeReply(message) {
  let root;
  try {
    root = JSON.parse(message);
  } catch {
    throw new ProtocolError("it is not JSON");
  }
  const { parameters, error, continues } = object(root);
  return {
    parameters: object(parameters ?? {}),
    error: nullable(error, text) ?? undefined,
    continues: nullable(continues, boolean) ?? false,
  };
}
