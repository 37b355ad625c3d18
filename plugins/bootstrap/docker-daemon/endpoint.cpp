#include "endpoint.hpp"

#include <unistd.h>

#include <singularity/json.hpp>
#include <singularity/text.hpp>

namespace docker_daemon {

using singularity::Code;
using singularity::Error;

namespace {

// "HOST", "HOST:PORT", "[V6]:PORT" with the port that is meant.
std::string with_port(const std::string& authority, const char* port) {
    const size_t after = authority.starts_with('[') ? authority.find(']') : 0;
    if (after == std::string::npos) return authority;
    return authority.find(':', after) == std::string::npos ? authority + ":" + port : authority;
}

void add_tls(Endpoint& e, const std::string& directory, bool verify) {
    e.verify = verify;
    const auto there = [&](const char* name) {
        const std::string path = directory + "/" + name;
        return access(path.c_str(), F_OK) == 0 ? path : std::string();
    };
    if (directory.empty()) return;
    e.ca_file = there("ca.pem");
    e.client_cert = there("cert.pem");
    e.client_key = there("key.pem");
    if (e.client_cert.empty() != e.client_key.empty())
        throw Error(Code::invalid, directory + " has only one of cert.pem and key.pem, and a client certificate needs both",
                    "DOCKER_CERT_PATH names the directory.");
}

}  // namespace

Endpoint find_endpoint(const std::string& given, const std::function<const char*(const char*)>& variable) {
    const auto value = [&](const char* name) {
        const char* text = variable(name);
        return std::string(text ? text : "");
    };
    std::string host = given.empty() ? value("DOCKER_HOST") : given;
    const std::string from = given.empty() ? "DOCKER_HOST" : "--docker-host";
    if (host.empty()) host = "unix:///var/run/docker.sock";
    if (host.front() == '/') host.insert(0, "unix://");
    Endpoint e;
    e.shown = singularity::json::printable(host);
    e.version = value("DOCKER_API_VERSION");
    const size_t end = host.find("://");
    const std::string scheme = host.substr(0, end == std::string::npos ? 0 : end);
    const std::string rest = end == std::string::npos ? "" : host.substr(end + 3);
    const auto bad = [&](const std::string& why) {
        return Error(Code::invalid, from + ": " + e.shown + " " + why, "The forms are unix:///PATH and tcp://HOST[:PORT].");
    };
    if (scheme == "unix") {
        if (rest.empty() || rest.front() != '/') throw bad("does not name a socket by its absolute path");
        e.scheme = "unix";
        e.socket = rest;
        e.base = "unix://" + singularity::percent_encoded(rest);
        return e;
    }
    if (scheme == "ssh" || scheme == "npipe" || scheme == "fd")
        throw Error(Code::unsupported, from + ": engines cannot be reached by " + scheme + "://",
                    "For ssh forward the socket: ssh -L /tmp/docker.sock:/var/run/docker.sock HOST, and use unix:///tmp/docker.sock.");
    if (scheme != "tcp" && scheme != "http" && scheme != "https") throw bad("is no address of an engine");
    const size_t slash = rest.find('/');
    const std::string authority = rest.substr(0, slash);
    std::string path = slash == std::string::npos ? "" : rest.substr(slash);
    while (!path.empty() && path.back() == '/') path.pop_back();
    if (authority.empty() || authority.front() == ':') throw bad("names no host");
    if (authority.find('@') != std::string::npos) throw bad("holds a user name, which engines do not know");
    const std::string verify = value("DOCKER_TLS_VERIFY");
    std::string certificates = value("DOCKER_CERT_PATH");
    const bool tls = scheme == "https" || (scheme == "tcp" && (!verify.empty() || !certificates.empty()));
    if (certificates.empty() && tls)
        if (const std::string home = value("HOME"); !home.empty()) certificates = home + "/.docker";
    e.scheme = tls ? "https" : "http";
    e.base = e.scheme + "://" + (scheme == "tcp" ? with_port(authority, tls ? "2376" : "2375") : authority) + path;
    // Without DOCKER_TLS_VERIFY Docker's client encrypts and checks nothing; of https:// we expect more.
    if (tls) add_tls(e, certificates, !verify.empty() || scheme == "https");
    return e;
}

}  // namespace docker_daemon
