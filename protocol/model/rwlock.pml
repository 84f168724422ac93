/* The readers-writer lock (SYNC.md, "Readers-writer lock"): the threads 0 to READERS - 1 read, the others write, ROUNDS times each.
 * With SHARED=2 the first two readers are threads of one process, whose slots are alike. With SCAN_GOES_ON a writer that has slept
 * looks at the remaining slots only. */
#ifndef THREADS
#define THREADS 3
#endif
#ifndef READERS
#define READERS 2
#endif
#ifndef SLOTS
#define SLOTS READERS
#endif

#define WORD rwlock
#define WORD_FUTEX 1
#define RELEASED writer = 0; told = false
#define DRAIN_FUTEX 2
#ifdef BROKEN_UNLOCK_WAKES_ONE
#define UNLOCK_WAKES futex_wake_one
#else
#define UNLOCK_WAKES futex_wake_all
#endif
/* Who reads or writes, whatever the slots and the word say. */
#define DIES(a) \
    for (thread : 0 .. SLOTS - 1) { \
        if \
        :: slot[thread] == a -> locks[thread] = false \
        :: else \
        fi \
    } \
    for (thread : 0 .. READERS - 1) { \
        if \
        :: ATTACHMENT(thread) == a -> reads[thread] = false \
        :: else \
        fi \
    } \
    thread = 0; \
    if \
    :: writer != 0 && ATTACHMENT(writer - 1) == a -> writer = 0 \
    :: else \
    fi;
#define SAME_ROLE (self != READERS)

byte slot[4];
bool locks[4]; /* not in the area: what the slot's process remembers */
byte drain, high_water;
bool reads[4];
byte writer; /* a thread + 1 */

#include "common.pml"

#define NOBODY_READS (!reads[0] && !reads[1] && !reads[2] && !reads[3])

/* Leaves a slot that a read lock of this process has, be it another thread's: locks[n], which the process remembers. What a thread has
 * only claimed is not among them. */
#ifdef BROKEN_CLAIM_LOST
#define UNLOCK_SLOT(n) d_step { slot[n] == me -> slot[n] = 0; reads[self] = false }
#else
#define UNLOCK_SLOT(n) d_step { slot[n] == me && locks[n] -> slot[n] = 0; locks[n] = false; reads[self] = false }
#endif

proctype Reader(byte self) provided (I_MAY_GO_ON) {
    byte me = ATTACHMENT(self), w, i, h, round, thread;
    {
        skip;
next:
        do
        :: ROUND;
look:
            if
            :: HOLDER(rwlock) == 0
            :: d_step { HOLDER(rwlock) != 0 && (rwlock & WAITERS) == 0 -> w = rwlock }; goto mark
            :: d_step { HOLDER(rwlock) != 0 && (rwlock & WAITERS) != 0 -> w = rwlock }; goto rest
            fi;
            if
            :: d_step { slot[0] == 0 -> slot[0] = me; i = 0 }
            :: d_step { SLOTS > 1 && slot[1] == 0 -> slot[1] = me; i = 1 }
            :: d_step { SLOTS > 2 && slot[2] == 0 -> slot[2] = me; i = 2 }
            :: d_step { SLOTS > 3 && slot[3] == 0 -> slot[3] = me; i = 3 }
            /* When there is none, it waits here until there is one: it polls. */
            fi;
#ifdef BROKEN_HIGH_WATER_LATE
            if
            :: HOLDER(rwlock) != 0 -> goto clear
            :: HOLDER(rwlock) == 0
            fi;
#endif
            do
            :: d_step { high_water < i + 1 -> h = high_water };
                if
                :: d_step { high_water == h -> high_water = i + 1; h = 0 }; break
                :: d_step { high_water != h -> h = 0 }
                fi
            :: high_water >= i + 1 -> break
            od;
            if
#if defined(BROKEN_NO_SECOND_LOOK) || defined(BROKEN_HIGH_WATER_LATE)
            :: d_step { true -> locks[i] = true; i = 0; reads[self] = true; assert(writer == 0) }
#else
            :: d_step {
                    HOLDER(rwlock) == 0 ->
                    locks[i] = true;
                    i = 0;
                    reads[self] = true;
                    assert(writer == 0);
                    assert(((rwlock & OWNER_DIED) != 0) == half) /* what it is told */
                }
            :: HOLDER(rwlock) != 0 -> goto clear
#endif
            fi;
            if
            :: UNLOCK_SLOT(0)
            :: UNLOCK_SLOT(1)
            :: UNLOCK_SLOT(2)
            :: UNLOCK_SLOT(3)
            fi;
            if
            :: HOLDER(rwlock) == 0 -> goto next
            :: HOLDER(rwlock) != 0
            fi;
#ifndef BROKEN_LEAVE_WITHOUT_DRAIN
            drain++;
#endif
            futex_wake_all(DRAIN_FUTEX);
            goto next;

clear: /* a writer was faster */
#ifdef BROKEN_CLAIM_LOST
            if
            :: d_step { slot[i] == me -> slot[i] = 0; i = 0 }
            :: d_step { slot[i] != me -> i = 0 } /* a thread of ours has given it back in place of its own */
            fi;
#else
            if
            :: d_step { true -> assert(slot[i] == me); slot[i] = 0; i = 0 }
            fi;
#endif
            if
            :: HOLDER(rwlock) == 0 -> goto look
            :: HOLDER(rwlock) != 0
            fi;
#ifndef BROKEN_LEAVE_WITHOUT_DRAIN
            drain++;
#endif
            futex_wake_all(DRAIN_FUTEX);
            goto look;

mark:
            if
            :: d_step { rwlock == w -> rwlock = w | WAITERS; w = w | WAITERS }
            :: d_step { rwlock != w -> w = 0 }; goto look
            fi;
rest:
            if
            :: d_step { give_ups > 0 -> give_ups--; w = 0 }; goto next
            :: d_step { HIGH_HALF(rwlock) == HIGH_HALF(w) -> asleep[self] = WORD_FUTEX; w = 0 }
            :: d_step { HIGH_HALF(rwlock) != HIGH_HALF(w) -> w = 0 }; goto look
            fi;
            futex_sleep();
            goto look;
        :: NO_MORE_ROUNDS; break
        od
    } unless {
        d_step { dead[me] -> w = 0; i = 0; h = 0; round = 0; thread = 0; LEAVE }
    }
}

proctype Writer(byte self) provided (I_MAY_GO_ON) {
    byte me = ATTACHMENT(self), w, waited, d, i, h, round, thread;
    bool told;
    {
        skip;
gave_up:
        do
        :: ROUND;
            lock_word();
locked:
            do
            :: d = drain;
                if
                :: d_step { high_water == 0 -> writer = self + 1; assert(NOBODY_READS) }; break
                :: d_step { high_water > 0 -> h = high_water }
                fi;
                do
                :: d_step { slot[i] == 0 && i + 1 < h -> i++ }
                :: d_step { slot[i] == 0 && i + 1 == h -> i = 0; h = 0; writer = self + 1; assert(NOBODY_READS) }; break
                #ifdef SCAN_GOES_ON /* what was once seen free stays so */
                :: d_step { slot[i] != 0 -> h = 0 }; break
#else
                :: d_step { slot[i] != 0 -> i = 0; h = 0 }; break
#endif
                od;
                if
                :: d_step { writer == self + 1 -> d = 0 }; break
                :: d_step { writer != self + 1 && give_ups > 0 -> give_ups--; d = 0; i = 0 }; break
#ifdef BROKEN_DRAIN_NOT_READ_AGAIN
                :: d_step { writer != self + 1 -> asleep[self] = DRAIN_FUTEX }; futex_sleep()
#else
                :: d_step { writer != self + 1 && drain == d -> asleep[self] = DRAIN_FUTEX }; futex_sleep()
                :: writer != self + 1 && drain != d
#endif
                fi
            od;
            if
            :: d_step { told && writer == self + 1 -> rwlock = rwlock & ~OWNER_DIED; half = false } /* made consistent */
            :: true
            fi;
            unlock_word();
        :: NO_MORE_ROUNDS; break
        od
    } unless {
        d_step {
            dead[me] ->
            w = 0; waited = 0; d = 0; i = 0; h = 0; round = 0; told = false; thread = 0;
            LEAVE
        }
    }
}

proctype Daemon() provided (DAEMON_MAY_GO_ON) {
    byte a, w, i, attempt, thread;
    bool held;
start:
    {
        skip;
end_idle:
        if
        :: SOMEBODY_ENDED
        fi;
#ifdef BROKEN_DAEMON_FORGETS_FIRST
        booked[a] = false;
#endif
        recover_word();
        do
#ifdef BROKEN_DAEMON_TRUSTS_HIGH_WATER
        :: d_step { i < high_water && i < SLOTS && slot[i] == a -> slot[i] = 0; i++ }
        :: d_step { i < high_water && i < SLOTS && slot[i] != a -> i++ }
        :: d_step { i >= high_water -> i = 0 }; break
#else
        :: d_step { i < SLOTS && slot[i] == a -> slot[i] = 0; i++ }
        :: d_step { i < SLOTS && slot[i] != a -> i++ }
        :: d_step { i == SLOTS -> i = 0 }; break
#endif
        od;
#ifdef BROKEN_DAEMON_WAKES_ONLY_FOR_HOLDERS
        if
        :: !held -> goto forget
        :: held
        fi;
#endif
#ifndef BROKEN_DAEMON_WITHOUT_DRAIN
        drain++;
#endif
        futex_wake_all(WORD_FUTEX);
        futex_wake_all(DRAIN_FUTEX);
forget:
        if
        :: d_step { true -> booked[a] = false; a = 0; held = false; recovering = false }
        fi;
        goto start
    } unless {
        d_step {
            ending == THE_DAEMON -> ending = 0; recovering = false;
            a = 0; w = 0; i = 0; attempt = 0; held = false; thread = 0
        };
        goto start
    }
}

init {
    byte thread;
    d_step {
        for (thread : 0 .. THREADS - 1) {
            unfinished[ATTACHMENT(thread)]++
        }
        thread = 0
    }
    if
    :: give_ups = 0
    :: give_ups = GIVE_UPS
    fi;
    atomic {
        run Daemon();
        for (thread : 0 .. THREADS - 1) {
            if
            :: thread < READERS -> run Reader(thread)
            :: else -> run Writer(thread)
            fi
        }
        thread = 0
    }
    deaths();
    d_step {
        for (thread : 0 .. THREADS - 1) {
            assert(asleep[thread] == 0)
        }
        for (thread : 0 .. SLOTS - 1) {
            assert(slot[thread] == 0)
        }
        assert(rwlock == (half -> OWNER_DIED : 0))
    }
}
