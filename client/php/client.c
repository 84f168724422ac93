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

/* Sets client, or leaves the method with the exception thrown. */
#define CONNECTED(client)                                                    \
    shmd_client *client = php_shmd_client_connection(Z_OBJ_P(ZEND_THIS));    \
    if (!client) RETURN_THROWS()

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
    CONNECTED(client);
    RETURN_STRING(shmd_socket_path(client));
}

/* ---- Creating ---- */

/* Segments that shmd_create_many() makes in one trip. */
#define MOST_AT_ONCE 250

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
            php_shmd_segment_object(return_value, segment);
        }
    }
    php_shmd_creation_free(&creation);
}

/* What segments[] holds, under the keys of like. */
static void segments_like(zval *out, HashTable *like, shmd_segment **segments) {
    zend_ulong number;
    zend_string *name;
    array_init_size(out, zend_hash_num_elements(like));
    ZEND_HASH_FOREACH_KEY(like, number, name) {
        zval segment;
        php_shmd_segment_object(&segment, *segments++);
        if (name) {
            zend_hash_add_new(Z_ARRVAL_P(out), name, &segment);
        } else {
            zend_hash_index_add_new(Z_ARRVAL_P(out), number, &segment);
        }
    }
    ZEND_HASH_FOREACH_END();
}

static bool requests_from(shmd_create_request *requests, HashTable *from) {
    zval *value;
    ZEND_HASH_FOREACH_VAL(from, value) {
        ZVAL_DEREF(value);
        const php_shmd_creation *creation = NULL;
        if (Z_TYPE_P(value) == IS_OBJECT && Z_OBJCE_P(value) == php_shmd_new_segment_ce) {
            creation = php_shmd_new_segment(Z_OBJ_P(value));
        }
        if (!creation) {
            zend_argument_type_error(1, "must be an array of Shmd\\NewSegment, %s found", zend_zval_type_name(value));
            return false;
        }
        *requests++ = (shmd_create_request){.key = creation->key ? ZSTR_VAL(creation->key) : NULL,
                                            .size = (uint64_t)creation->size,
                                            .options = &creation->options};
    }
    ZEND_HASH_FOREACH_END();
    return true;
}

ZEND_METHOD(Shmd_Client, createMany) {
    HashTable *given;
    ZEND_PARSE_PARAMETERS_START(1, 1)
        Z_PARAM_ARRAY_HT(given)
    ZEND_PARSE_PARAMETERS_END();
    uint32_t count = zend_hash_num_elements(given);
    if (count < 1 || count > MOST_AT_ONCE) {
        zend_argument_value_error(1, "must have 1 to %d elements, it has %u", MOST_AT_ONCE, count);
        RETURN_THROWS();
    }
    CONNECTED(client);
    shmd_create_request *requests = safe_emalloc(count, sizeof *requests, 1);
    shmd_segment **segments = safe_emalloc(count, sizeof *segments, 1);
    if (requests_from(requests, given)) {
        if (shmd_create_many(client, requests, count, segments) < 0) {
            php_shmd_throw_last();
        } else {
            segments_like(return_value, given, segments);
        }
    }
    efree(requests);
    efree(segments);
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
    CONNECTED(client);
    php_shmd_target target;
    if (!php_shmd_target_from(&target, text, number, no_key, id, no_id)) RETURN_THROWS();
    if (access) options.access = php_shmd_enum_value(PHP_SHMD_ACCESS, access);
    shmd_segment *segment;
    if (open_options_fit(&options, &target)) {
        if (open_target(client, &target, &options, &segment) < 0) {
            php_shmd_throw_last();
        } else {
            php_shmd_segment_object(return_value, segment);
        }
    }
    php_shmd_target_free(&target);
}

/* The keys of an array as texts, in order; each to be released. False, with count of those that are there, when one is
 * none. */
static bool keys_from(zend_string **keys, uint32_t *count, HashTable *from) {
    zval *value;
    *count = 0;
    ZEND_HASH_FOREACH_VAL(from, value) {
        ZVAL_DEREF(value);
        if (Z_TYPE_P(value) != IS_STRING && Z_TYPE_P(value) != IS_LONG) {
            zend_argument_type_error(1, "must be an array of string or int, %s found", zend_zval_type_name(value));
            return false;
        }
        bool is_text = Z_TYPE_P(value) == IS_STRING;
        keys[*count] = php_shmd_key(is_text ? Z_STR_P(value) : NULL, is_text ? 0 : Z_LVAL_P(value), 1);
        if (!keys[*count]) return false;
        ++*count;
    }
    ZEND_HASH_FOREACH_END();
    return true;
}

/* A Segment or an Exception for each, under the keys of like. */
static void results_like(zval *out, HashTable *like, const char **keys, shmd_segment **segments, const int *codes) {
    zend_ulong number;
    zend_string *name;
    size_t i = 0;
    /* The library tells more of the last that failed. */
    size_t last = zend_hash_num_elements(like);
    while (last > 0 && segments[last - 1]) last--;
    array_init_size(out, zend_hash_num_elements(like));
    ZEND_HASH_FOREACH_KEY(like, number, name) {
        zval result;
        if (segments[i]) {
            php_shmd_segment_object(&result, segments[i]);
        } else if (i + 1 == last) {
            php_shmd_last_exception(&result);
        } else {
            php_shmd_exception_for_code(&result, codes[i], keys[i]);
        }
        i++;
        if (name) {
            zend_hash_add_new(Z_ARRVAL_P(out), name, &result);
        } else {
            zend_hash_index_add_new(Z_ARRVAL_P(out), number, &result);
        }
    }
    ZEND_HASH_FOREACH_END();
}

static void open_many(shmd_client *client, HashTable *given, zend_string **keys, shmd_access access, zval *out) {
    uint32_t count = zend_hash_num_elements(given);
    const char **texts = safe_emalloc(count, sizeof *texts, 1);
    shmd_segment **segments = safe_emalloc(count, sizeof *segments, 1);
    int *codes = safe_emalloc(count, sizeof *codes, 1);
    for (uint32_t i = 0; i < count; i++) texts[i] = ZSTR_VAL(keys[i]);
    if (shmd_open_many(client, texts, count, access, segments, codes) < 0) {
        php_shmd_throw_last();
    } else {
        results_like(out, given, texts, segments, codes);
    }
    efree(texts);
    efree(segments);
    efree(codes);
}

ZEND_METHOD(Shmd_Client, openMany) {
    HashTable *given;
    zend_object *access = NULL;
    ZEND_PARSE_PARAMETERS_START(1, 2)
        Z_PARAM_ARRAY_HT(given)
        Z_PARAM_OPTIONAL
        Z_PARAM_OBJ_OF_CLASS(access, php_shmd_enum_class(PHP_SHMD_ACCESS))
    ZEND_PARSE_PARAMETERS_END();
    CONNECTED(client);
    uint32_t count = 0;
    zend_string **keys = safe_emalloc(zend_hash_num_elements(given), sizeof *keys, 1);
    if (keys_from(keys, &count, given)) {
        open_many(client, given, keys, access ? php_shmd_enum_value(PHP_SHMD_ACCESS, access) : SHMD_READ, return_value);
    }
    for (uint32_t i = 0; i < count; i++) zend_string_release(keys[i]);
    efree(keys);
}

ZEND_METHOD(Shmd_Client, closeMany) {
    HashTable *given;
    zval *value;
    ZEND_PARSE_PARAMETERS_START(1, 1)
        Z_PARAM_ARRAY_HT(given)
    ZEND_PARSE_PARAMETERS_END();
    ZEND_HASH_FOREACH_VAL(given, value) {
        ZVAL_DEREF(value);
        if (Z_TYPE_P(value) != IS_OBJECT || Z_OBJCE_P(value) != php_shmd_segment_ce) {
            zend_argument_type_error(1, "must be an array of Shmd\\Segment, %s found", zend_zval_type_name(value));
            RETURN_THROWS();
        }
    }
    ZEND_HASH_FOREACH_END();
    size_t count = 0;
    shmd_segment **segments = safe_emalloc(zend_hash_num_elements(given), sizeof *segments, 1);
    ZEND_HASH_FOREACH_VAL(given, value) {
        ZVAL_DEREF(value);
        segments[count++] = php_shmd_segment_take(Z_OBJ_P(value));
    }
    ZEND_HASH_FOREACH_END();
    shmd_close_many(segments, count);
    efree(segments);
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
    CONNECTED(client);
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
    CONNECTED(client);
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
    CONNECTED(client);
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
    CONNECTED(client);
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
    CONNECTED(client);
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
    CONNECTED(client);
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
