/*
 * How a client waits: times, futexes, and how long to look before sleeping. What for is sync_core.h's. For C and C++, as inline
 * functions; C programs define _GNU_SOURCE. Times are absolute, nanoseconds of CLOCK_MONOTONIC.
 */
#ifndef SHMD_SYNC_WAIT_H
#define SHMD_SYNC_WAIT_H

#include <errno.h>
#include <linux/futex.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "sync_area.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Times ---- */

#define SHMD_SYNC_FOREVER INT64_MAX
/* A deadline that does not wait at all. */
#define SHMD_SYNC_NOW 0

static inline int64_t shmd_sync_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* The deadline so many microseconds from now; a negative number is for ever. */
static inline int64_t shmd_sync_deadline(int64_t timeout_usec) {
    if (timeout_usec < 0) return SHMD_SYNC_FOREVER;
    if (timeout_usec == 0) return SHMD_SYNC_NOW;
    int64_t now = shmd_sync_now();
    return timeout_usec > (INT64_MAX - 1 - now) / 1000 ? SHMD_SYNC_FOREVER - 1 : now + timeout_usec * 1000;
}

static inline void shmd_sync_pause(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb" ::: "memory");
#else
    __asm__ volatile("" ::: "memory");
#endif
}

static inline void shmd_sync_nap(int64_t nanoseconds) {
    struct timespec length;
    length.tv_sec = 0;
    length.tv_nsec = (long)nanoseconds;
    int saved = errno;
    (void)nanosleep(&length, NULL);
    errno = saved;
}

/* ---- Futexes ---- */

/* 0: woken. -EAGAIN: *word is not expected. */
static inline int shmd_sync_futex_wait(uint32_t *word, uint32_t expected, int64_t deadline) {
    struct timespec until;
    until.tv_sec = (time_t)(deadline / 1000000000);
    until.tv_nsec = (long)(deadline % 1000000000);
    int saved = errno;
    long slept = syscall(SYS_futex, word, FUTEX_WAIT_BITSET, expected, deadline == SHMD_SYNC_FOREVER ? NULL : &until, NULL,
                         FUTEX_BITSET_MATCH_ANY);
    int result = slept == 0 ? 0 : -errno;
    errno = saved;
    return result;
}

static inline void shmd_sync_futex_wake(uint32_t *word, int how_many) {
    int saved = errno;
    (void)syscall(SYS_futex, word, FUTEX_WAKE, how_many, NULL, NULL, 0);
    errno = saved;
}

/*
 * Whoever may only read the area can still name its futexes, and take a wake-up that was another's (FUTEX_CMP_REQUEUE). So where there
 * are, or were, such attachments nobody who may write sleeps for longer than this without looking again; and they themselves, who
 * can only do it to each other, no longer than the second.
 */
#define SHMD_SYNC_BESIDE_READERS INT64_C(50000000)
#define SHMD_SYNC_AS_READER INT64_C(1000000000)

/* The deadline, or an earlier time at which to look again. */
static inline int64_t shmd_sync_sleep_until(const uint32_t *futex, int64_t deadline, int64_t longest) {
    const shmd_sync_area *area = (const shmd_sync_area *)((uintptr_t)futex & ~(uintptr_t)(SHMD_SYNC_BYTES - 1));
    if (__atomic_load_n(&area->read_only, __ATOMIC_RELAXED) == 0) return deadline;
    int64_t soon = shmd_sync_now() + longest;
    return soon < deadline ? soon : deadline;
}

/* As shmd_sync_futex_wait() on a futex of an area; -EAGAIN also says that it is time to look again. */
static inline int shmd_sync_sleep(uint32_t *futex, uint32_t expected, int64_t deadline, int64_t longest) {
    int64_t until = shmd_sync_sleep_until(futex, deadline, longest);
    int slept = shmd_sync_futex_wait(futex, expected, until);
    return slept == -ETIMEDOUT && until < deadline ? -EAGAIN : slept;
}

/* ---- Looking ---- */

/*
 * How often to look again before sleeping. Where the other side runs at the same time, looking is many times faster than a sleep and
 * a wake-up; where it waits for this processor, looking only keeps it from running. So whoever has looked in vain some times sleeps
 * at once, and tries again now and then.
 */
enum { SHMD_SYNC_SPINS = 100, SHMD_SYNC_LUCK = 8, SHMD_SYNC_PROBE = 64 };

static inline int shmd_sync_spins(uint32_t *luck) {
    uint32_t now = __atomic_load_n(luck, __ATOMIC_RELAXED);
    if (now < SHMD_SYNC_LUCK) return SHMD_SYNC_SPINS;
    /* The count of those that slept at once is above the luck that was lost. */
    __atomic_store_n(luck, now + 1, __ATOMIC_RELAXED);
    return (now - SHMD_SYNC_LUCK) % SHMD_SYNC_PROBE == SHMD_SYNC_PROBE - 1 ? SHMD_SYNC_SPINS : 0;
}

/* Looking had this result. */
static inline void shmd_sync_note_spins(uint32_t *luck, int found) {
    uint32_t now = __atomic_load_n(luck, __ATOMIC_RELAXED);
    if (found) {
        if (now != 0) __atomic_store_n(luck, 0, __ATOMIC_RELAXED);
    } else if (now < SHMD_SYNC_LUCK) {
        __atomic_store_n(luck, now + 1, __ATOMIC_RELAXED);
    }
}

#ifdef __cplusplus
}
#endif

#endif
