// A SIF file as a set of objects: opened with every check, listed, read and edited (github.com/apptainer/sif, pkg/sif).
// It knows nothing of file systems; image.hpp does.
//
// One thread at a time, apart from `read`. An edited file is locked against other editors (flock); what a
// killed editor leaves is the old container, at most with dead bytes behind its last object.
#pragma once
#include <functional>
#include <optional>
#include <singularity/stream.hpp>
#include <vector>

#include "sif/file.hpp"
#include "sif/layout.hpp"

namespace sif {

// A table larger than this is refused: no tool writes more than some dozen slots.
inline constexpr uint64_t max_slots = 65536;

// What an object to be added is to be; the container chooses id and place.
struct ObjectSpec {
    Descriptor descriptor;   // type, group, link (as stored), times, name, extra
    uint64_t alignment = 0;  // 0: the rule of its type
};

class Container {
public:
    // Throws Code::corrupt naming the check that failed and the object, Code::invalid when it is no SIF,
    // Code::permission, Code::not_found. `writable` takes the lock (Code::io when another editor has it).
    static Container open(const std::string& path, bool writable);
    // The checks alone, on a header and table that lie in `file_size` bytes.
    static Container parse(File file, std::string path, uint64_t file_size);

    const std::string& path() const { return path_; }
    int fd() const { return file_.fd(); }
    const Header& header() const { return header_; }
    // Objects in order of their slots.
    std::vector<const Descriptor*> objects() const;
    const Descriptor* find(uint64_t id) const;    // NULL: no such object
    const Descriptor& need(uint64_t id) const;    // throws Code::not_found
    const Descriptor* primary_partition() const;  // NULL: none
    // Bytes of the object; at its end an empty slice. Any thread.
    std::unique_ptr<singularity::Stream> read(const Descriptor& object, std::function<void()> poll) const;

    // Editing; the container must be writable. Each returns once the change is on disk. `now` goes into the header.
    uint32_t add(const ObjectSpec& spec, singularity::Stream& data, int64_t now, const std::function<void()>& poll);
    void remove(uint64_t id, bool zero, int64_t now);
    void set_primary(uint64_t id, int64_t now);

    struct Covered {
        uint32_t relative_id;
        uint32_t id;
        std::string descriptor;
    };
    // Bytes of a signature over `group` (section 8.2), objects in order of ids; throws Code::not_found for an empty
    // group.
    std::vector<Covered> covered(uint32_t group) const;

private:
    Container() = default;
    void check_header(uint64_t file_size) const;
    void check_objects(uint64_t file_size) const;
    uint64_t data_end() const;
    uint64_t file_end() const;
    void store_slot(size_t slot);
    void store_header(int64_t now);

    File file_;
    std::string path_;
    bool writable_ = false;
    Header header_;
    std::vector<Descriptor> slots_;
};

// An empty container at the start of `fd`: table and header, in this order.
void write_empty(int fd, const std::string& path, int64_t time, std::span<const uint8_t> uuid);

}  // namespace sif
