// Any layers, any bytes: the merge gives a sound tree or an error, and never more than its limits.
//
// First byte even: the rest are layers as stored, cut at each "|layer|". Odd: the rest are instructions
// that make valid archives of few names, so that whiteouts, links and duplicates meet.
#include <sys/stat.h>

#include <cstdlib>
#include <map>

#include "../../unit/rootfs/support.hpp"
#include "base/error.hpp"
#include "base/log.hpp"

using namespace rootfs_test;

namespace {

std::vector<std::string> cut(std::string_view s) {
    constexpr std::string_view mark = "|layer|";
    std::vector<std::string> out;
    while (out.size() < 7) {
        const auto at = s.find(mark);
        if (at == std::string_view::npos) break;
        out.emplace_back(s.substr(0, at));
        s.remove_prefix(at + mark.size());
    }
    out.emplace_back(s);
    return out;
}

std::vector<std::string> made(std::string_view s) {
    std::vector<Tar> tars(1);
    size_t at = 0;
    const auto byte = [&]() -> unsigned { return at < s.size() ? static_cast<uint8_t>(s[at++]) : 0; };
    const auto name = [&] {
        static const char* const parts[] = {"a", "b", "c", "..", "d", ".", "", "e"};
        const unsigned b = byte();
        std::string n = parts[b & 7];
        if (b & 8) n += std::string("/") + parts[b >> 4 & 7];
        if (b & 128) n += std::string("/") + parts[byte() & 7];
        return n;
    };
    while (at < s.size()) {
        Tar& t = tars.back();
        switch (byte() % 12) {
            case 0:
            case 1: t.file(name(), std::string(byte() % 4, 'x')); break;
            case 2: t.dir(name(), {.mode = static_cast<int>(0700 + byte() % 64)}); break;
            case 3: {
                const std::string n = name();
                t.link(n, name());
                break;
            }
            case 4:
            case 5: {
                const std::string n = name();
                t.hard(n, name());
                break;
            }
            case 6: t.file(".wh." + name(), ""); break;
            case 7: t.file(name() + "/.wh." + name(), ""); break;
            case 8: t.file(name() + "/.wh..wh..opq", ""); break;
            case 9: t.device(name(), byte() % 2, byte()); break;
            case 10: t.fifo(name()); break;
            default:
                if (tars.size() < 6) tars.emplace_back();
        }
    }
    std::vector<std::string> out;
    for (const Tar& t : tars) out.push_back(t.bytes());
    return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    sg::log::set_threshold(sg::log::Level::error);
    if (size == 0) return 0;
    const std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
    std::vector<sg::LayerInput> layers;
    for (std::string& bytes : data[0] & 1 ? made(rest) : cut(rest)) {
        sg::LayerInput l;
        l.name = std::to_string(layers.size());
        l.open = [bytes = std::move(bytes)] { return stream_of(bytes, 700); };
        layers.push_back(std::move(l));
    }
    sg::MergeLimits limits;
    limits.entries = 5000;
    limits.file_size = 1 << 24;
    limits.image_size = 1 << 25;
    Merged m;
    try {
        m = merge(std::move(layers), 1, limits);
    } catch (const sg::Error& e) {
        const auto c = e.code();
        if (c != sg::Code::corrupt && c != sg::Code::limit && c != sg::Code::unsupported) std::abort();
        return 0;
    }
    const auto root = m.tree.view();
    std::map<uint64_t, std::pair<uint32_t, uint32_t>> names;  // inode: names found, names stated
    for (const auto& [path, line] : lines(m, true)) {
        if (line.empty() || line.starts_with("?") || line.find("(wrong size)") != std::string::npos) std::abort();
        const uint64_t node = path == "." ? root.root() : root.find(path);
        if (node == SG_NO_NODE) std::abort();
        const sg_attr a = root.stat(node);
        if (S_ISDIR(a.mode)) continue;
        ++names[a.inode].first;
        names[a.inode].second = a.nlink;
    }
    for (const auto& [inode, count] : names)
        if (count.first != count.second) std::abort();
    return 0;
}
