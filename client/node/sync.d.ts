import type { ClosedError, NotLockedError, OwnerDiedError, Segment, TimeoutError } from "./index.js";

/**
 * A segment's locks, write sections and version: see {@link Segment.lock} and what follows it there.
 *
 * They are in 4096 bytes of memory of their own, the segment's sync area, which the daemon is asked for at the first use. From
 * then on locking is a few instructions, and the daemon comes in again only when somebody dies.
 *
 * A holder is a segment that is open: two that this process has opened exclude each other, and so do two asynchronous flows that
 * use the same one. A lock is not recursive: a flow that takes it twice waits for itself.
 */

export interface WaitOptions {
  /** Milliseconds, as in setTimeout(): a {@link TimeoutError} comes then. 0 makes one attempt. Default Infinity. */
  timeout?: number;
  /** Ends the wait: it rejects with the signal's reason. */
  signal?: AbortSignal;
}

/**
 * A lock that this process holds. Unlock it, or declare it with `using`. One that is forgotten is held until the segment is closed or
 * the process ends, and then counts as one whose owner died.
 */
export class Lock implements Disposable, AsyncDisposable {
  private constructor();
  /** False once it was unlocked here. */
  readonly held: boolean;
  /** True when a holder ended without unlocking, and nobody has made consistent since what the lock protects: it may be half
   * changed. */
  readonly ownerDied: boolean;
  /**
   * Says that what the lock protects is whole again; until then every next holder is told. After the end of a writer in a
   * write section it also lets snapshots be taken again.
   * @throws {NotLockedError} also for a read lock
   */
  makeConsistent(): void;
  /** Unlocks it, and wakes who waits. @throws {NotLockedError} {@link ClosedError} when the segment is closed: then whoever comes
   * next was told that the owner died */
  unlock(): void;
  /** unlock(), unless that has been done. */
  [Symbol.dispose](): void;
  [Symbol.asyncDispose](): Promise<void>;
}

/** A write section that this process is in. End it, or declare it with `using`. */
export class WriteSection implements Disposable, AsyncDisposable {
  private constructor();
  /** False once it was ended here. */
  readonly held: boolean;
  /** As {@link Lock.ownerDied}: the content may be half written. */
  readonly ownerDied: boolean;
  /**
   * Says that the content will be whole at the end of this section. Without it, after a death, snapshots go on to fail with an
   * {@link OwnerDiedError}.
   * @throws {NotLockedError}
   */
  makeConsistent(): void;
  /** Ends it. @throws as {@link Lock.unlock} */
  end(): void;
  /** end(), unless that has been done. */
  [Symbol.dispose](): void;
  [Symbol.asyncDispose](): Promise<void>;
}
