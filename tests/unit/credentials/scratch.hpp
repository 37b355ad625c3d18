// A directory of the test's own, with small files and helper programs in it.
#pragma once
#include <stdlib.h>
#include <sys/stat.h>

#include <boost/test/unit_test.hpp>
#include <fstream>
#include <string>

#include "base/error.hpp"
#include "credentials/secret.hpp"
#include "store/output.hpp"

namespace singularity {
inline std::ostream& operator<<(std::ostream& out, Code code) { return out << static_cast<int>(code); }
}  // namespace singularity

namespace sg {

struct Scratch {
    std::string path;
    Scratch() {
        char name[] = "/tmp/sg-credentials-XXXXXX";
        path = mkdtemp(name);
    }
    ~Scratch() { remove_tree(path); }
    std::string operator/(const std::string& name) const { return path + "/" + name; }
    std::string write(const std::string& name, const std::string& text, mode_t mode = 0600) const {
        const std::string full = path + "/" + name;
        for (size_t at = path.size() + 1; (at = full.find('/', at)) != std::string::npos; ++at) mkdir(full.substr(0, at).c_str(), 0755);
        std::ofstream(full) << text;
        chmod(full.c_str(), mode);
        return full;
    }
    std::string read(const std::string& name) const {
        std::ifstream in(path + "/" + name);
        return {std::istreambuf_iterator<char>(in), {}};
    }
};

// docker-credential-NAME in a directory that comes first in PATH.
struct HelperDirectory : Scratch {
    std::string before = getenv("PATH") ? getenv("PATH") : "";
    HelperDirectory() { setenv("PATH", (path + ":" + before).c_str(), 1); }
    ~HelperDirectory() { setenv("PATH", before.c_str(), 1); }
    void add(const std::string& name, const std::string& script) const { write("docker-credential-" + name, "#!/bin/sh\n" + script + "\n", 0755); }
};

template <class F>
Error failure_of(F&& f) {
    try {
        f();
    } catch (const Error& e) {
        return e;
    }
    return Error(Code::internal, "nothing failed");
}

inline std::string text(const Secret& secret) { return std::string(secret.view()); }

inline bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace sg
