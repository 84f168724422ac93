dnl phpize && ./configure [PKG_CONFIG_PATH=...] && make

PHP_ARG_WITH([shmd],
  [for shared memory segments by libshmd],
  [AS_HELP_STRING([--with-shmd], [Include shmd support])],
  [yes])

if test "$PHP_SHMD" != "no"; then
  if test "$PHP_VERSION_ID" != "" && test "$PHP_VERSION_ID" -lt 80200; then
    AC_MSG_ERROR([shmd needs PHP 8.2 or newer])
  fi
  PKG_CHECK_MODULES([SHMD], [shmd >= 0.1.0])
  PHP_EVAL_INCLINE([$SHMD_CFLAGS])
  PHP_EVAL_LIBLINE([$SHMD_LIBS], [SHMD_SHARED_LIBADD])
  PHP_SUBST([SHMD_SHARED_LIBADD])

  PHP_NEW_EXTENSION([shmd],
    [shmd.c attributes.c client.c connection.c create.c enums.c errors.c info.c keys.c lists.c lock.c many.c segment.c shmop.c sync.c wait.c watch.c],
    [$ext_shared],,
    [-std=gnu11 -Wall -Wextra -Wno-unused-parameter])
  PHP_ADD_EXTENSION_DEP([shmd], [json])
fi
