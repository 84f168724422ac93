/* Arrays of PHP as libshmd takes them: labels, names of labels, access-control entries, NUMA nodes. */
#include "php_shmd.h"

#include <string.h>

/* A copy that ends with a NUL and has no other. */
static char *text_from(zend_string *from, uint32_t arg) {
    if (zend_str_has_nul_byte(from)) {
        zend_argument_value_error(arg, "must not contain texts with null bytes");
        return NULL;
    }
    return estrndup(ZSTR_VAL(from), ZSTR_LEN(from));
}

bool php_shmd_labels_from(php_shmd_labels *out, HashTable *from, uint32_t arg) {
    zend_ulong number;
    zend_string *name;
    zval *value;
    *out = (php_shmd_labels){NULL, 0};
    if (zend_hash_num_elements(from) == 0) return true;
    out->items = safe_emalloc(zend_hash_num_elements(from), sizeof *out->items, 0);
    ZEND_HASH_FOREACH_KEY_VAL(from, number, name, value) {
        ZVAL_DEREF(value);
        if (Z_TYPE_P(value) != IS_STRING) {
            zend_argument_type_error(arg, "must have texts as its values, %s found", zend_zval_type_name(value));
            return false;
        }
        shmd_label *item = &out->items[out->count];
        char *text;
        /* A name of digits alone has become a number: that is how arrays are. */
        if (name) {
            text = text_from(name, arg);
        } else {
            spprintf(&text, 0, ZEND_LONG_FMT, (zend_long)number);
        }
        if (!text) return false;
        item->name = text;
        item->value = text_from(Z_STR_P(value), arg);
        if (!item->value) {
            efree(text);
            return false;
        }
        out->count++;
    }
    ZEND_HASH_FOREACH_END();
    return true;
}

void php_shmd_labels_free(php_shmd_labels *labels) {
    for (size_t i = 0; i < labels->count; i++) {
        efree((char *)labels->items[i].name);
        efree((char *)labels->items[i].value);
    }
    if (labels->items) efree(labels->items);
}

bool php_shmd_names_from(char ***out, size_t *count, HashTable *from, uint32_t arg) {
    zval *value;
    *out = NULL;
    *count = 0;
    if (zend_hash_num_elements(from) == 0) return true;
    *out = safe_emalloc(zend_hash_num_elements(from), sizeof **out, 0);
    ZEND_HASH_FOREACH_VAL(from, value) {
        ZVAL_DEREF(value);
        if (Z_TYPE_P(value) != IS_STRING) {
            zend_argument_type_error(arg, "must be a list of texts, %s found", zend_zval_type_name(value));
            return false;
        }
        if (!((*out)[*count] = text_from(Z_STR_P(value), arg))) return false;
        ++*count;
    }
    ZEND_HASH_FOREACH_END();
    return true;
}

void php_shmd_names_free(char **names, size_t count) {
    for (size_t i = 0; i < count; i++) efree(names[i]);
    if (names) efree(names);
}

bool php_shmd_acl_from(php_shmd_acl *out, HashTable *from, uint32_t arg) {
    zval *value;
    *out = (php_shmd_acl){NULL, 0};
    if (zend_hash_num_elements(from) == 0) return true;
    out->items = safe_emalloc(zend_hash_num_elements(from), sizeof *out->items, 0);
    ZEND_HASH_FOREACH_VAL(from, value) {
        ZVAL_DEREF(value);
        if (Z_TYPE_P(value) != IS_OBJECT || Z_OBJCE_P(value) != php_shmd_acl_entry_ce ||
            !php_shmd_acl_entry(Z_OBJ_P(value), &out->items[out->count])) {
            zend_argument_type_error(arg, "must be a list of Shmd\\AclEntry, %s found", zend_zval_type_name(value));
            return false;
        }
        out->count++;
    }
    ZEND_HASH_FOREACH_END();
    return true;
}

void php_shmd_acl_free(php_shmd_acl *acl) {
    if (acl->items) efree(acl->items);
}

bool php_shmd_nodes_from(uint32_t **out, size_t *count, HashTable *from, uint32_t arg) {
    zval *value;
    *out = NULL;
    *count = 0;
    if (zend_hash_num_elements(from) == 0) return true;
    *out = safe_emalloc(zend_hash_num_elements(from), sizeof **out, 0);
    ZEND_HASH_FOREACH_VAL(from, value) {
        ZVAL_DEREF(value);
        if (Z_TYPE_P(value) != IS_LONG) {
            zend_argument_type_error(arg, "must be a list of int, %s found", zend_zval_type_name(value));
            return false;
        }
        if (Z_LVAL_P(value) < 0 || Z_LVAL_P(value) > UINT32_MAX) {
            zend_argument_value_error(arg, "must be a list of numbers of nodes, " ZEND_LONG_FMT " found",
                                      Z_LVAL_P(value));
            return false;
        }
        (*out)[(*count)++] = (uint32_t)Z_LVAL_P(value);
    }
    ZEND_HASH_FOREACH_END();
    return true;
}
