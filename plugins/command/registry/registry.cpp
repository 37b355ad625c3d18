// `singularity registry login|logout|list`.
#include <rapidjson/prettywriter.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <singularity/command.hpp>
#include <singularity/json.hpp>

#include "registries/login.hpp"

namespace registry_command {

using singularity::Invocation;

namespace {

Address address_of(const Invocation& invocation) {
    if (invocation.arguments.size() == 1) return parse_address(invocation.arguments[0]);
    throw Error(Code::usage, "`" + invocation.verb + "` takes one argument, the registry",
                "usage: singularity " + invocation.verb + " docker://HOST");
}

void print(std::string_view text) {
    while (!text.empty()) {
        const ssize_t n = ::write(STDOUT_FILENO, text.data(), text.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) throw Error(Code::io, std::string("cannot write to standard output: ") + std::strerror(errno));
        text.remove_prefix(static_cast<size_t>(n));
    }
}

std::string as_json(const std::vector<std::pair<std::string, std::string>>& all) {
    rapidjson::StringBuffer buffer;
    rapidjson::PrettyWriter<rapidjson::StringBuffer> writer(buffer);
    writer.SetIndent(' ', 2);
    writer.StartArray();
    for (const auto& [server, user] : all) {
        writer.StartObject();
        writer.Key("registry");
        writer.String(server);
        writer.Key("user");
        writer.String(user);
        writer.EndObject();
    }
    writer.EndArray();
    return std::string(buffer.GetString(), buffer.GetSize()) + "\n";
}

std::string as_table(const std::vector<std::pair<std::string, std::string>>& all) {
    size_t width = std::strlen("REGISTRY");
    for (const auto& [server, user] : all) width = std::max(width, singularity::json::printable(server).size());
    const auto row = [&](std::string server, const std::string& user) {
        server.resize(width, ' ');
        return server + "  " + user + "\n";
    };
    std::string out = row("REGISTRY", "USER");
    for (const auto& [server, user] : all) out += row(singularity::json::printable(server), singularity::json::printable(user));
    return out;
}

int list(const Invocation& invocation, const Host& host) {
    if (!invocation.arguments.empty()) throw Error(Code::usage, "`registry list` takes no argument");
    const auto all = host.list_credentials(auth_file(invocation));
    const std::string* json = option(invocation, "json");
    print(json && *json != "false" ? as_json(all) : as_table(all));
    return 0;
}

}  // namespace

class Registry final : public singularity::Command {
public:
    int run(const Invocation& invocation, const Host& host) override {
        const std::string what = invocation.verb.substr(invocation.verb.find(' ') + 1);
        if (what == "login") return login(invocation, address_of(invocation), host);
        if (what == "logout") return logout(invocation, address_of(invocation), host);
        if (what == "list") return list(invocation, host);
        throw Error(Code::usage, "unknown command '" + invocation.verb + "'");
    }
};

}  // namespace registry_command

SINGULARITY_PLUGIN(registry, registry_command::Registry)
