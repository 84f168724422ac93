/* Watch: events as they come, one by one, by foreach, or by an event loop. */
#include "php_shmd.h"

#include "zend_interfaces.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>

static zend_class_entry *watch_ce, *event_ce;
static zend_object_handlers watch_handlers;

enum { EVENT_KIND, EVENT_SEGMENT };

typedef struct {
    shmd_watch *watch; /* NULL when it is closed */
    bool waiting;      /* a call is waiting for an event: a signal handler must not close it meanwhile */
    bool doomed;       /* was closed meanwhile all the same: the waiting call ends it */
    zend_object std;
} watch_object;

static watch_object *watch_of(zend_object *object) {
    return (watch_object *)((char *)object - offsetof(watch_object, std));
}

static zend_object *watch_create(zend_class_entry *ce) {
    watch_object *self = zend_object_alloc(sizeof *self, ce);
    zend_object_std_init(&self->std, ce);
    object_properties_init(&self->std, ce);
    self->std.handlers = &watch_handlers;
    return &self->std;
}

static void end_watch(watch_object *self) {
    if (self->waiting) {
        self->doomed = true;
        return;
    }
    shmd_watch_close(self->watch);
    self->watch = NULL;
}

static void watch_free(zend_object *object) {
    end_watch(watch_of(object));
    zend_object_std_dtor(object);
}

void php_shmd_watch_object(zval *out, shmd_watch *watch) {
    object_init_ex(out, watch_ce);
    watch_of(Z_OBJ_P(out))->watch = watch;
}

static watch_object *opened(zend_object *object) {
    watch_object *self = watch_of(object);
    if (self->watch && !self->doomed) return self;
    php_shmd_throw(php_shmd_closed_ce, EBADF, "the watch is closed");
    return NULL;
}

static void event_object(zval *out, const shmd_event *event) {
    object_init_ex(out, event_ce);
    php_shmd_enum_case(PHP_SHMD_EVENT_KIND, event->kind, OBJ_PROP_NUM(Z_OBJ_P(out), EVENT_KIND));
    zval *segment = OBJ_PROP_NUM(Z_OBJ_P(out), EVENT_SEGMENT);
    if (event->segment) {
        php_shmd_info_object(segment, event->segment);
    } else {
        ZVAL_NULL(segment);
    }
}

/* As poll(2) of one descriptor, but a signal that came just before is not missed either: -EINTR. */
static int poll_or_signal(struct pollfd *descriptor, const struct timespec *timeout) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    int result = -EINTR;
    if (!zend_atomic_bool_load_ex(&EG(vm_interrupt))) {
        result = ppoll(descriptor, 1, timeout, &before);
        if (result < 0) result = -errno;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return result;
}

/* Until the watch's descriptor is readable, or the time is over. Returns false when a signal handler threw or closed the
 * watch. */
static bool wait_readable(watch_object *self, int64_t deadline) {
    struct pollfd descriptor = {.fd = shmd_watch_fd(self->watch), .events = POLLIN};
    for (;;) {
        struct timespec left, *timeout = NULL;
        if (deadline >= 0) {
            int64_t usec = MAX(deadline - php_shmd_now_usec(), 0);
            left = (struct timespec){.tv_sec = usec / 1000000, .tv_nsec = usec % 1000000 * 1000};
            timeout = &left;
        }
        int result = poll_or_signal(&descriptor, timeout);
        if (result >= 0 || result != -EINTR) return true;
        if (!php_shmd_run_interrupts() || self->doomed) return false;
    }
}

/* The next event, null when none comes in time. */
static void next_event(watch_object *self, zend_long timeout_usec, zval *out) {
    const shmd_event *event = NULL;
    int64_t deadline = timeout_usec < 0 ? -1 : php_shmd_now_usec() + timeout_usec;
    ZVAL_NULL(out);
    if (self->waiting) {
        php_shmd_throw(php_shmd_exception_ce, EBUSY, "the watch is waiting for an event already");
        return;
    }
    /* A handler may drop the last reference to the object. */
    GC_ADDREF(&self->std);
    self->waiting = true;
    int code = shmd_watch_next(self->watch, 0, &event);
    bool going_on = true;
    while (code == -ETIMEDOUT && (deadline < 0 || php_shmd_now_usec() < deadline)) {
        if (!(going_on = wait_readable(self, deadline))) break;
        code = shmd_watch_next(self->watch, 0, &event);
    }
    self->waiting = false;
    if (going_on && code == 0) event_object(out, event);
    if (going_on && code < 0 && code != -ETIMEDOUT) php_shmd_throw_last();
    if (self->doomed) {
        end_watch(self);
        if (!going_on && !EG(exception)) php_shmd_throw(php_shmd_closed_ce, EBADF, "the watch was closed meanwhile");
    }
    OBJ_RELEASE(&self->std);
}

ZEND_METHOD(Shmd_Event, __construct) {
    ZEND_PARSE_PARAMETERS_NONE();
}

ZEND_METHOD(Shmd_Watch, __construct) {
    ZEND_PARSE_PARAMETERS_NONE();
}

ZEND_METHOD(Shmd_Watch, nextEvent) {
    zend_long timeout_usec = -1;
    ZEND_PARSE_PARAMETERS_START(0, 1)
        Z_PARAM_OPTIONAL
        Z_PARAM_LONG(timeout_usec)
    ZEND_PARSE_PARAMETERS_END();
    watch_object *self = opened(Z_OBJ_P(ZEND_THIS));
    if (!self) RETURN_THROWS();
    if (!php_shmd_in_range(timeout_usec, -1, PHP_SHMD_MOST_BYTES, 1)) RETURN_THROWS();
    next_event(self, timeout_usec, return_value);
}

ZEND_METHOD(Shmd_Watch, getIterator) {
    ZEND_PARSE_PARAMETERS_NONE();
    zend_create_internal_iterator_zval(return_value, ZEND_THIS);
}

ZEND_METHOD(Shmd_Watch, getStream) {
    ZEND_PARSE_PARAMETERS_NONE();
    watch_object *self = opened(Z_OBJ_P(ZEND_THIS));
    if (!self) RETURN_THROWS();
    int fd = fcntl(shmd_watch_fd(self->watch), F_DUPFD_CLOEXEC, 0);
    if (fd < 0) {
        php_shmd_throw(php_shmd_exception_ce, errno, "cannot make a stream of the watch: no descriptor is left");
        RETURN_THROWS();
    }
    php_stream *stream = php_stream_fopen_from_fd(fd, "r", NULL);
    php_stream_to_zval(stream, return_value);
}

ZEND_METHOD(Shmd_Watch, close) {
    ZEND_PARSE_PARAMETERS_NONE();
    end_watch(watch_of(Z_OBJ_P(ZEND_THIS)));
}

/* ---- foreach ---- */

typedef struct {
    zend_object_iterator base;
    zval event;
    zend_long position;
} watch_iterator;

static void iterator_end(zend_object_iterator *base) {
    watch_iterator *iterator = (watch_iterator *)base;
    zval_ptr_dtor(&iterator->event);
    zval_ptr_dtor(&base->data);
}

static void fetch(watch_iterator *iterator) {
    zval_ptr_dtor(&iterator->event);
    ZVAL_UNDEF(&iterator->event);
    watch_object *self = opened(Z_OBJ(iterator->base.data));
    if (!self) return;
    next_event(self, -1, &iterator->event);
    iterator->position++;
}

static zend_result iterator_valid(zend_object_iterator *base) {
    return Z_TYPE(((watch_iterator *)base)->event) == IS_OBJECT ? SUCCESS : FAILURE;
}

static zval *iterator_current(zend_object_iterator *base) {
    return &((watch_iterator *)base)->event;
}

static void iterator_key(zend_object_iterator *base, zval *key) {
    ZVAL_LONG(key, ((watch_iterator *)base)->position - 1);
}

static void iterator_forward(zend_object_iterator *base) {
    fetch((watch_iterator *)base);
}

/* A stream has no beginning to go back to: what comes next is the first. */
static void iterator_rewind(zend_object_iterator *base) {
    watch_iterator *iterator = (watch_iterator *)base;
    if (Z_TYPE(iterator->event) != IS_OBJECT) fetch(iterator);
}

static const zend_object_iterator_funcs iterator_funcs = {
    .dtor = iterator_end,
    .valid = iterator_valid,
    .get_current_data = iterator_current,
    .get_current_key = iterator_key,
    .move_forward = iterator_forward,
    .rewind = iterator_rewind,
};

static zend_object_iterator *get_iterator(zend_class_entry *ce, zval *object, int by_ref) {
    if (by_ref) {
        zend_throw_error(NULL, "An iterator cannot be used with foreach by reference");
        return NULL;
    }
    watch_iterator *iterator = emalloc(sizeof *iterator);
    zend_iterator_init(&iterator->base);
    ZVAL_OBJ_COPY(&iterator->base.data, Z_OBJ_P(object));
    iterator->base.funcs = &iterator_funcs;
    ZVAL_UNDEF(&iterator->event);
    iterator->position = 0;
    return &iterator->base;
}

void php_shmd_watch_register(zend_class_entry *watch, zend_class_entry *event) {
    watch_ce = watch;
    event_ce = event;
    watch->create_object = watch_create;
    watch->get_iterator = get_iterator;
    watch_handlers = std_object_handlers;
    watch_handlers.offset = offsetof(watch_object, std);
    watch_handlers.free_obj = watch_free;
    watch_handlers.clone_obj = NULL;
}
