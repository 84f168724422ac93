# The daemon's layers below the event loop.
shmd_test(log LIBRARIES shmd_log)
shmd_test(policy LIBRARIES shmd_policy)
shmd_test(quota LIBRARIES shmd_quota)
shmd_test(memory LIBRARIES shmd_segment)
shmd_test(registry LIBRARIES shmd_registry)
shmd_test(config LIBRARIES shmd_config)
shmd_test(size_text LIBRARIES shmd_protocol)
add_test(NAME layering COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/layering_test.sh ${PROJECT_SOURCE_DIR})
