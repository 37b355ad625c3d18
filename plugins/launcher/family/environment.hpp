// The container's environment: the host's part (from the LaunchSpec), then the image's scripts, then what
// is restored (docs/user/running.md, "Environment"). Runs inside the container's root.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "family/script.hpp"
#include "family/spec.hpp"

namespace launcher {

using Variables = std::map<std::string, std::string>;

// What the scripts left behind.
struct Outcome {
    Variables exported;
    std::vector<std::string> set;  // set, exported or not
    bool exited = false;           // a script ended the start with `status`
    int status = 0;
    std::optional<unsigned> umask;  // where a shell ran them: the one that they left
};

extern const char* const default_path;

// "K=V" texts to variables; names that no shell could hold are dropped.
Variables split_environment(const std::vector<std::string>& texts);

// PATH with the default directories that it lacks appended.
std::string complete_path(const std::string& path);

// The image's scripts by our own interpreter. Throws NotUnderstood.
Outcome evaluate_scripts(const Spec& spec, const Variables& host, const std::vector<std::string>& scripts);
// The same by a real shell of the image (path). Throws Error; ends after spec.timeout seconds.
Outcome evaluate_with_shell(const Spec& spec, const Variables& host, const std::vector<std::string>& scripts, const std::string& shell);
// What `export -p` of any shell prints, back to variables.
Variables parse_exports(std::string_view text);

// Steps 2 to 4 in the container that we are in. `exited`: end with `status` instead of going on.
struct ContainerEnvironment {
    Variables variables;
    bool exited = false;
    int status = 0;
    std::optional<unsigned> umask;
};
ContainerEnvironment container_environment(const Spec& spec);

// Restores what the scripts did not set, drops what they emptied, sets the prompt.
Variables restore(const Variables& host, const Outcome& outcome);

}  // namespace launcher
