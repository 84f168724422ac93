# Installs BUILD into a fresh prefix, then builds and runs programs against the installation alone.
#   -D BUILD=build directory  -D SCRATCH=directory to use  -D VERSION=of the project  -D LIBDIR=lib
#   -D INCLUDEDIR=include  -D SANITIZE=the sanitizers that it was built with
if(SANITIZE)
  message("SKIPPED: the library was built with -fsanitize=${SANITIZE}, and programs that use it are not")
  return()
endif()

set(prefix ${SCRATCH}/prefix)
file(REMOVE_RECURSE ${SCRATCH})
file(MAKE_DIRECTORY ${SCRATCH})

function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT result EQUAL 0)
    string(REPLACE ";" " " command "${ARGN}")
    message(FATAL_ERROR "${command}: ${result}\n${output}")
  endif()
endfunction()

run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${prefix})
foreach(file ${LIBDIR}/libshmd.so ${LIBDIR}/libshmd.so.0 ${INCLUDEDIR}/shmd/shmd.h ${INCLUDEDIR}/shmd/shmd.hpp)
  if(NOT EXISTS ${prefix}/${file})
    message(FATAL_ERROR "the installation lacks ${file}")
  endif()
endforeach()

# It may be moved: nothing in it may say where it was.
set(moved ${SCRATCH}/moved)
file(RENAME ${prefix} ${moved})
set(ENV{PKG_CONFIG_PATH} ${moved}/${LIBDIR}/pkgconfig)
run(${CMAKE_COMMAND} -S ${CMAKE_CURRENT_LIST_DIR} -B ${SCRATCH}/build -D CMAKE_PREFIX_PATH=${moved})
run(${CMAKE_COMMAND} --build ${SCRATCH}/build)
set(ENV{LD_LIBRARY_PATH} ${moved}/${LIBDIR})
foreach(program found_c found_cpp configured_c configured_cpp)
  run(${SCRATCH}/build/${program} ${VERSION})
endforeach()
