/*
 * libshmd: locks, snapshots, versions and wake-ups for processes that share a segment. They work between any two languages and
 * containers, and survive the death of everybody: when a process ends, however it does, the daemon gives back what it held,
 * tells the next holder, and wakes whoever waits.
 *
 * Every segment has one mutex, one readers-writer lock, one sequence for write sections, and one version; several of each are
 * several segments. They lie in memory of their own beside the segment, which the first of these calls opens. After that,
 * locking and unlocking what nobody else holds makes no system call.
 *
 * Locks need a segment that is open for writing; -EACCES else. What is open for reading has shmd_snapshot(), shmd_begin_read(),
 * shmd_wait(), shmd_get_version() and shmd_notification_fd().
 *
 * A previous holder that died. A function that takes a lock then returns SHMD_OWNER_DIED, which is no failure: the lock is held,
 * and what it protects may be half changed. Repair that and call shmd_make_consistent(); until somebody does, every next holder
 * is told. So test for failure with < 0.
 *
 * Who holds. A lock is held by the grant, thus by the process: any thread may unlock it, and no lock is recursive. A child made by
 * fork(2) holds nothing of its parent's, and all of these calls give -EPERM there: it opens the segment itself.
 * Sealing a segment ends what it holds, and must not happen while another thread uses its locks.
 * Closing a segment that still holds a lock is as if its process had died.
 *
 * Timeouts are microseconds; -1 waits without an end, 0 not at all. All calls may give, beside the values of shmd.h:
 *   -ETIMEDOUT   the time was over
 *   -EDEADLK     this thread holds the lock already, by this segment
 *   -EPERM       to unlock: this segment does not hold it (any more; an administrator may have taken it away)
 *   -ECONNRESET  the daemon has gone, and with it the grant: it kept nothing over its end
 *   -EFAULT      somebody who may write the segment has destroyed the memory of the locks
 */
#ifndef SHMD_SYNC_H
#define SHMD_SYNC_H

#include <shmd/shmd.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The lock is held, and its previous holder died with it. */
#define SHMD_OWNER_DIED 1

/* The mutex. 0, SHMD_OWNER_DIED, or a failure. */
SHMD_API int shmd_lock(shmd_segment *segment, int64_t timeout_usec);
SHMD_API int shmd_unlock(shmd_segment *segment);

/* The readers-writer lock: up to 896 readers at a time, or one writer. A writer that waits keeps new readers out, so a thread that
 * takes it for reading twice may wait for itself. Independent of the mutex. */
SHMD_API int shmd_read_lock(shmd_segment *segment, int64_t timeout_usec);
SHMD_API int shmd_read_unlock(shmd_segment *segment);
SHMD_API int shmd_write_lock(shmd_segment *segment, int64_t timeout_usec);
SHMD_API int shmd_write_unlock(shmd_segment *segment);

/* Says that what is protected is whole again, for the mutex and the write lock as far as this thread has taken them by this segment; if
 * neither, as far as another thread has. -EPERM: they are not held. */
SHMD_API int shmd_make_consistent(shmd_segment *segment);

/*
 * A write section: takes the mutex, and tells who reads without a lock that the content is being changed. Returns as shmd_lock().
 * Should a writer die in a section, snapshots fail with -EOWNERDEAD until the next section has ended in which
 * shmd_make_consistent() was called.
 */
SHMD_API int shmd_begin_write(shmd_segment *segment, int64_t timeout_usec);
SHMD_API int shmd_end_write(shmd_segment *segment);

/*
 * Copies length bytes from this offset of the segment, as they were between two write sections. Takes no lock and keeps nobody
 * waiting. -EINVAL: beyond the segment's size. -ETIMEDOUT: somebody was writing all the time. -EOWNERDEAD.
 */
SHMD_API int shmd_snapshot(shmd_segment *segment, uint64_t offset, void *buffer, size_t length, int64_t timeout_usec);

/*
 * The same without a copy: read between both, and believe nothing of it (no length, no index) until shmd_end_read() says 0.
 * -EAGAIN: somebody wrote meanwhile, begin again.
 */
SHMD_API int shmd_begin_read(shmd_segment *segment, int64_t timeout_usec, uint64_t *sequence);
SHMD_API int shmd_end_read(shmd_segment *segment, uint64_t sequence);

/* The version: 0 at first, one more with every shmd_notify(). */
SHMD_API int shmd_get_version(shmd_segment *segment, uint64_t *version);

/* Adds 1 to the version and wakes all who wait for it. Needs a segment that is open for writing. version: the new one; may be
 * NULL. Everything written before is seen by who has waited for it. */
SHMD_API int shmd_notify(shmd_segment *segment, uint64_t *version);

/* Waits for a version above `after`. version: the one there is then, which may be higher by more than 1; may be NULL. */
SHMD_API int shmd_wait(shmd_segment *segment, uint64_t after, int64_t timeout_usec, uint64_t *version);

/*
 * A descriptor for poll(2), epoll and event loops, or a negative errno value: readable when there was a shmd_notify() since it was
 * made or last read. Read eight bytes from it (eventfd(2)), then look at shmd_get_version(). The segment owns it, always the
 * same one; a thread of the library serves it.
 */
SHMD_API int shmd_notification_fd(shmd_segment *segment);

#ifdef __cplusplus
}
#endif

#endif
