/* The module: its settings, its classes, phpinfo(). Nothing here connects: that is for the first call of a worker. */
#include "php_shmd.h"

#include "SAPI.h"
#include "ext/json/php_json.h"
#include "ext/spl/spl_exceptions.h"
#include "ext/standard/info.h"
#include "php_ini.h"
#include "zend_interfaces.h"
#include "zend_smart_str.h"

#include <errno.h>

#include "enums_arginfo.h"
#include "errors_arginfo.h"
#include "shmd_arginfo.h"

ZEND_DECLARE_MODULE_GLOBALS(shmd)

PHP_INI_BEGIN()
    STD_PHP_INI_ENTRY("shmd.socket", "", PHP_INI_SYSTEM, OnUpdateString, socket, zend_shmd_globals,
                      shmd_globals)
    STD_PHP_INI_BOOLEAN("shmd.shmop", "1", PHP_INI_SYSTEM, OnUpdateBool, shmop, zend_shmd_globals, shmd_globals)
PHP_INI_END()

static PHP_GINIT_FUNCTION(shmd) {
#if defined(COMPILE_DL_SHMD) && defined(ZTS)
    ZEND_TSRMLS_CACHE_UPDATE();
#endif
    memset(shmd_globals, 0, sizeof *shmd_globals);
    php_shmd_connections_init(shmd_globals);
}

static PHP_GSHUTDOWN_FUNCTION(shmd) {
    php_shmd_connections_end(shmd_globals);
}

static void register_enums(void) {
    php_shmd_enum_register(PHP_SHMD_ACCESS, register_class_Shmd_Access());
    php_shmd_enum_register(PHP_SHMD_CREATE_MODE, register_class_Shmd_CreateMode());
    php_shmd_enum_register(PHP_SHMD_RESERVE, register_class_Shmd_Reserve());
    php_shmd_enum_register(PHP_SHMD_LIFETIME, register_class_Shmd_Lifetime());
    php_shmd_enum_register(PHP_SHMD_HUGE_PAGES, register_class_Shmd_HugePages());
    php_shmd_enum_register(PHP_SHMD_STATE, register_class_Shmd_State());
    php_shmd_enum_register(PHP_SHMD_EVENT_KIND, register_class_Shmd_EventKind());
}

#define SEGMENTS "io.shmd.Segments."
#define VARLINK "org.varlink.service."

static void register_exceptions(void) {
    zend_class_entry *base = register_class_Shmd_Exception(spl_ce_RuntimeException);
    php_shmd_exception_ce = base;
    php_shmd_error_register(SEGMENTS "NoSuchSegment", ENOENT, register_class_Shmd_NoSuchSegment(base));
    php_shmd_error_register(SEGMENTS "SegmentExists", EEXIST, register_class_Shmd_SegmentExists(base));
    php_shmd_error_register(SEGMENTS "SizeMismatch", ERANGE, register_class_Shmd_SizeMismatch(base));
    php_shmd_error_register(SEGMENTS "InvalidKey", EINVAL, register_class_Shmd_InvalidKey(base));
    php_shmd_error_register(SEGMENTS "QuotaExceeded", EDQUOT, register_class_Shmd_QuotaExceeded(base));
    zend_class_entry *out_of_memory = register_class_Shmd_OutOfMemory(base);
    php_shmd_error_register(SEGMENTS "OutOfMemory", ENOMEM, out_of_memory);
    php_shmd_error_register(NULL, ENOMEM, out_of_memory);
    php_shmd_error_register(SEGMENTS "SegmentSealed", EROFS, register_class_Shmd_SegmentSealed(base));
    php_shmd_error_register(SEGMENTS "NotSealed", EBADFD, register_class_Shmd_NotSealed(base));
    php_shmd_error_register(SEGMENTS "NotSealable", EBADFD, register_class_Shmd_NotSealable(base));
    php_shmd_error_register(SEGMENTS "SegmentBusy", EBUSY, register_class_Shmd_SegmentBusy(base));
    php_shmd_error_register(SEGMENTS "NoLease", EBADFD, register_class_Shmd_NoLease(base));
    php_shmd_error_register(SEGMENTS "CapacityExceeded", EFBIG, register_class_Shmd_CapacityExceeded(base));
    php_shmd_error_register(SEGMENTS "PlacementUnavailable", ENODEV, register_class_Shmd_PlacementUnavailable(base));
    php_shmd_error_register(SEGMENTS "Draining", ESHUTDOWN, register_class_Shmd_Draining(base));
    php_shmd_error_register(VARLINK "InvalidParameter", EINVAL, register_class_Shmd_InvalidParameter(base));
    zend_class_entry *denied = register_class_Shmd_PermissionDenied(base);
    php_shmd_error_register(VARLINK "PermissionDenied", EACCES, denied);
    php_shmd_error_register(NULL, EACCES, denied);
    php_shmd_error_register(NULL, ECONNREFUSED, register_class_Shmd_ConnectionFailed(base));
    php_shmd_error_register(NULL, ECONNRESET, register_class_Shmd_Disconnected(base));
    php_shmd_error_register(NULL, ETIMEDOUT, register_class_Shmd_TimedOut(base));
    php_shmd_error_register(NULL, EOWNERDEAD, register_class_Shmd_OwnerDied(base));
    php_shmd_deadlock_ce = register_class_Shmd_Deadlock(base);
    php_shmd_error_register(NULL, EDEADLK, php_shmd_deadlock_ce);
    php_shmd_not_writable_ce = register_class_Shmd_NotWritable(base);
    php_shmd_closed_ce = register_class_Shmd_Closed(base);
}

static PHP_MINIT_FUNCTION(shmd) {
    REGISTER_INI_ENTRIES();
    register_enums();
    register_exceptions();
    zend_class_entry *acl_entry = register_class_Shmd_AclEntry(php_json_serializable_ce);
    php_shmd_info_register(acl_entry, register_class_Shmd_SegmentInfo(php_json_serializable_ce));
    php_shmd_new_segment_register(register_class_Shmd_NewSegment());
    php_shmd_client_register(register_class_Shmd_Client());
    php_shmd_segment_register(register_class_Shmd_Segment());
    php_shmd_lock_register(register_class_Shmd_Lock());
    zend_class_entry *event = register_class_Shmd_Event();
    php_shmd_watch_register(register_class_Shmd_Watch(zend_ce_aggregate), event);
    return php_shmd_shmop_startup(type);
}

static PHP_MSHUTDOWN_FUNCTION(shmd) {
    UNREGISTER_INI_ENTRIES();
    return SUCCESS;
}

/* A script that is preloaded runs before the workers are forked: what it connected ends with it. */
static ZEND_MODULE_POST_ZEND_DEACTIVATE_D(shmd) {
    if (SHMD_G(preloading)) {
        zend_hash_clean(&SHMD_G(connections));
        SHMD_G(preloading) = false;
    }
    return SUCCESS;
}

static PHP_MINFO_FUNCTION(shmd) {
    static const char *const shmop_texts[] = {
        [PHP_SHMD_SHMOP_SERVED] = "served by shmd",
        [PHP_SHMD_SHMOP_OTHER] = "served by the kernel: ext/shmop is loaded",
        [PHP_SHMD_SHMOP_OFF] = "off: shmd.shmop",
    };
    smart_str paths = {0};
    php_shmd_connection_paths(&paths);
    php_info_print_table_start();
    php_info_print_table_row(2, "shmd support", "enabled");
    php_info_print_table_row(2, "Extension version", PHP_SHMD_VERSION);
    php_info_print_table_row(2, "libshmd version", shmd_version());
    php_info_print_table_row(2, "Functions shmop_...", shmop_texts[php_shmd_shmop_status()]);
    php_info_print_table_row(2, "Connected to", paths.s ? ZSTR_VAL(paths.s) : "nothing yet");
    php_info_print_table_end();
    smart_str_free(&paths);
    DISPLAY_INI_ENTRIES();
}

ZEND_FUNCTION(Shmd_version) {
    ZEND_PARSE_PARAMETERS_NONE();
    RETURN_STRING(shmd_version());
}

ZEND_FUNCTION(Shmd_sysv_key) {
    zend_long number;
    ZEND_PARSE_PARAMETERS_START(1, 1)
        Z_PARAM_LONG(number)
    ZEND_PARSE_PARAMETERS_END();
    zend_string *key = php_shmd_key(NULL, number, 1);
    if (!key) RETURN_THROWS();
    RETURN_STR(key);
}

static const zend_module_dep dependencies[] = {
    ZEND_MOD_REQUIRED("json")
    ZEND_MOD_REQUIRED("spl")
    /* It starts before this one, which then leaves its functions alone. */
    ZEND_MOD_OPTIONAL("shmop")
    ZEND_MOD_END
};

zend_module_entry shmd_module_entry = {
    STANDARD_MODULE_HEADER_EX,
    NULL,
    dependencies,
    "shmd",
    ext_functions,
    PHP_MINIT(shmd),
    PHP_MSHUTDOWN(shmd),
    NULL,
    NULL,
    PHP_MINFO(shmd),
    PHP_SHMD_VERSION,
    PHP_MODULE_GLOBALS(shmd),
    PHP_GINIT(shmd),
    PHP_GSHUTDOWN(shmd),
    ZEND_MODULE_POST_ZEND_DEACTIVATE_N(shmd),
    STANDARD_MODULE_PROPERTIES_EX
};

#ifdef COMPILE_DL_SHMD
#ifdef ZTS
ZEND_TSRMLS_CACHE_DEFINE()
#endif
ZEND_GET_MODULE(shmd)
#endif
