/* The version counter (SYNC.md, "Version"): the threads 0 to WRITING - 1 wait with the permission to write, the next READING ones wait
 * without it, having been given the area by the daemon, and the others notify. Everybody ROUNDS times. */
#ifndef THREADS
#define THREADS 3
#endif
#ifndef WRITING
#define WRITING 1
#endif
#ifndef READING
#define READING 1
#endif
#define VERSION_FUTEX 1
#define READS_ONLY(thread) ((thread) >= WRITING && (thread) < WRITING + READING)
#define DIES(a)
#define SAME_ROLE (self != WRITING && self != WRITING + READING)
#define DEATHS THREADS

byte version, read_only;
byte after[4];    /* what each waits for */
bool asks[5];     /* an attachment for reading wants the area */
bool counted[5];  /* it is in the daemon's books */
bool given[5];

#include "common.pml"

/* All but one of them. */
inline count_read_only(but) {
    d_step {
        n = 0;
        for (thread : 0 .. THREADS - 1) {
            if
            :: READS_ONLY(thread) && counted[ATTACHMENT(thread)] && ATTACHMENT(thread) != but -> n++
            :: else
            fi
        }
        thread = 0
    }
}

proctype Waiter(byte self) provided (I_MAY_GO_ON) {
    byte me = ATTACHMENT(self), w, round, thread;
    {
        skip;
next:
        do
        :: ROUND;
            if
            :: !READS_ONLY(self) || given[me]
            :: d_step { READS_ONLY(self) && !given[me] -> asks[me] = true };
                given[me]
            fi;
look:
            if
            :: d_step { version / 2 > after[self] -> after[self] = version / 2 }; goto next
            :: d_step { version / 2 <= after[self] && (READS_ONLY(self) || version % 2 == 1) -> w = version }; goto rest
            :: d_step { version / 2 <= after[self] && !READS_ONLY(self) && version % 2 == 0 -> w = version }
            fi;
#ifndef BROKEN_WAIT_WITHOUT_BIT
            if
            :: d_step { version == w -> version = w + 1; w = w + 1 }
            :: d_step { version != w -> w = 0 }; goto look
            fi;
#endif
rest:
            if
            :: d_step { give_ups > 0 -> give_ups--; w = 0 }; goto next
#ifdef BROKEN_WAIT_WITHOUT_COMPARE
            :: d_step { asleep[self] = VERSION_FUTEX; w = 0 }
#else
            :: d_step { version == w -> asleep[self] = VERSION_FUTEX; w = 0 }
            :: d_step { version != w -> w = 0 }; goto look
#endif
            fi;
end_asleep: /* rightly, if nobody notifies any more: see the end of init */
            if
            :: asleep[self] == 0
            :: d_step { give_ups > 0 && asleep[self] != 0 -> give_ups--; asleep[self] = 0 }
            fi;
            goto look
        :: NO_MORE_ROUNDS; break
        od
    } unless {
        d_step { dead[me] -> w = 0; round = 0; thread = 0; LEAVE }
    }
}

proctype Notifier(byte self) provided (I_MAY_GO_ON) {
    byte me = ATTACHMENT(self), w, round, thread;
    bool early;
    {
        skip;
        do
        :: ROUND;
look:
            w = version;
#ifdef BROKEN_READ_ONLY_BEFORE
            early = read_only != 0;
#endif
            if
            :: d_step { version == w -> version = (w / 2 + 1) * 2 }
            :: version != w -> goto look
            fi;
            if
            :: d_step { w % 2 == 1 -> w = 0 }
#ifdef BROKEN_READ_ONLY_BEFORE
            :: d_step { w % 2 == 0 && early -> w = 0 }
            :: d_step { w % 2 == 0 && !early -> w = 0 }; goto next
#else
#ifdef BROKEN_READ_ONLY_IGNORED
            :: d_step { w % 2 == 0 -> w = 0 }; goto next
#else
            :: d_step { w % 2 == 0 && read_only != 0 -> w = 0 }
            :: d_step { w % 2 == 0 && read_only == 0 -> w = 0 }; goto next
#endif
#endif
            fi;
            futex_wake_all(VERSION_FUTEX);
next:
            early = false
        :: NO_MORE_ROUNDS; break
        od
    } unless {
        d_step { dead[me] -> w = 0; early = false; round = 0; thread = 0; LEAVE }
    }
}

#define ASKS(a) (asks[a] && !dead[a])

proctype Daemon() provided (DAEMON_MAY_GO_ON) {
    byte a, n, thread;
start:
    {
        skip;
end_idle:
        if
        :: SOMEBODY_ENDED
        :: d_step { ASKS(1) -> a = 1; recovering = true }; goto give
        :: d_step { ASKS(2) -> a = 2; recovering = true }; goto give
        :: d_step { ASKS(3) -> a = 3; recovering = true }; goto give
        :: d_step { ASKS(4) -> a = 4; recovering = true }; goto give
        fi;
#ifndef BROKEN_DAEMON_WITHOUT_WAKE
        futex_wake_all(VERSION_FUTEX);
#endif
        if
        :: counted[a] -> skip
        :: !counted[a] -> goto forget
        fi;
#ifdef BROKEN_COUNTED_DOWN
        read_only--;
#else
        count_read_only(a);
        read_only = n;
#endif
        n = 0;
forget:
        if
        :: d_step { true -> counted[a] = false; booked[a] = false; a = 0; recovering = false }
        fi;
        goto start;
give:
        counted[a] = true;
#ifdef BROKEN_GIVEN_BEFORE_COUNTED
        given[a] = true;
#endif
        count_read_only(0);
        read_only = n;
        d_step { n = 0; given[a] = true; asks[a] = false; a = 0; recovering = false };
        goto start
    } unless {
        d_step { ending == THE_DAEMON -> ending = 0; recovering = false; a = 0; n = 0; thread = 0 };
        goto start
    }
}

init {
    byte thread, n;
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
            :: thread < WRITING + READING -> run Waiter(thread)
            :: else -> run Notifier(thread)
            fi
        }
        thread = 0
    }
    deaths();
    d_step {
        for (thread : 0 .. THREADS - 1) {
            assert(asleep[thread] == 0 || version / 2 <= after[thread])
        }
        thread = 0
    }
    count_read_only(0);
    assert(read_only == n)
}
