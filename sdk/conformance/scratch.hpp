// A directory of the kit's own, gone at the end.
#pragma once
#include <string>

namespace conformance {

class Scratch {
public:
    Scratch();
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;
    ~Scratch();
    const std::string& path() const { return path_; }
    // An empty directory in it.
    std::string fresh(const std::string& name) const;

private:
    std::string path_;
};

}  // namespace conformance
