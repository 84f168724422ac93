# shmdctl as people and programs meet it.
find_package(nlohmann_json 3.11 REQUIRED)
foreach(name shmdctl shmdctl_life shmdctl_refusal shmdctl_stream shmdctl_synchronize shmdctl_terminal completions)
  shmd_test(${name} LIBRARIES shmd_test_support nlohmann_json::nlohmann_json)
  add_dependencies(${name}_test shmdctl)
  target_compile_definitions(${name}_test PRIVATE SHMDCTL_PATH="$<TARGET_FILE:shmdctl>"
                                                  SHMDCTL_LIBRARY_PATH="$<TARGET_SONAME_FILE:shmd>")
endforeach()
target_compile_definitions(completions_test PRIVATE SHMD_SOURCE_DIR="${PROJECT_SOURCE_DIR}")

# Three shells at once are enough for any machine.
set_tests_properties(completions PROPERTIES RUN_SERIAL ON)
