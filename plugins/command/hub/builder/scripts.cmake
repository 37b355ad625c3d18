# The scripts of a build become a source of the object: ${build_scripts}.
file(GLOB scripts CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/scripts/*.sh)
set(build_scripts ${CMAKE_CURRENT_BINARY_DIR}/build_scripts.cpp)
add_custom_command(OUTPUT ${build_scripts}
  COMMAND ${CMAKE_COMMAND} -DSCRIPTS=${CMAKE_CURRENT_LIST_DIR}/scripts -DOUT=${build_scripts} -P ${CMAKE_CURRENT_LIST_DIR}/embed.cmake
  DEPENDS ${scripts} ${CMAKE_CURRENT_LIST_DIR}/embed.cmake VERBATIM)
