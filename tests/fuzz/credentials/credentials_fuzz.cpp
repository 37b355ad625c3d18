// Any bytes as a file with credentials: searched, listed, changed; and as a server's name.
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/error.hpp"
#include "base/unique_fd.hpp"
#include "credentials/auth_file.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const sg::UniqueFd fd(memfd_create("fuzz", MFD_CLOEXEC));
    if (!fd || ::write(fd.get(), data, size) != static_cast<ssize_t>(size)) std::abort();
    const std::string path = "/proc/self/fd/" + std::to_string(fd.get());
    for (const bool plain : {false, true}) {
        try {
            const auto file = sg::AuthFile::open(path, plain);
            const auto server = sg::ServerKey::of_server("host/namespace/repository");
            (void)file->holds_secrets();
            (void)file->helper_of(server);
            (void)file->helper_of_all();
            (void)file->find(server);
            (void)file->list();
            (void)file->remove(server);
            if (!plain) {
                file->put(server, sg::Login{"user", sg::Secret("password"), {}, ""});
                if (!file->find(server)) std::abort();
            }
        } catch (const sg::Error&) {
        }
    }
    try {
        const std::string name(reinterpret_cast<const char*>(data), size);
        const auto server = sg::ServerKey::of_server(name);
        const auto again = sg::ServerKey::of_key(server.text());
        if (again && again->host != server.host) std::abort();
    } catch (const sg::Error&) {
    }
    return 0;
}
