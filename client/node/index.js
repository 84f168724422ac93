// shmd: shared memory segments by key, from the shmd service of this machine. index.d.ts documents all of it.
import { Client } from "./lib/client.js";

export { Client } from "./lib/client.js";
export { Segment } from "./lib/segment.js";
export { Lock, WriteSection } from "./lib/lock.js";
export { Watch } from "./lib/watch.js";
export { ReadOnlyDataView } from "./lib/views.js";
export { systemVKey } from "./lib/keys.js";
export {
  CapacityExceededError,
  ClosedError,
  ConnectError,
  DisconnectedError,
  DrainingError,
  ExpectedMoreError,
  InterfaceNotFoundError,
  InvalidConfigurationError,
  InvalidKeyError,
  InvalidParameterError,
  MemoryError,
  MethodNotFoundError,
  MethodNotImplementedError,
  NoLeaseError,
  NoSuchProcessError,
  NoSuchSegmentError,
  NotSealableError,
  NotLockedError,
  NotSealedError,
  OutOfMemoryError,
  OwnerDiedError,
  PermissionDeniedError,
  PlacementUnavailableError,
  ProtocolError,
  QuotaExceededError,
  ReadOnlyError,
  RemoteError,
  SegmentBusyError,
  SegmentExistsError,
  SegmentSealedError,
  ShmdError,
  SizeMismatchError,
  SystemVFailedError,
  TimeoutError,
} from "./lib/errors.js";

/** @param {Parameters<typeof Client.connect>[0]} [options] */
export const connect = (options) => Client.connect(options);
