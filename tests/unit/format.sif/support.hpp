// Files, directories and digests for the tests of SIF.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sif/container.hpp"

namespace sif_test {

// A directory that vanishes.
class Folder {
public:
    Folder();
    ~Folder();
    Folder(const Folder&) = delete;
    const std::string& path() const { return path_; }
    std::string operator/(const std::string& name) const { return path_ + "/" + name; }

private:
    std::string path_;
};

std::string read_file(const std::string& path);
void write_file(const std::string& path, std::string_view bytes);
std::string sha256(std::string_view bytes);
std::string hex(std::string_view bytes);
std::string all_of(singularity::Stream& stream);

// Of the environment variable, or nothing (the test says that it is skipped).
std::optional<std::string> test_data();

// What `f` throws, as text; "" when it throws nothing.
template <class F>
std::string message_of(F&& f) {
    try {
        f();
    } catch (const singularity::Error& e) {
        return e.message();
    }
    return "";
}
template <class F>
singularity::Code code_of(F&& f) {
    try {
        f();
    } catch (const singularity::Error& e) {
        return e.code();
    }
    return singularity::Code{};
}

// Two partitions, the second one primary, and a deffile: a small whole SIF as bytes.
std::string sample();

// Runs the verb with standard output going to a file; the text that it printed.
struct Ran {
    int code = 0;
    std::string out, error, hint;
};
Ran run_sif(const std::string& verb, std::vector<std::string> arguments,
            std::vector<std::pair<std::string, std::string>> options = {}, const std::string& directory = "/");

}  // namespace sif_test
