# Debian packages by CPack: shmd, libshmd0, libshmd-dev, libshmd-sysv and, where the PHP extension is built, php-shmd.
# Whatever is installed without a component goes into shmd.
# The target "packages" leaves them in packages/ of the build directory.

# Paths in the packages are those that were configured: the units name the daemon, the libraries lie by architecture.
set(SHMD_WHY_NO_PACKAGES "")
find_program(SHMD_SHLIBDEPS dpkg-shlibdeps)
if(NOT CMAKE_INSTALL_PREFIX STREQUAL "/usr")
  set(SHMD_WHY_NO_PACKAGES "this build is for ${CMAKE_INSTALL_PREFIX}: configure it with -DCMAKE_INSTALL_PREFIX=/usr, as the presets do")
elseif(SHMD_SANITIZE)
  set(SHMD_WHY_NO_PACKAGES "this build is instrumented with -fsanitize=${SHMD_SANITIZE}")
elseif(NOT SHMD_SCDOC)
  set(SHMD_WHY_NO_PACKAGES "scdoc, which makes the man pages, is not installed")
elseif(NOT SHMD_SHLIBDEPS)
  set(SHMD_WHY_NO_PACKAGES "dpkg-dev is not installed")
endif()
if(SHMD_WHY_NO_PACKAGES)
  add_custom_target(packages COMMAND ${CMAKE_COMMAND} -E echo "No packages: ${SHMD_WHY_NO_PACKAGES}" COMMAND false VERBATIM)
  return()
endif()

set(debian ${CMAKE_CURRENT_LIST_DIR}/debian)
set(generated ${PROJECT_BINARY_DIR}/systemd/debian)
set(debian_revision 1)

# ---- The documents that every package has ----

file(STRINGS ${debian}/changelog newest LIMIT_COUNT 1)
if(NOT newest MATCHES "^shmd \\(${PROJECT_VERSION}-${debian_revision}\\) ")
  message(FATAL_ERROR "systemd/debian/changelog has no entry for ${PROJECT_VERSION}-${debian_revision}")
endif()
file(READ ${PROJECT_SOURCE_DIR}/LICENSE license)
string(REGEX REPLACE "^.*\n\n(Permission is)" "\\1" license "${license}")
string(STRIP "${license}" license)
string(REPLACE "\n\n" "\n.\n" license "${license}")
string(REPLACE "\n" "\n " license " ${license}")
configure_file(${debian}/copyright.in ${generated}/copyright @ONLY)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${debian}/changelog ${PROJECT_SOURCE_DIR}/LICENSE)
file(WRITE ${generated}/shlibs "libshmd 0 libshmd0 (>= ${PROJECT_VERSION})\n")
file(WRITE ${generated}/triggers "activate-noawait ldconfig\n")
execute_process(COMMAND gzip -9nc ${debian}/changelog OUTPUT_FILE ${generated}/changelog.Debian.gz
                COMMAND_ERROR_IS_FATAL ANY)

set(components shmd libshmd0 libshmd-dev libshmd-sysv)
if(TARGET shmd_php)
  list(APPEND components php-shmd)
endif()
foreach(component IN LISTS components)
  install(FILES ${generated}/copyright ${generated}/changelog.Debian.gz DESTINATION share/doc/${component}
          COMPONENT ${component} EXCLUDE_FROM_ALL)
  # The archive wants every first upload to close a wish for it; this one goes to no archive.
  set(overrides "${component}: initial-upload-closes-no-bugs *\n")
  if(component STREQUAL "shmd")
    # Debian's wrappers do not know "clean".
    string(APPEND overrides "shmd: maintainer-script-calls-systemctl [prerm:*]\n")
  endif()
  if(component STREQUAL "libshmd-sysv")
    # Nothing is linked with it: programs are started with it, under this name.
    string(APPEND overrides "libshmd-sysv: shared-library-lacks-version *\n")
  endif()
  file(WRITE ${generated}/${component}.lintian "${overrides}")
  install(FILES ${generated}/${component}.lintian DESTINATION share/lintian/overrides RENAME ${component}
          COMPONENT ${component} EXCLUDE_FROM_ALL)
endforeach()

# ---- What CPack is told ----

set(CPACK_GENERATOR DEB)
set(CPACK_COMPONENTS_ALL ${components})
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_SET_DESTDIR ON)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE
                                                WORLD_READ WORLD_EXECUTE)
set(CPACK_PACKAGE_DIRECTORY ${PROJECT_BINARY_DIR}/packages)
set(CPACK_PACKAGE_CONTACT "The shmd authors <maintainers@shmd.io>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "")
set(CPACK_VERBATIM_VARIABLES ON)

set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SOURCE shmd)
set(CPACK_DEBIAN_PACKAGE_RELEASE ${debian_revision})
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
# Where shmdctl finds libshmd while its dependencies are looked for. That one is named below, with its version.
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${PROJECT_BINARY_DIR}/client/c)
set(same_version "(= ${PROJECT_VERSION}-${debian_revision})")

set(CPACK_DEBIAN_SHMD_PACKAGE_NAME shmd)
set(CPACK_DEBIAN_SHMD_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_SHMD_PACKAGE_DEPENDS
    "libshmd0 ${same_version}, systemd | systemd-standalone-sysusers | systemd-sysusers")
set(CPACK_DEBIAN_SHMD_PACKAGE_CONTROL_EXTRA ${debian}/postinst ${debian}/prerm ${debian}/postrm)
set(CPACK_DEBIAN_SHMD_DESCRIPTION "shared memory service, with an owner for every segment
shmd holds the shared memory segments of one machine: the life, permission
and quota of each. It hands them out by key, over a Unix socket, as file
descriptors. Programs map them and read and write plain memory; the daemon is
never in between.

This package has the daemon, its systemd units, and shmdctl, which
administers the segments.")

set(CPACK_DEBIAN_LIBSHMD0_PACKAGE_NAME libshmd0)
set(CPACK_DEBIAN_LIBSHMD0_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_LIBSHMD0_PACKAGE_SHLIBDEPS OFF)
set(CPACK_PROJECT_CONFIG_FILE ${debian}/library_depends.cmake)
set(CPACK_LIBSHMD0_FILE ${PROJECT_BINARY_DIR}/client/c/libshmd.so.${PROJECT_VERSION})
set(CPACK_LIBSHMD-SYSV_FILE ${PROJECT_BINARY_DIR}/client/sysv/libshmd-sysv.so)
set(CPACK_DEBIAN_LIBSHMD0_PACKAGE_CONTROL_EXTRA ${generated}/shlibs ${generated}/triggers)
set(CPACK_DEBIAN_LIBSHMD0_PACKAGE_SUGGESTS "shmd")
set(CPACK_DEBIAN_LIBSHMD0_DESCRIPTION "shared memory segments by key - library
libshmd opens the shared memory segments that the shmd service of this machine
holds, by key. Grants are enforced by the kernel, and end with the process.

This package has the library that programs are linked with.")

set(CPACK_DEBIAN_LIBSHMD-DEV_PACKAGE_NAME libshmd-dev)
set(CPACK_DEBIAN_LIBSHMD-DEV_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_LIBSHMD-DEV_PACKAGE_SHLIBDEPS OFF)
set(CPACK_DEBIAN_LIBSHMD-DEV_PACKAGE_DEPENDS "libshmd0 ${same_version}")
set(CPACK_DEBIAN_LIBSHMD-DEV_PACKAGE_SUGGESTS "shmd")
set(CPACK_DEBIAN_LIBSHMD-DEV_DESCRIPTION "shared memory segments by key - development files
libshmd opens the shared memory segments that the shmd service of this machine
holds, by key. Grants are enforced by the kernel, and end with the process.

This package has the headers for C and C++20, and what CMake and pkg-config
need to find the library.")

set(CPACK_DEBIAN_LIBSHMD-SYSV_PACKAGE_NAME libshmd-sysv)
set(CPACK_DEBIAN_LIBSHMD-SYSV_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_LIBSHMD-SYSV_PACKAGE_SHLIBDEPS OFF)
set(CPACK_DEBIAN_LIBSHMD-SYSV_PACKAGE_CONTROL_EXTRA ${generated}/triggers)
set(CPACK_DEBIAN_LIBSHMD-SYSV_PACKAGE_RECOMMENDS "shmd")
set(CPACK_DEBIAN_LIBSHMD-SYSV_DESCRIPTION "shared memory service - System V programs, unchanged
shmd holds the shared memory segments of one machine. This library takes the
place of shmget, shmat, shmdt and shmctl in programs that are started with it,
so that their System V segments are shmd's: with quotas, with names, and
without leaks after a crash.

\"shmdctl exec -- PROGRAM\", of the package shmd, starts a program with it.")

if(TARGET shmd_php)
  include(${PROJECT_SOURCE_DIR}/client/php/packaging.cmake)
endif()

include(CPack)

add_custom_target(packages
  COMMAND ${CMAKE_COMMAND} -E rm -rf ${CPACK_PACKAGE_DIRECTORY}
  COMMAND ${CMAKE_CPACK_COMMAND} --config ${PROJECT_BINARY_DIR}/CPackConfig.cmake -G DEB
  WORKING_DIRECTORY ${PROJECT_BINARY_DIR}
  COMMENT "Making the Debian packages, in ${CPACK_PACKAGE_DIRECTORY}"
  VERBATIM USES_TERMINAL)
add_dependencies(packages shmd shmd_sysv shmd_daemon shmdctl shmd_manuals)
if(TARGET shmd_php)
  add_dependencies(packages shmd_php)
endif()
