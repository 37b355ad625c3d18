// What the cache remembers of names: which key a reference had the last time, and under which digest the image of a
// key is stored. Both save a question to a server; neither is trusted with bytes. References are kept as hashes only:
// a URL may hold a password.
#pragma once
#include <optional>
#include <string>

namespace sg {

class KnownImages {
public:
    struct Identity {
        std::string key, name, area;
    };

    // `root` "" remembers nothing. Failing to write is no error: it is asked again the next time.
    explicit KnownImages(std::string root) : root_(std::move(root)) {}

    void remember(const std::string& reference, const Identity& identity) const;
    std::optional<Identity> last(const std::string& reference) const;

    // `key` -> the digest ("sha256:HEX") that the image is stored under.
    void remember_key(const std::string& key, const std::string& image_key) const;
    std::string image_key(const std::string& key) const;  // `key` itself when nothing else is known

private:
    std::string root_;
};

}  // namespace sg
