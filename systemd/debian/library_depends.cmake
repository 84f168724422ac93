# Read by cpack: what the libraries' packages need, as dpkg-shlibdeps finds it. CPack can do that itself, but then adds scripts
# that call ldconfig, where Debian wants a trigger.
set(scratch ${CPACK_PACKAGE_DIRECTORY}/_CPack_Packages/shlibdeps)
file(MAKE_DIRECTORY ${scratch}/debian)
file(WRITE ${scratch}/debian/control "Source: shmd\n\nPackage: libshmd0\nArchitecture: any\n")
foreach(package LIBSHMD0 LIBSHMD-SYSV)
  execute_process(COMMAND dpkg-shlibdeps -O ${CPACK_${package}_FILE} WORKING_DIRECTORY ${scratch}
                  OUTPUT_VARIABLE found OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX REPLACE "^shlibs:Depends=" "" CPACK_DEBIAN_${package}_PACKAGE_DEPENDS "${found}")
endforeach()
