// singularity @NAME@ [--shout] [NAME...]
#include <algorithm>
#include <cctype>
#include <cstdio>
#include <singularity/command.hpp>

namespace {

using namespace singularity;

class Hello final : public Command {
public:
    // Gives the exit code. Options and help stand in plugin.yaml; the host has parsed them.
    int run(const Invocation& invocation, const Host&) override {
        std::string line = "hello";
        for (const auto& name : invocation.arguments) line += " " + name;
        for (const auto& [name, value] : invocation.options)
            if (name == "shout" && value == "true")
                std::transform(line.begin(), line.end(), line.begin(), [](unsigned char c) { return std::toupper(c); });
        std::puts(line.c_str());
        std::fflush(stdout);  // the host may end without running libc's exit handlers
        return 0;
    }
};

}  // namespace

// clang-format off
SINGULARITY_PLUGIN(@NAME@, Hello)
