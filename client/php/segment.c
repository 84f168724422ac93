/* Segment: memory that is mapped into this process, read and written as strings. */
#include "php_shmd.h"

#include <errno.h>
#include <string.h>

zend_class_entry *php_shmd_segment_ce;

static zend_object_handlers segment_handlers;

php_shmd_segment *php_shmd_segment_of(zend_object *object) {
    return (php_shmd_segment *)((char *)object - offsetof(php_shmd_segment, std));
}

static zend_object *segment_create(zend_class_entry *ce) {
    php_shmd_segment *self = zend_object_alloc(sizeof *self, ce);
    zend_object_std_init(&self->std, ce);
    object_properties_init(&self->std, ce);
    self->std.handlers = &segment_handlers;
    return &self->std;
}

static void segment_free(zend_object *object) {
    shmd_close(php_shmd_segment_take(object));
    zend_object_std_dtor(object);
}

void php_shmd_segment_register(zend_class_entry *ce) {
    php_shmd_segment_ce = ce;
    ce->create_object = segment_create;
    segment_handlers = std_object_handlers;
    segment_handlers.offset = offsetof(php_shmd_segment, std);
    segment_handlers.free_obj = segment_free;
    segment_handlers.clone_obj = NULL;
}

void php_shmd_segment_object(zval *out, shmd_client *client, shmd_segment *segment) {
    object_init_ex(out, php_shmd_segment_ce);
    php_shmd_segment *self = php_shmd_segment_of(Z_OBJ_P(out));
    self->segment = segment;
    self->client = client;
}

shmd_segment *php_shmd_segment_take(zend_object *object) {
    php_shmd_segment *self = php_shmd_segment_of(object);
    shmd_segment *segment = self->segment;
    /* Also at the end of the request, where this may come before the end of the Lock objects. */
    if (segment) php_shmd_locks_end(self);
    self->segment = NULL;
    return segment;
}

php_shmd_segment *php_shmd_segment_opened(zend_object *object) {
    php_shmd_segment *self = php_shmd_segment_of(object);
    if (self->segment) return self;
    php_shmd_throw(php_shmd_closed_ce, EBADF, "the segment is closed");
    return NULL;
}

bool php_shmd_segment_writable(const php_shmd_segment *self) {
    if (shmd_segment_access(self->segment) == SHMD_WRITE) return true;
    php_shmd_throw(php_shmd_not_writable_ce, EACCES, "the segment is open for reading alone");
    return false;
}

static shmd_segment *opened(zval *object) {
    const php_shmd_segment *self = php_shmd_segment_opened(Z_OBJ_P(object));
    return self ? self->segment : NULL;
}

/* Sets segment, or leaves the method with the exception thrown. */
#define OPENED(segment)                         \
    shmd_segment *segment = opened(ZEND_THIS);  \
    if (!segment) RETURN_THROWS()

/* After a call that may have failed. */
static void chain(int code, zval *self, zval *return_value) {
    if (code < 0) {
        php_shmd_throw_last();
    } else {
        ZVAL_COPY(return_value, self);
    }
}

ZEND_METHOD(Shmd_Segment, __construct) {
    ZEND_PARSE_PARAMETERS_NONE();
}

ZEND_METHOD(Shmd_Segment, read) {
    zend_long offset = 0, length = 0;
    bool rest = true;
    ZEND_PARSE_PARAMETERS_START(0, 2)
        Z_PARAM_OPTIONAL
        Z_PARAM_LONG(offset)
        Z_PARAM_LONG_OR_NULL(length, rest)
    ZEND_PARSE_PARAMETERS_END();
    OPENED(segment);

    zend_long size = (zend_long)shmd_size(segment);
    if (!php_shmd_in_range(offset, 0, size, 1)) RETURN_THROWS();
    if (rest) length = size - offset;
    if (!php_shmd_in_range(length, 0, size - offset, 2)) RETURN_THROWS();
    RETURN_STRINGL((const char *)shmd_data(segment) + offset, length);
}

ZEND_METHOD(Shmd_Segment, write) {
    zend_string *data;
    zend_long offset = 0;
    ZEND_PARSE_PARAMETERS_START(1, 2)
        Z_PARAM_STR(data)
        Z_PARAM_OPTIONAL
        Z_PARAM_LONG(offset)
    ZEND_PARSE_PARAMETERS_END();
    OPENED(segment);

    if (!php_shmd_segment_writable(php_shmd_segment_of(Z_OBJ_P(ZEND_THIS)))) RETURN_THROWS();
    zend_long size = (zend_long)shmd_size(segment);
    if (!php_shmd_in_range(offset, 0, size, 2)) RETURN_THROWS();
    if (ZSTR_LEN(data) > (size_t)(size - offset)) {
        zend_argument_value_error(1, "must have at most " ZEND_LONG_FMT " bytes to fit behind the offset, it has %zu",
                                  size - offset, ZSTR_LEN(data));
        RETURN_THROWS();
    }
    memcpy((char *)shmd_data(segment) + offset, ZSTR_VAL(data), ZSTR_LEN(data));
    RETURN_LONG((zend_long)ZSTR_LEN(data));
}

ZEND_METHOD(Shmd_Segment, size) {
    ZEND_PARSE_PARAMETERS_NONE();
    OPENED(segment);
    RETURN_LONG((zend_long)shmd_size(segment));
}

ZEND_METHOD(Shmd_Segment, access) {
    ZEND_PARSE_PARAMETERS_NONE();
    OPENED(segment);
    php_shmd_enum_case(PHP_SHMD_ACCESS, shmd_segment_access(segment), return_value);
}

ZEND_METHOD(Shmd_Segment, created) {
    ZEND_PARSE_PARAMETERS_NONE();
    OPENED(segment);
    RETURN_BOOL(shmd_created(segment));
}

ZEND_METHOD(Shmd_Segment, attachment) {
    ZEND_PARSE_PARAMETERS_NONE();
    OPENED(segment);
    RETURN_LONG(shmd_attachment(segment));
}

ZEND_METHOD(Shmd_Segment, info) {
    ZEND_PARSE_PARAMETERS_NONE();
    OPENED(segment);
    php_shmd_info_object(return_value, shmd_segment_info(segment));
}

ZEND_METHOD(Shmd_Segment, publish) {
    zend_string *text = NULL, *key = NULL;
    zend_long number = 0;
    bool no_key = true, replace = false;
    ZEND_PARSE_PARAMETERS_START(0, 2)
        Z_PARAM_OPTIONAL
        Z_PARAM_STR_OR_LONG_OR_NULL(text, number, no_key)
        Z_PARAM_BOOL(replace)
    ZEND_PARSE_PARAMETERS_END();
    OPENED(segment);

    if (!no_key && !(key = php_shmd_key(text, number, 1))) RETURN_THROWS();
    chain(shmd_publish(segment, key ? ZSTR_VAL(key) : NULL, replace), ZEND_THIS, return_value);
    if (key) zend_string_release(key);
}

ZEND_METHOD(Shmd_Segment, seal) {
    ZEND_PARSE_PARAMETERS_NONE();
    OPENED(segment);
    chain(shmd_seal_segment(segment), ZEND_THIS, return_value);
}

ZEND_METHOD(Shmd_Segment, resize) {
    zend_long size;
    ZEND_PARSE_PARAMETERS_START(1, 1)
        Z_PARAM_LONG(size)
    ZEND_PARSE_PARAMETERS_END();
    OPENED(segment);
    if (!php_shmd_in_range(size, 0, PHP_SHMD_MOST_BYTES, 1)) RETURN_THROWS();
    chain(shmd_resize_segment(segment, (uint64_t)size), ZEND_THIS, return_value);
}

ZEND_METHOD(Shmd_Segment, remap) {
    ZEND_PARSE_PARAMETERS_NONE();
    OPENED(segment);
    chain(shmd_remap(segment), ZEND_THIS, return_value);
}

ZEND_METHOD(Shmd_Segment, close) {
    ZEND_PARSE_PARAMETERS_NONE();
    shmd_close(php_shmd_segment_take(Z_OBJ_P(ZEND_THIS)));
}

ZEND_METHOD(Shmd_Segment, isClosed) {
    ZEND_PARSE_PARAMETERS_NONE();
    RETURN_BOOL(!php_shmd_segment_of(Z_OBJ_P(ZEND_THIS))->segment);
}
