// The compiled index: effective configuration and every registration in one block of bytes, so that a
// start parses no YAML (docs/adr/0002-lean-start.md). This header reads it; encode.hpp writes it,
// compile.hpp makes it from the YAML files, store.hpp finds, trusts and keeps it.
//
// Texts are views into the block and live as long as the Index. Const use from any thread. Every
// reference inside the block is checked when it is followed: damage throws Code::corrupt, never more.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sg {

enum class Layer : uint32_t { builtin = 0, site = 1, user = 2, environment = 3, command_line = 4 };
enum class ValueType : uint32_t { boolean = 0, integer = 1, text = 2, list = 3 };
enum class CapabilityKind : uint32_t { bootstrap = 0, transport = 1, format = 2, launcher = 3, command = 4, hook = 5 };

const char* kind_name(CapabilityKind kind);
const char* type_name(ValueType type);

// Where a value stands; file "": it is a built-in default.
struct PlaceView {
    std::string_view file;
    uint32_t line;
};

// One configuration key with the value that the files give it.
struct KeyView {
    uint32_t number;
    std::string_view name, doc;
    ValueType type;
    std::string_view plugin;                // whose manifest declares it; "" = core
    std::vector<std::string_view> initial;  // built-in default; one text unless a list
    std::vector<std::string_view> values;   // effective after all files
    std::vector<std::string_view> choices;  // when only these are allowed
    Layer layer;
    std::string_view file;  // that set it; "" = built-in default
    uint32_t line;
    std::string_view lock_file;  // "" = not locked
    uint32_t lock_line;
    std::vector<PlaceView> places;  // of a list: where each of its values stands
};

// A registered plugin, also one that is disabled.
struct PluginView {
    uint32_t number;
    std::string_view name, version, summary, manifest /* absolute path */, object /* absolute path */;
    std::string_view registered_in;
    uint32_t registered_line;
    uint32_t abi;
    bool active;
    std::string_view why;  // it is not active, "" otherwise
};

struct MagicView {
    uint64_t offset;
    std::string_view bytes;
};

struct OptionView {
    std::string_view long_name, short_name, type /* flag|text|integer|list */, variable, help, plugin;
    std::vector<std::string_view> verbs;
    std::string_view takes_over;  // command of the same plugin that runs in place of the verb; "" = none
};

// A verb of a command plugin; sub-verbs have the full name "key list".
struct CommandView {
    std::string_view verb, summary, usage, example;
    std::vector<OptionView> options;
    bool hidden = false;  // only options that take over a verb lead to it
};

// Something that a plugin provides.
struct CapabilityView {
    uint32_t number;
    CapabilityKind kind;
    std::string_view name;  // scheme, format, launcher, verb or hook name
    uint32_t plugin;        // its number
    uint32_t line;          // in the manifest
    std::string_view summary, example;
    bool shadowed;          // another plugin, registered later, provides the same
    std::vector<std::string_view> words;  // bootstrap: definition-file keywords; format: extensions; hook: events
    // bootstrap
    bool publishes, searches, deletes, plain_paths /* serves paths without a scheme */;
    bool remote;  // its bytes come over a network: the host keeps them in its cache
    // format
    bool directory, standard /* what build writes by default */;
    std::string_view selected_by, selected_short;  // build's flag, without dashes; "" = none
    std::vector<MagicView> magics;
    // command
    bool hidden;  // its verb is
    // hook
    bool wants_digest, wants_signers;  // of image files, although that means to read all of them
};

struct CacheAreaView {
    std::string_view area, title, plugin;
    int64_t order;
};

// A file or directory that the index was made from.
struct SourceFile {
    std::string path;
    uint32_t kind =
        0;  // 0 absent, 1 file, 2 directory, 3 no file but a variable: path is "NAME=VALUE", "NAME" when unset
    uint64_t inode = 0, size = 0;
    int64_t mtime_ns = 0;
};

class Index {
public:
    Index();
    // Takes the bytes after checking magic, version, size, checksum and every table; throws
    // Code::corrupt with what is wrong. `keep` owns the bytes.
    static Index over(std::span<const uint8_t> bytes, std::shared_ptr<const void> keep);
    static Index owning(std::string bytes);

    std::span<const uint8_t> bytes() const { return bytes_; }

    // What the installation was called when it was compiled; see Installation.
    std::string_view stamp() const;
    std::vector<SourceFile> files() const;
    uint32_t file_count() const;
    SourceFile file(uint32_t i) const;             // without its path: a start compares a thousand of them
    std::string_view file_path(uint32_t i) const;  // ends in NUL, as every text here
    std::vector<std::string_view> warnings() const;  // to be shown at each start

    uint32_t key_count() const;
    KeyView key(uint32_t i) const;  // sorted by name
    std::optional<KeyView> find_key(std::string_view name) const;
    // (variable, key number), sorted by variable; names without the SINGULARITY_/APPTAINER_ prefix
    // unless they begin with '=' (used as they are).
    std::vector<std::pair<std::string_view, uint32_t>> variables() const;
    std::optional<uint32_t> find_variable(std::string_view name) const;

    uint32_t plugin_count() const;
    PluginView plugin(uint32_t i) const;  // in registration order
    std::optional<PluginView> find_plugin(std::string_view name) const;

    uint32_t capability_count() const;
    CapabilityView capability(uint32_t i) const;
    // Not shadowed ones of active plugins, in registration order.
    std::vector<CapabilityView> capabilities(CapabilityKind kind) const;
    std::optional<CapabilityView> find(CapabilityKind kind, std::string_view name) const;
    std::vector<CapabilityView> capabilities_of(uint32_t plugin) const;

    // Command verbs (and sub-verbs) of one capability; the verb's own entry comes first.
    std::vector<CommandView> commands(const CapabilityView& command) const;
    // Options that plugins add to a verb of core (or of another plugin).
    std::vector<OptionView> options_of(std::string_view verb) const;

    std::vector<CacheAreaView> cache_areas() const;  // by order, then name
    // What to tell who asks for a scheme whose plugin is not there; "" = nothing known.
    std::string_view absent(std::string_view scheme) const;

private:
    struct Table;
    std::string_view text(uint32_t offset) const;
    std::vector<std::string_view> texts(uint32_t first, uint32_t count) const;
    const uint32_t* row(uint32_t table, uint32_t i) const;
    uint32_t rows(uint32_t table) const;
    OptionView option(uint32_t i) const;
    std::string_view plugin_name(uint32_t number) const;

    std::span<const uint8_t> bytes_;
    std::shared_ptr<const void> keep_;
};

}  // namespace sg
