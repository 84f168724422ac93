# libshmd, its C++ header, and programs that use both from an installation.
foreach(name libshmd libshmd_life libshmd_refusal libshmd_hostile libshmd_reconnect libshmd_restart libshmd_process libshmd_sync sync_death detach_queue going_on budget shmd_hpp resize
             batch placement ring ring_death fresh_memory ready_memory)
  shmd_test(${name} LIBRARIES shmd shmd_test_support)
endforeach()

shmd_test(examples LIBRARIES shmd_test_support)
add_dependencies(examples_test lookup_table)
target_compile_definitions(examples_test PRIVATE LOOKUP_TABLE_PATH="$<TARGET_FILE:lookup_table>")

# The loader's name differs from machine to machine.
set(allowed_libraries "libc.so.6;ld-linux-x86-64.so.2;ld-linux-aarch64.so.1")
if(SHMD_SANITIZE)
  set(allowed_libraries "")
endif()
set(libshmd_directory ${PROJECT_SOURCE_DIR}/client/c)
add_test(NAME libshmd_abi
         COMMAND ${CMAKE_COMMAND} -D LIBRARY=$<TARGET_FILE:shmd> -D NM=${CMAKE_NM} -D READELF=${CMAKE_READELF}
                 -D SYMBOLS=${libshmd_directory}/libshmd.symbols -D "ALLOWED=${allowed_libraries}"
                 -P ${libshmd_directory}/check_abi.cmake)

# Programs are not linked with the sanitizer that an instrumented library needs.
add_test(NAME consumer
         COMMAND ${CMAKE_COMMAND} -D BUILD=${PROJECT_BINARY_DIR} -D SCRATCH=${CMAKE_CURRENT_BINARY_DIR}/consumer
                 -D VERSION=${PROJECT_VERSION} -D LIBDIR=${CMAKE_INSTALL_LIBDIR} -D INCLUDEDIR=${CMAKE_INSTALL_INCLUDEDIR}
                 -D "SANITIZE=${SHMD_SANITIZE}" -P ${CMAKE_CURRENT_SOURCE_DIR}/consumer/run.cmake)
set_tests_properties(consumer PROPERTIES SKIP_REGULAR_EXPRESSION "^SKIPPED: " TIMEOUT 300)
