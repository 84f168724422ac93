/*
 * Waiting in slices, so that signal handlers run meanwhile. libshmd goes on after a signal, and asks the daemon whether
 * the holders of locks are still there when one call has waited for a second: no slice is that long, so it is done here.
 */
#include "php_shmd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define SECOND_USEC INT64_C(1000000)
#define SLICE_USEC (SECOND_USEC / 10)
/* In which libshmd asks by itself. */
#define LONG_SLICE_USEC (SECOND_USEC + 1000)
/* A daemon that is restarted may be away for a while. */
#define MOST_AWAY_USEC (15 * SECOND_USEC)

int64_t php_shmd_now_usec(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * SECOND_USEC + now.tv_nsec / 1000;
}

bool php_shmd_run_interrupts(void) {
    if (zend_atomic_bool_load_ex(&EG(vm_interrupt))) {
        zend_atomic_bool_store_ex(&EG(vm_interrupt), false);
        if (zend_atomic_bool_load_ex(&EG(timed_out))) zend_timeout();
        if (zend_interrupt_function) zend_interrupt_function(EG(current_execute_data));
    }
    return !EG(exception);
}

typedef struct {
    int64_t asked;      /* when the daemon was asked last, or the wait began */
    int64_t away_since; /* when it first could not be; -1: it could */
    int64_t slice;
} watchfulness;

/* Has the daemon look, once a second, whether those are still there who are waited for. */
static bool ask_daemon(const php_shmd_segment *self, watchfulness *watch, int64_t now) {
    char parameters[32], *reply = NULL;
    if (now - watch->asked < SECOND_USEC || watch->slice == LONG_SLICE_USEC) return true;
    watch->asked = now;
    snprintf(parameters, sizeof parameters, "{\"attachment\":%u}", shmd_attachment(self->segment));
    int code = shmd_call(self->client, "io.shmd.Segments.RecoverLocks", parameters, &reply);
    free(reply);
    if (code >= 0) {
        watch->away_since = -1;
    } else if (*shmd_last_error()->name) {
        /* It does not know the grant, on the connection that the client has now. libshmd knows whether that is the end. */
        watch->slice = LONG_SLICE_USEC;
    } else if (watch->away_since < 0) {
        watch->away_since = now;
    } else if (now - watch->away_since > MOST_AWAY_USEC) {
        php_shmd_throw_last();
        return false;
    }
    return true;
}

int php_shmd_wait(php_shmd_segment *self, zend_long timeout_usec, bool deadlock, php_shmd_attempt attempt,
                  void *context) {
    int64_t now = php_shmd_now_usec(), deadline = now + timeout_usec;
    watchfulness watch = {.asked = now, .away_since = -1, .slice = SLICE_USEC};
    for (;; now = php_shmd_now_usec()) {
        int64_t left = timeout_usec < 0 ? INT64_MAX : MAX(deadline - now, 0);
        int code = attempt(self->segment, deadlock ? 0 : MIN(left, watch.slice), context);
        if (code >= 0) return code;
        if (code == -ETIMEDOUT && deadlock) {
            php_shmd_throw(php_shmd_deadlock_ce, EDEADLK, "this segment itself holds what it would wait for");
            return -EDEADLK;
        }
        if (code != -ETIMEDOUT || left <= watch.slice) {
            php_shmd_throw_last();
            return code;
        }
        if (!php_shmd_run_interrupts()) return -EINTR;
        if (!self->segment) {
            php_shmd_throw(php_shmd_closed_ce, EBADF, "the segment was closed meanwhile");
            return -EBADF;
        }
        if (!ask_daemon(self, &watch, now)) return -ECONNREFUSED;
    }
}
