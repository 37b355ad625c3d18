// What is wrong with a plugin's object file, in words; the dynamic linker says "no such file" for another machine's.
#pragma once
#include <string>

namespace sg {

// "is no ELF object", "is built for another machine (aarch64; this one is x86_64)", ...; "" when the head of the file
// is that of a shared object of this machine, or cannot be read.
std::string object_defect(const std::string& path);

}  // namespace sg
