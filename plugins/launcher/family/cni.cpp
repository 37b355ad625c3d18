#include "family/cni.hpp"

#include <dirent.h>
#include <poll.h>
#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>

#include "family/system.hpp"

namespace launcher {
namespace {

using rapidjson::Document;
using rapidjson::Value;

constexpr size_t most_text = 1u << 20;  // bytes of a configuration file or of what a plugin says
constexpr int patience = 30'000;        // milliseconds for one call of a plugin
constexpr const char* package_hint =
    "the plugins are in Debian's and Ubuntu's package containernetworking-plugins; cni.plugin_path names where they "
    "are";
// What plugins call (iptables) lies here; the caller's own PATH is not theirs.
constexpr const char* plugin_path_variable = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

std::string to_json(const Value& v) {
    rapidjson::StringBuffer buffer;
    rapidjson::Writer<rapidjson::StringBuffer> w(buffer);
    v.Accept(w);
    return {buffer.GetString(), buffer.GetSize()};
}

void parse(Document& d, const std::string& text) { d.Parse<rapidjson::kParseIterativeFlag>(text.data(), text.size()); }

std::string text_of(const Value& object, const char* name) {
    if (!object.IsObject()) return {};
    const auto it = object.FindMember(name);
    return it != object.MemberEnd() && it->value.IsString()
               ? std::string(it->value.GetString(), it->value.GetStringLength())
               : std::string();
}

void set(Document& d, const char* name, Value value) {
    d.RemoveMember(name);
    d.AddMember(rapidjson::StringRef(name), value, d.GetAllocator());
}
Value copy_of(Document& d, const std::string& text) {
    return Value(text.data(), static_cast<rapidjson::SizeType>(text.size()), d.GetAllocator());
}

// ---- Configuration files ------------------------------------------------------------------------

struct Configured {
    std::string name, version;
    std::vector<std::string> plugins;
};

bool ends_with(const std::string& text, std::string_view end) {
    return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

// A list of plugins (".conflist"), or one that stands alone (".conf", ".json").
Configured read_network(const std::string& path) {
    const auto damaged = [&](const std::string& why) {
        throw Error(Code::corrupt, "the network configuration " + path + " is not usable: " + why);
    };
    Document d;
    parse(d, read_file(AT_FDCWD, path, most_text));
    if (d.HasParseError() || !d.IsObject()) damaged("it is no JSON object");
    Configured out{text_of(d, "name"), text_of(d, "cniVersion"), {}};
    if (out.name.empty()) damaged("it has no 'name'");
    const auto add = [&](const Value& plugin) {
        const std::string type = text_of(plugin, "type");
        if (type.empty() || type.find('/') != std::string::npos)
            damaged("'type' of a plugin is missing, or no file name");
        out.plugins.push_back(to_json(plugin));
    };
    if (!ends_with(path, ".conflist")) {
        add(d);
    } else {
        if (!d.HasMember("plugins") || !d["plugins"].IsArray() || d["plugins"].Empty()) damaged("it has no 'plugins'");
        for (const auto& plugin : d["plugins"].GetArray()) add(plugin);
    }
    return out;
}

std::vector<std::string> configuration_files(const std::string& directory) {
    std::vector<std::string> out;
    DIR* dir = ::opendir(directory.c_str());
    if (!dir)
        fail("cannot read the directory of network configurations", directory,
             "cni.configuration_path names it; '--network none' needs none");
    while (const dirent* e = ::readdir(dir)) {
        const std::string name = e->d_name;
        if (name[0] != '.' && (ends_with(name, ".conflist") || ends_with(name, ".conf") || ends_with(name, ".json")))
            out.push_back(directory + "/" + name);
    }
    ::closedir(dir);
    std::sort(out.begin(), out.end());
    return out;
}

// By name. A file that cannot be used hides no other one.
std::map<std::string, Configured> configured_networks(const std::string& directory, std::optional<Error>& trouble) {
    std::map<std::string, Configured> out;
    for (const auto& path : configuration_files(directory)) {
        try {
            Configured one = read_network(path);
            std::string name = one.name;
            out.emplace(std::move(name), std::move(one));
        } catch (const Error& e) {
            if (!trouble) trouble = e;
        }
    }
    return out;
}

// ---- --network-args -----------------------------------------------------------------------------

struct PortMapping {
    unsigned host = 0, container = 0;
    std::string protocol;
};

struct Wishes {                                 // for one network
    std::string arguments = "IgnoreUnknown=1";  // without it a plugin refuses what is meant for another one of the list
    std::vector<PortMapping> ports;
    std::vector<std::string> ranges;
};

[[noreturn]] void bad_argument(const std::string& argument, const std::string& why) {
    throw Error(Code::usage, "--network-args " + argument + ": " + why,
                "the form is [NETWORK:]NAME=VALUE[;NAME=VALUE], as portmap=8080:80/tcp");
}

unsigned port(const std::string& text, const std::string& argument) {
    unsigned n = 0;
    const auto r = std::from_chars(text.data(), text.data() + text.size(), n);
    if (r.ec != std::errc() || r.ptr != text.data() + text.size() || n < 1 || n > 65535)
        bad_argument(argument, "'" + text + "' is no port (1 to 65535)");
    return n;
}

// HOST[:CONTAINER]/PROTOCOL
PortMapping port_mapping(const std::string& text, const std::string& argument) {
    const size_t slash = text.find('/'), colon = text.find(':');
    if (slash == std::string::npos) bad_argument(argument, "the protocol is missing (/tcp or /udp)");
    PortMapping out;
    out.protocol = text.substr(slash + 1);
    if (out.protocol != "tcp" && out.protocol != "udp")
        bad_argument(argument, "'" + out.protocol + "' is neither tcp nor udp");
    const std::string ports = text.substr(0, slash);
    out.host = port(ports.substr(0, colon), argument);
    out.container = colon == std::string::npos ? out.host : port(ports.substr(colon + 1), argument);
    return out;
}

std::map<std::string, Wishes> read_arguments(const Networks& networks) {
    std::map<std::string, Wishes> out;
    for (const auto& argument : networks.arguments) {
        std::string network = networks.names.front(), rest = argument;
        const size_t colon = argument.find(':'), equals = argument.find('=');
        if (equals == std::string::npos) bad_argument(argument, "there is no '='");
        if (colon < equals) network = argument.substr(0, colon), rest = argument.substr(colon + 1);
        if (std::find(networks.names.begin(), networks.names.end(), network) == networks.names.end())
            bad_argument(argument, "--network does not name the network '" + network + "'");
        Wishes& wishes = out[network];
        for (size_t at = 0; at <= rest.size();) {
            const size_t end = std::min(rest.find(';', at), rest.size());
            const std::string pair = rest.substr(at, end - at);
            at = end + 1;
            if (pair.empty()) continue;
            const size_t is = pair.find('=');
            if (is == std::string::npos || is == 0 || pair.find('=', is + 1) != std::string::npos)
                bad_argument(argument, "'" + pair + "' is not NAME=VALUE");
            const std::string name = pair.substr(0, is), value = pair.substr(is + 1);
            if (name == "portmap")
                wishes.ports.push_back(port_mapping(value, argument));
            else if (name == "ipRange")
                wishes.ranges.push_back(value);
            else
                wishes.arguments += ";" + pair;
        }
    }
    return out;
}

bool capable(const Value& plugin, const char* capability) {
    const auto it = plugin.FindMember("capabilities");
    if (it == plugin.MemberEnd() || !it->value.IsObject()) return false;
    const auto c = it->value.FindMember(capability);
    return c != it->value.MemberEnd() && c->value.IsBool() && c->value.GetBool();
}

// CNI specification, "Deriving runtimeConfig": each plugin gets what it says that it understands.
struct Told {
    bool ports = false, ranges = false;
};
std::string with_wishes(const std::string& plugin, const Configured& network, const Wishes& wishes, Told& told) {
    Document d;
    parse(d, plugin);
    auto& memory = d.GetAllocator();
    set(d, "name", copy_of(d, network.name));
    if (!network.version.empty()) set(d, "cniVersion", copy_of(d, network.version));
    Value config(rapidjson::kObjectType);
    if (!wishes.ports.empty() && capable(d, "portMappings")) {
        Value list(rapidjson::kArrayType);
        for (const auto& p : wishes.ports) {
            Value one(rapidjson::kObjectType);
            one.AddMember("hostPort", p.host, memory)
                .AddMember("containerPort", p.container, memory)
                .AddMember("protocol", copy_of(d, p.protocol), memory);
            list.PushBack(one, memory);
        }
        config.AddMember("portMappings", list, memory);
        told.ports = true;
    }
    if (!wishes.ranges.empty() && capable(d, "ipRanges")) {
        Value sets(rapidjson::kArrayType);
        for (const auto& r : wishes.ranges) {
            Value range(rapidjson::kObjectType), set_of_one(rapidjson::kArrayType);
            range.AddMember("subnet", copy_of(d, r), memory);
            set_of_one.PushBack(range, memory);
            sets.PushBack(set_of_one, memory);
        }
        config.AddMember("ipRanges", sets, memory);
        told.ranges = true;
    }
    if (!config.ObjectEmpty()) set(d, "runtimeConfig", std::move(config));
    return to_json(d);
}

// ---- Calls --------------------------------------------------------------------------------------

std::string find_plugin(const std::string& type, const std::string& network,
                        const std::vector<std::string>& directories) {
    std::string looked;
    for (const auto& directory : directories) {
        const std::string path = directory + "/" + type;
        if (::access(path.c_str(), X_OK) == 0) return path;
        looked += (looked.empty() ? "" : ", ") + directory;
    }
    throw Error(Code::not_found,
                "network " + network + ": there is no CNI plugin '" + type + "' in " +
                    (looked.empty() ? "any directory" : looked),
                package_hint);
}

Fd memory_file(const char* name) {
    Fd fd(::memfd_create(name, MFD_CLOEXEC));
    if (!fd) fail("cannot make memory for a CNI plugin");
    return fd;
}

std::string written(const Fd& file) {
    const off_t size = ::lseek(file.get(), 0, SEEK_END);
    std::string out(size > 0 ? std::min(static_cast<size_t>(size), most_text) : 0, '\0');
    size_t got = 0;
    while (got < out.size()) {
        const ssize_t n = ::pread(file.get(), out.data() + got, out.size() - got, static_cast<off_t>(got));
        if (n <= 0) break;
        got += static_cast<size_t>(n);
    }
    out.resize(got);
    return out;
}

// Its exit status, as of wait(2); -1 when it had to be killed.
int wait_with_patience(pid_t child) {
    const Fd held(static_cast<int>(::syscall(SYS_pidfd_open, child, 0u)));
    int status = 0;
    bool late = false;
    if (held) {
        pollfd p{held.get(), POLLIN, 0};
        int n;
        do n = ::poll(&p, 1, patience);
        while (n < 0 && errno == EINTR);
        late = n == 0;
    }
    if (late) ::kill(-child, SIGKILL), ::kill(child, SIGKILL);
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return late ? -1 : status;
}

std::string one_line(std::string text) {
    while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
    std::replace_if(
        text.begin(), text.end(), [](unsigned char c) { return c < ' '; }, ' ');
    if (text.size() > 400) text.resize(400);
    return text;
}

// What the plugin prints when it is content.
std::string call_plugin(const char* command, const Attachment& to, const std::string& plugin, const std::string& before,
                        const PluginCalls& calls) {
    Document d;
    parse(d, plugin);
    if (d.HasParseError() || !d.IsObject())
        throw Error(Code::corrupt, "network " + to.network + ": the record of its plugins is damaged");
    const std::string type = text_of(d, "type");
    const std::string program = find_plugin(type, to.network, calls.plugins);
    if (!before.empty()) {
        Document result(&d.GetAllocator());
        parse(result, before);
        if (!result.HasParseError()) set(d, "prevResult", Value(result, d.GetAllocator()));
    }
    const std::string input = to_json(d);
    const Fd in = memory_file("cni-in"), out = memory_file("cni-out"), err = memory_file("cni-err");
    if (::write(in.get(), input.data(), input.size()) != static_cast<ssize_t>(input.size()) ||
        ::lseek(in.get(), 0, SEEK_SET) != 0)
        fail("cannot hand a CNI plugin its configuration");
    std::string path;
    for (const auto& p : calls.plugins) path += (path.empty() ? "" : ":") + p;
    const std::vector<std::string> environment = {
        plugin_path_variable,      std::string("CNI_COMMAND=") + command, "CNI_CONTAINERID=" + calls.container,
        "CNI_NETNS=" + calls.path, "CNI_IFNAME=" + to.interface,          "CNI_ARGS=" + to.arguments,
        "CNI_PATH=" + path};
    std::vector<char*> envp;
    for (const auto& e : environment) envp.push_back(const_cast<char*>(e.c_str()));
    envp.push_back(nullptr);
    const std::string said = "network " + to.network + ": the CNI plugin '" + type + "' (" + command + ") ";
    const pid_t child = ::fork();
    if (child < 0) fail("cannot start the CNI plugin", program);
    if (child == 0) {
        ::setpgid(0, 0);
        char* const argv[] = {const_cast<char*>(program.c_str()), nullptr};
        if (::dup2(in.get(), 0) < 0 || ::dup2(out.get(), 1) < 0 || ::dup2(err.get(), 2) < 0) ::_exit(126);
        ::execve(program.c_str(), argv, envp.data());
        ::_exit(127);
    }
    const int status = wait_with_patience(child);
    if (status == -1)
        throw Error(Code::io, said + "did not end within " + std::to_string(patience / 1000) + " seconds");
    const std::string answer = written(out);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return answer;
    Document error;
    parse(error, answer);
    std::string why = error.HasParseError() || !error.IsObject() ? std::string() : text_of(error, "msg");
    if (!why.empty() && !text_of(error, "details").empty()) why += "; " + text_of(error, "details");
    if (why.empty()) why = written(err);
    if (why.empty())
        why = WIFEXITED(status) ? "it ended with status " + std::to_string(WEXITSTATUS(status))
                                : "signal " + std::to_string(WTERMSIG(status)) + " ended it";
    throw Error(Code::io, said + "failed: " + one_line(why));
}

// Before 0.4.0 DEL knew no result.
bool del_gets_result(const std::string& version) {
    int major = 0, minor = 0;
    return std::sscanf(version.c_str(), "%d.%d", &major, &minor) == 2 && (major > 0 || minor >= 4);
}

}  // namespace

std::vector<Attachment> plan_attachments(const Networks& networks) {
    std::vector<Attachment> out;
    if (networks.names.empty()) return out;
    const auto wishes = read_arguments(networks);
    std::optional<Error> trouble;
    const auto known = configured_networks(networks.configuration, trouble);
    for (const auto& name : networks.names) {
        const auto found = known.find(name);
        if (found == known.end()) {
            if (trouble) throw *trouble;
            std::string names;
            for (const auto& [other, ignored] : known) names += (names.empty() ? "" : ", ") + other;
            throw Error(Code::not_found, "no net configuration with name \"" + name + "\" in " + networks.configuration,
                        names.empty() ? "an administrator puts configurations there (NAME.conflist)"
                                      : "there are: " + names + ", and none");
        }
        const Configured& network = found->second;
        const auto it = wishes.find(name);
        const Wishes wanted = it == wishes.end() ? Wishes() : it->second;
        Attachment one;
        one.network = name;
        one.version = network.version;
        one.interface = "eth" + std::to_string(out.size());
        one.arguments = wanted.arguments;
        Told told;
        for (const auto& plugin : network.plugins) one.plugins.push_back(with_wishes(plugin, network, wanted, told));
        if (!wanted.ports.empty() && !told.ports)
            throw Error(Code::usage, "--network-args portmap: the network " + name +
                                         " has no plugin with the capability portMappings");
        if (!wanted.ranges.empty() && !told.ranges)
            throw Error(Code::usage,
                        "--network-args ipRange: the network " + name + " has no plugin with the capability ipRanges");
        out.push_back(std::move(one));
    }
    return out;
}

void attach(Attachment& to, const PluginCalls& calls) {
    // All of them first: a network half made is work for DEL.
    for (const auto& plugin : to.plugins) {
        Document d;
        parse(d, plugin);
        (void)find_plugin(text_of(d, "type"), to.network, calls.plugins);
    }
    to.begun = true;
    std::string result;
    for (const auto& plugin : to.plugins) {
        const std::string answer = call_plugin("ADD", to, plugin, result, calls);
        Document d;
        parse(d, answer);
        if (d.HasParseError() || !d.IsObject())
            throw Error(Code::io,
                        "network " + to.network + ": a CNI plugin answers no JSON object: " + one_line(answer));
        result = answer;
    }
    to.result = result;
}

void detach(const Attachment& from, const PluginCalls& calls) {
    if (!from.begun) return;
    std::optional<Error> first;
    for (auto plugin = from.plugins.rbegin(); plugin != from.plugins.rend(); ++plugin) {
        try {
            (void)call_plugin("DEL", from, *plugin, del_gets_result(from.version) ? from.result : std::string(), calls);
        } catch (const Error& e) {
            if (!first) first = e;
        }
    }
    if (first) throw *first;
}

std::string first_address(const std::vector<Attachment>& all) {
    for (const auto& a : all) {
        Document d;
        parse(d, a.result);
        if (d.HasParseError() || !d.IsObject()) continue;
        std::string address;
        if (d.HasMember("ips") && d["ips"].IsArray() && !d["ips"].Empty())
            address = text_of(d["ips"][0], "address");
        else if (d.HasMember("ip4"))
            address = text_of(d["ip4"], "ip");  // before 0.3.0
        if (!address.empty()) return address.substr(0, address.find('/'));
    }
    return {};
}

}  // namespace launcher
