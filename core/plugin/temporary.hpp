// Temporary files and directories that vanish with the command.
#pragma once
#include <mutex>
#include <string>
#include <vector>

#include "base/unique_fd.hpp"

namespace sg {

// Any thread.
class Temporary {
public:
    explicit Temporary(std::string directory) : base_(std::move(directory)) {}
    ~Temporary();  // removes its directories with all they hold
    Temporary(const Temporary&) = delete;
    Temporary& operator=(const Temporary&) = delete;

    // A read-write file without a name. Throws with the directory's name.
    UniqueFd file();
    // A new directory, 0700. Also removes what a killed process of the same user left there.
    std::string directory();

private:
    std::string base_;
    std::mutex mutex_;
    struct Made {
        std::string path;
        UniqueFd lock;  // held while it is in use: tells it from a left-over one
    };
    std::vector<Made> made_;
};

}  // namespace sg
