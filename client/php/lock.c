/*
 * Lock, and what gives one: a segment's mutex, its readers-writer lock, and write sections. The object gives back what it
 * holds when it is freed, which Zend also does when a fatal error ends the request, other than calling destructors.
 */
#include "php_shmd.h"

#include <errno.h>

static zend_class_entry *lock_ce;
static zend_object_handlers lock_handlers;

enum { LOCK_OWNER_DIED };

typedef struct {
    zend_object *segment; /* a Segment; NULL in what was made without a constructor */
    php_shmd_lock_kind kind;
    bool held;
    zend_object std;
} lock_object;

static const struct {
    int (*take)(shmd_segment *segment, int64_t timeout_usec);
    int (*give_back)(shmd_segment *segment);
} calls[PHP_SHMD_LOCK_KINDS] = {
    [PHP_SHMD_LOCK] = {shmd_lock, shmd_unlock},
    [PHP_SHMD_READ_LOCK] = {shmd_read_lock, shmd_read_unlock},
    [PHP_SHMD_WRITE_LOCK] = {shmd_write_lock, shmd_write_unlock},
    [PHP_SHMD_WRITE_SECTION] = {shmd_begin_write, shmd_end_write},
};

static lock_object *lock_of(zend_object *object) {
    return (lock_object *)((char *)object - offsetof(lock_object, std));
}

static zend_object *lock_create(zend_class_entry *ce) {
    lock_object *self = zend_object_alloc(sizeof *self, ce);
    zend_object_std_init(&self->std, ce);
    object_properties_init(&self->std, ce);
    self->std.handlers = &lock_handlers;
    return &self->std;
}

/* A fatal error may have come anywhere in a write section, and left the content half written. Nobody gives that back: the
 * end of the grant does, and tells the next one. */
static bool abandoned(php_shmd_lock_kind kind) {
    return kind == PHP_SHMD_WRITE_SECTION && CG(unclean_shutdown);
}

/* Nothing is to do when the segment is closed: it has given back all. */
static int give_back(lock_object *self) {
    if (!self->held || abandoned(self->kind)) return 0;
    self->held = false;
    php_shmd_segment *segment = php_shmd_segment_of(self->segment);
    if (!segment->segment) return 0;
    segment->held[self->kind]--;
    return calls[self->kind].give_back(segment->segment);
}

void php_shmd_locks_end(php_shmd_segment *self) {
    for (php_shmd_lock_kind kind = 0; kind < PHP_SHMD_LOCK_KINDS; kind++) {
        if (abandoned(kind)) continue;
        for (; self->held[kind] > 0; self->held[kind]--) (void)calls[kind].give_back(self->segment);
    }
}

static void lock_free(zend_object *object) {
    lock_object *self = lock_of(object);
    (void)give_back(self);
    if (self->segment) OBJ_RELEASE(self->segment);
    zend_object_std_dtor(object);
}

void php_shmd_lock_register(zend_class_entry *ce) {
    lock_ce = ce;
    ce->create_object = lock_create;
    lock_handlers = std_object_handlers;
    lock_handlers.offset = offsetof(lock_object, std);
    lock_handlers.free_obj = lock_free;
    lock_handlers.clone_obj = NULL;
}

/* ---- Taking ---- */

static int attempt(shmd_segment *segment, int64_t timeout_usec, void *context) {
    return calls[*(php_shmd_lock_kind *)context].take(segment, timeout_usec);
}

/* A Lock. timeout_usec: the parameter of this number. */
static bool take(zval *out, zval *object, php_shmd_lock_kind kind, zend_long timeout_usec, uint32_t arg) {
    php_shmd_segment *segment = php_shmd_segment_opened(Z_OBJ_P(object));
    if (!segment || !php_shmd_in_range(timeout_usec, -1, PHP_SHMD_MOST_BYTES, arg)) return false;
    if (!php_shmd_segment_writable(segment)) return false;
    bool deadlock = kind == PHP_SHMD_WRITE_LOCK && segment->held[PHP_SHMD_READ_LOCK] > 0;
    int code = php_shmd_wait(segment, timeout_usec, deadlock, attempt, &kind);
    if (code < 0) return false;
    /* The segment knows of it first: memory may run out. */
    segment->held[kind]++;
    object_init_ex(out, lock_ce);
    lock_object *self = lock_of(Z_OBJ_P(out));
    self->segment = &segment->std;
    GC_ADDREF(self->segment);
    self->kind = kind;
    self->held = true;
    ZVAL_BOOL(OBJ_PROP_NUM(&self->std, LOCK_OWNER_DIED), code == SHMD_OWNER_DIED);
    return true;
}

static void return_lock(INTERNAL_FUNCTION_PARAMETERS, php_shmd_lock_kind kind) {
    zend_long timeout_usec = -1;
    ZEND_PARSE_PARAMETERS_START(0, 1)
        Z_PARAM_OPTIONAL
        Z_PARAM_LONG(timeout_usec)
    ZEND_PARSE_PARAMETERS_END();
    if (!take(return_value, ZEND_THIS, kind, timeout_usec, 1)) RETURN_THROWS();
}

/* Calls the function with the Lock, and returns what it does. */
static void call_locked(INTERNAL_FUNCTION_PARAMETERS, php_shmd_lock_kind kind) {
    zend_fcall_info function;
    zend_fcall_info_cache cache;
    zend_long timeout_usec = -1;
    zval lock;
    ZEND_PARSE_PARAMETERS_START(1, 2)
        Z_PARAM_FUNC(function, cache)
        Z_PARAM_OPTIONAL
        Z_PARAM_LONG(timeout_usec)
    ZEND_PARSE_PARAMETERS_END();
    if (!take(&lock, ZEND_THIS, kind, timeout_usec, 2)) RETURN_THROWS();
    function.params = &lock;
    function.param_count = 1;
    function.retval = return_value;
    zend_call_function(&function, &cache);
    if (Z_ISREF_P(return_value)) zend_unwrap_reference(return_value);
    if (give_back(lock_of(Z_OBJ(lock))) < 0 && !EG(exception)) php_shmd_throw_last();
    zval_ptr_dtor(&lock);
}

ZEND_METHOD(Shmd_Segment, lock) {
    return_lock(INTERNAL_FUNCTION_PARAM_PASSTHRU, PHP_SHMD_LOCK);
}

ZEND_METHOD(Shmd_Segment, readLock) {
    return_lock(INTERNAL_FUNCTION_PARAM_PASSTHRU, PHP_SHMD_READ_LOCK);
}

ZEND_METHOD(Shmd_Segment, writeLock) {
    return_lock(INTERNAL_FUNCTION_PARAM_PASSTHRU, PHP_SHMD_WRITE_LOCK);
}

ZEND_METHOD(Shmd_Segment, beginWrite) {
    return_lock(INTERNAL_FUNCTION_PARAM_PASSTHRU, PHP_SHMD_WRITE_SECTION);
}

ZEND_METHOD(Shmd_Segment, synchronized) {
    call_locked(INTERNAL_FUNCTION_PARAM_PASSTHRU, PHP_SHMD_LOCK);
}

ZEND_METHOD(Shmd_Segment, writeSection) {
    call_locked(INTERNAL_FUNCTION_PARAM_PASSTHRU, PHP_SHMD_WRITE_SECTION);
}

/* ---- What one holds ---- */

ZEND_METHOD(Shmd_Lock, __construct) {
    ZEND_PARSE_PARAMETERS_NONE();
}

ZEND_METHOD(Shmd_Lock, makeConsistent) {
    ZEND_PARSE_PARAMETERS_NONE();
    const lock_object *self = lock_of(Z_OBJ_P(ZEND_THIS));
    const php_shmd_segment *segment = self->held ? php_shmd_segment_of(self->segment) : NULL;
    /* libshmd speaks of all that the segment holds; another Lock may be one of them. */
    if (!segment || !segment->segment || self->kind == PHP_SHMD_READ_LOCK) {
        php_shmd_throw(php_shmd_exception_ce, EPERM,
                       segment && segment->segment ? "a lock for reading can make nothing consistent"
                                                   : "the lock has been given back");
        RETURN_THROWS();
    }
    if (shmd_make_consistent(segment->segment) < 0) {
        php_shmd_throw_last();
        RETURN_THROWS();
    }
}

ZEND_METHOD(Shmd_Lock, unlock) {
    ZEND_PARSE_PARAMETERS_NONE();
    if (give_back(lock_of(Z_OBJ_P(ZEND_THIS))) < 0) {
        php_shmd_throw_last();
        RETURN_THROWS();
    }
}
