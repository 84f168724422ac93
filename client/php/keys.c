/* Names of segments, and numbers that libshmd takes. */
#include "php_shmd.h"

bool php_shmd_in_range(zend_long number, zend_long least, zend_long most, uint32_t arg) {
    if (number >= least && number <= most) return true;
    zend_argument_value_error(arg, "must be between " ZEND_LONG_FMT " and " ZEND_LONG_FMT, least, most);
    return false;
}

zend_string *php_shmd_key(zend_string *text, zend_long number, uint32_t arg) {
    if (text) {
        if (zend_str_has_nul_byte(text)) {
            zend_argument_value_error(arg, "must not contain any null bytes");
            return NULL;
        }
        return zend_string_copy(text);
    }
    /* As a key_t, which is signed, or as the 32 bits that people write down. */
    if (!php_shmd_in_range(number, INT32_MIN, UINT32_MAX, arg)) return NULL;
    char key[SHMD_KEY_SIZE];
    shmd_sysv_key((int32_t)(uint32_t)number, key);
    return zend_string_init(key, strlen(key), 0);
}

bool php_shmd_target_from(php_shmd_target *target, zend_string *key, zend_long number, bool no_key, zend_long id,
                          bool no_id) {
    *target = (php_shmd_target){NULL, id};
    if (no_key == no_id) {
        zend_value_error("Exactly one of $key and $id must be given");
        return false;
    }
    if (no_key) return true;
    target->key = php_shmd_key(key, number, 1);
    return target->key != NULL;
}

void php_shmd_target_free(php_shmd_target *target) {
    if (target->key) zend_string_release(target->key);
}
