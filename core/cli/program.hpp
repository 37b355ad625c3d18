// The executable: from argv to an exit code.
#pragma once

namespace sg {

int run_program(int argc, char** argv);

}  // namespace sg
