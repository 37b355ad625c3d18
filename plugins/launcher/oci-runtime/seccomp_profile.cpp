#include "seccomp_profile.hpp"

#include <singularity/plugin.hpp>

#include "family/capability_names.hpp"

namespace oci_runtime {
namespace {

using singularity::Code;
using singularity::Error;
using Value = rapidjson::Value;

#if defined(__x86_64__)
constexpr std::string_view machine = "SCMP_ARCH_X86_64", machine_of_engines = "amd64";
#elif defined(__aarch64__)
constexpr std::string_view machine = "SCMP_ARCH_AARCH64", machine_of_engines = "arm64";
#else
constexpr std::string_view machine = "", machine_of_engines = "";
#endif

[[noreturn]] void wrong(const std::string& what) {
    throw Error(Code::invalid, "the seccomp profile is not usable: " + what);
}

const Value* member(const Value& object, const char* name) {
    const auto it = object.FindMember(name);
    return it == object.MemberEnd() || it->value.IsNull() ? nullptr : &it->value;
}

template <class F>
void each(const Value& object, const char* name, F&& f) {
    const Value* v = member(object, name);
    if (!v) return;
    if (!v->IsArray()) wrong(std::string("'") + name + "' is no list");
    for (const auto& item : v->GetArray()) f(item);
}

std::string_view text(const Value& v) {
    return v.IsString() ? std::string_view(v.GetString(), v.GetStringLength()) : std::string_view();
}

// Does one of the condition's texts hold? `listed`: there are any.
template <class Test>
bool holds(const Value& condition, const char* key, bool& listed, Test&& test) {
    bool any = false;
    listed = false;
    each(condition, key, [&](const Value& v) {
        listed = true;
        any = any || test(text(v));
    });
    return any;
}

bool chosen(const Value& rule, uint64_t capabilities) {
    const auto is_arch = [](std::string_view name) { return name == machine_of_engines; };
    const auto has_capability = [&](std::string_view name) {
        return (launcher::capability_bit(name) & capabilities) != 0;
    };
    bool listed = false;
    if (const Value* c = member(rule, "includes"); c && c->IsObject()) {
        if (!holds(*c, "arches", listed, is_arch) && listed) return false;
        if (!holds(*c, "caps", listed, has_capability) && listed) return false;
    }
    if (const Value* c = member(rule, "excludes"); c && c->IsObject())
        if (holds(*c, "arches", listed, is_arch) || holds(*c, "caps", listed, has_capability)) return false;
    return true;
}

}  // namespace

Value runtime_profile(std::string_view profile, uint64_t capabilities, rapidjson::Document::AllocatorType& memory) {
    rapidjson::Document d;
    d.Parse<rapidjson::kParseIterativeFlag>(profile.data(), profile.size());
    if (d.HasParseError() || !d.IsObject()) wrong("it is no JSON object");
    Value out(rapidjson::kObjectType);
    for (const char* name : {"defaultAction", "defaultErrnoRet", "flags", "listenerPath", "listenerMetadata"})
        if (const Value* v = member(d, name)) out.AddMember(Value(name, memory), Value(*v, memory), memory);
    if (!out.HasMember("defaultAction")) wrong("it has no 'defaultAction'");
    Value architectures(rapidjson::kArrayType);
    const auto add_architecture = [&](const Value& v) {
        for (const auto& known : architectures.GetArray())
            if (known == v) return;
        architectures.PushBack(Value(v, memory), memory);
    };
    each(d, "architectures", add_architecture);
    each(d, "archMap", [&](const Value& v) {
        const Value* arch = v.IsObject() ? member(v, "architecture") : nullptr;
        if (!arch || text(*arch) != machine) return;
        add_architecture(*arch);
        each(v, "subArchitectures", add_architecture);
    });
    if (!architectures.Empty()) out.AddMember("architectures", architectures, memory);
    Value rules(rapidjson::kArrayType);
    each(d, "syscalls", [&](const Value& rule) {
        if (!rule.IsObject()) wrong("a rule is no object");
        if (!chosen(rule, capabilities)) return;
        const Value* action = member(rule, "action");
        if (!action) wrong("a rule has no 'action'");
        if (*action == out["defaultAction"] && !member(rule, "errnoRet")) return;
        Value made(rapidjson::kObjectType);
        Value names(rapidjson::kArrayType);
        if (const Value* name = member(rule, "name")) names.PushBack(Value(*name, memory), memory);
        each(rule, "names", [&](const Value& v) { names.PushBack(Value(v, memory), memory); });
        if (names.Empty()) return;
        made.AddMember("names", names, memory);
        for (const char* name : {"action", "errnoRet", "args"})
            if (const Value* v = member(rule, name); v && !(v->IsArray() && v->Empty()))
                made.AddMember(Value(name, memory), Value(*v, memory), memory);
        rules.PushBack(made, memory);
    });
    out.AddMember("syscalls", rules, memory);
    return out;
}

}  // namespace oci_runtime
