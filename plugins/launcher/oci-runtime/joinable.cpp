#include "joinable.hpp"

#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <cstdio>

#include "family/system.hpp"

namespace oci_runtime {
namespace {

using singularity::Code;
using singularity::Error;
using Value = rapidjson::Value;

std::string file_in(const std::string& directory) { return directory + "/oci-runtime.json"; }

template <class Writer>
void write_user(Writer& w, const std::optional<ImageUser>& user) {
    if (!user) return;
    w.Key("uid"), w.Uint(user->uid);
    w.Key("gid"), w.Uint(user->gid);
    w.Key("groups"), w.StartArray();
    for (const uint32_t g : user->groups) w.Uint(g);
    w.EndArray();
}

std::string text(const Value& d, const char* name) {
    return d.HasMember(name) && d[name].IsString() ? d[name].GetString() : "";
}
int number(const Value& d, const char* name) { return d.HasMember(name) && d[name].IsInt() ? d[name].GetInt() : 0; }
bool flag(const Value& d, const char* name) { return d.HasMember(name) && d[name].IsTrue(); }

void take(Joinable& out, const Value& d) {
    out.session = text(d, "session");
    out.home = text(d, "home");
    out.cwd = text(d, "cwd");
    if (!d.HasMember("uid") || !d["uid"].IsUint() || !d.HasMember("gid") || !d["gid"].IsUint()) return;
    out.user.emplace();
    out.user->uid = d["uid"].GetUint(), out.user->gid = d["gid"].GetUint();
    out.user->home = out.home;
    if (!d.HasMember("groups") || !d["groups"].IsArray()) return;
    for (const auto& g : d["groups"].GetArray())
        if (g.IsUint()) out.user->groups.push_back(g.GetUint());
}

}  // namespace

std::string joinable_text(const std::string& session, const std::string& home, const std::string& cwd,
                          const ImageUser& user) {
    rapidjson::StringBuffer buffer;
    rapidjson::Writer<rapidjson::StringBuffer> w(buffer);
    w.StartObject();
    w.Key("session"), w.String(session);
    w.Key("home"), w.String(home);
    w.Key("cwd"), w.String(cwd);
    write_user(w, user);
    w.EndObject();
    return {buffer.GetString(), buffer.GetSize()};
}

void take_text(Joinable& what, const std::string& text) {
    rapidjson::Document d;
    d.Parse(text.c_str());
    if (!d.HasParseError() && d.IsObject()) take(what, d);
}

void write_joinable(const std::string& directory, const Joinable& what) {
    rapidjson::StringBuffer buffer;
    rapidjson::Writer<rapidjson::StringBuffer> w(buffer);
    w.StartObject();
    w.Key("monitor"), w.Int(what.monitor);
    w.Key("id"), w.String(what.id);
    w.Key("runtime"), w.String(what.runtime);
    w.Key("crun"), w.Bool(what.crun);
    w.Key("limits"), w.Bool(what.limits);
    w.Key("place"), w.String(what.place);
    w.Key("stopSignal"), w.Int(what.stop_signal);
    w.Key("session"), w.String(what.session);
    w.Key("home"), w.String(what.home);
    w.Key("cwd"), w.String(what.cwd);
    write_user(w, what.user);
    w.EndObject();
    launcher::replace_file(file_in(directory), {buffer.GetString(), buffer.GetSize()}, 0600);
}

Joinable read_joinable(const std::string& directory) {
    const std::string path = file_in(directory), content = launcher::read_file(AT_FDCWD, path, 1u << 20);
    rapidjson::Document d;
    d.Parse<rapidjson::kParseIterativeFlag>(content.data(), content.size());
    Joinable out;
    if (!d.HasParseError() && d.IsObject()) {
        out.monitor = number(d, "monitor");
        out.id = text(d, "id");
        out.runtime = text(d, "runtime");
        out.crun = flag(d, "crun");
        out.limits = flag(d, "limits");
        out.place = text(d, "place");
        out.stop_signal = number(d, "stopSignal");
        take(out, d);
    }
    if (out.monitor <= 0 || out.id.empty() || out.runtime.empty() || out.session.empty() || out.place.empty())
        throw Error(Code::corrupt, path + " is damaged");
    return out;
}

void remove_joinable(const std::string& directory) noexcept { (void)::unlink(file_in(directory).c_str()); }

}  // namespace oci_runtime
