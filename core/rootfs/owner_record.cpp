#include "rootfs/owner_record.hpp"

#include <cstring>
#include <type_traits>

#include "base/error.hpp"

namespace sg {

namespace {

constexpr char magic[8] = {'S', 'G', 'O', 'W', 'N', 'R', '1', '\n'};

template <class T>
void put(std::string& to, T value) {
    static_assert(std::is_integral_v<T>);
    to.append(reinterpret_cast<const char*>(&value), sizeof value);
}

class Reader {
public:
    explicit Reader(std::string_view text) : left_(text) {}
    template <class T>
    T number() {
        T out;
        std::memcpy(&out, bytes(sizeof out).data(), sizeof out);
        return out;
    }
    std::string_view bytes(size_t size) {
        if (size > left_.size()) throw Error(Code::corrupt, "the record of owners is damaged");
        const std::string_view out = left_.substr(0, size);
        left_.remove_prefix(size);
        return out;
    }
    bool done() const { return left_.empty(); }

private:
    std::string_view left_;
};

}  // namespace

FileIdentity identity_of(const struct statx& st) {
    FileIdentity out;
    out.device = (static_cast<uint64_t>(st.stx_dev_major) << 32) | st.stx_dev_minor;
    out.inode = st.stx_ino;
    if (st.stx_mask & STATX_BTIME) out.born = st.stx_btime.tv_sec * 1'000'000'000 + st.stx_btime.tv_nsec;
    return out;
}

const RecordedFile* OwnerRecord::find(const FileIdentity& file) const {
    const auto at = files_.find(file);
    return at == files_.end() ? nullptr : &at->second;
}

std::string OwnerRecord::text() const {
    std::string out(magic, sizeof magic);
    for (const auto& [file, what] : files_) {
        put(out, file.device), put(out, file.inode), put(out, file.born);
        put(out, what.uid), put(out, what.gid), put(out, what.device_type), put(out, what.major), put(out, what.minor);
        put(out, static_cast<uint32_t>(what.xattrs.size()));
        for (const auto& [name, value] : what.xattrs) {
            put(out, static_cast<uint32_t>(name.size())), put(out, static_cast<uint32_t>(value.size()));
            out.append(name).append(value);
        }
    }
    return out;
}

OwnerRecord OwnerRecord::parse(std::string_view text) {
    OwnerRecord out;
    Reader in(text);
    if (in.bytes(sizeof magic) != std::string_view(magic, sizeof magic))
        throw Error(Code::corrupt, "the record of owners is damaged");
    while (!in.done()) {
        FileIdentity file;
        file.device = in.number<uint64_t>(), file.inode = in.number<uint64_t>(), file.born = in.number<int64_t>();
        RecordedFile& what = out.files_[file];
        what.uid = in.number<uint32_t>(), what.gid = in.number<uint32_t>();
        what.device_type = in.number<uint32_t>(), what.major = in.number<uint32_t>(),
        what.minor = in.number<uint32_t>();
        for (uint32_t left = in.number<uint32_t>(); left > 0; --left) {
            const auto name = in.number<uint32_t>(), value = in.number<uint32_t>();
            const std::string_view n = in.bytes(name);
            what.xattrs.emplace(n, in.bytes(value));
        }
    }
    return out;
}

}  // namespace sg
