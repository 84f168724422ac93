/* Client: many segments in one trip to the daemon. What comes back has the keys of the array given. */
#include "php_shmd.h"

/* ---- Creating ---- */

/* Segments that shmd_create_many() makes in one trip. */
#define MOST_AT_ONCE 250

/* What segments[] holds, under the keys of like. */
static void segments_like(zval *out, HashTable *like, shmd_client *client, shmd_segment **segments) {
    zend_ulong number;
    zend_string *name;
    array_init_size(out, zend_hash_num_elements(like));
    ZEND_HASH_FOREACH_KEY(like, number, name) {
        zval segment;
        php_shmd_segment_object(&segment, client, *segments++);
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
    PHP_SHMD_CONNECTED(client);
    shmd_create_request *requests = safe_emalloc(count, sizeof *requests, 1);
    shmd_segment **segments = safe_emalloc(count, sizeof *segments, 1);
    if (requests_from(requests, given)) {
        if (shmd_create_many(client, requests, count, segments) < 0) {
            php_shmd_throw_last();
        } else {
            segments_like(return_value, given, client, segments);
        }
    }
    efree(requests);
    efree(segments);
}

/* ---- Opening ---- */

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
static void results_like(zval *out, HashTable *like, shmd_client *client, const char **keys, shmd_segment **segments,
                         const int *codes) {
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
            php_shmd_segment_object(&result, client, segments[i]);
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
        results_like(out, given, client, texts, segments, codes);
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
    PHP_SHMD_CONNECTED(client);
    uint32_t count = 0;
    zend_string **keys = safe_emalloc(zend_hash_num_elements(given), sizeof *keys, 1);
    if (keys_from(keys, &count, given)) {
        open_many(client, given, keys, access ? php_shmd_enum_value(PHP_SHMD_ACCESS, access) : SHMD_READ, return_value);
    }
    for (uint32_t i = 0; i < count; i++) zend_string_release(keys[i]);
    efree(keys);
}

/* ---- Closing ---- */

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
