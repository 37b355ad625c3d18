#include "family/identity.hpp"

#include <charconv>

namespace launcher {
namespace {

std::vector<std::string> fields(std::string_view line) {
    std::vector<std::string> out;
    for (size_t at = 0;;) {
        const size_t end = line.find(':', at);
        out.emplace_back(line.substr(at, end == std::string_view::npos ? end : end - at));
        if (end == std::string_view::npos) return out;
        at = end + 1;
    }
}

bool is_number(const std::string& text, uint32_t value) {
    uint32_t n = 0;
    const auto r = std::from_chars(text.data(), text.data() + text.size(), n);
    return r.ec == std::errc() && r.ptr == text.data() + text.size() && n == value;
}

template <class F>
void each_line(std::string_view text, F&& f) {
    while (!text.empty()) {
        const size_t end = text.find('\n');
        f(text.substr(0, end));
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
}

}  // namespace

std::string passwd_text(const std::string& image, const PasswdEntry& user) {
    std::string out;
    bool found = false;
    each_line(image, [&](std::string_view line) {
        auto f = fields(line);
        if (!found && f.size() >= 7 && is_number(f[2], user.uid)) {
            found = true;
            if (user.uid != 0) f[0] = user.name, f[4] = user.gecos;
            f[5] = user.home;
            for (size_t i = 0; i < f.size(); ++i) out.append(i ? ":" : "").append(f[i]);
        } else {
            out.append(line);
        }
        out.push_back('\n');
    });
    if (!found)
        out.append(user.name + ":x:" + std::to_string(user.uid) + ":" + std::to_string(user.gid) + ":" + user.gecos + ":" +
                   user.home + ":" + user.shell + "\n");
    return out;
}

std::string group_text(const std::string& image, const std::string& user, const std::vector<GroupEntry>& groups) {
    std::string out = image;
    if (!out.empty() && out.back() != '\n') out.push_back('\n');
    for (const auto& g : groups) {
        bool listed = false;
        each_line(image, [&](std::string_view line) {
            const auto f = fields(line);
            listed = listed || (f.size() >= 3 && is_number(f[2], g.gid));
        });
        if (!listed) out.append(g.name + ":x:" + std::to_string(g.gid) + ":" + user + "\n");
    }
    return out;
}

}  // namespace launcher
