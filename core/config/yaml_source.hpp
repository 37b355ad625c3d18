// Reads the YAML files that configuration comes from, and remembers the state of each for the index.
// yaml-cpp is used only here and in the parsers that include this; nothing of it is on a start's path.
#pragma once
#include <yaml-cpp/yaml.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "config/source_state.hpp"

namespace sg {

// A leaf of a configuration file: "build.threads" with its texts.
struct RawValue {
    std::string key, file;
    uint32_t line = 0;
    bool is_list = false, is_null = false;
    bool adds = false;  // written "paths+": its texts come behind those of earlier files
    std::vector<std::string> texts;
    std::vector<uint32_t> lines;  // of the texts
};

class YamlSources {
public:
    // Files must belong to one of `owners` and not be writable by others.
    explicit YamlSources(std::vector<uint32_t> owners) : owners_(std::move(owners)) {}

    // The document; nullopt when there is no such file. Throws with FILE:LINE for wrong syntax, and
    // Code::permission for a file that others may write. An empty file is a null node.
    std::optional<YAML::Node> read(const std::string& path);
    // Absolute paths of *.yaml in byte order; none when there is no such directory.
    std::vector<std::string> list(const std::string& directory);

    // A variable that decides which files are read, with its value of now ("" when it is unset).
    std::string variable(const std::string& name);

    const std::vector<SourceFile>& seen() const { return seen_; }

private:
    std::vector<uint32_t> owners_;
    std::vector<SourceFile> seen_;
};

// ---- Helpers for the parsers --------------------------------------------------------------------
uint32_t line_of(const YAML::Node& node);
std::string at(const std::string& file, const YAML::Node& node);  // "FILE:LINE"
[[noreturn]] void wrong(const std::string& file, const YAML::Node& node, const std::string& what, const std::string& hint = {});

// A scalar's text, a sequence of texts (one scalar counts as a list of one), a word for yes or no, a number.
std::string text_of(const std::string& file, const YAML::Node& node, const char* what);
std::vector<std::string> texts_of(const std::string& file, const YAML::Node& node, const char* what);
bool boolean_of(const std::string& file, const YAML::Node& node, const char* what);
int64_t integer_of(const std::string& file, const YAML::Node& node, const char* what);

// Calls visit(name, key node, value node) for each member of a map; a name that comes twice throws.
void each_member(const std::string& file, const YAML::Node& map, const char* what,
                 const std::function<void(const std::string&, const YAML::Node&, const YAML::Node&)>& visit);

// Every leaf below a map; nested maps and dotted names mean the same. With `problems` what is wrong is added there and
// left out.
void flatten(const std::string& file, const YAML::Node& map, const std::string& prefix, std::vector<RawValue>& out,
             std::vector<Error>* problems = nullptr);

}  // namespace sg
