/*
 * System V shared memory from the shmd service: shmget(2), shmat(2), shmdt(2) and shmctl(2) under names of their own, for
 * programs that call them knowingly. A segment is the same whether it is reached here, by the drop-in library
 * libshmd-sysv.so, or under its key "sysv:0x00000ff3" by shmd_open().
 *
 * Arguments, results and errno are those of the manual pages, in their order of precedence; shmdctl(1) says where the two
 * differ. Beside them: ENOSYS when no daemon answers, which is said on stderr once; EIO when the daemon went away in the
 * middle of a call that cannot be made again. With $SHMD_SYSV_FALLBACK set to "kernel", a process that finds no daemon at its
 * first call is served by the kernel from then on.
 *
 * All may be called from any thread, from signal handlers, and in the child of a fork(2), which inherits what is attached.
 */
#ifndef SHMD_SYSV_H
#define SHMD_SYSV_H

#include <stddef.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define SHMD_SYSV_API __attribute__((visibility("default")))
#else
#define SHMD_SYSV_API
#endif

/* The id of the segment with this key, or of a new one; -1 and errno. size: bytes. */
SHMD_SYSV_API int shmd_shmget(key_t key, size_t size, int flags);

/* Where the segment is now mapped; (void *)-1 and errno. */
SHMD_SYSV_API void *shmd_shmat(int id, const void *address, int flags);

/* The same, and the segment's exact size in bytes, without a shmctl() for it. size may be NULL. */
SHMD_SYSV_API void *shmd_shmat_sized(int id, const void *address, int flags, size_t *size);

/* Ends the attachment that begins at this address; -1 and errno. */
SHMD_SYSV_API int shmd_shmdt(const void *address);

/* -1 and errno. */
SHMD_SYSV_API int shmd_shmctl(int id, int command, struct shmid_ds *buffer);

#ifdef __cplusplus
}
#endif

#endif
