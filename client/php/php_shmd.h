/*
 * What the files of the extension share. Each holds one idea: shmd.c the module, its settings and phpinfo(); connection.c
 * the connections of the process; client.c, many.c, attributes.c, create.c, segment.c, sync.c, lock.c, watch.c, info.c the
 * classes; wait.c how waits let signals through; errors.c the exceptions; enums.c, keys.c, lists.c the values between PHP
 * and libshmd; shmop.c PHP's own shmop on top of shmd.
 *
 * A function that can fail returns false or NULL with an exception thrown, unless it says otherwise.
 */
#ifndef PHP_SHMD_H
#define PHP_SHMD_H

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "php.h"
#include "zend_enum.h"
#include "zend_exceptions.h"

#include <stddef.h>

#include <shmd/shmd.h>
#include <shmd/sync.h>

#define PHP_SHMD_VERSION "0.1.0"

extern zend_module_entry shmd_module_entry;
#define phpext_shmd_ptr &shmd_module_entry

ZEND_BEGIN_MODULE_GLOBALS(shmd)
    HashTable connections; /* shmd_client pointers by kind and path; they outlast requests */
    bool preloading;       /* a connection was made before this process forks its workers */
    char *socket;          /* shmd.socket */
    bool shmop;            /* shmd.shmop */
ZEND_END_MODULE_GLOBALS(shmd)

ZEND_EXTERN_MODULE_GLOBALS(shmd)
#define SHMD_G(v) ZEND_MODULE_GLOBALS_ACCESSOR(shmd, v)

#if defined(ZTS) && defined(COMPILE_DL_SHMD)
ZEND_TSRMLS_CACHE_EXTERN()
#endif

/* ---- connection.c ---- */

void php_shmd_connections_init(zend_shmd_globals *globals);
void php_shmd_connections_end(zend_shmd_globals *globals);
/* The connection of this process to the socket; made now if there is none. path: NULL looks for the socket. Borrowed. */
shmd_client *php_shmd_connection(bool control, zend_string *path);
/* The paths of the connections that there are, for phpinfo(). The caller owns the smart_str. */
void php_shmd_connection_paths(smart_str *out);

/* ---- enums.c ---- */

typedef enum {
    PHP_SHMD_ACCESS,
    PHP_SHMD_CREATE_MODE,
    PHP_SHMD_RESERVE,
    PHP_SHMD_LIFETIME,
    PHP_SHMD_HUGE_PAGES,
    PHP_SHMD_STATE,
    PHP_SHMD_EVENT_KIND,
    PHP_SHMD_ENUM_COUNT
} php_shmd_enum;

void php_shmd_enum_register(php_shmd_enum which, zend_class_entry *ce);
zend_class_entry *php_shmd_enum_class(php_shmd_enum which);
/* libshmd's value of a case. The object is one of this enum. */
unsigned php_shmd_enum_value(php_shmd_enum which, zend_object *enum_case);
/* The case of a value of libshmd; null for a value that this version does not know. */
void php_shmd_enum_case(php_shmd_enum which, unsigned value, zval *out);

/* ---- errors.c ---- */

extern zend_class_entry *php_shmd_exception_ce;
extern zend_class_entry *php_shmd_not_writable_ce;
extern zend_class_entry *php_shmd_closed_ce;
extern zend_class_entry *php_shmd_deadlock_ce;

/* Enters the class for a Varlink error, or, without one, for an errno value that arises here. */
void php_shmd_error_register(const char *name, int code, zend_class_entry *ce);
/* Throws what shmd_last_error() tells. */
void php_shmd_throw_last(void);
/* The same without throwing it. */
void php_shmd_last_exception(zval *out);
/* Makes the exception for one of many that could not be opened, of which only the code is known. Nothing is thrown. */
void php_shmd_exception_for_code(zval *out, int code, const char *key);
/* Throws one that arises in the extension. */
void php_shmd_throw(zend_class_entry *ce, int code, const char *message);

/* ---- keys.c ---- */

/* The key of a parameter that is a text or an integer. The caller releases it. */
zend_string *php_shmd_key(zend_string *text, zend_long number, uint32_t arg);

/* Names a segment: a key or, where that is NULL, an id. */
typedef struct {
    zend_string *key;
    zend_long id;
} php_shmd_target;

/* Exactly one of key and id must be given. key, number: as Z_PARAM_STR_OR_LONG_OR_NULL leaves them. */
bool php_shmd_target_from(php_shmd_target *target, zend_string *key, zend_long number, bool no_key, zend_long id,
                          bool no_id);
void php_shmd_target_free(php_shmd_target *target);
/* Whether a number fits; otherwise a ValueError for this parameter. */
bool php_shmd_in_range(zend_long number, zend_long least, zend_long most, uint32_t arg);

#define PHP_SHMD_MOST_BYTES ((zend_long)((INT64_C(1) << 53) - 1))

/* ---- lists.c ---- */

/* Arrays of PHP as libshmd takes them. All texts in them are copies. */
typedef struct {
    shmd_label *items;
    size_t count;
} php_shmd_labels;

typedef struct {
    shmd_acl_entry *items;
    size_t count;
} php_shmd_acl;

bool php_shmd_labels_from(php_shmd_labels *out, HashTable *from, uint32_t arg);
void php_shmd_labels_free(php_shmd_labels *labels);
/* One allocation: efree(*out). */
bool php_shmd_names_from(char ***out, size_t *count, HashTable *from, uint32_t arg);
void php_shmd_names_free(char **names, size_t count);
bool php_shmd_acl_from(php_shmd_acl *out, HashTable *from, uint32_t arg);
void php_shmd_acl_free(php_shmd_acl *acl);
bool php_shmd_nodes_from(uint32_t **out, size_t *count, HashTable *from, uint32_t arg);

/* ---- create.c ---- */

/* What Client::create() and NewSegment are given. Owns everything that options points to. */
typedef struct {
    zend_string *key;
    zend_long size;
    shmd_create_options options;
    php_shmd_labels labels;
    php_shmd_acl acl;
    uint32_t *nodes;
} php_shmd_creation;

bool php_shmd_creation_from(INTERNAL_FUNCTION_PARAMETERS, php_shmd_creation *creation);
void php_shmd_creation_free(php_shmd_creation *creation);
extern zend_class_entry *php_shmd_new_segment_ce;
/* The creation of a NewSegment. NULL, and nothing thrown, when its constructor has not run. Borrowed. */
const php_shmd_creation *php_shmd_new_segment(zend_object *object);
void php_shmd_new_segment_register(zend_class_entry *ce);

/* ---- info.c ---- */

extern zend_class_entry *php_shmd_acl_entry_ce;
void php_shmd_info_register(zend_class_entry *acl_entry, zend_class_entry *info);
/* A SegmentInfo. Nothing of info is kept. */
void php_shmd_info_object(zval *out, const shmd_info *info);
/* The entry of an AclEntry object. False, and nothing thrown, when it has none. */
bool php_shmd_acl_entry(zend_object *object, shmd_acl_entry *out);

/* ---- segment.c ---- */

extern zend_class_entry *php_shmd_segment_ce;
void php_shmd_segment_register(zend_class_entry *ce);

/* How a Lock holds its segment. */
typedef enum {
    PHP_SHMD_LOCK,
    PHP_SHMD_READ_LOCK,
    PHP_SHMD_WRITE_LOCK,
    PHP_SHMD_WRITE_SECTION,
    PHP_SHMD_LOCK_KINDS
} php_shmd_lock_kind;

typedef struct {
    shmd_segment *segment;              /* NULL when it is closed */
    shmd_client *client;                /* who opened it; outlasts every object */
    uint32_t held[PHP_SHMD_LOCK_KINDS]; /* how many of its locks Lock objects have */
    zend_object std;
} php_shmd_segment;

/* A Segment, which owns the segment that it is given. */
void php_shmd_segment_object(zval *out, shmd_client *client, shmd_segment *segment);
php_shmd_segment *php_shmd_segment_of(zend_object *object);
/* The same, if it is open. */
php_shmd_segment *php_shmd_segment_opened(zend_object *object);
/* Whether it may be written; throws NotWritable if not. */
bool php_shmd_segment_writable(const php_shmd_segment *self);
/* What a Segment has, and it has no more. Gives back its locks. NULL when it is closed. */
shmd_segment *php_shmd_segment_take(zend_object *object);

/* ---- lock.c ---- */

void php_shmd_lock_register(zend_class_entry *ce);
/* Gives back all locks that the segment holds, but not a write section that a fatal error has ended in the middle. */
void php_shmd_locks_end(php_shmd_segment *self);

/* ---- wait.c ---- */

/* Runs what a signal has asked for: its handlers in PHP, or the end of the script's time. False when that threw. */
bool php_shmd_run_interrupts(void);
/* Of a clock that only goes forward. */
int64_t php_shmd_now_usec(void);

/* A call of libshmd that waits, at most this long. -ETIMEDOUT: to be called again. */
typedef int (*php_shmd_attempt)(shmd_segment *segment, int64_t timeout_usec, void *context);
/*
 * Waits with signal handlers running meanwhile: they may also close the segment. Returns what the attempt did, or a
 * negative number with the exception thrown. deadlock: only this segment itself could end the wait.
 */
int php_shmd_wait(php_shmd_segment *self, zend_long timeout_usec, bool deadlock, php_shmd_attempt attempt,
                  void *context);

/* ---- client.c ---- */

void php_shmd_client_register(zend_class_entry *ce);
/* The connection that a Client stands for. Borrowed. */
shmd_client *php_shmd_client_connection(zend_object *object);
/* Sets client, or leaves the method with the exception thrown. */
#define PHP_SHMD_CONNECTED(client)                                        \
    shmd_client *client = php_shmd_client_connection(Z_OBJ_P(ZEND_THIS)); \
    if (!client) RETURN_THROWS()

/* ---- watch.c ---- */

void php_shmd_watch_register(zend_class_entry *watch, zend_class_entry *event);
/* A Watch, which owns what it is given. */
void php_shmd_watch_object(zval *out, shmd_watch *watch);

/* ---- shmop.c ---- */

typedef enum { PHP_SHMD_SHMOP_SERVED, PHP_SHMD_SHMOP_OTHER, PHP_SHMD_SHMOP_OFF } php_shmd_shmop_state;

/* Registers the functions shmop_... and the class Shmop, as the module "shmop", where there are none. type: of this
 * module. */
zend_result php_shmd_shmop_startup(int type);
php_shmd_shmop_state php_shmd_shmop_status(void);

#endif
