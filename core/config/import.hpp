// From configuration files of Singularity, SingularityCE and Apptainer (singularity.conf, apptainer.conf, ecl.toml) to ours.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "config/index.hpp"

namespace sg {

struct Imported {
    // A line of the other file that means something here.
    struct Taken {
        std::string key;                  // ours
        std::vector<std::string> values;  // as canonical() keeps them
        std::string from;                 // "FILE:LINE: mount home = no"
        bool is_default = false;          // it is our built-in default
    };
    // One that does not.
    struct Left {
        std::string from, reason;
        bool wants_attention = false;  // something the other program did will not happen here
    };
    std::vector<Taken> taken;  // one for each key
    std::vector<Left> left;
};

// Throws Code::invalid with FILE:LINE for what is no such file. Which of the two kinds it is follows from its content.
Imported import_configuration(const std::string& file, const Index& index);

// As a file for conf.d: each key behind a comment that says where it comes from, and what was left out with the reason.
std::string imported_yaml(const Imported& imported, const std::string& file);

}  // namespace sg
