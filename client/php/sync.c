/* Segment: snapshots, the version, and what wakes who waits for it. */
#include "php_shmd.h"

#include <errno.h>
#include <fcntl.h>

/* Sets self, or leaves the method with the exception thrown. */
#define OPENED(self)                                                      \
    php_shmd_segment *self = php_shmd_segment_opened(Z_OBJ_P(ZEND_THIS)); \
    if (!self) RETURN_THROWS()

/* ---- Snapshots ---- */

typedef struct {
    uint64_t offset;
    zend_string *out;
} copy;

static int take_snapshot(shmd_segment *segment, int64_t timeout_usec, void *context) {
    const copy *to = context;
    return shmd_snapshot(segment, to->offset, ZSTR_VAL(to->out), ZSTR_LEN(to->out), timeout_usec);
}

ZEND_METHOD(Shmd_Segment, snapshot) {
    zend_long offset = 0, length = 0, timeout_usec = -1;
    bool rest = true;
    ZEND_PARSE_PARAMETERS_START(0, 3)
        Z_PARAM_OPTIONAL
        Z_PARAM_LONG(offset)
        Z_PARAM_LONG_OR_NULL(length, rest)
        Z_PARAM_LONG(timeout_usec)
    ZEND_PARSE_PARAMETERS_END();
    OPENED(self);

    zend_long size = (zend_long)shmd_size(self->segment);
    if (!php_shmd_in_range(offset, 0, size, 1)) RETURN_THROWS();
    if (rest) length = size - offset;
    if (!php_shmd_in_range(length, 0, size - offset, 2)) RETURN_THROWS();
    if (!php_shmd_in_range(timeout_usec, -1, PHP_SHMD_MOST_BYTES, 3)) RETURN_THROWS();
    copy to = {(uint64_t)offset, zend_string_alloc((size_t)length, false)};
    ZSTR_VAL(to.out)[length] = '\0';
    if (php_shmd_wait(self, timeout_usec, self->held[PHP_SHMD_WRITE_SECTION] > 0, take_snapshot, &to) < 0) {
        zend_string_efree(to.out);
        RETURN_THROWS();
    }
    RETURN_NEW_STR(to.out);
}

/* ---- The version ---- */

ZEND_METHOD(Shmd_Segment, version) {
    ZEND_PARSE_PARAMETERS_NONE();
    OPENED(self);
    uint64_t version;
    if (shmd_get_version(self->segment, &version) < 0) {
        php_shmd_throw_last();
        RETURN_THROWS();
    }
    RETURN_LONG((zend_long)version);
}

ZEND_METHOD(Shmd_Segment, notify) {
    ZEND_PARSE_PARAMETERS_NONE();
    OPENED(self);
    if (!php_shmd_segment_writable(self)) RETURN_THROWS();
    uint64_t version;
    if (shmd_notify(self->segment, &version) < 0) {
        php_shmd_throw_last();
        RETURN_THROWS();
    }
    RETURN_LONG((zend_long)version);
}

typedef struct {
    uint64_t after, version;
} change;

static int await_change(shmd_segment *segment, int64_t timeout_usec, void *context) {
    change *next = context;
    return shmd_wait(segment, next->after, timeout_usec, &next->version);
}

ZEND_METHOD(Shmd_Segment, wait) {
    zend_long after = 0, timeout_usec = -1;
    bool from_now = true;
    ZEND_PARSE_PARAMETERS_START(0, 2)
        Z_PARAM_OPTIONAL
        Z_PARAM_LONG_OR_NULL(after, from_now)
        Z_PARAM_LONG(timeout_usec)
    ZEND_PARSE_PARAMETERS_END();
    OPENED(self);
    if (!from_now && !php_shmd_in_range(after, 0, ZEND_LONG_MAX, 1)) RETURN_THROWS();
    if (!php_shmd_in_range(timeout_usec, -1, PHP_SHMD_MOST_BYTES, 2)) RETURN_THROWS();
    change next = {.after = (uint64_t)after};
    if (from_now && shmd_get_version(self->segment, &next.after) < 0) {
        php_shmd_throw_last();
        RETURN_THROWS();
    }
    if (php_shmd_wait(self, timeout_usec, false, await_change, &next) < 0) RETURN_THROWS();
    RETURN_LONG((zend_long)next.version);
}

ZEND_METHOD(Shmd_Segment, getNotificationStream) {
    ZEND_PARSE_PARAMETERS_NONE();
    OPENED(self);
    int own = shmd_notification_fd(self->segment);
    if (own < 0) {
        php_shmd_throw_last();
        RETURN_THROWS();
    }
    int fd = fcntl(own, F_DUPFD_CLOEXEC, 0);
    if (fd < 0) {
        php_shmd_throw(php_shmd_exception_ce, errno, "cannot make a stream of the notifications: no descriptor is left");
        RETURN_THROWS();
    }
    php_stream *stream = php_stream_fopen_from_fd(fd, "r", NULL);
    php_stream_to_zval(stream, return_value);
}
