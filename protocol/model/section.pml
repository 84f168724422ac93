/* Write sections and snapshots (SYNC.md, "Write sections and snapshots"): the threads 0 to WRITERS - 1 write ROUNDS times each, in a
 * section or with the mutex only, and the others take snapshots. The content is a pair, whole if its halves are the same. */
#ifndef THREADS
#define THREADS 3
#endif
#ifndef WRITERS
#define WRITERS 2
#endif
#ifndef GIVE_UPS
#define GIVE_UPS 0 /* lock.pml has them */
#endif

#define WORD mutex
#define WORD_FUTEX 1
#define UNLOCK_WAKES futex_wake_one
#define RELEASED told = false
#define DIES(a)
#define SAME_ROLE (self != WRITERS)

byte sequence;
byte left, right; /* the pair */
byte newest;      /* what was last written anywhere: every write is another */

#include "common.pml"

/* Who was told writes a new pair and says so, or gives back what he has found. */
proctype Writer(byte self) provided (I_MAY_GO_ON) {
    byte me = ATTACHMENT(self), w, waited, s, round, thread;
    bool told, repairs;
    {
        skip;
gave_up:
        do
        :: ROUND;
            lock_word();
locked:
            if
            :: true
            :: !told || sequence % 2 == 0 -> goto plain
            :: d_step { told && sequence % 2 == 1 -> repairs = true }; goto repair
            fi;

            /* A section. */
#ifdef BROKEN_ODD_LATE
            if
            :: d_step { !told -> newest++; left = newest }
            :: told
            fi;
#endif
            s = sequence;
            if
#ifdef BROKEN_BEGIN_ADDS_ALWAYS
            :: d_step { true -> sequence = s + 1; s = 0 }
#else
            :: d_step { s % 2 == 0 -> sequence = s + 1; s = 0 }
            :: d_step { s % 2 == 1 -> s = 0 }
#endif
            fi;
            if
            :: told -> goto end_section /* leaves it as it is */
            :: true
            fi;
#ifdef BROKEN_EVEN_EARLY
            if
            :: d_step { (mutex & OWNER_DIED) == 0 -> sequence++ }
            :: (mutex & OWNER_DIED) != 0
            fi;
#endif
#ifndef BROKEN_ODD_LATE
            d_step { newest++; left = newest };
#endif
            right = left;
            if
            :: d_step { told -> mutex = mutex & ~OWNER_DIED; half = false }
            :: true
            fi;
end_section:
            if
#ifdef BROKEN_EVEN_EARLY
            :: true
#else
#ifdef BROKEN_END_ADDS_ALWAYS
            :: sequence++
#else
            :: (mutex & OWNER_DIED) == 0 -> sequence++
            :: (mutex & OWNER_DIED) != 0
#endif
#endif
            fi;
            goto plain;

repair:     /* With the mutex only, an odd sequence: made consistent outside a section, in either order. */
            if
            :: d_step { true -> newest++; left = newest }
            fi;
            right = left;
            if
            :: d_step { true -> mutex = mutex & ~OWNER_DIED; half = false };
#ifndef BROKEN_CONSISTENT_WITHOUT_ADDING
                sequence++
#endif
            :: sequence++;
                d_step { mutex = mutex & ~OWNER_DIED; half = false }
            fi;
plain:
            repairs = false;
            unlock_word()
        :: NO_MORE_ROUNDS; break
        od
    } unless {
        d_step { dead[me] -> w = 0; waited = 0; s = 0; round = 0; told = false; repairs = false; thread = 0; LEAVE }
    }
}

#define HALF_WRITTEN (HOLDER(mutex) == 0 && (mutex & OWNER_DIED) != 0)

proctype Reader(byte self) provided (I_MAY_GO_ON) {
    byte me = ATTACHMENT(self), s, l, r, round, thread;
    bool fails;
    {
        skip;
next:
        do
        :: ROUND;
look:
            s = sequence;
            if
            :: s % 2 == 0
            :: d_step { s % 2 == 1 && HALF_WRITTEN -> fails = sequence % 2 == 1 }; goto fail
            /* It pauses and loops: waits here until that can make a difference. */
            :: s % 2 == 1 && !HALF_WRITTEN ->
                if
                :: d_step { sequence != s -> s = 0 }; goto look
                :: d_step { sequence == s && HALF_WRITTEN -> s = 0 }; goto look
                fi
            fi;
            l = left;
            r = right;
            if
#ifdef BROKEN_NO_SECOND_LOOK
            :: d_step { true -> assert(l == r); s = 0; l = 0; r = 0 }; goto next
#else
            :: d_step { sequence == s -> assert(l == r); s = 0; l = 0; r = 0 }; goto next
            :: d_step { sequence != s -> s = 0; l = 0; r = 0 }; goto look
#endif
            fi;
fail: /* `fails`: it is half written, as nobody has said that it is whole, at the moment of the look at the mutex */
            if
#ifdef BROKEN_STALE_FAILURE
            :: d_step { true -> assert(fails); s = 0; fails = false }; goto next
#else
            :: d_step { sequence == s -> assert(fails); s = 0; fails = false }; goto next
            :: d_step { sequence != s -> s = 0; fails = false }; goto look
#endif
            fi
        :: NO_MORE_ROUNDS; break
        od
    } unless {
        d_step { dead[me] -> s = 0; l = 0; r = 0; fails = false; round = 0; thread = 0; LEAVE }
    }
}

proctype Daemon() provided (DAEMON_MAY_GO_ON) {
    byte a, w, attempt, thread;
    bool held;
start:
    {
        skip;
end_idle:
        if
        :: SOMEBODY_ENDED
        fi;
        recover_word();
        futex_wake_all(WORD_FUTEX);
        d_step { booked[a] = false; a = 0; held = false; recovering = false };
        goto start
    } unless {
        d_step { ending == THE_DAEMON -> ending = 0; recovering = false; a = 0; w = 0; attempt = 0; held = false; thread = 0 };
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
    give_ups = GIVE_UPS;
    atomic {
        run Daemon();
        for (thread : 0 .. THREADS - 1) {
            if
            :: thread < WRITERS -> run Writer(thread)
            :: else -> run Reader(thread)
            fi
        }
        thread = 0
    }
    deaths();
    d_step {
        for (thread : 0 .. THREADS - 1) {
            assert(asleep[thread] == 0)
        }
        assert(mutex == (half -> OWNER_DIED : 0));
        assert(half || sequence % 2 == 0); /* no snapshot waits for ever */
        assert(half || left == right)
    }
}
