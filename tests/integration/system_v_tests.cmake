# System V shared memory: the drop-in in real processes.
add_executable(system_v_steps system_v_steps.cpp)
target_compile_definitions(system_v_steps PRIVATE _GNU_SOURCE)
target_link_libraries(system_v_steps PRIVATE shmd_options)
foreach(name system_v_difference)
  shmd_test(${name} LIBRARIES shmd_test_support)
  add_dependencies(${name}_test shmd_sysv system_v_steps)
  target_compile_definitions(${name}_test PRIVATE SHMD_SYSV_PATH="$<TARGET_FILE:shmd_sysv>"
                                                  SYSTEM_V_STEPS_PATH="$<TARGET_FILE:system_v_steps>")
  if(SHMD_SANITIZE)
    # An instrumented library is not taken by programs that do not load the sanitizer first.
    set_tests_properties(${name} PROPERTIES DISABLED ON)
  endif()
endforeach()
