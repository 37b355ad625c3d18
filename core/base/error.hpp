// The error type (sdk) and what the host adds to it.
#pragma once
#include <singularity/error.hpp>

#include <string>
#include <string_view>

namespace sg {

using singularity::Code;
using singularity::Error;

// What the process exits with for a failure of our own: 1 for a wrong command line, 255 for the rest,
// as Apptainer's command does.
int exit_code(Code code) noexcept;

// The Error for a failed system call: `what` says what was tried ("cannot open"), `path` on what. The
// code follows from errno (ENOENT not_found, EACCES permission, ENOSPC and EDQUOT no_space, ...).
Error system_error(int errno_value, std::string_view what, std::string_view path);
[[noreturn]] void throw_errno(std::string_view what, std::string_view path);  // with the present errno

}  // namespace sg
