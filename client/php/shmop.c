/*
 * PHP's own shmop, for where ext/shmop is not loaded: the same functions with the same results, warnings and errors, on
 * segments of shmd. It is a module of its own, "shmop", so that extension_loaded() and Composer find what they look for.
 */
#include "php_shmd.h"

#include "ext/standard/info.h"
#include "zend_attributes.h"

#include <errno.h>
#include <shmd/sysv.h>
#include <stdlib.h>
#include <string.h>

#include "shmop_arginfo.h"

static php_shmd_shmop_state state = PHP_SHMD_SHMOP_OFF;
static zend_class_entry *shmop_ce;
static zend_object_handlers shmop_handlers;

typedef struct {
    char *address; /* NULL when nothing is attached */
    int id;
    bool read_only;
    zend_long size;
    zend_object std;
} shmop_object;

static shmop_object *shmop_of(zend_object *object) {
    return (shmop_object *)((char *)object - offsetof(shmop_object, std));
}

static zend_object *shmop_create(zend_class_entry *ce) {
    shmop_object *self = zend_object_alloc(sizeof *self, ce);
    zend_object_std_init(&self->std, ce);
    object_properties_init(&self->std, ce);
    self->std.handlers = &shmop_handlers;
    return &self->std;
}

static void shmop_free(zend_object *object) {
    shmop_object *self = shmop_of(object);
    if (self->address) shmd_shmdt(self->address);
    zend_object_std_dtor(object);
}

static zend_function *shmop_constructor(zend_object *object) {
    zend_throw_error(NULL, "Cannot directly construct Shmop, use shmop_open() instead");
    return NULL;
}

/* ---- Opening ---- */

/* The System V calls look for the socket in the environment, when they connect. */
static void name_socket(void) {
    const char *wished = SHMD_G(socket);
    if (!wished || !*wished) return;
    tsrm_env_lock();
    const char *named = getenv("SHMD_SOCKET");
    if (!named || strcmp(named, wished) != 0) setenv("SHMD_SOCKET", wished, 1);
    tsrm_env_unlock();
}

/* The warning for a call that has just set errno. */
static bool warn(const char *what) {
    php_error_docref(NULL, E_WARNING, "Unable to %s \"%s\"", what, strerror(errno));
    return false;
}

/* flags: of shmget(2). size: 0 for one that exists. */
static bool attach(shmop_object *self, key_t key, int flags) {
    if (flags & IPC_CREAT && self->size < 1) {
        zend_argument_value_error(4, "must be greater than 0 for the \"c\" and \"n\" access modes");
        return false;
    }
    name_socket();
    self->id = shmd_shmget(key, (size_t)self->size, flags);
    if (self->id == -1) return warn("attach or create shared memory segment");
    size_t size = 0;
    void *address = shmd_shmat_sized(self->id, NULL, self->read_only ? SHM_RDONLY : 0, &size);
    if (address == (void *)-1) {
        /* PHP's own asks for the size first, and tells of that in other words. */
        int error = errno;
        struct shmid_ds description;
        if (shmd_shmctl(self->id, IPC_STAT, &description) != 0) return warn("get shared memory segment information");
        errno = error;
        return warn("attach to shared memory segment");
    }
    self->address = address;
    self->size = (zend_long)size;
    if (size <= ZEND_LONG_MAX) return true;
    zend_argument_value_error(4, "is too large");
    return false;
}

/* What a mode asks for. False when it is none. */
static bool take_mode(shmop_object *self, char mode, zend_long size, int *flags) {
    switch (mode) {
        case 'a':
            self->read_only = true;
            return true;
        case 'w':
            return true;
        case 'c':
            *flags |= IPC_CREAT;
            self->size = size;
            return true;
        case 'n':
            *flags |= IPC_CREAT | IPC_EXCL;
            self->size = size;
            return true;
        default:
            return false;
    }
}

ZEND_FUNCTION(shmop_open) {
    zend_long key, permissions, size;
    zend_string *mode;
    ZEND_PARSE_PARAMETERS_START(4, 4)
        Z_PARAM_LONG(key)
        Z_PARAM_STR(mode)
        Z_PARAM_LONG(permissions)
        Z_PARAM_LONG(size)
    ZEND_PARSE_PARAMETERS_END();

    if (ZSTR_LEN(mode) != 1) {
        zend_argument_value_error(2, "must be a valid access mode");
        RETURN_THROWS();
    }
    object_init_ex(return_value, shmop_ce);
    shmop_object *self = shmop_of(Z_OBJ_P(return_value));
    int flags = (int)permissions;
    if (!take_mode(self, *ZSTR_VAL(mode), size, &flags)) {
        zend_argument_value_error(2, "must be a valid access mode");
    } else if (attach(self, (key_t)key, flags)) {
        return;
    }
    zend_object_release(Z_OBJ_P(return_value));
    RETURN_FALSE;
}

/* ---- What is open ---- */

ZEND_FUNCTION(shmop_read) {
    zend_object *object;
    zend_long offset, count;
    ZEND_PARSE_PARAMETERS_START(3, 3)
        Z_PARAM_OBJ_OF_CLASS(object, shmop_ce)
        Z_PARAM_LONG(offset)
        Z_PARAM_LONG(count)
    ZEND_PARSE_PARAMETERS_END();
    shmop_object *self = shmop_of(object);
    if (offset < 0 || offset > self->size) {
        zend_argument_value_error(2, "must be between 0 and the segment size");
        RETURN_THROWS();
    }
    if (count < 0 || count > self->size - offset) {
        zend_argument_value_error(3, "is out of range");
        RETURN_THROWS();
    }
    RETURN_NEW_STR(zend_string_init(self->address + offset, count ? count : self->size - offset, 0));
}

/* Does nothing: the segment is detached with its object. */
ZEND_FUNCTION(shmop_close) {
    zend_object *object;
    ZEND_PARSE_PARAMETERS_START(1, 1)
        Z_PARAM_OBJ_OF_CLASS(object, shmop_ce)
    ZEND_PARSE_PARAMETERS_END();
}

ZEND_FUNCTION(shmop_size) {
    zend_object *object;
    ZEND_PARSE_PARAMETERS_START(1, 1)
        Z_PARAM_OBJ_OF_CLASS(object, shmop_ce)
    ZEND_PARSE_PARAMETERS_END();
    RETURN_LONG(shmop_of(object)->size);
}

ZEND_FUNCTION(shmop_write) {
    zend_object *object;
    zend_string *data;
    zend_long offset;
    ZEND_PARSE_PARAMETERS_START(3, 3)
        Z_PARAM_OBJ_OF_CLASS(object, shmop_ce)
        Z_PARAM_STR(data)
        Z_PARAM_LONG(offset)
    ZEND_PARSE_PARAMETERS_END();
    shmop_object *self = shmop_of(object);
    if (self->read_only) {
        zend_throw_error(NULL, "Read-only segment cannot be written");
        RETURN_THROWS();
    }
    if (offset < 0 || offset > self->size) {
        zend_argument_value_error(3, "is out of range");
        RETURN_THROWS();
    }
    zend_long count = MIN((zend_long)ZSTR_LEN(data), self->size - offset);
    memcpy(self->address + offset, ZSTR_VAL(data), (size_t)count);
    RETURN_LONG(count);
}

ZEND_FUNCTION(shmop_delete) {
    zend_object *object;
    ZEND_PARSE_PARAMETERS_START(1, 1)
        Z_PARAM_OBJ_OF_CLASS(object, shmop_ce)
    ZEND_PARSE_PARAMETERS_END();
    if (shmd_shmctl(shmop_of(object)->id, IPC_RMID, NULL) != 0) {
        php_error_docref(NULL, E_WARNING, "Can't mark segment for deletion (are you the owner?)");
        RETURN_FALSE;
    }
    RETURN_TRUE;
}

/* ---- The module ---- */

/* PHP 8.4 and newer say more of a deprecated function. */
static void say_why_close_is_deprecated(void) {
#if PHP_VERSION_ID >= 80400
    zend_function *function = zend_hash_str_find_ptr(CG(function_table), ZEND_STRL("shmop_close"));
    zend_attribute *deprecated = zend_add_function_attribute(function, ZSTR_KNOWN(ZEND_STR_DEPRECATED_CAPITALIZED), 2);
    deprecated->args[0].name = ZSTR_KNOWN(ZEND_STR_SINCE);
    ZVAL_STR(&deprecated->args[0].value, zend_string_init_interned(ZEND_STRL("8.0"), true));
    deprecated->args[1].name = ZSTR_KNOWN(ZEND_STR_MESSAGE);
    ZVAL_STR(&deprecated->args[1].value,
             zend_string_init_interned(ZEND_STRL("as Shmop objects are freed automatically"), true));
#endif
}

static PHP_MINIT_FUNCTION(shmd_shmop) {
    say_why_close_is_deprecated();
    shmop_ce = register_class_Shmop();
    shmop_ce->create_object = shmop_create;
    shmop_handlers = std_object_handlers;
    shmop_handlers.offset = offsetof(shmop_object, std);
    shmop_handlers.free_obj = shmop_free;
    shmop_handlers.get_constructor = shmop_constructor;
    shmop_handlers.clone_obj = NULL;
    shmop_handlers.compare = zend_objects_not_comparable;
    return SUCCESS;
}

static PHP_MINFO_FUNCTION(shmd_shmop) {
    php_info_print_table_start();
    php_info_print_table_row(2, "shmop support", "enabled, by shmd");
    php_info_print_table_end();
}

static zend_module_entry shmop_module = {
    STANDARD_MODULE_HEADER,
    "shmop",
    ext_functions,
    PHP_MINIT(shmd_shmop),
    NULL,
    NULL,
    NULL,
    PHP_MINFO(shmd_shmop),
    PHP_VERSION,
    STANDARD_MODULE_PROPERTIES
};

zend_result php_shmd_shmop_startup(int type) {
    /* All modules of the configuration are registered before the first one starts, whatever their order. */
    if (zend_hash_str_exists(&module_registry, ZEND_STRL("shmop")) ||
        zend_hash_str_exists(CG(function_table), ZEND_STRL("shmop_open")) ||
        zend_hash_str_exists(CG(class_table), ZEND_STRL("shmop"))) {
        state = PHP_SHMD_SHMOP_OTHER;
        return SUCCESS;
    }
    /* What dl() loads goes again with the request; a module behind it could not. */
    if (!SHMD_G(shmop) || type != MODULE_PERSISTENT) return SUCCESS;
    zend_module_entry *module = zend_register_internal_module(&shmop_module);
    if (!module || zend_startup_module_ex(module) == FAILURE) return FAILURE;
    state = PHP_SHMD_SHMOP_SERVED;
    return SUCCESS;
}

php_shmd_shmop_state php_shmd_shmop_status(void) {
    return state;
}
