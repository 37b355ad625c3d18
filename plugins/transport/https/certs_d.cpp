#include "https/certs_d.hpp"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

namespace https {

using singularity::Code;
using singularity::Error;

std::vector<std::string> certs_d_roots() {
    std::vector<std::string> out;
    struct stat st {};
    const char* home = std::getenv("HOME");
    if (home && home[0] == '/' && ::stat(home, &st) == 0 && st.st_uid == ::geteuid())
        out.push_back(std::string(home) + "/.config/containers/certs.d");
    out.emplace_back("/etc/containers/certs.d");
    out.emplace_back("/etc/docker/certs.d");
    return out;
}

void add_certs_d(const std::vector<std::string>& roots, const std::string& host, uint16_t port, TlsSettings& settings) {
    const bool hub = host == "docker.io" || host == "index.docker.io" || host == "registry-1.docker.io";
    const std::string name = hub ? "docker.io" : (host.find(':') == std::string::npos ? host : "[" + host + "]");
    for (const std::string& root : roots) {
        std::string directory = root + "/" + name;
        if (!hub && port != 0) directory += ":" + std::to_string(port);
        DIR* d = ::opendir(directory.c_str());
        if (!d) {
            if (errno == ENOENT || errno == ENOTDIR || errno == EACCES) continue;
            throw Error(Code::io, "cannot read " + directory + ": " + std::strerror(errno));
        }
        std::vector<std::string> files;
        while (const dirent* e = ::readdir(d)) files.emplace_back(e->d_name);
        ::closedir(d);
        std::sort(files.begin(), files.end());
        const auto there = [&](const std::string& file) { return std::find(files.begin(), files.end(), file) != files.end(); };
        for (const std::string& file : files) {
            const size_t dot = file.rfind('.');
            if (dot == std::string::npos || dot == 0) continue;
            const std::string stem = file.substr(0, dot), ending = file.substr(dot);
            if (ending == ".crt") {
                settings.ca.push_back(directory + "/" + file);
            } else if (ending == ".cert" || ending == ".key") {
                const std::string other = stem + (ending == ".key" ? ".cert" : ".key");
                if (!there(other))
                    throw Error(Code::invalid, directory + "/" + file + " lacks " + other + " beside it",
                                "A client certificate is a pair: NAME.cert and NAME.key. An authority's certificate ends in .crt.");
                if (ending == ".cert" && settings.certificate.empty()) {
                    settings.certificate = directory + "/" + file;
                    settings.key = directory + "/" + other;
                }
            }
        }
        return;  // the first one that exists
    }
}

}  // namespace https
