# The files of the pages become a source of the object: ${web_files}.
file(GLOB pages CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/pages/*)
set(web_files ${CMAKE_CURRENT_BINARY_DIR}/web_files.cpp)
add_custom_command(OUTPUT ${web_files}
  COMMAND ${CMAKE_COMMAND} -DPAGES=${CMAKE_CURRENT_LIST_DIR}/pages -DOUT=${web_files} -P ${CMAKE_CURRENT_LIST_DIR}/embed.cmake
  DEPENDS ${pages} ${CMAKE_CURRENT_LIST_DIR}/embed.cmake VERBATIM)
