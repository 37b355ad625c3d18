// What the cache remembers of names: which key a reference had the last time, and under which digest the image of a
// key is stored. Both save a question to a server; neither is trusted with bytes. References are kept as hashes only:
// a URL may hold a password.
#pragma once
#include <string>
#include <vector>

namespace sg {

class KnownImages {
public:
    struct Identity {
        std::string key, name, area;
    };

    // `root` "" remembers nothing. Failing to write is no error: it is asked again the next time. `shared` is the root of
    // a site's cache, which is only read, or "".
    explicit KnownImages(std::string root, std::string shared = {}) : root_(std::move(root)), shared_(std::move(shared)) {}

    void remember(const std::string& reference, const Identity& identity) const;
    // What is remembered, the user's own first.
    std::vector<Identity> last(const std::string& reference) const;

    // `key` -> the digest ("sha256:HEX") that the image is stored under.
    void remember_key(const std::string& key, const std::string& image_key) const;
    std::string image_key(const std::string& key) const;  // `key` itself when nothing else is known

private:
    std::vector<std::string> records(const std::string& name) const;

    std::string root_, shared_;
};

}  // namespace sg
