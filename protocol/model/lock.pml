/* The lock word as a mutex (SYNC.md, "Lock word"): THREADS threads lock and unlock it ROUNDS times each, some of them give up, all
 * of them may die at any step, and so may the daemon that puts things right. */
#ifndef THREADS
#define THREADS 3
#endif

#define WORD mutex
#define WORD_FUTEX 1
#define UNLOCK_WAKES futex_wake_one
#define RELEASED told = false
#define DIES(a)
#include "common.pml"

proctype Process(byte self) provided (I_MAY_GO_ON) {
    byte me = ATTACHMENT(self), w, waited, round, thread;
    bool told;
    {
        skip;
gave_up:
        do
        :: ROUND;
            lock_word();
locked:
            if
            :: d_step { told -> mutex = mutex & ~OWNER_DIED; half = false } /* made consistent */
            :: true
            fi;
            unlock_word()
        :: NO_MORE_ROUNDS; break
        od
    } unless {
        d_step { dead[me] -> w = 0; waited = 0; round = 0; told = false; thread = 0; LEAVE }
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
#ifdef BROKEN_DAEMON_FORGETS_FIRST
        booked[a] = false;
#endif
        recover_word();
#ifdef BROKEN_DAEMON_WAKES_ONLY_FOR_HOLDERS
        if
        :: held -> futex_wake_all(WORD_FUTEX)
        :: !held
        fi;
#else
        futex_wake_all(WORD_FUTEX);
#endif
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
    if
    :: give_ups = 0
    :: give_ups = GIVE_UPS
    fi;
    atomic {
        run Daemon();
        for (thread : 0 .. THREADS - 1) {
            run Process(thread)
        }
        thread = 0
    }
    deaths();
    d_step {
        for (thread : 0 .. THREADS - 1) {
            assert(asleep[thread] == 0)
        }
        assert(mutex == (half -> OWNER_DIED : 0))
    }
}
