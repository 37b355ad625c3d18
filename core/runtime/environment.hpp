// The host's part of the container's environment; the image's scripts follow (plugins/launcher/family/environment.hpp).
#pragma once
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "runtime/launch_options.hpp"

namespace sg::runtime {

using Pair = std::pair<std::string, std::string>;

struct Environment {
    std::vector<std::string> host;  // "K=V", what passes and what is set
    std::vector<Pair> overrides;    // SINGULARITYENV_K, --env, --env-file: set after the image's scripts
    bool evaluate = true;           // the overrides' values are evaluated by a shell
    std::vector<std::string> warnings;
};

struct EnvironmentFacts {
    std::string image;  // absolute path
    std::string home;
    std::vector<std::string> bind_destinations;
};

// What the configuration sets in every container (environment.set); `locked` is called with the option or variable that
// would set the same name, and may throw.
struct SiteEnvironment {
    std::vector<Pair> pairs;
    std::function<void(const std::string& where)> locked;
};

// `environment` is a NULL-ended "K=V" array.
Environment container_environment(const LaunchOptions& options, const EnvironmentFacts& facts,
                                  const char* const* environment, const SiteEnvironment& site = {});

// `--env`: "K=V", several divided by commas; a part without '=' belongs to the value before it.
std::vector<Pair> parse_env_option(const std::string& text);

// `--env-file`: the variables that the file sets when a shell of the host (bash, else sh) sources it, which knows those of
// `environment` as well. Throws when it fails.
std::vector<Pair> read_env_file(const std::string& path, const char* const* environment);

extern const char* const default_path;

}  // namespace sg::runtime
