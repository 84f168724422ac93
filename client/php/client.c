/* Client: the service's methods. */
#include "php_shmd.h"

#include "ext/json/php_json.h"
#include "zend_smart_str.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    zend_string *path; /* NULL: to be looked for */
    bool control;
    zend_object std;
} client_object;

static zend_class_entry *client_ce;
static zend_object_handlers client_handlers;

static client_object *client_of(zend_object *object) {
    return (client_object *)((char *)object - offsetof(client_object, std));
}

static zend_object *client_create(zend_class_entry *ce) {
    client_object *self = zend_object_alloc(sizeof *self, ce);
    zend_object_std_init(&self->std, ce);
    object_properties_init(&self->std, ce);
    self->std.handlers = &client_handlers;
    return &self->std;
}

static void client_free(zend_object *object) {
    client_object *self = client_of(object);
    if (self->path) zend_string_release(self->path);
    zend_object_std_dtor(object);
}

void php_shmd_client_register(zend_class_entry *ce) {
    client_ce = ce;
    ce->create_object = client_create;
    client_handlers = std_object_handlers;
    client_handlers.offset = offsetof(client_object, std);
    client_handlers.free_obj = client_free;
    client_handlers.clone_obj = NULL;
}

shmd_client *php_shmd_client_connection(zend_object *object) {
    const client_object *self = client_of(object);
    return php_shmd_connection(self->control, self->path);
}

ZEND_METHOD(Shmd_Client, __construct) {
    zend_string *path = NULL;
    ZEND_PARSE_PARAMETERS_START(0, 1)
        Z_PARAM_OPTIONAL
        Z_PARAM_PATH_STR_OR_NULL(path)
    ZEND_PARSE_PARAMETERS_END();
    client_object *self = client_of(Z_OBJ_P(ZEND_THIS));
    if (self->path) zend_string_release(self->path);
    self->path = path ? zend_string_copy(path) : NULL;
}

ZEND_METHOD(Shmd_Client, control) {
    zend_string *path = NULL;
    ZEND_PARSE_PARAMETERS_START(0, 1)
        Z_PARAM_OPTIONAL
        Z_PARAM_PATH_STR_OR_NULL(path)
    ZEND_PARSE_PARAMETERS_END();
    object_init_ex(return_value, client_ce);
    client_object *self = client_of(Z_OBJ_P(return_value));
    self->path = path ? zend_string_copy(path) : NULL;
    self->control = true;
}

ZEND_METHOD(Shmd_Client, getSocketPath) {
    ZEND_PARSE_PARAMETERS_NONE();
    PHP_SHMD_CONNECTED(client);
    RETURN_STRING(shmd_socket_path(client));
}

/* ---- Creating ---- */

ZEND_METHOD(Shmd_Client, create) {
    php_shmd_creation creation;
    if (!php_shmd_creation_from(INTERNAL_FUNCTION_PARAM_PASSTHRU, &creation)) RETURN_THROWS();
    shmd_client *client = php_shmd_client_connection(Z_OBJ_P(ZEND_THIS));
    shmd_segment *segment;
    if (client) {
        if (shmd_create(client, creation.key ? ZSTR_VAL(creation.key) : NULL, (uint64_t)creation.size,
                        &creation.options, &segment) < 0) {
            php_shmd_throw_last();
        } else {
            php_shmd_segment_object(return_value, client, segment);
        }
    }
    php_shmd_creation_free(&creation);
}

/* ---- Opening ---- */

typedef struct {
    shmd_access access;
    zend_long wait_usec;
    bool sealed;
} open_options;

/* Whether these go together. */
static bool open_options_fit(const open_options *options, const php_shmd_target *target) {
    if (!php_shmd_in_range(options->wait_usec, -1, PHP_SHMD_MOST_BYTES, 3)) return false;
    if (options->wait_usec != 0 && (!target->key || options->sealed)) {
        zend_argument_value_error(3, "must be 0 with an id and with $sealed");
        return false;
    }
    if (options->sealed && options->access != SHMD_READ) {
        zend_argument_value_error(4, "must be false to open for writing: what is sealed cannot be written");
        return false;
    }
    return true;
}

static int open_target(shmd_client *client, const php_shmd_target *target, const open_options *options,
                       shmd_segment **segment) {
    const char *key = target->key ? ZSTR_VAL(target->key) : NULL;
    if (options->sealed) {
        return key ? shmd_open_sealed(client, key, segment) : shmd_open_sealed_id(client, target->id, segment);
    }
    if (options->wait_usec != 0) return shmd_open_wait(client, key, options->access, options->wait_usec, segment);
    return key ? shmd_open(client, key, options->access, segment)
               : shmd_open_id(client, target->id, options->access, segment);
}

ZEND_METHOD(Shmd_Client, open) {
    zend_string *text = NULL;
    zend_object *access = NULL;
    zend_long number = 0, id = 0;
    bool no_key = true, no_id = true;
    open_options options = {SHMD_READ, 0, false};
    ZEND_PARSE_PARAMETERS_START(0, 5)
        Z_PARAM_OPTIONAL
        Z_PARAM_STR_OR_LONG_OR_NULL(text, number, no_key)
        Z_PARAM_OBJ_OF_CLASS(access, php_shmd_enum_class(PHP_SHMD_ACCESS))
        Z_PARAM_LONG(options.wait_usec)
        Z_PARAM_BOOL(options.sealed)
        Z_PARAM_LONG_OR_NULL(id, no_id)
    ZEND_PARSE_PARAMETERS_END();
    PHP_SHMD_CONNECTED(client);
    php_shmd_target target;
    if (!php_shmd_target_from(&target, text, number, no_key, id, no_id)) RETURN_THROWS();
    if (access) options.access = php_shmd_enum_value(PHP_SHMD_ACCESS, access);
    shmd_segment *segment;
    if (open_options_fit(&options, &target)) {
        if (open_target(client, &target, &options, &segment) < 0) {
            php_shmd_throw_last();
        } else {
            php_shmd_segment_object(return_value, client, segment);
        }
    }
    php_shmd_target_free(&target);
}

/* ---- What names a segment and answers with what it is then ---- */

/* Throws, or returns the description and frees it. */
static void return_info(zval *return_value, int code, shmd_info *info) {
    if (code < 0) {
        php_shmd_throw_last();
        return;
    }
    php_shmd_info_object(return_value, info);
    shmd_info_free(info);
}

typedef int (*by_key)(shmd_client *client, const char *key, shmd_info **info);
typedef int (*by_id)(shmd_client *client, int64_t id, shmd_info **info);

static void with_target(INTERNAL_FUNCTION_PARAMETERS, by_key of_key, by_id of_id) {
    zend_string *text = NULL;
    zend_long number = 0, id = 0;
    bool no_key = true, no_id = true;
    ZEND_PARSE_PARAMETERS_START(0, 2)
        Z_PARAM_OPTIONAL
        Z_PARAM_STR_OR_LONG_OR_NULL(text, number, no_key)
        Z_PARAM_LONG_OR_NULL(id, no_id)
    ZEND_PARSE_PARAMETERS_END();
    PHP_SHMD_CONNECTED(client);
    php_shmd_target target;
    if (!php_shmd_target_from(&target, text, number, no_key, id, no_id)) RETURN_THROWS();
    shmd_info *info = NULL;
    int code = target.key ? of_key(client, ZSTR_VAL(target.key), &info) : of_id(client, target.id, &info);
    return_info(return_value, code, info);
    php_shmd_target_free(&target);
}

ZEND_METHOD(Shmd_Client, describe) {
    with_target(INTERNAL_FUNCTION_PARAM_PASSTHRU, shmd_describe, shmd_describe_id);
}

ZEND_METHOD(Shmd_Client, renew) {
    with_target(INTERNAL_FUNCTION_PARAM_PASSTHRU, shmd_renew, shmd_renew_id);
}

ZEND_METHOD(Shmd_Client, seal) {
    with_target(INTERNAL_FUNCTION_PARAM_PASSTHRU, shmd_seal, shmd_seal_id);
}

ZEND_METHOD(Shmd_Client, delete) {
    zend_string *text = NULL;
    zend_long number = 0, id = 0;
    bool no_key = true, no_id = true;
    ZEND_PARSE_PARAMETERS_START(0, 2)
        Z_PARAM_OPTIONAL
        Z_PARAM_STR_OR_LONG_OR_NULL(text, number, no_key)
        Z_PARAM_LONG_OR_NULL(id, no_id)
    ZEND_PARSE_PARAMETERS_END();
    PHP_SHMD_CONNECTED(client);
    php_shmd_target target;
    if (!php_shmd_target_from(&target, text, number, no_key, id, no_id)) RETURN_THROWS();
    int code = target.key ? shmd_delete(client, ZSTR_VAL(target.key)) : shmd_delete_id(client, target.id);
    if (code < 0) php_shmd_throw_last();
    php_shmd_target_free(&target);
}

ZEND_METHOD(Shmd_Client, resize) {
    zend_string *text = NULL;
    zend_long number = 0, size, id = 0;
    bool no_key = true, no_id = true;
    ZEND_PARSE_PARAMETERS_START(2, 3)
        Z_PARAM_STR_OR_LONG_OR_NULL(text, number, no_key)
        Z_PARAM_LONG(size)
        Z_PARAM_OPTIONAL
        Z_PARAM_LONG_OR_NULL(id, no_id)
    ZEND_PARSE_PARAMETERS_END();
    if (!php_shmd_in_range(size, 0, PHP_SHMD_MOST_BYTES, 2)) RETURN_THROWS();
    PHP_SHMD_CONNECTED(client);
    php_shmd_target target;
    if (!php_shmd_target_from(&target, text, number, no_key, id, no_id)) RETURN_THROWS();
    shmd_info *info = NULL;
    int code = target.key ? shmd_resize(client, ZSTR_VAL(target.key), (uint64_t)size, &info)
                          : shmd_resize_id(client, target.id, (uint64_t)size, &info);
    return_info(return_value, code, info);
    php_shmd_target_free(&target);
}

ZEND_METHOD(Shmd_Client, list) {
    zend_string *prefix = NULL;
    ZEND_PARSE_PARAMETERS_START(0, 1)
        Z_PARAM_OPTIONAL
        Z_PARAM_PATH_STR(prefix)
    ZEND_PARSE_PARAMETERS_END();
    PHP_SHMD_CONNECTED(client);
    shmd_info *first = NULL;
    if (shmd_list(client, prefix ? ZSTR_VAL(prefix) : NULL, &first) < 0) {
        php_shmd_throw_last();
        RETURN_THROWS();
    }
    array_init(return_value);
    for (const shmd_info *info = first; info; info = info->next) {
        zval item;
        php_shmd_info_object(&item, info);
        add_next_index_zval(return_value, &item);
    }
    shmd_info_free(first);
}

ZEND_METHOD(Shmd_Client, watch) {
    zend_string *prefix = NULL;
    ZEND_PARSE_PARAMETERS_START(0, 1)
        Z_PARAM_OPTIONAL
        Z_PARAM_PATH_STR(prefix)
    ZEND_PARSE_PARAMETERS_END();
    PHP_SHMD_CONNECTED(client);
    shmd_watch *watch;
    if (shmd_watch_open(client, prefix && ZSTR_LEN(prefix) > 0 ? ZSTR_VAL(prefix) : NULL, &watch) < 0) {
        php_shmd_throw_last();
        RETURN_THROWS();
    }
    php_shmd_watch_object(return_value, watch);
}

/* ---- Any other method ---- */

typedef int (*any_call)(shmd_client *client, const char *method, const char *parameters, char **reply);

static void call(INTERNAL_FUNCTION_PARAMETERS, any_call make) {
    zend_string *method;
    zval *parameters = NULL;
    ZEND_PARSE_PARAMETERS_START(1, 2)
        Z_PARAM_PATH_STR(method)
        Z_PARAM_OPTIONAL
        Z_PARAM_ARRAY(parameters)
    ZEND_PARSE_PARAMETERS_END();
    PHP_SHMD_CONNECTED(client);
    smart_str json = {0};
    if (parameters && zend_hash_num_elements(Z_ARRVAL_P(parameters)) > 0 && zend_array_is_list(Z_ARRVAL_P(parameters))) {
        zend_argument_value_error(2, "must have the names of parameters as its keys");
        RETURN_THROWS();
    }
    if (parameters && zend_hash_num_elements(Z_ARRVAL_P(parameters)) > 0) {
        if (php_json_encode(&json, parameters, PHP_JSON_UNESCAPED_SLASHES) == FAILURE || !json.s) {
            smart_str_free(&json);
            if (!EG(exception)) zend_argument_value_error(2, "must be something that JSON can express");
            RETURN_THROWS();
        }
        smart_str_0(&json);
    }
    char *reply = NULL;
    if (make(client, ZSTR_VAL(method), json.s ? ZSTR_VAL(json.s) : NULL, &reply) < 0) {
        php_shmd_throw_last();
    } else {
        php_json_decode_ex(return_value, reply, strlen(reply), PHP_JSON_OBJECT_AS_ARRAY, PHP_JSON_PARSER_DEFAULT_DEPTH);
        free(reply);
    }
    smart_str_free(&json);
}

ZEND_METHOD(Shmd_Client, call) {
    call(INTERNAL_FUNCTION_PARAM_PASSTHRU, shmd_call);
}

ZEND_METHOD(Shmd_Client, callMany) {
    call(INTERNAL_FUNCTION_PARAM_PASSTHRU, shmd_call_many);
}
