/* SegmentInfo, what the daemon knows of a segment, and AclEntry. */
#include "php_shmd.h"

#include "ext/json/php_json.h"

#include <string.h>

static zend_class_entry *info_ce;
zend_class_entry *php_shmd_acl_entry_ce;

/* Properties by the place at which the stub declares them. */
enum {
    INFO_ID,
    INFO_KEY,
    INFO_SIZE_BYTES,
    INFO_MODE,
    INFO_OWNER_UID,
    INFO_OWNER_GID,
    INFO_CREATOR_UID,
    INFO_CREATOR_GID,
    INFO_CREATOR_PID,
    INFO_STATE,
    INFO_SEALED,
    INFO_ATTACHMENTS,
    INFO_CREATED_USEC,
    INFO_ATTACHED_USEC,
    INFO_DETACHED_USEC,
    INFO_CHANGED_USEC,
    INFO_EXPIRES_USEC,
    INFO_EVICTABLE,
    INFO_LABELS,
    INFO_LIFETIME,
    INFO_LEASE_USEC,
    INFO_ACL,
    INFO_CAPACITY_BYTES,
    INFO_HUGE_PAGES,
    INFO_NUMA_NODES,
    INFO_COUNT
};

enum { ACL_UID, ACL_GID, ACL_ACCESS };

void php_shmd_info_register(zend_class_entry *acl_entry, zend_class_entry *info) {
    php_shmd_acl_entry_ce = acl_entry;
    info_ce = info;
    ZEND_ASSERT(info->default_properties_count == INFO_COUNT);
}

/* ---- AclEntry ---- */

static void acl_entry_object(zval *out, shmd_acl_kind kind, uint32_t id, shmd_access access) {
    object_init_ex(out, php_shmd_acl_entry_ce);
    zend_object *object = Z_OBJ_P(out);
    zval *uid = OBJ_PROP_NUM(object, ACL_UID), *gid = OBJ_PROP_NUM(object, ACL_GID);
    ZVAL_NULL(uid);
    ZVAL_NULL(gid);
    ZVAL_LONG(kind == SHMD_ACL_USER ? uid : gid, id);
    php_shmd_enum_case(PHP_SHMD_ACCESS, access, OBJ_PROP_NUM(object, ACL_ACCESS));
}

bool php_shmd_acl_entry(zend_object *object, shmd_acl_entry *out) {
    zval *uid = OBJ_PROP_NUM(object, ACL_UID), *gid = OBJ_PROP_NUM(object, ACL_GID);
    if (Z_TYPE_P(uid) != IS_LONG && Z_TYPE_P(gid) != IS_LONG) return false; /* made without a constructor */
    out->kind = Z_TYPE_P(uid) == IS_LONG ? SHMD_ACL_USER : SHMD_ACL_GROUP;
    out->id = (uint32_t)Z_LVAL_P(out->kind == SHMD_ACL_USER ? uid : gid);
    out->access = php_shmd_enum_value(PHP_SHMD_ACCESS, Z_OBJ_P(OBJ_PROP_NUM(object, ACL_ACCESS)));
    return true;
}

static void new_acl_entry(INTERNAL_FUNCTION_PARAMETERS, shmd_acl_kind kind) {
    zend_long id;
    zend_object *access;
    ZEND_PARSE_PARAMETERS_START(2, 2)
        Z_PARAM_LONG(id)
        Z_PARAM_OBJ_OF_CLASS(access, php_shmd_enum_class(PHP_SHMD_ACCESS))
    ZEND_PARSE_PARAMETERS_END();
    if (!php_shmd_in_range(id, 0, UINT32_MAX, 1)) RETURN_THROWS();
    acl_entry_object(return_value, kind, (uint32_t)id, php_shmd_enum_value(PHP_SHMD_ACCESS, access));
}

ZEND_METHOD(Shmd_AclEntry, __construct) {
    ZEND_PARSE_PARAMETERS_NONE();
}

ZEND_METHOD(Shmd_AclEntry, user) {
    new_acl_entry(INTERNAL_FUNCTION_PARAM_PASSTHRU, SHMD_ACL_USER);
}

ZEND_METHOD(Shmd_AclEntry, group) {
    new_acl_entry(INTERNAL_FUNCTION_PARAM_PASSTHRU, SHMD_ACL_GROUP);
}

ZEND_METHOD(Shmd_AclEntry, jsonSerialize) {
    shmd_acl_entry entry;
    zval access;
    ZEND_PARSE_PARAMETERS_NONE();
    array_init(return_value);
    if (!php_shmd_acl_entry(Z_OBJ_P(ZEND_THIS), &entry)) return;
    add_assoc_long(return_value, entry.kind == SHMD_ACL_USER ? "uid" : "gid", entry.id);
    php_shmd_enum_case(PHP_SHMD_ACCESS, entry.access, &access);
    add_assoc_zval(return_value, "access", &access);
}

/* ---- SegmentInfo ---- */

static void set_time(zval *property, int64_t usec) {
    if (usec < 0) {
        ZVAL_NULL(property);
    } else {
        ZVAL_LONG(property, usec);
    }
}

static void set_lists(zend_object *object, const shmd_info *info) {
    zval *labels = OBJ_PROP_NUM(object, INFO_LABELS), *acl = OBJ_PROP_NUM(object, INFO_ACL),
         *nodes = OBJ_PROP_NUM(object, INFO_NUMA_NODES);
    array_init_size(labels, info->label_count);
    for (size_t i = 0; i < info->label_count; i++) {
        zval value;
        ZVAL_STRING(&value, info->labels[i].value);
        zend_symtable_str_update(Z_ARRVAL_P(labels), info->labels[i].name, strlen(info->labels[i].name), &value);
    }
    array_init_size(acl, info->acl_count);
    for (size_t i = 0; i < info->acl_count; i++) {
        zval entry;
        acl_entry_object(&entry, info->acl[i].kind, info->acl[i].id, info->acl[i].access);
        add_next_index_zval(acl, &entry);
    }
    array_init_size(nodes, info->numa_node_count);
    for (size_t i = 0; i < info->numa_node_count; i++) add_next_index_long(nodes, info->numa_nodes[i]);
}

static void set_identity(zend_object *object, const shmd_info *info) {
    ZVAL_LONG(OBJ_PROP_NUM(object, INFO_ID), info->id);
    if (info->key) {
        ZVAL_STRING(OBJ_PROP_NUM(object, INFO_KEY), info->key);
    } else {
        ZVAL_NULL(OBJ_PROP_NUM(object, INFO_KEY));
    }
    ZVAL_LONG(OBJ_PROP_NUM(object, INFO_OWNER_UID), info->owner_uid);
    ZVAL_LONG(OBJ_PROP_NUM(object, INFO_OWNER_GID), info->owner_gid);
    ZVAL_LONG(OBJ_PROP_NUM(object, INFO_CREATOR_UID), info->creator_uid);
    ZVAL_LONG(OBJ_PROP_NUM(object, INFO_CREATOR_GID), info->creator_gid);
    ZVAL_LONG(OBJ_PROP_NUM(object, INFO_CREATOR_PID), info->creator_pid);
}

void php_shmd_info_object(zval *out, const shmd_info *info) {
    object_init_ex(out, info_ce);
    zend_object *object = Z_OBJ_P(out);
    set_identity(object, info);
    ZVAL_LONG(OBJ_PROP_NUM(object, INFO_SIZE_BYTES), (zend_long)info->size_bytes);
    ZVAL_LONG(OBJ_PROP_NUM(object, INFO_MODE), info->mode);
    php_shmd_enum_case(PHP_SHMD_STATE, info->state, OBJ_PROP_NUM(object, INFO_STATE));
    ZVAL_BOOL(OBJ_PROP_NUM(object, INFO_SEALED), info->sealed);
    ZVAL_LONG(OBJ_PROP_NUM(object, INFO_ATTACHMENTS), (zend_long)info->attachments);
    ZVAL_LONG(OBJ_PROP_NUM(object, INFO_CREATED_USEC), info->created_usec);
    set_time(OBJ_PROP_NUM(object, INFO_ATTACHED_USEC), info->attached_usec);
    set_time(OBJ_PROP_NUM(object, INFO_DETACHED_USEC), info->detached_usec);
    ZVAL_LONG(OBJ_PROP_NUM(object, INFO_CHANGED_USEC), info->changed_usec);
    set_time(OBJ_PROP_NUM(object, INFO_EXPIRES_USEC), info->expires_usec);
    ZVAL_BOOL(OBJ_PROP_NUM(object, INFO_EVICTABLE), info->evictable);
    php_shmd_enum_case(PHP_SHMD_LIFETIME, info->lifetime, OBJ_PROP_NUM(object, INFO_LIFETIME));
    set_time(OBJ_PROP_NUM(object, INFO_LEASE_USEC), info->lease_usec);
    ZVAL_LONG(OBJ_PROP_NUM(object, INFO_CAPACITY_BYTES), (zend_long)info->capacity_bytes);
    php_shmd_enum_case(PHP_SHMD_HUGE_PAGES, info->huge_pages, OBJ_PROP_NUM(object, INFO_HUGE_PAGES));
    set_lists(object, info);
}

ZEND_METHOD(Shmd_SegmentInfo, __construct) {
    ZEND_PARSE_PARAMETERS_NONE();
}

/* An empty array as null, as the interface description has it. */
static void add_list(zval *out, const char *name, zval *list) {
    if (Z_TYPE_P(list) != IS_ARRAY || zend_hash_num_elements(Z_ARRVAL_P(list)) == 0) {
        add_assoc_null(out, name);
    } else {
        Z_ADDREF_P(list);
        add_assoc_zval(out, name, list);
    }
}

ZEND_METHOD(Shmd_SegmentInfo, jsonSerialize) {
    ZEND_PARSE_PARAMETERS_NONE();
    zend_object *object = Z_OBJ_P(ZEND_THIS);
    array_init_size(return_value, INFO_COUNT);
    for (int i = 0; i < INFO_COUNT; i++) {
        zval *property = OBJ_PROP_NUM(object, i);
        const char *name = ZSTR_VAL(info_ce->properties_info_table[i]->name);
        if (i == INFO_ACL || i == INFO_NUMA_NODES) {
            add_list(return_value, name, property);
        } else if (i == INFO_LABELS && Z_TYPE_P(property) == IS_ARRAY) {
            zval labels; /* An object, also when it is empty or has numbers as names. */
            object_init(&labels);
            zend_string *label;
            zend_ulong number;
            zval *value;
            ZEND_HASH_FOREACH_KEY_VAL(Z_ARRVAL_P(property), number, label, value) {
                zend_string *text = label ? zend_string_copy(label) : zend_long_to_str((zend_long)number);
                zend_std_write_property(Z_OBJ(labels), text, value, NULL);
                zend_string_release(text);
            }
            ZEND_HASH_FOREACH_END();
            add_assoc_zval(return_value, name, &labels);
        } else if (Z_TYPE_P(property) == IS_UNDEF) {
            add_assoc_null(return_value, name);
        } else {
            Z_TRY_ADDREF_P(property);
            add_assoc_zval(return_value, name, property);
        }
    }
}
