// A worker of the torture, in C on libshmd. README.md has the contract.
#include <errno.h>
#include <sched.h>
#include <shmd/sync.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WORDS = 14, STEP = 16, PATIENCE = 60 * 1000 * 1000 };

typedef struct structure {
    volatile uint64_t inside, counter, words[WORDS];
} structure;

typedef struct content {
    structure m, s, r;
    volatile uint64_t repairs[3];
} content;

static uint64_t me, state;
static shmd_segment *segment;
static content *here;

static unsigned chance(unsigned of) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (unsigned)(state >> 33) % of;
}

static void dawdle(void) {
    if (chance(8) == 0) {
        sched_yield();
    } else if (chance(100) == 0) {
        usleep(chance(300));
    }
}

// What ends this worker: a violation, or a call that must not fail.
static void wrong(const char *what, const structure *seen) {
    char text[1024];
    int length = snprintf(text, sizeof text, "%s", what);
    if (seen != NULL) {
        length += snprintf(text + length, sizeof text - (size_t)length, ": inside %llu counter %llu words",
                           (unsigned long long)seen->inside, (unsigned long long)seen->counter);
        for (int i = 0; i < WORDS; i++) {
            length += snprintf(text + length, sizeof text - (size_t)length, " %llu", (unsigned long long)seen->words[i]);
        }
    }
    fprintf(stderr, "%s\n", text);
    exit(3);
}

static int done(int result, const char *what) {
    if (result < 0 && result != -ETIMEDOUT && result != -EOWNERDEAD && result != -ECONNREFUSED) {
        char text[512];
        snprintf(text, sizeof text, "%s: %s: %s", what, strerror(-result), shmd_last_error()->message);
        wrong(text, NULL);
    }
    return result;
}

static int holds(const structure *at, uint64_t inside, uint64_t counter) {
    int good = at->inside == inside && at->counter == counter;
    for (unsigned i = 0; i < WORDS; i++) good &= at->words[i] == STEP * counter + i;
    return good;
}

static int consistent(const structure *at) {
    return holds(at, 0, at->counter);
}

static void verify(const structure *at, const char *what) {
    if (!consistent(at)) wrong(what, at);
}

static void change(structure *at, const char *what) {
    at->inside = me;
    uint64_t counter = at->counter + 1;
    unsigned first = chance(WORDS), counter_first = chance(2);
    if (counter_first) at->counter = counter;
    for (unsigned i = 0; i < WORDS; i++) {
        unsigned word = (first + i) % WORDS;
        at->words[word] = STEP * counter + word;
        dawdle();
    }
    at->counter = counter;
    if (!holds(at, me, counter)) wrong(what, at);
    at->inside = 0;
}

static void repair(structure *at, int which) {
    change(at, "somebody else wrote during a repair");
    here->repairs[which]++;
}

// Under the mutex. S is rewritten only where it is torn: snapshots may be reading it if the dead was in no section.
static void repair_both(void) {
    repair(&here->m, 0);
    if (!consistent(&here->s)) repair(&here->s, 1);
    done(shmd_make_consistent(segment), "make consistent");
}

static void lock(void) {
    int locked = done(shmd_lock(segment, PATIENCE), "lock");
    if (locked == -ECONNREFUSED) return;
    if (locked < 0) wrong("lock: stuck", NULL);
    if (locked == SHMD_OWNER_DIED) repair_both();
    verify(&here->m, "M is torn under the mutex");
    verify(&here->s, "S is torn under the mutex");
    change(&here->m, "M: somebody else is inside");
    done(shmd_unlock(segment), "unlock");
}

static void write_section(void) {
    int begun = done(shmd_begin_write(segment, PATIENCE), "begin a write section");
    if (begun == -ECONNREFUSED) return;
    if (begun < 0) wrong("begin a write section: stuck", NULL);
    if (begun == SHMD_OWNER_DIED) repair_both();
    verify(&here->m, "M is torn in a write section");
    verify(&here->s, "S is torn in a write section");
    change(&here->s, "S: somebody else is inside");
    done(shmd_end_write(segment), "end a write section");
}

// As shmd_snapshot(), but slow, so that writers come in between.
static int slow_snapshot(structure *copy) {
    for (;;) {
        uint64_t sequence;
        int begun = shmd_begin_read(segment, PATIENCE, &sequence);
        if (begun < 0) return begun;
        copy->inside = here->s.inside;
        copy->counter = here->s.counter;
        for (int i = 0; i < WORDS; i++) {
            copy->words[i] = here->s.words[i];
            if (i == WORDS / 2) usleep(chance(1000));
        }
        int ended = shmd_end_read(segment, sequence);
        if (ended != -EAGAIN) return ended;
    }
}

static void snapshot(void) {
    structure copy;
    int taken = chance(2) ? slow_snapshot(&copy)
                          : shmd_snapshot(segment, offsetof(content, s), &copy, sizeof copy, PATIENCE);
    done(taken, "snapshot");
    if (taken == -ETIMEDOUT) wrong("snapshot: stuck", NULL);
    if (taken == -EOWNERDEAD) {
        chance(2) ? lock() : write_section();
    } else if (taken == 0) {
        verify(&copy, "a snapshot of S is torn");
    }
}

static void read_lock(void) {
    int locked = done(shmd_read_lock(segment, PATIENCE), "read lock");
    if (locked == -ECONNREFUSED) return;
    if (locked < 0) wrong("read lock: stuck", NULL);
    if (locked != SHMD_OWNER_DIED) {
        verify(&here->r, "R is torn under the read lock");
        if (chance(2)) usleep(chance(1000)); // so that some die as readers
        verify(&here->r, "R changes under the read lock");
    }
    done(shmd_read_unlock(segment), "read unlock");
}

static void write_lock(void) {
    int locked = done(shmd_write_lock(segment, PATIENCE), "write lock");
    if (locked == -ECONNREFUSED) return;
    if (locked < 0) wrong("write lock: stuck", NULL);
    if (locked == SHMD_OWNER_DIED) {
        repair(&here->r, 2);
        done(shmd_make_consistent(segment), "make consistent");
    }
    verify(&here->r, "R is torn under the write lock");
    change(&here->r, "R: somebody else is inside");
    done(shmd_write_unlock(segment), "write unlock");
}

static void notify(void) {
    done(shmd_notify(segment, NULL), "notify");
}

static void wait_version(void) {
    uint64_t before, after;
    done(shmd_get_version(segment, &before), "version");
    if (done(shmd_wait(segment, before, 50 * 1000, &after), "wait") == 0 && after <= before) wrong("wait: an old version", NULL);
}

// Opens it, and its sync area with it, while the daemon may come and go.
static shmd_segment *opened(const char *socket, const char *key) {
    shmd_client *client;
    shmd_segment *result = NULL;
    uint64_t version;
    int failed = -1;
    for (int attempt = 0; attempt < 1000 && failed != 0; attempt++) {
        if (attempt > 0) usleep(10 * 1000);
        failed = shmd_connect(socket, &client);
        if (failed == 0) failed = shmd_open(client, key, SHMD_WRITE, &result);
        if (failed == 0) failed = shmd_get_version(result, &version);
        if (failed != 0 && failed != -ECONNRESET && failed != -ECONNREFUSED) done(failed, "open");
    }
    if (failed != 0) wrong("open: no daemon", NULL);
    return result;
}

// The pair: nothing but the peer's wake-ups lets this go on.
static void pair(int ping, shmd_segment *mine, shmd_segment *peer) {
    shmd_segment *locked = ping ? peer : mine;
    for (;;) {
        uint64_t own = 0, after;
        done(shmd_get_version(peer, &own), "version");
        uint64_t needed = ping ? own : own + 1, round = ping ? needed : own;
        if (needed > 0 && done(shmd_wait(mine, needed - 1, PATIENCE, &after), "wait") == -ETIMEDOUT) wrong("the pair: stuck", NULL);
        if (chance(4) == 0) usleep(chance(500)); // leaves the others some of the machine
        unsigned kind = round / 2 % 4;
        int reads = kind == 2 ? ping : kind == 3 ? !ping : 0;
        int got = kind == 0 ? shmd_lock(locked, PATIENCE) : reads ? shmd_read_lock(locked, PATIENCE) : shmd_write_lock(locked, PATIENCE);
        if (done(got, "the pair's lock") == -ECONNREFUSED) continue;
        if (got < 0) wrong("the pair's lock: stuck", NULL);
        if (got == SHMD_OWNER_DIED && !reads) done(shmd_make_consistent(locked), "make consistent");
        done(shmd_notify(peer, NULL), "notify");
        usleep(chance(chance(8) ? 300 : 5000)); // so that some die while the peer waits for the lock
        got = kind == 0 ? shmd_unlock(locked) : reads ? shmd_read_unlock(locked) : shmd_write_unlock(locked);
        done(got, "the pair's unlock");
    }
}

int main(int argc, char **argv) {
    if (argc != 4 && argc != 6) return 2;
    me = state = strtoull(argv[3], NULL, 10);
    segment = opened(argv[1], argv[2]);
    here = shmd_data(segment);
    shmd_segment *peer = argc == 6 ? opened(argv[1], argv[5]) : NULL;
    puts("ready");
    fflush(stdout);
    if (peer != NULL) pair(strcmp(argv[4], "ping") == 0, segment, peer);
    void (*const acts[])(void) = {lock, write_section, snapshot, read_lock, write_lock, notify, wait_version};
    for (;;) acts[chance(sizeof acts / sizeof *acts)]();
}
