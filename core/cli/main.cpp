#include "cli/program.hpp"

int main(int argc, char** argv) { return sg::run_program(argc, argv); }
