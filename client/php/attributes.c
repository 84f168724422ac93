/* Client::setAttributes(): what it is given, as libshmd takes it. */
#include "php_shmd.h"

typedef struct {
    shmd_attributes c;
    php_shmd_labels labels;
    php_shmd_acl acl;
    char **remove_labels;
} attributes;

/* Numbers of users and groups, and the mode; what is not given is null. */
typedef struct {
    zend_long mode, uid, gid;
    bool no_mode, no_uid, no_gid;
} given_numbers;

static bool take_numbers(attributes *out, const given_numbers *given) {
    if (!given->no_mode) {
        if (!php_shmd_in_range(given->mode, 0, 0777, 3)) return false;
        out->c.mode = (unsigned)given->mode;
        out->c.set |= SHMD_SET_MODE;
    }
    if (!given->no_uid) {
        if (!php_shmd_in_range(given->uid, 0, UINT32_MAX, 4)) return false;
        out->c.owner_uid = (uint32_t)given->uid;
        out->c.set |= SHMD_SET_OWNER_UID;
    }
    if (!given->no_gid) {
        if (!php_shmd_in_range(given->gid, 0, UINT32_MAX, 5)) return false;
        out->c.owner_gid = (uint32_t)given->gid;
        out->c.set |= SHMD_SET_OWNER_GID;
    }
    return true;
}

static bool take_lists(attributes *out, HashTable *labels, HashTable *remove_labels, HashTable *acl) {
    if (labels) {
        if (!php_shmd_labels_from(&out->labels, labels, 9)) return false;
        out->c.labels = out->labels.items;
        out->c.label_count = out->labels.count;
        if (out->labels.count > 0) out->c.set |= SHMD_SET_LABELS;
    }
    if (remove_labels) {
        if (!php_shmd_names_from(&out->remove_labels, &out->c.remove_label_count, remove_labels, 10)) return false;
        out->c.remove_labels = (const char *const *)out->remove_labels;
        if (out->c.remove_label_count > 0) out->c.set |= SHMD_REMOVE_LABELS;
    }
    if (acl) {
        if (!php_shmd_acl_from(&out->acl, acl, 11)) return false;
        out->c.acl = out->acl.items;
        out->c.acl_count = out->acl.count;
        out->c.set |= SHMD_SET_ACL;
    }
    return true;
}

static bool take_lifetime(attributes *out, zend_object *lifetime, zend_long lease_usec) {
    if (!php_shmd_in_range(lease_usec, 0, PHP_SHMD_MOST_BYTES, 7)) return false;
    if (!lifetime) {
        if (lease_usec == 0) return true;
        zend_argument_value_error(7, "must be 0 without a $lifetime");
        return false;
    }
    out->c.lifetime = php_shmd_enum_value(PHP_SHMD_LIFETIME, lifetime);
    out->c.lease_usec = lease_usec;
    out->c.set |= SHMD_SET_LIFETIME;
    return true;
}

static void change(zval *return_value, shmd_client *client, const php_shmd_target *target, const shmd_attributes *to) {
    shmd_info *info = NULL;
    int code = target->key ? shmd_set_attributes(client, ZSTR_VAL(target->key), to, &info)
                           : shmd_set_attributes_id(client, target->id, to, &info);
    if (code < 0) {
        php_shmd_throw_last();
        return;
    }
    php_shmd_info_object(return_value, info);
    shmd_info_free(info);
}

ZEND_METHOD(Shmd_Client, setAttributes) {
    zend_string *text = NULL;
    zend_long number = 0, id = 0, lease_usec = 0;
    zend_object *lifetime = NULL;
    bool no_key = true, no_id = true, evictable = false, no_evictable = true;
    given_numbers numbers = {.no_mode = true, .no_uid = true, .no_gid = true};
    HashTable *labels = NULL, *remove_labels = NULL, *acl = NULL;
    ZEND_PARSE_PARAMETERS_START(0, 11)
        Z_PARAM_OPTIONAL
        Z_PARAM_STR_OR_LONG_OR_NULL(text, number, no_key)
        Z_PARAM_LONG_OR_NULL(id, no_id)
        Z_PARAM_LONG_OR_NULL(numbers.mode, numbers.no_mode)
        Z_PARAM_LONG_OR_NULL(numbers.uid, numbers.no_uid)
        Z_PARAM_LONG_OR_NULL(numbers.gid, numbers.no_gid)
        Z_PARAM_OBJ_OF_CLASS_OR_NULL(lifetime, php_shmd_enum_class(PHP_SHMD_LIFETIME))
        Z_PARAM_LONG(lease_usec)
        Z_PARAM_BOOL_OR_NULL(evictable, no_evictable)
        Z_PARAM_ARRAY_HT(labels)
        Z_PARAM_ARRAY_HT(remove_labels)
        Z_PARAM_ARRAY_HT_OR_NULL(acl)
    ZEND_PARSE_PARAMETERS_END();

    php_shmd_target target;
    if (!php_shmd_target_from(&target, text, number, no_key, id, no_id)) RETURN_THROWS();
    attributes to = {.c = SHMD_ATTRIBUTES_INIT};
    if (!no_evictable) {
        to.c.evictable = evictable;
        to.c.set |= SHMD_SET_EVICTABLE;
    }
    shmd_client *client;
    if (take_numbers(&to, &numbers) && take_lifetime(&to, lifetime, lease_usec) &&
        take_lists(&to, labels, remove_labels, acl) && (client = php_shmd_client_connection(Z_OBJ_P(ZEND_THIS)))) {
        change(return_value, client, &target, &to.c);
    }
    php_shmd_labels_free(&to.labels);
    php_shmd_names_free(to.remove_labels, to.c.remove_label_count);
    php_shmd_acl_free(&to.acl);
    php_shmd_target_free(&target);
}
