// Options and arguments of a verb, and what it prints.
#pragma once
#include <singularity/command.hpp>

#include <cstdint>
#include <optional>

namespace signing {

class Line {
public:
    explicit Line(const singularity::Invocation& invocation) : invocation_(invocation) {}
    std::string option(std::string_view name) const;  // the last one given, "" = none
    bool flag(std::string_view name) const;
    std::optional<uint64_t> number(std::string_view name) const;
    const std::vector<std::string>& arguments() const { return invocation_.arguments; }
    // The only argument; throws Code::usage otherwise. `what` is its name in the usage line.
    const std::string& only_argument(const char* what) const;
    // A file, relative to where the user stands.
    std::string file(const std::string& name) const;

private:
    const singularity::Invocation& invocation_;
};

void print(std::string_view text);  // on standard output

// Text as a JSON string, with its quotes.
std::string quoted(std::string_view text);

}  // namespace signing
