#include "entry.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <singularity/error.hpp>
#include <string_view>

#include "files.hpp"

namespace tarball {

using singularity::Code;
using singularity::Error;

namespace {

constexpr uint64_t most_header_data = 1 << 20;  // of one pax header or long name
constexpr std::string_view xattr_prefix = "SCHILY.xattr.";

struct Field {
    size_t at, size;
};
constexpr Field f_name{0, 100}, f_mode{100, 8}, f_uid{108, 8}, f_gid{116, 8}, f_size{124, 12}, f_mtime{136, 12},
    f_sum{148, 8}, f_link{157, 100}, f_major{329, 8}, f_minor{337, 8}, f_prefix{345, 155};
constexpr size_t type_at = 156, magic_at = 257;
constexpr std::string_view magic("ustar\00000", 8);

using Header = std::array<char, block_size>;

[[noreturn]] void damaged(const std::string& what) { throw Error(Code::corrupt, "the tarball is damaged: " + what); }

std::string_view raw(const Header& h, Field f) { return {h.data() + f.at, f.size}; }
std::string text(const Header& h, Field f) { return std::string(raw(h, f).substr(0, raw(h, f).find('\0'))); }

// Octal digits, or GNU's base 256 when the first bit is set.
int64_t number(const Header& h, Field f) {
    const std::string_view bytes = raw(h, f);
    const auto first = static_cast<unsigned char>(bytes[0]);
    if (first & 0x80) {
        // The second bit is the sign's. What does not fit 64 bits has another byte than the sign's before its last
        // eight.
        const bool negative = first & 0x40;
        for (size_t i = 0; i + 8 < bytes.size(); ++i)
            if (static_cast<unsigned char>(bytes[i]) != (negative ? 0xff : i == 0 ? 0x80 : 0))
                damaged("a number of a header is too large");
        uint64_t v = negative ? ~uint64_t{0} : 0;
        for (size_t i = bytes.size() - 8; i < bytes.size(); ++i)
            v = v << 8 | (i == 0 && !negative ? first & 0x7f : static_cast<unsigned char>(bytes[i]));
        return static_cast<int64_t>(v);
    }
    uint64_t v = 0;
    bool begun = false;
    for (const char c : bytes) {
        if (c >= '0' && c <= '7')
            v = v << 3 | static_cast<uint64_t>(c - '0'), begun = true;
        else if (begun || c != ' ')
            break;
    }
    return static_cast<int64_t>(v);
}

uint64_t natural(int64_t v, uint64_t most, const char* what) {
    if (v < 0 || static_cast<uint64_t>(v) > most) damaged(std::string("the ") + what + " of an entry is out of range");
    return static_cast<uint64_t>(v);
}

// The sum of all bytes, those of its own field taken as blanks.
uint64_t sum(const Header& h) {
    uint64_t out = 0;
    for (size_t i = 0; i < h.size(); ++i)
        out += i >= f_sum.at && i < f_sum.at + f_sum.size ? ' ' : static_cast<unsigned char>(h[i]);
    return out;
}

int64_t decimal(std::string_view text) {
    int64_t v = 0;
    // What follows is a fraction of a second.
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), v);
    if (error != std::errc{} || (end != text.data() + text.size() && *end != '.'))
        damaged("a pax header has a number that is none");
    return v;
}

// What pax headers and long names say of the entry after them.
struct Extras {
    std::optional<std::string> name, link;
    std::optional<int64_t> uid, gid, size, mtime;
    std::vector<std::pair<std::string, std::string>> xattrs;

    // Records "LENGTH KEY=VALUE\n"; the length counts itself.
    void read_pax(std::string_view data) {
        while (!data.empty()) {
            size_t length = 0;
            const auto [end, error] = std::from_chars(data.data(), data.data() + data.size(), length);
            const auto digits = static_cast<size_t>(end - data.data());
            if (error != std::errc{} || length > data.size() || length < digits + 3 || *end != ' ' ||
                data[length - 1] != '\n')
                damaged("a pax header cannot be read");
            const std::string_view record = data.substr(digits + 1, length - digits - 2);
            const size_t equals = record.find('=');
            if (equals == std::string_view::npos) damaged("a pax header cannot be read");
            take(record.substr(0, equals), record.substr(equals + 1));
            data.remove_prefix(length);
        }
    }

private:
    void take(std::string_view key, std::string_view value) {
        if (key == "path")
            name = value;
        else if (key == "linkpath")
            link = value;
        else if (key == "uid")
            uid = decimal(value);
        else if (key == "gid")
            gid = decimal(value);
        else if (key == "size")
            size = decimal(value);
        else if (key == "mtime")
            mtime = decimal(value);
        else if (key.starts_with(xattr_prefix))
            xattrs.emplace_back(key.substr(xattr_prefix.size()), value);
        else if (key.starts_with("GNU.sparse."))
            throw Error(Code::unsupported, "the tarball holds sparse files",
                        "Make it again without tar's option --sparse.");
    }
};

// ---- Writing -----------------------------------------------------------------------------------

// Octal, with a NUL behind it; false when it does not fit.
bool put(Header& h, Field f, int64_t value) {
    if (value < 0 || static_cast<uint64_t>(value) >> 3 * (f.size - 1) != 0) return false;
    for (size_t i = f.size - 1; i-- > 0; value >>= 3) h[f.at + i] = static_cast<char>('0' + (value & 7));
    return true;
}
bool put(Header& h, Field f, std::string_view value) {
    std::copy_n(value.data(), std::min(value.size(), f.size), h.data() + f.at);
    return value.size() <= f.size;
}

std::string pax_record(std::string_view key, std::string_view value) {
    const size_t rest = key.size() + value.size() + 3;  // ' ', '=' and the line's end
    size_t length = rest + 1;
    while (rest + std::to_string(length).size() != length) length = rest + std::to_string(length).size();
    return std::to_string(length) + " " + std::string(key) + "=" + std::string(value) + "\n";
}

std::string finished(Header& h, char type) {
    h[type_at] = type;
    std::copy(magic.begin(), magic.end(), h.begin() + magic_at);
    put(h, {f_sum.at, 7}, static_cast<int64_t>(sum(h)));
    h[f_sum.at + 7] = ' ';
    return {h.data(), h.size()};
}

}  // namespace

bool begins_tarball(std::span<const uint8_t> head) {
    if (head.size() < block_size) return false;
    Header h;
    std::copy_n(head.begin(), block_size, h.begin());
    return raw(h, {magic_at, 5}) == magic.substr(0, 5) && number(h, f_sum) == static_cast<int64_t>(sum(h));
}

std::string EntryReader::data(uint64_t size) {
    if (size > most_header_data)
        throw Error(Code::limit,
                    "the tarball has a header of " + std::to_string(size) + " bytes, which is more than 1 MiB");
    std::string out(size, '\0');
    if (read_at(fd_, out.data(), size, at_) != size) damaged("it ends inside a header");
    at_ += (size + block_size - 1) / block_size * block_size;
    return out;
}

std::optional<Entry> EntryReader::next() {
    Extras extras;
    for (;;) {
        if (at_ >= file_size_) return std::nullopt;  // without the two empty blocks, as some tools leave it
        Header h;
        if (read_at(fd_, h.data(), h.size(), at_) != h.size()) damaged("it ends inside a header");
        at_ += h.size();
        if (std::all_of(h.begin(), h.end(), [](char c) { return c == '\0'; })) return std::nullopt;
        if (number(h, f_sum) != static_cast<int64_t>(sum(h)))
            damaged("the sum of a header at byte " + std::to_string(at_ - h.size()) + " is wrong");
        const char type = h[type_at];
        const uint64_t size = natural(number(h, f_size), INT64_MAX, "size");
        switch (type) {
            case 'x': extras.read_pax(data(size)); continue;
            case 'g': data(size); continue;  // for all entries: a comment, as a rule
            case 'L':
            case 'K': {
                std::string value = data(size);
                value.resize(std::min(value.find('\0'), value.size()));
                (type == 'L' ? extras.name : extras.link) = std::move(value);
                continue;
            }
            case '0':
            case '1':
            case '2':
            case '3':
            case '4':
            case '5':
            case '6':
            case '7':
            case '\0': break;
            case 'S':
                throw Error(Code::unsupported, "the tarball holds sparse files",
                            "Make it again without tar's option --sparse.");
            default:
                throw Error(Code::unsupported, "the tarball has an entry of the unknown type " +
                                                   std::to_string(static_cast<unsigned char>(type)));
        }

        Entry e;
        e.type = type == '\0' || type == '7' ? Type::file : static_cast<Type>(type);
        e.name = text(h, f_name);
        if (const std::string prefix = text(h, f_prefix);
            raw(h, {magic_at, 6}) == magic.substr(0, 6) && !prefix.empty())
            e.name = prefix + "/" + e.name;
        if (extras.name) e.name = *extras.name;
        e.link = extras.link ? *extras.link : text(h, f_link);
        e.mode = static_cast<uint32_t>(number(h, f_mode)) & 07777;
        e.uid = static_cast<uint32_t>(natural(extras.uid.value_or(number(h, f_uid)), UINT32_MAX, "owner"));
        e.gid = static_cast<uint32_t>(natural(extras.gid.value_or(number(h, f_gid)), UINT32_MAX, "group"));
        e.mtime = extras.mtime.value_or(number(h, f_mtime));
        e.size = extras.size ? natural(*extras.size, INT64_MAX, "size") : size;
        if (e.type == Type::character || e.type == Type::block) {
            e.major = static_cast<uint32_t>(natural(number(h, f_major), UINT32_MAX, "device number"));
            e.minor = static_cast<uint32_t>(natural(number(h, f_minor), UINT32_MAX, "device number"));
        }
        e.xattrs = std::move(extras.xattrs);
        if (e.type == Type::file && e.name.ends_with('/')) e.type = Type::directory;  // as tars before POSIX had it
        if (e.type != Type::file && e.type != Type::hard_link) e.size = 0;            // the field means nothing there
        e.offset = at_;
        if (at_ > file_size_ || e.size > file_size_ - at_) damaged("it ends inside of '" + e.name.substr(0, 200) + "'");
        at_ += (e.size + block_size - 1) / block_size * block_size;
        return e;
    }
}

std::string encode(const Entry& e) {
    Header h{};
    std::string pax;
    if (!put(h, f_name, e.name)) pax += pax_record("path", e.name);
    if (!put(h, f_link, e.link)) pax += pax_record("linkpath", e.link);
    if (!put(h, f_uid, int64_t{e.uid})) pax += pax_record("uid", std::to_string(e.uid));
    if (!put(h, f_gid, int64_t{e.gid})) pax += pax_record("gid", std::to_string(e.gid));
    if (!put(h, f_size, static_cast<int64_t>(e.size))) pax += pax_record("size", std::to_string(e.size));
    if (!put(h, f_mtime, e.mtime)) pax += pax_record("mtime", std::to_string(e.mtime));
    put(h, f_mode, int64_t{e.mode});
    if (!put(h, f_major, int64_t{e.major}) || !put(h, f_minor, int64_t{e.minor}))
        throw Error(Code::unsupported, e.name + ": a tarball cannot hold its device number");
    for (const auto& [name, value] : e.xattrs) pax += pax_record(std::string(xattr_prefix) + name, value);

    std::string out;
    if (!pax.empty()) {
        Header before{};
        put(before, f_name, "pax_header");
        put(before, f_mode, int64_t{0644});
        for (const Field f : {f_uid, f_gid, f_mtime}) put(before, f, int64_t{0});
        put(before, f_size, static_cast<int64_t>(pax.size()));
        out = finished(before, 'x') + pax;
        out.resize((out.size() + block_size - 1) / block_size * block_size);
    }
    return out + finished(h, static_cast<char>(e.type));
}

}  // namespace tarball
