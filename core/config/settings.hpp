// Effective configuration values with their origin: what the files gave (index.hpp), then the
// SINGULARITY_* environment, then the command line. Locks of a site bind the later layers.
//
// Reading is const and may happen from any thread; set() only while there is one.
#pragma once
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "config/index.hpp"

namespace sg {

struct Origin {
    Layer layer = Layer::builtin;
    std::string where;  // "FILE:LINE", "SINGULARITY_TMPDIR", "--compress", or "built-in default"
};

// The refusal of a value for a locked key; `where` names the file, variable or option that sets it.
Error locked_error(const std::string& where, std::string_view key, std::string_view lock_file, uint32_t lock_line,
                   const std::string& hint);
bool is_locked_error(const Error& error);

class Settings {
public:
    // The values of the files alone; `index` must outlive this.
    explicit Settings(const Index& index);
    // The built-in defaults alone (core's keys), for tests and for a start without configuration.
    static const Settings& defaults();

    // Values by key; a key that nobody declared is a defect (Code::internal), as is another type.
    std::string text(std::string_view key) const;
    int64_t integer(std::string_view key) const;
    bool boolean(std::string_view key) const;
    std::vector<std::string> list(std::string_view key) const;
    Origin origin(std::string_view key) const;
    // Where value `i` of a list stands: several files may add to one.
    Origin origin(std::string_view key, size_t i) const;
    bool has(std::string_view key) const;
    // The value as one text: a list joined by ", ".
    std::string shown(std::string_view key) const;
    std::vector<std::string> values(std::string_view key) const;

    // Applies SINGULARITY_KEY, else APPTAINER_KEY, of a NULL-ended "K=V" array (environ). Empty values
    // count as unset and unknown names are ignored. A wrong value or a locked key throws, or is
    // added to `problems` when that is given.
    void apply_environment(const char* const* environment, std::vector<Error>* problems = nullptr);

    // A value from the command line (or the environment); `where` names the option. Lists: the texts
    // replace the list. Throws Code::usage for an unknown key or a wrong value, Code::permission for
    // a locked key whose value would change.
    void set(std::string_view key, std::vector<std::string> values, Layer layer, std::string where);

    // For options that act against a key without setting it ("--no-home" against mount.home): throws Code::permission
    // when the key is locked. `where` names the option.
    void need_unlocked(std::string_view key, const std::string& where) const;

    const Index& index() const { return *index_; }

private:
    struct Override {
        std::vector<std::string> values;
        Origin origin;
    };
    const Override* find_override(uint32_t key) const;
    KeyView need(std::string_view key, ValueType type) const;
    Error locked(const KeyView& key, const std::string& where) const;

    const Index* index_;
    std::map<uint32_t, Override> overrides_;
};

}  // namespace sg
