// Header values of a definition file, as a package manager may be given them: none can be taken for an option or breaks a line of
// its configuration. All throw Code::invalid and name the key as users write it.
#pragma once
#include <singularity/bootstrap.hpp>
#include <string>
#include <vector>

namespace packages {

// The value of `key` (lower case), "" when the header has none. `shown` is the key as users write it.
std::string value_of(const singularity::SourceSpec& spec, const char* key, const char* shown);

// The same of a key that must be there; `example` is a value for the hint.
std::string needed_value(const singularity::SourceSpec& spec, const char* key, const char* shown, const char* example);

// The value of a key that holds an address, with OSVersion put in the place of each %{OSVERSION} (in any case).
std::string address(const singularity::SourceSpec& spec, const char* key, const char* shown);
std::string needed_address(const singularity::SourceSpec& spec, const char* key, const char* shown, const char* example);

// The packages of the key Include, divided by blanks or commas.
std::vector<std::string> included(const singularity::SourceSpec& spec);

// The kernel's name of an architecture, which rpm and pacman use: "x86_64" of "amd64".
std::string kernel_arch(const std::string& arch, const std::string& variant);

// Throws Code::unsupported when the user wants another architecture than this machine's.
void refuse_foreign_arch(const singularity::SourceSpec& spec);

}  // namespace packages
