// Options and arguments of the verbs that talk to remotes, and what these print and ask.
#pragma once
#include <optional>
#include <singularity/command.hpp>
#include <string>
#include <vector>

namespace remotes {

class Line {
public:
    explicit Line(const singularity::Invocation& invocation) : invocation_(invocation) {}
    std::string option(std::string_view name) const;  // the last one given, "" = none
    bool flag(std::string_view name) const;
    std::optional<uint64_t> number(std::string_view name) const;  // throws Code::usage
    const std::vector<std::string>& arguments() const { return invocation_.arguments; }
    // The arguments, `least` to `most` of them; throws Code::usage with `form` ("NAME URI").
    const std::vector<std::string>& arguments(size_t least, size_t most, const char* form) const;
    // The name of the verb without its group: "add" of "remote add".
    std::string verb() const;
    // A file, relative to where the user stands.
    std::string file(const std::string& name) const;

private:
    const singularity::Invocation& invocation_;
};

void print(std::string_view text);  // on standard output; throws Code::io
// Columns as wide as they must be, two blanks between, each row a line.
std::string table(const std::vector<std::vector<std::string>>& rows);

// A secret: asked at the terminal with the echo off; when standard input is none, its first line. Throws Code::usage
// when there is nobody to ask.
std::string ask_secret(const std::string& prompt, const singularity::Host& host);
// Yes or no; anything but "y" and "yes", and the end of input, is no.
bool ask_yes(const std::string& question);
// The first line of standard input; "" at its end.
std::string line_of_input();

}  // namespace remotes
