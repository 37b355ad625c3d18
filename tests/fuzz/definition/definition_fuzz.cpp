// Any bytes as a definition file: parsed, checked, and with build arguments given.
#include <cstddef>
#include <cstdint>

#include "definition/checks.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace sg::definition;
    Grammar grammar;
    grammar.all = {"mirrorurl", "osversion", "include", "registry", "namespace", "otherurl"};
    grammar.keywords = [&](std::string_view name) -> std::optional<std::vector<std::string>> {
        if (name == "first") return grammar.all;
        return std::nullopt;
    };
    for (const bool tolerant : {false, true}) {
        Arguments arguments{{}, tolerant};
        if (tolerant) arguments.given = {{"A", "value {{ B }}"}, {"B", "two\nlines"}};
        try {
            const Text text = split_text("fuzz", {reinterpret_cast<const char*>(data), size});
            const Definition d = parse(text, grammar, arguments);
            (void)check(d, arguments);
            (void)d.text();
        } catch (const singularity::Error&) {
        }
    }
    return 0;
}
