// The LaunchSpec's linux.resources (OCI runtime-spec, config-linux.md, "Control groups").
#include "family/resources.hpp"

#include "family/system.hpp"

namespace launcher {
namespace {

using Value = rapidjson::Value;

[[noreturn]] void wrong(const char* name) { throw Error(Code::invalid, std::string("the LaunchSpec is not usable: '") + name + "' in linux.resources"); }

const Value* member(const Value& object, const char* name) {
    if (!object.IsObject()) wrong(name);
    const auto it = object.FindMember(name);
    return it == object.MemberEnd() || it->value.IsNull() ? nullptr : &it->value;
}

template <class Number>
void number(const Value& object, const char* name, Number& to) {
    const Value* v = member(object, name);
    if (!v) return;
    if (!v->IsInt64()) wrong(name);
    to = v->GetInt64();
}

void text(const Value& object, const char* name, std::string& to) {
    const Value* v = member(object, name);
    if (!v) return;
    if (!v->IsString()) wrong(name);
    to.assign(v->GetString(), v->GetStringLength());
}

template <class F>
void each(const Value& object, const char* name, F&& f) {
    const Value* v = member(object, name);
    if (!v) return;
    if (!v->IsArray()) wrong(name);
    for (const auto& one : v->GetArray()) f(one);
}

void rates(const Value& block, const char* name, const char* value, std::vector<DeviceRate>& to) {
    each(block, name, [&](const Value& v) {
        DeviceRate d;
        number(v, "major", d.major);
        number(v, "minor", d.minor);
        number(v, value, d.value);
        to.push_back(d);
    });
}

}  // namespace

Resources read_resources(const Value& v) {
    Resources r;
    r.any = v.IsObject() && v.MemberCount() > 0;
    if (const Value* m = member(v, "memory")) {
        number(*m, "limit", r.memory);
        number(*m, "reservation", r.memory_reservation);
        number(*m, "swap", r.memory_swap);
        if (const Value* off = member(*m, "disableOOMKiller")) r.oom_kill_disable = off->IsBool() && off->GetBool();
    }
    if (const Value* c = member(v, "cpu")) {
        number(*c, "shares", r.cpu_shares);
        number(*c, "period", r.cpu_period);
        number(*c, "quota", r.cpu_quota);
        text(*c, "cpus", r.cpus);
        text(*c, "mems", r.mems);
    }
    if (const Value* p = member(v, "pids")) number(*p, "limit", r.pids);
    if (const Value* b = member(v, "blockIO")) {
        number(*b, "weight", r.io_weight);
        rates(*b, "weightDevice", "weight", r.io_weights);
        rates(*b, "throttleReadBpsDevice", "rate", r.read_bytes);
        rates(*b, "throttleWriteBpsDevice", "rate", r.write_bytes);
        rates(*b, "throttleReadIOPSDevice", "rate", r.read_operations);
        rates(*b, "throttleWriteIOPSDevice", "rate", r.write_operations);
    }
    each(v, "devices", [&](const Value& one) {
        DeviceRule d;
        const Value* allow = member(one, "allow");
        d.allow = allow && allow->IsBool() && allow->GetBool();
        text(one, "type", d.type);
        text(one, "access", d.access);
        const auto id = [&](const char* name, std::string& to) {
            if (const Value* n = member(one, name)) n->IsInt64() ? to = std::to_string(n->GetInt64()) : (wrong(name), std::string());
        };
        id("major", d.major);
        id("minor", d.minor);
        r.devices.push_back(std::move(d));
    });
    if (const Value* u = member(v, "unified")) {
        if (!u->IsObject()) wrong("unified");
        for (const auto& m : u->GetObject()) {
            if (!m.value.IsString()) wrong("unified");
            r.unified[m.name.GetString()] = m.value.GetString();
        }
    }
    return r;
}

}  // namespace launcher
