#include "image_config.hpp"

#include <rapidjson/document.h>
#include <signal.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <memory>
#include <optional>
#include <singularity/format.hpp>
#include <singularity/plugin.hpp>

#include "family/system.hpp"

namespace oci_runtime {
namespace {

using launcher::clean_path;
using singularity::Code;
using singularity::Error;
using Value = rapidjson::Value;

constexpr uint64_t most_bytes = 4u << 20;  // of an image configuration: as registries allow for the whole of it
constexpr size_t most_volumes = 1000;

struct Closer {
    const sg_format_v1* format;
    void operator()(sg_image_file* image) const { format->close(image); }
};

std::string read_part(const sg_parts_v1& parts, sg_image_file* image, const sg_part& part, const std::string& path,
                      const sg_call* call) {
    if (part.size > most_bytes) throw Error(Code::limit, path + ": oci-config.json is larger than 4 MiB");
    sg_stream* raw = nullptr;
    singularity::check([&](sg_error* e) { return parts.read(image, part.id, call, &raw, e); });
    singularity::ForeignStream stream(raw);
    return singularity::read_all(stream, most_bytes, path + ": oci-config.json");
}

std::optional<uint32_t> number(std::string_view text) {
    uint32_t n = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
    if (text.empty() || error != std::errc() || end != text.data() + text.size() || n == UINT32_MAX)
        return std::nullopt;
    return n;
}

// Calls `f` with the fields of each line of passwd or group.
template <class F>
void each_entry(std::string_view text, F&& f) {
    for (size_t at = 0; at < text.size();) {
        const size_t end = std::min(text.find('\n', at), text.size());
        std::vector<std::string_view> fields;
        for (size_t from = at;;) {
            const size_t colon = std::min(text.find(':', from), end);
            fields.push_back(text.substr(from, colon - from));
            if (colon == end) break;
            from = colon + 1;
        }
        if (fields.size() >= 4 && f(fields)) return;
        at = end + 1;
    }
}

}  // namespace

int signal_number(const std::string& text) {
    if (const auto n = number(text)) return *n >= 1 && static_cast<int>(*n) <= SIGRTMAX ? static_cast<int>(*n) : 0;
    std::string name = text;
    for (char& c : name)
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    if (name.compare(0, 3, "SIG") == 0) name.erase(0, 3);
    for (const auto& [base, first, sign] : {std::tuple{"RTMIN", SIGRTMIN, 1}, std::tuple{"RTMAX", SIGRTMAX, -1}}) {
        const size_t length = std::strlen(base);
        if (name.compare(0, length, base) != 0) continue;
        if (name.size() == length) return first;
        const auto more = number(std::string_view(name).substr(length + 1));
        if (name[length] != (sign > 0 ? '+' : '-') || !more || static_cast<int>(*more) > SIGRTMAX - SIGRTMIN) return 0;
        return first + sign * static_cast<int>(*more);
    }
    for (int n = 1; n < SIGRTMIN; ++n)
        if (const char* known = ::sigabbrev_np(n); known && name == known) return n;
    return 0;
}

ImageConfig parse_image_config(std::string_view json, const std::string& path) {
    const auto wrong = [&](const std::string& what) {
        return Error(Code::corrupt, path + ": its oci-config.json is damaged: " + what);
    };
    rapidjson::Document d;
    d.Parse<rapidjson::kParseIterativeFlag>(json.data(), json.size());
    if (d.HasParseError() || !d.IsObject()) throw wrong("it is no JSON object");
    const auto text = [&](const char* name) -> std::string {
        const auto it = d.FindMember(name);
        if (it == d.MemberEnd() || it->value.IsNull()) return {};
        if (!it->value.IsString()) throw wrong(std::string("'") + name + "' is no text");
        std::string out(it->value.GetString(), it->value.GetStringLength());
        if (out.find('\0') != std::string::npos) throw wrong(std::string("'") + name + "' holds a NUL byte");
        return out;
    };
    ImageConfig out;
    out.user = text("User");
    if (const std::string directory = text("WorkingDir"); !directory.empty())
        out.working_directory = clean_path("/" + directory);
    if (const std::string name = text("StopSignal"); !name.empty()) {
        out.stop_signal = signal_number(name);
        if (!out.stop_signal) throw wrong("there is no signal '" + name + "'");
    }
    const auto volumes = d.FindMember("Volumes");
    if (volumes == d.MemberEnd() || volumes->value.IsNull()) return out;
    if (!volumes->value.IsObject()) throw wrong("'Volumes' is no object");
    if (volumes->value.MemberCount() > most_volumes)
        throw wrong("it has more than " + std::to_string(most_volumes) + " volumes");
    for (const auto& v : volumes->value.GetObject()) {
        const std::string place = clean_path("/" + std::string(v.name.GetString(), v.name.GetStringLength()));
        if (place.find('\0') != std::string::npos) throw wrong("a volume's path holds a NUL byte");
        if (place == "/") throw wrong("a volume cannot be /");
        out.volumes.push_back(place);
    }
    // Outer ones first.
    std::sort(out.volumes.begin(), out.volumes.end());
    out.volumes.erase(std::unique(out.volumes.begin(), out.volumes.end()), out.volumes.end());
    return out;
}

ImageConfig read_image_config(const std::string& path, const sg_call* call) {
    const auto* service = singularity::detail::host_table<sg_host_image_v2>("image", 2);
    if (!service) return {};
    const sg_format_v1* format = nullptr;
    const sg_parts_v1* parts = nullptr;
    sg_image_file* opened = nullptr;
    singularity::check([&](sg_error* e) { return service->open(path.c_str(), 0, &format, &parts, &opened, e); });
    const std::unique_ptr<sg_image_file, Closer> image(opened, Closer{format});
    if (!parts) return {};
    for (uint64_t i = 0, n = parts->count(opened); i < n; ++i) {
        sg_part part{};
        singularity::check([&](sg_error* e) { return parts->get(opened, i, &part, e); });
        part.type[sizeof part.type - 1] = part.name[sizeof part.name - 1] = '\0';
        if (std::strcmp(part.name, "oci-config.json") == 0)
            return parse_image_config(read_part(*parts, opened, part, path, call), path);
    }
    return {};
}

ImageUser find_user(const std::string& user, std::string_view passwd, std::string_view group) {
    const size_t colon = user.find(':');
    const std::string_view name = std::string_view(user).substr(0, colon),
                           group_name = colon == std::string::npos ? std::string_view()
                                                                   : std::string_view(user).substr(colon + 1);
    ImageUser out;
    std::string found_name;
    bool found = false;
    const auto uid = number(name);
    each_entry(passwd, [&](const auto& f) {
        const auto id = number(f[2]), gid = number(f[3]);
        if (!id || !gid || !(f[0] == name || (uid && *id == *uid))) return false;
        out.uid = *id, out.gid = *gid, found_name = f[0], found = true;
        if (f.size() > 5 && !f[5].empty()) out.home = f[5];
        return true;
    });
    if (!found) {
        if (!uid)
            throw Error(Code::not_found, "the image's USER '" + user + "': there is no such user in its /etc/passwd",
                        "'--security uid:N' chooses another one");
        out.uid = *uid;
    }
    if (group_name.empty()) {
        each_entry(group, [&](const auto& f) {
            const auto id = number(f[2]);
            const std::string members = "," + std::string(f[3]) + ",";
            if (id && found && *id != out.gid && members.find("," + found_name + ",") != std::string::npos)
                out.groups.push_back(*id);
            return false;
        });
        return out;
    }
    const auto gid = number(group_name);
    found = false;
    each_entry(group, [&](const auto& f) {
        const auto id = number(f[2]);
        if (!id || !(f[0] == group_name || (gid && *id == *gid))) return false;
        out.gid = *id, found = true;
        return true;
    });
    if (!found && !gid)
        throw Error(Code::not_found, "the image's USER '" + user + "': there is no such group in its /etc/group");
    if (!found) out.gid = *gid;
    return out;
}

}  // namespace oci_runtime
