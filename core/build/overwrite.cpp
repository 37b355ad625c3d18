#include "build/overwrite.hpp"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <iostream>

#include "base/error.hpp"

namespace sg {

namespace {

bool is_empty(const std::string& path) {
    DIR* d = opendir(path.c_str());
    if (!d) throw_errno("cannot read", path);
    int n = 0;
    while (readdir(d)) ++n;
    closedir(d);
    return n <= 2;
}

// A directory that one of our builds, or another Singularity, made.
bool is_image_directory(const std::string& path) {
    struct stat st;
    return lstat((path + "/.singularity.d").c_str(), &st) == 0 && S_ISDIR(st.st_mode);
}

bool ask() {
    std::fputs("Build target already exists. Do you want to overwrite? [N/y] ", stderr);
    std::string answer;
    if (!std::getline(std::cin, answer)) {
        std::fputc('\n', stderr);  // nobody typed the end of the line
        return false;
    }
    return answer == "y" || answer == "Y" || answer == "yes";
}

}  // namespace

void allow_overwrite(const std::string& target, bool makes_directory, bool force) {
    struct stat st;
    if (lstat(target.c_str(), &st) != 0) {
        if (errno == ENOENT) return;
        throw_errno("cannot look at", target);
    }
    if (S_ISDIR(st.st_mode) && !is_empty(target) && !is_image_directory(target))
        throw Error(Code::exists, "will not replace " + target + ": it is a directory with files that are no image",
                    "Name another target, or remove the directory yourself.");
    if (S_ISDIR(st.st_mode) && !makes_directory)
        throw Error(Code::exists, "will not replace the directory " + target + " by a file", "Name another target, or remove the directory yourself.");
    if (!force && !ask())
        throw Error(Code::exists, "stopping build: " + target + " exists", "Add --force to replace it.");
}

}  // namespace sg
