/* The exceptions: which class a Varlink error or an errno value is, and how one is made. */
#include "php_shmd.h"

#include "ext/json/php_json.h"
#include "zend_smart_str.h"

#include <errno.h>
#include <string.h>

zend_class_entry *php_shmd_exception_ce;
zend_class_entry *php_shmd_not_writable_ce;
zend_class_entry *php_shmd_closed_ce;
zend_class_entry *php_shmd_deadlock_ce;

#define MOST_ERRORS 32

static struct {
    const char *name; /* NULL: for those that arise in this process */
    int code;
    zend_class_entry *ce;
} errors[MOST_ERRORS];
static size_t error_count;

void php_shmd_error_register(const char *name, int code, zend_class_entry *ce) {
    ZEND_ASSERT(error_count < MOST_ERRORS);
    errors[error_count].name = name;
    errors[error_count].code = code;
    errors[error_count++].ce = ce;
}

static zend_class_entry *class_of_name(const char *name) {
    for (size_t i = 0; i < error_count; i++) {
        if (errors[i].name && strcmp(errors[i].name, name) == 0) return errors[i].ce;
    }
    return php_shmd_exception_ce;
}

static zend_class_entry *class_of_code(int code) {
    for (size_t i = 0; i < error_count; i++) {
        if (!errors[i].name && errors[i].code == code) return errors[i].ce;
    }
    return php_shmd_exception_ce;
}

/* parameters: taken over. */
static void make(zval *out, zend_class_entry *ce, int code, const char *message, const char *name, zval *parameters) {
    zval value;
    object_init_ex(out, ce);
    ZVAL_STRING(&value, message);
    zend_update_property_ex(zend_ce_exception, Z_OBJ_P(out), ZSTR_KNOWN(ZEND_STR_MESSAGE), &value);
    zval_ptr_dtor(&value);
    ZVAL_LONG(&value, code);
    zend_update_property_ex(zend_ce_exception, Z_OBJ_P(out), ZSTR_KNOWN(ZEND_STR_CODE), &value);
    zend_update_property_string(php_shmd_exception_ce, Z_OBJ_P(out), ZEND_STRL("name"), name);
    zend_update_property(php_shmd_exception_ce, Z_OBJ_P(out), ZEND_STRL("parameters"), parameters);
    zval_ptr_dtor(parameters);
}

static void make_last(zval *out, const shmd_error *error) {
    zval parameters;
    bool has_name = *error->name != '\0';
    /* Its texts last only until the next call of libshmd: everything is copied before anything else can run. */
    if (php_json_decode_ex(&parameters, error->parameters, strlen(error->parameters), PHP_JSON_OBJECT_AS_ARRAY,
                           PHP_JSON_PARSER_DEFAULT_DEPTH) == FAILURE ||
        Z_TYPE(parameters) != IS_ARRAY) {
        zval_ptr_dtor(&parameters);
        ZVAL_EMPTY_ARRAY(&parameters);
    }
    make(out, has_name ? class_of_name(error->name) : class_of_code(-error->code), -error->code, error->message,
         error->name, &parameters);
}

void php_shmd_last_exception(zval *out) {
    make_last(out, shmd_last_error());
}

void php_shmd_throw_last(void) {
    zval exception;
    php_shmd_last_exception(&exception);
    zend_throw_exception_object(&exception);
}

/* Why one of many cannot be opened. */
static const char *words_of(int code) {
    switch (code) {
        case ENOENT:
            return "no segment has this key";
        case EACCES:
            return "the segment's owner and mode do not allow it";
        case EROFS:
            return "it is sealed: its content cannot be changed any more";
        case EINVAL:
            return "this is not a key";
        case EDQUOT:
            return "a limit is reached";
        default:
            return strerror(code);
    }
}

void php_shmd_exception_for_code(zval *out, int code, const char *key) {
    zval parameters;
    smart_str message = {0};
    zend_class_entry *ce = php_shmd_exception_ce;
    const char *name = "";

    for (size_t i = 0; i < error_count; i++) {
        if (errors[i].name && errors[i].code == -code) {
            ce = errors[i].ce;
            name = errors[i].name;
            break;
        }
    }
    array_init(&parameters);
    switch (-code) {
        case ENOENT:
        case EROFS:
        case EINVAL:
            add_assoc_string(&parameters, "key", key);
            break;
        default:
            break;
    }
    smart_str_appends(&message, "cannot open segment '");
    smart_str_appends(&message, key);
    smart_str_appends(&message, "': ");
    smart_str_appends(&message, words_of(-code));
    smart_str_0(&message);
    make(out, ce, -code, ZSTR_VAL(message.s), name, &parameters);
    smart_str_free(&message);
}

void php_shmd_throw(zend_class_entry *ce, int code, const char *message) {
    zval exception, parameters;
    ZVAL_EMPTY_ARRAY(&parameters);
    make(&exception, ce, code, message, "", &parameters);
    zend_throw_exception_object(&exception);
}

ZEND_METHOD(Shmd_Exception, getName) {
    zval scratch;
    ZEND_PARSE_PARAMETERS_NONE();
    zval *name = zend_read_property(php_shmd_exception_ce, Z_OBJ_P(ZEND_THIS), ZEND_STRL("name"), 0, &scratch);
    RETURN_COPY_DEREF(name);
}

ZEND_METHOD(Shmd_Exception, getParameters) {
    zval scratch;
    ZEND_PARSE_PARAMETERS_NONE();
    zval *parameters =
        zend_read_property(php_shmd_exception_ce, Z_OBJ_P(ZEND_THIS), ZEND_STRL("parameters"), 0, &scratch);
    RETURN_COPY_DEREF(parameters);
}
