// Is it a program that runs alone in an image?
#pragma once
#include <string>
#include <string_view>

namespace busybox {

// The bytes of a program for that architecture (Go name) which needs no library: an ELF file (System V ABI, chapters 4 and 5) without an
// interpreter. Throws Code::invalid otherwise; `where` begins the message.
void check_program(std::string_view bytes, std::string_view arch, const std::string& where);

}  // namespace busybox
