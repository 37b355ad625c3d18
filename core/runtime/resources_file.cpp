// resources.hpp, read_resources(): a TOML file of limits.
#include <fstream>
#include <functional>
#include <toml.hpp>

#include "base/error.hpp"
#include "base/nearest.hpp"
#include "runtime/resources.hpp"

namespace sg::runtime {
namespace {

class Reader {
public:
    explicit Reader(std::string path) : path_(std::move(path)) {}

    Resources read(const toml::value& top) {
        Resources r;
        members(top, "", {{"memory", [&](const auto& v) { memory(v, r); }},
                          {"cpu", [&](const auto& v) { cpu(v, r); }},
                          {"pids", [&](const auto& v) { members(v, "pids", {{"limit", [&](const auto& n) { r.pids = integer(n, "pids.limit"); }}}); }},
                          {"blockIO", [&](const auto& v) { block(v, r); }},
                          {"devices", [&](const auto& v) { each(v, "devices", [&](const auto& one) { device(one, r); }); }},
                          {"unified", [&](const auto& v) {
                               for (const auto& [key, value] : table(v, "unified")) r.unified[key] = text(value, key);
                           }}});
        return r;
    }

private:
    using Take = std::function<void(const toml::value&)>;

    [[noreturn]] void wrong(const toml::value& where, const std::string& why, const std::string& hint = {}) const {
        throw Error(Code::invalid, path_ + ":" + std::to_string(where.location().line()) + ": " + why, hint);
    }

    const toml::table& table(const toml::value& v, const std::string& name) const {
        if (!v.is_table()) wrong(v, "'" + name + "' is no table");
        return v.as_table();
    }

    void members(const toml::value& v, const std::string& name, const std::vector<std::pair<std::string, Take>>& known) const {
        for (const auto& [key, value] : table(v, name)) {
            bool found = false;
            for (const auto& [wanted, take] : known)
                if (wanted == key) found = true, take(value);
            if (found) continue;
            std::vector<std::string_view> names;
            for (const auto& k : known) names.push_back(k.first);
            wrong(value, "'" + (name.empty() ? "" : name + ".") + key + "' is no limit that is known here", did_you_mean(key, names));
        }
    }

    template <class F>
    void each(const toml::value& v, const std::string& name, F&& f) const {
        if (!v.is_array()) wrong(v, "'" + name + "' is no list");
        for (const auto& one : v.as_array()) f(one);
    }

    int64_t integer(const toml::value& v, const std::string& name) const {
        if (!v.is_integer()) wrong(v, "'" + name + "' is no whole number");
        return v.as_integer();
    }
    uint64_t natural(const toml::value& v, const std::string& name) const {
        const int64_t n = integer(v, name);
        if (n < 0) wrong(v, "'" + name + "' is negative");
        return static_cast<uint64_t>(n);
    }
    bool boolean(const toml::value& v, const std::string& name) const {
        if (!v.is_boolean()) wrong(v, "'" + name + "' is neither true nor false");
        return v.as_boolean();
    }
    std::string text(const toml::value& v, const std::string& name) const {
        if (!v.is_string()) wrong(v, "'" + name + "' is no text");
        return v.as_string().str;
    }

    void memory(const toml::value& v, Resources& r) const {
        members(v, "memory", {{"limit", [&](const auto& n) { r.memory = integer(n, "memory.limit"); }},
                              {"reservation", [&](const auto& n) { r.memory_reservation = integer(n, "memory.reservation"); }},
                              {"swap", [&](const auto& n) { r.memory_swap = integer(n, "memory.swap"); }},
                              {"disableOOMKiller", [&](const auto& n) { r.oom_kill_disable = boolean(n, "memory.disableOOMKiller"); }}});
    }

    void cpu(const toml::value& v, Resources& r) const {
        members(v, "cpu", {{"shares", [&](const auto& n) { r.cpu_shares = natural(n, "cpu.shares"); }},
                           {"quota", [&](const auto& n) { r.cpu_quota = integer(n, "cpu.quota"); }},
                           {"period", [&](const auto& n) { r.cpu_period = natural(n, "cpu.period"); }},
                           {"cpus", [&](const auto& n) { r.cpus = text(n, "cpu.cpus"); }},
                           {"mems", [&](const auto& n) { r.mems = text(n, "cpu.mems"); }}});
    }

    void rates(const toml::value& v, const std::string& name, const char* value, std::vector<DeviceRate>& to) const {
        each(v, name, [&](const toml::value& one) {
            DeviceRate d;
            members(one, name, {{"major", [&](const auto& n) { d.major = integer(n, name); }},
                                {"minor", [&](const auto& n) { d.minor = integer(n, name); }},
                                {value, [&](const auto& n) { d.value = natural(n, name); }}});
            to.push_back(d);
        });
    }

    void block(const toml::value& v, Resources& r) const {
        members(v, "blockIO", {{"weight", [&](const auto& n) { r.io_weight = natural(n, "blockIO.weight"); }},
                               {"weightDevice", [&](const auto& n) { rates(n, "blockIO.weightDevice", "weight", r.io_weights); }},
                               {"throttleReadBpsDevice", [&](const auto& n) { rates(n, "blockIO.throttleReadBpsDevice", "rate", r.read_bytes); }},
                               {"throttleWriteBpsDevice", [&](const auto& n) { rates(n, "blockIO.throttleWriteBpsDevice", "rate", r.write_bytes); }},
                               {"throttleReadIOPSDevice", [&](const auto& n) { rates(n, "blockIO.throttleReadIOPSDevice", "rate", r.read_operations); }},
                               {"throttleWriteIOPSDevice", [&](const auto& n) { rates(n, "blockIO.throttleWriteIOPSDevice", "rate", r.write_operations); }}});
    }

    void device(const toml::value& v, Resources& r) const {
        DeviceRule d;
        members(v, "devices", {{"allow", [&](const auto& n) { d.allow = boolean(n, "devices.allow"); }},
                               {"type", [&](const auto& n) { d.type = text(n, "devices.type"); }},
                               {"access", [&](const auto& n) { d.access = text(n, "devices.access"); }},
                               {"major", [&](const auto& n) { d.major = integer(n, "devices.major"); }},
                               {"minor", [&](const auto& n) { d.minor = integer(n, "devices.minor"); }}});
        if (d.type != "a" && d.type != "b" && d.type != "c") wrong(v, "'devices.type' is none of: a, b, c");
        if (d.access.empty() || d.access.find_first_not_of("rwm") != std::string::npos) wrong(v, "'devices.access' is not made of r, w and m");
        r.devices.push_back(std::move(d));
    }

    std::string path_;
};

}  // namespace

Resources read_resources(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) throw_errno("cannot read the limits in", path);
    try {
        return Reader(path).read(toml::parse(file, path));
    } catch (const toml::exception& e) {
        std::string why = e.what();
        why.erase(std::min(why.find('\n'), why.size()));
        throw Error(Code::invalid, path + ":" + std::to_string(e.location().line()) + ": it is no TOML: " + why);
    }
}

}  // namespace sg::runtime
