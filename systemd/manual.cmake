# Man pages, from sources for scdoc that stand next to what they describe. Without scdoc there are none.
find_program(SHMD_SCDOC scdoc)
add_custom_target(shmd_manuals ALL)
if(NOT SHMD_SCDOC)
  message(STATUS "scdoc is not installed: no man pages")
endif()

# shmd_manual(PAGE COMPONENT component [ALIASES names...]): builds PAGE.scd of the calling directory and installs it, under
# these names too.
function(shmd_manual source)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "COMPONENT" "ALIASES")
  if(NOT SHMD_SCDOC)
    return()
  endif()
  get_filename_component(page ${source} NAME)
  string(REGEX MATCH "[0-9]$" section ${page})
  set(directory ${CMAKE_CURRENT_BINARY_DIR}/man${section})
  file(MAKE_DIRECTORY ${directory})
  set(built ${directory}/${page}.gz)
  add_custom_command(OUTPUT ${built}
    COMMAND ${PROJECT_SOURCE_DIR}/systemd/manual.sh ${SHMD_SCDOC} ${CMAKE_CURRENT_SOURCE_DIR}/${source}.scd ${built}
    DEPENDS ${source}.scd ${PROJECT_SOURCE_DIR}/systemd/manual.sh
    COMMENT "Making the man page ${page}" VERBATIM)
  string(MAKE_C_IDENTIFIER shmd_manual_${page} target)
  add_custom_target(${target} DEPENDS ${built})
  add_dependencies(shmd_manuals ${target})
  foreach(name IN LISTS arg_ALIASES)
    file(CREATE_LINK ${page}.gz ${directory}/${name}.${section}.gz SYMBOLIC)
    list(APPEND aliases ${directory}/${name}.${section}.gz)
  endforeach()
  install(FILES ${built} ${aliases} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section} COMPONENT ${arg_COMPONENT})
endfunction()
