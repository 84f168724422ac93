# System V shared memory: the drop-in in real processes.
add_executable(system_v_steps system_v_steps.cpp)
target_compile_definitions(system_v_steps PRIVATE _GNU_SOURCE)
target_link_libraries(system_v_steps PRIVATE shmd_options)
find_package(Threads REQUIRED)
add_executable(system_v_probe system_v_probe.cpp)
target_compile_definitions(system_v_probe PRIVATE _GNU_SOURCE)
target_link_libraries(system_v_probe PRIVATE shmd_options Threads::Threads)
foreach(name system_v_detach system_v_difference system_v_kept system_v_prepared system_v_process)
  shmd_test(${name} LIBRARIES shmd_test_support)
  add_dependencies(${name}_test shmd_sysv system_v_steps system_v_probe)
  target_compile_definitions(${name}_test PRIVATE SHMD_SYSV_PATH="$<TARGET_FILE:shmd_sysv>"
                                                  SYSTEM_V_STEPS_PATH="$<TARGET_FILE:system_v_steps>"
                                                  SYSTEM_V_PROBE_PATH="$<TARGET_FILE:system_v_probe>")
  if(SHMD_SANITIZE)
    # An instrumented library is not taken by programs that do not load the sanitizer first.
    set_tests_properties(${name} PROPERTIES DISABLED ON)
  endif()
endforeach()
# For the daemon that a test plays.
target_link_libraries(system_v_prepared_test PRIVATE shmd)
