// Small texts that the cache remembers by name: ROOT/records/NAME. They appear and are replaced in one step.
#pragma once
#include <optional>
#include <string>
#include <vector>

namespace sg {

class Records {
public:
    explicit Records(std::string root) : root_(std::move(root)) {}
    // Throws permission, no_space, invalid.
    void put(const std::string& name, const std::string& text) const;
    std::optional<std::string> get(const std::string& name) const;
    // Makes the next `names` see what other hosts have put there, where a network file system would go on showing a
    // directory as it was: what this host itself changes is listed anew.
    void look_anew() const;
    void remove(const std::string& name) const;
    // Names that begin so, sorted.
    std::vector<std::string> names(const std::string& prefix) const;

    // A name made of any text: PREFIX and a hash.
    static std::string name_of(const std::string& prefix, const std::string& text);
    // A small file of the cache; nothing when it is none, or larger than 4 MiB.
    std::optional<std::string> read_file(const std::string& path) const;

private:
    std::string root_;
};

}  // namespace sg
