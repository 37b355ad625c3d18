#include "scratch.hpp"

#include <stdlib.h>

#include <filesystem>
#include <stdexcept>

namespace conformance {

Scratch::Scratch() {
    const char* parent = std::getenv("TMPDIR");
    path_ = std::string(parent && *parent == '/' ? parent : "/tmp") + "/plugin-test-XXXXXX";
    if (!mkdtemp(path_.data())) throw std::runtime_error("cannot make a temporary directory " + path_);
}

Scratch::~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

std::string Scratch::fresh(const std::string& name) const {
    std::string path = path_ + "/" + name;
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
    std::filesystem::create_directory(path);
    return path;
}

}  // namespace conformance
