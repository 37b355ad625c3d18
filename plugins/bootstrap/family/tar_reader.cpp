#include "family/tar_reader.hpp"

#include <cstring>
#include <singularity/json.hpp>
#include <vector>

namespace sources {
namespace {

using singularity::json::printable;

constexpr uint64_t block_size = 512;
constexpr uint64_t max_pax = 1 << 20;
constexpr uint64_t max_name = 4096;
constexpr uint64_t max_entries = 1000000;
constexpr uint64_t max_size = INT64_MAX - block_size;

// A NUL- or blank-ended octal field, or GNU's base-256 one; false when it is neither or out of range.
bool number(const char* field, size_t length, uint64_t& out) {
    const auto* p = reinterpret_cast<const unsigned char*>(field);
    out = 0;
    if (p[0] & 0x80) {
        if (p[0] & 0x40) return false;  // negative
        for (size_t i = 0; i < length; ++i) {
            const unsigned char c = i == 0 ? p[0] & 0x3f : p[i];
            if (out > (max_size >> 8)) return false;
            out = (out << 8) | c;
        }
        return out <= max_size;
    }
    size_t i = 0;
    while (i < length && (p[i] == ' ' || p[i] == 0)) ++i;
    for (; i < length && p[i] >= '0' && p[i] <= '7'; ++i) {
        if (out > (max_size >> 3)) return false;
        out = (out << 3) | (p[i] - '0');
    }
    for (; i < length; ++i)
        if (p[i] != ' ' && p[i] != 0) return false;
    return true;
}

std::string_view text(const char* field, size_t length) { return {field, ::strnlen(field, length)}; }

bool checksum_fits(const char* block) {
    uint64_t stored = 0;
    if (!number(block + 148, 8, stored)) return false;
    int64_t with_sign = 0;
    uint64_t without = 0;
    for (size_t i = 0; i < block_size; ++i) {
        const char c = i >= 148 && i < 156 ? ' ' : block[i];
        without += static_cast<unsigned char>(c);
        with_sign += static_cast<signed char>(c);
    }
    // Some old tools summed signed characters.
    return stored == without || static_cast<int64_t>(stored) == with_sign;
}

// The records of a pax block that matter here. False when it is damaged.
struct Pax {
    std::string path, linkpath;
    bool has_path = false, has_link = false, has_size = false, sparse = false;
    uint64_t size = 0;

    bool parse(std::string_view data) {
        while (!data.empty()) {
            uint64_t length = 0;
            size_t i = 0;
            for (; i < data.size() && data[i] >= '0' && data[i] <= '9' && i < 10; ++i)
                length = length * 10 + static_cast<uint64_t>(data[i] - '0');
            if (i == 0 || i >= data.size() || data[i] != ' ' || length <= i + 1 || length > data.size() ||
                data[length - 1] != '\n')
                return false;
            const std::string_view record = data.substr(i + 1, length - i - 2);
            data.remove_prefix(length);
            const size_t equal = record.find('=');
            if (equal == std::string_view::npos) return false;
            const std::string_view key = record.substr(0, equal), value = record.substr(equal + 1);
            if (key == "path") {
                path = value;
                has_path = !value.empty();
            } else if (key == "linkpath") {
                linkpath = value;
                has_link = !value.empty();
            } else if (key == "size" && !value.empty()) {
                size = 0;
                for (char c : value) {
                    if (c < '0' || c > '9' || size > max_size / 10) return false;
                    size = size * 10 + static_cast<uint64_t>(c - '0');
                }
                if (size > max_size) return false;
                has_size = true;
            } else if (key.substr(0, 11) == "GNU.sparse.") {
                sparse = true;
            }
        }
        return true;
    }
};

}  // namespace

void TarReader::truncated(const std::string& name) const {
    throw Error(Code::corrupt,
                where_ + " is truncated: it ends inside " + (name.empty() ? "a header" : "\"" + printable(name) + "\""),
                "Copy or download the archive again.");
}

void TarReader::pass_over_rest() {
    if (left_ > 0 && input_.skip(left_) != left_) truncated(name_);
    left_ = 0;
    if (padding_ > 0) input_.skip(padding_);  // missing only at the very end, which does no harm
    padding_ = 0;
}

// Reads one header block; false at the end of the archive.
bool TarReader::header(char* block) {
    const uint64_t at = input_.position();
    const uint64_t got = input_.read(block, block_size);
    if (got == 0 && first_) throw Error(Code::corrupt, where_ + " is empty");
    if (got == 0) return false;
    bool zero = true;
    for (uint64_t i = 0; i < got && zero; ++i) zero = block[i] == 0;
    if (zero && (got == block_size || !first_)) return false;
    if (got == block_size && checksum_fits(block)) {
        first_ = false;
        return true;
    }
    if (first_)
        throw Error(Code::corrupt, where_ + " is not a tar archive",
                    "Expected is what \"docker save\", podman, skopeo or tar wrote.");
    if (got < block_size) truncated({});
    throw Error(Code::corrupt, where_ + " is damaged: there is no valid tar header at byte " + std::to_string(at));
}

std::string TarReader::long_text(uint64_t size, uint64_t limit) {
    if (size > limit)
        throw Error(Code::limit, where_ + " has a tar header of " + std::to_string(size) + " bytes; the limit is " +
                                     std::to_string(limit));
    std::string out(size, '\0');
    if (input_.read(out.data(), size) != size) truncated({});
    input_.skip((block_size - size % block_size) % block_size);
    return out;
}

bool TarReader::next(TarEntry& entry) {
    pass_over_rest();
    std::string long_name, long_link;
    Pax pax;
    for (;;) {
        char block[block_size];
        if (!header(block)) return false;
        // Headers that hold no entry count too, so that an archive of nothing else ends somewhere.
        if (++entries_ > max_entries)
            throw Error(Code::limit, where_ + " has more than " + std::to_string(max_entries) +
                                         " entries: that is no image archive");
        uint64_t size = 0;
        if (!number(block + 124, 12, size))
            throw Error(Code::corrupt,
                        where_ + ": the size of \"" + printable(text(block, 100)) + "\" is no number in range");
        const char type = block[156];
        if (type == 'L' || type == 'K') {
            std::string t = long_text(size, max_name + 1);
            t.resize(::strnlen(t.data(), t.size()));
            (type == 'L' ? long_name : long_link) = std::move(t);
            continue;
        }
        if (type == 'x' || type == 'X') {
            if (!pax.parse(long_text(size, max_pax))) throw Error(Code::corrupt, where_ + " has a damaged pax header");
            continue;
        }
        if (type == 'g' || type == 'V' || type == 'N' || type == 'M') {
            left_ = size;
            padding_ = (block_size - size % block_size) % block_size;
            name_ = "a header";
            pass_over_rest();
            continue;
        }

        std::string name;
        if (pax.has_path) {
            name = pax.path;
        } else if (!long_name.empty()) {
            name = long_name;
        } else {
            name = text(block, 100);
            const std::string_view prefix = text(block + 345, 155);
            if (std::memcmp(block + 257, "ustar\0", 6) == 0 && !prefix.empty()) name = std::string(prefix) + "/" + name;
        }
        if (name.size() > max_name)
            throw Error(Code::limit, where_ + " has a name of " + std::to_string(name.size()) +
                                         " bytes; the limit is " + std::to_string(max_name));
        if (name.find('\0') != std::string::npos) throw Error(Code::invalid, where_ + " has a name with a NUL inside");
        const bool slash = !name.empty() && name.back() == '/';

        entry.name = clean_member_name(name, where_);
        entry.link.clear();
        entry.size = 0;
        switch (type) {
            case '0':
            case '\0':
            case '7': entry.type = slash ? TarType::directory : TarType::file; break;
            case '1': entry.type = TarType::hardlink; break;
            case '2': entry.type = TarType::symlink; break;
            case '5': entry.type = TarType::directory; break;
            case 'S':
                pax.sparse = true;
                entry.type = TarType::file;
                break;
            default: entry.type = TarType::other; break;
        }
        if (pax.sparse && entry.type == TarType::file)
            throw Error(Code::unsupported, where_ + ": \"" + printable(name) + "\" is stored as a sparse file",
                        "Write the archive again without tar's --sparse.");
        if (entry.type == TarType::hardlink || entry.type == TarType::symlink)
            entry.link = pax.has_link         ? pax.linkpath
                         : !long_link.empty() ? long_link
                                              : std::string(text(block + 157, 100));
        if (entry.link.size() > max_name)
            throw Error(Code::limit, where_ + ": the link \"" + printable(name) + "\" has a target of over " +
                                         std::to_string(max_name) + " bytes");
        // Links, devices and directories have no data, whatever the field says (as Go's archive/tar reads them).
        const bool no_data = (type >= '1' && type <= '6');
        if (!no_data) {
            left_ = pax.has_size ? pax.size : size;
            padding_ = (block_size - left_ % block_size) % block_size;
        }
        if (entry.type == TarType::file) entry.size = left_;
        name_ = name;
        return true;
    }
}

std::string clean_member_name(std::string_view name, std::string_view where) {
    if (!name.empty() && name.front() == '/')
        throw Error(Code::invalid, std::string(where) + ": the member \"" + printable(name) + "\" has an absolute name",
                    "No tool that saves images writes such an archive: do not trust it.");
    std::string out;
    while (!name.empty()) {
        const size_t end = std::min(name.find('/'), name.size());
        const std::string_view part = name.substr(0, end);
        name.remove_prefix(std::min(end + 1, name.size()));
        if (part.empty() || part == ".") continue;
        if (part == "..")
            throw Error(Code::invalid, std::string(where) + ": a member's name climbs out of the archive with \"..\"",
                        "No tool that saves images writes such an archive: do not trust it.");
        if (!out.empty()) out += '/';
        out += part;
    }
    return out;
}

std::string resolve_member_link(std::string_view name, std::string_view target, bool symbolic) {
    std::vector<std::string_view> parts;
    const auto add = [&](std::string_view path) {
        while (!path.empty()) {
            const size_t end = std::min(path.find('/'), path.size());
            const std::string_view part = path.substr(0, end);
            path.remove_prefix(std::min(end + 1, path.size()));
            if (part.empty() || part == ".") continue;
            if (part == "..") {
                if (parts.empty()) return false;
                parts.pop_back();
            } else {
                parts.push_back(part);
            }
        }
        return true;
    };
    if (symbolic && !target.empty() && target.front() == '/') return {};
    if (symbolic && name.find('/') != std::string_view::npos) add(name.substr(0, name.rfind('/')));
    if (!add(target)) return {};
    std::string out;
    for (std::string_view p : parts) out += (out.empty() ? "" : "/") + std::string(p);
    return out;
}

}  // namespace sources
