// Session::fetch, unpack and digest, in the executable.
#include "cli/module_client.hpp"

namespace sg {

std::string Session::fetch(const std::string& uri, const Pairs& source_options) {
    if (!context) throw Error(Code::internal, "a session without a command cannot fetch");
    // What the command line set here holds there as well.
    Context there = *context;
    there.global.settings.clear();
    const Index& index = settings.index();
    for (uint32_t i = 0; i < index.key_count(); ++i) {
        const std::string_view key = index.key(i).name;
        if (settings.origin(key).layer != Layer::command_line) continue;
        std::string text;
        for (const auto& value : settings.values(key)) text += (text.empty() ? "" : ",") + value;
        there.global.settings.push_back(std::string(key) + "=" + text);
    }
    return fetch_in_child(there, uri, source_options);
}

std::string Session::unpack(const std::string& image) {
    if (!context) throw Error(Code::internal, "a session without a command cannot unpack");
    return unpack_in_child(*context, image);
}

std::string Session::digest(const std::string& file) {
    if (!context) throw Error(Code::internal, "a session without a command cannot read a digest");
    return digest_in_child(*context, file);
}

}  // namespace sg
