#include "hub/commands.hpp"

#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <csignal>
#include <iostream>

#include "hub/builder/builder.hpp"
#include "hub/builder/logs.hpp"
#include "hub/service.hpp"
#include "hub/store/lock.hpp"

namespace hub {

using singularity::Code;
using singularity::Error;
using singularity::Host;
using singularity::Invocation;

namespace {

std::string option(const Invocation& line, std::string_view name, std::string otherwise = {}) {
    for (const auto& [key, value] : line.options)
        if (key == name) otherwise = value;
    return otherwise;
}

int64_t number(const Invocation& line, std::string_view name, int64_t otherwise, int64_t most) {
    const std::string text = option(line, name);
    if (text.empty()) return otherwise;
    int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value < 0 || value > most) throw Error(Code::usage, "--" + std::string(name) + ": '" + text + "' is no number from 0 to " + std::to_string(most));
    return value;
}

std::string data_directory(const Invocation& line) {
    const std::string data = option(line, "data");
    if (data.empty()) throw Error(Code::usage, "--data is missing: the directory that holds all of the hub");
    return data[0] == '/' ? data : line.directory + "/" + data;
}

const std::string& only_argument(const Invocation& line) {
    if (line.arguments.size() != 1) throw Error(Code::usage, "'" + line.verb + "' takes one argument: the name of a user");
    return line.arguments.front();
}

int again_fd = -1;

// SIGHUP asks a daemon to read its files again; at a terminal it means that the terminal has gone, and ends the hub.
int watch_hangups() {
    if (::isatty(STDIN_FILENO) == 1) return -1;
    again_fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct sigaction action {};
    action.sa_handler = [](int) {
        const int before = errno;
        const uint64_t one = 1;
        (void)!::write(again_fd, &one, sizeof one);
        errno = before;
    };
    action.sa_flags = SA_RESTART;
    if (again_fd >= 0) ::sigaction(SIGHUP, &action, nullptr);
    return again_fd;
}

std::unique_ptr<TlsFront> tls_of(const Invocation& line, const ServerOptions& options) {
    const auto file = [&](const char* name) {
        const std::string path = option(line, name);
        return path.empty() || path[0] == '/' ? path : line.directory + "/" + path;
    };
    TlsOptions tls;
    tls.certificate = file("tls-cert");
    tls.key = file("tls-key");
    if (tls.certificate.empty() && tls.key.empty()) return nullptr;
    if (tls.certificate.empty() || tls.key.empty()) throw Error(Code::usage, std::string("--tls-") + (tls.key.empty() ? "cert needs --tls-key" : "key needs --tls-cert") + ": the two files of one certificate");
    if (options.behind_proxy) throw Error(Code::usage, "--behind-proxy and --tls-cert exclude each other: behind a proxy, the proxy speaks TLS");
    tls.handshake_seconds = options.idle_seconds;
    tls.stall_seconds = options.stall_seconds;
    return std::make_unique<TlsFront>(tls);
}

int serve(const Invocation& line, const Host& host) {
    ServerOptions options;
    const std::string listen = option(line, "listen", "127.0.0.1:8080");
    const size_t colon = listen.rfind(':');
    unsigned port = 0;
    if (colon == std::string::npos || std::from_chars(listen.data() + colon + 1, listen.data() + listen.size(), port).ptr != listen.data() + listen.size() || port > 65535)
        throw Error(Code::usage, "--listen: '" + listen + "' is no ADDRESS:PORT");
    options.host = listen.substr(0, colon);
    options.port = static_cast<uint16_t>(port);
    options.url = option(line, "url");
    options.behind_proxy = option(line, "behind-proxy") == "true";
    ::signal(SIGPIPE, SIG_IGN);
    const std::string data = data_directory(line);
    const auto tls = tls_of(line, options);
    options.tls = tls.get();
    const DirectoryLock lock(data);
    Service service(data);
    options.access_log = service.data + "/access.json";
    const auto building = BuilderOptions::read(host, service.data);
    if (building.kind != BuilderOptions::Kind::none && !building.subordinate_ids())
        host.warn("the user of the hub has no subordinate ids: in builds all files belong to root, and many package managers fail");
    std::unique_ptr<Builder> builder;
    std::unique_ptr<LogViewers> viewers;
    Router router;
    add_all_routes(service, router);
    if (building.kind != BuilderOptions::Kind::none) {
        builder = std::make_unique<Builder>(service, building);
        viewers = std::make_unique<LogViewers>([&builds = builder->builds()](const std::string& id) {
            const auto build = builds.find(id);
            return !build || build->done();
        });
        add_build_routes(service, *builder, *viewers, router);
        service.builds = true;
    }
    Server server(router, service.accounts, options, service.counts);
    const int hangups = watch_hangups();  // before it says that it is there
    std::cout << "The hub listens on " << (tls ? "https://" : "http://") << options.host << ":" << server.port() << std::endl;
    server.run(host.cancel_fd(), hangups);
    return 0;
}

int add_user(const Invocation& line, Service& service) {
    const std::string& name = only_argument(line);
    // From standard input: what stands in the arguments is seen by everybody on this machine.
    std::string password;
    if (!std::getline(std::cin, password)) throw Error(Code::usage, "the password is read from standard input, and there is none", "try: singularity hub user add " + name + " --data DIR < password-file");
    service.accounts.add_user(name, password, option(line, "admin") == "true");
    service.accounts.set_quota(name, number(line, "quota", 0, int64_t{1} << 60));
    service.accounts.audit("(command line)", "add user", name);
    return 0;
}

int run_verb(const Invocation& line, const Host& host) {
    ::umask(077);  // all that a hub keeps is its own
    if (line.verb == "hub serve") return serve(line, host);
    Service service(data_directory(line));
    if (line.verb == "hub user add") return add_user(line, service);
    if (line.verb == "hub user disable" || line.verb == "hub user enable") {
        service.accounts.set_disabled(only_argument(line), line.verb == "hub user disable");
        service.accounts.audit("(command line)", line.verb, only_argument(line));
        return 0;
    }
    if (line.verb == "hub user token") {
        const auto token = service.accounts.add_token(service.accounts.user_id(only_argument(line)), "command line", parse_scopes(option(line, "scopes", "read,write,build")), number(line, "days", 30, 3650) * 86400);
        service.accounts.audit("(command line)", "create token", only_argument(line));
        std::cout << token.secret << std::endl;
        return 0;
    }
    if (line.verb == "hub user list") {
        for (const auto& r : service.database.query("SELECT name, admin, disabled FROM users ORDER BY name")) std::cout << r.text(0) << (r.flag(1) ? "\tadmin" : "") << (r.flag(2) ? "\tdisabled" : "") << "\n";
        std::cout.flush();
        return 0;
    }
    if (line.verb == "hub gc") {
        const auto c = collect_garbage(service);
        std::cout << "Removed " << c.blobs << " files of " << c.bytes << " bytes and " << c.uploads << " uploads" << std::endl;
        return 0;
    }
    if (line.verb == "hub check") {
        const auto damage = find_damage(service);
        for (const auto& d : damage) std::cerr << "ERROR:   " << d << "\n";
        if (damage.empty()) std::cout << "All is well" << std::endl;
        return damage.empty() ? 0 : 255;
    }
    throw Error(Code::usage, "there is no verb '" + line.verb + "'", "see: singularity hub --help");
}

}  // namespace

int HubCommand::run(const Invocation& invocation, const Host& host) { return run_verb(invocation, host); }

}  // namespace hub
