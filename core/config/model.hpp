// Configuration and registrations as plain values, while they are put together; encode.hpp turns them
// into the compiled index. Members mean what the views of index.hpp say.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "config/index.hpp"

namespace sg::model {

struct Place {
    std::string file;
    uint32_t line = 0;
};

struct Key {
    std::string name, doc, plugin;
    ValueType type = ValueType::text;
    std::vector<std::string> initial, values, choices, variables;
    Layer layer = Layer::builtin;
    std::string file, lock_file;
    uint32_t line = 0, lock_line = 0;
    std::vector<Place> places;  // of a list's values; fewer than these: the others are built-in defaults
};

struct Option {
    std::string long_name, short_name, type, variable, help;
    std::vector<std::string> verbs;  // empty: an option of the command it stands in
    std::string takes_over;
};

struct Command {
    std::string verb, summary, usage, example;
    bool hidden = false;
    std::vector<Option> options;
};

struct Capability {
    CapabilityKind kind = CapabilityKind::bootstrap;
    std::string name, summary, example;
    uint32_t line = 0;
    bool shadowed = false, publishes = false, searches = false, deletes = false, plain_paths = false, remote = false,
         directory = false, standard = false, hidden = false, wants_digest = false, wants_signers = false;
    std::string selected_by, selected_short;
    std::vector<std::string> words;
    std::vector<std::pair<uint64_t, std::string>> magics;
    std::vector<Command> commands;
};

struct CacheArea {
    std::string area, title;
    int64_t order = 0;
};

struct Plugin {
    std::string name, version, summary, manifest, object, registered_in;
    uint32_t registered_line = 0, abi = 0;
    bool active = true;
    std::string why;
    std::vector<Capability> capabilities;
    std::vector<Option> options;
    std::vector<Key> keys;
    std::vector<CacheArea> areas;
    std::vector<std::pair<std::string, std::string>> absent;
};

struct Configuration {
    std::string stamp;
    std::vector<SourceFile> files;
    std::vector<std::string> warnings;
    std::vector<Key> keys;        // core's and those of active plugins
    std::vector<Plugin> plugins;  // in registration order
    std::vector<std::pair<std::string, std::string>> absent;  // (scheme, message)
};

}  // namespace sg::model
