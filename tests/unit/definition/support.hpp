// What the tests of this room share.
#pragma once
#include <boost/test/unit_test.hpp>
#include <string>

#include "definition/checks.hpp"

namespace sg::definition {

// Two sources, as manifests would describe them.
inline Grammar test_grammar() {
    static const std::vector<std::string> registry = {"from", "registry", "namespace"};
    static const std::vector<std::string> mirror = {"mirrorurl", "osversion", "include", "otherurl"};
    Grammar g;
    g.keywords = [](std::string_view name) -> std::optional<std::vector<std::string>> {
        if (name == "docker" || name == "first") return registry;
        if (name == "debootstrap" || name == "yum") return mirror;
        return std::nullopt;
    };
    g.all = registry;
    g.all.insert(g.all.end(), mirror.begin(), mirror.end());
    return g;
}

inline Definition parsed(const std::string& text, const Arguments& arguments = {}) {
    return parse(split_text("x.def", text), test_grammar(), arguments);
}

// "message|hint" of the error, "" when there is none.
inline std::string failure(const std::string& text, const Arguments& arguments = {}) {
    try {
        parsed(text, arguments);
        return {};
    } catch (const Error& e) {
        return e.message() + "|" + e.hint();
    }
}

inline bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

inline std::string head = "Bootstrap: docker\nFrom: alpine\n";

}  // namespace sg::definition
