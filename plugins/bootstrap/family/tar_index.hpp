// Where each member of a plain tar file lies: one pass over the headers, seeking over the data. Afterwards any number
// of members is read at once, from any thread.
#pragma once
#include <unordered_map>

#include "family/files.hpp"
#include "family/tar_reader.hpp"

namespace sources {

class TarIndex {
public:
    struct Member {
        TarType type = TarType::other;
        uint64_t offset = 0, size = 0;
        std::string link;
    };

    // `size` is the file's. Throws as TarReader, and Code::limit when the names alone pass 64 MiB.
    TarIndex(Fd fd, uint64_t size, std::string path, const Host& host);

    const std::string& path() const { return path_; }
    // The regular member of that (clean) name; of a name that comes twice the last, as unpacking would leave it.
    const Member* file(const std::string& name) const;
    // The same, links inside the archive followed (at most 16).
    const Member* file_through_links(const std::string& name) const;
    bool has(const std::string& name) const { return members_.count(name) != 0; }
    size_t count() const { return members_.size(); }

    std::string read(const Member& member, const std::string& name, uint64_t limit) const;  // any thread
    std::unique_ptr<Stream> stream(const Member& member, const std::string& name,
                                   const Host& host) const;  // any thread

private:
    Fd fd_;
    std::string path_;
    std::unordered_map<std::string, Member> members_;
};

}  // namespace sources
