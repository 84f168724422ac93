/*
 * What a client does in a sync area: the algorithms of protocol/SYNC.md, for C and C++, as inline functions. They know a mapped
 * area and an attachment; they know no daemon, no fork and no handle. Whoever calls them sees to that, and asks the daemon to
 * recover the locks when it has waited for a second (protocol/SYNC.md, "Sleeping").
 *
 * Times are absolute, nanoseconds of CLOCK_MONOTONIC. A function that waits returns
 *   0                            done
 *   SHMD_SYNC_DONE_OWNER_DIED    done, and a previous holder died with the lock (see shmd_sync_make_consistent())
 *   -ETIMEDOUT                   the time was over
 *   -EINTR                       a signal handler ran while it slept; call it again to go on
 *   -EFAULT                      the area's memory is gone
 * and nothing is left behind by a failure. C programs define _GNU_SOURCE.
 */
#ifndef SHMD_SYNC_CORE_H
#define SHMD_SYNC_CORE_H

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "sync_area.h"
#include "sync_wait.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SHMD_SYNC_DONE_OWNER_DIED 1

/* An area as one attachment has it. */
typedef struct shmd_sync {
    shmd_sync_area *area;
    uint32_t attachment;
    int writable;  /* the area is mapped for writing. Without it: snapshots and waiting alone */
    uint32_t slot; /* where to look for a reader's slot first */
    uint32_t lock_luck, wait_luck; /* of late: see shmd_sync_spins() */
    /* The slots by which this process holds the readers-writer lock. All of an attachment's slots look alike; without this, one
     * thread could give back what another is just claiming, and leave its own behind for ever. */
    unsigned char held[SHMD_SYNC_SLOTS];
} shmd_sync;

/* ---- Lock words ---- */

static inline uint32_t shmd_sync_holder(uint64_t word) { return (uint32_t)(word & SHMD_SYNC_HOLDER); }

/* Sleeps until the word that was seen, and that somebody holds, may be free. 0 and -EAGAIN are both "look again". */
static inline int shmd_sync_sleep_on(uint64_t *word, uint64_t seen, int64_t deadline) {
    if (!(seen & SHMD_SYNC_WAITERS)) {
        uint64_t marked = seen | SHMD_SYNC_WAITERS;
        if (!__atomic_compare_exchange_n(word, &seen, marked, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) return -EAGAIN;
        seen = marked;
    }
    return shmd_sync_sleep(shmd_sync_high_half(word), (uint32_t)(seen >> 32), deadline, SHMD_SYNC_BESIDE_READERS);
}

static __attribute__((noinline, unused)) int shmd_sync_lock_word_slowly(uint64_t *word, uint32_t me, int64_t deadline,
                                                                       uint32_t *luck) {
    uint64_t mark = 0;
    int spins = deadline <= SHMD_SYNC_NOW ? 0 : shmd_sync_spins(luck);
    int spun = spins > 0;
    for (;;) {
        uint64_t seen = __atomic_load_n(word, __ATOMIC_SEQ_CST);
        if (shmd_sync_holder(seen) == 0) {
            uint64_t died = seen & SHMD_SYNC_OWNER_DIED;
            if (__atomic_compare_exchange_n(word, &seen, me | died | mark, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
                if (spun && !mark) shmd_sync_note_spins(luck, 1);
                return died ? SHMD_SYNC_DONE_OWNER_DIED : 0;
            }
            continue;
        }
        if (deadline <= SHMD_SYNC_NOW && !mark) return -ETIMEDOUT;
        if (spins > 0) {
            if (--spins == 0) shmd_sync_note_spins(luck, 0);
            shmd_sync_pause();
            continue;
        }
        int slept = shmd_sync_sleep_on(word, seen, deadline);
        if (slept != 0 && slept != -EAGAIN) return slept;
        /* Others may be asleep still. */
        if (slept == 0) mark = SHMD_SYNC_WAITERS;
    }
}

static inline int shmd_sync_lock_word(uint64_t *word, uint32_t me, int64_t deadline, uint32_t *luck) {
    uint64_t expected = 0;
    if (__builtin_expect(__atomic_compare_exchange_n(word, &expected, me, 0, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED), 1)) return 0;
    return shmd_sync_lock_word_slowly(word, me, deadline, luck);
}

static __attribute__((noinline, unused)) int shmd_sync_unlock_word_slowly(uint64_t *word, uint32_t me, int how_many) {
    uint64_t seen = __atomic_load_n(word, __ATOMIC_SEQ_CST);
    do {
        if (shmd_sync_holder(seen) != me) return -EPERM;
    } while (!__atomic_compare_exchange_n(word, &seen, seen & SHMD_SYNC_OWNER_DIED, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
    if (seen & SHMD_SYNC_WAITERS) shmd_sync_futex_wake(shmd_sync_high_half(word), how_many);
    return 0;
}

/* -EPERM: this attachment does not hold it (any more). */
static inline int shmd_sync_unlock_word(uint64_t *word, uint32_t me, int how_many) {
    uint64_t expected = me;
    if (__builtin_expect(__atomic_compare_exchange_n(word, &expected, 0, 0, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED), 1)) return 0;
    return shmd_sync_unlock_word_slowly(word, me, how_many);
}

/* ---- The mutex ---- */

static inline int shmd_sync_lock(shmd_sync *sync, int64_t deadline) {
    return shmd_sync_lock_word(&sync->area->mutex, sync->attachment, deadline, &sync->lock_luck);
}

static inline int shmd_sync_unlock(shmd_sync *sync) {
    return shmd_sync_unlock_word(&sync->area->mutex, sync->attachment, 1);
}

/* ---- The readers-writer lock ---- */

static inline int shmd_sync_leave_slot(shmd_sync *sync, uint32_t number) {
    shmd_sync_area *area = sync->area;
    uint32_t expected = sync->attachment;
    uint32_t *slot = shmd_sync_slot(area, number);
    if (!__atomic_compare_exchange_n(slot, &expected, 0, 0, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)) return -EPERM;
    if (shmd_sync_holder(__atomic_load_n(&area->rwlock, __ATOMIC_SEQ_CST)) != 0) {
        __atomic_add_fetch(&area->drain, 1, __ATOMIC_SEQ_CST);
        shmd_sync_futex_wake(&area->drain, INT_MAX);
    }
    return 0;
}

/* The number of a slot that is taken now, or -1 when all are. */
static inline int32_t shmd_sync_take_slot(shmd_sync *sync) {
    uint32_t first = __atomic_load_n(&sync->slot, __ATOMIC_RELAXED);
    for (uint32_t i = 0; i < SHMD_SYNC_SLOTS; i++) {
        uint32_t number = (first + i) % SHMD_SYNC_SLOTS;
        uint32_t *slot = shmd_sync_slot(sync->area, number);
        uint32_t expected = 0;
        if (__atomic_load_n(slot, __ATOMIC_RELAXED) != 0) continue;
        if (!__atomic_compare_exchange_n(slot, &expected, sync->attachment, 0, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)) continue;
        if (i != 0) __atomic_store_n(&sync->slot, number, __ATOMIC_RELAXED);
        uint32_t high = __atomic_load_n(&sync->area->high_water, __ATOMIC_SEQ_CST);
        while (high < number + 1 && !__atomic_compare_exchange_n(&sync->area->high_water, &high, number + 1, 0,
                                                                 __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
        }
        return (int32_t)number;
    }
    return -1;
}

static inline int shmd_sync_read_lock(shmd_sync *sync, int64_t deadline) {
    shmd_sync_area *area = sync->area;
    int spins = -1;
    for (;;) {
        uint64_t seen = __atomic_load_n(&area->rwlock, __ATOMIC_SEQ_CST);
        if (shmd_sync_holder(seen) != 0) {
            if (deadline <= SHMD_SYNC_NOW) return -ETIMEDOUT;
            if (spins < 0) spins = shmd_sync_spins(&sync->lock_luck);
            if (spins > 0) {
                if (--spins == 0) shmd_sync_note_spins(&sync->lock_luck, 0);
                shmd_sync_pause();
                continue;
            }
            int slept = shmd_sync_sleep_on(&area->rwlock, seen, deadline);
            if (slept != 0 && slept != -EAGAIN) return slept;
            continue;
        }
        if (spins > 0) shmd_sync_note_spins(&sync->lock_luck, 1);
        int32_t number = shmd_sync_take_slot(sync);
        if (number < 0) {
            if (deadline != SHMD_SYNC_FOREVER && shmd_sync_now() >= deadline) return -ETIMEDOUT;
            shmd_sync_nap(1000000);
            continue;
        }
        seen = __atomic_load_n(&area->rwlock, __ATOMIC_SEQ_CST);
        if (shmd_sync_holder(seen) == 0) {
            __atomic_store_n(&sync->held[number], 1, __ATOMIC_RELAXED);
            return seen & SHMD_SYNC_OWNER_DIED ? SHMD_SYNC_DONE_OWNER_DIED : 0;
        }
        (void)shmd_sync_leave_slot(sync, (uint32_t)number);
    }
}

/* -EPERM: this attachment does not hold it for reading (any more). */
static inline int shmd_sync_read_unlock(shmd_sync *sync) {
    uint32_t first = __atomic_load_n(&sync->slot, __ATOMIC_RELAXED);
    for (uint32_t i = 0; i < SHMD_SYNC_SLOTS; i++) {
        uint32_t number = (first + i) % SHMD_SYNC_SLOTS;
        if (!__atomic_load_n(&sync->held[number], __ATOMIC_RELAXED)) continue;
        if (__atomic_exchange_n(&sync->held[number], 0, __ATOMIC_RELAXED)) return shmd_sync_leave_slot(sync, number);
    }
    return -EPERM;
}

static inline int shmd_sync_write_unlock(shmd_sync *sync) {
    return shmd_sync_unlock_word(&sync->area->rwlock, sync->attachment, INT_MAX);
}

/* The first step of a write lock: no reader gets in any more. Who gives up after it does shmd_sync_write_unlock(). */
static inline int shmd_sync_close_to_readers(shmd_sync *sync, int64_t deadline) {
    return shmd_sync_lock_word(&sync->area->rwlock, sync->attachment, deadline, &sync->lock_luck);
}

/* The second: those who were in have left. */
static inline int shmd_sync_await_readers(shmd_sync *sync, int64_t deadline) {
    shmd_sync_area *area = sync->area;
    uint32_t number = 0;
    for (;;) {
        uint32_t drain = __atomic_load_n(&area->drain, __ATOMIC_SEQ_CST);
        uint32_t high = __atomic_load_n(&area->high_water, __ATOMIC_SEQ_CST);
        if (high > SHMD_SYNC_SLOTS) high = SHMD_SYNC_SLOTS;
        /* A slot that was once seen free stays so: whoever takes it now leaves it again. */
        while (number < high && __atomic_load_n(shmd_sync_slot(area, number), __ATOMIC_SEQ_CST) == 0) number++;
        if (number == high) return 0;
        if (deadline <= SHMD_SYNC_NOW) return -ETIMEDOUT;
        int slept = shmd_sync_sleep(&area->drain, drain, deadline, SHMD_SYNC_BESIDE_READERS);
        if (slept != 0 && slept != -EAGAIN) return slept;
    }
}

static inline int shmd_sync_write_lock(shmd_sync *sync, int64_t deadline) {
    int locked = shmd_sync_close_to_readers(sync, deadline);
    if (locked < 0) return locked;
    int alone = shmd_sync_await_readers(sync, deadline);
    if (alone == 0) return locked;
    (void)shmd_sync_write_unlock(sync);
    return alone;
}

/* ---- Write sections and snapshots ---- */

/* The mutex is held. Call it before the first write. */
static inline void shmd_sync_open_section(shmd_sync *sync) {
    uint64_t sequence = __atomic_load_n(&sync->area->sequence, __ATOMIC_RELAXED);
    if (sequence % 2 == 0) __atomic_store_n(&sync->area->sequence, sequence + 1, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* The mutex is still held. Not while OWNER_DIED is set: nobody has called the content whole. */
static inline void shmd_sync_close_section(shmd_sync *sync) {
    shmd_sync_area *area = sync->area;
    uint64_t mutex = __atomic_load_n(&area->mutex, __ATOMIC_RELAXED);
    if (shmd_sync_holder(mutex) != sync->attachment || (mutex & SHMD_SYNC_OWNER_DIED)) return;
    uint64_t sequence = __atomic_load_n(&area->sequence, __ATOMIC_RELAXED);
    if (sequence % 2 == 1) __atomic_store_n(&area->sequence, sequence + 1, __ATOMIC_RELEASE);
}

static inline int shmd_sync_begin_write(shmd_sync *sync, int64_t deadline) {
    int locked = shmd_sync_lock(sync, deadline);
    if (locked >= 0) shmd_sync_open_section(sync);
    return locked;
}

static inline int shmd_sync_end_write(shmd_sync *sync) {
    shmd_sync_close_section(sync);
    return shmd_sync_unlock(sync);
}

/* Says that what this lock word protects is whole again. Of the mutex outside a write section, call shmd_sync_close_section() too.
 * -EPERM: this attachment does not hold it. */
static inline int shmd_sync_make_consistent(const shmd_sync *sync, uint64_t *word) {
    uint64_t seen = __atomic_load_n(word, __ATOMIC_SEQ_CST);
    while (shmd_sync_holder(seen) == sync->attachment) {
        if (__atomic_compare_exchange_n(word, &seen, seen & ~SHMD_SYNC_OWNER_DIED, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) return 0;
    }
    return -EPERM;
}

/* -EOWNERDEAD: a writer died in its section, and nobody has repaired that yet. *sequence: for shmd_sync_end_read(). */
static inline int shmd_sync_begin_read(const shmd_sync *sync, int64_t deadline, uint64_t *sequence) {
    shmd_sync_area *area = sync->area;
    int64_t nap = 10000;
    for (int i = 0;; i++) {
        uint64_t seen = __atomic_load_n(&area->sequence, __ATOMIC_ACQUIRE);
        if (seen % 2 == 0) {
            *sequence = seen;
            return 0;
        }
        uint64_t mutex = __atomic_load_n(&area->mutex, __ATOMIC_ACQUIRE);
        int abandoned = shmd_sync_holder(mutex) == 0 && (mutex & SHMD_SYNC_OWNER_DIED);
        if (abandoned && __atomic_load_n(&area->sequence, __ATOMIC_ACQUIRE) == seen) return -EOWNERDEAD;
        if (i < SHMD_SYNC_SPINS) {
            shmd_sync_pause();
            continue;
        }
        if (deadline != SHMD_SYNC_FOREVER && shmd_sync_now() >= deadline) return -ETIMEDOUT;
        shmd_sync_nap(nap);
        if (nap < 1000000) nap *= 2;
    }
}

/* 1: what was read since is a consistent copy. 0: read again. */
static inline int shmd_sync_end_read(const shmd_sync *sync, uint64_t sequence) {
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return __atomic_load_n(&sync->area->sequence, __ATOMIC_RELAXED) == sequence;
}

/* Copies what may change meanwhile: every byte is read once, by an atomic read. */
static inline void shmd_sync_copy(void *to, const void *from, size_t length) {
    unsigned char *out = (unsigned char *)to;
    const unsigned char *in = (const unsigned char *)from;
    while (length > 0 && (uintptr_t)in % 8 != 0) {
        *out++ = __atomic_load_n(in++, __ATOMIC_RELAXED);
        length--;
    }
    for (; length >= 8; length -= 8, in += 8, out += 8) {
        uint64_t word = __atomic_load_n((const uint64_t *)(const void *)in, __ATOMIC_RELAXED);
        memcpy(out, &word, 8);
    }
    while (length-- > 0) *out++ = __atomic_load_n(in++, __ATOMIC_RELAXED);
}

/* A consistent copy. -EOWNERDEAD as shmd_sync_begin_read(); -ETIMEDOUT also when there was always somebody writing. */
static inline int shmd_sync_snapshot(const shmd_sync *sync, void *to, const void *from, size_t length, int64_t deadline) {
    for (;;) {
        uint64_t sequence;
        int begun = shmd_sync_begin_read(sync, deadline, &sequence);
        if (begun < 0) return begun;
        shmd_sync_copy(to, from, length);
        if (shmd_sync_end_read(sync, sequence)) return 0;
        if (deadline != SHMD_SYNC_FOREVER && shmd_sync_now() >= deadline) return -ETIMEDOUT;
    }
}

/* ---- The version ---- */

static inline uint64_t shmd_sync_version(const shmd_sync *sync) {
    return __atomic_load_n(&sync->area->version, __ATOMIC_SEQ_CST) / 2;
}

/* The new version. */
static inline uint64_t shmd_sync_notify(shmd_sync *sync) {
    shmd_sync_area *area = sync->area;
    uint64_t seen = __atomic_load_n(&area->version, __ATOMIC_RELAXED);
    uint64_t next;
    do {
        next = (seen / 2 + 1) * 2;
    } while (!__atomic_compare_exchange_n(&area->version, &seen, next, 0, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
    if (seen % 2 == 1 || (__atomic_load_n(&area->read_only, __ATOMIC_SEQ_CST) & ~SHMD_SYNC_READERS) != 0) {
        shmd_sync_futex_wake(shmd_sync_low_half(&area->version), INT_MAX);
    }
    return next / 2;
}

static inline int64_t shmd_sync_longest_sleep(const shmd_sync *sync) {
    return sync->writable ? SHMD_SYNC_BESIDE_READERS : SHMD_SYNC_AS_READER;
}

/* A version above `after` that is not there yet: *expected is what to sleep on, in the low half. 0 when it is there. */
static inline int shmd_sync_prepare_wait(shmd_sync *sync, uint64_t after, uint64_t *version, uint32_t *expected) {
    uint64_t *word = &sync->area->version;
    uint64_t seen = __atomic_load_n(word, __ATOMIC_SEQ_CST);
    for (;;) {
        *version = seen / 2;
        if (*version > after) return 0;
        if (seen % 2 == 1 || !sync->writable) break;
        if (__atomic_compare_exchange_n(word, &seen, seen + 1, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
            seen++;
            break;
        }
    }
    *expected = (uint32_t)seen;
    return 1;
}

/* Waits for a version above `after`; *version is the one there is, also after a failure. */
static inline int shmd_sync_wait(shmd_sync *sync, uint64_t after, int64_t deadline, uint64_t *version) {
    int spins = -1;
    for (;;) {
        *version = shmd_sync_version(sync);
        if (*version > after) {
            if (spins > 0) shmd_sync_note_spins(&sync->wait_luck, 1);
            return 0;
        }
        if (deadline <= SHMD_SYNC_NOW) return -ETIMEDOUT;
        if (spins < 0) spins = shmd_sync_spins(&sync->wait_luck);
        if (spins > 0) {
            if (--spins == 0) shmd_sync_note_spins(&sync->wait_luck, 0);
            shmd_sync_pause();
            continue;
        }
        uint32_t expected;
        if (!shmd_sync_prepare_wait(sync, after, version, &expected)) return 0;
        int slept = shmd_sync_sleep(shmd_sync_low_half(&sync->area->version), expected, deadline, shmd_sync_longest_sleep(sync));
        if (slept != 0 && slept != -EAGAIN) return slept;
    }
}

/*
 * The same, and ends with -ECANCELED once *stop is not 0. Whoever sets it does FUTEX_WAKE on it afterwards
 * (shmd_sync_cancel()). Sleeps on both words at once; before Linux 5.16, which cannot, it looks every 50 ms.
 */
static inline int shmd_sync_wait_cancellable(shmd_sync *sync, uint64_t after, int64_t deadline, uint32_t *stop,
                                             uint64_t *version) {
    struct futex_entry {
        uint64_t val, uaddr;
        uint32_t flags, reserved;
    } both[2];
    const long nr_futex_waitv = 449; /* on every architecture */
    const uint32_t futex_32 = 2;
    for (;;) {
        uint32_t expected;
        if (__atomic_load_n(stop, __ATOMIC_SEQ_CST) != 0) return -ECANCELED;
        if (!shmd_sync_prepare_wait(sync, after, version, &expected)) return 0;
        if (deadline <= SHMD_SYNC_NOW) return -ETIMEDOUT;
        uint32_t *low = shmd_sync_low_half(&sync->area->version);
        memset(both, 0, sizeof both);
        both[0].val = expected;
        both[0].uaddr = (uintptr_t)low;
        both[0].flags = futex_32;
        both[1].uaddr = (uintptr_t)stop;
        both[1].flags = futex_32;
        /* 64-bit times on every architecture. */
        int64_t until = shmd_sync_sleep_until(low, deadline, shmd_sync_longest_sleep(sync));
        struct {
            int64_t tv_sec, tv_nsec;
        } time = {until / 1000000000, until % 1000000000};
        int saved = errno;
        long slept = syscall(nr_futex_waitv, both, 2, 0, until == SHMD_SYNC_FOREVER ? NULL : (void *)&time, CLOCK_MONOTONIC);
        int error = slept >= 0 ? 0 : errno;
        errno = saved;
        if (error == ENOSYS || error == EPERM) {
            int64_t soon = shmd_sync_now() + 50000000;
            error = -shmd_sync_futex_wait(low, expected, soon < deadline ? soon : deadline);
            if (error == ETIMEDOUT && soon < deadline) continue;
        }
        if (error == ETIMEDOUT && until < deadline) continue;
        if (error != 0 && error != EAGAIN) return -error;
    }
}

static inline void shmd_sync_cancel(uint32_t *stop) {
    __atomic_store_n(stop, 1, __ATOMIC_SEQ_CST);
    shmd_sync_futex_wake(stop, INT_MAX);
}

#ifdef __cplusplus
}
#endif

#endif
