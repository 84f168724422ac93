import type { Holder } from "./index.js";

/** The base of all errors of this package, but wrong arguments. */
export class ShmdError extends Error {
  /** An errno name, such as "ENOENT", or "ERR_SHMD_...". */
  code: string;
  /** The Varlink error, such as "io.shmd.Segments.NoSuchSegment"; "" when it arose here. */
  varlinkName: string;
  /** The Varlink error's parameters. */
  parameters: Record<string, unknown>;
}

/** No daemon answers, or it cannot be connected to. */
export class ConnectError extends ShmdError {}

/** The daemon went away, or the grant has ended with it. */
export class DisconnectedError extends ShmdError {
  /** Whether the call may have been carried out. */
  maybeDone: boolean;
}

/** The daemon's answer makes no sense. The connection is given up, and with it the grants made on it. */
export class ProtocolError extends ShmdError {}

/** The client, the segment or the watch is closed. */
export class ClosedError extends ShmdError {}

/** The time to wait is over: {@link WaitOptions}. */
export class TimeoutError extends ShmdError {}

/** This process does not hold the lock: it was unlocked already, or its grant has ended, as by {@link Segment.seal} or by an
 * administrator. */
export class NotLockedError extends ShmdError {}

/** The content is half written: a writer died in its write section, and nobody has called it consistent since. Begin a write
 * section, repair, and call {@link WriteSection.makeConsistent}. */
export class OwnerDiedError extends ShmdError {}

/** The segment is open for reading. */
export class ReadOnlyError extends ShmdError {}

/** The memory cannot be mapped, or not as an ArrayBuffer; code EMFILE: this process may open no more files. */
export class MemoryError extends ShmdError {}

/** The daemon refused. Errors that this version does not know are of this very class. */
export class RemoteError extends ShmdError {}

/** No segment has this key or id, or the time to wait is over. */
export class NoSuchSegmentError extends RemoteError {
  declare parameters: { key?: string; id?: number };
}
/** The key is taken. */
export class SegmentExistsError extends RemoteError {
  declare parameters: { key: string };
}
/** The existing segment is smaller than asked for: it has this size. */
export class SizeMismatchError extends RemoteError {
  declare parameters: { sizeBytes: number };
}
/** The key does not follow the grammar. */
export class InvalidKeyError extends RemoteError {
  declare parameters: { key: string };
}
/** A limit is reached: bytes, stagedBytes, segments, attachments, connections, watches, fileDescriptors, messageBytes. */
export class QuotaExceededError extends RemoteError {
  declare parameters: { resource: string; limit: number };
}
/** The machine has not this much memory to give. */
export class OutOfMemoryError extends RemoteError {
  declare parameters: { sizeBytes: number };
}
/** The content is immutable. */
export class SegmentSealedError extends RemoteError {
  declare parameters: { key?: string; id?: number };
}
/** The segment can still be written, and the caller asked for one that cannot. */
export class NotSealedError extends RemoteError {
  declare parameters: { key?: string; id?: number };
}
/** The segment was created with `sealable: false`. */
export class NotSealableError extends RemoteError {
  declare parameters: { key?: string; id?: number };
}
/** Somebody has it open for writing (seal), or at all (resize). */
export class SegmentBusyError extends RemoteError {
  declare parameters: { holders: Holder[] };
}
/** The segment has no lease to renew. */
export class NoLeaseError extends RemoteError {
  declare parameters: { key?: string; id?: number };
}
/** The segment cannot grow so far. */
export class CapacityExceededError extends RemoteError {
  declare parameters: { capacityBytes: number };
}
/** The machine cannot give memory of this kind now. setting: the file or call that decides it. */
export class PlacementUnavailableError extends RemoteError {
  declare parameters: { setting: string };
}
/** The daemon makes no new segments. */
export class DrainingError extends RemoteError {}
/** The process is not connected. */
export class NoSuchProcessError extends RemoteError {
  declare parameters: { pid: number };
}
/** The configuration file cannot be used. */
export class InvalidConfigurationError extends RemoteError {
  declare parameters: { reason: string };
}
/** A call of System V shared memory, with the errno value that it gives. */
export class SystemVFailedError extends RemoteError {
  declare parameters: { name: string; errno: number };
}
/** Mode and identity do not allow it, or the key is reserved for others. */
export class PermissionDeniedError extends RemoteError {}
/** The named parameter is missing, unknown, of the wrong type, or outside its range. */
export class InvalidParameterError extends RemoteError {
  declare parameters: { parameter: string };
}
/** The daemon has no such interface at this socket. */
export class InterfaceNotFoundError extends RemoteError {
  declare parameters: { interface: string };
}
/** The daemon has no such method. */
export class MethodNotFoundError extends RemoteError {
  declare parameters: { method: string };
}
/** The method exists but does not do what was asked for. */
export class MethodNotImplementedError extends RemoteError {
  declare parameters: { method: string };
}
/** The method answers with several replies: callMany(). */
export class ExpectedMoreError extends RemoteError {}
