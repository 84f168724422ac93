/* The enums, and what they are in libshmd. */
#include "php_shmd.h"

#include <string.h>

/* The name of the case whose value in libshmd is the index. */
static const char *const access_cases[] = {"Read", "Write"};
static const char *const create_mode_cases[] = {"New", "Any"};
static const char *const reserve_cases[] = {"Allocate", "Populate", "Lazy"};
static const char *const lifetime_cases[] = {"Persistent", "Attached", "Creator", "Lease"};
static const char *const huge_pages_cases[] = {"None", "Transparent", "Huge2M", "Huge1G"};
static const char *const state_cases[] = {"Staged", "Live", "Deleted"};
static const char *const event_kind_cases[] = {"Present", "Ready",   "Created",  "Published", "Replaced",
                                               "Sealed",  "Resized", "Changed",  "Attached",  "Detached",
                                               "Deleted", "Expired", "Evicted",  "Lost"};
_Static_assert(SHMD_READ == 0 && SHMD_WRITE == 1 && SHMD_CREATE_NEW == 0 && SHMD_CREATE_ANY == 1, "order");
_Static_assert(SHMD_RESERVE_ALLOCATE == 0 && SHMD_RESERVE_POPULATE == 1 && SHMD_RESERVE_LAZY == 2, "order");
_Static_assert(SHMD_LIFETIME_PERSISTENT == 0 && SHMD_LIFETIME_ATTACHED == 1 && SHMD_LIFETIME_CREATOR == 2 &&
                   SHMD_LIFETIME_LEASE == 3,
               "order");
_Static_assert(SHMD_HUGE_NONE == 0 && SHMD_HUGE_TRANSPARENT == 1 && SHMD_HUGE_2M == 2 && SHMD_HUGE_1G == 3, "order");
_Static_assert(SHMD_STAGED == 0 && SHMD_LIVE == 1 && SHMD_DELETED == 2, "order");
_Static_assert(SHMD_EVENT_PRESENT == 0 && SHMD_EVENT_REPLACED == 4 && SHMD_EVENT_DETACHED == 9 &&
                   SHMD_EVENT_LOST == sizeof event_kind_cases / sizeof *event_kind_cases - 1,
               "order");

#define CASES(list) {list, sizeof list / sizeof *list}

static const struct {
    const char *const *cases;
    unsigned count;
} known[PHP_SHMD_ENUM_COUNT] = {
    [PHP_SHMD_ACCESS] = CASES(access_cases),         [PHP_SHMD_CREATE_MODE] = CASES(create_mode_cases),
    [PHP_SHMD_RESERVE] = CASES(reserve_cases),       [PHP_SHMD_LIFETIME] = CASES(lifetime_cases),
    [PHP_SHMD_HUGE_PAGES] = CASES(huge_pages_cases), [PHP_SHMD_STATE] = CASES(state_cases),
    [PHP_SHMD_EVENT_KIND] = CASES(event_kind_cases),
};

static zend_class_entry *classes[PHP_SHMD_ENUM_COUNT];

void php_shmd_enum_register(php_shmd_enum which, zend_class_entry *ce) {
    classes[which] = ce;
}

zend_class_entry *php_shmd_enum_class(php_shmd_enum which) {
    return classes[which];
}

unsigned php_shmd_enum_value(php_shmd_enum which, zend_object *enum_case) {
    ZEND_ASSERT(enum_case->ce == classes[which]);
    const char *name = Z_STRVAL_P(zend_enum_fetch_case_name(enum_case));
    unsigned value = 0;
    while (value < known[which].count && strcmp(known[which].cases[value], name) != 0) value++;
    ZEND_ASSERT(value < known[which].count);
    return value;
}

void php_shmd_enum_case(php_shmd_enum which, unsigned value, zval *out) {
    if (value >= known[which].count) {
        ZVAL_NULL(out);
        return;
    }
    ZVAL_OBJ_COPY(out, zend_enum_get_case_cstr(classes[which], known[which].cases[value]));
}
