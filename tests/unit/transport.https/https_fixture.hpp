#pragma once
#include "transport.family/transport_fixture.hpp"

namespace fixture {

inline const sg_transport_v1& https_table() {
    static const auto* t = static_cast<const sg_transport_v1*>(load_plugin(PLUGIN_OBJECT)->table("https", "transport", 1));
    if (!t) throw std::runtime_error("no table");
    return *t;
}

inline Got ask(Ask a, const sg_call* call = nullptr) { return ask(https_table(), std::move(a), call); }
// Only for what is a text already: braces make an Ask.
template <class Text>
    requires std::is_convertible_v<Text, std::string>
Got ask(const Text& url) {
    return ask(Ask{url});
}
inline Error failure(Ask a, const sg_call* call = nullptr) {
    return error_of([&] { ask(std::move(a), call); });
}
template <class Text>
    requires std::is_convertible_v<Text, std::string>
Error failure(const Text& url) {
    return failure(Ask{url});
}

// The plain server that most tests need.
inline const Server& server() {
    static const Server s;
    return s;
}

// Certificates of the tests' own.
inline const std::string& certificates() {
    static const Scratch folder;
    static const bool made = std::system(("bash " SUPPORT "/certificates.sh " + folder.path()).c_str()) == 0;
    if (!made) throw std::runtime_error("certificates.sh");
    return folder.path();
}

// Until `look_up` says otherwise, names are looked up as usual. Names that end in ".test" are the test's own:
// their addresses are those listed here, and an empty list means an answer that never comes.
inline std::mutex names_mutex;
inline std::map<std::string, std::vector<std::string>> names;
inline std::atomic<int> look_ups{0};

}  // namespace fixture
