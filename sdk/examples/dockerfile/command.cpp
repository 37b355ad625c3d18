#include "command.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <sstream>

namespace dockerfile {

using singularity::Code;
using singularity::Error;
using singularity::Host;
using singularity::SourceSpec;

namespace {

bool is(const std::string& path, mode_t type) {
    struct stat st {};
    return ::stat(path.c_str(), &st) == 0 && (st.st_mode & S_IFMT) == type;
}

std::string found_in_path(const std::string& program) {
    if (program.find('/') != std::string::npos) return ::access(program.c_str(), X_OK) == 0 ? program : "";
    const char* path = std::getenv("PATH");
    std::istringstream directories(path ? path : "/usr/bin:/bin");
    for (std::string directory; std::getline(directories, directory, ':');)
        if (const std::string full = directory + "/" + program; !directory.empty() && ::access(full.c_str(), X_OK) == 0)
            return full;
    return {};
}

}  // namespace

Context Context::of(const SourceSpec& spec) {
    std::string path = spec.absolute(spec.reference);
    while (path.size() > 1 && path.ends_with('/')) path.pop_back();
    if (is(path, S_IFREG)) return {path.substr(0, std::max<size_t>(path.rfind('/'), 1)), path};
    if (!is(path, S_IFDIR))
        throw Error(Code::not_found, path + " is neither a directory with a Dockerfile nor such a file",
                    "The form is dockerfile://DIRECTORY.");
    for (const char* name : {"/Dockerfile", "/Containerfile"})
        if (is(path + name, S_IFREG)) return {path, path + name};
    throw Error(Code::not_found, path + " has no Dockerfile",
                "A file of another name is built by dockerfile://DIRECTORY/NAME.");
}

std::string Context::name() const {
    char* real = ::realpath(directory.c_str(), nullptr);
    const std::string path = real ? real : directory;
    std::free(real);
    const std::string last = path.substr(path.rfind('/') + 1);
    return last.empty() || last.size() > 200 ? "image" : last;
}

std::string find_builder(const Host& host) {
    const std::string wanted = host.text("dockerfile.builder").value_or("");
    for (const std::string& program :
         wanted.empty() ? std::vector<std::string>{"buildah", "podman"} : std::vector<std::string>{wanted})
        if (std::string full = found_in_path(program); !full.empty()) return full;
    if (!wanted.empty())
        throw Error(Code::not_found, "the builder '" + wanted + "' is not on this machine",
                    "dockerfile.builder names it.");
    throw Error(Code::not_found, "neither buildah nor podman is installed on this machine",
                "The packages 'buildah' and 'podman' have them.");
}

std::vector<std::string> build_command(const std::string& builder, const Context& context, const std::string& layout,
                                       const SourceSpec& spec, const Host& host) {
    // The layers are not compressed: nobody but us reads them, once. Stages that are built stay in the builder's own
    // store.
    std::vector<std::string> out{builder,  "build",     "--layers", "--tag", "oci:" + layout + ":image",
                                 "--file", context.file};
    if (spec.arch_is_wish)
        out.insert(out.end(), {"--platform", "linux/" + spec.arch + (spec.variant.empty() ? "" : "/" + spec.variant)});
    for (const auto& [key, value] : spec.options) {
        // The option of the command line, and the keyword of a definition file.
        if (key == "dockerfile-target" || key == "target") out.insert(out.end(), {"--target", value});
        std::istringstream words(key == "args" ? value : "");
        std::vector<std::string> arguments;
        if (key == "dockerfile-arg") arguments.push_back(value);
        for (std::string word; words >> word;) arguments.push_back(word);
        for (const std::string& argument : arguments) {
            if (argument.find('=') == std::string::npos)
                throw Error(Code::invalid, "'" + argument + "' is no NAME=VALUE for an ARG of the Dockerfile");
            out.insert(out.end(), {"--build-arg", argument});
        }
    }
    for (const std::string& option : host.texts("dockerfile.options")) out.push_back(option);
    out.push_back(context.directory);
    return out;
}

}  // namespace dockerfile
