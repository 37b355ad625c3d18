# How rooms of core, plugins and tests are declared.
#
#   sg_room(NAME SOURCES a.cpp b.cpp DEPENDS base config LIBRARIES fmt)
#       static library sg_NAME of core/NAME, included as <NAME/file.hpp>
#   sg_family(NAME SOURCES ... LIBRARIES ...)
#       static library that plugins of one family share; sees sdk headers only
#   sg_plugin(NAME SOURCES ... FAMILY f ... LIBRARIES ...)
#       NAME.so with its manifest plugin.yaml and README.md; SHARED_RUNTIME: it uses a C++ library of the system's and
#       with it the system's libstdc++ (scripts/check-boundaries lists such plugins with the reason)
#   sg_unit_test(NAME SOURCES ... LINK ...)
#       Boost.Test program tests/unit/NAME, one CTest entry, label "unit"
set(SG_PLUGIN_DIR ${CMAKE_INSTALL_LIBDIR}/singularity/plugins)

function(sg_add_if_present directory)
  if(EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${directory}/CMakeLists.txt)
    add_subdirectory(${directory})
  endif()
endfunction()

function(sg_room name)
  cmake_parse_arguments(A "" "" "SOURCES;DEPENDS;LIBRARIES" ${ARGN})
  add_library(sg_${name} STATIC ${A_SOURCES})
  target_include_directories(sg_${name} PUBLIC ${CMAKE_SOURCE_DIR}/core)
  list(TRANSFORM A_DEPENDS PREPEND sg_)
  target_link_libraries(sg_${name} PUBLIC sg_sdk ${A_DEPENDS} PRIVATE ${A_LIBRARIES})
endfunction()

function(sg_family name)
  cmake_parse_arguments(A "" "" "SOURCES;LIBRARIES" ${ARGN})
  add_library(sgf_${name} STATIC ${A_SOURCES})
  target_include_directories(sgf_${name} PUBLIC ${CMAKE_CURRENT_SOURCE_DIR}/..)
  target_link_libraries(sgf_${name} PUBLIC sg_sdk ${A_LIBRARIES})
endfunction()

function(sg_plugin name)
  cmake_parse_arguments(A "SHARED_RUNTIME" "" "SOURCES;FAMILY;LIBRARIES" ${ARGN})
  add_library(plugin_${name} MODULE ${A_SOURCES})
  list(TRANSFORM A_FAMILY PREPEND sgf_)
  target_link_libraries(plugin_${name} PRIVATE sg_sdk ${A_FAMILY} ${A_LIBRARIES})
  set_target_properties(plugin_${name} PROPERTIES
    PREFIX "" OUTPUT_NAME ${name} LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/plugins/${name})
  # Nothing but the entry is visible, and libstdc++ is its own: see docs/architecture.md, "Plugins".
  target_link_options(plugin_${name} PRIVATE -Wl,--exclude-libs,ALL -Wl,--as-needed)
  if(NOT SG_SANITIZE AND NOT SG_FUZZ)
    target_link_options(plugin_${name} PRIVATE -Wl,-z,defs
      -Wl,--version-script=${CMAKE_SOURCE_DIR}/sdk/cmake/plugin.map)
    if(NOT A_SHARED_RUNTIME)
      target_link_options(plugin_${name} PRIVATE -static-libstdc++ -static-libgcc)
    endif()
  endif()
  foreach(file plugin.yaml README.md)
    configure_file(${file} ${CMAKE_BINARY_DIR}/plugins/${name}/${file} COPYONLY)
  endforeach()
  install(TARGETS plugin_${name} DESTINATION ${SG_PLUGIN_DIR}/${name})
  install(FILES plugin.yaml README.md DESTINATION ${SG_PLUGIN_DIR}/${name})
endfunction()

function(sg_unit_test name)
  cmake_parse_arguments(A "" "" "SOURCES;LINK" ${ARGN})
  if(NOT SG_TESTS)
    return()
  endif()
  add_executable(test_${name} ${A_SOURCES})
  # The tests' own code needs no optimizer, and compiles in a third of the time without it.
  target_compile_options(test_${name} PRIVATE -U_FORTIFY_SOURCE -O0)
  target_link_libraries(test_${name} PRIVATE ${A_LINK} boost_unit_test_framework)
  target_compile_definitions(test_${name} PRIVATE BOOST_TEST_DYN_LINK)
  # The first source brings main().
  list(GET A_SOURCES 0 first)
  set_source_files_properties(${first} PROPERTIES COMPILE_DEFINITIONS BOOST_TEST_MODULE=${name})
  add_test(NAME unit.${name} COMMAND test_${name} --log_level=test_suite)
  set(timeout 300)
  if(SG_SANITIZE)
    set(timeout 1500)  # without the optimizer everything takes ten times as long
  endif()
  set_tests_properties(unit.${name} PROPERTIES LABELS unit TIMEOUT ${timeout}
    ENVIRONMENT "SINGULARITY_TEST_DATA=$ENV{SINGULARITY_TEST_DATA}")
endfunction()

function(sg_fuzz_target name)
  cmake_parse_arguments(A "" "" "SOURCES;LINK" ${ARGN})
  if(NOT SG_FUZZ)
    return()
  endif()
  add_executable(fuzz_${name} ${A_SOURCES})
  target_link_libraries(fuzz_${name} PRIVATE ${A_LINK})
  target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
endfunction()
