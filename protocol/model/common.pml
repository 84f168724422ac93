/* What the models share: futexes, deaths, the lock word. To be included after
 *   THREADS    how many threads there are: 0, 1, ... up to 4
 *   SHARED     so many of them, from 0 on, are one process, attachment 1; the others are processes of their own
 *   WORD       the lock word of the model, WORD_FUTEX, and UNLOCK_WAKES: futex_wake_one or futex_wake_all
 *   RELEASED   what else happens in the step that unlocks
 *   DIES(a)    what else is to be noted of the end of attachment a, in the very step in which it ends
 * A step of a process is a d_step, or a statement outside of one. Nothing else is atomic. */

#ifndef SHARED
#define SHARED 1
#endif
#define ATTACHMENT(thread) ((thread) < SHARED -> 1 : (thread) - SHARED + 2)

#ifndef ROUNDS
#define ROUNDS 1
#endif
#ifndef GIVE_UPS
#define GIVE_UPS 1 /* how often in all somebody gives up, or wakes for no reason */
#endif
#ifndef DEATHS
#define DEATHS (THREADS - 1)
#endif
#ifndef DAEMON_DEATHS
#define DAEMON_DEATHS 1
#endif

/* Deaths. The daemon has an attachment in its books from the start until it has forgotten it, also over its own end. */
bool booked[5];
bool dead[5];
#define ENDED(a) (dead[a] && booked[a])
byte unfinished[5]; /* threads of the attachment */
byte may_end = DEATHS;

/* An end is one step for everybody else: nobody goes on until the threads that end have left their code. */
byte ending;
#define THE_DAEMON 7
#define DAEMON_MAY_GO_ON (ending == 0 || ending == THE_DAEMON)
#define I_MAY_GO_ON (ending == 0 || ending == ATTACHMENT(_pid - 2))

bool recovering; /* the daemon, some attachment's end */
byte daemon_may_end = DAEMON_DEATHS;

/* Threads that are alike begin in their order, which loses nothing. */
bool begun[4];
#ifndef SAME_ROLE
#define SAME_ROLE true /* as the thread before */
#endif
#define MAY_BEGIN (self == 0 || (SHARED > 1 && self == SHARED) || !SAME_ROLE || begun[self - 1])

/* Futexes: the one on which each thread is asleep, or 0. */
byte asleep[4];
byte give_ups;

/* What follows a FUTEX_WAIT that has set asleep[self]: wakes, also for no reason. */
inline futex_sleep() {
    if
    :: asleep[self] == 0
    :: d_step { give_ups > 0 && asleep[self] != 0 -> give_ups--; asleep[self] = 0 }
#ifdef RELOOK
    :: d_step { asleep[self] != 0 -> asleep[self] = 0 }
#endif
    fi
}

inline futex_wake_one(futex) {
    if
    :: d_step { asleep[0] == futex -> asleep[0] = 0 }
    :: d_step { asleep[1] == futex -> asleep[1] = 0 }
    :: d_step { asleep[2] == futex -> asleep[2] = 0 }
    :: d_step { asleep[3] == futex -> asleep[3] = 0 }
    :: asleep[0] != futex && asleep[1] != futex && asleep[2] != futex && asleep[3] != futex
    fi
}

inline futex_wake_all(futex) {
    d_step {
        for (thread : 0 .. THREADS - 1) {
            if
            :: asleep[thread] == futex -> asleep[thread] = 0
            :: else
            fi
        }
        thread = 0
    }
}

/* The lock word. */
#define HOLDER(w) ((w) & 7)
#define WAITERS 8
#define OWNER_DIED 16
#define HIGH_HALF(w) ((w) & (WAITERS | OWNER_DIED))

#ifdef WORD
byte WORD;
byte owner;      /* who has the word, as a thread + 1, whatever the word says */
bool half;       /* somebody died with it, and nobody has called it consistent since */

/* At the step that takes the word. */
inline taken() {
    assert(owner == 0);
    owner = self + 1;
    told = (WORD & OWNER_DIED) != 0;
    assert(told == half)
}

/* Goes to `locked`, or to `gave_up`. */
inline lock_word() {
    if
    :: d_step { WORD == 0 -> WORD = me; taken() }; goto locked
    :: WORD != 0
    fi;
look:
    if
    :: d_step { HOLDER(WORD) == 0 -> w = WORD }
    :: d_step { HOLDER(WORD) != 0 && (WORD & WAITERS) == 0 -> w = WORD }; goto mark
    :: d_step { HOLDER(WORD) != 0 && (WORD & WAITERS) != 0 -> w = WORD }; goto rest
    fi;
    if
#ifdef BROKEN_TAKE_WITHOUT_COMPARE
    :: d_step { WORD = me | (w & OWNER_DIED) | waited; w = 0; waited = 0; taken() }; goto locked
#endif
#ifdef BROKEN_WAITERS_NOT_SET_AGAIN
    :: d_step { WORD == w -> WORD = me | (w & OWNER_DIED); w = 0; waited = 0; taken() }; goto locked
#else
    :: d_step { WORD == w -> WORD = me | (w & OWNER_DIED) | waited; w = 0; waited = 0; taken() }; goto locked
#endif
    :: WORD != w
    fi;
    goto look;
mark:
    if
    :: d_step { WORD == w -> WORD = w | WAITERS; w = w | WAITERS }
    :: WORD != w -> goto look
    fi;
rest:
    if
    :: d_step { give_ups > 0 -> give_ups--; w = 0; waited = 0 }; goto gave_up
#ifdef BROKEN_WAIT_WITHOUT_COMPARE
    :: d_step { asleep[self] = WORD_FUTEX; w = 0; waited = WAITERS }
#else
    :: d_step { HIGH_HALF(WORD) == HIGH_HALF(w) -> asleep[self] = WORD_FUTEX; w = 0; waited = WAITERS }
    :: d_step { HIGH_HALF(WORD) != HIGH_HALF(w) -> w = 0; waited = WAITERS }; goto look
#endif
    fi;
    futex_sleep();
#ifdef BROKEN_GIVE_UP_ON_WAKING
    if
    :: d_step { give_ups > 0 -> give_ups--; w = 0; waited = 0 }; goto gave_up
    :: true
    fi;
#endif
    goto look
}

inline unlock_word() {
    do
    :: d_step { w = WORD; assert(HOLDER(w) == me) };
        if
#ifdef BROKEN_OWNER_DIED_LOST
        :: d_step { WORD == w -> WORD = 0; owner = 0; RELEASED }; break
#else
        :: d_step { WORD == w -> WORD = w & OWNER_DIED; owner = 0; RELEASED }; break
#endif
        :: WORD != w
        fi
    od;
#ifndef BROKEN_UNLOCK_WITHOUT_WAKE
    if
    :: (w & WAITERS) == 0
    :: (w & WAITERS) != 0 -> UNLOCK_WAKES(WORD_FUTEX)
    fi;
#endif
    w = 0
}

/* The daemon: if holder == the attachment: word = OWNER_DIED. Only WAITERS can still be set meanwhile, so two attempts are
 * enough. */
inline recover_word() {
    for (attempt : 1 .. 2) {
        if
        :: d_step { HOLDER(WORD) == a -> w = WORD; held = true }
        :: HOLDER(WORD) != a -> break
        fi;
        if
#ifdef BROKEN_DAEMON_WITHOUT_OWNER_DIED
        :: d_step { WORD == w -> WORD = 0; w = 0 }; break
#else
        :: d_step { WORD == w -> WORD = OWNER_DIED; w = 0 }; break
#endif
        :: d_step { WORD != w -> w = 0 }
        fi
    }
    attempt = 0
}
#endif

/* What a thread's do begins with: its rounds. */
#define ROUND \
    if \
    :: d_step { round == 0 && MAY_BEGIN -> round = 1; begun[self] = true; booked[me] = true } \
    :: d_step { round > 0 && round < ROUNDS -> round++ } \
    fi
#define NO_MORE_ROUNDS d_step { round == ROUNDS -> round = 0; unfinished[me]-- }
#define LEAVE unfinished[me]--; if :: unfinished[me] == 0 -> ending = 0 :: else fi

/* Ends attachment a, between two steps of anybody's. */
inline end_attachment(a) {
    d_step {
        ending == 0 && booked[a] && !dead[a] && unfinished[a] > 0 && may_end > 0 ->
        may_end--;
        dead[a] = true;
        ending = a;
        for (thread : 0 .. THREADS - 1) {
            if
            :: ATTACHMENT(thread) == a -> asleep[thread] = 0
            :: else
            fi
        }
        thread = 0;
#ifdef WORD
        if
        :: owner != 0 && ATTACHMENT(owner - 1) == a -> owner = 0; half = true
        :: else
        fi;
#endif
        DIES(a)
    }
}

/* The rest of init: deaths, at any time, and then what must hold when nothing can go on. */
inline deaths() {
    do
    :: end_attachment(1)
    :: end_attachment(2)
    :: end_attachment(3)
    :: end_attachment(4)
    :: d_step { ending == 0 && daemon_may_end > 0 && recovering -> daemon_may_end--; ending = THE_DAEMON }
    :: d_step { ending == 0 -> may_end = 0; daemon_may_end = 0 }; break
    od;
    timeout
}

/* What the daemon waits for: the options of a do. */
#define SOMEBODY_ENDED \
    d_step { ENDED(1) -> a = 1; recovering = true } \
    :: d_step { ENDED(2) -> a = 2; recovering = true } \
    :: d_step { ENDED(3) -> a = 3; recovering = true } \
    :: d_step { ENDED(4) -> a = 4; recovering = true }
