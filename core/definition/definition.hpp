// A definition file as values (docs/user/definition-files.md): what was written, where, and nothing decided.
#pragma once
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "definition/text.hpp"

namespace sg::definition {

// One key of a header. Names are lower case.
struct Key {
    std::string name, value;
    Position at, value_at;
};

// All sections of one name (and app) in a stage, joined in their order.
struct Section {
    std::string name;       // lower case, without "%"
    std::string app;        // of an app section
    std::string arguments;  // what follows the name, a comment at its end left out
    Position at;
    std::vector<Line> lines;

    std::string body() const;  // the lines, each with its newline
    bool blank() const;        // nothing but blanks and comments
};

struct FilePair {
    std::string source, destination;  // destination "" = as the source
    Position at;
};

// One `%files [from STAGE]`.
struct Files {
    std::string stage;  // "" = of the host
    std::vector<FilePair> pairs;
    Position at;
};

struct Label {
    std::string name, value;
    Position at;
};

struct App {
    std::string name;
    std::vector<Section> sections;  // appenv, appfiles, ...
    std::vector<FilePair> files;
    std::vector<Label> labels;

    const Section* section(std::string_view name) const;
};

struct Stage {
    std::string name;  // `Stage:`, "" when it has none
    Position at;
    std::vector<Key> header;
    std::vector<Section> sections;
    std::vector<Files> files;
    std::vector<Label> labels;
    std::vector<App> apps;  // in the order in which they are first named
    std::string text;       // after substitution
    std::map<std::string, std::string> arguments;  // what was substituted

    const Section* section(std::string_view name) const;
    const Key* key(std::string_view name) const;  // the last of that name
    std::string value(std::string_view name) const;
};

enum class Severity { error, warning };

// Something to tell about a definition. `rule` is the word that silences it.
struct Finding {
    Severity severity = Severity::warning;
    std::string rule;
    Position at;
    std::string message;
};

struct Definition {
    Text source;  // as written
    std::vector<Stage> stages;
    std::vector<Finding> findings;  // of the parser: what is accepted and has no effect

    const Stage& last() const { return stages.back(); }
    // All stages after substitution, as an image records it.
    std::string text() const;
};

}  // namespace sg::definition
