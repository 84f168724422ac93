/* What a segment is made of: the parameters of Client::create(), and the class NewSegment, which keeps them. */
#include "php_shmd.h"

zend_class_entry *php_shmd_new_segment_ce;

static bool numbers_fit(php_shmd_creation *creation, zend_long mode, zend_long capacity) {
    return php_shmd_in_range(creation->size, 0, PHP_SHMD_MOST_BYTES, 2) && php_shmd_in_range(mode, 0, 0777, 3) &&
           php_shmd_in_range(creation->options.lease_usec, 0, PHP_SHMD_MOST_BYTES, 10) &&
           php_shmd_in_range(capacity, 0, PHP_SHMD_MOST_BYTES, 14);
}

static bool lists_fit(php_shmd_creation *creation, HashTable *labels, HashTable *acl, HashTable *nodes) {
    shmd_create_options *options = &creation->options;
    if (labels && !php_shmd_labels_from(&creation->labels, labels, 9)) return false;
    if (acl && !php_shmd_acl_from(&creation->acl, acl, 13)) return false;
    if (nodes && !php_shmd_nodes_from(&creation->nodes, &options->numa_node_count, nodes, 16)) return false;
    options->labels = creation->labels.items;
    options->label_count = creation->labels.count;
    options->acl = creation->acl.items;
    options->acl_count = creation->acl.count;
    options->numa_nodes = creation->nodes;
    return true;
}

bool php_shmd_creation_from(INTERNAL_FUNCTION_PARAMETERS, php_shmd_creation *creation) {
    zend_string *key = NULL;
    zend_long number = 0, mode = 0600, lease = 0, capacity = 0;
    bool no_key = false, staged = false, evictable = false, sealable = true, fallback = false;
    zend_object *create_mode = NULL, *access = NULL, *reserve = NULL, *lifetime = NULL, *huge_pages = NULL;
    HashTable *labels = NULL, *acl = NULL, *nodes = NULL;

    *creation = (php_shmd_creation){.options = SHMD_CREATE_OPTIONS_INIT};
    ZEND_PARSE_PARAMETERS_START(2, 17)
        Z_PARAM_STR_OR_LONG_OR_NULL(key, number, no_key)
        Z_PARAM_LONG(creation->size)
        Z_PARAM_OPTIONAL
        Z_PARAM_LONG(mode)
        Z_PARAM_OBJ_OF_CLASS(create_mode, php_shmd_enum_class(PHP_SHMD_CREATE_MODE))
        Z_PARAM_OBJ_OF_CLASS(access, php_shmd_enum_class(PHP_SHMD_ACCESS))
        Z_PARAM_OBJ_OF_CLASS(reserve, php_shmd_enum_class(PHP_SHMD_RESERVE))
        Z_PARAM_OBJ_OF_CLASS(lifetime, php_shmd_enum_class(PHP_SHMD_LIFETIME))
        Z_PARAM_BOOL(staged)
        Z_PARAM_ARRAY_HT(labels)
        Z_PARAM_LONG(lease)
        Z_PARAM_BOOL(evictable)
        Z_PARAM_BOOL(sealable)
        Z_PARAM_ARRAY_HT(acl)
        Z_PARAM_LONG(capacity)
        Z_PARAM_OBJ_OF_CLASS(huge_pages, php_shmd_enum_class(PHP_SHMD_HUGE_PAGES))
        Z_PARAM_ARRAY_HT(nodes)
        Z_PARAM_BOOL(fallback)
    ZEND_PARSE_PARAMETERS_END_EX(return false);

    shmd_create_options *options = &creation->options;
    options->mode = (unsigned)mode;
    options->lease_usec = lease;
    options->capacity_bytes = (uint64_t)capacity;
    options->staged = staged;
    options->evictable = evictable;
    options->sealable = sealable;
    options->placement_fallback = fallback;
    if (create_mode) options->create_mode = php_shmd_enum_value(PHP_SHMD_CREATE_MODE, create_mode);
    if (access) options->access = php_shmd_enum_value(PHP_SHMD_ACCESS, access);
    if (reserve) options->reserve = php_shmd_enum_value(PHP_SHMD_RESERVE, reserve);
    if (lifetime) options->lifetime = php_shmd_enum_value(PHP_SHMD_LIFETIME, lifetime);
    if (huge_pages) options->huge_pages = php_shmd_enum_value(PHP_SHMD_HUGE_PAGES, huge_pages);
    if (numbers_fit(creation, mode, capacity) && lists_fit(creation, labels, acl, nodes) &&
        (no_key || (creation->key = php_shmd_key(key, number, 1)))) {
        return true;
    }
    php_shmd_creation_free(creation);
    return false;
}

void php_shmd_creation_free(php_shmd_creation *creation) {
    php_shmd_labels_free(&creation->labels);
    php_shmd_acl_free(&creation->acl);
    if (creation->nodes) efree(creation->nodes);
    if (creation->key) zend_string_release(creation->key);
    *creation = (php_shmd_creation){.options = SHMD_CREATE_OPTIONS_INIT};
}

/* ---- NewSegment ---- */

typedef struct {
    bool constructed;
    php_shmd_creation creation;
    zend_object std;
} new_segment;

static zend_object_handlers new_segment_handlers;

static new_segment *new_segment_of(zend_object *object) {
    return (new_segment *)((char *)object - offsetof(new_segment, std));
}

static zend_object *new_segment_create(zend_class_entry *ce) {
    new_segment *self = zend_object_alloc(sizeof *self, ce);
    zend_object_std_init(&self->std, ce);
    object_properties_init(&self->std, ce);
    self->std.handlers = &new_segment_handlers;
    return &self->std;
}

static void new_segment_free(zend_object *object) {
    php_shmd_creation_free(&new_segment_of(object)->creation);
    zend_object_std_dtor(object);
}

void php_shmd_new_segment_register(zend_class_entry *ce) {
    php_shmd_new_segment_ce = ce;
    ce->create_object = new_segment_create;
    new_segment_handlers = std_object_handlers;
    new_segment_handlers.offset = offsetof(new_segment, std);
    new_segment_handlers.free_obj = new_segment_free;
    new_segment_handlers.clone_obj = NULL;
}

const php_shmd_creation *php_shmd_new_segment(zend_object *object) {
    const new_segment *self = new_segment_of(object);
    return self->constructed ? &self->creation : NULL;
}

ZEND_METHOD(Shmd_NewSegment, __construct) {
    php_shmd_creation creation;
    if (!php_shmd_creation_from(INTERNAL_FUNCTION_PARAM_PASSTHRU, &creation)) RETURN_THROWS();
    new_segment *self = new_segment_of(Z_OBJ_P(ZEND_THIS));
    php_shmd_creation_free(&self->creation); /* A constructor can be called again. */
    self->creation = creation;
    self->constructed = true;
}
