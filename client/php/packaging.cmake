# What CPack is told of the package php-shmd. Included by systemd/packaging.cmake.
get_target_property(php_api shmd_php SHMD_PHP_API)
get_target_property(php_control shmd_php SHMD_PHP_CONTROL)
set(CPACK_DEBIAN_PHP-SHMD_PACKAGE_NAME php-shmd)
set(CPACK_DEBIAN_PHP-SHMD_PACKAGE_SECTION php)
set(CPACK_DEBIAN_PHP-SHMD_PACKAGE_DEPENDS "libshmd0 ${same_version}, phpapi-${php_api}, php-common (>= 2:69), ucf")
set(CPACK_DEBIAN_PHP-SHMD_PACKAGE_RECOMMENDS "shmd")
set(CPACK_DEBIAN_PHP-SHMD_PACKAGE_CONTROL_EXTRA ${php_control})
set(CPACK_DEBIAN_PHP-SHMD_DESCRIPTION "shared memory segments by key - PHP extension
shmd holds the shared memory segments of one machine and hands them out by
key. This package lets PHP scripts use them: by classes of its own and, where
PHP's own extension shmop is disabled, by the functions shmop_open() and so on,
so that applications move to shmd unchanged.")
