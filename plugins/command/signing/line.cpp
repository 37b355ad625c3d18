#include "signing/line.hpp"

#include <unistd.h>

#include <cerrno>
#include <charconv>

#include <singularity/json.hpp>

namespace signing {

using singularity::Code;
using singularity::Error;

std::string Line::option(std::string_view name) const {
    std::string found;
    for (const auto& [key, value] : invocation_.options)
        if (key == name) found = value;
    return found;
}

bool Line::flag(std::string_view name) const {
    const std::string value = option(name);
    return !value.empty() && value != "false";
}

std::optional<uint64_t> Line::number(std::string_view name) const {
    const std::string text = option(name);
    if (text.empty()) return std::nullopt;
    uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) throw Error(Code::usage, "--" + std::string(name) + ": '" + text + "' is no number of that kind");
    return value;
}

const std::string& Line::only_argument(const char* what) const {
    if (invocation_.arguments.size() != 1)
        throw Error(Code::usage, "'" + invocation_.verb + "' takes one argument", "the form is: singularity " + invocation_.verb + " [options] " + what);
    return invocation_.arguments.front();
}

std::string Line::file(const std::string& name) const {
    return name.empty() || name[0] == '/' ? name : invocation_.directory + "/" + name;
}

void print(std::string_view text) {
    while (!text.empty()) {
        const ssize_t n = ::write(STDOUT_FILENO, text.data(), text.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) throw Error(Code::io, "cannot write to standard output");
        text.remove_prefix(static_cast<size_t>(n));
    }
}

std::string quoted(std::string_view text) {
    rapidjson::StringBuffer buffer;
    rapidjson::Writer<rapidjson::StringBuffer> writer(buffer);
    writer.String(text.data(), static_cast<rapidjson::SizeType>(text.size()));
    return {buffer.GetString(), buffer.GetSize()};
}

}  // namespace signing
