/*
 * The connections of this process: one for each socket, made at the first use and kept over requests. libshmd sees to it
 * that a child of fork and a changed user connect anew, and everybody does after a restart of the daemon.
 */
#include "php_shmd.h"

#include "zend_smart_str.h"

#include <stdlib.h>

static void end_connection(zval *connection) {
    shmd_disconnect(Z_PTR_P(connection));
}

void php_shmd_connections_init(zend_shmd_globals *globals) {
    zend_hash_init(&globals->connections, 0, NULL, end_connection, true);
}

void php_shmd_connections_end(zend_shmd_globals *globals) {
    zend_hash_destroy(&globals->connections);
}

/* What libshmd will look for when it is given no path, as far as the process can change it. */
static const char *searched(bool control) {
    const char *named = control ? getenv("SHMD_CONTROL_SOCKET") : NULL;
    if (!named || !*named) named = getenv("SHMD_SOCKET");
    return named ? named : "";
}

static zend_string *cache_key(bool control, const char *path) {
    smart_str text = {0};
    smart_str_appendc_ex(&text, control ? 'c' : 's', true);
    smart_str_appendc_ex(&text, path ? '=' : '?', true);
    smart_str_appends_ex(&text, path ? path : searched(control), true);
    smart_str_0(&text);
    return text.s;
}

shmd_client *php_shmd_connection(bool control, zend_string *path) {
    const char *named = path && ZSTR_LEN(path) > 0 ? ZSTR_VAL(path) : NULL;
    if (!named && !control && SHMD_G(socket) && *SHMD_G(socket)) named = SHMD_G(socket);

    zend_string *key = cache_key(control, named);
    shmd_client *client = zend_hash_find_ptr(&SHMD_G(connections), key);
    if (!client) {
        int code = control ? shmd_connect_control(named, &client) : shmd_connect(named, &client);
        if (code < 0) {
            php_shmd_throw_last();
            client = NULL;
        } else {
            zend_hash_add_new_ptr(&SHMD_G(connections), key, client);
            if (CG(compiler_options) & ZEND_COMPILE_PRELOAD) SHMD_G(preloading) = true;
        }
    }
    zend_string_release(key);
    return client;
}

void php_shmd_connection_paths(smart_str *out) {
    void *client;
    ZEND_HASH_FOREACH_PTR(&SHMD_G(connections), client) {
        if (out->s) smart_str_appends(out, ", ");
        smart_str_appends(out, shmd_socket_path(client));
    }
    ZEND_HASH_FOREACH_END();
    smart_str_0(out);
}
